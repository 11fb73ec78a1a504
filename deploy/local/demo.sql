-- What an analyst asks, on the data of deploy/local/demo. Run it again with:
--   . .local/env && psql -v day=2022-02-10 -f deploy/local/demo.sql
\set QUIET on
\pset footer off
\pset null '-'
SET search_path = fangxian;
SET timezone = 'Asia/Shanghai';

\echo
\echo == Checkpoints on :day: the city, its counties, the five busiest towns
\echo (complete: every expected post was heard in every hour so far, and no number is missing)
SELECT level, name, name_latin, checked_vehicles, checked_person_times AS checked,
       turned_back_person_times AS turned_back, code_yellow_person_times AS yellow,
       held_fever_person_times AS fever, sources_heard || ' of ' || sources_expected AS posts,
       missing_events AS missing, complete
FROM checkpoint_levels
WHERE day = :'day' AND level <> 'town' AND region <> '-'
ORDER BY level, checked_person_times DESC;

SELECT name, name_latin, checked_vehicles, checked_person_times AS checked,
       turned_back_person_times AS turned_back,
       sources_heard || ' of ' || sources_expected AS posts, complete
FROM checkpoint_town_daily
WHERE day = :'day'
ORDER BY checked_person_times DESC NULLS LAST
LIMIT 5;

\echo
\echo == Tests on :day: sampled, resulted, turnaround
SELECT level, name, name_latin, sampled_person_times AS sampled, sealed_tubes, resulted_tubes,
       presumptive_positive_tubes AS presumptive, within_6h_percent::numeric(5, 1) AS within_6h,
       round(turnaround_p90_min) AS p90_min, complete
FROM test_site_levels
WHERE day = :'day' AND level <> 'town' AND region <> '-'
ORDER BY level, sampled_person_times DESC;

\echo
\echo == Census of the quarantine places now, beside the last reported headcount
SELECT level, q.name, q.name_latin, census_persons, headcount_persons,
       used_rooms || ' of ' || total_rooms AS rooms
FROM quarantine_stock_at(now()) q
LEFT JOIN quarantine_place_stock_at(now()) p USING (level, region)
WHERE level <> 'town' AND region <> '-'
ORDER BY level, census_persons DESC;

\echo
\echo == Contacts on :day: found by screening, listed, under control, tested
SELECT c.level, c.name, c.name_latin, s.screened_person_times AS screened, s.found_persons AS found,
       c.listed_persons AS listed, c.controlled_persons AS controlled, c.sampled_persons AS sampled,
       c.negative_persons AS negative, c.positive_persons AS positive, c.complete
FROM contact_levels c
JOIN screening_levels s USING (day, region)
WHERE c.day = :'day' AND c.level <> 'town' AND c.region <> '-'
ORDER BY c.level, c.listed_persons DESC;

\echo
\echo == Duty on :day: by the unit that sends; the city shows its own organs and all units
SELECT l.level, l.name, l.name_latin, l.posted_persons AS posted, d.posted_persons AS by_itself,
       l.sign_on_persons AS sign_on, l.duty_person_minutes / 60 AS person_hours
FROM duty_unit_levels l
LEFT JOIN duty_unit_direct d USING (day, region)
WHERE l.day = :'day' AND l.level <> 'town' AND l.region <> '-'
ORDER BY l.level, l.posted_persons DESC;

\echo
\echo == Longest queues on :day, and at which post
SELECT name, source, queue_vehicles_max, waited_within_30min_groups AS within_30min,
       wait_measured_groups AS measured, round(wait_mean_s) AS mean_s
FROM checkpoint_source_daily
WHERE day = :'day'
ORDER BY queue_vehicles_max DESC NULLS LAST, source
LIMIT 5;

\echo
\echo == Completeness so far: are all posts heard, is every number counted?
SELECT kind, level, name, sources_heard || ' of ' || sources_expected AS heard, counted,
       duplicates, missing, rejected, pending, complete
FROM completeness
WHERE level IN ('city', 'county') AND region <> '-'
ORDER BY kind, level, counted DESC;

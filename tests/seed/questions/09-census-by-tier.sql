-- Q (en): Who is in quarantine at midnight, by kind of place and tier?
-- 问: 24时隔离人员按集中与居家、按类别各多少人?
SELECT place, tier, census_persons, headcount_persons, difference_persons, missing_events, complete
FROM quarantine_census_at('2022-02-11 00:00+08')
WHERE level = 'city' AND region = '441500'
ORDER BY place, tier;

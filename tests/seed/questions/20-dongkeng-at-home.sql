-- Q (en): Dongkeng: who observes quarantine at home in the morning and at midnight, and was everybody supplied?
-- 问: 东坑镇早8时和24时居家观察多少人、多少户,物资配送多少次?
SELECT t.at AS as_of, c.census_persons, c.headcount_persons, h.households,
       coalesce(s.visits, 0) AS supply_visits,
       coalesce(s.served_household_times, 0) AS supplied_household_times, c.complete
FROM (VALUES (timestamptz '2022-02-10 08:00+08'), (timestamptz '2022-02-11 00:00+08')) t (at)
CROSS JOIN LATERAL quarantine_census_at(t.at) c
CROSS JOIN LATERAL (SELECT sum(x.admitted_households - x.ended_households) AS households
                    FROM quarantine_town x
                    WHERE x.region = c.region AND x.place = 'HOME' AND x.bucket_start < t.at) h
LEFT JOIN LATERAL (SELECT f.visits, f.served_household_times
                   FROM service_as_of_detail(t.at) f
                   WHERE f.region = c.region AND f.service = 'SUPPLY') s ON true
WHERE c.level = 'town' AND c.region = '441523106' AND c.place = 'HOME' AND c.tier = 'ALL'
ORDER BY t.at;

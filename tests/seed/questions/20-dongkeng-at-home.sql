-- Q (en): Dongkeng: how many persons and households observe quarantine at home at midnight, who came and
-- left today, and were they supplied?
-- 问: 东坑镇24时居家观察多少人、多少户,今天新增和解除多少人,物资配送多少次?
SELECT c.census_persons, c.headcount_persons, c.difference_persons, h.households,
       h.admitted_persons, h.released_persons, s.visits AS supply_visits,
       s.served_household_times AS supplied_household_times, c.complete AND s.complete AS complete
FROM quarantine_census_at('2022-02-11 00:00+08') c
CROSS JOIN (SELECT sum(admitted_households - ended_households) AS households,
                   sum(admitted_persons) FILTER (WHERE bucket_start >= '2022-02-10 00:00+08')
                       AS admitted_persons,
                   sum(released_persons) FILTER (WHERE bucket_start >= '2022-02-10 00:00+08')
                       AS released_persons
            FROM quarantine_town
            WHERE region = '441523106' AND place = 'HOME'
              AND bucket_start < '2022-02-11 00:00+08') h
CROSS JOIN service_town_daily_detail s
WHERE c.level = 'town' AND c.region = '441523106' AND c.place = 'HOME' AND c.tier = 'ALL'
  AND s.day = '2022-02-10' AND s.region = '441523106' AND s.service = 'SUPPLY';

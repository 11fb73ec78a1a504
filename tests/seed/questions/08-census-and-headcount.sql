-- Q (en): At which quarantine place does the headcount differ from who should be there at midnight?
-- 问: 24时各隔离点在册人数与上报在管人数是否一致?
SELECT level, region, source, name, census_persons, headcount_persons, difference_persons,
       headcount_oldest, complete
FROM quarantine_census_at('2022-02-11 00:00+08')
WHERE place = 'ALL' AND tier = 'ALL' AND level IN ('source', 'city') AND region <> '-'
ORDER BY level, source;

-- Q (en): How far were the tests as of 12:00, in the city and in each unit that tests?
-- 问: 截至12时,全市和各单位采样多少人次、出结果多少,其中绿色通道多少?
SELECT level, region, name, sampled_person_times, sampled_green_lane_person_times, sealed_tubes,
       resulted_tubes, resulted_person_times, sources_expected, sources_heard, complete
FROM test_site_as_of('2022-02-10 12:00+08')
WHERE level <> 'town' AND sources_expected > 0
ORDER BY level, region;

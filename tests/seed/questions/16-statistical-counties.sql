-- Q (en): The six reporting units are not the four counties of the statistics: what is each county's
-- share of the cadres, and which units lie in it?
-- 问: 六个上报单位与四个统计县区不同:按统计县区各下沉多少名干部,含哪些单位?
SELECT s.region, s.name, s.units, s.posted_persons, s.on_duty_change_persons, s.sources_expected,
       s.complete
FROM duty_unit_statistical s
WHERE s.day = '2022-02-10'
ORDER BY s.region;

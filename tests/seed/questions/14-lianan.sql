-- Q (en): Lian'an: how many households of the frail were supported, and how many used the green lane?
-- 问: 联安镇扶老助弱多少户,采样点绿色通道多少人次?
SELECT s.level, s.region, s.name, s.service, s.visits, s.new_households, s.served_person_times,
       t.sampled_green_lane_person_times, s.complete AND t.complete AS complete
FROM service_levels_detail s
JOIN test_site_levels t ON t.day = s.day AND t.region = s.region
WHERE s.day = '2022-02-10' AND s.service = 'FRAIL_SUPPORT'
ORDER BY s.level DESC, s.region;

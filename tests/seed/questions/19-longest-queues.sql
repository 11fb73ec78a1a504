-- Q (en): Where and when were the longest queues, and how long did people wait there?
-- 问: 哪个卡点、哪个时段排队最长,等候多久?
SELECT hour, source, name, queue_vehicles_max, wait_measured_groups,
       round(wait_mean_s::numeric) AS wait_mean_s, checked_vehicles, complete
FROM checkpoint_source_hourly
WHERE hour >= '2022-02-10 00:00+08' AND hour < '2022-02-11 00:00+08'
  AND queue_vehicles_max IS NOT NULL
ORDER BY queue_vehicles_max DESC, wait_mean_s DESC, hour, source
LIMIT 5;

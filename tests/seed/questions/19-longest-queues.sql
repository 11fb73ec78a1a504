-- Q (en): Where and when were the longest queues, and how long did people wait there?
-- 问: 哪个卡点、哪个时段排队最长,等候多久?
SELECT h.hour, h.source, h.name, h.queue_vehicles_max, h.wait_measured_groups,
       round(h.wait_mean_s::numeric) AS wait_mean_s, h.checked_vehicles, h.complete
FROM (SELECT source, bucket_start, max(queue_vehicles_max) AS queue_vehicles
      FROM checkpoint_source
      WHERE bucket_start >= '2022-02-10 00:00+08' AND bucket_start < '2022-02-11 00:00+08'
        AND queue_vehicles_max IS NOT NULL
      GROUP BY source, bucket_start
      ORDER BY queue_vehicles DESC
      FETCH FIRST 5 ROWS WITH TIES) t
JOIN checkpoint_source_hourly h ON h.hour = t.bucket_start AND h.source = t.source
ORDER BY h.queue_vehicles_max DESC, wait_mean_s DESC, h.hour, h.source
LIMIT 5;

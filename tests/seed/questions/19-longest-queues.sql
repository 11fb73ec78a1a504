-- Q (en): Where and when were the longest queues, and how long did people wait there?
-- 问: 哪个卡点、哪个时段排队最长,等候多久?
SELECT t.hour, t.source, s.name, t.queue_vehicles_max, t.wait_measured_groups, t.wait_mean_s,
       t.checked_vehicles, s.complete
FROM (SELECT bucket_start AS hour, source, max(queue_vehicles_max) AS queue_vehicles_max,
             sum(wait_measured_groups) AS wait_measured_groups,
             round(sum(wait_total_s) / nullif(sum(wait_measured_groups), 0)) AS wait_mean_s,
             sum(checked_vehicles) AS checked_vehicles
      FROM checkpoint_source
      WHERE bucket_start >= '2022-02-10 00:00+08' AND bucket_start < '2022-02-11 00:00+08'
      GROUP BY bucket_start, source
      HAVING max(queue_vehicles_max) IS NOT NULL
      ORDER BY queue_vehicles_max DESC, wait_mean_s DESC, hour, source
      LIMIT 5) t
CROSS JOIN kind_clock k
CROSS JOIN LATERAL source_status(k.kind, k.topic, t.hour, t.hour + interval '1 hour') s
WHERE k.kind = 'checkpoint' AND s.source = t.source
ORDER BY t.queue_vehicles_max DESC, t.wait_mean_s DESC, t.hour, t.source;

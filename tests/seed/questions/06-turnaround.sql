-- Q (en): How long did results take, at every level: half of the tubes, nine of ten, within 6 hours?
-- 问: 从采样到出结果用时:半数管、九成管、6小时内出结果率,各级分别多少?
SELECT level, region, name, timed_tubes, round(turnaround_p50_min::numeric) AS p50_min,
       round(turnaround_p90_min::numeric) AS p90_min,
       round(within_6h_percent, 1) AS within_6h_percent, complete
FROM test_site_levels
WHERE day = '2022-02-10' AND timed_tubes > 0
ORDER BY level, region;

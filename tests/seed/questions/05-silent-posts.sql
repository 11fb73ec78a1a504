-- Q (en): Which checkpoints gave no sign of life for longest?
-- 问: 哪些卡点静默时间最长?
SELECT source, name, region, silent_minutes, sources_heard AS heard, complete, checked_vehicles
FROM checkpoint_source_daily
WHERE day = '2022-02-10'
ORDER BY silent_minutes DESC, source
LIMIT 5;

-- Q (en): How many rooms are there, in use and free, in the city, each unit and each place?
-- 问: 隔离房间共多少、在用多少、空余多少?
SELECT level, region, source, total_rooms, used_rooms, free_rooms, used_percent, reported_places,
       used_places, complete
FROM quarantine_rooms_at('2022-02-11 00:00+08')
WHERE place = CASE level WHEN 'source' THEN 'CENTRAL' ELSE 'ALL' END AND level <> 'town'
ORDER BY level, region, source;

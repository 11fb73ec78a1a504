-- Q (en): Jiaxi: were its posts manned around the clock, by at least how many, without a silent minute?
-- 问: 甲西镇卡点是否24小时有人值守,最少多少人在岗,静默多少分钟?
SELECT d.source, d.name, d.sources_heard AS heard, d.silent_minutes, d.missing_events, d.complete,
       o.hours, o.least_persons
FROM (SELECT source, name, region, sources_heard, silent_minutes, missing_events, complete
      FROM duty_source_daily WHERE day = '2022-02-10'
      UNION ALL
      SELECT source, name, region, sources_heard, silent_minutes, missing_events, complete
      FROM checkpoint_source_daily WHERE day = '2022-02-10') d
LEFT JOIN (SELECT h.source, count(*) AS hours, min(h.persons) AS least_persons
           FROM (SELECT source, sum(sign_on_persons - sign_off_persons)
                            OVER (PARTITION BY source ORDER BY hour) AS persons
                 FROM duty_source_hourly
                 WHERE hour >= '2022-02-10 00:00+08' AND hour < '2022-02-11 00:00+08'
                   AND region = '441581118') h
           GROUP BY h.source) o ON o.source = d.source
WHERE d.region = '441581118'
ORDER BY d.source;

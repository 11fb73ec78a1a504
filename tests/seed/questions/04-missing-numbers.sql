-- Q (en): Which numbered events of the day are not counted? Every number known is counted, missing,
-- rejected, written off, from before, or pending; ranges: how many missing_range names.
-- 问: 今天的事件是否全部计数,缺哪些序号?
SELECT c.kind, c.announced, c.counted, c.missing, c.rejected, c.written_off, c.before_base,
       c.pending, c.announced - c.counted - c.missing - c.rejected - c.written_off - c.before_base
           - c.pending AS unexplained,
       coalesce(m.ranges, 0) AS ranges
FROM completeness_daily c
LEFT JOIN (SELECT kind, count(*) AS ranges FROM missing_range WHERE day = '2022-02-10' GROUP BY kind) m
    ON m.kind = c.kind
WHERE c.day = '2022-02-10' AND c.level = 'city' AND c.region = '441500'
ORDER BY c.kind;

-- Q (en): Who reported today: of each kind of source, how many were expected and heard, and for how
-- long was there no sign of life?
-- 问: 今天各类来源应报多少、已报多少,静默多少分钟,是否完整?
SELECT kind, sources_expected, sources_heard,
       round(100.0 * sources_heard / sources_expected, 1) AS heard_percent, silent_minutes, complete
FROM completeness_daily
WHERE day = '2022-02-10' AND level = 'city' AND region = '441500'
ORDER BY kind;

-- Q (en): How many tubes wait for a result at midnight, in the city and each unit, and of which scheme?
-- 问: 到24时还有多少管待出结果,分单位、分检测类型?
SELECT s.level, s.region, s.name, s.pending_tubes, s.complete, p.by_scheme
FROM test_site_stock_at('2022-02-11 00:00+08') s
LEFT JOIN (SELECT t.region, string_agg(t.scheme || ' ' || t.pending, ', ' ORDER BY t.scheme)
                      FILTER (WHERE t.pending <> 0) AS by_scheme
           FROM (SELECT region, scheme, sum(sealed_tubes - rejected_tubes - resulted_tubes) AS pending
                 FROM test_site_total_before('2022-02-11 00:00+08')
                 WHERE level IN ('county', 'city')
                 GROUP BY region, scheme) t
           GROUP BY t.region) p ON p.region = s.region
WHERE s.level <> 'town' AND s.region <> '-'
ORDER BY s.level, s.region;

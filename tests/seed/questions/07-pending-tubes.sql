-- Q (en): How many tubes wait for a result at midnight, in the city and each unit, and of which scheme?
-- 问: 到24时还有多少管待出结果,分单位、分检测类型?
SELECT s.level, s.region, s.name, s.pending_tubes, s.complete,
       (SELECT string_agg(p.scheme || ' ' || p.pending, ', ' ORDER BY p.scheme)
        FROM (SELECT t.scheme, sum(t.sealed_tubes - t.rejected_tubes - t.resulted_tubes) AS pending
              FROM (SELECT * FROM test_site_county UNION ALL SELECT * FROM test_site_city) t
              WHERE t.region = s.region AND t.bucket_start < '2022-02-11 00:00+08'
              GROUP BY t.scheme) p
        WHERE p.pending <> 0) AS by_scheme
FROM test_site_stock_at('2022-02-11 00:00+08') s
WHERE s.level <> 'town' AND s.region <> '-'
ORDER BY s.level, s.region;

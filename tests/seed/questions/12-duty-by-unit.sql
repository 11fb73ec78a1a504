-- Q (en): Who sent how many cadres: the city's own organs and the six units?
-- 问: 市直机关和六个单位各下沉多少名干部,合计多少?
SELECT coalesce(region, 'ALL') AS region, CASE WHEN bool_or(is_direct) AND region IS NOT NULL
            THEN '市直机关' ELSE coalesce(name, '合计') END AS unit,
       sum(posted_persons) AS posted_persons, sum(duty_person_minutes) AS duty_person_minutes,
       bool_and(complete) AS complete
FROM duty_unit_parts
WHERE day = '2022-02-10' AND whole = '441500'
GROUP BY GROUPING SETS ((region, name), ())
ORDER BY region IS NULL, region;

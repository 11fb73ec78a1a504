-- Q (en): What changed after the report of midnight, where, and by how much? reported + added = current.
-- 问: 24时报表之后有哪些订正(迟报、冲销),各变化多少?
SELECT rollup, region, name, column_name, added, unit
FROM correction_daily
WHERE day = '2022-02-10' AND level = 'town' AND added <> 0
  AND column_name IN ('checked_groups', 'checked_person_times', 'passed_person_times',
                      'released_persons', 'resulted_tubes', 'resulted_person_times')
ORDER BY rollup, region, column_name;

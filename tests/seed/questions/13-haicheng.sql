-- Q (en): Haicheng: screened, found, sent to quarantine; does the same number arrive at each step and
-- level? Of the secondary contacts some are admitted in another town: by origin all, by place not.
-- 问: 海城镇排查多少人次,发现密接、次密接多少人,送集中隔离多少,各环节、各级是否一致?
SELECT s.level, s.region, s.name, s.screened_person_times, s.close_found_persons,
       s.secondary_found_persons, s.sent_to_quarantine_persons, c.listed_persons,
       c.controlled_persons, o.admitted_persons AS admitted_by_origin_persons,
       q.admitted_persons AS admitted_by_place_persons, s.complete
FROM screening_levels s
JOIN contact_levels c ON c.day = s.day AND c.region = s.region
JOIN quarantine_origin_levels_detail o ON o.day = s.day AND o.region = s.region
     AND o.place = 'CENTRAL' AND o.tier = 'SECONDARY'
JOIN quarantine_levels_detail q ON q.day = s.day AND q.region = s.region
     AND q.place = 'CENTRAL' AND q.tier = 'SECONDARY'
WHERE s.day = '2022-02-10' AND s.region IN ('441521115', '441521', '441500')
ORDER BY s.screened_person_times, s.level DESC;

-- Q (en): What did the checkpoints check today, in the city and in each reporting unit, and is it all there?
-- 问: 今天全市和各单位卡点查验了多少车、多少人次,劝返多少,数据是否完整?
SELECT level, region, name, checked_vehicles, checked_person_times, turned_back_person_times,
       round(turned_back_percent, 1) AS turned_back_percent, sources_expected, sources_heard,
       missing_events, complete
FROM checkpoint_levels
WHERE day = '2022-02-10' AND level <> 'town' AND region <> '-'
ORDER BY level, region;

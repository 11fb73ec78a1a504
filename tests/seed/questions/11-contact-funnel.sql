-- Q (en): How far are the three lists: listed, located, controlled, sampled, negative, per tier?
-- 问: 三张名单进展:列入、查找、管控、采样、阴性各多少,24小时内管控率多少?
SELECT level, name, tier, listed_persons, located_persons, handed_off_persons, controlled_persons,
       sampled_persons, negative_persons, positive_persons, became_case_persons, closed_persons,
       active_persons, uncontrolled_persons, pending_persons, controlled_within_24h_percent, complete
FROM contact_funnel_at('2022-02-11 00:00+08')
WHERE listed_persons > 0
ORDER BY level, region, tier;

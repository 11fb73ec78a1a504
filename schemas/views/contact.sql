-- SPDX-License-Identifier: Apache-2.0
-- needs: contact
-- The three lists (三张名单) as a funnel: of those listed, how many were located, controlled,
-- sampled and so on, from the base up to a bucket's edge; per tier, and ALL of them. All steps are
-- persons, each step once per person; a change of tier is a reversal and a new LISTED. What one day
-- added is in contact_levels_detail and contact_as_of_detail(T).

CREATE OR REPLACE FUNCTION contact_funnel_at(at timestamptz)
    RETURNS TABLE (level text, region text, name text, name_latin text, tier text,
                   sources_expected bigint, sources_heard bigint, missing_events bigint,
                   complete boolean, listed_persons bigint, located_persons bigint,
                   handed_off_persons bigint, controlled_persons bigint, sampled_persons bigint,
                   negative_persons bigint, positive_persons bigint, became_case_persons bigint,
                   closed_persons bigint, active_persons bigint, uncontrolled_persons bigint,
                   pending_persons bigint, located_percent numeric, controlled_percent numeric,
                   controlled_within_24h_percent numeric, listed_on_day_persons bigint)
    LANGUAGE sql STABLE SET jit = off -- compiling it takes seconds, running it does not
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT c.* FROM stock_clock('contact', contact_funnel_at.at) c
    ), today AS (
        SELECT t.region, t.tier, sum(t.listed_persons) AS listed
        FROM (SELECT region, tier, bucket_start, listed_persons FROM contact_town
              UNION ALL SELECT region, tier, bucket_start, listed_persons FROM contact_county
              UNION ALL SELECT region, tier, bucket_start, listed_persons FROM contact_city) t
        WHERE t.bucket_start >= (SELECT c.starts FROM clock c)
          AND t.bucket_start < (SELECT c.edge FROM clock c)
        GROUP BY t.region, t.tier
    ), summed AS MATERIALIZED (
        SELECT t.level, t.region, coalesce(t.tier, 'ALL') AS tier,
               sum(t.listed_persons)::bigint AS listed, sum(t.located_persons)::bigint AS located,
               sum(t.handed_off_persons)::bigint AS handed_off,
               sum(t.controlled_persons)::bigint AS controlled,
               sum(t.sampled_persons)::bigint AS sampled,
               sum(t.negative_persons)::bigint AS negative,
               sum(t.positive_persons)::bigint AS positive,
               sum(t.became_case_persons)::bigint AS became_case,
               sum(t.closed_persons)::bigint AS closed,
               sum(t.controlled_within_24h_persons)::bigint AS within_24h,
               coalesce(sum(d.listed), 0)::bigint AS listed_on_day
        FROM contact_total_before(contact_funnel_at.at) t
        LEFT JOIN today d ON d.region = t.region AND d.tier = t.tier
        GROUP BY t.level, t.region, ROLLUP (t.tier)
    )
    SELECT c.of_level, c.region, c.name, c.name_latin, v.tier, c.expected, c.heard, c.missing,
           c.complete, v.listed, v.located, v.handed_off, v.controlled, v.sampled, v.negative,
           v.positive, v.became_case, v.closed,
           v.listed - v.closed - v.became_case - v.handed_off,
           v.listed - v.handed_off - v.controlled, v.sampled - v.negative - v.positive,
           round(100.0 * v.located / nullif(v.listed, 0), 1),
           round(100.0 * v.controlled / nullif(v.listed - v.handed_off, 0), 1),
           round(100.0 * v.within_24h / nullif(v.controlled, 0), 1), v.listed_on_day
    FROM clock k
    CROSS JOIN LATERAL stock_status('contact', k.topic, false, k.edge) c
    JOIN summed v ON v.level = c.of_level AND v.region = c.region;
END;
COMMENT ON FUNCTION contact_funnel_at(timestamptz) IS
    'the three lists from listing to closing, up to the last edge of a bucket by then, as '
    'contact_funnel 某时刻三张名单进展';

CREATE OR REPLACE VIEW contact_funnel AS
SELECT f.*
FROM kind_clock k
CROSS JOIN LATERAL contact_funnel_at(bucket_end('contact', coalesce(k.judged_at, now()))) f
WHERE k.kind = 'contact';
COMMENT ON VIEW contact_funnel IS
    'the three lists from listing to closing, as far as counted 三张名单进展';
COMMENT ON COLUMN contact_funnel.level IS 'city, county or town 级别';
COMMENT ON COLUMN contact_funnel.region IS 'region code 地区代码';
COMMENT ON COLUMN contact_funnel.name IS 'name in Chinese 名称';
COMMENT ON COLUMN contact_funnel.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN contact_funnel.tier IS
    'CLOSE, SECONDARY, COMPANION, or ALL 密接、次密接、时空伴随者或合计';
COMMENT ON COLUMN contact_funnel.sources_expected IS
    'sources registered for the day 应报来源数(个)';
COMMENT ON COLUMN contact_funnel.sources_heard IS 'those heard on it so far 已报来源数(个)';
COMMENT ON COLUMN contact_funnel.missing_events IS
    'numbers missing, rejected or lost, of this day and all before 缺失事件数(条)';
COMMENT ON COLUMN contact_funnel.complete IS
    'all heard so far and nothing missing, of this day or before; NULL: not known 是否完整';
COMMENT ON COLUMN contact_funnel.listed_persons IS 'put on the list, ever 列入名单(人)';
COMMENT ON COLUMN contact_funnel.located_persons IS 'of them found 已查找到(人)';
COMMENT ON COLUMN contact_funnel.handed_off_persons IS
    'of them handed to another place 外推协查(人)';
COMMENT ON COLUMN contact_funnel.controlled_persons IS 'of them controlled 落实管控(人)';
COMMENT ON COLUMN contact_funnel.sampled_persons IS 'samples taken of them 已采样(人)';
COMMENT ON COLUMN contact_funnel.negative_persons IS 'of these negative 阴性(人)';
COMMENT ON COLUMN contact_funnel.positive_persons IS 'of these positive 阳性(人)';
COMMENT ON COLUMN contact_funnel.became_case_persons IS 'became a case 转为病例(人)';
COMMENT ON COLUMN contact_funnel.closed_persons IS 'closed: their time is over 解除(人)';
COMMENT ON COLUMN contact_funnel.active_persons IS
    'listed, not closed, no case, not handed to others 现有(人)';
COMMENT ON COLUMN contact_funnel.uncontrolled_persons IS
    'listed, neither handed to others nor controlled 未落实管控(人)';
COMMENT ON COLUMN contact_funnel.pending_persons IS 'sampled, result still to come 待出结果(人)';
COMMENT ON COLUMN contact_funnel.located_percent IS 'located of those listed 查找率(%)';
COMMENT ON COLUMN contact_funnel.controlled_percent IS
    'controlled of those listed and not handed to others 管控率(%)';
COMMENT ON COLUMN contact_funnel.controlled_within_24h_percent IS
    'controlled within 24 h of listing, of those controlled 24小时内管控率(%)';
COMMENT ON COLUMN contact_funnel.listed_on_day_persons IS
    'listed on the day that the time ends or lies in 当日新列入(人)';

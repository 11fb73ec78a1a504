-- SPDX-License-Identifier: Apache-2.0
-- Is everything here? Per source, and summed up the tree: who was expected, who was heard, which
-- numbers were counted and which are known to be missing. The state now, over all runs of a
-- source; for a past day see sources_expected, sources_heard and missing_events in the _daily
-- views.
--
--   counted + missing + rejected + written_off + before_base = highest number met
--   missing    numbers skipped, and numbers that were acknowledged but never came
--   rejected   numbers whose event was refused, until it is sent again or written off
--   announced  last number the outbox told of; pending = announced but not yet acknowledged
--
-- A day is judged up to judged_at, the moment all partitions of the kind were last caught up: a
-- source is heard if it gave a sign of life on that day (an event, or a heartbeat of an open input:
-- no other proves a zero), and an expected one is silent after 15 minutes (three heartbeats)
-- without one, unless its newest run has ended. refused counts the runs whose last heartbeat lies
-- on that day. unknown_since: judged_at is over a minute ago, so that nobody knows what came
-- since, and complete is NULL. A source whose place is unknown is charged to every root.
CREATE OR REPLACE VIEW completeness AS
WITH kind AS (
    SELECT k.kind, k.topic, p.judged_at,
           (coalesce(p.judged_at, now()) AT TIME ZONE 'Asia/Shanghai')::date AS judged_day
    FROM (SELECT DISTINCT d.kind, f.topic_prefix || '.' || replace(d.kind, '_', '-') AS topic
          FROM rollup_definition d CROSS JOIN definition f) k
    LEFT JOIN (SELECT topic,
                      CASE WHEN count(caught_up_at) = count(*) THEN min(caught_up_at) END
                          AS judged_at
               FROM partition_position GROUP BY topic) p ON p.topic = k.topic
), gap AS (
    SELECT topic, source,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'missing') AS missing,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'rejected') AS rejected,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'written_off') AS written_off
    FROM source_gap
    GROUP BY topic, source
), ledger AS (
    SELECT l.*, greatest(l.heartbeat_at, l.last_appended_at) AS touched_at,
           greatest(CASE WHEN l.input_state = 'OPEN' THEN l.heartbeat_at END,
                    l.last_appended_at) AS sign_at,
           (l.heartbeat_at AT TIME ZONE 'Asia/Shanghai')::date >= k.judged_day AS is_todays,
           r.code AS place
    FROM source_ledger l
    JOIN kind k ON k.topic = l.topic
    LEFT JOIN region r ON r.code = l.region
), run AS (
    SELECT topic, source,
           sum(counted) AS counted, sum(duplicates) AS duplicates,
           sum(greatest(announced, high)) AS announced,
           sum(greatest(acked - high, 0)) AS lost,
           sum(greatest(announced - greatest(high, acked), 0)) AS pending,
           sum(refused) FILTER (WHERE is_todays) AS refused,
           max(sign_at) AS last_sign_at,
           (array_agg(coalesce(heartbeat_state, '') ORDER BY touched_at DESC NULLS LAST))[1]
               = 'ENDED' AS is_ended,
           (array_agg(place ORDER BY touched_at DESC NULLS LAST)
            FILTER (WHERE place IS NOT NULL))[1] AS region
    FROM ledger
    GROUP BY topic, source
), registered AS (
    SELECT DISTINCT ON (s.kind, s.source) s.kind, s.source, s.name, s.region,
           k.judged_day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
               AS is_expected
    FROM source s
    JOIN kind k ON k.kind = s.kind
    ORDER BY s.kind, s.source,
             k.judged_day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date) DESC,
             s.valid_from DESC
), named AS (
    SELECT k.kind, k.topic, k.judged_at, k.judged_day, run.source, NULL::text AS name,
           run.region, false AS is_expected
    FROM run
    JOIN kind k ON k.topic = run.topic
    WHERE NOT EXISTS (SELECT FROM registered r WHERE r.kind = k.kind AND r.source = run.source)
    UNION ALL
    SELECT k.kind, k.topic, k.judged_at, k.judged_day, r.source, r.name, r.region, r.is_expected
    FROM registered r
    JOIN kind k ON k.kind = r.kind
), state AS (
    SELECT n.kind, n.judged_at, n.region, n.source, n.name,
           CASE WHEN n.is_expected THEN 1 ELSE 0 END AS expected,
           CASE WHEN (run.last_sign_at AT TIME ZONE 'Asia/Shanghai')::date >= n.judged_day
                THEN 1 ELSE 0 END AS heard,
           coalesce(run.counted, 0)::bigint AS counted,
           coalesce(run.duplicates, 0)::bigint AS duplicates,
           (coalesce(gap.missing, 0) + coalesce(run.lost, 0))::bigint AS missing,
           coalesce(gap.rejected, 0)::bigint AS rejected,
           coalesce(gap.written_off, 0)::bigint AS written_off,
           coalesce(run.announced, 0)::bigint AS announced,
           coalesce(run.pending, 0)::bigint AS pending,
           coalesce(run.refused, 0)::bigint AS refused,
           CASE WHEN n.is_expected AND NOT run.is_ended
                     AND run.last_sign_at < n.judged_at - interval '15 minutes'
                THEN run.last_sign_at END AS silent_since
    FROM named n
    LEFT JOIN run ON run.topic = n.topic AND run.source = n.source
    LEFT JOIN gap ON gap.topic = n.topic AND gap.source = n.source
), charged AS (
    SELECT a.ancestor, s.*
    FROM state s
    JOIN region_ancestor a ON a.region = s.region
    UNION ALL
    SELECT r.code, s.*
    FROM state s
    JOIN region r ON r.parent IS NULL AND r.code <> '-'
    WHERE s.region IS NULL
), summed AS (
    SELECT s.kind, 'source'::text AS level, s.region, s.source, s.name,
           NULL::text AS name_latin, s.judged_at, s.expected::bigint AS sources_expected,
           (s.heard * s.expected)::bigint AS sources_heard, s.counted, s.duplicates, s.missing,
           s.rejected, s.written_off, s.announced, s.pending, s.refused, s.silent_since
    FROM state s
    UNION ALL
    SELECT s.kind, r.level, r.code, NULL, r.name, r.name_latin, s.judged_at,
           sum(s.expected), sum(s.heard * s.expected), sum(s.counted)::bigint,
           sum(s.duplicates)::bigint, sum(s.missing)::bigint, sum(s.rejected)::bigint,
           sum(s.written_off)::bigint, sum(s.announced)::bigint, sum(s.pending)::bigint,
           sum(s.refused)::bigint, min(s.silent_since)
    FROM charged s
    JOIN region r ON r.code = s.ancestor
    GROUP BY s.kind, r.level, r.code, r.name, r.name_latin, s.judged_at
), judged AS (
    SELECT s.*, CASE WHEN s.judged_at IS NULL OR s.judged_at < now() - interval '1 minute'
                     THEN coalesce(s.judged_at, (SELECT installed_at FROM definition))
                END AS unknown_since
    FROM summed s
)
SELECT kind, level, region, source, name, name_latin, sources_expected, sources_heard, counted,
       duplicates, missing, rejected, written_off, announced, pending, refused, silent_since,
       judged_at, unknown_since,
       CASE WHEN sources_expected > 0 AND unknown_since IS NULL
            THEN sources_heard = sources_expected AND silent_since IS NULL
                 AND missing = 0 AND rejected = 0 AND pending = 0 AND refused = 0
       END AS complete
FROM judged;
COMMENT ON VIEW completeness IS
    'who was expected and heard, what was counted and what is missing, per kind 完整性';
COMMENT ON COLUMN completeness.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN completeness.level IS 'source, town, county or city 级别';
COMMENT ON COLUMN completeness.region IS 'the place, or where the source is 地区代码';
COMMENT ON COLUMN completeness.source IS 'device or post, at level source 来源';
COMMENT ON COLUMN completeness.name IS 'name; NULL: the source is not registered 名称';
COMMENT ON COLUMN completeness.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN completeness.sources_expected IS 'registered for the judged day 应报来源数';
COMMENT ON COLUMN completeness.sources_heard IS 'those heard on that day 已报来源数';
COMMENT ON COLUMN completeness.counted IS 'events counted, once each 已计数事件';
COMMENT ON COLUMN completeness.duplicates IS 'copies dropped 丢弃的重复';
COMMENT ON COLUMN completeness.missing IS 'numbers skipped or lost 缺失事件数';
COMMENT ON COLUMN completeness.rejected IS 'numbers refused and not settled 拒收事件数';
COMMENT ON COLUMN completeness.written_off IS 'numbers a person gave up 核销事件数';
COMMENT ON COLUMN completeness.announced IS 'numbers the outboxes told of 已告知事件数';
COMMENT ON COLUMN completeness.pending IS 'told of, still in the outbox 待发事件数';
COMMENT ON COLUMN completeness.refused IS 'lines refused, in runs heard today 拒收行数';
COMMENT ON COLUMN completeness.silent_since IS 'last sign of life, if too long ago 静默起始时间';
COMMENT ON COLUMN completeness.judged_at IS 'all partitions were caught up then 判定时间';
COMMENT ON COLUMN completeness.unknown_since IS
    'set when that is over a minute ago: nothing is known since 自此状况不明';
COMMENT ON COLUMN completeness.complete IS
    'all expected were heard, none silent, nothing missing; NULL: none, or unknown 是否完整';

-- SPDX-License-Identifier: Apache-2.0
-- Is everything here? Per source, and summed up the tree: who was expected, who was heard, which
-- numbers were counted and which are known to be missing. The state now, over all runs of a
-- source; completeness_daily says it per day, source_run per run and missing_range by number.
--
--   counted + missing + rejected + written_off + before_base + pending = announced
--   announced  every number known to exist: met, told of, or lost
--   pending    told of, and still to come
--   missing    numbers skipped, acknowledged but never seen, or lost (see ledger.sql)
--   rejected   numbers whose event was refused, until it is sent again or written off
--
-- All is judged as of judged_at, before which every record of the kind was counted, never as of
-- now(). A source is heard if it gave a sign of life on the judged day: an event, or a heartbeat
-- of an open input (no other proves a zero). An expected source is silent after 15 minutes (three
-- heartbeats) without one. One that closed on purpose (its newest run ended, or its input is
-- closed) is neither silent nor a loss, and one whose input is stale still lives: both are counted
-- apart. refused counts the lines of runs whose last heartbeat lies on the judged day.
-- unknown_since: judged_at is over a minute ago, so that nobody knows what came since, and
-- complete is NULL. A source whose place is unknown is charged to every root.
CREATE OR REPLACE VIEW completeness AS
WITH gap AS (
    SELECT topic, source,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'missing') AS missing,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'rejected') AS rejected,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'written_off') AS written_off,
           sum(last_seq - first_seq + 1) FILTER (WHERE cause = 'before_base') AS before_base
    FROM source_gap
    GROUP BY topic, source
), run AS (
    SELECT n.topic, n.source, sum(n.counted) AS counted, sum(n.duplicates) AS duplicates,
           sum(n.late) AS late, sum(n.clock_corrected) AS clock_corrected,
           sum(greatest(n.high, n.lost_last_seq) + n.pending) AS announced,
           sum(n.pending) AS pending, sum(n.lost_last_seq - n.lost_first_seq + 1) AS lost,
           sum(n.refused) FILTER (WHERE (n.heartbeat_at AT TIME ZONE 'Asia/Shanghai')::date
                                        >= (n.judged_at AT TIME ZONE 'Asia/Shanghai')::date)
               AS refused,
           count(*) AS opened, count(*) FILTER (WHERE n.state = 'lost') AS lost_runs,
           count(*) FILTER (WHERE n.state = 'cloned') AS cloned_runs,
           count(*) FILTER (WHERE n.state = 'replaced') AS replaced_runs,
           count(*) FILTER (WHERE n.state IN ('lost', 'cloned')
                              AND n.day >= (n.judged_at AT TIME ZONE 'Asia/Shanghai')::date)
               AS broken,
           count(*) FILTER (WHERE n.is_quarantined) AS quarantined_runs,
           max(greatest(CASE WHEN n.input_state = 'OPEN' THEN n.heartbeat_at END,
                        n.last_appended_at)) AS heard_at,
           max(n.last_sign_at) AS last_sign_at,
           max(n.heartbeat_state) FILTER (WHERE n.is_newest) AS heartbeat_state,
           max(n.input_state) FILTER (WHERE n.is_newest) AS input_state,
           max(n.clock_offset_ms) FILTER (WHERE n.is_newest) AS clock_offset_ms,
           coalesce(max(n.region) FILTER (WHERE n.is_newest), max(n.region)) AS region
    FROM source_run n
    GROUP BY n.topic, n.source
), registered AS (
    SELECT DISTINCT ON (s.topic, s.source) s.topic, s.source, s.name, s.region,
           k.judged_day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
               AS is_expected
    FROM source s
    JOIN kind_clock k ON k.kind = s.kind
    ORDER BY s.topic, s.source,
             k.judged_day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date) DESC,
             s.valid_from DESC
), named AS (
    -- FULL JOIN where LEFT would do: it cannot become a nested loop, whatever the planner expects
    SELECT coalesce(r.topic, u.topic) AS topic, coalesce(r.source, u.source) AS source, r.name,
           coalesce(r.region, u.region) AS region, coalesce(r.is_expected, false) AS is_expected,
           u.heard_at, u.last_sign_at, u.heartbeat_state, u.input_state, u.clock_offset_ms,
           u.counted, u.duplicates, u.late, u.clock_corrected, u.announced, u.pending, u.lost,
           u.refused, u.opened, u.lost_runs, u.cloned_runs, u.replaced_runs, u.quarantined_runs,
           u.broken, u.missing, u.rejected, u.written_off, u.before_base
    FROM registered r
    FULL JOIN (SELECT run.*, gap.missing, gap.rejected, gap.written_off, gap.before_base
               FROM run
               FULL JOIN gap ON gap.topic = run.topic AND gap.source = run.source) u
        ON u.topic = r.topic AND u.source = r.source
), seen AS (
    SELECT k.kind, k.judged_at, k.unknown_since, n.source, n.name, n.region, n.is_expected,
           n.heard_at,
           coalesce((n.heard_at AT TIME ZONE 'Asia/Shanghai')::date >= k.judged_day, false)
               AS is_heard,
           coalesce(n.heartbeat_state = 'ENDED' OR n.input_state = 'CLOSED', false) AS is_closed,
           coalesce(n.input_state = 'STALE'
                    AND n.last_sign_at >= k.judged_at - interval '15 minutes', false) AS is_stale,
           n.heard_at IS NULL OR coalesce(n.heard_at < k.judged_at - interval '15 minutes', false)
               AS is_quiet,
           coalesce(n.counted, 0) AS counted, coalesce(n.duplicates, 0) AS duplicates,
           coalesce(n.late, 0) AS late, coalesce(n.clock_corrected, 0) AS clock_corrected,
           coalesce(n.announced, 0) AS announced, coalesce(n.pending, 0) AS pending,
           coalesce(n.missing, 0) + coalesce(n.lost, 0) AS missing,
           coalesce(n.rejected, 0) AS rejected, coalesce(n.written_off, 0) AS written_off,
           coalesce(n.before_base, 0) AS before_base, coalesce(n.refused, 0) AS refused,
           coalesce(n.opened, 0) AS runs_opened, coalesce(n.lost_runs, 0) AS runs_lost,
           coalesce(n.cloned_runs, 0) AS runs_cloned,
           coalesce(n.replaced_runs, 0) AS runs_replaced,
           coalesce(n.quarantined_runs, 0) AS runs_quarantined,
           coalesce(n.broken, 0) AS broken, n.clock_offset_ms
    FROM named n
    JOIN kind_clock k ON k.topic = n.topic
), state AS (
    SELECT s.*, s.is_expected::int AS expected, (s.is_expected AND s.is_heard)::int AS heard,
           (s.is_expected AND s.is_quiet AND NOT s.is_closed AND NOT s.is_stale)::int AS silent,
           (s.is_expected AND s.is_closed)::int AS closed,
           (s.is_expected AND s.is_stale AND NOT s.is_closed)::int AS stale,
           (s.is_expected AND NOT s.is_heard AND NOT s.is_closed)::int AS unheard
    FROM seen s
), placed AS (
    -- per place first: a county has many sources and few ancestors
    SELECT s.kind, s.judged_at, s.unknown_since, s.region,
           sum(s.expected) AS expected, sum(s.heard) AS heard, sum(s.silent) AS silent,
           sum(s.closed) AS closed, sum(s.stale) AS stale, sum(s.unheard) AS unheard,
           sum(s.announced) AS announced, sum(s.counted) AS counted, sum(s.pending) AS pending,
           sum(s.missing) AS missing, sum(s.rejected) AS rejected,
           sum(s.written_off) AS written_off, sum(s.before_base) AS before_base,
           sum(s.duplicates) AS duplicates, sum(s.late) AS late,
           sum(s.clock_corrected) AS clock_corrected, sum(s.refused) AS refused,
           sum(s.runs_opened) AS runs_opened, sum(s.runs_lost) AS runs_lost,
           sum(s.runs_cloned) AS runs_cloned, sum(s.runs_replaced) AS runs_replaced,
           sum(s.runs_quarantined) AS runs_quarantined, sum(s.broken) AS broken,
           min(s.heard_at) FILTER (WHERE s.silent > 0) AS silent_since,
           max(s.clock_offset_ms) AS most_ms, min(s.clock_offset_ms) AS least_ms
    FROM state s
    GROUP BY s.kind, s.judged_at, s.unknown_since, s.region
), charged AS (
    SELECT a.ancestor, p.*
    FROM placed p
    JOIN region_ancestor a ON a.region = p.region
    UNION ALL
    SELECT r.code, p.*
    FROM placed p
    JOIN region r ON p.region IS NULL AND r.parent IS NULL AND r.code <> '-'
), summed AS (
    SELECT s.kind, 'source'::text AS level, s.region, s.source, s.name,
           NULL::text AS name_latin, s.judged_at, s.unknown_since,
           s.expected, s.heard, s.silent, s.closed, s.stale, s.unheard, s.announced, s.counted,
           s.pending, s.missing, s.rejected, s.written_off, s.before_base, s.duplicates, s.late,
           s.clock_corrected, s.refused, s.runs_opened, s.runs_lost, s.runs_cloned,
           s.runs_replaced, s.runs_quarantined, s.broken,
           CASE WHEN s.silent > 0 THEN s.heard_at END AS silent_since, s.clock_offset_ms
    FROM state s
    UNION ALL
    SELECT c.kind, r.level, r.code, NULL, r.name, r.name_latin, c.judged_at, c.unknown_since,
           sum(c.expected), sum(c.heard), sum(c.silent), sum(c.closed), sum(c.stale),
           sum(c.unheard), sum(c.announced), sum(c.counted), sum(c.pending), sum(c.missing),
           sum(c.rejected), sum(c.written_off), sum(c.before_base), sum(c.duplicates),
           sum(c.late), sum(c.clock_corrected), sum(c.refused), sum(c.runs_opened),
           sum(c.runs_lost), sum(c.runs_cloned), sum(c.runs_replaced), sum(c.runs_quarantined),
           sum(c.broken),
           min(c.silent_since),
           CASE WHEN max(c.most_ms) >= -min(c.least_ms) THEN max(c.most_ms)
                ELSE min(c.least_ms) END
    FROM charged c
    JOIN region r ON r.code = c.ancestor
    GROUP BY c.kind, r.level, r.code, r.name, r.name_latin, c.judged_at, c.unknown_since
)
SELECT kind, level, region, source, name, name_latin, expected::bigint AS sources_expected,
       heard::bigint AS sources_heard, silent::bigint AS sources_silent,
       closed::bigint AS inputs_closed, stale::bigint AS inputs_stale,
       announced::bigint AS announced, counted::bigint AS counted, pending::bigint AS pending,
       missing::bigint AS missing, rejected::bigint AS rejected,
       written_off::bigint AS written_off, before_base::bigint AS before_base,
       duplicates::bigint AS duplicates, late::bigint AS late,
       clock_corrected::bigint AS clock_corrected, refused::bigint AS refused,
       runs_opened::bigint AS runs_opened, runs_lost::bigint AS runs_lost,
       runs_cloned::bigint AS runs_cloned, silent_since, clock_offset_ms, judged_at, unknown_since,
       CASE WHEN expected > 0 AND unknown_since IS NULL
            THEN unheard = 0 AND silent = 0 AND stale = 0 AND missing = 0 AND rejected = 0
                 AND pending = 0 AND refused = 0 AND broken = 0
       END AS complete,
       runs_replaced::bigint AS runs_replaced, runs_quarantined::bigint AS runs_quarantined
FROM summed;
COMMENT ON VIEW completeness IS
    'who was expected and heard, what was counted and what is missing, per kind 完整性';
COMMENT ON COLUMN completeness.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN completeness.level IS 'source, town, county or city 级别';
COMMENT ON COLUMN completeness.region IS 'the place, or where the source is 地区代码';
COMMENT ON COLUMN completeness.source IS 'device or post, at level source 来源';
COMMENT ON COLUMN completeness.name IS 'name; NULL: the source is not registered 名称';
COMMENT ON COLUMN completeness.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN completeness.sources_expected IS 'registered for the judged day 应报来源数(个)';
COMMENT ON COLUMN completeness.sources_heard IS 'those heard on that day 已报来源数(个)';
COMMENT ON COLUMN completeness.sources_silent IS
    'expected, not closed, no sign of life in the 15 minutes before judged_at 静默来源数(个)';
COMMENT ON COLUMN completeness.inputs_closed IS
    'expected, and closed on purpose: ended, or input closed 已关闭来源数(个)';
COMMENT ON COLUMN completeness.inputs_stale IS
    'expected, alive, but its input brings nothing it should 输入停滞来源数(个)';
COMMENT ON COLUMN completeness.announced IS
    'numbers known to exist: met, told of or lost 已知事件(条)';
COMMENT ON COLUMN completeness.counted IS 'events counted, once each 已计数事件(条)';
COMMENT ON COLUMN completeness.pending IS 'told of, and still to come 待收事件(条)';
COMMENT ON COLUMN completeness.missing IS
    'numbers skipped, acknowledged but never seen, or lost 缺失事件(条)';
COMMENT ON COLUMN completeness.rejected IS 'numbers refused and not settled 拒收事件(条)';
COMMENT ON COLUMN completeness.written_off IS 'numbers a person gave up 核销事件(条)';
COMMENT ON COLUMN completeness.before_base IS
    'numbers from before this schema began to count 起始前事件(条)';
COMMENT ON COLUMN completeness.duplicates IS 'copies dropped 丢弃的重复(条)';
COMMENT ON COLUMN completeness.late IS 'counted over an hour after they occurred 迟到事件(条)';
COMMENT ON COLUMN completeness.clock_corrected IS
    'wrong clock: counted in the append hour 时钟更正(条)';
COMMENT ON COLUMN completeness.refused IS 'lines refused, in runs heard today 本机退回行数(行)';
COMMENT ON COLUMN completeness.runs_opened IS 'runs met, ever 运行次数(次)';
COMMENT ON COLUMN completeness.runs_lost IS
    'runs whose device or outbox was lost, ever, see source_run 丢失的运行数(次)';
COMMENT ON COLUMN completeness.runs_cloned IS
    'runs of one name on more than one device, ever, see source_run 克隆的运行数(次)';
COMMENT ON COLUMN completeness.silent_since IS
    'last sign of life of the longest silent source; NULL: none, or never heard 静默起始时间';
COMMENT ON COLUMN completeness.clock_offset_ms IS
    'append time - device time of the newest run; per region the farthest from 0, ms '
    '时钟偏差(毫秒)';
COMMENT ON COLUMN completeness.judged_at IS 'all that was appended before is counted 判定时间';
COMMENT ON COLUMN completeness.unknown_since IS
    'set when that is over a minute ago: nothing is known since 自此状况不明';
COMMENT ON COLUMN completeness.complete IS
    'all expected heard or closed, none silent or stale, nothing missing or to come, no run of '
    'today lost or cloned; NULL: none expected, or unknown 是否完整';
COMMENT ON COLUMN completeness.runs_replaced IS
    'runs that a crash and restart ended, ever 重启接替的运行数(次)';
COMMENT ON COLUMN completeness.runs_quarantined IS
    'runs rejected until released: too many gaps 已隔离的运行数(次)';

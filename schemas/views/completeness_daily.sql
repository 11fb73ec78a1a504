-- SPDX-License-Identifier: Apache-2.0
-- completeness day by day: the same words, for the numbers and the signs of life of one day. Days
-- go from the first that anything is known of to the last, or to where the kind was last caught up.
--
-- The numbers of a day: see number_range; a number that never came has no time of its own.
--   counted + missing + rejected + written_off + before_base + pending = announced
-- Pending numbers are charged to the day of the heartbeat that told of them, but may belong to
-- any day since the newest numbers that came: none of these is complete. Runs are charged to the
-- day they were first met; lost and cloned ones to the day of their newest numbers. duplicates,
-- late, clock_corrected and rejected_events go by the day of the append time.
CREATE OR REPLACE VIEW completeness_daily AS
SELECT d.kind, d.day, s.level, s.region, s.source, s.name, s.name_latin, s.sources_expected,
       s.sources_heard, s.silent_minutes, s.announced, s.counted, s.pending, s.missing,
       s.rejected, s.written_off, s.before_base, s.duplicates, s.late, s.clock_corrected,
       s.runs_opened, s.runs_lost, s.runs_cloned, d.judged_at,
       CASE WHEN d.judged_at IS NULL
                 OR d.judged_at < least(d.ends, now() - interval '1 minute')
            THEN coalesce(d.judged_at, d.unknown_since) END AS unknown_since,
       s.complete, s.rejected_events
FROM (SELECT k.kind, k.topic, k.judged_at, k.unknown_since, g.at::date AS day,
             g.at AT TIME ZONE 'Asia/Shanghai' AS starts,
             (g.at + interval '1 day') AT TIME ZONE 'Asia/Shanghai' AS ends
      FROM kind_clock k
      CROSS JOIN LATERAL (
          SELECT min(x.low) AS low, max(x.high) AS high
          FROM (SELECT (min(h.hour_start) AT TIME ZONE 'Asia/Shanghai')::date AS low,
                       (max(h.hour_start) AT TIME ZONE 'Asia/Shanghai')::date AS high
                FROM source_hour h WHERE h.topic = k.topic
                UNION ALL
                -- the two parts of number_range: of the long one, an index knows it
                SELECT min(n.day), max(n.day) FROM source_day n WHERE n.topic = k.topic
                UNION ALL
                SELECT min(r.day), max(r.day) FROM ledger_range r WHERE r.topic = k.topic
                UNION ALL
                SELECT min(t.day), max(t.day) FROM source_tally t WHERE t.topic = k.topic
                UNION ALL
                SELECT NULL, k.judged_day WHERE k.judged_at IS NOT NULL) x) s
      CROSS JOIN LATERAL time_steps(s.low::timestamp, s.high::timestamp,
                                    interval '1 day') g) d
CROSS JOIN LATERAL (
    -- per source, then per region of every level; here and not in a function of its own, so that
    -- source_status is planned once, not once per day
    WITH met AS (
        SELECT r.source, sum(r.last_seq - r.first_seq + 1) AS numbers
        FROM number_range r
        WHERE r.topic = d.topic AND r.day = d.day
        GROUP BY r.source
    ), loss AS (
        SELECT g.source,
               coalesce(sum(g.events) FILTER (WHERE g.cause = 'missing'), 0) AS missing,
               coalesce(sum(g.events) FILTER (WHERE g.cause = 'rejected'), 0) AS rejected,
               coalesce(sum(g.events) FILTER (WHERE g.cause = 'written_off'), 0) AS written_off,
               coalesce(sum(g.events) FILTER (WHERE g.cause = 'before_base'), 0) AS before_base
        FROM (SELECT x.source, x.cause, x.last_seq - x.first_seq + 1 AS events
              FROM gap_range x
              WHERE x.topic = d.topic AND x.day = d.day) g
        GROUP BY g.source
    ), opened AS (
        SELECT l.source, count(*) AS runs
        FROM source_ledger l
        WHERE l.topic = d.topic
          AND coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) >= d.starts
          AND coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) < d.ends
        GROUP BY l.source
    ), refused AS (
        SELECT r.source, sum(r.events) AS events
        FROM rejected_range r
        WHERE r.topic = d.topic AND r.day = d.day AND r.last_offset >= 0
        GROUP BY r.source
    ), state AS MATERIALIZED (
        SELECT s.region, s.source, s.name, s.expected, s.expected * s.heard AS heard,
               s.silent_minutes,
               coalesce(met.numbers, 0) + s.lost + s.pending AS announced,
               coalesce(met.numbers, 0) - coalesce(loss.missing, 0) - coalesce(loss.rejected, 0)
                   - coalesce(loss.written_off, 0) - coalesce(loss.before_base, 0) AS counted,
               s.pending, coalesce(loss.missing, 0) + s.lost AS missing,
               coalesce(loss.rejected, 0) AS rejected,
               coalesce(loss.written_off, 0) AS written_off,
               coalesce(loss.before_base, 0) AS before_base,
               coalesce(t.duplicates, 0) AS duplicates, coalesce(t.late, 0) AS late,
               coalesce(t.clock_corrected, 0) AS clock_corrected,
               coalesce(opened.runs, 0) AS runs_opened, s.runs_lost, s.runs_cloned, s.complete,
               s.missing = 0 AND NOT s.is_open AND s.runs_lost + s.runs_cloned = 0
                   AND (s.is_whole OR s.expected = 0) AS is_complete, s.is_known,
               coalesce(refused.events, 0) AS rejected_events
        FROM source_status(d.kind, d.topic, d.starts,
                           d.ends) s
        LEFT JOIN met ON met.source = s.source
        LEFT JOIN loss ON loss.source = s.source
        LEFT JOIN refused ON refused.source = s.source
        LEFT JOIN opened ON opened.source = s.source
        LEFT JOIN source_tally t ON t.topic = d.topic AND t.source = s.source
             AND t.day = d.day
    ), placed AS (
        SELECT s.region, sum(s.expected) AS expected, sum(s.heard) AS heard,
               sum(s.silent_minutes) AS silent_minutes, sum(s.announced) AS announced,
               sum(s.counted) AS counted, sum(s.pending) AS pending, sum(s.missing) AS missing,
               sum(s.rejected) AS rejected, sum(s.written_off) AS written_off,
               sum(s.before_base) AS before_base, sum(s.duplicates) AS duplicates,
               sum(s.late) AS late, sum(s.clock_corrected) AS clock_corrected,
               sum(s.runs_opened) AS runs_opened, sum(s.runs_lost) AS runs_lost,
               sum(s.runs_cloned) AS runs_cloned, bool_and(s.is_complete) AS is_complete,
               bool_and(s.is_known) AS is_known, sum(s.rejected_events) AS rejected_events
        FROM state s
        GROUP BY s.region
    ), charged AS (
        SELECT a.ancestor, p.*
        FROM placed p
        JOIN region_ancestor a ON a.region = p.region
        UNION ALL
        SELECT r.code, p.*
        FROM placed p
        JOIN region r ON p.region IS NULL AND r.parent IS NULL AND r.code <> '-'
    )
    SELECT 'source'::text AS level, s.region, s.source, s.name, NULL::text AS name_latin,
           s.expected AS sources_expected, s.heard AS sources_heard, s.silent_minutes,
           s.announced::bigint AS announced, s.counted::bigint AS counted, s.pending,
           s.missing::bigint AS missing, s.rejected::bigint AS rejected,
           s.written_off::bigint AS written_off, s.before_base::bigint AS before_base,
           s.duplicates, s.late, s.clock_corrected, s.runs_opened, s.runs_lost, s.runs_cloned,
           s.complete, s.rejected_events
    FROM state s
    UNION ALL
    SELECT r.level, r.code, NULL, r.name, r.name_latin, sum(c.expected)::bigint,
           sum(c.heard)::bigint, sum(c.silent_minutes)::bigint, sum(c.announced)::bigint,
           sum(c.counted)::bigint, sum(c.pending)::bigint, sum(c.missing)::bigint,
           sum(c.rejected)::bigint, sum(c.written_off)::bigint, sum(c.before_base)::bigint,
           sum(c.duplicates)::bigint, sum(c.late)::bigint, sum(c.clock_corrected)::bigint,
           sum(c.runs_opened)::bigint, sum(c.runs_lost)::bigint, sum(c.runs_cloned)::bigint,
           CASE WHEN sum(c.expected) > 0 AND bool_and(c.is_known)
                THEN bool_and(c.is_complete) END,
           sum(c.rejected_events)::bigint
    FROM charged c
    JOIN region r ON r.code = c.ancestor
    GROUP BY r.level, r.code, r.name, r.name_latin) s;
COMMENT ON VIEW completeness_daily IS
    'who was expected and heard, what was counted and what is missing, per day 每日完整性';
COMMENT ON COLUMN completeness_daily.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN completeness_daily.day IS 'day, Asia/Shanghai 统计日期';
COMMENT ON COLUMN completeness_daily.level IS 'source, town, county or city 级别';
COMMENT ON COLUMN completeness_daily.region IS 'the place, or where the source is 地区代码';
COMMENT ON COLUMN completeness_daily.source IS 'device or post, at level source 来源';
COMMENT ON COLUMN completeness_daily.name IS 'name; NULL: the source is not registered 名称';
COMMENT ON COLUMN completeness_daily.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN completeness_daily.sources_expected IS 'registered for the day 应报来源数(个)';
COMMENT ON COLUMN completeness_daily.sources_heard IS 'those heard on it 已报来源数(个)';
COMMENT ON COLUMN completeness_daily.silent_minutes IS
    'five per five-minute slot without a sign of life, up to judged_at, summed over the '
    'expected; NULL: none expected 静默分钟数(分钟)';
COMMENT ON COLUMN completeness_daily.announced IS
    'numbers of the day: met, told of or lost 当日已知事件(条)';
COMMENT ON COLUMN completeness_daily.counted IS
    'numbers of the day that are counted, whenever they occurred 已计数事件(条)';
COMMENT ON COLUMN completeness_daily.pending IS
    'told of on that day, and still to come 待收事件(条)';
COMMENT ON COLUMN completeness_daily.missing IS
    'numbers skipped, acknowledged but never seen, or lost; charged to the day whose range '
    'holds them 缺失事件(条)';
COMMENT ON COLUMN completeness_daily.rejected IS
    'numbers of the day refused and not settled 拒收事件(条)';
COMMENT ON COLUMN completeness_daily.written_off IS
    'numbers of the day that a person gave up 核销事件(条)';
COMMENT ON COLUMN completeness_daily.before_base IS
    'numbers from before this schema began to count 起始前事件(条)';
COMMENT ON COLUMN completeness_daily.duplicates IS
    'copies dropped, by append time 丢弃的重复(条)';
COMMENT ON COLUMN completeness_daily.late IS
    'counted over an hour after they occurred, by append time 迟到事件(条)';
COMMENT ON COLUMN completeness_daily.clock_corrected IS
    'wrong clock: counted in the append hour, by append time 时钟更正(条)';
COMMENT ON COLUMN completeness_daily.runs_opened IS 'runs first met on that day 新开运行数(次)';
COMMENT ON COLUMN completeness_daily.runs_lost IS
    'runs lost whose newest numbers are of that day 丢失的运行数(次)';
COMMENT ON COLUMN completeness_daily.runs_cloned IS
    'cloned runs whose newest numbers are of that day 克隆的运行数(次)';
COMMENT ON COLUMN completeness_daily.judged_at IS
    'all that was appended before is counted 判定时间';
COMMENT ON COLUMN completeness_daily.unknown_since IS
    'set when that is before the end of the day and over a minute ago 自此状况不明';
COMMENT ON COLUMN completeness_daily.complete IS
    'all expected heard in every hour so far, nothing missing or still to come, no run lost '
    'or cloned; NULL: none expected, or unknown 是否完整';
COMMENT ON COLUMN completeness_daily.rejected_events IS
    'messages rejected, by append time, see rejected_summary 拒收消息(条)';

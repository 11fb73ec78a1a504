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
                SELECT min(r.day), max(r.day) FROM number_range r WHERE r.topic = k.topic
                UNION ALL
                SELECT min(t.day), max(t.day) FROM source_tally t WHERE t.topic = k.topic
                UNION ALL
                SELECT NULL, k.judged_day WHERE k.judged_at IS NOT NULL) x) s
      CROSS JOIN LATERAL generate_series(s.low::timestamp, s.high::timestamp,
                                         interval '1 day') g (at)) d
CROSS JOIN LATERAL day_completeness(d.kind, d.topic, d.day, d.starts, d.ends) s;
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

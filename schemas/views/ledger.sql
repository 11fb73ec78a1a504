-- SPDX-License-Identifier: Apache-2.0
-- What the ledger proves, run by run and number by number. fx-setup runs this file before
-- functions.sql, which reads these views. They are plain views: one SELECT, or one REPEATABLE READ
-- transaction, shows them, completeness and the figures in the same snapshot.
--
-- Days. A number that never came has no time of its own. It is charged to the day whose range of
-- numbers holds it (number_range): the first day by whose end the number was known to exist.
-- Numbers known only from a successor, or from a device that is lost, belong to the run's newest
-- day; numbers below every range (the schema began to count in the middle of the run) to the day
-- the run was first met.
--
-- Runs. An outbox that is opened again draws a new run, which names its previous one and that
-- one's last number; after a crash the old rows go first, then ENDED for the old run, then OPEN
-- for the new. So the runs of one outbox are a chain. All is judged as of judged_at, before which
-- every record was counted, so that neither a backlog nor rows that still drain raise an alarm.
--   ended     its last heartbeat says ENDED
--   replaced  not ended, but another run names it as its previous one: a crash and a restart
--   lost      not ended, named by none, and a run that does not descend from it opened later: the
--             device or its outbox was lost and replaced
--   cloned    more than one device under one name: two runs name the same previous run; or a run
--             has more numbers than its successor says (an image was copied or restored, and the
--             original went on); or runs without a common chain give signs of life by turns
--   current   else: the newest run, which goes on
-- Lost numbers lie above the highest that was met: up to what the successor says was the last
-- (its outbox opened after all old rows had gone), or up to what a lost run announced.

CREATE OR REPLACE VIEW kind_clock AS
SELECT k.kind, k.topic, p.judged_at,
       (coalesce(p.judged_at, now()) AT TIME ZONE 'Asia/Shanghai')::date AS judged_day,
       CASE WHEN p.judged_at IS NULL OR p.judged_at < now() - interval '1 minute'
            THEN coalesce(p.judged_at, k.installed_at) END AS unknown_since
FROM (SELECT DISTINCT d.kind, f.topic_prefix || '.' || replace(d.kind, '_', '-') AS topic,
             f.installed_at
      FROM rollup_definition d CROSS JOIN definition f) k
LEFT JOIN (SELECT topic,
                  CASE WHEN count(caught_up_at) = count(*) THEN min(caught_up_at) END AS judged_at
           FROM partition_position
           GROUP BY topic) p ON p.topic = k.topic;
COMMENT ON VIEW kind_clock IS 'up to when each kind can be judged 各类事件的判定时间';
COMMENT ON COLUMN kind_clock.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN kind_clock.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN kind_clock.judged_at IS
    'all that was appended before is counted; NULL: a partition never was 判定时间';
COMMENT ON COLUMN kind_clock.judged_day IS 'its day, Asia/Shanghai 判定日期';
COMMENT ON COLUMN kind_clock.unknown_since IS
    'set when that is over a minute ago: nothing is known since 自此状况不明';

-- Of number_range what stands in no source_day: few rows, whatever the number of days.
CREATE OR REPLACE VIEW ledger_range AS
SELECT topic, source, run, day, day_first_seq AS first_seq, high AS last_seq
FROM source_ledger
WHERE day IS NOT NULL AND day_first_seq <= high
UNION ALL
SELECT topic, source, run,
       (coalesce(opened_at, last_appended_at) AT TIME ZONE 'Asia/Shanghai')::date, 1, high
FROM source_ledger
WHERE day IS NULL AND high > 0
UNION ALL
SELECT topic, source, run, opened_day, 1, below
FROM (SELECT l.topic, l.source, l.run,
             (coalesce(l.opened_at, l.last_appended_at, g.opened_at)
                  AT TIME ZONE 'Asia/Shanghai')::date AS opened_day,
             coalesce((SELECT min(d.first_seq) FROM source_day d
                       WHERE d.topic = l.topic AND d.source = l.source AND d.run = l.run),
                      l.day_first_seq) - 1 AS below
      FROM source_gap g
      JOIN source_ledger l ON l.topic = g.topic AND l.source = g.source AND l.run = g.run
      WHERE g.cause = 'before_base' AND g.first_seq = 1 AND l.day IS NOT NULL) x
WHERE below > 0;
COMMENT ON VIEW ledger_range IS
    'which numbers of a run belong to its newest day, or to that it was first met 台账中的序号区间';
COMMENT ON COLUMN ledger_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN ledger_range.source IS 'device or post 来源';
COMMENT ON COLUMN ledger_range.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN ledger_range.day IS 'as number_range 所属日期';
COMMENT ON COLUMN ledger_range.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN ledger_range.last_seq IS 'last number 结束序号(序号)';

-- The ranges of a run tile 1 to high.
CREATE OR REPLACE VIEW number_range AS
SELECT topic, source, run, day, first_seq, last_seq
FROM source_day
UNION ALL
SELECT topic, source, run, day, first_seq, last_seq
FROM ledger_range;
COMMENT ON VIEW number_range IS 'which numbers of a run belong to which day 每日序号区间';
COMMENT ON COLUMN number_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN number_range.source IS 'device or post 来源';
COMMENT ON COLUMN number_range.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN number_range.day IS
    'first day by whose end they were known to exist, Asia/Shanghai; below every range: the day '
    'the run was first met 所属日期';
COMMENT ON COLUMN number_range.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN number_range.last_seq IS 'last number 结束序号(序号)';

-- Weighed: look at every pair of runs (slow: a source has a run per restart, and all days are asked
-- for); keep a verdict in a table (one more thing to go wrong); chosen: prove in one pass that a
-- source is well, and judge the runs of the others only. Each run is hashed with its last number,
-- as it says itself and as its successor says. In a chain whose ends agree all hashes cancel out
-- but that of the newest run. (Of other sets of runs one in 2^32 passes, until its next change.)
CREATE OR REPLACE VIEW run_chain AS
SELECT c.topic, c.source, c.runs, c.tip,
       c.runs = 1 OR (c.runs = c.links + 1 AND (c.newest & 4294967295) = (c.tip & 4294967295))
           AS is_chain,
       c.has_pending, c.newest_at
FROM (SELECT h.topic, h.source, count(*) AS runs, count(h.previous_run) AS links,
             bit_xor(h.said) # coalesce(bit_xor(h.told), 0) AS tip,
             max((date_part('epoch', h.met_at - timestamptz '2020-01-01 00:00+00')::bigint << 32)
                     | (h.said & 4294967295)) AS newest,
             bool_or(h.is_pending) AS has_pending, max(h.met_at) AS newest_at
      FROM (SELECT l.topic, l.source, l.previous_run, l.announced > l.high AS is_pending,
                   hashint8extended(l.run, CASE WHEN l.announced > l.high THEN -l.announced
                                                ELSE l.high END) AS said,
                   hashint8extended(l.previous_run, l.previous_last_seq) AS told,
                   coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) AS met_at
            FROM source_ledger l) h
      GROUP BY h.topic, h.source) c;
COMMENT ON VIEW run_chain IS 'do the runs of a source form one chain? 运行链';
COMMENT ON COLUMN run_chain.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN run_chain.source IS 'device or post 来源';
COMMENT ON COLUMN run_chain.runs IS 'runs met 运行次数(次)';
COMMENT ON COLUMN run_chain.tip IS 'hash of the newest run, if it is a chain 链末摘要(编号)';
COMMENT ON COLUMN run_chain.is_chain IS
    'one chain, whose ends agree: nothing lost or cloned 是否为完整的链';
COMMENT ON COLUMN run_chain.has_pending IS 'a run told of numbers not met 是否有待收事件';
COMMENT ON COLUMN run_chain.newest_at IS 'when the newest run was first met 最新运行首见时间';

-- The verdict on each run of a source whose runs are no chain, as of judged_at.
CREATE OR REPLACE FUNCTION judge_runs(topic text, source text, judged_at timestamptz)
    RETURNS TABLE (run bigint, has_heir boolean, is_cloned boolean, is_lost boolean,
                   lost_last_seq bigint, lost_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 3
BEGIN ATOMIC
    WITH met AS MATERIALIZED (
        SELECT l.run, l.high, l.announced, l.previous_run, l.previous_last_seq, l.heartbeat_at,
               coalesce(l.heartbeat_state = 'ENDED', false) AS is_ended,
               coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) AS met_at,
               greatest(l.heartbeat_at, l.last_appended_at) AS last_sign_at
        FROM source_ledger l
        WHERE l.topic = judge_runs.topic AND l.source = judge_runs.source
    ), heir AS MATERIALIZED (
        SELECT s.previous_run AS run, count(*) AS heirs, min(s.met_at) AS heir_at,
               max(s.previous_last_seq) AS said, min(s.previous_last_seq) AS least_said
        FROM met s
        WHERE s.previous_run IS NOT NULL AND s.met_at <= judge_runs.judged_at
        GROUP BY s.previous_run
    ), alive AS (
        -- From when to when each gave signs of life: not after a successor opened (what comes then
        -- was sent again), nor after it ended. Clocks of brokers differ: not from after a
        -- successor either.
        SELECT m.run, m.high, m.announced, m.is_ended, h.heir_at, h.said, h.least_said,
               coalesce(f.heirs > 1, false) AS is_forked,
               least(m.met_at, h.heir_at) AS from_at,
               least(CASE WHEN m.is_ended THEN m.heartbeat_at ELSE m.last_sign_at END, h.heir_at)
                   AS until_at
        FROM met m
        LEFT JOIN heir h ON h.run = m.run
        LEFT JOIN heir f ON f.run = m.previous_run
    ), beside AS (
        SELECT a.*,
               max(a.from_at) FILTER (WHERE a.heir_at IS NULL
                                        AND a.from_at <= judge_runs.judged_at) OVER
                   (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS newest_tip_at,
               max(a.until_at) OVER
                   (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS others_until_at,
               lead(a.from_at) OVER w AS next_from_at
        FROM alive a
        WINDOW w AS (ORDER BY a.from_at, a.run)
    ), judged AS (
        SELECT b.*,
               b.is_forked OR coalesce(greatest(b.high, b.announced) > b.least_said, false)
                   OR coalesce(b.others_until_at > b.from_at
                               AND b.from_at <= judge_runs.judged_at, false)
                   OR coalesce(b.next_from_at < b.until_at
                               AND b.next_from_at <= judge_runs.judged_at, false) AS is_cloned,
               NOT b.is_ended AND b.heir_at IS NULL
                   AND coalesce(b.newest_tip_at > b.from_at AND b.newest_tip_at >= b.until_at,
                                false) AS is_lost
        FROM beside b
    ), known AS (
        SELECT j.*, greatest(j.said, CASE WHEN j.is_lost THEN j.announced END) AS last_seq
        FROM judged j
    )
    SELECT n.run, n.heir_at IS NOT NULL, n.is_cloned, n.is_lost,
           CASE WHEN n.last_seq > n.high THEN n.last_seq END,
           CASE WHEN n.last_seq > n.high OR n.is_lost
                THEN coalesce(n.heir_at, n.newest_tip_at) END
    FROM known n;
END;
COMMENT ON FUNCTION judge_runs(text, text, timestamptz) IS
    'which runs of a source are lost or cloned 判定来源的各次运行';

CREATE OR REPLACE VIEW source_run AS
WITH chain AS (
    SELECT c.topic, c.source, c.runs, c.tip, c.is_chain, c.newest_at, k.kind, k.judged_at
    FROM run_chain c
    JOIN kind_clock k ON k.topic = c.topic
), verdict AS (
    SELECT c.topic, c.source, j.*
    FROM chain c
    CROSS JOIN LATERAL judge_runs(c.topic, c.source, c.judged_at) j
    WHERE NOT c.is_chain
)
SELECT c.kind, l.topic, l.source, lpad(to_hex(l.run), 12, '0') AS run, l.run AS run_number,
       CASE WHEN v.is_cloned THEN 'cloned' WHEN v.is_lost THEN 'lost'
            WHEN l.heartbeat_state = 'ENDED' THEN 'ended'
            WHEN v.has_heir OR (c.is_chain AND c.runs > 1 AND c.tip
                                <> hashint8extended(l.run, CASE WHEN l.announced > l.high
                                                                THEN -l.announced
                                                                ELSE l.high END))
            THEN 'replaced'
            ELSE 'current' END AS state,
       l.opened_at, greatest(l.heartbeat_at, l.last_appended_at) AS last_sign_at, l.high,
       l.counted, l.announced, l.acked,
       CASE WHEN v.lost_last_seq IS NOT NULL THEN l.high + 1 END AS lost_first_seq,
       v.lost_last_seq, lpad(to_hex(l.previous_run), 12, '0') AS previous_run, l.is_quarantined,
       l.clock_offset_ms, l.partition,
       CASE WHEN v.is_lost THEN 0
            ELSE greatest(l.announced - greatest(l.high, v.lost_last_seq), 0) END AS pending,
       coalesce(l.day, (coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at)
                            AT TIME ZONE 'Asia/Shanghai')::date) AS day,
       v.lost_at, coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) AS met_at,
       l.heartbeat_at, l.heartbeat_state, l.input_state, l.oldest_kept, l.refused, l.last_line_at,
       l.last_occurred_at, l.last_appended_at, l.duplicates, l.late, l.clock_corrected,
       r.code AS region,
       coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) = c.newest_at AS is_newest,
       c.judged_at
FROM source_ledger l
JOIN chain c ON c.topic = l.topic AND c.source = l.source
LEFT JOIN verdict v ON v.topic = l.topic AND v.source = l.source AND v.run = l.run
LEFT JOIN region r ON r.code = l.region;
COMMENT ON VIEW source_run IS 'every run of every source, and what became of it 来源运行';
COMMENT ON COLUMN source_run.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN source_run.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_run.source IS 'device or post 来源';
COMMENT ON COLUMN source_run.run IS 'run number, 12 hex digits 运行号(十六进制)';
COMMENT ON COLUMN source_run.run_number IS 'run number 运行号(编号)';
COMMENT ON COLUMN source_run.state IS
    'current, ended, replaced, lost or cloned, as of judged_at 状态: 当前、结束、接替、丢失、克隆';
COMMENT ON COLUMN source_run.opened_at IS 'append time of the first record met 首条入库时间';
COMMENT ON COLUMN source_run.last_sign_at IS
    'append time of the last event or heartbeat 最近活动时间';
COMMENT ON COLUMN source_run.high IS 'highest number met 最大序号(序号)';
COMMENT ON COLUMN source_run.counted IS 'numbers counted, once each 已计数事件(条)';
COMMENT ON COLUMN source_run.announced IS 'last number the outbox told of 已告知序号(序号)';
COMMENT ON COLUMN source_run.acked IS 'every number up to it was acknowledged 已确认序号(序号)';
COMMENT ON COLUMN source_run.lost_first_seq IS
    'first number above high known to be lost; NULL: none 丢失起始序号(序号)';
COMMENT ON COLUMN source_run.lost_last_seq IS
    'last of them, from the successor or what a lost run announced 丢失结束序号(序号)';
COMMENT ON COLUMN source_run.previous_run IS 'run before this one, 12 hex digits 前一运行号';
COMMENT ON COLUMN source_run.is_quarantined IS 'too many gaps: rejected until released 已隔离';
COMMENT ON COLUMN source_run.clock_offset_ms IS
    'append time - device time, of the last heartbeat, ms 时钟偏差(毫秒)';
COMMENT ON COLUMN source_run.partition IS 'Kafka partition the run lives in 所在分区(编号)';
COMMENT ON COLUMN source_run.pending IS
    'numbers told of, neither met nor known to be lost 待收事件(条)';
COMMENT ON COLUMN source_run.day IS
    'day of its newest numbers, Asia/Shanghai; none: it was first met 最新序号所属日';
COMMENT ON COLUMN source_run.lost_at IS
    'append time of what showed that it or its numbers are lost 发现丢失的时间';
COMMENT ON COLUMN source_run.met_at IS
    'opened_at, or the earliest record known of an old run 首见时间';
COMMENT ON COLUMN source_run.heartbeat_at IS 'append time of the last heartbeat 最近心跳时间';
COMMENT ON COLUMN source_run.heartbeat_state IS 'OPEN, ALIVE or ENDED 心跳状态';
COMMENT ON COLUMN source_run.input_state IS 'OPEN, CLOSED or STALE 输入状态';
COMMENT ON COLUMN source_run.oldest_kept IS
    'oldest number still in the outbox, 0: none 最旧保留序号(序号)';
COMMENT ON COLUMN source_run.refused IS 'lines refused 本机退回行数(行)';
COMMENT ON COLUMN source_run.last_line_at IS 'last line taken 最近一行时间';
COMMENT ON COLUMN source_run.last_occurred_at IS 'latest counted time 最近事件时间';
COMMENT ON COLUMN source_run.last_appended_at IS 'append time of the last event 最近入库时间';
COMMENT ON COLUMN source_run.duplicates IS 'copies dropped 丢弃的重复(条)';
COMMENT ON COLUMN source_run.late IS 'counted over an hour after they occurred 迟到事件(条)';
COMMENT ON COLUMN source_run.clock_corrected IS 'counted in the append hour 时钟更正(条)';
COMMENT ON COLUMN source_run.region IS
    'place of the last heartbeat, else of the last event; NULL: unknown 地区代码';
COMMENT ON COLUMN source_run.is_newest IS 'the run of its source that opened last 是否最新运行';
COMMENT ON COLUMN source_run.judged_at IS 'all that was appended before is counted 判定时间';

CREATE OR REPLACE VIEW gap_range AS
SELECT r.topic, r.source, r.run, r.day, greatest(g.first_seq, r.first_seq) AS first_seq,
       least(g.last_seq, r.last_seq) AS last_seq, g.cause, g.opened_at
FROM number_range r
JOIN source_gap g ON g.topic = r.topic AND g.source = r.source AND g.run = r.run
     AND g.first_seq <= r.last_seq AND g.last_seq >= r.first_seq;
COMMENT ON VIEW gap_range IS 'gaps, split by the day of their numbers 按日划分的缺口';
COMMENT ON COLUMN gap_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN gap_range.source IS 'device or post 来源';
COMMENT ON COLUMN gap_range.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN gap_range.day IS 'day of these numbers, see number_range 所属日期';
COMMENT ON COLUMN gap_range.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN gap_range.last_seq IS 'last number 结束序号(序号)';
COMMENT ON COLUMN gap_range.cause IS 'why: missing, rejected, written_off, before_base 原因';
COMMENT ON COLUMN gap_range.opened_at IS 'append time of what showed it 发现时间';

-- One row per range that is not counted, split where the day changes and where the source says
-- that it holds no older number.
CREATE OR REPLACE VIEW missing_range AS
SELECT k.kind, m.topic, m.source,
       coalesce((SELECT s.region FROM source s
                 WHERE s.kind = k.kind AND s.source = m.source
                 ORDER BY m.day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
                          DESC, s.valid_from DESC
                 LIMIT 1),
                (SELECT r.code FROM region r WHERE r.code = m.region)) AS region,
       lpad(to_hex(m.run), 12, '0') AS run, m.run AS run_number, m.day, v.first_seq, v.last_seq,
       v.last_seq - v.first_seq + 1 AS events, m.cause, m.found_at, v.is_gone
FROM (SELECT g.topic, g.source, g.run, l.region, g.day, g.first_seq, g.last_seq, g.cause,
             g.opened_at AS found_at, l.oldest_kept, l.announced
      FROM gap_range g
      JOIN source_ledger l ON l.topic = g.topic AND l.source = g.source AND l.run = g.run
      UNION ALL
      SELECT n.topic, n.source, n.run_number, n.region, n.day, n.lost_first_seq, n.lost_last_seq,
             'lost', n.lost_at, n.oldest_kept, n.announced
      FROM source_run n
      WHERE n.lost_last_seq IS NOT NULL) m
JOIN kind_clock k ON k.topic = m.topic
CROSS JOIN LATERAL (SELECT CASE WHEN m.oldest_kept = 0 AND m.announced > 0
                                THEN m.announced + 1 ELSE m.oldest_kept END AS kept) h
CROSS JOIN LATERAL (
    SELECT m.first_seq, least(m.last_seq, coalesce(h.kept, 1) - 1) AS last_seq, true AS is_gone
    UNION ALL
    SELECT greatest(m.first_seq, coalesce(h.kept, 1)), m.last_seq,
           CASE WHEN h.kept IS NOT NULL THEN false END) v
WHERE v.first_seq <= v.last_seq;
COMMENT ON VIEW missing_range IS 'numbers that are not counted, by day and cause 未计数的序号';
COMMENT ON COLUMN missing_range.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN missing_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN missing_range.source IS 'device or post 来源';
COMMENT ON COLUMN missing_range.region IS
    'where it is registered, else where it says it is; NULL: unknown 地区代码';
COMMENT ON COLUMN missing_range.run IS 'run number, 12 hex digits 运行号(十六进制)';
COMMENT ON COLUMN missing_range.run_number IS 'run number 运行号(编号)';
COMMENT ON COLUMN missing_range.day IS
    'day that the numbers are charged to, Asia/Shanghai: the first by whose end they were known '
    'to exist; of lost ones the run''s newest day 所属日期';
COMMENT ON COLUMN missing_range.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN missing_range.last_seq IS 'last number 结束序号(序号)';
COMMENT ON COLUMN missing_range.events IS 'how many 事件数(条)';
COMMENT ON COLUMN missing_range.cause IS
    'missing, rejected, written_off, before_base, or lost: above what was ever met 原因';
COMMENT ON COLUMN missing_range.found_at IS 'append time of what showed it 发现时间';
COMMENT ON COLUMN missing_range.is_gone IS
    'the source says it no longer holds them; NULL: it said nothing 来源已不保存';

CREATE OR REPLACE VIEW rejected_event AS
SELECT r.topic, r.partition, e."offset", r.reason, e.detail, r.source, r.run, e.seq, e.length,
       e.sha256, e.appended_at
FROM rejected_range r
CROSS JOIN LATERAL unnest(r.offsets, r.details, r.seqs, r.lengths, r.digests, r.appended_at)
    e ("offset", detail, seq, length, sha256, appended_at);
COMMENT ON VIEW rejected_event IS 'messages that did not count, never their content 拒收记录';
COMMENT ON COLUMN rejected_event.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN rejected_event.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN rejected_event."offset" IS
    'Kafka offset; less n * 2^40 in a log that was accepted as lost, n = 1, 2, … 位点(位点)';
COMMENT ON COLUMN rejected_event.reason IS 'from a closed list, see schemas/README.md 原因';
COMMENT ON COLUMN rejected_event.detail IS 'our own words 说明';
COMMENT ON COLUMN rejected_event.source IS 'source, if the envelope was valid 来源';
COMMENT ON COLUMN rejected_event.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN rejected_event.seq IS 'number 序号(序号)';
COMMENT ON COLUMN rejected_event.length IS 'bytes of the message 字节数(字节)';
COMMENT ON COLUMN rejected_event.sha256 IS 'SHA-256 of the message 摘要';
COMMENT ON COLUMN rejected_event.appended_at IS 'append time 入库时间';

-- Not those of a log that was accepted as lost (offsets below 0): nobody can take them again. Numbers
-- of theirs that did not count stay in sight as missing_range.
CREATE OR REPLACE VIEW rejected_summary AS
SELECT k.kind, r.day, r.source, r.reason, sum(r.events) AS events
FROM rejected_range r
JOIN kind_clock k ON k.topic = r.topic
WHERE r.last_offset >= 0
GROUP BY k.kind, r.day, r.source, r.reason;
COMMENT ON VIEW rejected_summary IS 'messages that did not count, by day, source and reason 拒收汇总';
COMMENT ON COLUMN rejected_summary.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN rejected_summary.day IS 'day of the append time, Asia/Shanghai 入库日期';
COMMENT ON COLUMN rejected_summary.source IS
    'device or post; NULL: the message does not say, or cannot be believed 来源';
COMMENT ON COLUMN rejected_summary.reason IS 'from the list in schemas/README.md 原因';
COMMENT ON COLUMN rejected_summary.events IS 'messages 消息数(条)';

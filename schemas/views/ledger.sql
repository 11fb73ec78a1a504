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

-- The ranges of a run tile 1 to high.
CREATE OR REPLACE VIEW number_range AS
SELECT topic, source, run, day, first_seq, last_seq
FROM source_day
UNION ALL
SELECT topic, source, run, day, day_first_seq, high
FROM source_ledger
WHERE day IS NOT NULL AND day_first_seq <= high
UNION ALL
SELECT topic, source, run, opened_day, 1, below
FROM (SELECT l.topic, l.source, l.run,
             (coalesce(l.opened_at, l.last_appended_at, l.heartbeat_at)
                  AT TIME ZONE 'Asia/Shanghai')::date AS opened_day,
             coalesce((SELECT min(d.first_seq) FROM source_day d
                       WHERE d.topic = l.topic AND d.source = l.source AND d.run = l.run),
                      l.day_first_seq, l.high + 1) - 1 AS below
      FROM source_ledger l
      WHERE l.high > 0 AND l.day_first_seq IS DISTINCT FROM 1) x
WHERE below > 0;
COMMENT ON VIEW number_range IS 'which numbers of a run belong to which day 每日序号区间';
COMMENT ON COLUMN number_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN number_range.source IS 'device or post 来源';
COMMENT ON COLUMN number_range.run IS 'run number 运行号';
COMMENT ON COLUMN number_range.day IS
    'first day by whose end they were known to exist, Asia/Shanghai; below every range: the day '
    'the run was first met 所属日期';
COMMENT ON COLUMN number_range.first_seq IS 'first number 起始序号';
COMMENT ON COLUMN number_range.last_seq IS 'last number 结束序号';

CREATE OR REPLACE VIEW source_run AS
WITH met AS (
    SELECT l.*, k.kind, k.judged_at,
           coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) AS met_at,
           greatest(l.heartbeat_at, l.last_appended_at) AS last_sign_at,
           c.said AS successor_said, c.least_said, c.heir_at, f.siblings,
           coalesce(l.heartbeat_state = 'ENDED', false) AS is_ended
    FROM source_ledger l
    JOIN kind_clock k ON k.topic = l.topic
    -- its successors, as far as they are judged
    LEFT JOIN (SELECT s.topic, s.source, s.previous_run,
                      min(coalesce(s.opened_at, s.heartbeat_at)) AS heir_at,
                      max(s.previous_last_seq) AS said, min(s.previous_last_seq) AS least_said
               FROM source_ledger s
               JOIN kind_clock k ON k.topic = s.topic
               WHERE s.previous_run IS NOT NULL
                 AND coalesce(s.opened_at, s.heartbeat_at) <= k.judged_at
               GROUP BY s.topic, s.source, s.previous_run) c
        ON c.topic = l.topic AND c.source = l.source AND c.previous_run = l.run
    -- who shares its previous run
    LEFT JOIN (SELECT s.topic, s.source, s.previous_run, count(*) AS siblings
               FROM source_ledger s
               WHERE s.previous_run IS NOT NULL
               GROUP BY s.topic, s.source, s.previous_run
               HAVING count(*) > 1) f
        ON f.topic = l.topic AND f.source = l.source AND f.previous_run = l.previous_run
), alive AS (
    -- from when to when each gave signs of life: not after a successor opened (what comes then was
    -- sent again), nor after it ended. Clocks of brokers differ: not from after a successor either.
    SELECT m.*, least(m.met_at, m.heir_at) AS from_at,
           least(CASE WHEN m.is_ended THEN m.heartbeat_at ELSE m.last_sign_at END, m.heir_at)
               AS until_at
    FROM met m
), beside AS (
    SELECT a.*,
           max(a.from_at) FILTER (WHERE a.heir_at IS NULL AND a.from_at <= a.judged_at) OVER
               (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS newest_tip_at,
           max(a.until_at) OVER
               (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS others_until_at,
           lead(a.from_at) OVER w AS next_from_at
    FROM alive a
    WINDOW w AS (PARTITION BY a.topic, a.source ORDER BY a.from_at, a.run)
), judged AS (
    SELECT b.*,
           coalesce(b.siblings > 1, false)
               OR coalesce(greatest(b.high, b.announced) > b.least_said, false)
               OR coalesce(b.others_until_at > b.from_at AND b.from_at <= b.judged_at, false)
               OR coalesce(b.next_from_at < b.until_at AND b.next_from_at <= b.judged_at, false)
               AS is_cloned,
           NOT b.is_ended AND b.heir_at IS NULL
               AND coalesce(b.newest_tip_at > b.from_at AND b.newest_tip_at >= b.until_at, false)
               AS is_lost
    FROM beside b
), known AS (
    SELECT j.*,
           CASE WHEN greatest(j.successor_said, CASE WHEN j.is_lost THEN j.announced END) > j.high
                THEN greatest(j.successor_said, CASE WHEN j.is_lost THEN j.announced END)
           END AS lost_last_seq
    FROM judged j
)
SELECT n.kind, n.topic, n.source, lpad(to_hex(n.run), 12, '0') AS run, n.run AS run_number,
       CASE WHEN n.is_cloned THEN 'cloned' WHEN n.is_lost THEN 'lost' WHEN n.is_ended THEN 'ended'
            WHEN n.heir_at IS NOT NULL THEN 'replaced' ELSE 'current' END AS state,
       n.opened_at, n.last_sign_at, n.high, n.counted, n.announced, n.acked,
       CASE WHEN n.lost_last_seq IS NOT NULL THEN n.high + 1 END AS lost_first_seq,
       n.lost_last_seq, lpad(to_hex(n.previous_run), 12, '0') AS previous_run, n.is_quarantined,
       n.clock_offset_ms, n.partition,
       greatest(n.announced - greatest(n.high, n.lost_last_seq), 0)
           * CASE WHEN n.is_lost THEN 0 ELSE 1 END AS pending,
       coalesce(n.day, (n.met_at AT TIME ZONE 'Asia/Shanghai')::date) AS day,
       coalesce(n.heir_at, CASE WHEN n.is_lost THEN n.newest_tip_at END) AS replaced_at,
       n.met_at, n.heartbeat_at, n.heartbeat_state, n.input_state, n.oldest_kept, n.refused,
       n.last_line_at, n.last_occurred_at, n.last_appended_at, n.duplicates, n.late, n.clock_corrected,
       (SELECT r.code FROM region r WHERE r.code = n.region) AS region
FROM known n;
COMMENT ON VIEW source_run IS 'every run of every source, and what became of it 来源运行';
COMMENT ON COLUMN source_run.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN source_run.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_run.source IS 'device or post 来源';
COMMENT ON COLUMN source_run.run IS 'run number, 12 hex digits 运行号(十六进制)';
COMMENT ON COLUMN source_run.run_number IS 'run number 运行号';
COMMENT ON COLUMN source_run.state IS
    'current, ended, replaced, lost or cloned, as of judged_at 状态: 当前、结束、接替、丢失、克隆';
COMMENT ON COLUMN source_run.opened_at IS 'append time of the first record met 首条入库时间';
COMMENT ON COLUMN source_run.last_sign_at IS
    'append time of the last event or heartbeat 最近活动时间';
COMMENT ON COLUMN source_run.high IS 'highest number met 最大序号';
COMMENT ON COLUMN source_run.counted IS 'numbers counted, once each 已计数事件(条)';
COMMENT ON COLUMN source_run.announced IS 'last number the outbox told of 已告知序号';
COMMENT ON COLUMN source_run.acked IS 'every number up to it was acknowledged 已确认序号';
COMMENT ON COLUMN source_run.lost_first_seq IS
    'first number above high known to be lost; NULL: none 丢失起始序号';
COMMENT ON COLUMN source_run.lost_last_seq IS
    'last of them, from the successor or what a lost run announced 丢失结束序号';
COMMENT ON COLUMN source_run.previous_run IS 'run before this one, 12 hex digits 前一运行号';
COMMENT ON COLUMN source_run.is_quarantined IS 'too many gaps: rejected until released 已隔离';
COMMENT ON COLUMN source_run.clock_offset_ms IS
    'append time - device time, of the last heartbeat, ms 时钟偏差(毫秒)';
COMMENT ON COLUMN source_run.partition IS 'Kafka partition the run lives in 所在分区';
COMMENT ON COLUMN source_run.pending IS
    'numbers told of, neither met nor known to be lost 待收事件(条)';
COMMENT ON COLUMN source_run.day IS
    'day of its newest numbers, Asia/Shanghai; none: it was first met 最新序号所属日';
COMMENT ON COLUMN source_run.replaced_at IS 'when what replaced it opened 被接替时间';
COMMENT ON COLUMN source_run.met_at IS
    'opened_at, or the earliest record known of an old run 首见时间';
COMMENT ON COLUMN source_run.heartbeat_at IS 'append time of the last heartbeat 最近心跳时间';
COMMENT ON COLUMN source_run.heartbeat_state IS 'OPEN, ALIVE or ENDED 心跳状态';
COMMENT ON COLUMN source_run.input_state IS 'OPEN, CLOSED or STALE 输入状态';
COMMENT ON COLUMN source_run.oldest_kept IS
    'oldest number still in the outbox, 0: none 最旧保留序号';
COMMENT ON COLUMN source_run.refused IS 'lines refused 拒收行数(行)';
COMMENT ON COLUMN source_run.last_line_at IS 'last line taken 最近一行时间';
COMMENT ON COLUMN source_run.last_occurred_at IS 'latest counted time 最近事件时间';
COMMENT ON COLUMN source_run.last_appended_at IS 'append time of the last event 最近入库时间';
COMMENT ON COLUMN source_run.duplicates IS 'copies dropped 丢弃的重复(条)';
COMMENT ON COLUMN source_run.late IS 'counted over an hour after they occurred 迟到事件(条)';
COMMENT ON COLUMN source_run.clock_corrected IS 'counted in the append hour 时钟更正(条)';
COMMENT ON COLUMN source_run.region IS
    'place of the last heartbeat, else of the last event; NULL: unknown 地区代码';

-- One row per range that is not counted, split where the day changes and where the source says
-- that it holds no older number.
CREATE OR REPLACE VIEW missing_range AS
SELECT k.kind, m.topic, m.source,
       coalesce((SELECT s.region FROM source s
                 WHERE s.kind = k.kind AND s.source = m.source
                 ORDER BY m.day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
                          DESC, s.valid_from DESC
                 LIMIT 1),
                (SELECT r.code FROM source_ledger l JOIN region r ON r.code = l.region
                 WHERE l.topic = m.topic AND l.source = m.source AND l.run = m.run)) AS region,
       lpad(to_hex(m.run), 12, '0') AS run, m.run AS run_number, m.day, v.first_seq, v.last_seq,
       v.last_seq - v.first_seq + 1 AS events, m.cause, m.found_at, v.is_gone
FROM (SELECT g.topic, g.source, g.run, r.day, greatest(g.first_seq, r.first_seq) AS first_seq,
             least(g.last_seq, r.last_seq) AS last_seq, g.cause, g.opened_at AS found_at,
             CASE WHEN l.oldest_kept = 0 AND l.announced > 0 THEN 9223372036854775807
                  ELSE l.oldest_kept END AS kept
      FROM source_gap g
      JOIN number_range r ON r.topic = g.topic AND r.source = g.source AND r.run = g.run
           AND r.first_seq <= g.last_seq AND r.last_seq >= g.first_seq
      JOIN source_ledger l ON l.topic = g.topic AND l.source = g.source AND l.run = g.run
      UNION ALL
      SELECT n.topic, n.source, n.run_number, n.day, n.lost_first_seq, n.lost_last_seq, 'lost',
             n.replaced_at,
             CASE WHEN n.oldest_kept = 0 AND n.announced > 0 THEN 9223372036854775807
                  ELSE n.oldest_kept END
      FROM source_run n
      WHERE n.lost_last_seq IS NOT NULL) m
JOIN kind_clock k ON k.topic = m.topic
CROSS JOIN LATERAL (
    SELECT m.first_seq, least(m.last_seq, coalesce(m.kept, 1) - 1) AS last_seq, true AS is_gone
    UNION ALL
    SELECT greatest(m.first_seq, coalesce(m.kept, 1)), m.last_seq,
           CASE WHEN m.kept IS NOT NULL THEN false END) v
WHERE v.first_seq <= v.last_seq;
COMMENT ON VIEW missing_range IS 'numbers that are not counted, by day and cause 未计数的序号';
COMMENT ON COLUMN missing_range.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN missing_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN missing_range.source IS 'device or post 来源';
COMMENT ON COLUMN missing_range.region IS
    'where it is registered, else where it says it is; NULL: unknown 地区代码';
COMMENT ON COLUMN missing_range.run IS 'run number, 12 hex digits 运行号(十六进制)';
COMMENT ON COLUMN missing_range.run_number IS 'run number 运行号';
COMMENT ON COLUMN missing_range.day IS
    'day that the numbers are charged to, Asia/Shanghai: the first by whose end they were known '
    'to exist; of lost ones the run''s newest day 所属日期';
COMMENT ON COLUMN missing_range.first_seq IS 'first number 起始序号';
COMMENT ON COLUMN missing_range.last_seq IS 'last number 结束序号';
COMMENT ON COLUMN missing_range.events IS 'how many 事件数(条)';
COMMENT ON COLUMN missing_range.cause IS
    'missing, rejected, written_off, before_base, or lost: above what was ever met 原因';
COMMENT ON COLUMN missing_range.found_at IS 'append time of what showed it 发现时间';
COMMENT ON COLUMN missing_range.is_gone IS
    'the source says it no longer holds them; NULL: it said nothing 来源已不保存';

CREATE OR REPLACE VIEW rejected_summary AS
SELECT k.kind, (e.appended_at AT TIME ZONE 'Asia/Shanghai')::date AS day, e.source, e.reason,
       count(*) AS events
FROM rejected_event e
JOIN kind_clock k ON k.topic = e.topic
GROUP BY k.kind, (e.appended_at AT TIME ZONE 'Asia/Shanghai')::date, e.source, e.reason;
COMMENT ON VIEW rejected_summary IS 'messages that did not count, by day, source and reason 拒收汇总';
COMMENT ON COLUMN rejected_summary.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN rejected_summary.day IS 'day of the append time, Asia/Shanghai 入库日期';
COMMENT ON COLUMN rejected_summary.source IS
    'device or post; NULL: the message does not say, or cannot be believed 来源';
COMMENT ON COLUMN rejected_summary.reason IS 'from the list in schemas/README.md 原因';
COMMENT ON COLUMN rejected_summary.events IS 'messages 消息数(条)';

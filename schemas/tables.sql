-- SPDX-License-Identifier: Apache-2.0
-- The tables that every system has, whatever its kinds. fx-setup runs this file with search_path
-- set to the system's schema; every statement is safe to run again. The rollup tables are made
-- from schemas/*/*.rollup.json, the views from them and from schemas/views/.
--
-- Who writes: fx-setup (definition, schema_version, region, region_ancestor, rollup_definition,
-- rollup_column, generated_object, generated_state), fx-rollup (all others), each row of a partition only in a
-- transaction that holds that partition's partition_position row.
--
-- Rollup tables, per rollup of by region: <rollup>_town, _county, _city with region, bucket_start,
-- the dimensions, the columns; of by source: <rollup>_source with source instead of region and,
-- beside each "last" column, <column>_last = {counted ms, run, seq} of the event it came from. A
-- column added later is NULL in the rows that were there before, and stays NULL there: a flush
-- adds with + alone (NULL + 3 is NULL), so a number shown has counted all its events. Where there are
-- stocks, <rollup>_<level>_total beside each: what all its cells add up to (schemas/README.md).

-- Raises unless ok. A flush is one pipeline with one Sync: the first failed check aborts the rest
-- of it, and the SQLSTATE tells the worker what to do.
--   FX001 another worker owns the partition, or its position is not what this worker thinks
--   FX002 a source's run is not what this worker's ledger thinks
--   FX003 an event was reversed before
CREATE OR REPLACE FUNCTION must(ok boolean, code text, what text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF ok IS NOT TRUE THEN
        RAISE EXCEPTION '%', what USING ERRCODE = code;
    END IF;
END $$;
COMMENT ON FUNCTION must(boolean, text, text) IS 'raises code unless ok 不成立则报错';

CREATE TABLE IF NOT EXISTS definition (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    hash text NOT NULL,
    topic_prefix text NOT NULL,
    record_schema text NOT NULL,
    accept_simulated boolean NOT NULL,
    is_rebuild boolean NOT NULL DEFAULT false,
    cluster_id text,
    installed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE definition IS 'what this schema was set up from 本库所依据的定义';
COMMENT ON COLUMN definition.is_only IS 'the table has one row 仅一行';
COMMENT ON COLUMN definition.hash IS 'hash of schemas and rollups 定义摘要';
COMMENT ON COLUMN definition.topic_prefix IS 'prefix of the Kafka topics 主题前缀';
COMMENT ON COLUMN definition.record_schema IS 'schema of what people decided 人工决定所在的模式';
COMMENT ON COLUMN definition.accept_simulated IS 'sources named SIM- count 是否接受模拟数据';
COMMENT ON COLUMN definition.is_rebuild IS
    'counted anew beside the live schema, until fx-setup --swap 是否为重算副本';
COMMENT ON COLUMN definition.cluster_id IS 'Kafka that is counted, NULL: not known 集群标识';
COMMENT ON COLUMN definition.installed_at IS 'time of the last fx-setup 最近一次安装时间';

CREATE TABLE IF NOT EXISTS schema_version (
    kind text COLLATE "C",
    version integer,
    fingerprint text NOT NULL,
    bounds text NOT NULL,
    PRIMARY KEY (kind, version)
);
COMMENT ON TABLE schema_version IS 'every schema that events may have 事件格式的各个版本';
COMMENT ON COLUMN schema_version.kind IS 'kind of event, or heartbeat 事件种类';
COMMENT ON COLUMN schema_version.version IS 'N of N.avsc, none is ever removed 版本号(编号)';
COMMENT ON COLUMN schema_version.fingerprint IS 'CRC-64-AVRO, hex; never changes 格式指纹';
COMMENT ON COLUMN schema_version.bounds IS
    'a line per field: name, type, min, max, max_length, symbols; only widens 字段取值范围';

CREATE TABLE IF NOT EXISTS region (
    code text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    name_latin text NOT NULL,
    level text NOT NULL CHECK (level IN ('city', 'county', 'town')),
    parent text COLLATE "C" REFERENCES region (code),
    statistical_parent text COLLATE "C"
);
COMMENT ON TABLE region IS 'the tree of places 地区树';
COMMENT ON COLUMN region.code IS 'opaque code 地区代码';
COMMENT ON COLUMN region.name IS 'name in Chinese 名称';
COMMENT ON COLUMN region.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN region.level IS 'city, county or town 级别: 市、县、镇';
COMMENT ON COLUMN region.parent IS 'reporting parent 上级单位';
COMMENT ON COLUMN region.statistical_parent IS 'county of the national statistics 统计区划所属县';

CREATE TABLE IF NOT EXISTS region_ancestor (
    ancestor text COLLATE "C" REFERENCES region (code),
    region text COLLATE "C" REFERENCES region (code),
    PRIMARY KEY (ancestor, region)
);
COMMENT ON TABLE region_ancestor IS 'each node with all at and below it, from region 上下级对应';
COMMENT ON COLUMN region_ancestor.ancestor IS 'the node 节点';
COMMENT ON COLUMN region_ancestor.region IS 'a node at or below it 本级或下级';

CREATE TABLE IF NOT EXISTS partition_position (
    topic text COLLATE "C",
    partition integer,
    generation bigint NOT NULL,
    base_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    bookmark bigint,
    append_high_ms bigint NOT NULL DEFAULT 0,
    caught_up_at timestamptz,
    claimed_by text,
    claimed_at timestamptz,
    accepted_id bigint,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE partition_position IS 'how far each Kafka partition is counted 各分区计数进度';
COMMENT ON COLUMN partition_position.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN partition_position.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN partition_position.generation IS
    'token of the worker that owns it 归属令牌(编号)';
COMMENT ON COLUMN partition_position.base_offset IS
    'first offset this schema counted 起始位点(位点)';
COMMENT ON COLUMN partition_position.next_offset IS 'next offset to count 下一位点(位点)';
COMMENT ON COLUMN partition_position.bookmark IS
    'CRC-32 of record next_offset - 1 书签校验值(编号)';
COMMENT ON COLUMN partition_position.append_high_ms IS 'highest append time, ms 最大入库时间(毫秒)';
COMMENT ON COLUMN partition_position.caught_up_at IS 'no event was waiting then 最近追平时间';
COMMENT ON COLUMN partition_position.claimed_by IS 'worker that claimed it 认领者';
COMMENT ON COLUMN partition_position.claimed_at IS 'when it was claimed 认领时间';
COMMENT ON COLUMN partition_position.accepted_id IS
    'last acceptance of a loss that was applied 最近一次已应用的丢失接受(编号)';

CREATE TABLE IF NOT EXISTS source_ledger (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    partition integer NOT NULL,
    high bigint NOT NULL DEFAULT 0,
    counted bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    late bigint NOT NULL DEFAULT 0,
    clock_corrected bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    gaps integer NOT NULL DEFAULT 0,
    is_quarantined boolean NOT NULL DEFAULT false,
    last_occurred_at timestamptz,
    last_appended_at timestamptz,
    heartbeat_n bigint NOT NULL DEFAULT 0,
    heartbeat_state text,
    heartbeat_at timestamptz,
    announced bigint NOT NULL DEFAULT 0,
    acked bigint NOT NULL DEFAULT 0,
    oldest_kept bigint,
    refused bigint NOT NULL DEFAULT 0,
    input_state text,
    last_line_at timestamptz,
    previous_run bigint,
    previous_last_seq bigint,
    region text COLLATE "C",
    clock_offset_ms bigint,
    opened_at timestamptz,
    day date,
    day_first_seq bigint,
    PRIMARY KEY (topic, source, run)
) WITH (fillfactor = 50);
COMMENT ON TABLE source_ledger IS 'one row per source and run: counted + gaps = high 来源台账';
COMMENT ON COLUMN source_ledger.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_ledger.source IS 'device or post 来源';
COMMENT ON COLUMN source_ledger.run IS '48-bit run number 运行号(编号)';
COMMENT ON COLUMN source_ledger.partition IS 'partition the run lives in 所在分区(编号)';
COMMENT ON COLUMN source_ledger.high IS 'highest number met 最大序号(序号)';
COMMENT ON COLUMN source_ledger.counted IS 'numbers counted, once each 已计数事件(条)';
COMMENT ON COLUMN source_ledger.duplicates IS 'copies dropped 丢弃的重复(条)';
COMMENT ON COLUMN source_ledger.late IS 'counted over an hour after they occurred 迟到事件(条)';
COMMENT ON COLUMN source_ledger.clock_corrected IS 'counted in the append hour 时钟更正(条)';
COMMENT ON COLUMN source_ledger.rejected IS 'rejected with a valid envelope 拒收事件(条)';
COMMENT ON COLUMN source_ledger.gaps IS 'rows in source_gap 缺口数(个)';
COMMENT ON COLUMN source_ledger.is_quarantined IS 'too many gaps: rejected until released 已隔离';
COMMENT ON COLUMN source_ledger.last_occurred_at IS 'latest counted time 最近事件时间';
COMMENT ON COLUMN source_ledger.last_appended_at IS 'latest append time 最近入库时间';
COMMENT ON COLUMN source_ledger.heartbeat_n IS 'number of the last heartbeat 心跳号(序号)';
COMMENT ON COLUMN source_ledger.heartbeat_state IS 'OPEN, ALIVE or ENDED 运行状态';
COMMENT ON COLUMN source_ledger.heartbeat_at IS
    'append time of the last heartbeat, or of the first that said ENDED 最近心跳时间';
COMMENT ON COLUMN source_ledger.announced IS 'last number in the outbox 已告知序号(序号)';
COMMENT ON COLUMN source_ledger.acked IS 'acknowledged before the heartbeat 已确认序号(序号)';
COMMENT ON COLUMN source_ledger.oldest_kept IS
    'oldest number still in the outbox 最旧保留序号(序号)';
COMMENT ON COLUMN source_ledger.refused IS 'lines refused in this run 本机退回行数(行)';
COMMENT ON COLUMN source_ledger.input_state IS 'OPEN, CLOSED or STALE 输入状态';
COMMENT ON COLUMN source_ledger.last_line_at IS 'last line taken 最近一行时间';
COMMENT ON COLUMN source_ledger.previous_run IS 'run before this one 前一运行号(编号)';
COMMENT ON COLUMN source_ledger.previous_last_seq IS 'its last number 前一运行末号(序号)';
COMMENT ON COLUMN source_ledger.region IS 'place of the last heartbeat, else of the last event 地区';
COMMENT ON COLUMN source_ledger.clock_offset_ms IS 'append time - device time, ms 时钟偏差(毫秒)';
COMMENT ON COLUMN source_ledger.opened_at IS 'append time of the first record met 首条入库时间';
COMMENT ON COLUMN source_ledger.day IS 'day that the newest numbers belong to, see source_day 序号所属日';
COMMENT ON COLUMN source_ledger.day_first_seq IS
    'first number of that day; the last is high 当日起始序号(序号)';

-- Numbers have no time of their own. A number belongs to the first day by whose end it was known
-- to exist: from a counted or rejected event, or from a heartbeat's acked_seq. The newest day of a
-- run stands in source_ledger, the days before it stand here; a day without numbers has no row.
CREATE TABLE IF NOT EXISTS source_day (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    day date,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (topic, source, run, day)
);
COMMENT ON TABLE source_day IS 'which numbers belong to which day, but for the newest day 每日序号区间';
COMMENT ON COLUMN source_day.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_day.source IS 'device or post 来源';
COMMENT ON COLUMN source_day.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN source_day.day IS 'reporting day 统计日期';
COMMENT ON COLUMN source_day.first_seq IS 'first number of the day 起始序号(序号)';
COMMENT ON COLUMN source_day.last_seq IS 'last number of the day 结束序号(序号)';

CREATE TABLE IF NOT EXISTS source_tally (
    topic text COLLATE "C",
    source text COLLATE "C",
    day date,
    duplicates bigint NOT NULL,
    late bigint NOT NULL,
    clock_corrected bigint NOT NULL,
    PRIMARY KEY (topic, source, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE source_tally IS 'what was unusual, by the day it was appended to Kafka 每日异常计数';
COMMENT ON COLUMN source_tally.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_tally.source IS 'device or post 来源';
COMMENT ON COLUMN source_tally.day IS 'day of the append time 入库日期';
COMMENT ON COLUMN source_tally.duplicates IS 'copies dropped 丢弃的重复(条)';
COMMENT ON COLUMN source_tally.late IS 'counted over an hour after they occurred 迟到事件(条)';
COMMENT ON COLUMN source_tally.clock_corrected IS 'counted in the append hour 时钟更正(条)';

CREATE TABLE IF NOT EXISTS source_gap (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    first_seq bigint,
    last_seq bigint NOT NULL,
    cause text NOT NULL CHECK (cause IN ('missing', 'rejected', 'written_off', 'before_base')),
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (topic, source, run, first_seq)
);
COMMENT ON TABLE source_gap IS 'numbers not counted, by cause 缺口';
COMMENT ON COLUMN source_gap.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_gap.source IS 'device or post 来源';
COMMENT ON COLUMN source_gap.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN source_gap.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN source_gap.last_seq IS 'last number 结束序号(序号)';
COMMENT ON COLUMN source_gap.cause IS 'why: missing, rejected, written_off, before_base 原因';
COMMENT ON COLUMN source_gap.opened_at IS 'append time of what showed it 发现时间';

-- Messages that did not count. Those that one flush rejected one after another in a partition, for
-- one reason and with one source and run (or none that can be believed), are one row: a flood is a
-- row per flush, not per message. Nothing is lost by it: element i of each array is about the i-th
-- of them, other messages may lie between, and the view rejected_event is the same without folds.
--
-- Invariants. Offsets ascend; rows of a partition are disjoint: none begins before another ended.
-- So the row that holds an offset is the first whose last_offset is not below it, and rows in the
-- order of last_offset are the messages in order. Whoever takes messages out (fx-rollup --redrive)
-- or renumbers them (fx-setup --accept-loss) divides their row at these.
CREATE TABLE IF NOT EXISTS rejected_range (
    topic text COLLATE "C",
    partition integer,
    first_offset bigint NOT NULL GENERATED ALWAYS AS (offsets[1]) STORED,
    last_offset bigint GENERATED ALWAYS AS (offsets[cardinality(offsets)]) STORED,
    events integer NOT NULL GENERATED ALWAYS AS (cardinality(offsets)) STORED,
    day date NOT NULL
        GENERATED ALWAYS AS ((appended_at[1] AT TIME ZONE 'Asia/Shanghai')::date) STORED,
    reason text NOT NULL,
    source text COLLATE "C",
    run bigint,
    offsets bigint[] NOT NULL,
    details text[] NOT NULL,
    seqs bigint[] NOT NULL,
    lengths integer[] NOT NULL,
    digests bytea[] NOT NULL,
    appended_at timestamptz[] NOT NULL,
    PRIMARY KEY (topic, partition, last_offset)
);
COMMENT ON TABLE rejected_range IS
    'messages that did not count, those of a kind in one row, see rejected_event 拒收区段';
COMMENT ON COLUMN rejected_range.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN rejected_range.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN rejected_range.first_offset IS 'of the first message 起始位点(位点)';
COMMENT ON COLUMN rejected_range.last_offset IS 'of the last message 结束位点(位点)';
COMMENT ON COLUMN rejected_range.events IS 'messages 消息数(条)';
COMMENT ON COLUMN rejected_range.day IS 'day of all append times, Asia/Shanghai 入库日期';
COMMENT ON COLUMN rejected_range.reason IS 'from a closed list, see schemas/README.md 原因';
COMMENT ON COLUMN rejected_range.source IS 'source, if the envelope was valid 来源';
COMMENT ON COLUMN rejected_range.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN rejected_range.offsets IS
    'Kafka offset of each; less n * 2^40 in a log that was accepted as lost, n = 1, 2, … 各条位点(位点)';
COMMENT ON COLUMN rejected_range.details IS 'our own words on each 各条说明';
COMMENT ON COLUMN rejected_range.seqs IS 'number of each; NULL without a source 各条序号(序号)';
COMMENT ON COLUMN rejected_range.lengths IS 'bytes of each 各条字节数(字节)';
COMMENT ON COLUMN rejected_range.digests IS 'SHA-256 of each 各条摘要';
COMMENT ON COLUMN rejected_range.appended_at IS 'append time of each 各条入库时间';

CREATE TABLE IF NOT EXISTS reversal (
    topic text COLLATE "C",
    source text COLLATE "C",
    reversed_run bigint,
    reversed_seq bigint,
    run bigint NOT NULL,
    seq bigint NOT NULL,
    undone_at timestamptz NOT NULL,
    PRIMARY KEY (topic, source, reversed_run, reversed_seq)
);
COMMENT ON TABLE reversal IS 'events undone, each once 冲销记录';
COMMENT ON COLUMN reversal.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN reversal.source IS 'device or post 来源';
COMMENT ON COLUMN reversal.reversed_run IS 'run of the original 原事件运行号(编号)';
COMMENT ON COLUMN reversal.reversed_seq IS 'number of the original 原事件序号(序号)';
COMMENT ON COLUMN reversal.run IS 'run of the reversal 冲销运行号(编号)';
COMMENT ON COLUMN reversal.seq IS 'number of the reversal 冲销序号(序号)';
COMMENT ON COLUMN reversal.undone_at IS 'instant whose bucket it counted in 冲销计入时间';

-- Only where it differs from what the event says: so that a reversal, which is a copy of the event,
-- undoes it in the bucket where it was counted.
CREATE TABLE IF NOT EXISTS corrected_event (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    seq bigint,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (topic, source, run, seq)
);
COMMENT ON TABLE corrected_event IS 'events with a wrong clock, and when they counted 时钟更正的事件';
COMMENT ON COLUMN corrected_event.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN corrected_event.source IS 'device or post 来源';
COMMENT ON COLUMN corrected_event.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN corrected_event.seq IS 'number 序号(序号)';
COMMENT ON COLUMN corrected_event.counted_at IS 'instant whose bucket it counted in 计入时间';

CREATE TABLE IF NOT EXISTS resend_request (
    source text COLLATE "C" PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    body text NOT NULL
);
COMMENT ON TABLE resend_request IS 'what the resend topic asks of each source 补发请求';
COMMENT ON COLUMN resend_request.source IS 'device or post 来源';
COMMENT ON COLUMN resend_request.asked_at IS 'when it was asked last 最近请求时间';
COMMENT ON COLUMN resend_request.attempts IS 'how often the same was asked 请求次数(次)';
COMMENT ON COLUMN resend_request.body IS 'ranges asked for, JSON 请求内容';

CREATE TABLE IF NOT EXISTS source_hour (
    topic text COLLATE "C",
    source text COLLATE "C",
    hour_start timestamptz,
    slots integer NOT NULL,
    PRIMARY KEY (topic, source, hour_start)
) WITH (fillfactor = 70);
COMMENT ON TABLE source_hour IS 'signs of life in five-minute slots 来源活跃时段';
COMMENT ON COLUMN source_hour.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN source_hour.source IS 'device or post 来源';
COMMENT ON COLUMN source_hour.hour_start IS 'hour 小时';
COMMENT ON COLUMN source_hour.slots IS '12 bits, lowest = first five minutes 五分钟时段位图(位)';
-- CREATE INDEX IF NOT EXISTS would lock a live table against its writers only to find the index.
DO $$
BEGIN
    IF to_regclass('source_hour_by_hour') IS NULL THEN
        CREATE INDEX source_hour_by_hour ON source_hour (topic, hour_start);
    END IF;
    IF to_regclass('source_day_by_day') IS NULL THEN
        CREATE INDEX source_day_by_day ON source_day (topic, day);
    END IF;
    IF to_regclass('source_ledger_by_day') IS NULL THEN
        CREATE INDEX source_ledger_by_day ON source_ledger (topic, day);
    END IF;
    IF to_regclass('rejected_range_by_day') IS NULL THEN
        CREATE INDEX rejected_range_by_day ON rejected_range (topic, day);
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS offset_hole (
    topic text COLLATE "C",
    partition integer,
    first_offset bigint,
    last_offset bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, first_offset)
);
COMMENT ON TABLE offset_hole IS
    'offsets without a message: the broker has none, or a batch nobody can unpack 位点空洞';
COMMENT ON COLUMN offset_hole.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN offset_hole.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN offset_hole.first_offset IS 'first offset 起始位点(位点)';
COMMENT ON COLUMN offset_hole.last_offset IS 'last offset 结束位点(位点)';
COMMENT ON COLUMN offset_hole.found_at IS 'when it was met 发现时间';

CREATE TABLE IF NOT EXISTS rollup_definition (
    rollup text PRIMARY KEY,
    kind text NOT NULL,
    region_field text NOT NULL,
    counted_by text NOT NULL,
    bucket_ms bigint NOT NULL,
    dimensions text NOT NULL,
    doc text NOT NULL,
    counted_since timestamptz
);
COMMENT ON TABLE rollup_definition IS 'what each rollup counts, and by what 汇总定义';
COMMENT ON COLUMN rollup_definition.rollup IS 'rollup 汇总表';
COMMENT ON COLUMN rollup_definition.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN rollup_definition.region_field IS 'field that names the place 地区字段';
COMMENT ON COLUMN rollup_definition.counted_by IS 'source, region or both 汇总维度: 来源、地区';
COMMENT ON COLUMN rollup_definition.bucket_ms IS 'width of a bucket, ms 时段长度(毫秒)';
COMMENT ON COLUMN rollup_definition.dimensions IS 'further keys, in order 其他分组字段';
COMMENT ON COLUMN rollup_definition.doc IS 'meaning 含义';
COMMENT ON COLUMN rollup_definition.counted_since IS
    'added to a running system then; NULL: counted from the base 中途增加的时间, 空为自始';

CREATE TABLE IF NOT EXISTS rollup_column (
    rollup text,
    name text,
    position integer NOT NULL,
    kind text NOT NULL,
    aggregate text NOT NULL,
    rule text NOT NULL,
    unit text NOT NULL,
    over_time text NOT NULL,
    over_regions text NOT NULL,
    doc text NOT NULL,
    counted_since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (rollup, name)
);
COMMENT ON TABLE rollup_column IS 'what each rollup column means 汇总列说明';
COMMENT ON COLUMN rollup_column.rollup IS 'rollup 汇总表';
COMMENT ON COLUMN rollup_column.name IS 'column 列名';
COMMENT ON COLUMN rollup_column.position IS 'order 顺序(序号)';
COMMENT ON COLUMN rollup_column.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN rollup_column.aggregate IS 'count, sum, min, max, last or derived 聚合方式';
COMMENT ON COLUMN rollup_column.rule IS 'what is counted, or the derived expression 计数规则';
COMMENT ON COLUMN rollup_column.unit IS 'unit 单位';
COMMENT ON COLUMN rollup_column.over_time IS 'how hours combine: sum, max, min, last, none 跨时段合并';
COMMENT ON COLUMN rollup_column.over_regions IS 'how regions combine 跨地区合并';
COMMENT ON COLUMN rollup_column.doc IS 'meaning 含义';
COMMENT ON COLUMN rollup_column.counted_since IS
    'when it was set up; rows that were there before hold NULL 计数起始时间';

CREATE TABLE IF NOT EXISTS generated_object (
    name text PRIMARY KEY,
    is_function boolean NOT NULL
);
COMMENT ON TABLE generated_object IS 'views and functions that fx-setup made and may drop 生成的对象';
COMMENT ON COLUMN generated_object.name IS 'a function with its argument types 名称';
COMMENT ON COLUMN generated_object.is_function IS 'a function, not a view 是否函数';

CREATE TABLE IF NOT EXISTS generated_state (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    text_sha256 text NOT NULL,
    objects_md5 text NOT NULL
);
COMMENT ON TABLE generated_state IS
    'what the generated objects were made of: made again only if that differs 生成对象的状态';
COMMENT ON COLUMN generated_state.is_only IS 'the table has one row 仅一行';
COMMENT ON COLUMN generated_state.text_sha256 IS 'digest of the statements 语句摘要';
COMMENT ON COLUMN generated_state.objects_md5 IS 'digest of what they made 对象摘要';

-- SPDX-License-Identifier: Apache-2.0
-- What people decided or published, and what a rebuild has to know of the live schema: never
-- rebuilt, never swapped. fx-setup runs this file with search_path set to the record schema
-- (fangxian_record).

CREATE TABLE IF NOT EXISTS live_schema (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    name text COLLATE "C" NOT NULL
);
COMMENT ON TABLE live_schema IS 'the schema these decisions are about; others are rebuilds 现用模式';
COMMENT ON COLUMN live_schema.is_only IS 'the table has one row 仅一行';
COMMENT ON COLUMN live_schema.name IS
    'the first schema set up with this record; a swap exchanges names, so it stays 模式名';

CREATE TABLE IF NOT EXISTS source (
    source text COLLATE "C",
    kind text NOT NULL,
    name text NOT NULL,
    region text COLLATE "C" NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    PRIMARY KEY (source, kind, valid_from),
    CHECK (valid_to >= valid_from)
);
COMMENT ON TABLE source IS 'who is expected to report 应报来源';
COMMENT ON COLUMN source.source IS 'device or post 来源';
COMMENT ON COLUMN source.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN source.name IS 'name of the post 名称';
COMMENT ON COLUMN source.region IS 'place of the post 所在地区';
COMMENT ON COLUMN source.valid_from IS 'first day expected 起始日期';
COMMENT ON COLUMN source.valid_to IS 'last day expected, NULL: open 截止日期';

CREATE TABLE IF NOT EXISTS acceptance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL CHECK (last_offset >= first_offset),
    is_counted boolean NOT NULL DEFAULT false,
    reason text NOT NULL,
    accepted_by text NOT NULL DEFAULT session_user,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE acceptance IS 'losses in Kafka that a person accepted 已接受的丢失';
COMMENT ON COLUMN acceptance.id IS 'order, whatever the clock says 顺序号(编号)';
COMMENT ON COLUMN acceptance.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN acceptance.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN acceptance.first_offset IS 'first lost offset 起始位点(位点)';
COMMENT ON COLUMN acceptance.last_offset IS 'last lost offset 结束位点(位点)';
COMMENT ON COLUMN acceptance.is_counted IS
    'were counted, and hold other records now or none; else never counted 是否已计数';
COMMENT ON COLUMN acceptance.reason IS 'why 原因';
COMMENT ON COLUMN acceptance.accepted_by IS 'who 接受人';
COMMENT ON COLUMN acceptance.accepted_at IS 'when 接受时间';

CREATE TABLE IF NOT EXISTS cluster_move (
    schema_name text,
    old_cluster text,
    new_cluster text NOT NULL,
    reason text NOT NULL,
    decided_by text NOT NULL DEFAULT session_user,
    decided_at timestamptz DEFAULT now(),
    PRIMARY KEY (schema_name, decided_at)
);
COMMENT ON TABLE cluster_move IS 'moves of the topics to another Kafka 集群迁移记录';
COMMENT ON COLUMN cluster_move.schema_name IS 'schema that counts them 模式';
COMMENT ON COLUMN cluster_move.old_cluster IS 'id of the Kafka before, NULL: not known 原集群';
COMMENT ON COLUMN cluster_move.new_cluster IS 'id of the Kafka since 新集群';
COMMENT ON COLUMN cluster_move.reason IS 'why 原因';
COMMENT ON COLUMN cluster_move.decided_by IS 'who 决定人';
COMMENT ON COLUMN cluster_move.decided_at IS 'when 决定时间';

CREATE TABLE IF NOT EXISTS write_off (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    first_seq bigint,
    last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
    reason text NOT NULL,
    decided_by text NOT NULL DEFAULT session_user,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, source, run, first_seq, decided_at)
);
COMMENT ON TABLE write_off IS 'numbers that a person gave up 核销记录';
COMMENT ON COLUMN write_off.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN write_off.source IS 'device or post 来源';
COMMENT ON COLUMN write_off.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN write_off.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN write_off.last_seq IS 'last number 结束序号(序号)';
COMMENT ON COLUMN write_off.reason IS 'why 原因';
COMMENT ON COLUMN write_off.decided_by IS 'who 决定人';
COMMENT ON COLUMN write_off.decided_at IS 'when 决定时间';

CREATE TABLE IF NOT EXISTS release (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    decided_by text NOT NULL DEFAULT session_user,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, source, run, decided_at)
);
COMMENT ON TABLE release IS 'quarantined runs that a person released 解除隔离记录';
COMMENT ON COLUMN release.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN release.source IS 'device or post 来源';
COMMENT ON COLUMN release.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN release.decided_by IS 'who 决定人';
COMMENT ON COLUMN release.decided_at IS 'when 决定时间';

CREATE TABLE IF NOT EXISTS redriven_event (
    topic text COLLATE "C",
    partition integer,
    "offset" bigint,
    reason text NOT NULL,
    source text COLLATE "C",
    run bigint,
    seq bigint,
    outcome text NOT NULL CHECK (outcome IN ('counted', 'duplicate')),
    redriven_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset", redriven_at)
);
COMMENT ON TABLE redriven_event IS 'rejected messages that counted after all 重新计入的拒收事件';
COMMENT ON COLUMN redriven_event.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN redriven_event.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN redriven_event."offset" IS 'Kafka offset 位点(位点)';
COMMENT ON COLUMN redriven_event.reason IS 'why it had been rejected 原拒收原因';
COMMENT ON COLUMN redriven_event.source IS 'source 来源';
COMMENT ON COLUMN redriven_event.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN redriven_event.seq IS 'number 序号(序号)';
COMMENT ON COLUMN redriven_event.outcome IS 'counted, or duplicate: a copy had counted 结果';
COMMENT ON COLUMN redriven_event.redriven_at IS 'when 处理时间';

-- Runs of which messages lie in several partitions: only those of the partition that the live schema
-- counted first count. A schema that is counted anew meets them in another order, and asks here.
CREATE TABLE IF NOT EXISTS run_home (
    topic text COLLATE "C",
    source text COLLATE "C",
    run bigint,
    partition integer NOT NULL,
    PRIMARY KEY (topic, source, run)
);
COMMENT ON TABLE run_home IS 'partitions of runs that were met in several 跨分区运行的归属分区';
COMMENT ON COLUMN run_home.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN run_home.source IS 'device or post 来源';
COMMENT ON COLUMN run_home.run IS 'run number 运行号(编号)';
COMMENT ON COLUMN run_home.partition IS
    'Kafka partition whose events of the run count 计数分区(编号)';

-- A report was made as of then: what changes earlier hours afterwards is a correction.
CREATE TABLE IF NOT EXISTS cutoff (
    as_of timestamptz PRIMARY KEY,
    reported_by text NOT NULL DEFAULT session_user,
    reported_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE cutoff IS 'reports: hours before as_of are reported 报表截止时间';
COMMENT ON COLUMN cutoff.as_of IS 'hours that end by then are reported 截至时间';
COMMENT ON COLUMN cutoff.reported_by IS 'who 报告人';
COMMENT ON COLUMN cutoff.reported_at IS 'when 报告时间';

CREATE TABLE IF NOT EXISTS correction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollup text NOT NULL,
    level text NOT NULL,
    region text COLLATE "C" NOT NULL,
    bucket_start timestamptz NOT NULL,
    dimensions text[] NOT NULL,
    changes jsonb NOT NULL,
    cutoff_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE correction IS 'changes to hours already reported 订正记录';
COMMENT ON COLUMN correction.id IS 'order 顺序号(编号)';
COMMENT ON COLUMN correction.rollup IS 'rollup 汇总表';
COMMENT ON COLUMN correction.level IS 'town, county or city 级别';
COMMENT ON COLUMN correction.region IS 'region code 地区代码';
COMMENT ON COLUMN correction.bucket_start IS 'start of the time step 时段起点';
COMMENT ON COLUMN correction.dimensions IS 'values of the dimensions, in order 分组字段取值';
COMMENT ON COLUMN correction.changes IS 'column: amount added 各列变化量';
COMMENT ON COLUMN correction.cutoff_at IS 'newest as_of that had covered the hour 所涉截止时间';
COMMENT ON COLUMN correction.changed_at IS 'when 变更时间';
DO $$
BEGIN
    IF to_regclass('correction_by_bucket') IS NULL THEN
        CREATE INDEX correction_by_bucket ON correction (rollup, level, region, bucket_start);
    END IF;
END $$;

-- The daily report (fx-report --freeze): its figures as they were, never changed. A report is one
-- (as_of, region, version); report_text holds what was printed from the rows beside it.
CREATE TABLE IF NOT EXISTS report (
    as_of timestamptz,
    region text COLLATE "C",
    version integer CHECK (version > 0),
    period_start timestamptz NOT NULL,
    counted_until timestamptz,
    schema_name text NOT NULL,
    program text NOT NULL,
    base_as_of timestamptz,
    base_version integer,
    made_at timestamptz NOT NULL DEFAULT transaction_timestamp(),
    made_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (as_of, region, version)
);
COMMENT ON TABLE report IS 'versions of the daily report that are kept 已定稿日报';
COMMENT ON COLUMN report.as_of IS 'figures are of what occurred before 截至时间';
COMMENT ON COLUMN report.region IS 'region code 地区代码';
COMMENT ON COLUMN report.version IS '1, 2, … of this time and region 版本号(编号)';
COMMENT ON COLUMN report.period_start IS 'first instant of the reporting day 统计起始时间';
COMMENT ON COLUMN report.counted_until IS
    'all that was appended to Kafka before was counted; NULL: not known 已计数至';
COMMENT ON COLUMN report.schema_name IS 'schema that the figures are from 模式';
COMMENT ON COLUMN report.program IS 'program and version that made it 生成程序';
COMMENT ON COLUMN report.base_as_of IS
    'as_of of the report that corrections are told against, NULL: the first 对比报告截至时间';
COMMENT ON COLUMN report.base_version IS 'version of that report 对比报告版本号(编号)';
COMMENT ON COLUMN report.made_at IS 'when 生成时间';
COMMENT ON COLUMN report.made_by IS 'who 生成人';

CREATE TABLE IF NOT EXISTS report_place (
    as_of timestamptz,
    region text COLLATE "C",
    version integer,
    position integer,
    part text NOT NULL CHECK (part IN ('total', 'unit', 'own')),
    place text COLLATE "C" NOT NULL,
    name text NOT NULL,
    name_latin text NOT NULL,
    level text NOT NULL,
    PRIMARY KEY (as_of, region, version, position),
    FOREIGN KEY (as_of, region, version) REFERENCES report
);
COMMENT ON TABLE report_place IS 'rows of a report: the region, its units, its own part 日报统计单位';
COMMENT ON COLUMN report_place.as_of IS 'of the report 截至时间';
COMMENT ON COLUMN report_place.region IS 'of the report 地区代码';
COMMENT ON COLUMN report_place.version IS 'of the report 版本号(编号)';
COMMENT ON COLUMN report_place.position IS 'order 顺序号(序号)';
COMMENT ON COLUMN report_place.part IS
    'total: the region with all below; unit: a node below it; own: what is of no unit 合计、单位、本级';
COMMENT ON COLUMN report_place.place IS 'region code of the row 单位代码';
COMMENT ON COLUMN report_place.name IS 'name in Chinese, as it was 名称';
COMMENT ON COLUMN report_place.name_latin IS 'name in Latin letters, as it was 拉丁字母名称';
COMMENT ON COLUMN report_place.level IS 'city, county or town 级别';

CREATE TABLE IF NOT EXISTS report_figure (
    as_of timestamptz,
    region text COLLATE "C",
    version integer,
    position integer NOT NULL,
    section text COLLATE "C",
    part text COLLATE "C",
    place text COLLATE "C",
    item text COLLATE "C",
    measure text COLLATE "C",
    unit text NOT NULL,
    value numeric,
    is_recorded boolean NOT NULL,
    complete boolean,
    PRIMARY KEY (as_of, region, version, section, part, place, item, measure),
    FOREIGN KEY (as_of, region, version) REFERENCES report
);
COMMENT ON TABLE report_figure IS 'figures of a report 日报数据';
COMMENT ON COLUMN report_figure.as_of IS 'of the report 截至时间';
COMMENT ON COLUMN report_figure.region IS 'of the report 地区代码';
COMMENT ON COLUMN report_figure.version IS 'of the report 版本号(编号)';
COMMENT ON COLUMN report_figure.position IS 'order 顺序号(序号)';
COMMENT ON COLUMN report_figure.section IS 'section 章节';
COMMENT ON COLUMN report_figure.part IS 'total, unit or own, see report_place 合计、单位、本级';
COMMENT ON COLUMN report_figure.place IS 'region code of the row 单位代码';
COMMENT ON COLUMN report_figure.item IS 'tier, service or kind of event; empty: all 分项';
COMMENT ON COLUMN report_figure.measure IS 'what is counted 指标';
COMMENT ON COLUMN report_figure.unit IS 'unit 单位';
COMMENT ON COLUMN report_figure.value IS
    'in this unit; NULL: nobody was heard, or not recorded 数值(见unit列)';
COMMENT ON COLUMN report_figure.is_recorded IS 'some kind of event records it 是否有记录';
COMMENT ON COLUMN report_figure.complete IS
    'all that was expected is counted; NULL: not known 是否完整';

CREATE TABLE IF NOT EXISTS report_finding (
    as_of timestamptz,
    region text COLLATE "C",
    version integer,
    position integer,
    finding text NOT NULL CHECK (finding IN ('missing', 'silent')),
    kind text NOT NULL,
    source text COLLATE "C" NOT NULL,
    name text,
    place text COLLATE "C",
    place_name text,
    place_latin text,
    run text,
    day date,
    first_seq bigint,
    last_seq bigint,
    cause text,
    silent_minutes bigint,
    PRIMARY KEY (as_of, region, version, position),
    FOREIGN KEY (as_of, region, version) REFERENCES report
);
COMMENT ON TABLE report_finding IS 'what a report lacks, by number and source 日报缺失清单';
COMMENT ON COLUMN report_finding.as_of IS 'of the report 截至时间';
COMMENT ON COLUMN report_finding.region IS 'of the report 地区代码';
COMMENT ON COLUMN report_finding.version IS 'of the report 版本号(编号)';
COMMENT ON COLUMN report_finding.position IS 'order 顺序号(序号)';
COMMENT ON COLUMN report_finding.finding IS
    'missing: numbers not counted; silent: no sign of life in the last hour 缺失或静默';
COMMENT ON COLUMN report_finding.kind IS 'kind of event 事件种类';
COMMENT ON COLUMN report_finding.source IS 'device or post 来源';
COMMENT ON COLUMN report_finding.name IS 'name of the post, NULL: not registered 名称';
COMMENT ON COLUMN report_finding.place IS 'region code of the post, NULL: not known 地区代码';
COMMENT ON COLUMN report_finding.place_name IS 'name of the place in Chinese 地区名称';
COMMENT ON COLUMN report_finding.place_latin IS 'name of the place in Latin letters 地区拉丁字母名称';
COMMENT ON COLUMN report_finding.run IS 'run number, 12 hex digits 运行号(十六进制)';
COMMENT ON COLUMN report_finding.day IS 'day that the numbers belong to 所属日期';
COMMENT ON COLUMN report_finding.first_seq IS 'first number 起始序号(序号)';
COMMENT ON COLUMN report_finding.last_seq IS 'last number 结束序号(序号)';
COMMENT ON COLUMN report_finding.cause IS 'missing, rejected or lost 原因';
COMMENT ON COLUMN report_finding.silent_minutes IS
    'minutes without a sign of life, of the reporting day 静默分钟数(分钟)';

CREATE TABLE IF NOT EXISTS report_correction (
    as_of timestamptz,
    region text COLLATE "C",
    version integer,
    position integer,
    section text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    measure text COLLATE "C" NOT NULL,
    unit text NOT NULL,
    old_value numeric,
    new_value numeric,
    changed_at timestamptz,
    PRIMARY KEY (as_of, region, version, position),
    FOREIGN KEY (as_of, region, version) REFERENCES report
);
COMMENT ON TABLE report_correction IS 'figures that differ from the report before 日报订正';
COMMENT ON COLUMN report_correction.as_of IS 'of the report 截至时间';
COMMENT ON COLUMN report_correction.region IS 'of the report 地区代码';
COMMENT ON COLUMN report_correction.version IS 'of the report 版本号(编号)';
COMMENT ON COLUMN report_correction.position IS 'order 顺序号(序号)';
COMMENT ON COLUMN report_correction.section IS 'section 章节';
COMMENT ON COLUMN report_correction.part IS 'total, unit or own, see report_place 合计、单位、本级';
COMMENT ON COLUMN report_correction.place IS 'region code of the row 单位代码';
COMMENT ON COLUMN report_correction.item IS 'tier, service or kind of event; empty: all 分项';
COMMENT ON COLUMN report_correction.measure IS 'what is counted 指标';
COMMENT ON COLUMN report_correction.unit IS 'unit of the values 单位';
COMMENT ON COLUMN report_correction.old_value IS
    'as it was reported; NULL: not reported 原值(见unit列)';
COMMENT ON COLUMN report_correction.new_value IS
    'as it is counted now; NULL: no longer reported 订正值(见unit列)';
COMMENT ON COLUMN report_correction.changed_at IS
    'last change in the log "correction" that bears on it, NULL: none is logged 变更时间';

CREATE TABLE IF NOT EXISTS report_text (
    as_of timestamptz,
    region text COLLATE "C",
    version integer,
    lang text,
    format text,
    content text NOT NULL,
    PRIMARY KEY (as_of, region, version, lang, format),
    FOREIGN KEY (as_of, region, version) REFERENCES report
);
COMMENT ON TABLE report_text IS 'what was printed of a report, byte for byte 日报文本';
COMMENT ON COLUMN report_text.as_of IS 'of the report 截至时间';
COMMENT ON COLUMN report_text.region IS 'of the report 地区代码';
COMMENT ON COLUMN report_text.version IS 'of the report 版本号(编号)';
COMMENT ON COLUMN report_text.lang IS 'zh, en or both 语言';
COMMENT ON COLUMN report_text.format IS 'md, csv or html 格式';
COMMENT ON COLUMN report_text.content IS 'the document 内容';

-- A version is made in one transaction; rows of it that come later are refused: who may insert
-- reports makes versions, and adds to none.
CREATE OR REPLACE FUNCTION refuse_later_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_kept boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM added JOIN %I.report USING (as_of, region, version) '
                   'WHERE made_at <> transaction_timestamp())', TG_TABLE_SCHEMA) INTO is_kept;
    IF is_kept THEN
        RAISE 'this version of the report is kept: nothing is added to it'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION refuse_later_rows() IS
    'refuses rows of a report that is kept already 拒绝向已定稿日报追加';
DO $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['report_place', 'report_figure', 'report_finding',
                                'report_correction', 'report_text'] LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = part::regclass
                       AND tgname = 'refuse_later_rows') THEN
            EXECUTE format('CREATE TRIGGER refuse_later_rows AFTER INSERT ON %I REFERENCING '
                           'NEW TABLE AS added FOR EACH STATEMENT '
                           'EXECUTE FUNCTION refuse_later_rows()', part);
        END IF;
    END LOOP;
END $$;

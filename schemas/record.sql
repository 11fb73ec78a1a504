-- SPDX-License-Identifier: Apache-2.0
-- What people decided or published: never rebuilt, never swapped. fx-setup runs this file with
-- search_path set to the record schema (fangxian_record).

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
    topic text COLLATE "C",
    partition integer,
    first_offset bigint,
    last_offset bigint NOT NULL,
    reason text NOT NULL,
    accepted_by text NOT NULL DEFAULT current_user,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, first_offset)
);
COMMENT ON TABLE acceptance IS 'losses in Kafka that a person accepted 已接受的丢失';
COMMENT ON COLUMN acceptance.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN acceptance.partition IS 'Kafka partition 分区';
COMMENT ON COLUMN acceptance.first_offset IS 'first lost offset 起始位点';
COMMENT ON COLUMN acceptance.last_offset IS 'last lost offset 结束位点';
COMMENT ON COLUMN acceptance.reason IS 'why 原因';
COMMENT ON COLUMN acceptance.accepted_by IS 'who 接受人';
COMMENT ON COLUMN acceptance.accepted_at IS 'when 接受时间';

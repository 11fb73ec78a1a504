-- SPDX-License-Identifier: Apache-2.0
-- How far each partition is counted, and since when nothing is known of it. caught_up_at is
-- written with each flush and every 10 s when idle: silence of a source can be judged up to that
-- moment, and not after it.
CREATE OR REPLACE VIEW freshness AS
SELECT p.topic, p.partition, p.base_offset, p.next_offset,
       p.next_offset - p.base_offset AS counted_offsets,
       p.caught_up_at,
       CASE WHEN p.caught_up_at IS NULL OR p.caught_up_at < now() - interval '1 minute'
            THEN coalesce(p.caught_up_at, p.claimed_at) END AS unknown_since,
       p.claimed_by AS worker, p.claimed_at
FROM partition_position p;
COMMENT ON VIEW freshness IS 'how far each partition is counted 各分区计数进度与时效';
COMMENT ON COLUMN freshness.topic IS 'Kafka topic 主题';
COMMENT ON COLUMN freshness.partition IS 'Kafka partition 分区(编号)';
COMMENT ON COLUMN freshness.base_offset IS 'first offset this schema counted 起始位点(位点)';
COMMENT ON COLUMN freshness.next_offset IS 'next offset to count 下一位点(位点)';
COMMENT ON COLUMN freshness.counted_offsets IS 'offsets passed since the base 已处理位点数(个)';
COMMENT ON COLUMN freshness.caught_up_at IS 'no event was waiting then 最近追平时间';
COMMENT ON COLUMN freshness.unknown_since IS
    'set when that is over a minute ago: nothing is known since 自此状况不明';
COMMENT ON COLUMN freshness.worker IS 'worker that counts it 计数进程';
COMMENT ON COLUMN freshness.claimed_at IS 'when it claimed the partition 认领时间';

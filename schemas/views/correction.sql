-- SPDX-License-Identifier: Apache-2.0
-- What changed after it was reported. A cut-off (fx-setup --cut-off) says that hours before as_of
-- stand in a report; every flush that changes one of them from then on, be it a late event, a
-- reversal, a re-driven or a resent one, adds to the log "correction" in its own transaction.
-- The figures in all views are the current ones: reported = current - added.
-- A swap (fx-setup --swap) is not logged: the log says what happened within one counting, and from
-- the swap on the views show the figures of the new one.
-- Extremes and last values have no difference and are not logged.
CREATE OR REPLACE VIEW correction_by_column AS
SELECT c.changed_at, c.cutoff_at, c.rollup, c.level, c.region, r.name, r.name_latin,
       (c.bucket_start AT TIME ZONE 'Asia/Shanghai')::date AS day, c.bucket_start, c.dimensions,
       e.key AS column_name, e.value::bigint AS added, d.unit, c.id
FROM correction c
CROSS JOIN LATERAL jsonb_each_text(c.changes) e
LEFT JOIN region r ON r.code = c.region
LEFT JOIN rollup_column d ON d.rollup = c.rollup AND d.name = e.key;
COMMENT ON VIEW correction_by_column IS
    'changes to hours already reported, a row per column 订正记录(按列)';
COMMENT ON COLUMN correction_by_column.changed_at IS 'when it changed 变更时间';
COMMENT ON COLUMN correction_by_column.cutoff_at IS
    'newest cut-off that had covered the hour 所涉截止时间';
COMMENT ON COLUMN correction_by_column.rollup IS 'rollup 汇总表';
COMMENT ON COLUMN correction_by_column.level IS 'town, county or city 级别';
COMMENT ON COLUMN correction_by_column.region IS 'region code 地区代码';
COMMENT ON COLUMN correction_by_column.name IS 'name in Chinese 名称';
COMMENT ON COLUMN correction_by_column.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN correction_by_column.day IS 'day, Asia/Shanghai 日期';
COMMENT ON COLUMN correction_by_column.bucket_start IS 'start of the time step 时段起点';
COMMENT ON COLUMN correction_by_column.dimensions IS
    'values of the dimensions, in order 分组字段取值';
COMMENT ON COLUMN correction_by_column.column_name IS 'column of the rollup 列名';
COMMENT ON COLUMN correction_by_column.added IS
    'what was added, in the column''s unit 变化量(见unit列)';
COMMENT ON COLUMN correction_by_column.unit IS 'unit of the column 单位';
COMMENT ON COLUMN correction_by_column.id IS 'order of the log 顺序号(编号)';

CREATE OR REPLACE VIEW correction_daily AS
SELECT day, rollup, level, region, name, name_latin, column_name, sum(added)::bigint AS added,
       unit, count(*) AS changes, min(changed_at) AS first_changed_at,
       max(changed_at) AS last_changed_at, max(cutoff_at) AS cutoff_at
FROM correction_by_column
GROUP BY day, rollup, level, region, name, name_latin, column_name, unit;
COMMENT ON VIEW correction_daily IS
    'by how much and when a day''s figures changed after they were reported 每日订正';
COMMENT ON COLUMN correction_daily.day IS 'day, Asia/Shanghai 日期';
COMMENT ON COLUMN correction_daily.rollup IS 'rollup 汇总表';
COMMENT ON COLUMN correction_daily.level IS 'town, county or city 级别';
COMMENT ON COLUMN correction_daily.region IS 'region code 地区代码';
COMMENT ON COLUMN correction_daily.name IS 'name in Chinese 名称';
COMMENT ON COLUMN correction_daily.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN correction_daily.column_name IS 'column of the rollup 列名';
COMMENT ON COLUMN correction_daily.added IS
    'reported then + added = current, in the column''s unit 变化量合计(见unit列)';
COMMENT ON COLUMN correction_daily.unit IS 'unit of the column 单位';
COMMENT ON COLUMN correction_daily.changes IS 'log rows behind it 变更次数(次)';
COMMENT ON COLUMN correction_daily.first_changed_at IS 'first change 首次变更时间';
COMMENT ON COLUMN correction_daily.last_changed_at IS 'last change 最近变更时间';
COMMENT ON COLUMN correction_daily.cutoff_at IS 'newest cut-off that covered it 所涉截止时间';

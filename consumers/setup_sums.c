/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_rule.h"
#include "setup_sql.h"
#include "setup_views.h"

static const struct {
    const char *name;
    const char *expression;
    const char *doc;
} status_columns[] = {
    {"sources_expected", "c.expected", "sources registered at or below it 应报来源数(个)"},
    {"sources_heard", "c.heard", "those that gave a sign of life 已报来源数(个)"},
    {"missing_events", "c.missing",
     "numbers of the day that are missing, rejected or lost; an hour shows its day's "
     "缺失事件数(条)"},
    {"complete", NULL,
     "all expected heard in every hour so far, nothing missing or still to come, no run lost or "
     "cloned; NULL: none expected, or not known yet 是否完整"},
};
#define STATUS_COUNT (sizeof status_columns / sizeof status_columns[0])

void views_status(struct buf *out, const struct views_target *target)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (status_columns[i].expression != NULL)
            buf_append_format(out, ", %s AS %s", status_columns[i].expression,
                              status_columns[i].name);
    buf_append_format(out, ", CASE WHEN c.complete IS NOT NULL THEN c.complete%s%s END AS complete",
                      target->since == NULL ? "" : " AND d.starts >= ",
                      target->since == NULL ? "" : target->since);
}

void views_status_names(struct buf *out, const char *alias)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        buf_append_format(out, ", %s.%s", alias, status_columns[i].name);
}

void views_status_comments(struct buf *out, const char *relation)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        sql_comment_column(out, relation, status_columns[i].name, status_columns[i].doc);
}

void views_place_comments(struct buf *out, const char *relation, bool has_level)
{
    if (has_level)
        sql_comment_column(out, relation, "level", "city, county or town 级别");
    sql_comment_column(out, relation, "region", "region code 地区代码");
    sql_comment_column(out, relation, "name", "name in Chinese 名称");
    sql_comment_column(out, relation, "name_latin", "name in Latin letters 拉丁字母名称");
}

const char *views_is_everywhere(const struct views_target *target)
{
    return target->rollup->region_field == ENVELOPE_REGION ? "false" : "true";
}

bool views_is_sum(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM;
}

bool views_is_shown(const struct rollup_column *column, enum views_shown shown)
{
    return shown == VIEWS_ALL || views_is_sum(column) ||
           (shown == VIEWS_NO_LAST && column->aggregate != AGGREGATE_LAST);
}

static void append_aggregate(struct buf *out, const struct rollup_column *column, bool is_added)
{
    const char *name = column->name;
    if (column->aggregate == AGGREGATE_MIN)
        buf_append_format(out, ", min(t.\"%s\") AS \"%s\"", name, name);
    else if (column->aggregate == AGGREGATE_MAX)
        buf_append_format(out, ", max(t.\"%s\") AS \"%s\"", name, name);
    else if (is_added)
        /* a cell that was there before the column has not counted all its events */
        buf_append_format(out,
                          ", CASE WHEN count(t.\"%s\") = count(*) THEN sum(t.\"%s\")::bigint END"
                          " AS \"%s\"",
                          name, name, name);
    else
        buf_append_format(out, ", sum(t.\"%s\")::bigint AS \"%s\"", name, name);
}

void views_aggregates(struct buf *out, const struct views_target *target, bool with_extremes)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const struct rollup_column *column = &target->rollup->columns[i];
        if (column->aggregate == AGGREGATE_LAST || (!with_extremes && !views_is_sum(column)))
            continue;
        append_aggregate(out, column, target->is_added[i]);
    }
}

void views_values(struct buf *out, const struct views_target *target, bool with_extremes)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const struct rollup_column *column = &target->rollup->columns[i];
        if (!views_is_shown(column, with_extremes ? VIEWS_NO_LAST : VIEWS_SUMS))
            continue;
        if (!views_is_sum(column)) {
            buf_append_format(out, ", v.\"%s\"", column->name);
            continue;
        }
        buf_append_format(out, ", CASE WHEN v.cells > 0 THEN v.\"%s\" WHEN c.heard > 0%s%s",
                          column->name, target->since == NULL ? "" : " AND d.starts >= ",
                          target->since == NULL ? "" : target->since);
        buf_append_format(out, " THEN 0 END AS \"%s\"", column->name);
    }
}

void views_columns(struct buf *out, const struct views_target *target, enum views_shown shown)
{
    const struct rollup *rollup = target->rollup;
    for (int i = 0; i < rollup->column_count + rollup->derived_count; i++) {
        int index = target->order[i];
        if (index >= rollup->column_count) {
            const struct rollup_derived *derived = &rollup->derived[index - rollup->column_count];
            buf_append_text(out, ", (");
            sql_expression(out, derived->sql, target->schema_name);
            buf_append_format(out, ") AS \"%s\"", derived->name);
        } else if (views_is_shown(&rollup->columns[index], shown)) {
            buf_append_format(out, ", q.\"%s\"", rollup->columns[index].name);
        }
    }
}

void views_comments(struct buf *out, const struct views_target *target, const char *relation,
                    enum views_shown shown)
{
    const struct rollup *rollup = target->rollup;
    for (int i = 0; i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        if (views_is_shown(column, shown))
            sql_comment_number(out, relation, column->name, column->doc,
                               rollup_unit_gloss(column->unit));
    }
    for (int i = 0; i < rollup->derived_count; i++) {
        const struct rollup_derived *derived = &rollup->derived[i];
        sql_comment_number(out, relation, derived->name, derived->doc,
                           rollup_unit_gloss(rule_unit(derived->name)));
    }
}

void views_all_levels(struct buf *out, const struct views_target *target, const char *level)
{
    static const char *const levels[] = {"town", "county", "city"};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        buf_append_format(out, "%sSELECT * FROM \"%s_%s\" WHERE %s = '%s'",
                          i == 0 ? "(" : " UNION ALL ", target->rollup->name, levels[i], level,
                          levels[i]);
    buf_append_text(out, ")");
}

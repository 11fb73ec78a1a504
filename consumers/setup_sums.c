/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_sql.h"
#include "setup_views.h"

bool views_is_sum(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM;
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

void views_values(struct buf *out, const struct views_target *target)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const struct rollup_column *column = &target->rollup->columns[i];
        if (column->aggregate == AGGREGATE_LAST)
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

void views_columns(struct buf *out, const struct views_target *target, bool with_last)
{
    const struct rollup *rollup = target->rollup;
    for (int i = 0; i < rollup->column_count + rollup->derived_count; i++) {
        int index = target->order[i];
        if (index >= rollup->column_count) {
            const struct rollup_derived *derived = &rollup->derived[index - rollup->column_count];
            buf_append_text(out, ", (");
            sql_expression(out, derived->sql, target->schema_name);
            buf_append_format(out, ") AS \"%s\"", derived->name);
        } else if (with_last || rollup->columns[index].aggregate != AGGREGATE_LAST) {
            buf_append_format(out, ", q.\"%s\"", rollup->columns[index].name);
        }
    }
}

void views_comments(struct buf *out, const struct views_target *target, const char *relation)
{
    const struct rollup *rollup = target->rollup;
    for (int i = 0; i < rollup->column_count; i++)
        if (rollup->columns[i].aggregate != AGGREGATE_LAST)
            sql_comment_column(out, relation, rollup->columns[i].name, rollup->columns[i].doc);
    for (int i = 0; i < rollup->derived_count; i++)
        sql_comment_column(out, relation, rollup->derived[i].name, rollup->derived[i].doc);
}

void views_all_levels(struct buf *out, const struct views_target *target)
{
    const char *name = target->rollup->name;
    buf_append_format(out,
                      "(SELECT * FROM \"%s_town\" UNION ALL SELECT * FROM \"%s_county\" "
                      "UNION ALL SELECT * FROM \"%s_city\")",
                      name, name, name);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_sql.h"
#include "setup_views.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80
#define CHANGE "_change_"

static void comment_head(struct buf *out, const char *view)
{
    sql_comment_column(out, view, "day", views_day.doc);
    sql_comment_column(out, view, "level", "city, county or town 级别");
    sql_comment_column(out, view, "region", "region code 地区代码");
    sql_comment_column(out, view, "name", "name in Chinese 名称");
    sql_comment_column(out, view, "name_latin", "name in Latin letters 拉丁字母名称");
}

void views_append_direct(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    char view[NAME_SIZE];
    snprintf(view, sizeof view, "%s_direct", rollup->name);
    buf_append_format(out,
                      "CREATE OR REPLACE VIEW \"%s\" AS "
                      "SELECT d.day, r.level, r.code AS region, r.name, r.name_latin",
                      view);
    for (int i = 0; i < rollup->column_count + rollup->derived_count; i++) {
        int index = target->order[i];
        if (index >= rollup->column_count || !views_is_sum(&rollup->columns[index]))
            continue;
        const char *name = rollup->columns[index].name;
        buf_append_format(out, ", n.\"%s\" - coalesce(k.\"%s\", 0) AS \"%s\"", name, name, name);
    }
    buf_append_format(out,
                      " FROM \"%s_days\" d CROSS JOIN region r CROSS JOIN LATERAL "
                      "(SELECT count(*) AS cells",
                      rollup->name);
    views_aggregates(out, target, false);
    buf_append_text(out, " FROM ");
    views_all_levels(out, target);
    buf_append_text(out, " t WHERE t.region = r.code AND t.bucket_start >= d.starts AND "
                         "t.bucket_start < d.ends) n CROSS JOIN LATERAL (SELECT count(*) AS cells");
    views_aggregates(out, target, false);
    buf_append_text(out, " FROM region y JOIN ");
    views_all_levels(out, target);
    buf_append_text(out,
                    " t ON t.region = y.code WHERE y.parent = r.code AND "
                    "t.bucket_start >= d.starts AND t.bucket_start < d.ends) k WHERE n.cells > 0 "
                    "AND EXISTS (SELECT FROM region y WHERE y.parent = r.code)");
    sql_end(out);
    sql_comment(out, "VIEW", view, rollup->doc,
                "- a node's own part: itself minus its children, as far as counted 按日本级直属");
    comment_head(out, view);
    for (int i = 0; i < rollup->column_count; i++)
        if (views_is_sum(&rollup->columns[i]))
            sql_comment_column(out, view, rollup->columns[i].name, rollup->columns[i].doc);
}

bool views_stock_name(char out[ROLLUP_NAME_MAX], const char *derived)
{
    const char *change = strstr(derived, CHANGE);
    if (change == NULL || change == derived || change[strlen(CHANGE)] == '\0')
        return false;
    int stem = (int)(change - derived);
    bool is_net = stem == 3 && strncmp(derived, "net", 3) == 0;
    int size = snprintf(out, ROLLUP_NAME_MAX, "%.*s_%s", is_net ? 6 : stem,
                        is_net ? "census" : derived, change + strlen(CHANGE));
    return size > 0 && size < ROLLUP_NAME_MAX;
}

static bool is_last(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_LAST;
}

static bool has_change(const struct rollup *rollup)
{
    char name[ROLLUP_NAME_MAX];
    for (int i = 0; rollup->by_region && i < rollup->derived_count; i++)
        if (views_stock_name(name, rollup->derived[i].name))
            return true;
    return false;
}

static bool has_last(const struct rollup *rollup)
{
    for (int i = 0; rollup->by_source && i < rollup->column_count; i++)
        if (is_last(&rollup->columns[i]))
            return true;
    return false;
}

/* Running totals per region: every sum before T, then the derived changes over them. */
static void append_changes(struct buf *out, const struct views_target *target)
{
    char name[ROLLUP_NAME_MAX];
    buf_append_text(out, " LEFT JOIN (SELECT q.region");
    for (int i = 0; i < target->rollup->derived_count; i++) {
        if (!views_stock_name(name, target->rollup->derived[i].name))
            continue;
        buf_append_text(out, ", (");
        sql_expression(out, target->rollup->derived[i].sql, target->schema_name);
        buf_append_format(out, ")::bigint AS \"%s\"", name);
    }
    buf_append_text(out, " FROM (SELECT t.region");
    views_aggregates(out, target, false);
    buf_append_text(out, " FROM ");
    views_all_levels(out, target);
    buf_append_text(out, " t WHERE t.bucket_start < $1 GROUP BY t.region) q) n "
                         "ON n.region = r.code");
}

/* One column's last values before T: per source and dimensions, then summed up the tree. A place
 * that is no longer expected has left, whatever it said last. */
static void append_last(struct buf *out, const struct views_target *target, int index)
{
    const struct rollup *rollup = target->rollup;
    const char *column = rollup->columns[index].name;
    struct buf keys = BUF_INIT;
    buf_append_text(&keys, "t.source");
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(&keys, ", t.\"%s\"", target->schema->fields[rollup->dimensions[i]].name);
    buf_append_format(out,
                      " LEFT JOIN (SELECT a.ancestor, sum(x.value)::bigint AS value, "
                      "count(DISTINCT x.source) AS sources, min(x.bucket_start) AS oldest FROM "
                      "(SELECT DISTINCT ON (%s) t.source, t.bucket_start, t.\"%s\" AS value "
                      "FROM \"%s_source\" t WHERE t.bucket_start < $1 AND t.\"%s\" IS NOT NULL "
                      "ORDER BY %s, t.\"%s_last\" DESC) x JOIN source_status('%s', '%s', "
                      "$1 - interval '1 hour', $1) s ON s.source = x.source AND "
                      "(s.expected > 0 OR NOT s.is_registered) JOIN region_ancestor a "
                      "ON a.region = s.region GROUP BY a.ancestor) l%d ON l%d.ancestor = r.code",
                      buf_text(&keys), column, rollup->name, column, buf_text(&keys), column,
                      target->kind, target->topic, index, index);
    out->is_failed |= keys.is_failed;
    buf_release(&keys);
}

/* The columns that follow the names: types in RETURNS TABLE, or expressions in SELECT. */
static void append_stock_columns(struct buf *out, const struct views_target *target, bool is_types)
{
    const struct rollup *rollup = target->rollup;
    char name[ROLLUP_NAME_MAX];
    for (int i = 0; has_change(rollup) && i < rollup->derived_count; i++)
        if (views_stock_name(name, rollup->derived[i].name))
            buf_append_format(out, is_types ? ", \"%s\" bigint" : ", n.\"%s\"", name);
    for (int i = 0; has_last(rollup) && i < rollup->column_count; i++) {
        const char *column = rollup->columns[i].name;
        if (!is_last(&rollup->columns[i]))
            continue;
        if (is_types)
            buf_append_format(out,
                              ", \"%s\" bigint, \"%s_sources\" bigint, \"%s_oldest\" timestamptz",
                              column, column, column);
        else
            buf_append_format(out, ", l%d.value, l%d.sources, l%d.oldest", i, i, i);
    }
}

/* A region is shown when any of its stocks is known. */
static void append_known(struct buf *out, const struct views_target *target)
{
    const char *lead = " WHERE ";
    if (has_change(target->rollup)) {
        buf_append_format(out, "%sn.region IS NOT NULL", lead);
        lead = " OR ";
    }
    for (int i = 0; has_last(target->rollup) && i < target->rollup->column_count; i++) {
        if (!is_last(&target->rollup->columns[i]))
            continue;
        buf_append_format(out, "%sl%d.ancestor IS NOT NULL", lead, i);
        lead = " OR ";
    }
}

void views_append_stock(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    if (!has_change(rollup) && !has_last(rollup))
        return;
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_stock_at\"(at timestamptz) RETURNS TABLE "
                      "(level text, region text, name text, name_latin text",
                      rollup->name);
    append_stock_columns(out, target, true);
    buf_append_text(out, ") LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC "
                         "SELECT r.level, r.code, r.name, r.name_latin");
    append_stock_columns(out, target, false);
    buf_append_text(out, " FROM region r");
    if (has_change(rollup))
        append_changes(out, target);
    for (int i = 0; has_last(rollup) && i < rollup->column_count; i++)
        if (is_last(&rollup->columns[i]))
            append_last(out, target, i);
    append_known(out, target);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_stock_at\"(timestamptz) IS ", rollup->name);
    sql_literal(out, "stocks at a bucket's edge: running totals, and last values (value, sources "
                     "that reported, time of the oldest report used) 某时刻存量");
    sql_end(out);
}

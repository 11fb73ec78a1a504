/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_rule.h"
#include "setup_sql.h"
#include "setup_views.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80
#define CHANGE "_change_"

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

/* T is the edge of a bucket, in the CTE edge. As a subselect it is computed once, not per row. IS
 * TRUE: the tables are read whole, in their order, not through an index on the time. */
#define EDGE "(SELECT e.at FROM edge e)"
#define IS_BEFORE "(bucket_start < " EDGE ") IS TRUE"

/* Running totals per region: every sum before T, then the derived changes over them. All regions in
 * one pass: the tables are read whole, but once. A level or region that is asked for goes in. */
static void append_changes(struct buf *out, const struct views_target *target)
{
    static const char *const levels[] = {"town", "county", "city"};
    char name[ROLLUP_NAME_MAX];
    buf_append_text(out, " LEFT JOIN (SELECT q.level, q.region");
    for (int i = 0; i < target->rollup->derived_count; i++) {
        if (!views_stock_name(name, target->rollup->derived[i].name))
            continue;
        buf_append_text(out, ", (");
        sql_expression(out, target->rollup->derived[i].sql, target->schema_name);
        buf_append_format(out, ")::bigint AS \"%s\"", name);
    }
    buf_append_text(out, " FROM (SELECT t.level, t.region");
    views_aggregates(out, target, false);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        buf_append_format(out, "%sSELECT '%s'::text AS level, x.* FROM \"%s_%s\" x",
                          i == 0 ? " FROM (" : " UNION ALL ", levels[i], target->rollup->name,
                          levels[i]);
    buf_append_text(out, ") t WHERE " IS_BEFORE " GROUP BY t.level, t.region) q) n "
                         "ON n.level = c.of_level AND n.region = c.region");
}

/* One column's last values before T: per source and dimensions (the newest value stands in the
 * newest bucket), then summed up the tree. A place that is no longer expected has left, whatever it
 * said last. */
static void append_last(struct buf *out, const struct views_target *target, int index)
{
    const struct rollup *rollup = target->rollup;
    const char *column = rollup->columns[index].name;
    struct buf keys = BUF_INIT;
    buf_append_text(&keys, "source");
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(&keys, ", \"%s\"", target->schema->fields[rollup->dimensions[i]].name);
    buf_append_format(out,
                      " LEFT JOIN (SELECT a.ancestor, sum(x.value)::bigint AS value, "
                      "count(DISTINCT x.source) AS sources, min(x.bucket_start) AS oldest FROM "
                      "(SELECT source, bucket_start, t.\"%s\" AS value FROM (SELECT %s, "
                      "max(o.bucket_start) AS bucket_start FROM \"%s_source\" o "
                      "WHERE " IS_BEFORE " AND o.\"%s\" IS NOT NULL GROUP BY %s) n "
                      "JOIN \"%s_source\" t USING (bucket_start, %s)) x "
                      "JOIN source_status('%s', '%s', " EDGE " - interval '1 hour', " EDGE
                      ") s ON s.source = x.source AND "
                      "(s.expected > 0 OR NOT s.is_registered) JOIN region_ancestor a "
                      "ON a.region = s.region GROUP BY a.ancestor) l%d ON l%d.ancestor = c.region",
                      column, buf_text(&keys), rollup->name, column, buf_text(&keys), rollup->name,
                      buf_text(&keys), target->kind, target->topic, index, index);
    out->is_failed |= keys.is_failed;
    buf_release(&keys);
}

/* What is written for each stock, in order. */
enum text { TEXT_TYPES, TEXT_VALUES, TEXT_COMMENTS };

static void append_change_column(struct buf *out, const struct views_target *target, int index,
                                 enum text text)
{
    const struct rollup_derived *derived = &target->rollup->derived[index];
    char name[ROLLUP_NAME_MAX];
    char view[NAME_SIZE];
    char doc[200];
    if (!views_stock_name(name, derived->name))
        return;
    snprintf(view, sizeof view, "%s_stock", target->rollup->name);
    snprintf(doc, sizeof doc, "stock: running sum of %s 存量", derived->name);
    if (text == TEXT_TYPES)
        buf_append_format(out, ", \"%s\" bigint", name);
    else if (text == TEXT_VALUES)
        buf_append_format(out, ", n.\"%s\"", name);
    else
        sql_comment_number(out, view, name, doc, rollup_unit_gloss(rule_unit(derived->name)));
}

static void append_last_column(struct buf *out, const struct views_target *target, int index,
                               enum text text)
{
    const struct rollup_column *column = &target->rollup->columns[index];
    const char *name = column->name;
    char view[NAME_SIZE];
    char other[NAME_SIZE];
    if (column->aggregate != AGGREGATE_LAST)
        return;
    snprintf(view, sizeof view, "%s_stock", target->rollup->name);
    if (text == TEXT_TYPES) {
        buf_append_format(out, ", \"%s\" bigint, \"%s_sources\" bigint, \"%s_oldest\" timestamptz",
                          name, name, name);
    } else if (text == TEXT_VALUES) {
        buf_append_format(out, ", l%d.value, l%d.sources, l%d.oldest", index, index, index);
    } else {
        sql_comment_number(out, view, name, column->doc, rollup_unit_gloss(column->unit));
        snprintf(other, sizeof other, "%s_sources", name);
        sql_comment_column(out, view, other, "sources whose report is in it 采用的来源数(个)");
        snprintf(other, sizeof other, "%s_oldest", name);
        sql_comment_column(out, view, other,
                           "start of the hour of the oldest report in it 最早采用的上报时段");
    }
}

static void append_stock_columns(struct buf *out, const struct views_target *target, enum text text)
{
    for (int i = 0; i < target->rollup->derived_count; i++)
        if (has_change(target->rollup))
            append_change_column(out, target, i, text);
    for (int i = 0; i < target->rollup->column_count; i++)
        append_last_column(out, target, i, text);
}

/* A region is shown when any of its stocks is known. */
static void append_known(struct buf *out, const struct views_target *target)
{
    const char *lead = " WHERE ";
    if (has_change(target->rollup)) {
        buf_append_format(out, "%sn.region IS NOT NULL", lead);
        lead = " OR ";
    }
    for (int i = 0; i < target->rollup->column_count; i++) {
        if (target->rollup->columns[i].aggregate != AGGREGATE_LAST)
            continue;
        buf_append_format(out, "%sl%d.ancestor IS NOT NULL", lead, i);
        lead = " OR ";
    }
}

/* The stocks with all that is counted, so at the end of the bucket that is being counted; its
 * columns say what those of the function mean. */
static void append_stock_view(struct buf *out, const struct views_target *target)
{
    char view[NAME_SIZE];
    snprintf(view, sizeof view, "%s_stock", target->rollup->name);
    buf_append_format(out,
                      "CREATE OR REPLACE VIEW \"%s\" AS SELECT s.* FROM kind_clock k CROSS JOIN "
                      "LATERAL \"%s_at\"(bucket_end('%s', coalesce(k.judged_at, now()))) s "
                      "WHERE k.kind = '%s'",
                      view, view, target->rollup->name, target->kind);
    sql_end(out);
    sql_comment(out, "VIEW", view, target->rollup->doc, "- stocks, as far as counted 当前存量");
    views_place_comments(out, view, true);
    views_status_comments(out, view);
    sql_comment_column(out, view, "missing_events",
                       "numbers missing, rejected or lost, of this day and all before: a stock "
                       "needs them all 缺失事件数(条)");
    append_stock_columns(out, target, TEXT_COMMENTS);
}

void views_append_stock(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    if (!has_change(rollup) && !has_last(rollup))
        return;
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_stock_at\"(at timestamptz) RETURNS TABLE "
                      "(level text, region text, name text, name_latin text, sources_expected "
                      "bigint, sources_heard bigint, missing_events bigint, complete boolean",
                      rollup->name);
    append_stock_columns(out, target, TEXT_TYPES);
    buf_append_format(out,
                      ") LANGUAGE sql STABLE SET jit = off BEGIN ATOMIC WITH edge AS MATERIALIZED "
                      "(SELECT bucket_edge('%s', $1) AS at) SELECT c.of_level, c.region, c.name, "
                      "c.name_latin, c.expected, c.heard, c.missing, c.complete",
                      rollup->name);
    append_stock_columns(out, target, TEXT_VALUES);
    buf_append_format(out, " FROM edge CROSS JOIN LATERAL stock_status('%s', '%s', %s, edge.at) c",
                      target->kind, target->topic, views_is_everywhere(target));
    if (has_change(rollup))
        append_changes(out, target);
    for (int i = 0; i < rollup->column_count; i++)
        if (rollup->columns[i].aggregate == AGGREGATE_LAST)
            append_last(out, target, i);
    append_known(out, target);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_stock_at\"(timestamptz) IS ", rollup->name);
    sql_literal(out, "stocks at the last edge of a bucket by then: running totals, and last "
                     "values (value, sources that reported, time of the oldest report used) "
                     "某时刻存量");
    sql_end(out);
    append_stock_view(out, target);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "levels.h"
#include "setup_rule.h"
#include "setup_sql.h"
#include "setup_views.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80

static bool is_last(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_LAST;
}

/* T is the edge of a bucket. As a subselect it is computed once, not per row. */
static void append_edge(struct buf *out, const struct views_target *target)
{
    buf_append_format(out, "(SELECT bucket_edge('%s', $1))", target->rollup->name);
}

/* Each dimension: lead"name"trail. */
static void append_dimensions(struct buf *out, const struct views_target *target, const char *lead,
                              const char *trail)
{
    for (int i = 0; i < target->rollup->dimension_count; i++)
        buf_append_format(out, "%s\"%s\"%s", lead,
                          target->schema->fields[target->rollup->dimensions[i]].name, trail);
}

/* " AND t.x = n.x" of each dimension. */
static void append_same_dimensions(struct buf *out, const struct views_target *target)
{
    for (int i = 0; i < target->rollup->dimension_count; i++) {
        const char *name = target->schema->fields[target->rollup->dimensions[i]].name;
        buf_append_format(out, " AND t.\"%s\" = n.\"%s\"", name, name);
    }
}

/* Whether a sum was added to a running system: NULL in rows that were there before. */
static bool has_added(const struct views_target *target)
{
    for (int i = 0; i < target->rollup->column_count; i++)
        if (views_is_sum(&target->rollup->columns[i]) && target->is_added[i])
            return true;
    return false;
}

/* Cells or totals of a level: level, region, source if there are sources (one of them is NULL),
 * dimensions. */
static void append_keys(struct buf *out, const struct views_target *target, int level)
{
    const char *suffix = levels_suffix(level);
    if (level == LEVEL_SOURCE)
        buf_append_format(out, "SELECT '%s'::text AS level, NULL::text AS region, t.source",
                          suffix);
    else
        buf_append_format(out, "SELECT '%s'::text AS level, t.region%s", suffix,
                          target->rollup->by_source ? ", NULL::text AS source" : "");
    append_dimensions(out, target, ", t.", "");
}

/* Each sum, as it is or taken away. */
static void append_sums(struct buf *out, const struct views_target *target, const char *sign)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const char *name = target->rollup->columns[i].name;
        if (views_is_sum(&target->rollup->columns[i]))
            buf_append_format(out, ", %st.\"%s\" AS \"%s\"", sign, name, name);
    }
}

/*
 * What adds up to a level's cells before T: the totals of all, and the cells from T on, taken away.
 * These are few where T lies near the end, and found by the index on the time: a range with a known
 * end looks small to the planner. first_bucket tells whether there was any cell before T.
 *
 * Where a sum was added later, a total does not tell which of its cells had it: all are read.
 */
static void append_total_level(struct buf *out, const struct views_target *target, int level)
{
    const char *rollup = target->rollup->name;
    const char *suffix = levels_suffix(level);
    append_keys(out, target, level);
    if (has_added(target)) {
        buf_append_text(out, ", t.bucket_start AS first_bucket");
        append_sums(out, target, "");
        buf_append_format(out, " FROM \"%s_%s\" t WHERE (t.bucket_start < ", rollup, suffix);
        append_edge(out, target);
        buf_append_text(out, ") IS TRUE");
        return;
    }
    buf_append_text(out, ", t.first_bucket");
    append_sums(out, target, "");
    buf_append_format(out, " FROM \"%s_%s_total\" t UNION ALL ", rollup, suffix);
    append_keys(out, target, level);
    buf_append_text(out, ", NULL");
    append_sums(out, target, "-");
    buf_append_format(out, " FROM \"%s_%s\" t WHERE t.bucket_start >= ", rollup, suffix);
    append_edge(out, target);
    buf_append_text(out, " AND t.bucket_start < 'infinity'");
}

static void append_total_from(struct buf *out, const struct views_target *target)
{
    const char *between = " FROM (";
    for (int level = 0; level < LEVEL_COUNT; level++) {
        if (!levels_has(target->rollup, level))
            continue;
        buf_append_text(out, between);
        append_total_level(out, target, level);
        between = " UNION ALL ";
    }
    buf_append_format(out, ") t GROUP BY t.level, t.region%s",
                      target->rollup->by_source ? ", t.source" : "");
    append_dimensions(out, target, ", t.", "");
    buf_append_text(out, " HAVING min(t.first_bucket) < ");
    append_edge(out, target);
}

/* A part of every query that asks it, so that a level that is not asked for is not read. */
static void append_total_before(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_total_before\"(at timestamptz) RETURNS "
                      "TABLE (level text, region text%s",
                      rollup->name, rollup->by_source ? ", source text" : "");
    append_dimensions(out, target, ", ", " text");
    for (int i = 0; i < rollup->column_count; i++)
        if (views_is_sum(&rollup->columns[i]))
            buf_append_format(out, ", \"%s\" bigint", rollup->columns[i].name);
    buf_append_format(out, ") LANGUAGE sql STABLE BEGIN ATOMIC SELECT t.level, t.region%s",
                      rollup->by_source ? ", t.source" : "");
    append_dimensions(out, target, ", t.", "");
    views_aggregates(out, target, false);
    append_total_from(out, target);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_total_before\"(timestamptz) IS ",
                      rollup->name);
    sql_literal(out, "all that was counted in buckets that ended by then, per town, county, city, "
                     "source and value of the dimensions 截至某时累计");
    sql_end(out);
}

/* The newest value before T, per column and row of the totals: the totals know where the newest of
 * all stands, so that nothing is searched unless T lies before it. */
static void append_last_before(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_last_before\"(at timestamptz) RETURNS "
                      "TABLE (source text",
                      rollup->name);
    append_dimensions(out, target, ", ", " text");
    for (int i = 0; i < rollup->column_count; i++)
        if (is_last(&rollup->columns[i]))
            buf_append_format(out, ", \"%s\" bigint, \"%s_at\" timestamptz",
                              rollup->columns[i].name, rollup->columns[i].name);
    buf_append_text(out, ") LANGUAGE sql STABLE BEGIN ATOMIC SELECT n.source");
    append_dimensions(out, target, ", n.", "");
    for (int i = 0; i < rollup->column_count; i++)
        if (is_last(&rollup->columns[i]))
            buf_append_format(out, ", l%d.value, l%d.bucket_start", i, i);
    buf_append_format(out, " FROM \"%s_source_total\" n", rollup->name);
    for (int i = 0; i < rollup->column_count; i++) {
        const char *name = rollup->columns[i].name;
        if (!is_last(&rollup->columns[i]))
            continue;
        buf_append_format(out,
                          " LEFT JOIN LATERAL (SELECT t.\"%s\" AS value, t.bucket_start FROM "
                          "\"%s_source\" t WHERE t.source = n.source",
                          name, rollup->name);
        append_same_dimensions(out, target);
        buf_append_format(
            out,
            " AND t.\"%s\" IS NOT NULL AND t.bucket_start <= n.\"%s_at\" AND t.bucket_start < ",
            name, name);
        append_edge(out, target);
        buf_append_format(out, " ORDER BY t.bucket_start DESC LIMIT 1) l%d ON true", i);
    }
    buf_append_text(out, " WHERE n.first_bucket < ");
    append_edge(out, target);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_last_before\"(timestamptz) IS ", rollup->name);
    sql_literal(out, "last values in buckets that ended by then, per source and value of the "
                     "dimensions, and the starts of their buckets 截至某时最近上报");
    sql_end(out);
}

/* Running totals per region, then the derived changes over them. */
static void append_changes(struct buf *out, const struct views_target *target)
{
    char name[ROLLUP_NAME_MAX];
    buf_append_text(out, " LEFT JOIN (SELECT q.region");
    for (int i = 0; i < target->rollup->derived_count; i++) {
        if (!rollup_stock_name(name, target->rollup->derived[i].name))
            continue;
        buf_append_text(out, ", (");
        sql_expression(out, target->rollup->derived[i].sql, target->schema_name);
        buf_append_format(out, ")::bigint AS \"%s\"", name);
    }
    buf_append_text(out, " FROM (SELECT t.region");
    views_aggregates(out, target, false);
    buf_append_format(out,
                      " FROM \"%s_total_before\"($1) t WHERE t.level <> 'source' GROUP BY "
                      "t.region) q) n ON n.region = c.region",
                      target->rollup->name);
}

/* Last values, summed up the tree. A place that is no longer expected has left, whatever it said
 * last. */
static void append_last(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    const char *lead = " WHERE ";
    buf_append_text(out, " LEFT JOIN (SELECT a.ancestor");
    for (int i = 0; i < rollup->column_count; i++) {
        const char *name = rollup->columns[i].name;
        if (is_last(&rollup->columns[i]))
            buf_append_format(out,
                              ", sum(x.\"%s\")::bigint AS value%d, nullif(count(DISTINCT x.source) "
                              "FILTER (WHERE x.\"%s\" IS NOT NULL), 0) AS sources%d, "
                              "min(x.\"%s_at\") AS oldest%d",
                              name, i, name, i, name, i);
    }
    buf_append_format(out,
                      " FROM \"%s_last_before\"($1) x JOIN status s ON s.source = x.source AND "
                      "(s.expected > 0 OR NOT s.is_registered) JOIN region_ancestor a ON "
                      "a.region = s.region",
                      rollup->name);
    for (int i = 0; i < rollup->column_count; i++) {
        if (!is_last(&rollup->columns[i]))
            continue;
        buf_append_format(out, "%sx.\"%s\" IS NOT NULL", lead, rollup->columns[i].name);
        lead = " OR ";
    }
    buf_append_text(out, " GROUP BY a.ancestor) l ON l.ancestor = c.region");
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
    if (!rollup_stock_name(name, derived->name))
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
    if (!is_last(column))
        return;
    snprintf(view, sizeof view, "%s_stock", target->rollup->name);
    if (text == TEXT_TYPES) {
        buf_append_format(out, ", \"%s\" bigint, \"%s_sources\" bigint, \"%s_oldest\" timestamptz",
                          name, name, name);
    } else if (text == TEXT_VALUES) {
        buf_append_format(out, ", l.value%d, l.sources%d, l.oldest%d", index, index, index);
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
        if (rollup_has_change(target->rollup))
            append_change_column(out, target, i, text);
    for (int i = 0; i < target->rollup->column_count; i++)
        append_last_column(out, target, i, text);
}

/* A region is shown when any of its stocks is known. */
static void append_known(struct buf *out, const struct views_target *target)
{
    bool has_change = rollup_has_change(target->rollup);
    bool has_last = rollup_has_last(target->rollup);
    buf_append_format(
        out, " WHERE c.source IS NULL AND (%s%s%s)", has_change ? "n.region IS NOT NULL" : "",
        has_change && has_last ? " OR " : "", has_last ? "l.ancestor IS NOT NULL" : "");
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

static void append_stock_at(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_stock_at\"(at timestamptz) RETURNS TABLE "
                      "(level text, region text, name text, name_latin text, sources_expected "
                      "bigint, sources_heard bigint, missing_events bigint, complete boolean",
                      rollup->name);
    append_stock_columns(out, target, TEXT_TYPES);
    buf_append_format(
        out,
        ") LANGUAGE sql STABLE SET jit = off BEGIN ATOMIC WITH status AS "
        "MATERIALIZED (SELECT s.* FROM (SELECT bucket_edge('%s', $1) AS at OFFSET 0) e "
        "CROSS JOIN LATERAL stock_status('%s', '%s', %s, e.at) s) SELECT c.of_level, "
        "c.region, c.name, c.name_latin, c.expected, c.heard, c.missing, c.complete",
        rollup->name, target->kind, target->topic, views_is_everywhere(target));
    append_stock_columns(out, target, TEXT_VALUES);
    buf_append_text(out, " FROM status c");
    if (rollup_has_change(rollup))
        append_changes(out, target);
    if (rollup_has_last(rollup))
        append_last(out, target);
    append_known(out, target);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_stock_at\"(timestamptz) IS ", rollup->name);
    sql_literal(out, "stocks at the last edge of a bucket by then: running totals, and last "
                     "values (value, sources that reported, time of the oldest report used) "
                     "某时刻存量");
    sql_end(out);
}

void views_append_stock(struct buf *out, const struct views_target *target)
{
    bool has_change = rollup_has_change(target->rollup);
    bool has_last = rollup_has_last(target->rollup);
    if (has_change)
        append_total_before(out, target);
    if (has_last)
        append_last_before(out, target);
    if (!has_change && !has_last)
        return;
    append_stock_at(out, target);
    append_stock_view(out, target);
}

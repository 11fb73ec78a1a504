/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_recount.h"

#include <string.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIMIT " LIMIT " TEXT(AUDIT_BREACHES_MAX)
#define RUN_KEY "concat_ws(' ', topic, source, lpad(to_hex(run), 12, '0'))"
#define COLUMNS "rule, \"table\", key, \"column\", found, expected, explanation"

/* Reversals whose original is not counted (any more, or yet): they may make a cell negative. */
#define EARLY                                                                                      \
    "early AS MATERIALIZED (SELECT v.topic, v.source, v.source || ':' || "                         \
    "lpad(to_hex(v.reversed_run), 12, '0') || ':' || v.reversed_seq AS original "                  \
    "FROM reversal v LEFT JOIN source_ledger l ON l.topic = v.topic AND l.source = v.source "      \
    "AND l.run = v.reversed_run WHERE l.run IS NULL OR v.reversed_seq > l.high OR EXISTS "         \
    "(SELECT FROM source_gap g WHERE g.topic = v.topic AND g.source = v.source AND "               \
    "g.run = v.reversed_run AND v.reversed_seq BETWEEN g.first_seq AND g.last_seq))"

static const char ledger_sql[] =
    "WITH gap AS (SELECT topic, source, run, count(*) AS gaps, min(first_seq) AS first_seq, "
    "max(last_seq) AS last_seq, sum(last_seq - first_seq + 1) AS length "
    "FROM source_gap GROUP BY topic, source, run), "
    "run AS (SELECT l.*, coalesce(g.gaps, 0) AS met_gaps, coalesce(g.length, 0) AS length, "
    "g.first_seq, g.last_seq FROM source_ledger l LEFT JOIN gap g USING (topic, source, run)), "
    "day AS (SELECT topic, source, run, day, first_seq, last_seq, false AS is_newest "
    "FROM source_day UNION ALL "
    "SELECT topic, source, run, day, day_first_seq, high, true FROM source_ledger "
    "WHERE day IS NOT NULL), "
    "tiled AS (SELECT d.*, coalesce(lag(d.last_seq) OVER (PARTITION BY d.topic, d.source, d.run "
    "ORDER BY d.day, d.is_newest), 0) + 1 AS wanted FROM day d), "
    "breach AS ("
    "SELECT 'counted + gaps = high' AS rule, 'source_ledger' AS \"table\", " RUN_KEY " AS key, "
    "'counted' AS \"column\", (counted + length)::text AS found, high::text AS expected "
    "FROM run WHERE counted + length <> high "
    "UNION ALL SELECT 'gaps = rows of source_gap', 'source_ledger', " RUN_KEY
    ", 'gaps', gaps::text, met_gaps::text FROM run WHERE gaps <> met_gaps "
    "UNION ALL SELECT 'gaps lie in 1 to high', 'source_gap', " RUN_KEY
    ", 'first_seq', first_seq || '-' || last_seq, '1-' || high "
    "FROM run WHERE first_seq < 1 OR last_seq > high "
    "UNION ALL SELECT 'gaps are disjoint', 'source_gap', " RUN_KEY
    ", 'first_seq', first_seq || '-' || last_seq, 'above ' || before FROM ("
    "SELECT g.*, lag(last_seq, 1, 0::bigint) OVER (PARTITION BY topic, source, run "
    "ORDER BY first_seq) AS before FROM source_gap g) g "
    "WHERE first_seq <= before OR last_seq < first_seq "
    "UNION ALL SELECT 'a gap is of a run', 'source_gap', " RUN_KEY
    ", 'run', 'no row in source_ledger', 'a row' FROM gap g WHERE NOT EXISTS (SELECT FROM "
    "source_ledger l WHERE l.topic = g.topic AND l.source = g.source AND l.run = g.run) "
    "UNION ALL SELECT 'days tile 1 to high', CASE WHEN is_newest THEN 'source_ledger' "
    "ELSE 'source_day' END, " RUN_KEY " || ' ' || day, 'first_seq', first_seq || '-' || last_seq, "
    "'from ' || wanted FROM tiled WHERE first_seq <> wanted OR first_seq IS NULL OR "
    "last_seq < first_seq - is_newest::integer "
    "UNION ALL SELECT 'a run lives in a known partition', 'source_ledger', " RUN_KEY
    ", 'partition', l.partition::text, 'a row in partition_position' FROM source_ledger l "
    "WHERE NOT EXISTS (SELECT FROM partition_position p WHERE p.topic = l.topic AND "
    "p.partition = l.partition) "
    "UNION ALL SELECT 'counts are not negative', 'source_ledger', " RUN_KEY
    ", c.name, c.value::text, 'at least 0' FROM source_ledger CROSS JOIN LATERAL (VALUES "
    "('high', high), ('counted', counted), ('duplicates', duplicates), ('late', late), "
    "('clock_corrected', clock_corrected), ('rejected', rejected), ('announced', announced), "
    "('acked', acked), ('refused', refused)) c (name, value) WHERE c.value < 0 "
    "UNION ALL SELECT 'counts are not negative', 'source_tally', concat_ws(' ', topic, source, "
    "day), c.name, c.value::text, 'at least 0' FROM source_tally CROSS JOIN LATERAL (VALUES "
    "('duplicates', duplicates), ('late', late), ('clock_corrected', clock_corrected)) "
    "c (name, value) WHERE c.value < 0 "
    "UNION ALL SELECT 'positions only rise', 'partition_position', topic || ' ' || partition, "
    "'next_offset', next_offset::text, 'at least ' || base_offset FROM partition_position "
    "WHERE next_offset < base_offset OR base_offset < 0 "
    "UNION ALL SELECT 'a reversal is counted', 'reversal', concat_ws(' ', v.topic, v.source, "
    "lpad(to_hex(v.run), 12, '0')), 'seq', v.seq::text, 'a counted number' FROM reversal v "
    "LEFT JOIN source_ledger l ON l.topic = v.topic AND l.source = v.source AND l.run = v.run "
    "WHERE l.run IS NULL OR v.seq > l.high OR EXISTS (SELECT FROM source_gap g WHERE "
    "g.topic = v.topic AND g.source = v.source AND g.run = v.run AND "
    "v.seq BETWEEN g.first_seq AND g.last_seq)) "
    "SELECT rule, \"table\", key, \"column\", found, expected, NULL::text AS explanation "
    "FROM breach ORDER BY rule, key" LIMIT;

const char *audit_ledger_sql(void)
{
    return ledger_sql;
}

static const char *definition(const struct audit_rollup *rollup, const char *column)
{
    const char *cell = audit_rows_cell(rollup->definitions, rollup->row, column);
    return cell == NULL ? "" : cell;
}

static bool is(const struct audit_rollup *rollup, const char *column)
{
    return audit_rows_is_true(rollup->definitions, rollup->row, column);
}

static const char *column(const struct audit_rollup *rollup, int row, const char *what)
{
    const char *cell = audit_rows_cell(rollup->columns, row, what);
    return cell == NULL ? "" : cell;
}

/* Whether the row is a column of the rollup that any of its tables adds or compares. */
static bool is_column(const struct audit_rollup *rollup, int row)
{
    const char *aggregate = column(rollup, row, "aggregate");
    return strcmp(column(rollup, row, "rollup"), definition(rollup, "rollup")) == 0 &&
           strcmp(aggregate, "last") != 0 && strcmp(aggregate, "derived") != 0;
}

static bool is_sum(const struct audit_rollup *rollup, int row)
{
    const char *aggregate = column(rollup, row, "aggregate");
    return strcmp(aggregate, "count") == 0 || strcmp(aggregate, "sum") == 0;
}

/* For each dimension of "post_type, round": before, prefix."name", after. */
static void each_dimension(struct buf *out, const struct audit_rollup *rollup, const char *format)
{
    const char *at = definition(rollup, "dimensions");
    while (*at != '\0') {
        int size = (int)strcspn(at, ", ");
        for (const char *c = format; *c != '\0'; c++)
            if (*c == '@')
                buf_append_format(out, "\"%.*s\"", size, at);
            else
                buf_append_byte(out, (uint8_t)*c);
        at += size;
        at += strspn(at, ", ");
    }
}

/* All cells by region, with the parent of each. */
static void append_cells(struct buf *out, const struct audit_rollup *rollup)
{
    const char *name = definition(rollup, "rollup");
    buf_append_format(out,
                      "(SELECT t.*, r.parent FROM (SELECT * FROM \"%s_town\" UNION ALL SELECT * "
                      "FROM \"%s_county\" UNION ALL SELECT * FROM \"%s_city\") t LEFT JOIN region "
                      "r ON r.code = t.region)",
                      name, name, name);
}

/* ", sum(t.c) AS c", NULL where one of the cells is. */
static void append_sums(struct buf *out, const struct audit_rollup *rollup)
{
    for (int i = 0; i < rollup->columns->count; i++) {
        const char *name = column(rollup, i, "name");
        if (!is_column(rollup, i))
            continue;
        if (is_sum(rollup, i))
            buf_append_format(out,
                              ", CASE WHEN count(t.\"%s\") = count(*) THEN sum(t.\"%s\") END AS "
                              "\"%s\"",
                              name, name, name);
        else
            buf_append_format(out, ", %s(t.\"%s\") AS \"%s\"", column(rollup, i, "aggregate"), name,
                              name);
    }
}

/* ", ('c', is it a breach, found, expected)" of each column: a parent p, the sum s of its parts. */
static void append_comparisons(struct buf *out, const struct audit_rollup *rollup, bool is_equal)
{
    for (int i = 0; i < rollup->columns->count; i++) {
        const char *name = column(rollup, i, "name");
        bool has_free_sign = audit_rows_is_true(rollup->columns, i, "may_be_negative");
        bool is_min = strcmp(column(rollup, i, "aggregate"), "min") == 0;
        if (!is_column(rollup, i) || (is_sum(rollup, i) && has_free_sign && !is_equal))
            continue;
        buf_append_format(out, ", ('%s', ", name);
        if (is_sum(rollup, i))
            buf_append_format(out, "p.\"%s\" %s s.\"%s\"", name, is_equal ? "<>" : "<", name);
        else if (is_equal)
            buf_append_format(out, "p.\"%s\" IS DISTINCT FROM s.\"%s\"", name, name);
        else
            buf_append_format(out,
                              "coalesce(p.\"%s\" %s s.\"%s\", p.\"%s\" IS NULL AND "
                              "s.\"%s\" IS NOT NULL)",
                              name, is_min ? ">" : "<", name, name, name);
        buf_append_format(out, ", p.\"%s\"::text, '%s' || s.\"%s\")", name,
                          is_equal ? "" : (is_min ? "at most " : "at least "), name);
    }
}

/* The most that a sum lacks may be explained by reversals: the first of them. */
static void append_explanation(struct buf *out, const struct audit_rollup *rollup,
                               const char *condition)
{
    buf_append_format(out,
                      "(SELECT 'a reversal counted before its original ' || min(e.original) FROM "
                      "early e WHERE e.topic = '%s'%s HAVING count(*) > 0)",
                      definition(rollup, "topic"), condition);
}

static void append_children(struct buf *out, const struct audit_rollup *rollup)
{
    buf_append_text(out, "WITH " EARLY ", cell AS MATERIALIZED ");
    append_cells(out, rollup);
    buf_append_format(out,
                      " SELECT 'a node is at least its children' AS rule, '%s_' || r.level AS "
                      "\"table\", concat_ws(' ', s.parent, s.bucket_start",
                      definition(rollup, "rollup"));
    each_dimension(out, rollup, ", s.@");
    buf_append_text(out, ") AS key, v.name AS \"column\", v.found, v.expected, ");
    append_explanation(out, rollup, "");
    buf_append_text(out, " AS explanation FROM (SELECT t.parent, t.bucket_start");
    each_dimension(out, rollup, ", t.@");
    append_sums(out, rollup);
    buf_append_text(out, " FROM cell t WHERE t.parent IS NOT NULL GROUP BY t.parent, "
                         "t.bucket_start");
    each_dimension(out, rollup, ", t.@");
    buf_append_text(out, ") s LEFT JOIN cell p ON p.region = s.parent AND "
                         "p.bucket_start = s.bucket_start");
    each_dimension(out, rollup, " AND p.@ = s.@");
    buf_append_text(out, " LEFT JOIN region r ON r.code = s.parent CROSS JOIN LATERAL (VALUES "
                         "(NULL::text, p.region IS NULL, 'no row', 'a row')");
    append_comparisons(out, rollup, false);
    buf_append_text(out, ") v (name, is_breach, found, expected) WHERE v.is_breach" LIMIT);
}

/* One side of the comparison with the sources: their table, or the roots'. */
static void append_side(struct buf *out, const struct audit_rollup *rollup, bool is_source)
{
    buf_append_text(out, "(SELECT t.bucket_start");
    each_dimension(out, rollup, ", t.@");
    append_sums(out, rollup);
    buf_append_text(out, " FROM ");
    if (is_source)
        buf_append_format(out, "\"%s_source\"", definition(rollup, "rollup"));
    else
        append_cells(out, rollup);
    buf_append_format(out, " t%s GROUP BY t.bucket_start",
                      is_source ? "" : " WHERE t.parent IS NULL");
    each_dimension(out, rollup, ", t.@");
    buf_append_byte(out, ')');
}

static void append_roots(struct buf *out, const struct audit_rollup *rollup)
{
    const char *name = definition(rollup, "rollup");
    buf_append_format(out,
                      "SELECT 'the roots are all sources' AS rule, '%s_city' AS \"table\", "
                      "concat_ws(' ', coalesce(p.bucket_start, s.bucket_start)",
                      name);
    each_dimension(out, rollup, ", coalesce(p.@, s.@)");
    buf_append_text(out, ") AS key, v.name AS \"column\", v.found, v.expected, NULL::text AS "
                         "explanation FROM ");
    append_side(out, rollup, false);
    buf_append_text(out, " p FULL JOIN ");
    append_side(out, rollup, true);
    buf_append_text(out, " s ON p.bucket_start = s.bucket_start");
    each_dimension(out, rollup, " AND p.@ = s.@");
    buf_append_text(out, " CROSS JOIN LATERAL (VALUES (NULL::text, (p.bucket_start IS NULL) <> "
                         "(s.bucket_start IS NULL), CASE WHEN p.bucket_start IS NULL THEN "
                         "'no row' ELSE 'a row' END, 'one on both sides')");
    append_comparisons(out, rollup, true);
    buf_append_text(out, ") v (name, is_breach, found, expected) WHERE v.is_breach" LIMIT);
}

/* The column that counts every event; -1: none. */
static int find_total(const struct audit_rollup *rollup)
{
    for (int i = 0; i < rollup->columns->count; i++)
        if (is_column(rollup, i) && strcmp(column(rollup, i, "rule"), "count") == 0)
            return i;
    return -1;
}

static void append_events(struct buf *out, const struct audit_rollup *rollup)
{
    int total = find_total(rollup);
    if (total < 0)
        return;
    const char *name = column(rollup, total, "name");
    const char *topic = definition(rollup, "topic");
    buf_append_format(
        out,
        "SELECT 'a source''s events are its counted numbers' AS rule, '%s_source' AS \"table\", "
        "coalesce(f.source, l.source) AS key, '%s' AS \"column\", coalesce(f.events, 0)::text AS "
        "found, (coalesce(l.counted, 0) - 2 * coalesce(v.reversals, 0))::text AS expected, "
        "NULL::text AS explanation FROM (SELECT source, sum(\"%s\") AS events, "
        "count(*) - count(\"%s\") AS unknown FROM \"%s_source\" GROUP BY source) f "
        "FULL JOIN (SELECT source, sum(counted) AS counted FROM source_ledger WHERE topic = '%s' "
        "GROUP BY source) l ON l.source = f.source LEFT JOIN (SELECT source, count(*) AS reversals "
        "FROM reversal WHERE topic = '%s' GROUP BY source) v ON v.source = "
        "coalesce(f.source, l.source) WHERE coalesce(f.unknown, 0) = 0 AND coalesce(f.events, 0) "
        "<> coalesce(l.counted, 0) - 2 * coalesce(v.reversals, 0)" LIMIT,
        definition(rollup, "rollup"), name, name, name, definition(rollup, "rollup"), topic, topic);
}

/* One table's negative cells. */
static void append_negative_of(struct buf *out, const struct audit_rollup *rollup,
                               const char *suffix)
{
    bool is_source = strcmp(suffix, "source") == 0;
    const char *name = definition(rollup, "rollup");
    buf_append_format(out,
                      "SELECT 'no cell is negative' AS rule, '%s_%s' AS \"table\", "
                      "concat_ws(' ', t.\"%s\", t.bucket_start",
                      name, suffix, is_source ? "source" : "region");
    each_dimension(out, rollup, ", t.@");
    buf_append_text(out, ") AS key, v.name AS \"column\", v.value::text AS found, "
                         "'at least 0' AS expected, ");
    append_explanation(out, rollup, is_source ? " AND e.source = t.source" : "");
    buf_append_format(out,
                      " AS explanation FROM \"%s_%s\" t CROSS JOIN LATERAL (VALUES "
                      "(NULL::text, 0::bigint)",
                      name, suffix);
    for (int i = 0; i < rollup->columns->count; i++)
        if (is_column(rollup, i) && is_sum(rollup, i) &&
            !audit_rows_is_true(rollup->columns, i, "may_be_negative"))
            buf_append_format(out, ", ('%s', t.\"%s\")", column(rollup, i, "name"),
                              column(rollup, i, "name"));
    buf_append_text(out, ") v (name, value) WHERE v.value < 0");
}

static void append_negative(struct buf *out, const struct audit_rollup *rollup)
{
    static const char *const suffixes[] = {"town", "county", "city", "source"};
    bool is_first = true;
    buf_append_text(out, "WITH " EARLY " SELECT " COLUMNS " FROM (");
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        bool is_source = strcmp(suffixes[i], "source") == 0;
        if (!is(rollup, is_source ? "by_source" : "by_region"))
            continue;
        buf_append_text(out, is_first ? "" : " UNION ALL ");
        append_negative_of(out, rollup, suffixes[i]);
        is_first = false;
    }
    buf_append_text(out, ") negative" LIMIT);
}

/* What follows a column's name in totals: "", or "_at" of a last value, which only those of sources
 * have; NULL: it is in none. */
static const char *total_suffix(const struct audit_rollup *rollup, int row, bool is_source)
{
    bool is_ours = strcmp(column(rollup, row, "rollup"), definition(rollup, "rollup")) == 0;
    if (is_ours && is_sum(rollup, row))
        return "";
    bool is_last = strcmp(column(rollup, row, "aggregate"), "last") == 0;
    return is_ours && is_source && is_last ? "_at" : NULL;
}

/* A table's cells, added up by all of its key but the bucket. */
static void append_added_up(struct buf *out, const struct audit_rollup *rollup, const char *suffix)
{
    bool is_source = strcmp(suffix, "source") == 0;
    const char *key = is_source ? "source" : "region";
    buf_append_format(out, "(SELECT t.%s", key);
    each_dimension(out, rollup, ", t.@");
    buf_append_text(out, ", min(t.bucket_start) AS first_bucket");
    for (int i = 0; i < rollup->columns->count; i++) {
        const char *name = column(rollup, i, "name");
        const char *at = total_suffix(rollup, i, is_source);
        if (at == NULL)
            continue;
        if (at[0] == '\0')
            buf_append_format(out,
                              ", CASE WHEN count(t.\"%s\") = count(*) THEN sum(t.\"%s\") END AS "
                              "\"%s\"",
                              name, name, name);
        else
            buf_append_format(out,
                              ", max(t.bucket_start) FILTER (WHERE t.\"%s\" IS NOT NULL) AS "
                              "\"%s_at\"",
                              name, name);
    }
    buf_append_format(out, " FROM \"%s_%s\" t GROUP BY t.%s", definition(rollup, "rollup"), suffix,
                      key);
    each_dimension(out, rollup, ", t.@");
    buf_append_byte(out, ')');
}

/* One table's totals p and the sums s of its cells. */
static void append_totals_of(struct buf *out, const struct audit_rollup *rollup, const char *suffix)
{
    bool is_source = strcmp(suffix, "source") == 0;
    const char *name = definition(rollup, "rollup");
    const char *key = is_source ? "source" : "region";
    buf_append_format(out,
                      "SELECT 'a total is all its cells' AS rule, '%s_%s_total' AS \"table\", "
                      "concat_ws(' ', coalesce(p.%s, s.%s)",
                      name, suffix, key, key);
    each_dimension(out, rollup, ", coalesce(p.@, s.@)");
    buf_append_format(out,
                      ") AS key, v.name AS \"column\", v.found, v.expected, NULL::text AS "
                      "explanation FROM \"%s_%s_total\" p FULL JOIN ",
                      name, suffix);
    append_added_up(out, rollup, suffix);
    buf_append_format(out, " s ON p.%s = s.%s", key, key);
    each_dimension(out, rollup, " AND p.@ = s.@");
    buf_append_format(out,
                      " CROSS JOIN LATERAL (VALUES (NULL::text, (p.%s IS NULL) <> (s.%s IS NULL), "
                      "CASE WHEN p.%s IS NULL THEN 'no row' ELSE 'a row' END, 'one on both sides'),"
                      " ('first_bucket', p.first_bucket <> s.first_bucket, p.first_bucket::text, "
                      "s.first_bucket::text)",
                      key, key, key);
    for (int i = 0; i < rollup->columns->count; i++) {
        const char *of = column(rollup, i, "name");
        const char *at = total_suffix(rollup, i, is_source);
        if (at != NULL)
            buf_append_format(out,
                              ", ('%s%s', p.\"%s%s\" %s s.\"%s%s\", p.\"%s%s\"::text, "
                              "s.\"%s%s\"::text)",
                              of, at, of, at, at[0] == '\0' ? "<>" : "IS DISTINCT FROM", of, at, of,
                              at, of, at);
    }
    buf_append_text(out, ") v (name, is_breach, found, expected) WHERE v.is_breach");
}

static void append_totals(struct buf *out, const struct audit_rollup *rollup)
{
    static const char *const suffixes[] = {"town", "county", "city", "source"};
    const char *between = "SELECT " COLUMNS " FROM (";
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        bool is_source = strcmp(suffixes[i], "source") == 0;
        if (!is(rollup, is_source ? "has_source_totals" : "has_region_totals"))
            continue;
        buf_append_text(out, between);
        append_totals_of(out, rollup, suffixes[i]);
        between = " UNION ALL ";
    }
    if (between[0] == ' ')
        buf_append_text(out, ") totals" LIMIT);
}

void audit_recount_sql(const struct audit_rollup *rollup, enum audit_recount recount,
                       struct buf *out)
{
    bool by_source = is(rollup, "by_source");
    bool by_region = is(rollup, "by_region");
    if (recount == AUDIT_CHILDREN && by_region)
        append_children(out, rollup);
    if (recount == AUDIT_ROOTS && by_region && by_source)
        append_roots(out, rollup);
    if (recount == AUDIT_EVENTS && by_source && is(rollup, "counts_all"))
        append_events(out, rollup);
    if (recount == AUDIT_NEGATIVE)
        append_negative(out, rollup);
    if (recount == AUDIT_TOTALS)
        append_totals(out, rollup);
}

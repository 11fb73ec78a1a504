/* SPDX-License-Identifier: Apache-2.0 */
#include "report_query.h"

#include "report_data.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 64
#define ZONE "'Asia/Shanghai'"
#define DAY "(($2::timestamptz AT TIME ZONE " ZONE ")::date)"
#define LIMIT_TEXT "1001"
_Static_assert(REPORT_FINDINGS_MAX == 1000, "one less than LIMIT_TEXT");
#define INSTANT(x) "to_char(" x " AT TIME ZONE " ZONE ", 'YYYY-MM-DD\"T\"HH24:MI:SS\"+08:00\"')"

/* clang-format off */

/* Expected, nothing heard in the last hour, and not closed on purpose by then. */
#define SILENT                                                                                     \
    "(SELECT k.kind, s.source, s.name, s.region "                                                  \
    " FROM kind_clock k "                                                                          \
    " CROSS JOIN LATERAL source_status(k.kind, k.topic, $3::timestamptz - interval '1 hour', "     \
    "                                  $3::timestamptz) s "                                        \
    " WHERE s.expected = 1 AND s.heard = 0 AND s.is_known AND NOT EXISTS ("                        \
    "     SELECT FROM source_run r "                                                               \
    "     WHERE r.kind = k.kind AND r.source = s.source AND r.is_newest "                          \
    "       AND r.heartbeat_at <= $3::timestamptz "                                                \
    "       AND (r.heartbeat_state = 'ENDED' OR r.input_state = 'CLOSED')))"

/* The nodes above a place; above one that is not known, the roots. */
#define ABOVE(x)                                                                                   \
    "(SELECT a.ancestor FROM region_ancestor a WHERE a.region = " x ".region "                     \
    " UNION ALL "                                                                                  \
    " SELECT r.code FROM region r "                                                                \
    " WHERE " x ".region IS NULL AND r.parent IS NULL AND r.code <> '-')"

#define LOSS(cause_)                                                                               \
    "coalesce(sum(g.last_seq - g.first_seq + 1) FILTER (WHERE g.cause = '" cause_                  \
    "'), 0) AS " cause_
#define LOST "('missing', 'rejected', 'lost')"

static const char *const queries[REPORT_QUERY_COUNT] = {
    [REPORT_QUERY_PLACES] =
        "SELECT CASE WHEN r.code = $1 THEN 'total' ELSE 'unit' END, r.code, r.name, "
        "       r.name_latin, r.level "
        "FROM region r WHERE r.code = $1 OR r.parent = $1 ORDER BY r.code <> $1, r.code",

    [REPORT_QUERY_ROOT] =
        "SELECT r.code FROM region r JOIN region_ancestor a ON a.ancestor = r.code "
        "WHERE a.region = $1 AND r.parent IS NULL",

    [REPORT_QUERY_ROLLUPS] =
        "SELECT d.rollup, d.kind, k.topic, d.bucket_ms, d.dimensions, d.counted_by, "
        "       d.region_field "
        "FROM rollup_definition d JOIN kind_clock k ON k.kind = d.kind "
        "ORDER BY d.kind, d.rollup",

    [REPORT_QUERY_COLUMNS] =
        "SELECT rollup, name FROM rollup_column WHERE aggregate <> 'derived'",

    [REPORT_QUERY_CLOCK] =
        "SELECT CASE WHEN count(judged_at) = count(*) THEN " INSTANT("min(judged_at)") " END "
        "FROM kind_clock",

    /*
     * Who is expected, heard and silent is as of $3; numbers have a day but no time, so theirs are
     * of the whole day, as known now.
     *
     * Equal to schemas/views/completeness_daily.sql, and to stay so: met and loss; state's heard
     * and is_complete; placed's announced, counted, missing, rejected and written_off; complete.
     * Not there: silent and before.
     */
    [REPORT_QUERY_STATUS] =
        "WITH state AS MATERIALIZED ("
        "    SELECT k.kind, k.topic, s.source, s.region, s.expected, "
        "           s.expected * s.heard AS heard, s.silent_minutes, s.pending, s.lost, "
        "           s.missing = 0 AND NOT s.is_open AND s.runs_lost + s.runs_cloned = 0 "
        "               AND (s.is_whole OR s.expected = 0) AS is_complete, s.is_known "
        "    FROM kind_clock k "
        "    CROSS JOIN LATERAL source_status(k.kind, k.topic, $2::timestamptz, "
        "                                     $3::timestamptz) s"
        "), met AS ("
        "    SELECT r.topic, r.source, sum(r.last_seq - r.first_seq + 1) AS numbers "
        "    FROM number_range r "
        "    WHERE r.day = " DAY " "
        "    GROUP BY r.topic, r.source"
        "), loss AS ("
        "    SELECT g.topic, g.source, " LOSS("missing") ", " LOSS("rejected") ", "
        "           " LOSS("written_off") ", " LOSS("before_base") " "
        "    FROM gap_range g "
        "    WHERE g.day = " DAY " "
        "    GROUP BY g.topic, g.source"
        "), silent AS MATERIALIZED ("
        "    SELECT x.kind, a.ancestor, count(*) AS sources "
        "    FROM " SILENT " x CROSS JOIN LATERAL " ABOVE("x") " a "
        "    GROUP BY x.kind, a.ancestor"
        "), before AS MATERIALIZED ("
        "    SELECT m.kind, a.ancestor, sum(m.events) AS events "
        "    FROM missing_range m CROSS JOIN LATERAL " ABOVE("m") " a "
        "    WHERE m.cause IN " LOST " AND m.day < " DAY " "
        "    GROUP BY m.kind, a.ancestor"
        "), placed AS ("
        "    SELECT s.kind, s.region, sum(s.expected) AS expected, sum(s.heard) AS heard, "
        "           sum(s.silent_minutes) AS silent_minutes, sum(s.pending) AS pending, "
        "           sum(coalesce(t.numbers, 0) + s.lost + s.pending) AS announced, "
        "           sum(coalesce(t.numbers, 0) - coalesce(l.missing + l.rejected + "
        "               l.written_off + l.before_base, 0)) AS counted, "
        "           sum(coalesce(l.missing, 0) + s.lost) AS missing, "
        "           sum(coalesce(l.rejected, 0)) AS rejected, "
        "           sum(coalesce(l.written_off, 0)) AS written_off, "
        "           bool_and(s.is_complete) AS is_complete, bool_and(s.is_known) AS is_known "
        "    FROM state s "
        "    LEFT JOIN met t ON t.topic = s.topic AND t.source = s.source "
        "    LEFT JOIN loss l ON l.topic = s.topic AND l.source = s.source "
        "    GROUP BY s.kind, s.region"
        "), summed AS ("
        "    SELECT p.kind, a.ancestor AS region, "
        "           CASE WHEN sum(p.expected) > 0 AND bool_and(p.is_known) "
        "                THEN bool_and(p.is_complete) END AS complete, "
        "           sum(p.expected) AS sources_expected, sum(p.heard) AS sources_heard, "
        "           bool_and(p.is_known) AS is_known, sum(p.silent_minutes) AS silent_minutes, "
        "           sum(p.announced) AS announced, sum(p.counted) AS counted, "
        "           sum(p.pending) AS pending, sum(p.missing) AS missing, "
        "           sum(p.rejected) AS rejected, sum(p.written_off) AS written_off "
        "    FROM placed p CROSS JOIN LATERAL " ABOVE("p") " a "
        "    WHERE a.ancestor = ANY($1::text[]) "
        "    GROUP BY p.kind, a.ancestor"
        ") "
        "SELECT c.kind, c.region, c.complete, c.sources_expected, c.sources_heard, "
        "       CASE WHEN c.is_known THEN coalesce(x.sources, 0) END AS sources_silent, "
        "       coalesce(c.silent_minutes, 0) AS silent_minutes, c.announced, c.counted, "
        "       c.pending, c.missing, c.rejected, c.written_off, "
        "       coalesce(b.events, 0) AS missing_before "
        "FROM summed c "
        "LEFT JOIN silent x ON x.kind = c.kind AND x.ancestor = c.region "
        "LEFT JOIN before b ON b.kind = c.kind AND b.ancestor = c.region "
        "ORDER BY c.kind",

    /* one more than is printed: it says that there are more */
    [REPORT_QUERY_MISSING] =
        "SELECT 'missing', m.kind, m.source, "
        "       (SELECT s.name FROM source s WHERE s.kind = m.kind AND s.source = m.source "
        "        ORDER BY s.valid_from DESC LIMIT 1), "
        "       m.region, r.name, r.name_latin, m.run, m.day, m.first_seq, m.last_seq, m.cause, "
        "       NULL::bigint "
        "FROM missing_range m LEFT JOIN region r ON r.code = m.region "
        "WHERE m.cause IN " LOST " AND m.day <= " DAY " "
        "  AND EXISTS (SELECT FROM " ABOVE("m") " a WHERE a.ancestor = ANY($1::text[])) "
        "ORDER BY m.kind, m.source, m.day, m.run, m.first_seq LIMIT " LIMIT_TEXT,

    [REPORT_QUERY_SILENT] =
        "WITH state AS MATERIALIZED ("
        "    SELECT k.kind, s.source, s.silent_minutes "
        "    FROM kind_clock k "
        "    CROSS JOIN LATERAL source_status(k.kind, k.topic, $2::timestamptz, "
        "                                     $3::timestamptz) s"
        ") "
        "SELECT 'silent', s.kind, s.source, s.name, s.region, r.name, r.name_latin, NULL, "
        "       NULL::date, NULL::bigint, NULL::bigint, NULL, d.silent_minutes "
        "FROM " SILENT " s "
        "JOIN state d ON d.kind = s.kind AND d.source = s.source "
        "LEFT JOIN region r ON r.code = s.region "
        "WHERE EXISTS (SELECT FROM " ABOVE("s") " a WHERE a.ancestor = ANY($1::text[])) "
        "ORDER BY s.kind, s.source LIMIT " LIMIT_TEXT,

    /* a flush that waited for the report to be kept bears the time it began, some seconds before */
    [REPORT_QUERY_LOG] =
        "SELECT c.rollup, c.region, c.column_name, i.item, " INSTANT("max(c.changed_at)") " "
        "FROM correction_by_column c "
        "CROSS JOIN LATERAL unnest(c.dimensions || ''::text) i (item) "
        "WHERE c.region = ANY($1::text[]) "
        "  AND c.changed_at >= $2::timestamptz - interval '15 seconds' "
        "  AND c.bucket_start < $3::timestamptz "
        "GROUP BY c.rollup, c.region, c.column_name, i.item",
};
/* clang-format on */

const char *report_query(enum report_query query)
{
    fx_assert(query < REPORT_QUERY_COUNT);
    return queries[query];
}

int report_query_parameters(enum report_query query)
{
    int count = 0;
    for (const char *at = report_query(query); (at = strchr(at, '$')) != NULL; at++)
        if (at[1] - '0' > count)
            count = at[1] - '0';
    return count;
}

/* {column} or {max column}: the text before it is plain SQL. */
struct piece {
    const char *plain;
    int plain_size;
    bool is_max;
    char column[NAME_SIZE]; /* "" after the last */
};

static const char *next_piece(const char *at, struct piece *piece)
{
    *piece = (struct piece){.plain = at, .plain_size = (int)strcspn(at, "{")};
    at += piece->plain_size;
    if (*at == '\0')
        return at;
    at++;
    piece->is_max = strncmp(at, "max ", 4) == 0;
    if (piece->is_max)
        at += 4;
    int size = (int)strcspn(at, "}");
    fx_assert(size > 0 && size < NAME_SIZE && at[size] == '}');
    snprintf(piece->column, sizeof piece->column, "%.*s", size, at);
    return at + size + 1;
}

static bool reads_template(const struct report_measure *measure)
{
    return measure->op == REPORT_SUMS || measure->op == REPORT_VALUE;
}

static bool reads_last(const struct report_measure *measure)
{
    return measure->op == REPORT_LAST || measure->op == REPORT_SOURCES;
}

void report_query_each_column(const struct report_measure *measure,
                              void (*visit)(const char *name, void *context), void *context)
{
    struct piece piece;
    if (reads_last(measure))
        visit(measure->sql, context);
    if (!reads_template(measure))
        return;
    for (const char *at = measure->sql; *at != '\0';) {
        at = next_piece(at, &piece);
        if (piece.column[0] != '\0')
            visit(piece.column, context);
    }
}

struct wanted {
    const struct report_installed *installed;
    const char *rollup;
    bool is_whole;
};

static void want_column(const char *name, void *context)
{
    struct wanted *wanted = context;
    const struct audit_rows *columns = &wanted->installed->columns;
    for (int i = 0; i < columns->count; i++)
        if (strcmp(audit_rows_cell(columns, i, "rollup"), wanted->rollup) == 0 &&
            strcmp(audit_rows_cell(columns, i, "name"), name) == 0)
            return;
    wanted->is_whole = false;
}

static int find_rollup(const struct report_installed *installed, const char *name)
{
    for (int i = 0; i < installed->rollups.count; i++)
        if (strcmp(audit_rows_cell(&installed->rollups, i, "rollup"), name) == 0)
            return i;
    return -1;
}

/* Words of a list "a, b". */
static bool lists(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t found = strcspn(at, ", ");
        if (found == size && memcmp(at, word, size) == 0)
            return true;
        at += found;
        at += strspn(at, ", ");
    }
    return false;
}

bool report_query_has_dimension(const struct report_installed *installed, int row,
                                const char *dimension)
{
    return lists(audit_rows_cell(&installed->rollups, row, "dimensions"), dimension);
}

int report_query_rollup(const struct report_installed *installed,
                        const struct report_measure *measure)
{
    char dimension[NAME_SIZE] = "";
    if (!reads_template(measure) && !reads_last(measure))
        return -1;
    int row = find_rollup(installed, measure->from);
    if (row < 0)
        return -1;
    const char *table = reads_last(measure) ? "source" : "region";
    if (!lists(audit_rows_cell(&installed->rollups, row, "counted_by"), table))
        return -1;
    if (measure->where != NULL && sscanf(measure->where, "t.\"%63[a-z_]\"", dimension) == 1 &&
        !report_query_has_dimension(installed, row, dimension))
        return -1;
    struct wanted wanted = {installed, measure->from, true};
    report_query_each_column(measure, want_column, &wanted);
    return wanted.is_whole ? row : -1;
}

/* Each once: the same column may stand in several measures. */
struct seen {
    struct buf *out;
    struct buf names; /* "," name "," */
};

static void select_column(const char *name, void *context)
{
    struct seen *seen = context;
    char word[NAME_SIZE + 2];
    snprintf(word, sizeof word, ",%s,", name);
    if (strstr(buf_text(&seen->names), word) != NULL)
        return;
    buf_append_text(&seen->names, word);
    buf_append_format(seen->out, ", \"%s\"", name);
}

static void append_dimensions(struct buf *out, const struct report_installed *installed, int row,
                              const char *prefix)
{
    const char *at = audit_rows_cell(&installed->rollups, row, "dimensions");
    while (at != NULL && *at != '\0') {
        int size = (int)strcspn(at, ", ");
        buf_append_format(out, ", %s\"%.*s\"", prefix, size, at);
        at += size;
        at += strspn(at, ", ");
    }
}

static void append_levels(struct buf *out, const struct report_installed *installed, int row,
                          const struct report_measure *measures, int count)
{
    static const char *const levels[] = {"town", "county", "city"};
    for (int level = 0; level < 3; level++) {
        struct seen seen = {out, BUF_INIT};
        buf_append_format(out, "%sSELECT region, bucket_start", level == 0 ? "" : " UNION ALL ");
        append_dimensions(out, installed, row, "");
        for (int i = 0; i < count; i++)
            report_query_each_column(&measures[i], select_column, &seen);
        buf_append_format(out, " FROM \"%s_%s\"", measures[0].from, levels[level]);
        out->is_failed |= seen.names.is_failed;
        buf_release(&seen.names);
    }
}

/* count(x) < count(*): rows from before the column was counted. */
static void append_measure(struct buf *out, const struct report_measure *measure)
{
    struct piece piece;
    for (const char *at = measure->sql; *at != '\0';) {
        at = next_piece(at, &piece);
        buf_append(out, piece.plain, (size_t)piece.plain_size);
        if (piece.column[0] == '\0')
            continue;
        if (piece.is_max)
            buf_append_format(out, "max(t.\"%s\")", piece.column);
        else
            buf_append_format(out,
                              "(CASE WHEN count(t.\"%s\") = count(*) THEN sum(t.\"%s\") "
                              "END)::bigint",
                              piece.column, piece.column);
    }
}

static void append_until(struct buf *out, const struct report_installed *installed, int row)
{
    buf_append_format(out, "t.bucket_start <= $3::timestamptz - interval '1 millisecond' * %lld",
                      (long long)audit_rows_number(&installed->rollups, row, "bucket_ms"));
}

void report_query_sums(struct buf *out, const struct report_installed *installed,
                       const struct report_measure *measures, int count, const char *dimension)
{
    int row = find_rollup(installed, measures[0].from);
    fx_assert(row >= 0);
    if (dimension != NULL)
        buf_append_format(out, "SELECT t.region, coalesce(t.\"%s\", '') AS item", dimension);
    else
        buf_append_text(out, "SELECT t.region, '' AS item");
    for (int i = 0; i < count; i++) {
        buf_append_text(out, ", ");
        append_measure(out, &measures[i]);
        buf_append_format(out, " AS m%d", i);
    }
    buf_append_text(out, " FROM (");
    append_levels(out, installed, row, measures, count);
    buf_append_text(out, ") t WHERE t.region = ANY($1::text[]) AND ");
    append_until(out, installed, row);
    buf_append_format(out, " AND (%s OR t.bucket_start >= $2::timestamptz)",
                      measures[0].is_to_date ? "true" : "false");
    if (measures[0].where != NULL)
        buf_append_format(out, " AND %s", measures[0].where);
    if (dimension != NULL)
        buf_append_format(out,
                          " GROUP BY GROUPING SETS ((t.region), (t.region, t.\"%s\")) "
                          "ORDER BY t.region, t.\"%s\" NULLS FIRST",
                          dimension, dimension);
    else
        buf_append_text(out, " GROUP BY t.region ORDER BY t.region");
}

void report_query_last(struct buf *out, const struct report_installed *installed,
                       const struct report_measure *measure)
{
    int row = find_rollup(installed, measure->from);
    const char *column = measure->sql;
    fx_assert(row >= 0);
    struct buf keys = BUF_INIT;
    buf_append_text(&keys, "t.source");
    append_dimensions(&keys, installed, row, "t.");
    buf_append_text(out, "SELECT a.ancestor AS region, '' AS item, ");
    buf_append_text(out, measure->op == REPORT_LAST
                             ? "sum(x.value)::bigint"
                             : "count(DISTINCT x.source) FILTER (WHERE x.value > 0)");
    buf_append_format(out,
                      " AS m0 FROM (SELECT DISTINCT ON (%s) t.source, t.\"%s\" AS value FROM "
                      "\"%s_source\" t WHERE ",
                      buf_text(&keys), column, measure->from);
    append_until(out, installed, row);
    buf_append_format(out, " AND t.\"%s\" IS NOT NULL%s%s ORDER BY %s, t.\"%s_last\" DESC) x ",
                      column, measure->where == NULL ? "" : " AND ",
                      measure->where == NULL ? "" : measure->where, buf_text(&keys), column);
    buf_append_format(out,
                      "JOIN source_status('%s', '%s', $3::timestamptz - interval '1 hour', "
                      "$3::timestamptz) s ON s.source = x.source AND (s.expected > 0 OR NOT "
                      "s.is_registered) JOIN region_ancestor a ON a.region = s.region "
                      "WHERE a.ancestor = ANY($1::text[]) AND $2::timestamptz IS NOT NULL "
                      "GROUP BY a.ancestor",
                      audit_rows_cell(&installed->rollups, row, "kind"),
                      audit_rows_cell(&installed->rollups, row, "topic"));
    out->is_failed |= keys.is_failed;
    buf_release(&keys);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish - the transactions of a snapshot.
 *
 * Both are under the lock that fx-setup takes, shared, of the session: a swap or another definition
 * between them, or between two tables, would tear the snapshot. It is taken before any transaction,
 * as what waits for a lock inside one would look at what was there before.
 *
 * Two of them: the first makes tables and columns that are missing, one publisher at a time; the
 * second takes its picture only after it has the lock on the list of snapshots, or a publisher that
 * waited would look at what was there before the other had written.
 */
#include "publish.h"

#include "../common/text.h"
#include "publish_sql.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 80
#define SESSION "SET LOCAL statement_timeout = '10min'; SET LOCAL jit = off; "

/* The lock outlives the transaction; fx-setup may take a while. */
#define GUARD                                                                                      \
    "BEGIN; SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'; "                 \
    "SELECT pg_advisory_lock_shared(hashtextextended('fx-setup', 0)); COMMIT"

struct publish {
    PGconn *conn;
    const char *schema_name;
    int64_t cut_off_ms;
    bool is_owner; /* acts as fangxian_owner */
    char published[NAME_SIZE];
    struct publish_place place;
    PGresult *rollups; /* what is counted; the texts of struct publish_rollup point into these */
    PGresult *dimensions;
    PGresult *columns;
    PGresult *standing; /* (table, column, comment, is a dimension) of the published schema */
};

/* ---- what is counted ---- */

static const char rollups_sql[] =
    "SELECT r.rollup, r.doc, r.kind, d.topic_prefix || '.' || replace(r.kind, '_', '-'), "
    "r.counted_by LIKE '%region%', r.region_field <> 'region', "
    "coalesce(r.counted_since <= $1::timestamptz, true), r.bucket_ms "
    "FROM rollup_definition r CROSS JOIN definition d ORDER BY r.rollup COLLATE \"C\"";

/* Texts may say anything: only enums are published. */
static const char dimensions_sql[] =
    "SELECT r.rollup, x.name, coalesce(col_description(a.attrelid, a.attnum), x.name), s.symbols "
    "FROM rollup_definition r "
    "CROSS JOIN LATERAL regexp_split_to_table(r.dimensions, ', *') WITH ORDINALITY x (name, nth) "
    "CROSS JOIN LATERAL (SELECT v.bounds FROM schema_version v WHERE v.kind = r.kind "
    "ORDER BY v.version DESC LIMIT 1) v "
    "CROSS JOIN LATERAL (SELECT substring(E'\\n' || v.bounds FROM E'\\n' || x.name || "
    "E' enum 0 0 0 ([^\\n]+)') AS symbols) s "
    "LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(quote_ident(r.rollup || '_city')) AND "
    "a.attname = x.name WHERE s.symbols IS NOT NULL "
    "ORDER BY r.rollup COLLATE \"C\", x.nth";

static const char columns_sql[] =
    "SELECT rollup, name, aggregate, unit, rule, doc FROM rollup_column "
    "ORDER BY rollup COLLATE \"C\", aggregate = 'derived', counted_since, position";

static const char standing_sql[] =
    "SELECT c.relname, a.attname, coalesce(col_description(c.oid, a.attnum), ''), "
    "i.indrelid IS NOT NULL AND a.attname NOT IN ('cut_off', 'region') FROM pg_class c "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey) "
    "WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r'";

static enum fx_code read_definitions(struct publish *publish, struct fx_err *err)
{
    const char *starts[] = {publish->place.starts};
    const char *published[] = {publish->published};
    PGconn *conn = publish->conn;
    if (pg_query(conn, &(struct pg_statement){rollups_sql, 1, starts}, &publish->rollups, err) !=
            FX_OK ||
        pg_query(conn, &(struct pg_statement){dimensions_sql, 0, NULL}, &publish->dimensions,
                 err) != FX_OK ||
        pg_query(conn, &(struct pg_statement){columns_sql, 0, NULL}, &publish->columns, err) !=
            FX_OK ||
        pg_query(conn, &(struct pg_statement){standing_sql, 1, published}, &publish->standing,
                 err) != FX_OK)
        return err->code;
    return FX_OK;
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static bool is_of(const PGresult *rows, int row, const struct publish_rollup *rollup)
{
    return strcmp(PQgetvalue(rows, row, 0), rollup->name) == 0;
}

/* The rollup of the row. */
static enum fx_code load(const struct publish *publish, int row, struct publish_rollup *rollup,
                         struct fx_err *err)
{
    const PGresult *rows = publish->rollups;
    *rollup = (struct publish_rollup){.name = PQgetvalue(rows, row, 0),
                                      .doc = PQgetvalue(rows, row, 1),
                                      .kind = PQgetvalue(rows, row, 2),
                                      .topic = PQgetvalue(rows, row, 3),
                                      .is_by_region = is_true(rows, row, 4),
                                      .is_role = is_true(rows, row, 5),
                                      .proves_zeros = is_true(rows, row, 6)};
    if (strcmp(rollup->name, "snapshot") == 0)
        return fx_err_set(err, FX_ECONFIG, "a rollup called snapshot cannot be published");
    rows = publish->dimensions;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (!is_of(rows, i, rollup) || rollup->dimension_count == ROLLUP_DIMENSIONS_MAX)
            continue;
        rollup->dimensions[rollup->dimension_count] = PQgetvalue(rows, i, 1);
        rollup->dimension_docs[rollup->dimension_count] = PQgetvalue(rows, i, 2);
        rollup->dimension_symbols[rollup->dimension_count++] = PQgetvalue(rows, i, 3);
    }
    rows = publish->columns;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (!is_of(rows, i, rollup))
            continue;
        struct publish_column column = {.sql = PQgetvalue(rows, i, 4),
                                        .doc = PQgetvalue(rows, i, 5)};
        if (!text_copy(column.name, sizeof column.name, PQgetvalue(rows, i, 1)) ||
            !publish_add_column(rollup, &column, PQgetvalue(rows, i, 2), PQgetvalue(rows, i, 3)))
            return fx_err_set(err, FX_ESTATE, "rollup_column of %s is not ours", rollup->name);
    }
    return FX_OK;
}

/* A bucket of several hours that is not over would be published in part. */
static bool is_at_edge(const struct publish *publish, int row)
{
    int64_t bucket_ms = strtoll(PQgetvalue(publish->rollups, row, 7), NULL, 10);
    return bucket_ms > 0 && day_bucket_ms(publish->cut_off_ms, bucket_ms) == publish->cut_off_ms;
}

/* ---- the first transaction ---- */

static enum fx_code begin(struct publish *publish, struct fx_err *err)
{
    const char *lock[] = {publish->published};
    if (sql_run(publish->conn, "BEGIN; " SESSION, err) != FX_OK ||
        sql_execute(publish->conn, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", 1, lock,
                    err) != FX_OK)
        return err->code;
    return sql_act_as_owner(publish->conn, publish->schema_name, &publish->is_owner, err);
}

static enum fx_code check_cut_off(struct publish *publish, int64_t asked_ms, int64_t over_ms,
                                  struct fx_err *err)
{
    char text[2][DAY_TEXT_SIZE];
    int64_t cut_off_ms = asked_ms == PUBLISH_LAST_HOUR ? over_ms : asked_ms;
    if (day_bucket_ms(cut_off_ms, DAY_HOUR_MS) != cut_off_ms)
        return fx_err_set(err, FX_ECONFIG, "cut-off %s is no full hour",
                          day_format(cut_off_ms, text[0]));
    if (cut_off_ms > over_ms)
        return fx_err_set(err, FX_ECONFIG,
                          "the hour to %s is not over: the last one that is, is %s",
                          day_format(cut_off_ms, text[0]), day_format(over_ms, text[1]));
    struct publish_place *place = &publish->place;
    int64_t starts_ms = day_local_start_ms(cut_off_ms - 1);
    publish->cut_off_ms = cut_off_ms;
    place->schema_name = publish->schema_name;
    place->published = publish->published;
    day_format(cut_off_ms, place->cut_off);
    day_format(starts_ms, place->starts);
    snprintf(place->day, sizeof place->day, "%.10s", place->starts);
    return FX_OK;
}

static enum fx_code check_place(struct publish *publish, int64_t asked_ms, struct fx_err *err)
{
    const char *values[] = {publish->published};
    PGresult *rows = NULL;
    if (pg_query(publish->conn,
                 &(struct pg_statement){
                     "SELECT is_rebuild, to_regnamespace(quote_ident($1)) IS NULL, "
                     "floor(extract(epoch FROM date_trunc('hour', clock_timestamp())) * "
                     "1000)::bigint FROM definition",
                     1, values},
                 &rows, err) != FX_OK)
        return fx_err_wrap(err, "schema %s", publish->schema_name);
    if (PQntuples(rows) != 1)
        fx_err_set(err, FX_ECONFIG, "schema %s is not set up: run fx-setup", publish->schema_name);
    else if (is_true(rows, 0, 0))
        fx_err_set(err, FX_ECONFIG,
                   "schema %s is counted anew beside the live one: only that one publishes",
                   publish->schema_name);
    else if (is_true(rows, 0, 1))
        fx_err_set(err, FX_ECONFIG, "schema %s is not there: run fx-setup", publish->published);
    else
        (void)!check_cut_off(publish, asked_ms, strtoll(PQgetvalue(rows, 0, 2), NULL, 10), err);
    PQclear(rows);
    return err->code;
}

/* The comment of the column of the table; NULL: there is none such. Without a column: of any. */
static const char *find_standing(const struct publish *publish, const char *table,
                                 const char *column)
{
    for (int i = 0; i < PQntuples(publish->standing); i++)
        if (strcmp(PQgetvalue(publish->standing, i, 0), table) == 0 &&
            (column == NULL || strcmp(PQgetvalue(publish->standing, i, 1), column) == 0))
            return PQgetvalue(publish->standing, i, 2);
    return NULL;
}

static void append_missing(const struct publish *publish, struct buf *out,
                           const struct publish_rollup *rollup, bool is_detail)
{
    char table[ROLLUP_NAME_MAX + 8];
    publish_table_name(table, rollup, is_detail);
    if (find_standing(publish, table, NULL) == NULL)
        publish_append_table(out, rollup, is_detail);
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        if (!publish_is_shown(column, is_detail))
            continue;
        struct buf doc = BUF_INIT;
        publish_append_doc(&doc, column);
        const char *standing = find_standing(publish, table, column->name);
        if (standing == NULL)
            publish_append_column(out, rollup, is_detail, column);
        if (standing == NULL || strcmp(standing, buf_text(&doc)) != 0)
            sql_comment_column(out, table, column->name, buf_text(&doc));
        out->is_failed |= doc.is_failed;
        buf_release(&doc);
    }
}

static bool has_dimension(const struct publish_rollup *rollup, const char *name)
{
    bool is_there = false;
    for (int i = 0; i < rollup->dimension_count; i++)
        is_there |= strcmp(rollup->dimensions[i], name) == 0;
    return is_there;
}

/* A table by dimensions keeps its key: those of it and those of the rollup are the same. */
static enum fx_code check_dimensions(const struct publish *publish,
                                     const struct publish_rollup *rollup, struct fx_err *err)
{
    char table[ROLLUP_NAME_MAX + 8];
    const PGresult *rows = publish->standing;
    const char *differs = NULL;
    bool is_more = false;
    publish_table_name(table, rollup, true);
    if (find_standing(publish, table, NULL) == NULL)
        return FX_OK;
    for (int i = 0; i < rollup->dimension_count; i++)
        if (find_standing(publish, table, rollup->dimensions[i]) == NULL)
            differs = rollup->dimensions[i];
    for (int i = 0; differs == NULL && i < PQntuples(rows); i++) {
        is_more = strcmp(PQgetvalue(rows, i, 0), table) == 0 && is_true(rows, i, 3) &&
                  !has_dimension(rollup, PQgetvalue(rows, i, 1));
        if (is_more)
            differs = PQgetvalue(rows, i, 1);
    }
    if (differs == NULL)
        return FX_OK;
    return fx_err_set(err, FX_ECONFIG,
                      "%s.%s was published by other dimensions, %s %s: rename it (ALTER TABLE), "
                      "and a new one is made",
                      publish->published, table, is_more ? "with" : "without", differs);
}

static void append_list_of_snapshots(struct buf *out)
{
    buf_append_text(out, "CREATE TABLE snapshot (cut_off timestamptz PRIMARY KEY, day date NOT "
                         "NULL, published_at timestamptz NOT NULL DEFAULT clock_timestamp())");
    sql_end(out);
    sql_comment(out, "TABLE", "snapshot", "what was published, and never changes", "已发布的快照");
    sql_comment_column(out, "snapshot", "cut_off", "figures up to this time, exclusive 截止时间");
    sql_comment_column(out, "snapshot", "day", "their day, Asia/Shanghai 日期");
    sql_comment_column(out, "snapshot", "published_at", "when 发布时间");
}

/* Whoever may read published tables, as far as there are such roles. */
static void append_grants(const struct publish *publish, struct buf *out)
{
    buf_append_format(out,
                      "DO $$ DECLARE r text; BEGIN FOR r IN SELECT rolname FROM pg_roles WHERE "
                      "rolname IN ('fangxian_public', 'fangxian_analyst') LOOP EXECUTE "
                      "'GRANT SELECT ON ALL TABLES IN SCHEMA \"%s\" TO ' || r; END LOOP; END $$",
                      publish->published);
    sql_end(out);
}

static enum fx_code make_tables(struct publish *publish, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    enum fx_code code = FX_OK;
    buf_append_format(&sql, "SET LOCAL search_path = \"%s\", pg_catalog", publish->published);
    sql_end(&sql);
    size_t size = sql.size;
    if (find_standing(publish, "snapshot", NULL) == NULL)
        append_list_of_snapshots(&sql);
    for (int i = 0; code == FX_OK && i < PQntuples(publish->rollups); i++) {
        struct publish_rollup rollup;
        code = load(publish, i, &rollup, err);
        if (code == FX_OK && publish_has_totals(&rollup))
            append_missing(publish, &sql, &rollup, false);
        if (code == FX_OK && publish_has_detail(&rollup))
            code = check_dimensions(publish, &rollup, err);
        if (code == FX_OK && publish_has_detail(&rollup))
            append_missing(publish, &sql, &rollup, true);
    }
    if (sql.size > size)
        append_grants(publish, &sql);
    if (code == FX_OK)
        code = sql_run_list(publish->conn, &sql, err);
    buf_release(&sql);
    return code;
}

static enum fx_code prepare(struct publish *publish, int64_t asked_ms, struct fx_err *err)
{
    if (begin(publish, err) != FX_OK || check_place(publish, asked_ms, err) != FX_OK ||
        read_definitions(publish, err) != FX_OK || make_tables(publish, err) != FX_OK)
        return err->code;
    return sql_run(publish->conn, "COMMIT", err);
}

/* ---- the second transaction ---- */

/* SET and LOCK take no picture yet; the first SELECT does. */
static enum fx_code lock(struct publish *publish, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    buf_append_format(&sql,
                      "BEGIN ISOLATION LEVEL REPEATABLE READ; " SESSION
                      "%sLOCK TABLE \"%s\".snapshot IN EXCLUSIVE MODE",
                      publish->is_owner ? "SET LOCAL ROLE fangxian_owner; " : "",
                      publish->published);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = sql_run(publish->conn, buf_text(&sql), err);
    buf_release(&sql);
    return code;
}

/* Only forward: an earlier cut-off that is counted now would set what came late apart. */
static enum fx_code list_snapshot(const struct publish *publish, bool *is_new, struct fx_err *err)
{
    const struct publish_place *place = &publish->place;
    PGresult *rows = NULL;
    struct buf sql = BUF_INIT;
    buf_append_format(&sql,
                      "SELECT coalesce(bool_or(cut_off = timestamptz '%s'), false), "
                      "to_char(max(cut_off) AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI'), "
                      "coalesce(max(cut_off) > timestamptz '%s', false) FROM \"%s\".snapshot",
                      place->cut_off, place->cut_off, publish->published);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = pg_query(publish->conn, &(struct pg_statement){buf_text(&sql), 0, NULL}, &rows, err);
    *is_new = code == FX_OK && !is_true(rows, 0, 0);
    if (*is_new && is_true(rows, 0, 2))
        code = fx_err_set(err, FX_ECONFIG,
                          "cut-off %s is before %s, which was published: snapshots go forward",
                          place->cut_off, PQgetvalue(rows, 0, 1));
    PQclear(rows);
    buf_reset(&sql);
    buf_append_format(&sql,
                      "INSERT INTO \"%s\".snapshot (cut_off, day) VALUES (timestamptz '%s', "
                      "date '%s')",
                      publish->published, place->cut_off, place->day);
    if (code == FX_OK && *is_new && buf_check(&sql, err) == FX_OK)
        code = sql_run(publish->conn, buf_text(&sql), err);
    buf_release(&sql);
    return err->code;
}

static enum fx_code write_rows(const struct publish *publish, const struct publish_rollup *rollup,
                               bool is_detail, struct publish_outcome *outcome, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    PGresult *rows = NULL;
    publish_append_insert(&sql, rollup, is_detail, &publish->place);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = pg_query(publish->conn, &(struct pg_statement){buf_text(&sql), 0, NULL}, &rows, err);
    if (code == FX_OK) {
        outcome->rows += strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        outcome->withheld += strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    } else {
        (void)fx_err_wrap(err, "publish %s%s", rollup->name, is_detail ? "_detail" : "");
    }
    PQclear(rows);
    buf_release(&sql);
    return code;
}

static enum fx_code write_all(struct publish *publish, struct publish_outcome *outcome,
                              struct fx_err *err)
{
    if (lock(publish, err) != FX_OK || list_snapshot(publish, &outcome->is_new, err) != FX_OK)
        return err->code;
    for (int i = 0; outcome->is_new && i < PQntuples(publish->rollups); i++) {
        struct publish_rollup rollup;
        if (!is_at_edge(publish, i))
            continue;
        if (load(publish, i, &rollup, err) != FX_OK ||
            (publish_has_totals(&rollup) &&
             write_rows(publish, &rollup, false, outcome, err) != FX_OK) ||
            (publish_has_detail(&rollup) &&
             write_rows(publish, &rollup, true, outcome, err) != FX_OK))
            return err->code;
    }
    return sql_run(publish->conn, "COMMIT", err);
}

static enum fx_code run(struct publish *publish, int64_t asked_ms, struct publish_outcome *done,
                        struct fx_err *err)
{
    struct fx_err ignored = FX_ERR_INIT;
    enum fx_code code = pg_run(publish->conn, GUARD, err);
    if (code != FX_OK)
        (void)fx_err_wrap(err, "lock (is fx-setup running?)");
    if (code == FX_OK)
        code = prepare(publish, asked_ms, err);
    if (code == FX_OK)
        code = write_all(publish, done, err);
    if (PQtransactionStatus(publish->conn) != PQTRANS_IDLE)
        (void)!pg_run(publish->conn, "ROLLBACK", &ignored);
    fx_err_clear(&ignored);
    (void)!pg_run(publish->conn,
                  "SELECT pg_advisory_unlock_shared(hashtextextended('fx-setup', 0))", &ignored);
    return code;
}

enum fx_code publish_snapshot(PGconn *conn, const struct publish_options *options,
                              struct publish_outcome *outcome, struct fx_err *err)
{
    struct publish publish = {.conn = conn, .schema_name = options->schema_name};
    struct publish_outcome done = {.rows = 0};
    fx_assert(text_is_identifier(options->schema_name));
    snprintf(publish.published, sizeof publish.published, "%s_published", options->schema_name);
    enum fx_code code = FX_OK;
    if (!text_is_identifier(publish.published))
        code = fx_err_set(err, FX_ECONFIG, "schema name %s is too long to publish",
                          options->schema_name);
    if (code == FX_OK)
        code = run(&publish, options->cut_off_ms, &done, err);
    done.cut_off_ms = publish.cut_off_ms;
    if (code == FX_OK)
        *outcome = done;
    PQclear(publish.rollups);
    PQclear(publish.dimensions);
    PQclear(publish.columns);
    PQclear(publish.standing);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "publish");
}

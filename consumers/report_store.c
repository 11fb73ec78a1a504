/* SPDX-License-Identifier: Apache-2.0 */
#include "report_store.h"

#include "../common/text.h"
#include "audit_fetch.h"
#include "report_csv.h"
#include "report_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "as_of = $1::timestamptz AND region = $2 AND version = $3::integer"
#define INSTANT_SQL                                                                                \
    "to_char(%s AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD\"T\"HH24:MI:SS%s\"+08:00\"')"

enum fx_code report_store_open(PGconn *conn, struct report_store *store, struct fx_err *err)
{
    struct audit_rows rows = AUDIT_ROWS_INIT;
    struct pg_statement statement = {
        "SELECT d.record_schema, d.is_rebuild, to_regclass(format('%I.report_text', "
        "d.record_schema)) IS NOT NULL, current_schema FROM definition d",
        0, NULL};
    *store = (struct report_store){.conn = conn};
    enum fx_code code = audit_fetch(conn, &statement, &rows, err);
    if (code == FX_OK && (rows.count != 1 || rows.cells[2][0] != 't'))
        code = fx_err_set(err, FX_ECONFIG, "the schema is not set up for reports: run fx-setup");
    else if (code == FX_OK && !text_is_identifier(rows.cells[0]))
        code = fx_err_set(err, FX_ESTATE, "definition.record_schema is no identifier");
    if (code == FX_OK) {
        snprintf(store->record, sizeof store->record, "\"%s\"", rows.cells[0]);
        snprintf(store->schema, sizeof store->schema, "%s", rows.cells[3]);
        store->is_rebuild = rows.cells[1][0] == 't';
    }
    audit_rows_release(&rows);
    return code;
}

/* Runs sql, in which each "@" stands for the record schema. */
static enum fx_code run(const struct report_store *store, const struct pg_statement *statement,
                        struct audit_rows *rows, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    for (const char *at = statement->sql; *at != '\0';) {
        size_t plain = strcspn(at, "@");
        buf_append(&sql, at, plain);
        at += plain;
        if (*at == '@') {
            buf_append_text(&sql, store->record);
            at++;
        }
    }
    enum fx_code code = buf_check(&sql, err);
    struct pg_statement full = {buf_text(&sql), statement->count, statement->values};
    if (code == FX_OK)
        code = audit_fetch(store->conn, &full, rows, err);
    buf_release(&sql);
    return code;
}

enum fx_code report_store_newest(const struct report_store *store, const char *as_of,
                                 const char *region, int *version, struct fx_err *err)
{
    struct audit_rows rows = AUDIT_ROWS_INIT;
    const char *values[] = {as_of, region};
    struct pg_statement statement = {"SELECT coalesce(max(version), 0) FROM @.report "
                                     "WHERE as_of = $1::timestamptz AND region = $2",
                                     2, values};
    enum fx_code code = run(store, &statement, &rows, err);
    if (code == FX_OK)
        *version = (int)strtol(rows.cells[0], NULL, 10);
    audit_rows_release(&rows);
    return code;
}

enum fx_code report_store_earlier(const struct report_store *store, const char *as_of,
                                  const char *region, struct audit_rows *found, struct fx_err *err)
{
    char sql[400];
    char instant[160];
    const char *values[] = {as_of, region};
    snprintf(instant, sizeof instant, INSTANT_SQL, "as_of", "");
    snprintf(sql, sizeof sql,
             "SELECT %s AS as_of, version FROM @.report WHERE region = $2 AND "
             "as_of < $1::timestamptz ORDER BY report.as_of DESC, version DESC LIMIT 1",
             instant);
    return run(store, &(struct pg_statement){sql, 2, values}, found, err);
}

/* Instants come as text of one form: those of the clock with all their digits. */
static void append_column(struct buf *sql, const char *const column[2])
{
    bool is_exact = strcmp(column[1], "timestamptz(6)") == 0;
    if (is_exact || strcmp(column[1], "timestamptz") == 0)
        buf_append_format(sql, INSTANT_SQL, column[0], is_exact ? ".US" : "");
    else
        buf_append_text(sql, column[0]);
}

static enum fx_code read_part(const struct report_store *store, const char *const values[3],
                              enum report_part part, struct report *report, struct fx_err *err)
{
    const struct report_shape *shape = report_shape(part);
    struct buf sql = BUF_INIT;
    for (int i = 0; shape->columns[i][0] != NULL; i++) {
        buf_append_text(&sql, i == 0 ? "SELECT " : ", ");
        append_column(&sql, shape->columns[i]);
    }
    buf_append_format(&sql, " FROM @.%s WHERE " KEY "%s", shape->table,
                      part == REPORT_HEAD ? "" : " ORDER BY position");
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = run(store, &(struct pg_statement){buf_text(&sql), 3, values}, &report->parts[part],
                   err);
    buf_release(&sql);
    return code;
}

enum fx_code report_store_read(const struct report_store *store, const struct report_key *key,
                               struct report *report, struct fx_err *err)
{
    char version[12];
    snprintf(version, sizeof version, "%d", key->version);
    const char *const values[] = {key->as_of, key->region, version};
    for (int part = 0; part < REPORT_PART_COUNT; part++)
        if (read_part(store, values, (enum report_part)part, report, err) != FX_OK)
            return err->code;
    if (report->parts[REPORT_HEAD].count != 1)
        return fx_err_set(err, FX_ECONFIG, "there is no version %d of this report", key->version);
    return FX_OK;
}

static enum fx_code insert_head(const struct report_store *store, const struct report *report,
                                struct fx_err *err)
{
    const struct report_shape *shape = report_shape(REPORT_HEAD);
    const char *values[HEAD_MADE_AT];
    struct buf sql = BUF_INIT;
    struct audit_rows none = AUDIT_ROWS_INIT;
    buf_append_text(&sql, "INSERT INTO @.report (");
    for (int i = 0; i < HEAD_MADE_AT; i++)
        buf_append_format(&sql, "%s%s", i == 0 ? "" : ", ", shape->columns[i][0]);
    buf_append_text(&sql, ") VALUES (");
    for (int i = 0; i < HEAD_MADE_AT; i++) {
        buf_append_format(&sql, "%s$%d::%s", i == 0 ? "" : ", ", i + 1, shape->columns[i][1]);
        values[i] = report_cell(report, REPORT_HEAD, 0, i);
    }
    buf_append_text(&sql, ")");
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = run(store, &(struct pg_statement){buf_text(&sql), HEAD_MADE_AT, values}, &none, err);
    audit_rows_release(&none);
    buf_release(&sql);
    return code;
}

#define COLUMNS_MAX 16

/* INSERT … SELECT $1, $2, $3, n, c0::text, … FROM unnest($4::text[], …) WITH ORDINALITY */
static void append_insert(struct buf *sql, const struct report_shape *shape)
{
    buf_append_format(sql, "INSERT INTO @.%s (as_of, region, version, position", shape->table);
    for (int i = 0; shape->columns[i][0] != NULL; i++)
        buf_append_format(sql, ", %s", shape->columns[i][0]);
    buf_append_text(sql, ") SELECT $1::timestamptz, $2, $3::integer, u.n");
    for (int i = 0; shape->columns[i][0] != NULL; i++)
        buf_append_format(sql, ", u.c%d::%s", i, shape->columns[i][1]);
    buf_append_text(sql, " FROM unnest(");
    for (int i = 0; shape->columns[i][0] != NULL; i++)
        buf_append_format(sql, "%s$%d::text[]", i == 0 ? "" : ", ", i + 4);
    buf_append_text(sql, ") WITH ORDINALITY u (");
    for (int i = 0; shape->columns[i][0] != NULL; i++)
        buf_append_format(sql, "c%d, ", i);
    buf_append_text(sql, "n)");
}

static enum fx_code insert_part(const struct report_store *store, enum report_part part,
                                const struct report *report, struct fx_err *err)
{
    const struct audit_rows *rows = &report->parts[part];
    struct buf sql = BUF_INIT;
    struct buf arrays[COLUMNS_MAX];
    struct audit_rows none = AUDIT_ROWS_INIT;
    const char *values[3 + COLUMNS_MAX] = {report_cell(report, REPORT_HEAD, 0, HEAD_AS_OF),
                                           report_cell(report, REPORT_HEAD, 0, HEAD_REGION),
                                           report_cell(report, REPORT_HEAD, 0, HEAD_VERSION)};
    fx_assert(rows->column_count <= COLUMNS_MAX);
    append_insert(&sql, report_shape(part));
    enum fx_code code = buf_check(&sql, err);
    for (int column = 0; column < rows->column_count; column++) {
        arrays[column] = (struct buf)BUF_INIT;
        for (int row = 0; row < rows->count; row++)
            report_pg_element(&arrays[column], report_cell(report, part, row, column));
        values[3 + column] = report_pg_array(&arrays[column]);
        if (code == FX_OK)
            code = buf_check(&arrays[column], err);
    }
    struct pg_statement statement = {buf_text(&sql), 3 + rows->column_count, values};
    if (code == FX_OK)
        code = run(store, &statement, &none, err);
    for (int column = 0; column < rows->column_count; column++)
        buf_release(&arrays[column]);
    audit_rows_release(&none);
    buf_release(&sql);
    return code;
}

enum fx_code report_store_insert(const struct report_store *store, const struct report *report,
                                 struct fx_err *err)
{
    enum fx_code code = insert_head(store, report, err);
    for (int part = REPORT_PLACES; code == FX_OK && part < REPORT_PART_COUNT; part++)
        if (report->parts[part].count > 0)
            code = insert_part(store, (enum report_part)part, report, err);
    return code;
}

enum fx_code report_store_put_text(const struct report_store *store, const struct report_key *key,
                                   const struct report_form *form, struct buf *text,
                                   struct fx_err *err)
{
    char version[12];
    struct audit_rows none = AUDIT_ROWS_INIT;
    snprintf(version, sizeof version, "%d", key->version);
    const char *values[] = {key->as_of, key->region,  version,
                            form->lang, form->format, buf_text(text)};
    struct pg_statement statement = {
        "INSERT INTO @.report_text (as_of, region, version, lang, format, content) "
        "VALUES ($1::timestamptz, $2, $3::integer, $4, $5, $6)",
        6, values};
    enum fx_code code = buf_check(text, err);
    if (code == FX_OK)
        code = run(store, &statement, &none, err);
    audit_rows_release(&none);
    return code;
}

enum fx_code report_store_text(const struct report_store *store, const struct report_key *key,
                               const struct report_form *form, struct buf *out, struct fx_err *err)
{
    char version[12];
    struct audit_rows rows = AUDIT_ROWS_INIT;
    snprintf(version, sizeof version, "%d", key->version);
    const char *values[] = {key->as_of, key->region, version, form->lang, form->format};
    struct pg_statement statement = {
        "SELECT content FROM @.report_text WHERE " KEY " AND lang = $4 AND format = $5", 5, values};
    enum fx_code code = run(store, &statement, &rows, err);
    if (code == FX_OK && rows.count != 1)
        code = fx_err_set(err, FX_ESTATE, "version %d is kept without its %s in %s", key->version,
                          form->format, form->lang);
    if (code == FX_OK)
        buf_append_text(out, rows.cells[0]);
    audit_rows_release(&rows);
    return code == FX_OK ? buf_check(out, err) : code;
}

enum fx_code report_store_list(const struct report_store *store, const char *as_of,
                               const char *region, struct buf *out, struct fx_err *err)
{
    char sql[900];
    char times[2][160];
    struct audit_rows rows = AUDIT_ROWS_INIT;
    const char *values[] = {as_of, region};
    snprintf(times[0], sizeof times[0], INSTANT_SQL, "r.as_of", "");
    snprintf(times[1], sizeof times[1], INSTANT_SQL, "r.made_at", "");
    snprintf(sql, sizeof sql,
             "SELECT %s AS as_of, r.region, r.version, %s AS made_at, r.made_by, r.program, "
             "(SELECT count(*) FROM @.report_correction c WHERE c.as_of = r.as_of AND "
             "c.region = r.region AND c.version = r.version) AS corrections FROM @.report r "
             "WHERE ($1::timestamptz IS NULL OR r.as_of = $1::timestamptz) AND "
             "($2::text IS NULL OR r.region = $2::text) "
             "ORDER BY r.as_of DESC, r.region, r.version DESC",
             times[0], times[1]);
    enum fx_code code = run(store, &(struct pg_statement){sql, 2, values}, &rows, err);
    if (code == FX_OK)
        report_csv_rows(&rows, out);
    audit_rows_release(&rows);
    return code == FX_OK ? buf_check(out, err) : code;
}

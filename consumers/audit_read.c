/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_read.h"

#include "audit_fetch.h"
#include "audit_query.h"
#include "audit_recount.h"

#include <string.h>

/* Everything is looked at, so a statement may take its time; analysts' instants are local. */
#define BEGIN                                                                                      \
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "                                            \
    "SET LOCAL statement_timeout = '10min'; SET LOCAL timezone = 'Asia/Shanghai'; "                \
    "SET LOCAL datestyle = 'ISO'; SET LOCAL jit = off"

struct reading {
    PGconn *conn;
    const struct audit_scope *scope;
    struct audit_report *report;
    char record[80]; /* the quoted record schema */
};

static enum fx_code read_plain(const struct reading *reading, const char *sql,
                               struct audit_rows *rows, struct fx_err *err)
{
    return audit_fetch(reading->conn, &(struct pg_statement){sql, 0, NULL}, rows, err);
}

/* Appends what the head and sql return; "%s" in sql stands for the record schema. */
static enum fx_code read_scoped(const struct reading *reading, const char *sql,
                                struct audit_rows *rows, struct fx_err *err)
{
    const struct audit_scope *scope = reading->scope;
    const char *values[] = {scope->kind, scope->region, scope->day, scope->source};
    const char *mark = strstr(sql, "%s");
    struct buf text = BUF_INIT;
    buf_append_text(&text, audit_query_head);
    if (mark != NULL) {
        buf_append(&text, sql, (size_t)(mark - sql));
        buf_append_text(&text, reading->record);
    }
    buf_append_text(&text, mark == NULL ? sql : mark + 2);
    enum fx_code code = buf_check(&text, err);
    if (code == FX_OK)
        code = audit_fetch(reading->conn, &(struct pg_statement){buf_text(&text), 4, values}, rows,
                           err);
    buf_release(&text);
    return code;
}

static enum fx_code read_head(struct reading *reading, struct fx_err *err)
{
    const struct audit_scope *scope = reading->scope;
    struct audit_rows *head = &reading->report->head;
    struct audit_rows found = AUDIT_ROWS_INIT;
    enum fx_code code = read_scoped(reading, audit_query_scope, &found, err);
    if (code == FX_OK && found.count != 1)
        code = fx_err_set(err, FX_ECONFIG, "the schema has no definition: run fx-setup");
    else if (code == FX_OK && !audit_rows_is_true(&found, 0, "is_kind"))
        code = fx_err_set(err, FX_ECONFIG, "--kind: no rollup counts \"%.64s\"",
                          scope->kind == NULL ? "" : scope->kind);
    else if (code == FX_OK && !audit_rows_is_true(&found, 0, "is_region"))
        code = fx_err_set(err, FX_ECONFIG, "--region: no region \"%.32s\"",
                          scope->region == NULL ? "" : scope->region);
    else if (code == FX_OK && !audit_rows_is_true(&found, 0, "is_source"))
        code =
            fx_err_set(err, FX_ECONFIG,
                       "--source: nobody of that name is registered or was ever heard: \"%.64s\"",
                       scope->source == NULL ? "" : scope->source);
    if (code == FX_OK) {
        snprintf(reading->record, sizeof reading->record, "\"%.63s\"",
                 audit_rows_cell(&found, 0, "record_schema"));
        code = audit_rows_pick(&found, "is_kind",
                               "schema audited_at kind region day source is_rebuild record_schema "
                               "topic_prefix",
                               head, err);
    }
    audit_rows_release(&found);
    return code;
}

static enum fx_code read_sections(const struct reading *reading, const struct audit_rows *sources,
                                  struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < AUDIT_SECTION_COUNT; i++) {
        enum audit_section section = (enum audit_section)i;
        struct audit_rows *rows = &reading->report->sections[i];
        if (reading->scope->day != NULL && !audit_query_is_daily(section))
            continue;
        if (audit_query_section(section) != NULL)
            code = read_scoped(reading, audit_query_section(section), rows, err);
        else if (audit_query_flag(section) != NULL)
            code = audit_rows_pick(sources, audit_query_flag(section), audit_query_picks(section),
                                   rows, err);
    }
    return code;
}

static enum fx_code recount(const struct reading *reading, struct fx_err *err)
{
    struct audit_rows *breaches = &reading->report->sections[AUDIT_BREACHES];
    struct audit_rows definitions = AUDIT_ROWS_INIT;
    struct audit_rows columns = AUDIT_ROWS_INIT;
    struct buf sql = BUF_INIT;
    enum fx_code code = read_plain(reading, audit_ledger_sql(), breaches, err);
    if (code == FX_OK)
        code = read_plain(reading, audit_query_definitions, &definitions, err);
    if (code == FX_OK)
        code = read_plain(reading, audit_query_columns, &columns, err);
    for (int i = 0; code == FX_OK && i < definitions.count * AUDIT_RECOUNTS; i++) {
        struct audit_rollup rollup = {&definitions, i / AUDIT_RECOUNTS, &columns};
        buf_reset(&sql);
        audit_recount_sql(&rollup, (enum audit_recount)(i % AUDIT_RECOUNTS), &sql);
        code = buf_check(&sql, err);
        if (code == FX_OK && sql.size > 0)
            code = read_plain(reading, buf_text(&sql), breaches, err);
        if (code != FX_OK)
            fx_err_wrap(err, "recount of %s", audit_rows_cell(&definitions, rollup.row, "rollup"));
    }
    audit_rows_release(&definitions);
    audit_rows_release(&columns);
    buf_release(&sql);
    return code;
}

static enum fx_code read_all(struct reading *reading, struct fx_err *err)
{
    bool is_now = reading->scope->day == NULL;
    struct audit_rows sources = AUDIT_ROWS_INIT;
    enum fx_code code = read_head(reading, err);
    if (code == FX_OK)
        code = read_scoped(reading, is_now ? audit_query_kinds_now : audit_query_kinds_day,
                           &reading->report->kinds, err);
    if (code == FX_OK)
        code = read_scoped(reading, is_now ? audit_query_sources_now : audit_query_sources_day,
                           &sources, err);
    if (code == FX_OK)
        code = read_sections(reading, &sources, err);
    if (code == FX_OK)
        code = recount(reading, err);
    audit_rows_release(&sources);
    return code;
}

enum fx_code audit_read(PGconn *conn, const struct audit_scope *scope, struct audit_report *report,
                        struct fx_err *err)
{
    struct reading reading = {.conn = conn, .scope = scope, .report = report};
    if (pg_run(conn, BEGIN, err) != FX_OK || read_all(&reading, err) != FX_OK)
        return err->code;
    return pg_run(conn, "COMMIT", err);
}

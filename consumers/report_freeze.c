/* SPDX-License-Identifier: Apache-2.0 */
#include "report_freeze.h"

#include "../common/day.h"
#include "../common/log.h"
#include "again.h"
#include "audit_fetch.h"
#include "report_compare.h"
#include "report_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FX_VERSION
#define FX_VERSION "0.0.0"
#endif

#define SETTINGS                                                                                   \
    "SET LOCAL statement_timeout = '60s'; SET LOCAL timezone = 'Asia/Shanghai'; "                  \
    "SET LOCAL datestyle = 'ISO'; SET LOCAL jit = off"

/* The lock comes before the snapshot, which the first query takes: a flush that is on its way is
 * waited for and is in the figures, the next one waits for us. */
#define BEGIN_FREEZE                                                                               \
    "BEGIN ISOLATION LEVEL REPEATABLE READ; " SETTINGS                                             \
    "; LOCK TABLE partition_position IN SHARE ROW EXCLUSIVE MODE"
#define BEGIN_DRAFT "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " SETTINGS

/* The head's cell, replaced. */
static enum fx_code set_head(struct report *report, int column, const char *text,
                             struct fx_err *err)
{
    char **cell = &report->parts[REPORT_HEAD].cells[column];
    char *copy = strdup(text);
    if (copy == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a report");
    free(*cell);
    *cell = copy;
    return FX_OK;
}

/* Corrections of now against base, whose figures it reads anew if base is of another time. */
static enum fx_code correct(const struct report_store *store, const struct report_scope *scope,
                            const struct report *base, struct report *now, struct fx_err *err)
{
    const char *as_of = report_cell(base, REPORT_HEAD, 0, HEAD_AS_OF);
    const char *made_at = report_cell(base, REPORT_HEAD, 0, HEAD_MADE_AT);
    bool is_same_time = strcmp(as_of, report_cell(now, REPORT_HEAD, 0, HEAD_AS_OF)) == 0;
    struct report again;
    struct report_scope then = *scope;
    struct audit_rows log = AUDIT_ROWS_INIT;
    report_init(&again);
    enum fx_code code = set_head(now, HEAD_BASE_AS_OF, as_of, err);
    if (code == FX_OK)
        code =
            set_head(now, HEAD_BASE_VERSION, report_cell(base, REPORT_HEAD, 0, HEAD_VERSION), err);
    if (code == FX_OK)
        code = day_parse(as_of, &then.as_of_ms, err);
    if (code == FX_OK && !is_same_time)
        code = report_figures_read(store->conn, &then, &again, err);
    const struct report *figures = is_same_time ? now : &again;
    if (code == FX_OK)
        code = report_figures_log(store->conn, figures, made_at, &log, err);
    if (code == FX_OK)
        code = report_compare(base, figures, &log, now, err);
    audit_rows_release(&log);
    report_release(&again);
    return code;
}

/* The report to compare with: the newest of this time, else of an earlier one; version 0: none.
 * newest: of this time. */
static enum fx_code find_base(const struct report_store *store, struct report_key *key,
                              struct audit_rows *found, int *newest, struct fx_err *err)
{
    key->version = 0;
    if (report_store_newest(store, key->as_of, key->region, newest, err) != FX_OK)
        return err->code;
    if (*newest > 0) {
        key->version = *newest;
        return FX_OK;
    }
    if (report_store_earlier(store, key->as_of, key->region, found, err) == FX_OK &&
        found->count > 0) {
        key->as_of = found->cells[0];
        key->version = (int)strtol(found->cells[1], NULL, 10);
    }
    return err->code;
}

/* Inside the caller's transaction. */
static enum fx_code make(const struct report_store *store, const struct report_scope *scope,
                         struct report *report, struct fx_err *err)
{
    struct audit_rows found = AUDIT_ROWS_INIT;
    struct report base;
    struct report_key key = {NULL, scope->region, 0};
    char version[12];
    int newest = 0;
    report_init(&base);
    enum fx_code code = report_figures_read(store->conn, scope, report, err);
    if (code == FX_OK)
        code = set_head(report, HEAD_PROGRAM, "fx-report " FX_VERSION, err);
    if (code == FX_OK)
        code = set_head(report, HEAD_SCHEMA, store->schema, err);
    if (code == FX_OK) {
        key.as_of = report_cell(report, REPORT_HEAD, 0, HEAD_AS_OF);
        code = find_base(store, &key, &found, &newest, err);
    }
    if (code == FX_OK && key.version > 0)
        code = report_store_read(store, &key, &base, err);
    if (code == FX_OK && key.version > 0)
        code = correct(store, scope, &base, report, err);
    snprintf(version, sizeof version, "%d", newest + 1);
    if (code == FX_OK)
        code = set_head(report, HEAD_VERSION, version, err);
    audit_rows_release(&found);
    report_release(&base);
    return code;
}

enum fx_code report_draft(const struct report_store *store, const struct report_scope *scope,
                          struct report *report, struct fx_err *err)
{
    if (pg_run(store->conn, BEGIN_DRAFT, err) != FX_OK || make(store, scope, report, err) != FX_OK)
        return err->code;
    return pg_run(store->conn, "COMMIT", err);
}

/* Hours that end by then are reported. Once per time; workers learn of it at their next claim. */
static enum fx_code record_cut_off(const struct report_store *store, const char *as_of,
                                   struct fx_err *err)
{
    char sql[300];
    struct audit_rows rows = AUDIT_ROWS_INIT;
    snprintf(sql, sizeof sql,
             "INSERT INTO %s.cutoff (as_of, reported_by) VALUES ($1::timestamptz, session_user) "
             "ON CONFLICT (as_of) DO NOTHING RETURNING fence_all()",
             store->record);
    enum fx_code code =
        audit_fetch(store->conn, &(struct pg_statement){sql, 1, &as_of}, &rows, err);
    audit_rows_release(&rows);
    return code;
}

/* What is printed is made from the rows that were kept, not from those in memory. */
static enum fx_code keep_texts(const struct report_store *store, const struct report_key *key,
                               struct fx_err *err)
{
    static const char *const langs[] = {"zh", "en", "both"};
    static const char *const formats[] = {"md", "csv", "html"};
    struct report kept;
    struct buf text = BUF_INIT;
    report_init(&kept);
    enum fx_code code = report_store_read(store, key, &kept, err);
    for (int i = 0; code == FX_OK && i < 9; i++) {
        struct report_form form = {langs[i / 3], formats[i % 3]};
        buf_reset(&text);
        code = report_render(&kept, (enum report_lang)(i / 3), form.format, &text, err);
        if (code == FX_OK)
            code = report_store_put_text(store, key, &form, &text, err);
    }
    buf_release(&text);
    report_release(&kept);
    return code;
}

static enum fx_code keep(const struct report_store *store, const struct report *report,
                         const struct report_key *key, struct fx_err *err)
{
    enum fx_code code = record_cut_off(store, key->as_of, err);
    if (code == FX_OK)
        code = report_store_insert(store, report, err);
    if (code == FX_OK)
        code = keep_texts(store, key, err);
    if (code == FX_OK)
        code = pg_run(store->conn, "COMMIT", err);
    if (code == FX_OK)
        fx_log(FX_LOG_INFO, "freeze", "as_of=%s region=%s version=%d figures=%d corrections=%d",
               key->as_of, key->region, key->version, report->parts[REPORT_FIGURES].count,
               report->parts[REPORT_CORRECTIONS].count);
    return code;
}

static enum fx_code attempt(struct report_store *store, const struct report_scope *scope,
                            int *version, struct fx_err *err)
{
    struct report report;
    report_init(&report);
    enum fx_code code = pg_run(store->conn, BEGIN_FREEZE, err);
    if (code == FX_OK) /* again: a swap may have come between */
        code = report_store_open(store->conn, store, err);
    if (code == FX_OK && store->is_rebuild)
        code = fx_err_set(err, FX_ECONFIG,
                          "schema %s is counted anew beside the live one: --freeze there",
                          store->schema);
    if (code == FX_OK)
        code = make(store, scope, &report, err);
    if (code == FX_OK) {
        const char *number = report_cell(&report, REPORT_HEAD, 0, HEAD_VERSION);
        *version = (int)strtol(number, NULL, 10);
        struct report_key key = {report_cell(&report, REPORT_HEAD, 0, HEAD_AS_OF), scope->region,
                                 *version};
        code = keep(store, &report, &key, err);
    }
    report_release(&report);
    return code;
}

/* Reports and other decisions are made one at a time; whoever may not is told so. */
static enum fx_code prepare(const struct report_store *store, struct fx_err *err)
{
    char sql[400];
    struct audit_rows rows = AUDIT_ROWS_INIT;
    snprintf(sql, sizeof sql,
             "SELECT pg_catalog.bool_and(has_table_privilege(t, 'INSERT')) FROM unnest(ARRAY["
             "'%s.report', '%s.report_text', '%s.cutoff']) t",
             store->record, store->record, store->record);
    enum fx_code code = audit_fetch(store->conn, &(struct pg_statement){sql, 0, NULL}, &rows, err);
    if (code == FX_OK && rows.cells[0][0] != 't')
        code = fx_err_set(err, FX_ECONFIG,
                          "--freeze needs a login in fangxian_writer or fangxian_owner");
    audit_rows_release(&rows);
    return code == FX_OK ? pg_run(store->conn,
                                  "SELECT pg_advisory_lock(hashtextextended('fx-setup', 0))", err)
                         : code;
}

enum fx_code report_freeze(struct report_store *store, const struct report_scope *scope,
                           int *version, struct fx_err *err)
{
    struct again again = again_begin();
    bool is_ready = false;
    do {
        is_ready = is_ready || prepare(store, err) == FX_OK;
        if (is_ready)
            (void)(attempt(store, scope, version, err) == FX_OK);
    } while (err->code != FX_OK && again_try(&again, store->conn, err));
    return err->code;
}

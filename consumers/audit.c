/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-audit - is everything counted that should be, and do all figures agree?
 */
#include "../common/args.h"
#include "../common/day.h"
#include "../common/log.h"
#include "../common/text.h"
#include "again.h"
#include "audit_json.h"
#include "audit_read.h"
#include "audit_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINES_DEFAULT 20

struct options {
    const char *conninfo;
    const char *schema_name;
    const char *kind;
    const char *region;
    const char *source;
    const char *log_level;
    int64_t day_ms; /* 0: now */
    int64_t lines;
    bool is_json;
    bool is_all;
};

#define AT(field) offsetof(struct options, field)

static const struct fx_opt opts[] = {
    {"conninfo", 0, FX_OPT_TEXT, AT(conninfo), "TEXT", "FX_CONNINFO", 0, 0,
     "PostgreSQL connection, added to PGHOST, PGDATABASE, …"},
    {"schema-name", 0, FX_OPT_TEXT, AT(schema_name), "NAME", "FX_SCHEMA_NAME", 0, 0,
     "PostgreSQL schema (fangxian)"},
    {"kind", 0, FX_OPT_TEXT, AT(kind), "KIND", NULL, 0, 0, "only this kind of event"},
    {"region", 0, FX_OPT_TEXT, AT(region), "CODE", NULL, 0, 0, "only this node and all below it"},
    {"source", 0, FX_OPT_TEXT, AT(source), "NAME", NULL, 0, 0, "only this device or post"},
    {"day", 0, FX_OPT_TIME, AT(day_ms), "DAY", NULL, 0, 0,
     "how that day stands, e.g. 2022-02-10; without it: how everything stands now"},
    {"json", 0, FX_OPT_FLAG, AT(is_json), NULL, NULL, 0, 0, "one JSON object, with all findings"},
    {"lines", 0, FX_OPT_NUMBER, AT(lines), "N", NULL, 1, 1000000,
     "findings of one sort that are shown (20)"},
    {"all", 0, FX_OPT_FLAG, AT(is_all), NULL, NULL, 0, 0, "show every finding"},
    {"log-level", 0, FX_OPT_TEXT, AT(log_level), "LEVEL", "FX_LOG_LEVEL", 0, 0,
     "error, warn, info or debug (info)"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {
    .name = "fx-audit",
    .synopsis = "[options]",
    .summary = "Says whether everything expected is counted, names what is not, with the command "
               "that\nmends it, and recounts the figures against one another. Only reads "
               "PostgreSQL, in one\nsnapshot. Invariants are checked over everything, whatever "
               "the options.",
    .opts = opts,
    .notes = "Exit status: 0 complete; 1 something is missing, rejected, silent or cloned, or an\n"
             "invariant is broken; 2 unknown (fx-rollup is behind, or nobody is expected), or "
             "wrong\nusage; 4 PostgreSQL is away or busy; 5 the report cannot be written.",
};

static enum fx_code parse(int argc, char **argv, struct options *options, bool *is_done,
                          struct fx_err *err)
{
    struct fx_argv words = {.count = argc, .words = argv};
    if (args_open(&program, &words, options, &options->log_level, err) != FX_OK)
        return err->code;
    *is_done = words.is_done;
    if (!text_is_identifier(options->schema_name))
        return fx_err_set(err, FX_ECONFIG, "--schema-name is 1 to 63 of a-z, 0-9 and _");
    return FX_OK;
}

static enum fx_code print(const struct options *options, const struct audit_report *report,
                          struct fx_err *err)
{
    struct buf out = BUF_INIT;
    if (options->is_json)
        (void)(audit_json(report, &out, err) == FX_OK);
    else
        audit_text(report, options->is_all ? 0 : (int)options->lines, &out);
    if (err->code == FX_OK && buf_check(&out, err) == FX_OK &&
        (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0))
        fx_err_set(err, FX_EDISK, "standard output: %s", strerror(errno));
    buf_release(&out);
    return err->code;
}

static enum fx_code read_report(PGconn *conn, const struct audit_scope *scope,
                                struct audit_report *report, struct fx_err *err)
{
    struct again again = again_begin();
    while (audit_read(conn, scope, report, err) != FX_OK && again_try(&again, conn, err)) {
        audit_report_release(report);
        *report = (struct audit_report){0};
    }
    return err->code;
}

static enum fx_code run(const struct options *options, int *status, struct fx_err *err)
{
    char day[DAY_TEXT_SIZE];
    struct audit_scope scope = {options->kind, options->region, NULL, options->source};
    if (options->day_ms != 0) {
        day_format(options->day_ms, day);
        day[strlen("2022-02-10")] = '\0';
        scope.day = day;
    }
    struct pg_options where = {options->conninfo, program.name, options->schema_name};
    static struct audit_report report;
    PGconn *conn = NULL;
    if (pg_open(&where, &conn, err) == FX_OK && read_report(conn, &scope, &report, err) == FX_OK &&
        print(options, &report, err) == FX_OK)
        *status = audit_exit_status(audit_judge(&report));
    PQfinish(conn);
    audit_report_release(&report);
    return err->code;
}

int main(int argc, char **argv)
{
    struct options options = {
        .schema_name = "fangxian", .log_level = "info", .lines = LINES_DEFAULT};
    struct fx_err err = FX_ERR_INIT;
    bool is_done = false;
    int status = 0;
    fx_log_open(program.name, FX_LOG_INFO);
    if (parse(argc, argv, &options, &is_done, &err) == FX_OK && !is_done)
        (void)(run(&options, &status, &err) == FX_OK);
    if (err.code != FX_OK) {
        fx_log_err("failed", &err);
        return fx_code_exit_status(err.code);
    }
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-report - the daily situation report (日报) as of a time, frozen and versioned.
 */
#include "../common/args.h"
#include "../common/day.h"
#include "../common/log.h"
#include "../common/text.h"
#include "pg.h"
#include "publish.h"
#include "report_options.h"
#include "report_output.h"
#include "report_page.h"
#include "report_pg.h"

#include <inttypes.h>
#include <string.h>

#define AT(field) offsetof(struct report_options, field)

static const struct fx_opt opts[] = {
    {"as-of", 0, FX_OPT_TIME, AT(as_of_ms), "TIME", NULL, 0, 0,
     "a full hour: what was counted before it, e.g. 2022-02-11 or \"2022-02-10 08:00\""},
    {"region", 0, FX_OPT_TEXT, AT(region), "CODE", NULL, 0, 0,
     "of this node, with a row per node below it (the root)"},
    {"freeze", 0, FX_OPT_FLAG, AT(is_freeze), NULL, NULL, 0, 0,
     "make the next version from the figures now, and keep it; from now on what\n"
     "changes hours before TIME is a correction"},
    {"draft", 0, FX_OPT_FLAG, AT(is_draft), NULL, NULL, 0, 0,
     "the figures now, even if a version is kept; keeps nothing"},
    {"report-version", 0, FX_OPT_NUMBER, AT(version), "N", NULL, 1, INT32_MAX,
     "this version as it was kept (the newest)"},
    {"list", 0, FX_OPT_FLAG, AT(is_list), NULL, NULL, 0, 0,
     "what is kept, newest first, as CSV; of --region and --as-of where given"},
    {"publish", 0, FX_OPT_FLAG, AT(is_publish), NULL, NULL, 0, 0,
     "only this: a snapshot for everybody, of the day up to TIME (the last full hour)"},
    {"lang", 0, FX_OPT_TEXT, AT(lang), "LANG", NULL, 0, 0, "zh, en or both (both)"},
    {"format", 0, FX_OPT_TEXT, AT(format), "FORMAT", NULL, 0, 0,
     "md, csv, html, or with --output all (md)"},
    {"output", 'o', FX_OPT_TEXT, AT(output), "DIR", NULL, 0, 0,
     "write files there and print their names; without it: to stdout"},
    {"conninfo", 0, FX_OPT_TEXT, AT(conninfo), "TEXT", "FX_CONNINFO", 0, 0,
     "PostgreSQL connection, added to PGHOST, PGDATABASE, …"},
    {"schema-name", 0, FX_OPT_TEXT, AT(schema_name), "NAME", "FX_SCHEMA_NAME", 0, 0,
     "PostgreSQL schema (fangxian)"},
    {"log-level", 0, FX_OPT_TEXT, AT(log_level), "LEVEL", "FX_LOG_LEVEL", 0, 0,
     "error, warn, info or debug (info)"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {
    .name = "fx-report",
    .synopsis = "--as-of TIME [options]",
    .summary = "The daily situation report as of a time: completeness first, then every figure by\n"
               "reporting unit. A version that is kept stays the same, byte for byte.",
    .opts = opts,
    .notes = "Exit status: 0 done; 2 wrong usage, no such report, or not set up; 4 PostgreSQL is\n"
             "away or busy; 5 the output cannot be written.",
};

static enum fx_code parse(int argc, char **argv, struct report_options *options, bool *is_done,
                          struct fx_err *err)
{
    struct fx_argv words = {.count = argc, .words = argv};
    enum fx_log_level level = FX_LOG_INFO;
    if (args_parse(&program, &words, options, err) != FX_OK)
        return err->code;
    *is_done = words.is_done;
    if (!words.is_done && words.operands < argc)
        return fx_err_set(err, FX_ECONFIG, "unexpected \"%s\"", argv[words.operands]);
    if (fx_log_parse_level(options->log_level, &level, err) != FX_OK)
        return err->code;
    fx_log_open(program.name, level);
    if (!text_is_identifier(options->schema_name))
        return fx_err_set(err, FX_ECONFIG, "--schema-name is 1 to 63 of a-z, 0-9 and _");
    return FX_OK;
}

static enum fx_code publish(PGconn *conn, const struct report_options *options, struct fx_err *err)
{
    _Static_assert(PUBLISH_LAST_HOUR == REPORT_NO_TIME, "no time given is the last hour");
    struct publish_options wanted = {options->schema_name, options->as_of_ms};
    struct publish_outcome outcome;
    char cut_off[DAY_TEXT_SIZE];
    if (options->is_freeze || options->is_draft || options->is_list || options->version != 0)
        return fx_err_set(err, FX_ECONFIG, "--publish goes with --as-of alone");
    if (publish_snapshot(conn, &wanted, &outcome, err) != FX_OK)
        return err->code;
    day_format(outcome.cut_off_ms, cut_off);
    fx_log(FX_LOG_INFO, "published",
           "schema=%s_published cut_off=%s new=%s rows=%" PRId64 " withheld=%" PRId64,
           options->schema_name, cut_off, outcome.is_new ? "yes" : "no", outcome.rows,
           outcome.withheld);
    return FX_OK;
}

/* What the options ask for: the first that applies. */
static enum fx_code run(const struct report_options *options, struct fx_err *err)
{
    struct pg_options where = {options->conninfo, program.name, options->schema_name};
    struct report_store store;
    struct audit_rows root = AUDIT_ROWS_INIT;
    const char *region = NULL;
    PGconn *conn = NULL;
    if (check(options, err) != FX_OK || pg_open(&where, &conn, err) != FX_OK)
        return err->code;
    if (options->is_publish)
        (void)(publish(conn, options, err) == FX_OK);
    PQfinish(conn);
    return err->code;
}

int main(int argc, char **argv)
{
    struct report_options options = {.schema_name = "fangxian",
                                     .log_level = "info",
                                     .lang = "both",
                                     .format = "md",
                                     .as_of_ms = REPORT_NO_TIME};
    struct fx_err err = FX_ERR_INIT;
    bool is_done = false;
    fx_log_open(program.name, FX_LOG_INFO);
    if (parse(argc, argv, &options, &is_done, &err) == FX_OK && !is_done)
        (void)(run(&options, &err) == FX_OK);
    if (err.code != FX_OK) {
        fx_log_err("failed", &err);
        return fx_code_exit_status(err.code);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-report - the daily situation report (日报) as of a time, frozen and versioned.
 */
#include "../common/args.h"
#include "../common/day.h"
#include "../common/log.h"
#include "../common/text.h"
#include "audit_fetch.h"
#include "publish.h"
#include "report_freeze.h"
#include "report_options.h"
#include "report_output.h"
#include "report_page.h"

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
    if (args_open(&program, &words, options, &options->log_level, err) != FX_OK)
        return err->code;
    *is_done = words.is_done;
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
    if (publish_snapshot(conn, &wanted, &outcome, err) != FX_OK)
        return err->code;
    day_format(outcome.cut_off_ms, cut_off);
    fx_log(FX_LOG_INFO, "published",
           "schema=%s_published cut_off=%s new=%s rows=%" PRId64 " withheld=%" PRId64,
           options->schema_name, cut_off, outcome.is_new ? "yes" : "no", outcome.rows,
           outcome.withheld);
    return FX_OK;
}

/* What does not go together, and what cannot be. */
static enum fx_code check(const struct report_options *options, struct fx_err *err)
{
    char text[DAY_TEXT_SIZE];
    bool is_shaped = options->region != NULL || options->lang != NULL || options->format != NULL ||
                     options->output != NULL;
    int asked = options->is_freeze + options->is_draft + options->is_list + options->is_publish +
                (options->version > 0);
    if (asked > 1)
        return fx_err_set(err, FX_ECONFIG,
                          "one of --freeze, --draft, --report-version, --list and --publish at a "
                          "time");
    if (options->is_publish && is_shaped)
        return fx_err_set(err, FX_ECONFIG,
                          "--publish prints nothing and is of all regions: no --region, --lang, "
                          "--format or --output with it");
    if (options->as_of_ms == REPORT_NO_TIME)
        return options->is_list || options->is_publish
                   ? FX_OK
                   : fx_err_set(err, FX_ECONFIG, "--as-of TIME is needed");
    day_format(options->as_of_ms, text);
    if (options->as_of_ms % DAY_HOUR_MS != 0)
        return fx_err_set(err, FX_ECONFIG, "--as-of: %s is no full hour; figures are kept by hour",
                          text);
    if (options->as_of_ms > day_now_ms())
        return fx_err_set(err, FX_ECONFIG, "--as-of: %s is yet to come: a report is about the past",
                          text);
    return FX_OK;
}

/* What is printed: lang, and one format or all. */
struct wanted {
    enum report_lang lang;
    const char *formats[4]; /* NULL ends */
};

static enum fx_code choose(const struct report_options *options, struct wanted *wanted,
                           struct fx_err *err)
{
    static const char *const all[] = {"md", "csv", "html"};
    int count = 0;
    if (report_lang_parse(options->lang, &wanted->lang, err) != FX_OK)
        return err->code;
    bool is_all = strcmp(options->format, "all") == 0;
    for (int i = 0; i < 3; i++)
        if (is_all || strcmp(options->format, all[i]) == 0)
            wanted->formats[count++] = all[i];
    wanted->formats[count] = NULL;
    if (count == 0)
        return fx_err_set(err, FX_ECONFIG, "--format '%.20s' is none of md, csv, html, all",
                          options->format);
    if (is_all && options->output == NULL)
        return fx_err_set(err, FX_ECONFIG, "--format all goes with --output DIR");
    return FX_OK;
}

/* The one root of the tree, unless a region is given. */
static enum fx_code choose_region(PGconn *conn, const char *asked, struct audit_rows *root,
                                  const char **region, struct fx_err *err)
{
    struct pg_statement statement = {
        "SELECT code FROM region WHERE parent IS NULL AND code <> '-' ORDER BY code", 0, NULL};
    *region = asked;
    if (asked != NULL)
        return FX_OK;
    if (audit_fetch(conn, &statement, root, err) != FX_OK)
        return err->code;
    if (root->count != 1)
        return fx_err_set(err, FX_ECONFIG, "the tree has %d roots: say which --region",
                          root->count);
    *region = root->cells[0];
    return FX_OK;
}

/* One document: as it was kept, or of the draft. */
static enum fx_code print(const struct report_store *store, const struct report_key *key,
                          const struct report *draft, const struct report_name *name,
                          struct fx_err *err)
{
    struct buf text = BUF_INIT;
    struct report_form form = {name->lang, name->format};
    enum report_lang lang = REPORT_BOTH;
    enum fx_code code = report_lang_parse(name->lang, &lang, err);
    if (code == FX_OK)
        code = draft == NULL ? report_store_text(store, key, &form, &text, err)
                             : report_render(draft, lang, name->format, &text, err);
    if (code == FX_OK)
        code = report_output(name, &text, err);
    buf_release(&text);
    return code;
}

/* The version asked for, else the newest; key->version 0: a draft is asked for, or all there is. */
static enum fx_code find_version(const struct report_options *options,
                                 const struct report_store *store, struct report_key *key,
                                 struct fx_err *err)
{
    int newest = 0;
    if (report_store_newest(store, key->as_of, key->region, &newest, err) != FX_OK)
        return err->code;
    if (options->version > newest)
        return fx_err_set(err, FX_ECONFIG,
                          newest == 0 ? "--report-version %d: no version of the report of %.32s as "
                                        "of %s is kept; --freeze makes one"
                                      : "--report-version %d: of the report of %.32s as of %s "
                                        "versions 1 to %d are kept",
                          (int)options->version, key->region, key->as_of, newest);
    key->version = options->is_draft ? 0 : options->version > 0 ? (int)options->version : newest;
    return FX_OK;
}

static enum fx_code show(const struct report_options *options, struct report_store *store,
                         const char *region, struct fx_err *err)
{
    char as_of[DAY_TEXT_SIZE];
    struct wanted wanted;
    struct report draft;
    struct report_scope scope = {region, options->as_of_ms};
    struct report_key key = {day_format(options->as_of_ms, as_of), region, 0};
    report_init(&draft);
    enum fx_code code = choose(options, &wanted, err);
    if (code == FX_OK && options->is_freeze)
        code = report_freeze(store, &scope, &key.version, err);
    else if (code == FX_OK)
        code = find_version(options, store, &key, err);
    if (code == FX_OK && key.version == 0)
        code = report_draft(store, &scope, &draft, err);
    for (int i = 0; code == FX_OK && wanted.formats[i] != NULL; i++) {
        struct report_name name = {options->output, region,        as_of,
                                   key.version,     options->lang, wanted.formats[i]};
        code = print(store, &key, key.version == 0 ? &draft : NULL, &name, err);
    }
    report_release(&draft);
    return code;
}

static enum fx_code list(const struct report_options *options, const struct report_store *store,
                         struct fx_err *err)
{
    char as_of[DAY_TEXT_SIZE];
    struct buf text = BUF_INIT;
    struct report_name name = {.folder = NULL};
    if (options->as_of_ms != REPORT_NO_TIME)
        day_format(options->as_of_ms, as_of);
    enum fx_code code = report_store_list(store, options->as_of_ms == REPORT_NO_TIME ? NULL : as_of,
                                          options->region, &text, err);
    if (code == FX_OK)
        code = report_output(&name, &text, err);
    buf_release(&text);
    return code;
}

static enum fx_code run(struct report_options *options, struct fx_err *err)
{
    struct pg_options where = {options->conninfo, program.name, options->schema_name};
    struct report_store store;
    struct audit_rows root = AUDIT_ROWS_INIT;
    const char *region = NULL;
    PGconn *conn = NULL;
    if (check(options, err) != FX_OK || pg_open(&where, &conn, err) != FX_OK)
        return err->code;
    options->lang = options->lang == NULL ? "both" : options->lang;
    options->format = options->format == NULL ? "md" : options->format;
    if (options->is_publish)
        (void)(publish(conn, options, err) == FX_OK);
    else if (report_store_open(conn, &store, err) != FX_OK)
        fx_err_wrap(err, "schema %s", options->schema_name);
    else if (options->is_list)
        (void)(list(options, &store, err) == FX_OK);
    else if (choose_region(conn, options->region, &root, &region, err) == FX_OK)
        (void)(show(options, &store, region, err) == FX_OK);
    PQfinish(conn); /* what was not committed is rolled back */
    audit_rows_release(&root);
    return err->code;
}

int main(int argc, char **argv)
{
    struct report_options options = {
        .schema_name = "fangxian", .log_level = "info", .as_of_ms = REPORT_NO_TIME};
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

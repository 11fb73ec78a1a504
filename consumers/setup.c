/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-setup - makes, checks and updates everything that fx-rollup and the analysts need.
 */
#include "setup.h"

#include "../common/log.h"
#include "../common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 4096
#define PREFIX_MAX 200

static const struct fx_opt opts[] = {
    KAFKA_OPTS(struct setup_options, kafka),
    {"conninfo", 0, FX_OPT_TEXT, offsetof(struct setup_options, conninfo), "TEXT", "FX_CONNINFO", 0,
     0, "PostgreSQL connection, added to PGHOST, PGDATABASE, …"},
    {"schemas", 0, FX_OPT_TEXT, offsetof(struct setup_options, schemas), "DIR", "FX_SCHEMAS", 0, 0,
     "the definitions"},
    {"schema-name", 0, FX_OPT_TEXT, offsetof(struct setup_options, schema_name), "NAME",
     "FX_SCHEMA_NAME", 0, 0, "PostgreSQL schema (fangxian)"},
    {"record-schema", 0, FX_OPT_TEXT, offsetof(struct setup_options, record_schema), "NAME",
     "FX_RECORD_SCHEMA", 0, 0,
     "schema of what people decided (SCHEMA-NAME_record);\nthat of another schema: this one is "
     "counted anew beside it"},
    {"topic-prefix", 0, FX_OPT_TEXT, offsetof(struct setup_options, topic_prefix), "TEXT",
     "FX_TOPIC_PREFIX", 0, 0, "topics are TEXT.kind (fangxian)"},
    {"partitions", 0, FX_OPT_NUMBER, offsetof(struct setup_options, partitions), "N", NULL, 1,
     10000, "partitions of each topic, never lowered\n(12 for a new one, what there is otherwise)"},
    {"replication", 0, FX_OPT_NUMBER, offsetof(struct setup_options, replication), "N", NULL, 1, 9,
     "copies of each topic that is created\n(3, or as many as there are brokers)"},
    {"retention-ms", 0, FX_OPT_NUMBER, offsetof(struct setup_options, retention_ms), "N", NULL, -1,
     INT64_MAX,
     "how long topics keep events; -1 is for ever\n"
     "(as it is; for ever in a new topic, so that a rebuild stays possible)"},
    {"regions", 0, FX_OPT_TEXT, offsetof(struct setup_options, regions), "FILE", NULL, 0, 0,
     "the tree of places (SCHEMAS/regions.csv)"},
    {"sources", 0, FX_OPT_TEXT, offsetof(struct setup_options, sources), "FILE", NULL, 0, 0,
     "who is expected to report, like SCHEMAS/sources.csv\n(those that are registered)"},
    {"accept-simulated", 0, FX_OPT_FLAG, offsetof(struct setup_options, is_simulated_accepted),
     NULL, NULL, 0, 0, "events of sources named SIM-… count from now on"},
    {"refuse-simulated", 0, FX_OPT_FLAG, offsetof(struct setup_options, is_simulated_refused), NULL,
     NULL, 0, 0, "they are rejected from now on, as in a new schema"},
    {"check", 0, FX_OPT_FLAG, offsetof(struct setup_options, is_check), NULL, NULL, 0, 0,
     "change nothing; print what differs, one line each"},
    {"dictionary", 0, FX_OPT_FLAG, offsetof(struct setup_options, is_dictionary), NULL, NULL, 0, 0,
     "only this: print the data dictionary of what is set up,\nas Markdown"},
    {"no-topics", 0, FX_OPT_FLAG, offsetof(struct setup_options, has_no_topics), NULL, NULL, 0, 0,
     "leave Kafka alone"},
    {"no-database", 0, FX_OPT_FLAG, offsetof(struct setup_options, has_no_database), NULL, NULL, 0,
     0, "leave PostgreSQL alone"},
    {"write-off", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.write_off), "RANGE", NULL,
     0, 0, "only this: give up numbers that will never come;\nRANGE is SOURCE:RUN:FIRST-LAST"},
    {"release", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.release), "SOURCE:RUN", NULL,
     0, 0, "only this: a quarantined run counts again"},
    {"accept-loss", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.accept_loss), "OFFSETS",
     NULL, 0, 0,
     "only this: go on although Kafka lost records;\nOFFSETS is TOPIC:PARTITION:FIRST-LAST"},
    {"accept-cluster", 0, FX_OPT_FLAG, offsetof(struct setup_options, decide.is_cluster_accepted),
     NULL, NULL, 0, 0, "only this: the topics moved to the Kafka at -b"},
    {"cut-off", 0, FX_OPT_TIME, offsetof(struct setup_options, decide.cut_off_ms), "TIME", NULL, 0,
     0, "only this: hours up to TIME are reported;\nwhat changes them from now on is a correction"},
    {"swap", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.swap), "SCHEMA", NULL, 0, 0,
     "only this: exchange the schema with SCHEMA, which\nwas counted anew; again: back"},
    {"kind", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.kind), "KIND", NULL, 0, 0,
     "of a run that is met in several topics"},
    {"reason", 0, FX_OPT_TEXT, offsetof(struct setup_options, decide.reason), "TEXT", NULL, 0, 0,
     "why: with --write-off, --accept-loss, --accept-cluster"},
    {"log-level", 0, FX_OPT_TEXT, offsetof(struct setup_options, log_level), "LEVEL",
     "FX_LOG_LEVEL", 0, 0, "error, warn, info or debug (info)"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {
    .name = "fx-setup",
    .synopsis = "[options]",
    .summary = "Makes Kafka topics, PostgreSQL schema, tables, views and roles from the "
               "definitions.\nSafe to run again; refuses what would change what old figures mean.",
    .opts = opts,
    .notes =
        "What a person decides is recorded with who and why. It does only that, at once, while\n"
        "fx-rollup goes on.\n\n"
        "Exit status: 0 done, or --check found no difference; 1 --check found some, or\n"
        "--swap is done, but fewer events are counted now; 2 usage, definition or refusal; 3 a "
        "person must decide; 4 a service is away.",
};

void setup_change(struct setup *setup, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    setup->changes++;
    if (setup->options.is_check) {
        printf("%s\n", text);
        return;
    }
    char quoted[360];
    fx_log(FX_LOG_DEBUG, "change", "what=%s", fx_log_quote(quoted, sizeof quoted, text));
}

/* Paths and names that follow from others; they live as long as the process. */
static enum fx_code complete_options(struct setup_options *options, struct fx_err *err)
{
    static char record[80];
    static char regions[PATH_SIZE];
    if (options->schemas == NULL)
        options->schemas = schema_default_directory();
    snprintf(record, sizeof record, "%s_record", options->schema_name);
    snprintf(regions, sizeof regions, "%s/regions.csv", options->schemas);
    if (options->record_schema == NULL)
        options->record_schema = record;
    if (options->regions == NULL)
        options->regions = regions;
    if (!text_is_identifier(options->schema_name) || !text_is_identifier(options->record_schema))
        return fx_err_set(err, FX_ECONFIG,
                          "--schema-name and --record-schema are 1 to 63 of a-z, 0-9 and _");
    if (strcmp(options->schema_name, "public") == 0 ||
        strcmp(options->record_schema, "public") == 0)
        return fx_err_set(err, FX_ECONFIG, "the schema public is everybody's: use another name");
    if (options->is_simulated_accepted && options->is_simulated_refused)
        return fx_err_set(err, FX_ECONFIG, "--accept-simulated and --refuse-simulated");
    if (strcmp(options->schema_name, options->record_schema) == 0)
        return fx_err_set(err, FX_ECONFIG, "--schema-name and --record-schema are the same");
    if (!text_is_name(options->topic_prefix, strlen(options->topic_prefix), PREFIX_MAX))
        return fx_err_set(err, FX_ECONFIG, "--topic-prefix is 1 to %d of [A-Za-z0-9._-]",
                          PREFIX_MAX);
    return FX_OK;
}

static enum fx_code parse(int argc, char **argv, struct setup_options *options, bool *is_done,
                          struct fx_err *err)
{
    struct fx_argv words = {.count = argc, .words = argv};
    if (args_open(&program, &words, options, &options->log_level, err) != FX_OK)
        return err->code;
    *is_done = words.is_done;
    return complete_options(options, err);
}

static enum fx_code decide(struct setup *setup, struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    struct decide_place place = {options->conninfo, options->schema_name, &options->kafka};
    if (options->is_check || options->has_no_database)
        return fx_err_set(err, FX_ECONFIG, "a decision goes without --check and --no-database");
    return decide_run(&options->decide, &place, &setup->is_short, err);
}

static enum fx_code run(struct setup *setup, struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    if (decide_is_asked(&options->decide))
        return decide(setup, err);
    if (options->is_dictionary)
        return setup_dictionary(options, err);
    if (catalog_load(options->schemas, &setup->catalog, err) != FX_OK)
        return err->code;
    enum fx_code code = FX_OK;
    if (!options->has_no_topics)
        code = setup_cluster(setup, err);
    if (code == FX_OK && !options->has_no_database)
        code = setup_database(setup, err);
    if (code == FX_OK && !options->has_no_topics)
        code = setup_topics(setup, err);
    if (code == FX_OK)
        fx_log(FX_LOG_INFO, options->is_check ? "checked" : "done",
               "schema=%s prefix=%s hash=%s kinds=%d changes=%d", options->schema_name,
               options->topic_prefix, setup->catalog.hash, setup->catalog.kind_count,
               setup->changes);
    catalog_release(&setup->catalog);
    return code;
}

int main(int argc, char **argv)
{
    static struct setup setup = {
        .options = {.schema_name = "fangxian",
                    .topic_prefix = "fangxian",
                    .log_level = "info",
                    .retention_ms = SETUP_RETENTION_KEPT,
                    .decide = {.cut_off_ms = DECIDE_NO_TIME}},
    };
    struct fx_err err = FX_ERR_INIT;
    bool is_done = false;
    fx_log_open(program.name, FX_LOG_INFO);
    if (parse(argc, argv, &setup.options, &is_done, &err) == FX_OK && !is_done)
        (void)!run(&setup, &err);
    if (err.code != FX_OK) {
        fx_log_err("failed", &err);
        return fx_code_exit_status(err.code);
    }
    return setup.is_short || (setup.options.is_check && setup.changes > 0) ? 1 : 0;
}

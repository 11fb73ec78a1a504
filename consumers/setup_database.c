/* SPDX-License-Identifier: Apache-2.0 */
#include "../common/log.h"
#include "again.h"
#include "setup.h"
#include "setup_generated.h"
#include "setup_sql.h"

#include <stdio.h>
#include <string.h>

#define PATH_SIZE 4096

/* Runs schemas/NAME. */
static enum fx_code run_file(const struct setup *setup, const char *name, struct fx_err *err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", setup->options.schemas, name);
    return sql_run_file(setup->conn, path, err);
}

static enum fx_code set_path(const struct setup *setup, const char *schema, struct fx_err *err)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SET LOCAL search_path = \"%s\", pg_catalog", schema);
    return sql_run(setup->conn, sql, err);
}

/* A schema counts one set of topics and belongs to one record schema, for good. */
static enum fx_code check_definition(struct setup *setup, struct fx_err *err)
{
    PGresult *rows = NULL;
    if (pg_query(
            setup->conn,
            &(struct pg_statement){
                "SELECT topic_prefix, record_schema, accept_simulated, cluster_id FROM definition",
                0, NULL},
            &rows, err) != FX_OK)
        return err->code;
    const struct setup_options *options = &setup->options;
    enum fx_code code = FX_OK;
    bool was_accepted = PQntuples(rows) == 1 && strcmp(PQgetvalue(rows, 0, 2), "t") == 0;
    setup->accepts_simulated =
        !options->is_simulated_refused && (options->is_simulated_accepted || was_accepted);
    if (PQntuples(rows) == 1 && strcmp(PQgetvalue(rows, 0, 0), options->topic_prefix) != 0)
        code = fx_err_set(err, FX_ECONFIG,
                          "schema %s counts the topics of prefix %s, not %s: use another "
                          "--schema-name",
                          options->schema_name, PQgetvalue(rows, 0, 0), options->topic_prefix);
    else if (PQntuples(rows) == 1 && strcmp(PQgetvalue(rows, 0, 1), options->record_schema) != 0)
        code = fx_err_set(err, FX_ECONFIG, "schema %s has the record schema %s, not %s",
                          options->schema_name, PQgetvalue(rows, 0, 1), options->record_schema);
    else if (PQntuples(rows) == 1 && setup->cluster[0] != '\0' && !PQgetisnull(rows, 0, 3) &&
             strcmp(PQgetvalue(rows, 0, 3), setup->cluster) != 0)
        code = fx_err_set(err, FX_ESTATE,
                          "schema %s counts Kafka cluster %s, -b is cluster %s: correct -b; if the "
                          "topics were moved: fx-setup --accept-cluster --reason TEXT",
                          options->schema_name, PQgetvalue(rows, 0, 3), setup->cluster);
    else if (PQntuples(rows) == 1 && was_accepted != setup->accepts_simulated)
        fx_log(FX_LOG_WARN, "accept_simulated", "was=%s is=%s msg=\"events of sources SIM-… %s\"",
               was_accepted ? "on" : "off", setup->accepts_simulated ? "on" : "off",
               setup->accepts_simulated ? "count" : "are rejected");
    PQclear(rows);
    return code;
}

enum fx_code setup_fence(const struct setup *setup, bool is_changed, struct fx_err *err)
{
    const char *values[] = {setup->catalog.hash, setup->accepts_simulated ? "true" : "false",
                            is_changed ? "true" : "false"};
    return sql_execute(setup->conn,
                       "SELECT fence_all() WHERE $3::boolean OR EXISTS (SELECT FROM definition "
                       "WHERE hash <> $1 OR accept_simulated <> $2::boolean)",
                       3, values, err);
}

/* The first schema of a record schema is the live one, until a swap: whoever comes after it counts
 * anew what that one counts. A swap exchanges names, so that the name of the live one stays. */
static enum fx_code name_live(const struct setup *setup, struct fx_err *err)
{
    const char *values[] = {setup->options.schema_name};
    char sql[200];
    snprintf(sql, sizeof sql,
             "INSERT INTO \"%s\".live_schema (name) VALUES ($1) ON CONFLICT DO NOTHING",
             setup->options.record_schema);
    return sql_execute(setup->conn, sql, 1, values, err);
}

static enum fx_code write_definition(const struct setup *setup, struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    const char *values[] = {setup->catalog.hash,
                            options->topic_prefix,
                            options->record_schema,
                            setup->accepts_simulated ? "true" : "false",
                            setup->cluster[0] == '\0' ? NULL : setup->cluster,
                            options->schema_name};
    char sql[600];
    snprintf(sql, sizeof sql,
             "INSERT INTO definition AS d (hash, topic_prefix, record_schema, accept_simulated, "
             "cluster_id, is_rebuild) SELECT $1, $2, $3, $4::boolean, $5, l.name <> $6 "
             "FROM \"%s\".live_schema l ON CONFLICT (is_only) DO UPDATE "
             "SET hash = EXCLUDED.hash, accept_simulated = EXCLUDED.accept_simulated, "
             "cluster_id = coalesce(d.cluster_id, EXCLUDED.cluster_id), installed_at = now()",
             options->record_schema);
    return sql_execute(setup->conn, sql, 6, values, err);
}

/* Small tables in the plan of every view. Guessed until autovacuum comes by, they make queries look
 * so costly that PostgreSQL compiles them (JIT), which takes seconds where to run them takes none.
 */
static const char analyze[] = "ANALYZE region, region_ancestor, rollup_definition, definition";

/* Other definitions may add columns to tables. */
static enum fx_code lock_readers_out(const struct setup *setup, struct fx_err *err)
{
    const char *values[] = {setup->catalog.hash};
    PGresult *rows = NULL;
    if (pg_query(setup->conn,
                 &(struct pg_statement){"SELECT FROM definition WHERE hash <> $1", 1, values},
                 &rows, err) != FX_OK)
        return err->code;
    bool is_changed = PQntuples(rows) > 0;
    PQclear(rows);
    return is_changed ? generated_lock(setup->conn, true, err) : FX_OK;
}

static enum fx_code make_all(struct setup *setup, struct fx_err *err)
{
    enum fx_code code = set_path(setup, setup->options.record_schema, err);
    if (code == FX_OK)
        code = run_file(setup, "record.sql", err);
    if (code == FX_OK)
        code = set_path(setup, setup->options.schema_name, err);
    if (code == FX_OK)
        code = run_file(setup, "tables.sql", err);
    if (code == FX_OK)
        code = run_file(setup, "decide.sql", err);
    if (code == FX_OK)
        code = check_definition(setup, err);
    if (code == FX_OK)
        code = setup_fence(setup, false, err);
    if (code == FX_OK)
        code = lock_readers_out(setup, err);
    if (code == FX_OK)
        code = setup_versions(setup, err);
    if (code == FX_OK)
        code = setup_definitions(setup, err);
    if (code == FX_OK)
        code = setup_regions(setup, err);
    if (code == FX_OK)
        code = setup_sources(setup, err);
    if (code == FX_OK)
        code = setup_rollup_tables(setup, err);
    if (code == FX_OK)
        code = setup_totals(setup, err);
    if (code == FX_OK)
        code = setup_rollup_views(setup, err);
    if (code == FX_OK)
        code = setup_grants(setup, err);
    if (code == FX_OK)
        code = name_live(setup, err);
    if (code == FX_OK)
        code = write_definition(setup, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, analyze, err);
    return code;
}

/* One fx-setup at a time in a database: roles and record schemas may be shared. Another one, or a
 * snapshot that is published, takes longer than what a session waits for any other lock. */
static const char begin[] =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
    "SET client_min_messages = warning; SET check_function_bodies = on; "
    "SET temp_buffers = '32MB'; BEGIN; SET LOCAL lock_timeout = '60s'; "
    "SELECT pg_advisory_xact_lock(hashtextextended('fx-setup', 0)); "
    "SET LOCAL lock_timeout TO DEFAULT";

static enum fx_code run_transaction(struct setup *setup, struct fx_err *err)
{
    PGresult *before = NULL;
    PGresult *after = NULL;
    if (sql_run(setup->conn, begin, err) != FX_OK)
        return fx_err_wrap(err, "lock (is another fx-setup running?)");
    enum fx_code code = setup_snapshot(setup, &before, err);
    if (code == FX_OK)
        code = setup_roles(setup, err);
    if (code == FX_OK)
        code = make_all(setup, err);
    if (code == FX_OK)
        code = setup_snapshot(setup, &after, err);
    if (code == FX_OK && !setup->options.is_check)
        code = sql_run(setup->conn, "COMMIT", err);
    if (code == FX_OK)
        setup_compare(setup, before, after);
    PQclear(after);
    PQclear(before);
    return code;
}

/* As there is no limit of time here, whoever runs the database means it. */
static bool is_cancelled(const struct fx_err *err)
{
    return strstr(err->text, "PostgreSQL 57014:") != NULL;
}

enum fx_code setup_database(struct setup *setup, struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    struct pg_options pg = {options->conninfo, "fx-setup", options->schema_name};
    if (pg_open(&pg, &setup->conn, err) != FX_OK)
        return err->code;
    struct again again = again_begin();
    while (run_transaction(setup, err) != FX_OK && !is_cancelled(err) &&
           again_try(&again, setup->conn, err)) {
    }
    PQfinish(setup->conn); /* what was not committed is rolled back */
    setup->conn = NULL;
    return err->code;
}

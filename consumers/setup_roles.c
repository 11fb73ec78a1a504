/* SPDX-License-Identifier: Apache-2.0 */
#include "../common/log.h"
#include "../common/text.h"
#include "setup.h"
#include "setup_sql.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80

/* Group roles: log in as a role of your own that is a member. Settings do not come with
 * membership: those of fangxian_analyst are the pattern that README.md has every login copy. */
static const struct {
    const char *name;
    const char *doc;
} roles[] = {
    {"fangxian_owner", "owns the schemas; fx-setup acts as it 所有者"},
    {"fangxian_writer", "fx-rollup: writes what was counted 写入者"},
    {"fangxian_analyst", "reads views and rollups 分析员"},
    {"fangxian_public", "reads what is published, nothing else 公众"},
};
#define ROLE_COUNT (sizeof roles / sizeof roles[0])
#define ROLE_NEEDED 3 /* the first ones; without the public's there is nobody to publish for */

static enum fx_code ask(PGconn *conn, const char *sql, const char *value, bool *is_true,
                        struct fx_err *err)
{
    PGresult *rows = NULL;
    enum fx_code code =
        pg_query(conn, &(struct pg_statement){sql, value == NULL ? 0 : 1, &value}, &rows, err);
    if (code == FX_OK)
        *is_true = PQntuples(rows) == 1 && strcmp(PQgetvalue(rows, 0, 0), "t") == 0;
    PQclear(rows);
    return code;
}

/* Creates a role; the creator becomes a member, so that it can act as the owner. */
static enum fx_code create_role(PGconn *conn, size_t index, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    buf_append_format(&sql, "CREATE ROLE %s NOLOGIN", roles[index].name);
    sql_end(&sql);
    buf_append_format(&sql, "COMMENT ON ROLE %s IS ", roles[index].name);
    sql_literal(&sql, roles[index].doc);
    sql_end(&sql);
    buf_append_format(&sql, "GRANT %s TO CURRENT_USER", roles[index].name);
    sql_end(&sql);
    enum fx_code code = sql_run_list(conn, &sql, err);
    buf_release(&sql);
    return code;
}

/* Several schemas may share a database: the first one is the analyst's default, until "fangxian"
 * itself is set up or that schema is gone. */
static enum fx_code make_settings(const struct setup *setup, struct fx_err *err)
{
    bool is_set = false;
    enum fx_code code =
        ask(setup->conn,
            "SELECT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole "
            "JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c "
            "WHERE r.rolname = 'fangxian_analyst' AND d.datname = current_database() AND "
            "(c = 'search_path=' || $1::text || ', pg_catalog' OR ($1 <> 'fangxian' AND EXISTS "
            "(SELECT FROM pg_namespace n WHERE c = 'search_path=' || n.nspname || "
            "', pg_catalog'))))",
            setup->options.schema_name, &is_set, err);
    if (code != FX_OK || is_set)
        return code;
    struct buf sql = BUF_INIT;
    buf_append_format(
        &sql,
        "DO $$ DECLARE r text := format('ALTER ROLE fangxian_analyst IN DATABASE %%I SET ', "
        "current_database()); BEGIN "
        "EXECUTE r || 'search_path = %s, pg_catalog'; "
        "EXECUTE r || 'timezone = ''Asia/Shanghai'''; "
        "EXECUTE r || 'statement_timeout = ''60s'''; "
        "EXECUTE r || 'idle_in_transaction_session_timeout = ''60s'''; "
        "EXECUTE r || 'default_transaction_read_only = on'; "
        "EXECUTE r || 'jit = off'; END $$",
        setup->options.schema_name);
    code = buf_check(&sql, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, buf_text(&sql), err);
    buf_release(&sql);
    return code;
}

/* Where fx-report --publish writes (publish.h); "" for a schema that is counted anew beside the
 * live one, or whose name is too long. */
static enum fx_code name_published(const struct setup *setup, char name[NAME_SIZE],
                                   struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    bool is_live = true;
    bool is_new = true;
    struct buf sql = BUF_INIT;
    snprintf(name, NAME_SIZE, "%s_published", options->schema_name);
    buf_append_format(&sql, "SELECT NOT EXISTS (SELECT FROM \"%s\".live_schema WHERE name <> $1)",
                      options->record_schema);
    enum fx_code code =
        ask(setup->conn, "SELECT to_regclass(quote_ident($1) || '.live_schema') IS NULL",
            options->record_schema, &is_new, err);
    if (code == FX_OK)
        code = buf_check(&sql, err);
    if (code == FX_OK && !is_new)
        code = ask(setup->conn, buf_text(&sql), options->schema_name, &is_live, err);
    if (!is_live || !text_is_identifier(name))
        name[0] = '\0';
    buf_release(&sql);
    return code;
}

/* The owner's objects are the owner's from the first run on, or never. */
static enum fx_code act_as_owner(const struct setup *setup, struct fx_err *err)
{
    char published[NAME_SIZE];
    const char *values[] = {setup->options.schema_name, setup->options.record_schema, published};
    PGresult *rows = NULL;
    if (name_published(setup, published, err) != FX_OK)
        return err->code;
    if (pg_query(
            setup->conn,
            &(struct pg_statement){
                "SELECT pg_has_role('fangxian_owner', 'MEMBER') AND NOT EXISTS (SELECT FROM "
                "pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname IN ($1, $2) "
                "AND r.rolname <> 'fangxian_owner'), quote_ident(current_user)",
                2, values},
            &rows, err) != FX_OK)
        return err->code;
    bool is_owner = strcmp(PQgetvalue(rows, 0, 0), "t") == 0;
    struct buf sql = BUF_INIT;
    for (int i = 0; i < (published[0] == '\0' ? 2 : 3); i++)
        buf_append_format(&sql, "CREATE SCHEMA IF NOT EXISTS \"%s\" AUTHORIZATION %s; ", values[i],
                          is_owner ? "fangxian_owner" : PQgetvalue(rows, 0, 1));
    if (is_owner)
        buf_append_text(&sql, "SET LOCAL ROLE fangxian_owner");
    PQclear(rows);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, buf_text(&sql), err);
    buf_release(&sql);
    return code;
}

static enum fx_code create_schemas(const struct setup *setup, struct fx_err *err)
{
    char published[NAME_SIZE];
    struct buf sql = BUF_INIT;
    if (name_published(setup, published, err) != FX_OK)
        return err->code;
    buf_append_format(&sql,
                      "CREATE SCHEMA IF NOT EXISTS \"%s\"; CREATE SCHEMA IF NOT EXISTS \"%s\"",
                      setup->options.schema_name, setup->options.record_schema);
    if (published[0] != '\0')
        buf_append_format(&sql, "; CREATE SCHEMA IF NOT EXISTS \"%s\"", published);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, buf_text(&sql), err);
    buf_release(&sql);
    return code;
}

enum fx_code setup_roles(struct setup *setup, struct fx_err *err)
{
    bool can_create = false;
    size_t there = 0;
    enum fx_code code = ask(setup->conn,
                            "SELECT rolsuper OR rolcreaterole FROM pg_roles "
                            "WHERE rolname = current_user",
                            NULL, &can_create, err);
    for (size_t i = 0; code == FX_OK && i < ROLE_COUNT; i++) {
        bool is_there = false;
        code = ask(setup->conn, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)",
                   roles[i].name, &is_there, err);
        if (code == FX_OK && !is_there && can_create)
            code = create_role(setup->conn, i, err);
        there += i < ROLE_NEEDED && (is_there || can_create);
    }
    if (code != FX_OK)
        return code;
    if (there < ROLE_NEEDED) {
        fx_log(FX_LOG_WARN, "no_roles",
               "msg=\"this user may not create roles: fangxian_owner, fangxian_writer and "
               "fangxian_analyst have no grants until fx-setup is run by one who may\"");
        return create_schemas(setup, err);
    }
    if (can_create && make_settings(setup, err) != FX_OK)
        return err->code;
    return act_as_owner(setup, err);
}

static const struct {
    const char *relations; /* condition over pg_class c */
    const char *grants;
} granted[] = {
    {"c.relkind IN ('r', 'v')", "SELECT ON %s TO fangxian_writer"},
    {"c.relkind = 'v' AND c.relname = 'correction'", "INSERT ON %s TO fangxian_writer"},
    {"c.relkind = 'r' AND (c.relname IN ('partition_position', 'source_ledger', 'source_gap', "
     "'rejected_range', 'reversal', 'source_hour', 'offset_hole', 'source_day', 'source_tally', "
     "'corrected_event', 'resend_request') OR " SQL_IS_ROLLUP ")",
     "INSERT, UPDATE, DELETE ON %s TO fangxian_writer"},
    {"(c.relkind = 'v' AND c.relname <> 'rejected_event') OR (c.relkind = 'r' AND (c.relname IN "
     "('region', 'region_ancestor', "
     "'rollup_column', 'rollup_definition', 'definition', 'schema_version', 'source_gap', "
     "'offset_hole') OR " SQL_IS_ROLLUP "))",
     "SELECT ON %s TO fangxian_analyst"},
};

/* Those who may read what is published, if it is. Nobody else has USAGE on its schema, and PUBLIC
 * has none on any of ours. */
static void append_published(struct buf *sql, const char *schema)
{
    buf_append_format(sql,
                      "DO $$ DECLARE r text; BEGIN FOR r IN SELECT rolname FROM pg_roles "
                      "WHERE rolname IN ('fangxian_public', 'fangxian_analyst') AND EXISTS "
                      "(SELECT FROM pg_namespace WHERE nspname = '%s_published') LOOP EXECUTE "
                      "'GRANT USAGE ON SCHEMA \"%s_published\" TO ' || r; EXECUTE 'GRANT SELECT ON "
                      "ALL TABLES IN SCHEMA \"%s_published\" TO ' || r; END LOOP; END $$",
                      schema, schema, schema);
    sql_end(sql);
}

/* What somebody else keeps in the schema is theirs to grant: it neither stops fx-setup nor becomes
 * readable by analysts. */
static void append_grants(struct buf *sql, const char *schema, size_t index)
{
    buf_append_format(sql,
                      "DO $$ DECLARE r text; BEGIN FOR r IN SELECT c.oid::regclass FROM pg_class c "
                      "WHERE c.relnamespace = '\"%s\"'::regnamespace AND "
                      "pg_has_role(c.relowner, 'USAGE') AND (%s) LOOP EXECUTE "
                      "'GRANT ' || replace('%s', '%%s', r); END LOOP; END $$",
                      schema, granted[index].relations, granted[index].grants);
    sql_end(sql);
}

/* fx-report keeps reports, and the cut-off that each is; once kept they are only read. */
static void append_reports(struct buf *sql, const char *record)
{
    static const char *const tables[] = {"report",         "report_place",      "report_figure",
                                         "report_finding", "report_correction", "report_text"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        buf_append_format(sql, "GRANT SELECT, INSERT ON \"%s\".%s TO fangxian_writer", record,
                          tables[i]);
        sql_end(sql);
        buf_append_format(sql, "GRANT SELECT ON \"%s\".%s TO fangxian_analyst", record, tables[i]);
        sql_end(sql);
    }
    buf_append_format(sql, "GRANT INSERT ON \"%s\".cutoff TO fangxian_writer", record);
    sql_end(sql);
}

enum fx_code setup_grants(struct setup *setup, struct fx_err *err)
{
    bool is_there = false;
    if (ask(setup->conn,
            "SELECT count(*) = 3 FROM pg_roles WHERE rolname IN "
            "('fangxian_owner', 'fangxian_writer', 'fangxian_analyst')",
            NULL, &is_there, err) != FX_OK)
        return err->code;
    if (!is_there)
        return FX_OK;
    const char *schema = setup->options.schema_name;
    const char *record = setup->options.record_schema;
    struct buf sql = BUF_INIT;
    buf_append_format(&sql, "GRANT USAGE ON SCHEMA \"%s\" TO fangxian_writer, fangxian_analyst",
                      schema);
    sql_end(&sql);
    buf_append_format(&sql, "GRANT USAGE ON SCHEMA \"%s\" TO fangxian_writer, fangxian_analyst",
                      record);
    sql_end(&sql);
    buf_append_format(&sql,
                      "GRANT SELECT ON \"%s\".acceptance, \"%s\".source, \"%s\".cutoff, "
                      "\"%s\".write_off, \"%s\".release TO fangxian_writer",
                      record, record, record, record, record);
    sql_end(&sql);
    buf_append_format(&sql,
                      "GRANT SELECT, INSERT ON \"%s\".correction, \"%s\".redriven_event, "
                      "\"%s\".run_home TO fangxian_writer",
                      record, record, record);
    sql_end(&sql);
    append_reports(&sql, record);
    for (size_t i = 0; i < sizeof granted / sizeof granted[0]; i++)
        append_grants(&sql, schema, i);
    append_published(&sql, schema);
    enum fx_code code = sql_run_list(setup->conn, &sql, err);
    buf_release(&sql);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "grants");
}

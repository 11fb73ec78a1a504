/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"
#include "setup_sql.h"

#include <stdio.h>
#include <string.h>

#define TABLE_SIZE 136 /* "table ", two names of PostgreSQL and a dot */
#define SHOWN_MAX 120  /* longer values are not shown, only that they differ */

/* $1 and $2: the two schemas. A view as it is stored: to make its text from that takes PostgreSQL
 * twenty times as long, in all a quarter of fx-setup's time. */
static const char objects[] =
    "SELECT 'schema ' || n.nspname AS key, concat_ws(' ', 'grants', n.nspacl::text) AS value "
    "FROM pg_namespace n WHERE n.nspname IN ($1::text, $2::text, $1::text || '_published') "
    "UNION ALL SELECT concat(CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'i' THEN 'index ' "
    "ELSE 'table ' END, n.nspname, '.', c.relname), concat_ws(' ', CASE c.relkind WHEN 'v' THEN "
    "md5(concat((SELECT w.ev_action FROM pg_rewrite w WHERE w.ev_class = c.oid), (SELECT "
    "string_agg(col_description(c.oid, a.attnum), ',' ORDER BY a.attnum) FROM pg_attribute a WHERE "
    "a.attrelid = c.oid AND a.attnum > 0))) WHEN 'i' "
    "THEN pg_get_indexdef(c.oid) END, 'grants', c.relacl::text, c.reloptions::text, "
    "md5(obj_description(c.oid, 'pg_class'))) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ($1, $2) AND c.relkind IN "
    "('r', 'v', 'i') "
    "UNION ALL SELECT concat('column ', n.nspname, '.', c.relname, '.', a.attname), "
    "concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' "
    "END, 'default ' || pg_get_expr(d.adbin, d.adrelid), md5(col_description(c.oid, a.attnum))) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON "
    "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON "
    "d.adrelid = c.oid AND d.adnum = a.attnum WHERE n.nspname IN ($1, $2) AND c.relkind = 'r' "
    "UNION ALL SELECT concat('function ', n.nspname, '.', p.proname, '(', "
    "pg_get_function_identity_arguments(p.oid), ')'), concat_ws(' ', "
    "md5(pg_get_functiondef(p.oid)), 'grants', p.proacl::text, "
    "md5(obj_description(p.oid, 'pg_proc'))) FROM pg_proc p JOIN pg_namespace n ON n.oid = "
    "p.pronamespace WHERE n.nspname IN ($1, $2) "
    "UNION ALL SELECT 'role ' || r.rolname, concat_ws(' ', 'settings', (SELECT s.setconfig::text "
    "FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE s.setrole = "
    "r.oid AND d.datname = current_database())) FROM pg_roles r WHERE r.rolname IN "
    "('fangxian_owner', 'fangxian_writer', 'fangxian_analyst', 'fangxian_public')";

/* Rows that fx-setup writes, once their tables exist. */
static const struct {
    const char *table;
    const char *sql;
} contents[] = {
    {"region", "SELECT 'region ' || code, concat_ws(' / ', name, name_latin, level, parent, "
               "statistical_parent) FROM region"},
    {"region_ancestor", "SELECT 'region ancestors', md5(string_agg(ancestor || ' ' || region, "
                        "',' ORDER BY ancestor, region)) FROM region_ancestor"},
    {"schema_version", "SELECT concat('bounds of ', kind, ' ', version), bounds FROM "
                       "schema_version"},
    {"rollup_definition", "SELECT 'rollup ' || rollup, doc FROM rollup_definition"},
    {"rollup_column", "SELECT concat('meaning of ', rollup, '.', name), concat_ws(' ', rule, unit, "
                      "doc) FROM rollup_column"},
    {"definition", "SELECT 'definition ' || x.key, x.value FROM definition d, "
                   "jsonb_each_text(to_jsonb(d) - 'installed_at' - 'is_only') x"},
};

enum fx_code setup_snapshot(struct setup *setup, PGresult **rows, struct fx_err *err)
{
    const struct setup_options *options = &setup->options;
    struct buf sql = BUF_INIT;
    enum fx_code code = FX_OK;
    bool is_there = false;
    buf_append_format(&sql, "SELECT key, value FROM (%s", objects);
    for (size_t i = 0; code == FX_OK && i < sizeof contents / sizeof contents[0]; i++) {
        code = sql_has_table(setup->conn, options->schema_name, contents[i].table, &is_there, err);
        if (code == FX_OK && is_there)
            buf_append_format(&sql, " UNION ALL %s", contents[i].sql);
    }
    if (code == FX_OK)
        code = sql_has_table(setup->conn, options->record_schema, "source", &is_there, err);
    if (code == FX_OK && is_there)
        buf_append_format(&sql,
                          " UNION ALL SELECT concat('source ', kind, ' ', source, ' ', "
                          "valid_from), concat_ws(' / ', name, region, valid_to) FROM "
                          "\"%s\".source",
                          options->record_schema);
    buf_append_text(&sql, ") x ORDER BY key COLLATE \"C\"");
    const char *values[] = {options->schema_name, options->record_schema};
    if (code == FX_OK)
        code = buf_check(&sql, err);
    if (code == FX_OK)
        code = pg_query(setup->conn, &(struct pg_statement){buf_text(&sql), 2, values}, rows, err);
    buf_release(&sql);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "look at what is there");
}

static bool has_key(const PGresult *rows, const char *key)
{
    for (int i = 0; i < PQntuples(rows); i++)
        if (strcmp(PQgetvalue(rows, i, 0), key) == 0)
            return true;
    return false;
}

/* A column of a table that was not there either goes without saying. */
static bool is_implied(const PGresult *before, const char *key)
{
    static const char word[] = "column ";
    if (strncmp(key, word, strlen(word)) != 0)
        return false;
    char table[TABLE_SIZE];
    const char *name = key + strlen(word);
    snprintf(table, sizeof table, "table %.*s", (int)(strrchr(name, '.') - name), name);
    return !has_key(before, table);
}

static void report_value(struct setup *setup, const char *key, const char *was, const char *is)
{
    if (strlen(was) > SHOWN_MAX || strlen(is) > SHOWN_MAX)
        setup_change(setup, "change %s", key);
    else
        setup_change(setup, "change %s: %s -> %s", key, was, is);
}

void setup_compare(struct setup *setup, const PGresult *before, const PGresult *after)
{
    int b = 0;
    int a = 0;
    while (b < PQntuples(before) || a < PQntuples(after)) {
        int order = b == PQntuples(before) ? 1
                    : a == PQntuples(after)
                        ? -1
                        : strcmp(PQgetvalue(before, b, 0), PQgetvalue(after, a, 0));
        if (order < 0)
            setup_change(setup, "drop %s", PQgetvalue(before, b, 0));
        else if (order > 0 && !is_implied(before, PQgetvalue(after, a, 0)))
            setup_change(setup, "create %s", PQgetvalue(after, a, 0));
        else if (order == 0 && strcmp(PQgetvalue(before, b, 1), PQgetvalue(after, a, 1)) != 0)
            report_value(setup, PQgetvalue(after, a, 0), PQgetvalue(before, b, 1),
                         PQgetvalue(after, a, 1));
        b += order <= 0;
        a += order >= 0;
    }
}

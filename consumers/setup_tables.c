/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"
#include "setup_rule.h"
#include "setup_sql.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80

/* Names that views and tables give to columns of their own. */
static const char *const taken[] = {
    "region",        "source",         "bucket_start", "day",
    "hour",          "level",          "name",         "name_latin",
    "starts",        "ends",           "cells",        "sources_expected",
    "sources_heard", "missing_events", "complete",     "silent_minutes",
    "cut_off",       "withheld",       "whole",        "is_direct",
    "units",         "first_bucket",
};

static enum fx_code check_name(const struct rollup *rollup, const char *name, struct fx_err *err)
{
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(taken[i], name) == 0)
            return fx_err_set(err, FX_ECONFIG, "rollup %s: the name %s is taken by the views",
                              rollup->name, name);
    return FX_OK;
}

static enum fx_code check_names(const struct schema *schema, const struct rollup *rollup,
                                struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < rollup->dimension_count; i++)
        code = check_name(rollup, schema->fields[rollup->dimensions[i]].name, err);
    for (int i = 0; code == FX_OK && i < rollup->column_count; i++) {
        code = check_name(rollup, rollup->columns[i].name, err);
        if (code == FX_OK && strlen(rollup->columns[i].name) > 50)
            code = fx_err_set(err, FX_ECONFIG, "rollup %s: column %s is longer than 50 bytes",
                              rollup->name, rollup->columns[i].name);
    }
    for (int i = 0; code == FX_OK && i < rollup->derived_count; i++)
        code = check_name(rollup, rollup->derived[i].name, err);
    return code;
}

/* One of a rollup's tables. */
struct table {
    char name[NAME_SIZE];
    const char *key; /* "region" or "source" */
    const char *doc;
    const char *key_doc;
    const struct schema *schema;
    const struct rollup *rollup;
};

static bool has_column(const struct table *table, const struct rollup_column *column)
{
    return column->aggregate != AGGREGATE_LAST || strcmp(table->key, "source") == 0;
}

static const char *column_rule(const struct rollup_column *column)
{
    bool is_sum = column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM;
    return is_sum ? " NOT NULL DEFAULT 0" : "";
}

static void append_create(struct buf *out, const struct table *table)
{
    const struct rollup *rollup = table->rollup;
    buf_append_format(out,
                      "CREATE TABLE \"%s\" (\"%s\" text COLLATE \"C\" NOT NULL, "
                      "bucket_start timestamptz NOT NULL",
                      table->name, table->key);
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, ", \"%s\" text COLLATE \"C\" NOT NULL",
                          table->schema->fields[rollup->dimensions[i]].name);
    for (int i = 0; i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        if (!has_column(table, column))
            continue;
        buf_append_format(out, ", \"%s\" bigint%s", column->name, column_rule(column));
        if (column->aggregate == AGGREGATE_LAST)
            buf_append_format(out, ", \"%s_last\" bigint[]", column->name);
    }
    buf_append_format(out, ", PRIMARY KEY (\"%s\", bucket_start", table->key);
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, ", \"%s\"", table->schema->fields[rollup->dimensions[i]].name);
    /* A flush changes rows that lie side by side, all of a page in one transaction: for HOT the
     * page must have room for a second version of each. */
    buf_append_text(out, ")) WITH (fillfactor = 45)");
    sql_end(out);
    buf_append_format(out, "CREATE INDEX \"%s_by_bucket\" ON \"%s\" (bucket_start)", table->name,
                      table->name);
    sql_end(out);
    buf_append_format(out,
                      "CREATE INDEX \"%s_by_day\" ON \"%s\" "
                      "(((bucket_start AT TIME ZONE 'Asia/Shanghai')::date))",
                      table->name, table->name);
    sql_end(out);
}

/* An added column is nullable and has no default, whatever it counts: 0 in rows that are there, or
 * that a worker with the old definition still makes, would be a lie. */
static void append_added(struct buf *out, const struct table *table, const PGresult *columns)
{
    for (int i = 0; i < table->rollup->column_count; i++) {
        const struct rollup_column *column = &table->rollup->columns[i];
        if (!has_column(table, column) || sql_has_column(columns, column->name))
            continue;
        buf_append_format(out, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" bigint", table->name,
                          column->name);
        sql_end(out);
        if (column->aggregate != AGGREGATE_LAST)
            continue;
        buf_append_format(out, "ALTER TABLE \"%s\" ADD COLUMN \"%s_last\" bigint[]", table->name,
                          column->name);
        sql_end(out);
    }
}

static void append_comments(struct buf *out, const struct table *table)
{
    const struct rollup *rollup = table->rollup;
    sql_comment(out, "TABLE", table->name, rollup->doc, table->doc);
    sql_comment_column(out, table->name, table->key, table->key_doc);
    sql_comment_column(out, table->name, "bucket_start", "start of the bucket 时段起点");
    for (int i = 0; i < rollup->dimension_count; i++) {
        const struct field *field = &table->schema->fields[rollup->dimensions[i]];
        sql_comment_column(out, table->name, field->name, field->doc);
    }
    for (int i = 0; i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        char order[NAME_SIZE];
        if (!has_column(table, column))
            continue;
        sql_comment_number(out, table->name, column->name, column->doc,
                           rollup_unit_gloss(column->unit));
        snprintf(order, sizeof order, "%s_last", column->name);
        if (column->aggregate == AGGREGATE_LAST)
            sql_comment_column(
                out, table->name, order,
                "{counted ms, run, seq} of the event it came from 取值事件(毫秒、编号、序号)");
    }
}

static enum fx_code make_table(const struct setup *setup, const struct table *table,
                               struct fx_err *err)
{
    PGresult *columns = NULL;
    enum fx_code code =
        sql_columns(setup->conn, setup->options.schema_name, table->name, &columns, err);
    struct buf sql = BUF_INIT;
    if (code == FX_OK && PQntuples(columns) == 0)
        append_create(&sql, table);
    else if (code == FX_OK)
        append_added(&sql, table, columns);
    append_comments(&sql, table);
    if (code == FX_OK)
        code = sql_run_list(setup->conn, &sql, err);
    PQclear(columns);
    buf_release(&sql);
    return code;
}

static enum fx_code make_tables(const struct setup *setup, const struct kind *kind,
                                const struct rollup *rollup, struct fx_err *err)
{
    static const struct {
        const char *suffix;
        const char *key;
        const char *doc;
        const char *key_doc;
    } kinds[] = {
        {"town", "region", "- by town 按镇街汇总", "region code of a town 镇街代码"},
        {"county", "region", "- by county 按县区汇总", "region code of a county 县区代码"},
        {"city", "region", "- by city 按市汇总", "region code of a city, - is outside 市代码"},
        {"source", "source", "- by source 按来源汇总", "device or post 来源"},
    };
    struct table table = {.schema = kind_current(kind), .rollup = rollup};
    enum fx_code code = check_names(table.schema, rollup, err);
    for (size_t i = 0; code == FX_OK && i < sizeof kinds / sizeof kinds[0]; i++) {
        bool is_source = strcmp(kinds[i].key, "source") == 0;
        if (is_source ? !rollup->by_source : !rollup->by_region)
            continue;
        snprintf(table.name, sizeof table.name, "%s_%s", rollup->name, kinds[i].suffix);
        table.key = kinds[i].key;
        table.doc = kinds[i].doc;
        table.key_doc = kinds[i].key_doc;
        code = make_table(setup, &table, err);
    }
    return code;
}

enum fx_code setup_rollup_tables(struct setup *setup, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++) {
        const struct catalog_kind *entry = &setup->catalog.kinds[k];
        for (int r = 0; code == FX_OK && r < entry->rollups.count; r++)
            code = make_tables(setup, &entry->kind, &entry->rollups.rollups[r], err);
    }
    return code;
}

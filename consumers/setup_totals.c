/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_totals - the tables of totals (levels.h), beside those of the rollups that have stocks.
 *
 * A table that is not there yet is filled from the cells that are. Nobody may count meanwhile: a
 * flush that added to cells alone would be in no total, and one that had waited for the fill would
 * be in it twice.
 */
#include "levels.h"
#include "setup.h"
#include "setup_sql.h"

#include <stdio.h>

#define NAME_SIZE 80

/* A rollup's totals of one level. */
struct total {
    char cells[NAME_SIZE]; /* the table that they are totals of */
    char name[NAME_SIZE];
    const char *key; /* "region" or "source" */
    int level;
    const struct schema *schema;
    const struct rollup *rollup;
};

static const char *dimension_name(const struct total *total, int index)
{
    return total->schema->fields[total->rollup->dimensions[index]].name;
}

static void append_keys(struct buf *out, const struct total *total)
{
    buf_append_format(out, "\"%s\"", total->key);
    for (int i = 0; i < total->rollup->dimension_count; i++)
        buf_append_format(out, ", \"%s\"", dimension_name(total, i));
}

/* "x" bigint, or "x_at" timestamptz of a last value. */
static void name_column(const struct rollup_column *column, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s%s", column->name,
             column->aggregate == AGGREGATE_LAST ? "_at" : "");
}

static void append_column(struct buf *out, const struct rollup_column *column)
{
    char name[NAME_SIZE];
    name_column(column, name);
    buf_append_format(out, "\"%s\" %s", name,
                      column->aggregate == AGGREGATE_LAST ? "timestamptz" : "bigint");
}

static void append_create(struct buf *out, const struct total *total)
{
    const struct rollup *rollup = total->rollup;
    buf_append_format(out, "CREATE TABLE \"%s\" (\"%s\" text COLLATE \"C\" NOT NULL", total->name,
                      total->key);
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, ", \"%s\" text COLLATE \"C\" NOT NULL", dimension_name(total, i));
    buf_append_text(out, ", first_bucket timestamptz NOT NULL");
    for (int i = 0; i < rollup->column_count; i++)
        if (levels_is_totalled(&rollup->columns[i], total->level)) {
            buf_append_text(out, ", ");
            append_column(out, &rollup->columns[i]);
        }
    buf_append_text(out, ", PRIMARY KEY (");
    append_keys(out, total);
    buf_append_text(out, ")) WITH (fillfactor = 45)"); /* for HOT, as those of the cells */
    sql_end(out);
}

/* NULL where a cell is: it was there before the column. */
static void append_fill(struct buf *out, const struct total *total)
{
    buf_append_format(out, "INSERT INTO \"%s\" SELECT ", total->name);
    append_keys(out, total);
    buf_append_text(out, ", min(bucket_start)");
    for (int i = 0; i < total->rollup->column_count; i++) {
        const char *name = total->rollup->columns[i].name;
        if (!levels_is_totalled(&total->rollup->columns[i], total->level))
            continue;
        if (total->rollup->columns[i].aggregate == AGGREGATE_LAST)
            buf_append_format(out, ", max(bucket_start) FILTER (WHERE \"%s\" IS NOT NULL)", name);
        else
            buf_append_format(out, ", CASE WHEN count(\"%s\") = count(*) THEN sum(\"%s\") END",
                              name, name);
    }
    buf_append_format(out, " FROM \"%s\" GROUP BY ", total->cells);
    append_keys(out, total);
    sql_end(out);
}

/* As in the table of the cells: NULL in what is there, and it stays so. */
static void append_added(struct buf *out, const struct total *total, const PGresult *columns)
{
    for (int i = 0; i < total->rollup->column_count; i++) {
        const struct rollup_column *column = &total->rollup->columns[i];
        char name[NAME_SIZE];
        name_column(column, name);
        if (!levels_is_totalled(column, total->level) || sql_has_column(columns, name))
            continue;
        buf_append_format(out, "ALTER TABLE \"%s\" ADD COLUMN ", total->name);
        append_column(out, column);
        sql_end(out);
    }
}

static void append_comments(struct buf *out, const struct total *total)
{
    static const char *const docs[] = {
        [REGION_CITY] = "- totals by city, of all that was ever counted 按市累计",
        [REGION_COUNTY] = "- totals by county, of all that was ever counted 按县区累计",
        [REGION_TOWN] = "- totals by town, of all that was ever counted 按镇街累计",
        [LEVEL_SOURCE] = "- totals by source, of all that was ever counted 按来源累计",
    };
    const struct rollup *rollup = total->rollup;
    sql_comment(out, "TABLE", total->name, rollup->doc, docs[total->level]);
    sql_comment_column(out, total->name, total->key,
                       total->level == LEVEL_SOURCE ? "device or post 来源"
                                                    : "region code 地区代码");
    for (int i = 0; i < rollup->dimension_count; i++)
        sql_comment_column(out, total->name, dimension_name(total, i),
                           total->schema->fields[rollup->dimensions[i]].doc);
    sql_comment_column(out, total->name, "first_bucket",
                       "start of the first bucket that is counted in it 最早时段起点");
    for (int i = 0; i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        char name[NAME_SIZE];
        name_column(column, name);
        if (!levels_is_totalled(column, total->level))
            continue;
        if (column->aggregate == AGGREGATE_LAST)
            sql_comment_column(out, total->name, name,
                               "start of the newest bucket that holds one 最近上报时段起点");
        else
            sql_comment_number(out, total->name, name, column->doc,
                               rollup_unit_gloss(column->unit));
    }
}

static enum fx_code make_total(const struct setup *setup, const struct total *total,
                               struct fx_err *err)
{
    PGresult *columns = NULL;
    struct buf sql = BUF_INIT;
    enum fx_code code =
        sql_columns(setup->conn, setup->options.schema_name, total->name, &columns, err);
    bool is_new = code == FX_OK && PQntuples(columns) == 0;
    if (is_new)
        code = setup_fence(setup, true, err);
    if (is_new) {
        append_create(&sql, total);
        append_fill(&sql, total);
    } else {
        append_added(&sql, total, columns);
    }
    append_comments(&sql, total);
    if (code == FX_OK)
        code = sql_run_list(setup->conn, &sql, err);
    PQclear(columns);
    buf_release(&sql);
    return code;
}

static enum fx_code make_totals(const struct setup *setup, const struct kind *kind,
                                const struct rollup *rollup, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int level = 0; code == FX_OK && level < LEVEL_COUNT; level++) {
        struct total total = {.key = level == LEVEL_SOURCE ? "source" : "region",
                              .level = level,
                              .schema = kind_current(kind),
                              .rollup = rollup};
        if (!levels_has_total(rollup, level))
            continue;
        snprintf(total.cells, sizeof total.cells, "%s_%s", rollup->name, levels_suffix(level));
        snprintf(total.name, sizeof total.name, "%s_%s_total", rollup->name, levels_suffix(level));
        code = make_total(setup, &total, err);
    }
    return code;
}

enum fx_code setup_totals(struct setup *setup, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++) {
        const struct catalog_kind *entry = &setup->catalog.kinds[k];
        for (int r = 0; code == FX_OK && r < entry->rollups.count; r++)
            code = make_totals(setup, &entry->kind, &entry->rollups.rollups[r], err);
    }
    return code;
}

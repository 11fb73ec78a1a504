/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"
#include "setup_rule.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REBUILD "needs a rebuild: set up the next schema and run fx-rollup --schema-name NEXT"

struct found {
    const struct kind *kind;
    const struct rollup *rollup;
};

static bool find_rollup(const struct catalog *catalog, const char *name, struct found *found)
{
    for (int k = 0; k < catalog->kind_count; k++)
        for (int r = 0; r < catalog->kinds[k].rollups.count; r++)
            if (strcmp(catalog->kinds[k].rollups.rollups[r].name, name) == 0) {
                found->kind = &catalog->kinds[k].kind;
                found->rollup = &catalog->kinds[k].rollups.rollups[r];
                return true;
            }
    return false;
}

static enum fx_code refuse_change(const char *rollup, const char *what, const char *was,
                                  const char *is, struct fx_err *err)
{
    return fx_err_set(err, FX_ECONFIG, "rollup %s: %s was \"%s\", is \"%s\": " REBUILD, rollup,
                      what, was, is);
}

/* row: rollup, kind, region_field, counted_by, bucket_ms, dimensions */
static enum fx_code check_rollup(const struct setup *setup, const PGresult *rows, int row,
                                 struct fx_err *err)
{
    static const char *const what[] = {"rollup", "kind",        "region",
                                       "by",     "bucket (ms)", "dimensions"};
    const char *name = PQgetvalue(rows, row, 0);
    struct found found = {NULL, NULL};
    if (!find_rollup(&setup->catalog, name, &found))
        return fx_err_set(err, FX_ECONFIG, "rollup %s is no longer defined: " REBUILD, name);
    const struct schema *schema = kind_current(found.kind);
    char bucket[32];
    snprintf(bucket, sizeof bucket, "%" PRId64, found.rollup->bucket_ms);
    struct buf dimensions = BUF_INIT;
    rule_append_dimensions(&dimensions, schema, found.rollup);
    const char *now[] = {name,
                         found.kind->name,
                         schema->fields[found.rollup->region_field].name,
                         rule_counted_by(found.rollup),
                         bucket,
                         buf_text(&dimensions)};
    enum fx_code code = buf_check(&dimensions, err);
    for (int i = 1; code == FX_OK && i < 6; i++)
        if (strcmp(PQgetvalue(rows, row, i), now[i]) != 0)
            code = refuse_change(name, what[i], PQgetvalue(rows, row, i), now[i], err);
    buf_release(&dimensions);
    return code;
}

/* row: rollup, name, rule */
static enum fx_code check_column(const struct setup *setup, const PGresult *rows, int row,
                                 struct fx_err *err)
{
    const char *rollup = PQgetvalue(rows, row, 0);
    const char *name = PQgetvalue(rows, row, 1);
    struct found found = {NULL, NULL};
    if (!find_rollup(&setup->catalog, rollup, &found))
        return fx_err_set(err, FX_ESTATE, "rollup_column names %s, rollup_definition does not",
                          rollup);
    const struct rollup_column *column = NULL;
    for (int i = 0; i < found.rollup->column_count; i++)
        if (strcmp(found.rollup->columns[i].name, name) == 0)
            column = &found.rollup->columns[i];
    if (column == NULL)
        return fx_err_set(err, FX_ECONFIG, "rollup %s: column %s is no longer defined: " REBUILD,
                          rollup, name);
    struct buf rule = BUF_INIT;
    rule_append(&rule, kind_current(found.kind), column);
    enum fx_code code = buf_check(&rule, err);
    char what[ROLLUP_NAME_MAX + 16];
    snprintf(what, sizeof what, "column %s", name);
    if (code == FX_OK && strcmp(PQgetvalue(rows, row, 2), buf_text(&rule)) != 0)
        code = refuse_change(rollup, what, PQgetvalue(rows, row, 2), buf_text(&rule), err);
    buf_release(&rule);
    return code;
}

static enum fx_code check_all(const struct setup *setup, struct fx_err *err)
{
    PGresult *rollups = NULL;
    PGresult *columns = NULL;
    enum fx_code code =
        pg_query(setup->conn,
                 &(struct pg_statement){"SELECT rollup, kind, region_field, counted_by, bucket_ms, "
                                        "dimensions FROM rollup_definition ORDER BY rollup",
                                        0, NULL},
                 &rollups, err);
    if (code == FX_OK)
        code = pg_query(
            setup->conn,
            &(struct pg_statement){"SELECT rollup, name, rule FROM rollup_column "
                                   "WHERE aggregate <> 'derived' ORDER BY rollup, position",
                                   0, NULL},
            &columns, err);
    for (int i = 0; code == FX_OK && i < PQntuples(rollups); i++)
        code = check_rollup(setup, rollups, i, err);
    for (int i = 0; code == FX_OK && i < PQntuples(columns); i++)
        code = check_column(setup, columns, i, err);
    PQclear(columns);
    PQclear(rollups);
    return code;
}

/* A rollup that is added while its topic is being counted has not counted what came before. */
static enum fx_code write_rollup(const struct setup *setup, const struct kind *kind,
                                 const struct rollup *rollup, struct fx_err *err)
{
    const struct schema *schema = kind_current(kind);
    char bucket[32];
    char topic[KAFKA_TOPIC_MAX];
    snprintf(bucket, sizeof bucket, "%" PRId64, rollup->bucket_ms);
    kafka_topic_name(topic, setup->options.topic_prefix, kind->name);
    struct buf dimensions = BUF_INIT;
    rule_append_dimensions(&dimensions, schema, rollup);
    const char *values[] = {rollup->name,
                            kind->name,
                            schema->fields[rollup->region_field].name,
                            rule_counted_by(rollup),
                            bucket,
                            buf_text(&dimensions),
                            rollup->doc,
                            topic};
    enum fx_code code = buf_check(&dimensions, err);
    if (code == FX_OK)
        code = sql_execute(setup->conn,
                           "INSERT INTO rollup_definition AS r (rollup, kind, region_field, "
                           "counted_by, bucket_ms, dimensions, doc, counted_since) "
                           "VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN EXISTS (SELECT FROM "
                           "partition_position WHERE topic = $8 AND next_offset > base_offset) "
                           "THEN now() END) ON CONFLICT (rollup) DO UPDATE SET doc = EXCLUDED.doc "
                           "WHERE r.doc <> EXCLUDED.doc",
                           8, values, err);
    buf_release(&dimensions);
    return code;
}

static enum fx_code write_column(const struct setup *setup, const char *const values[10],
                                 struct fx_err *err)
{
    return sql_execute(
        setup->conn,
        "INSERT INTO rollup_column AS c (rollup, name, position, kind, aggregate, rule, unit, "
        "over_time, over_regions, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "ON CONFLICT (rollup, name) DO UPDATE SET position = EXCLUDED.position, "
        "aggregate = EXCLUDED.aggregate, rule = EXCLUDED.rule, unit = EXCLUDED.unit, "
        "over_time = EXCLUDED.over_time, over_regions = EXCLUDED.over_regions, "
        "doc = EXCLUDED.doc WHERE (c.position, c.aggregate, c.rule, c.unit, c.over_time, "
        "c.over_regions, c.doc) IS DISTINCT FROM (EXCLUDED.position, EXCLUDED.aggregate, "
        "EXCLUDED.rule, EXCLUDED.unit, EXCLUDED.over_time, EXCLUDED.over_regions, EXCLUDED.doc)",
        10, values, err);
}

static enum fx_code write_columns(const struct setup *setup, const struct kind *kind,
                                  const struct rollup *rollup, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    char position[16];
    struct buf rule = BUF_INIT;
    for (int i = 0; code == FX_OK && i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        snprintf(position, sizeof position, "%d", i + 1);
        buf_reset(&rule);
        rule_append(&rule, kind_current(kind), column);
        const char *values[] = {rollup->name,
                                column->name,
                                position,
                                kind->name,
                                aggregate_name(column->aggregate),
                                buf_text(&rule),
                                column->unit,
                                rule_over_time(column->aggregate),
                                rule_over_regions(column->aggregate),
                                column->doc};
        code = buf_check(&rule, err);
        if (code == FX_OK)
            code = write_column(setup, values, err);
    }
    for (int i = 0; code == FX_OK && i < rollup->derived_count; i++) {
        const struct rollup_derived *derived = &rollup->derived[i];
        snprintf(position, sizeof position, "%d", rollup->column_count + i + 1);
        const char *values[] = {rollup->name,
                                derived->name,
                                position,
                                kind->name,
                                "derived",
                                derived->sql,
                                rule_unit(derived->name),
                                "none",
                                "none",
                                derived->doc};
        code = write_column(setup, values, err);
    }
    buf_release(&rule);
    return code;
}

/* Derived columns live in views only: one that is gone takes nothing with it. */
static enum fx_code drop_derived(const struct setup *setup, struct fx_err *err)
{
    PGresult *rows = NULL;
    enum fx_code code = pg_query(setup->conn,
                                 &(struct pg_statement){"SELECT rollup, name FROM rollup_column "
                                                        "WHERE aggregate = 'derived'",
                                                        0, NULL},
                                 &rows, err);
    for (int i = 0; code == FX_OK && i < PQntuples(rows); i++) {
        const char *key[] = {PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1)};
        struct found found = {NULL, NULL};
        bool is_there = false;
        if (find_rollup(&setup->catalog, key[0], &found))
            for (int d = 0; d < found.rollup->derived_count; d++)
                is_there |= strcmp(found.rollup->derived[d].name, key[1]) == 0;
        if (!is_there)
            code = sql_execute(setup->conn,
                               "DELETE FROM rollup_column WHERE rollup = $1 AND name = $2 AND "
                               "aggregate = 'derived'",
                               2, key, err);
    }
    PQclear(rows);
    return code;
}

enum fx_code setup_definitions(struct setup *setup, struct fx_err *err)
{
    enum fx_code code = check_all(setup, err);
    if (code == FX_OK)
        code = drop_derived(setup, err);
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++) {
        const struct catalog_kind *entry = &setup->catalog.kinds[k];
        for (int r = 0; code == FX_OK && r < entry->rollups.count; r++) {
            code = write_rollup(setup, &entry->kind, &entry->rollups.rollups[r], err);
            if (code == FX_OK)
                code = write_columns(setup, &entry->kind, &entry->rollups.rollups[r], err);
        }
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../common/day.h"
#include "../common/text.h"
#include "../schemas/csv.h"
#include "../schemas/region.h"
#include "setup.h"
#include "setup_sql.h"

#include <string.h>

#define SOURCES_HEADER "source,kind,name,region,valid_from,valid_to"
#define SHAPE_SIZE 33
#define BATCH_SIZE 65536 /* bytes of one INSERT of sources */

static const char *null_if_empty(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

/* Does any rollup by region hold rows of code or of a node below it? */
static enum fx_code has_rows(const struct setup *setup, const char *code_text, bool *is_counted,
                             struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    buf_append_text(&sql, "SELECT 1 WHERE false");
    PGresult *tables = NULL;
    enum fx_code code =
        pg_query(setup->conn,
                 &(struct pg_statement){
                     "SELECT d.rollup || l.suffix FROM rollup_definition d, "
                     "(VALUES ('_town'), ('_county'), ('_city')) l (suffix) "
                     "WHERE d.counted_by LIKE '%region' AND to_regclass(d.rollup || l.suffix) "
                     "IS NOT NULL",
                     0, NULL},
                 &tables, err);
    for (int i = 0; code == FX_OK && i < PQntuples(tables); i++)
        buf_append_format(&sql,
                          " UNION ALL (SELECT 1 FROM \"%s\" t JOIN region_ancestor a "
                          "ON a.region = t.region WHERE a.ancestor = $1 LIMIT 1)",
                          PQgetvalue(tables, i, 0));
    PQclear(tables);
    buf_append_text(&sql, " LIMIT 1");
    PGresult *rows = NULL;
    if (code == FX_OK)
        code = buf_check(&sql, err);
    if (code == FX_OK)
        code = pg_query(setup->conn, &(struct pg_statement){buf_text(&sql), 1, &code_text}, &rows,
                        err);
    if (code == FX_OK)
        *is_counted = PQntuples(rows) > 0;
    PQclear(rows);
    buf_release(&sql);
    return code;
}

struct move {
    const char *code;
    const char *was; /* parent */
    const char *is;
};

static enum fx_code check_move(const struct setup *setup, const struct move *move,
                               struct fx_err *err)
{
    bool is_counted = false;
    if (has_rows(setup, move->code, &is_counted, err) != FX_OK)
        return err->code;
    if (is_counted)
        return fx_err_set(err, FX_ECONFIG,
                          "region %s moves from \"%s\" to \"%s\", but it or a place below it has "
                          "rows: retire the code and use a new one, or rebuild",
                          move->code, move->was, move->is);
    return FX_OK;
}

/* A node that is in the table with another parent or level. */
static enum fx_code check_node(const struct setup *setup, const struct region_tree *tree,
                               const struct region *node, struct fx_err *err)
{
    const char *values[] = {node->code};
    PGresult *rows = NULL;
    if (pg_query(setup->conn,
                 &(struct pg_statement){
                     "SELECT level, coalesce(parent, '') FROM region WHERE code = $1", 1, values},
                 &rows, err) != FX_OK)
        return err->code;
    enum fx_code code = FX_OK;
    if (PQntuples(rows) == 1) {
        const char *level = region_level_name(node->level);
        const char *parent = node->parent < 0 ? "" : tree->nodes[node->parent].code;
        const char *old_level = PQgetvalue(rows, 0, 0);
        const char *old_parent = PQgetvalue(rows, 0, 1);
        if (strcmp(old_level, level) != 0)
            code = check_move(setup, &(struct move){node->code, old_level, level}, err);
        else if (strcmp(old_parent, parent) != 0)
            code = check_move(setup, &(struct move){node->code, old_parent, parent}, err);
    }
    PQclear(rows);
    return code;
}

static enum fx_code write_node(const struct setup *setup, const struct region_tree *tree,
                               const struct region *node, struct fx_err *err)
{
    if (check_node(setup, tree, node, err) != FX_OK)
        return err->code;
    const char *values[] = {node->code,
                            node->name,
                            node->name_latin,
                            region_level_name(node->level),
                            node->parent < 0 ? NULL : tree->nodes[node->parent].code,
                            null_if_empty(node->statistical_parent)};
    return sql_execute(setup->conn,
                       "INSERT INTO region AS r VALUES ($1, $2, $3, $4, $5, $6) "
                       "ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name, "
                       "name_latin = EXCLUDED.name_latin, level = EXCLUDED.level, "
                       "parent = EXCLUDED.parent, statistical_parent = EXCLUDED.statistical_parent "
                       "WHERE (r.name, r.name_latin, r.level, r.parent, r.statistical_parent) "
                       "IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.name_latin, EXCLUDED.level, "
                       "EXCLUDED.parent, EXCLUDED.statistical_parent)",
                       6, values, err);
}

/* Nodes that the file no longer names stay: their rows need their names. */
static enum fx_code write_ancestors(PGconn *conn, struct fx_err *err)
{
    return sql_run(conn,
                   "WITH RECURSIVE path (ancestor, region) AS (SELECT code, code FROM region "
                   "UNION ALL SELECT r.parent, p.region FROM path p JOIN region r "
                   "ON r.code = p.ancestor WHERE r.parent IS NOT NULL), "
                   "gone AS (DELETE FROM region_ancestor a WHERE NOT EXISTS (SELECT FROM path p "
                   "WHERE p.ancestor = a.ancestor AND p.region = a.region)) "
                   "INSERT INTO region_ancestor SELECT ancestor, region FROM path "
                   "ON CONFLICT DO NOTHING",
                   err);
}

/* What a worker keeps of the tree; names are the database's alone. */
static enum fx_code read_shape(PGconn *conn, char shape[static SHAPE_SIZE], struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT md5(coalesce(string_agg(concat_ws(',', code, level, parent), ';' ORDER BY code), "
        "'')) FROM region",
        0, NULL};
    if (pg_query(conn, &statement, &rows, err) != FX_OK)
        return err->code;
    text_copy(shape, SHAPE_SIZE, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return FX_OK;
}

enum fx_code setup_regions(struct setup *setup, struct fx_err *err)
{
    struct region_tree tree;
    char before[SHAPE_SIZE];
    char after[SHAPE_SIZE];
    if (read_shape(setup->conn, before, err) != FX_OK || region_tree_init(&tree, err) != FX_OK)
        return err->code;
    enum fx_code code = region_tree_load(&tree, setup->options.regions, err);
    for (int i = 0; code == FX_OK && i < tree.count; i++)
        code = write_node(setup, &tree, &tree.nodes[i], err);
    region_tree_release(&tree);
    if (code == FX_OK)
        code = write_ancestors(setup->conn, err);
    if (code == FX_OK)
        code = read_shape(setup->conn, after, err);
    if (code == FX_OK && strcmp(before, after) != 0)
        code = setup_fence(setup, true, err);
    return code;
}

/* The file's intervals of a source and kind replace those that are there. */
static const char merge_sources[] =
    "DELETE FROM record_source s USING (SELECT DISTINCT source, kind FROM given) g "
    "WHERE s.source = g.source AND s.kind = g.kind AND NOT EXISTS (SELECT FROM given x "
    "WHERE x.source = s.source AND x.kind = s.kind AND x.valid_from = s.valid_from);"
    "INSERT INTO record_source AS s SELECT source, kind, name, region, valid_from, valid_to "
    "FROM given ON CONFLICT (source, kind, valid_from) DO UPDATE SET name = EXCLUDED.name, "
    "region = EXCLUDED.region, valid_to = EXCLUDED.valid_to WHERE (s.name, s.region, s.valid_to) "
    "IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.region, EXCLUDED.valid_to)";

static bool is_kind(const struct catalog *catalog, const char *name)
{
    for (int i = 0; i < catalog->kind_count; i++)
        if (strcmp(catalog->kinds[i].kind.name, name) == 0)
            return true;
    return false;
}

/* "2022-02-10" */
static bool is_date(const char *text)
{
    struct fx_err ignored = FX_ERR_INIT;
    int64_t instant_ms = 0;
    return strlen(text) == 10 && day_parse(text, &instant_ms, &ignored) == FX_OK;
}

static enum fx_code check_cells(const struct setup *setup, char *const cells[], struct fx_err *err)
{
    if (!text_is_name(cells[0], strlen(cells[0]), SCHEMA_SOURCE_MAX))
        return fx_err_set(err, FX_ECONFIG, "source \"%.70s\" is not 1 to %d of [A-Za-z0-9._-]",
                          cells[0], SCHEMA_SOURCE_MAX);
    if (!setup->accepts_simulated && strncmp(cells[0], "SIM-", 4) == 0)
        return fx_err_set(err, FX_ECONFIG,
                          "source %s is simulated: its events are rejected (--accept-simulated)",
                          cells[0]);
    if (cells[2][0] == '\0')
        return fx_err_set(err, FX_ECONFIG, "source %s has no name", cells[0]);
    if (!is_kind(&setup->catalog, cells[1]))
        return fx_err_set(err, FX_ECONFIG, "source %s: no kind of event \"%.70s\"", cells[0],
                          cells[1]);
    if (!is_date(cells[4]) || (cells[5][0] != '\0' && !is_date(cells[5])))
        return fx_err_set(err, FX_ECONFIG,
                          "source %s: valid_from and valid_to are days, 2022-02-10; valid_to may "
                          "be empty",
                          cells[0]);
    if (cells[5][0] != '\0' && strcmp(cells[4], cells[5]) > 0)
        return fx_err_set(err, FX_ECONFIG, "source %s: valid_to is before valid_from", cells[0]);
    return FX_OK;
}

static enum fx_code flush_rows(const struct setup *setup, struct buf *sql, struct fx_err *err)
{
    enum fx_code code = buf_check(sql, err);
    if (code == FX_OK && sql->size > 0)
        code = sql_run(setup->conn, buf_text(sql), err);
    buf_reset(sql);
    return code;
}

static void append_row(struct buf *sql, char *const cells[], int line)
{
    buf_append_text(sql, sql->size == 0 ? "INSERT INTO given VALUES (" : ", (");
    for (int i = 0; i < 6; i++) {
        if (i == 5 && cells[i][0] == '\0')
            buf_append_text(sql, "NULL");
        else
            sql_literal(sql, cells[i]);
        buf_append_text(sql, ", ");
    }
    buf_append_format(sql, "%d)", line);
}

static enum fx_code give_rows(const struct setup *setup, struct csv *csv, struct buf *sql,
                              struct fx_err *err)
{
    char *cells[CSV_CELLS_MAX];
    bool is_end = false;
    while (csv_read(csv, cells, &is_end, err) == FX_OK && !is_end) {
        if (check_cells(setup, cells, err) != FX_OK)
            break;
        append_row(sql, cells, csv->line);
        if (sql->size > BATCH_SIZE && flush_rows(setup, sql, err) != FX_OK)
            return err->code;
    }
    return err->code == FX_OK ? flush_rows(setup, sql, err)
                              : fx_err_wrap(err, "line %d", csv->line);
}

/* FX_ECONFIG if the query finds a row: its source and line, and what is wrong. */
static enum fx_code refuse_any(PGconn *conn, const char *sql, const char *what, struct fx_err *err)
{
    PGresult *rows = NULL;
    enum fx_code code = pg_query(conn, &(struct pg_statement){sql, 0, NULL}, &rows, err);
    if (code == FX_OK && PQntuples(rows) > 0)
        code = fx_err_set(err, FX_ECONFIG, "line %s: source %s: %s", PQgetvalue(rows, 0, 1),
                          PQgetvalue(rows, 0, 0), what);
    PQclear(rows);
    return code;
}

static enum fx_code check_given(PGconn *conn, struct fx_err *err)
{
    enum fx_code code =
        refuse_any(conn,
                   "SELECT source, line FROM given g WHERE region = '-' OR NOT EXISTS "
                   "(SELECT FROM region r WHERE r.code = g.region) ORDER BY line LIMIT 1",
                   "its region is not in the table region", err);
    if (code == FX_OK)
        code = refuse_any(conn,
                          "SELECT b.source, b.line FROM given a JOIN given b USING (source, kind) "
                          "WHERE a.line < b.line AND daterange(a.valid_from, a.valid_to, '[]') && "
                          "daterange(b.valid_from, b.valid_to, '[]') ORDER BY b.line LIMIT 1",
                          "two rows of it for one kind overlap in time", err);
    return code;
}

static enum fx_code load_sources(const struct setup *setup, struct csv *csv, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    buf_append_format(&sql,
                      "CREATE TEMPORARY TABLE given (source text COLLATE \"C\", kind text, "
                      "name text, region text COLLATE \"C\", valid_from date, valid_to date, "
                      "line integer); CREATE TEMPORARY VIEW record_source AS "
                      "SELECT * FROM \"%s\".source",
                      setup->options.record_schema);
    enum fx_code code = flush_rows(setup, &sql, err);
    if (code == FX_OK)
        code = give_rows(setup, csv, &sql, err);
    buf_release(&sql);
    if (code == FX_OK)
        code = check_given(setup->conn, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, merge_sources, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, "DROP VIEW record_source; DROP TABLE given", err);
    return code;
}

enum fx_code setup_sources(struct setup *setup, struct fx_err *err)
{
    const char *path = setup->options.sources;
    if (path == NULL)
        return FX_OK;
    struct csv csv;
    if (csv_open(&csv, path, SOURCES_HEADER, err) != FX_OK)
        return fx_err_wrap(err, "%s", path);
    enum fx_code code = load_sources(setup, &csv, err);
    csv_close(&csv);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s", path);
}

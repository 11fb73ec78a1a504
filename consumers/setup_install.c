/* SPDX-License-Identifier: Apache-2.0 */
#include "../schemas/document.h"
#include "setup.h"
#include "setup_generated.h"
#include "setup_sql.h"
#include "setup_views.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096

#define NEEDS "-- needs: " /* in a file's head: rollups that it is about, commas between */

/* Files of schemas/views that the generated views need, in order; the others follow by name. */
static const char *const needed[] = {"ledger.sql", "functions.sql", "status.sql"};
#define NEEDED_COUNT (sizeof needed / sizeof needed[0])

static enum fx_code read_added(const struct setup *setup, const struct rollup *rollup,
                               bool is_added[ROLLUP_COLUMNS_MAX], struct fx_err *err)
{
    char table[100];
    snprintf(table, sizeof table, "%s_%s", rollup->name, rollup->by_region ? "city" : "source");
    const char *values[] = {table};
    PGresult *rows = NULL;
    if (pg_query(
            setup->conn,
            &(struct pg_statement){
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 "
                "AND NOT attisdropped AND NOT attnotnull",
                1, values},
            &rows, err) != FX_OK)
        return err->code;
    for (int i = 0; i < rollup->column_count; i++) {
        is_added[i] = false;
        for (int r = 0; r < PQntuples(rows); r++)
            is_added[i] |= strcmp(PQgetvalue(rows, r, 0), rollup->columns[i].name) == 0;
    }
    PQclear(rows);
    return FX_OK;
}

/* By when each was set up, then by its place in the file: see setup_views.h. */
static enum fx_code read_order(const struct setup *setup, const struct rollup *rollup,
                               int order[VIEWS_COLUMNS_MAX], struct fx_err *err)
{
    const char *values[] = {rollup->name};
    PGresult *rows = NULL;
    if (pg_query(setup->conn,
                 &(struct pg_statement){"SELECT position - 1 FROM rollup_column WHERE rollup = $1 "
                                        "ORDER BY counted_since, position",
                                        1, values},
                 &rows, err) != FX_OK)
        return err->code;
    fx_assert(PQntuples(rows) == rollup->column_count + rollup->derived_count);
    for (int i = 0; i < PQntuples(rows); i++)
        order[i] = (int)strtol(PQgetvalue(rows, i, 0), NULL, 10);
    PQclear(rows);
    return FX_OK;
}

/* When a rollup was added to a running system, as an SQL literal; "" if it counts from the base. */
static enum fx_code read_since(const struct setup *setup, const struct rollup *rollup,
                               char since[80], struct fx_err *err)
{
    const char *values[] = {rollup->name};
    PGresult *rows = NULL;
    if (pg_query(setup->conn,
                 &(struct pg_statement){
                     "SELECT to_char(counted_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') "
                     "FROM rollup_definition WHERE rollup = $1 AND counted_since IS NOT NULL",
                     1, values},
                 &rows, err) != FX_OK)
        return err->code;
    since[0] = '\0';
    if (PQntuples(rows) == 1)
        snprintf(since, 80, "timestamptz '%s+00'", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return FX_OK;
}

/* A derived expression is SQL that only PostgreSQL understands: asked here, it can be named. */
static enum fx_code check_derived(const struct setup *setup, const struct rollup *rollup, int index,
                                  struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    buf_append_text(&sql, "SELECT (");
    sql_expression(&sql, rollup->derived[index].sql, setup->options.schema_name);
    buf_append_text(&sql, ") FROM (SELECT NULL::bigint AS _");
    for (int i = 0; i < rollup->column_count; i++)
        buf_append_format(&sql, ", NULL::bigint AS \"%s\"", rollup->columns[i].name);
    buf_append_text(&sql, ") c WHERE false");
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = sql_run(setup->conn, buf_text(&sql), err);
    buf_release(&sql);
    return code;
}

static enum fx_code check_all_derived(const struct setup *setup, const struct catalog_kind *entry,
                                      struct fx_err *err)
{
    for (int r = 0; r < entry->rollups.count; r++) {
        const struct rollup *rollup = &entry->rollups.rollups[r];
        for (int i = 0; i < rollup->derived_count; i++)
            if (check_derived(setup, rollup, i, err) != FX_OK)
                return fx_err_wrap(err, "%s/%s.rollup.json: derived %s", entry->kind.name,
                                   rollup->name, rollup->derived[i].name);
    }
    return FX_OK;
}

static enum fx_code append_rollup_views(const struct setup *setup, const struct kind *kind,
                                        const struct rollup *rollup, struct buf *out,
                                        struct fx_err *err)
{
    bool is_added[ROLLUP_COLUMNS_MAX];
    int order[VIEWS_COLUMNS_MAX];
    char since[80];
    char topic[KAFKA_TOPIC_MAX];
    if (read_added(setup, rollup, is_added, err) != FX_OK ||
        read_order(setup, rollup, order, err) != FX_OK ||
        read_since(setup, rollup, since, err) != FX_OK)
        return err->code;
    struct views_target target = {
        .schema_name = setup->options.schema_name,
        .topic = kafka_topic_name(topic, setup->options.topic_prefix, kind->name),
        .kind = kind->name,
        .schema = kind_current(kind),
        .rollup = rollup,
        .is_added = is_added,
        .order = order,
        .since = since[0] == '\0' ? NULL : since,
    };
    views_append(out, &target);
    return FX_OK;
}

static enum fx_code append_generated(const struct setup *setup, struct buf *out, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++) {
        const struct catalog_kind *entry = &setup->catalog.kinds[k];
        for (int r = 0; code == FX_OK && r < entry->rollups.count; r++)
            code = append_rollup_views(setup, &entry->kind, &entry->rollups.rollups[r], out, err);
    }
    return code;
}

/* Workers write through it, analysts read it: the record schema's table under a name of ours. */
static void append_correction_view(const struct setup *setup, struct buf *sql)
{
    static const char *const columns[][2] = {
        {"id", "order 顺序号(编号)"},
        {"rollup", "rollup 汇总表"},
        {"level", "town, county or city 级别"},
        {"region", "region code 地区代码"},
        {"bucket_start", "start of the time step 时段起点"},
        {"dimensions", "values of the dimensions, in order 分组字段取值"},
        {"changes", "column: amount added, in the column's unit 各列变化量"},
        {"cutoff_at", "newest as_of that had covered the hour 所涉截止时间"},
        {"changed_at", "when 变更时间"},
    };
    buf_append_format(sql,
                      "CREATE OR REPLACE VIEW correction AS SELECT id, rollup, level, region, "
                      "bucket_start, dimensions, changes, cutoff_at, changed_at "
                      "FROM \"%s\".correction",
                      setup->options.record_schema);
    sql_end(sql);
    sql_comment(sql, "VIEW", "correction", "changes to hours already reported", "订正记录");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        sql_comment_column(sql, "correction", columns[i][0], columns[i][1]);
}

static void append_source_view(const struct setup *setup, struct buf *sql)
{
    buf_append_format(sql,
                      "CREATE OR REPLACE VIEW source AS SELECT s.source, s.kind, s.name, s.region, "
                      "s.valid_from, s.valid_to, '%s.' || replace(s.kind, '_', '-') AS topic "
                      "FROM \"%s\".source s",
                      setup->options.topic_prefix, setup->options.record_schema);
    sql_end(sql);
    sql_comment(sql, "VIEW", "source", "who is expected to report", "应报来源");
    sql_comment_column(sql, "source", "source", "device or post 来源");
    sql_comment_column(sql, "source", "kind", "kind of event 事件种类");
    sql_comment_column(sql, "source", "name", "name of the post 名称");
    sql_comment_column(sql, "source", "region", "place of the post 所在地区");
    sql_comment_column(sql, "source", "valid_from", "first day expected 起始日期");
    sql_comment_column(sql, "source", "valid_to", "last day expected, NULL: open 截止日期");
    sql_comment_column(sql, "source", "topic", "Kafka topic of its events 主题");
}

/* What Kafka lost and a person accepted stays in sight of whoever reads the figures. */
static void append_loss_view(const struct setup *setup, struct buf *sql)
{
    buf_append_format(sql,
                      "CREATE OR REPLACE VIEW accepted_loss AS SELECT a.topic, a.partition, "
                      "a.first_offset, a.last_offset, a.is_counted, a.reason, a.accepted_at, "
                      "coalesce(p.accepted_id >= a.id, false) OR (NOT a.is_counted AND "
                      "p.next_offset > a.last_offset) AS is_applied FROM \"%s\".acceptance a "
                      "JOIN partition_position p USING (topic, partition)",
                      setup->options.record_schema);
    sql_end(sql);
    sql_comment(sql, "VIEW", "accepted_loss", "what Kafka lost, and a person accepted",
                "已接受的丢失");
    sql_comment_column(sql, "accepted_loss", "topic", "Kafka topic 主题");
    sql_comment_column(sql, "accepted_loss", "partition", "Kafka partition 分区(编号)");
    sql_comment_column(sql, "accepted_loss", "first_offset", "first lost offset 起始位点(位点)");
    sql_comment_column(sql, "accepted_loss", "last_offset", "last lost offset 结束位点(位点)");
    sql_comment_column(sql, "accepted_loss", "is_counted",
                       "had been counted before; else what was in it is not, unless it only "
                       "lacked Kafka's time 是否已计数");
    sql_comment_column(sql, "accepted_loss", "reason", "why it was accepted 原因");
    sql_comment_column(sql, "accepted_loss", "accepted_at", "when it was accepted 接受时间");
    sql_comment_column(sql, "accepted_loss", "is_applied", "counting went on 是否已继续计数");
}

static bool has_rollup(const struct catalog *catalog, const char *name, size_t size)
{
    for (int k = 0; k < catalog->kind_count; k++)
        for (int r = 0; r < catalog->kinds[k].rollups.count; r++) {
            const char *known = catalog->kinds[k].rollups.rollups[r].name;
            if (strlen(known) == size && strncmp(known, name, size) == 0)
                return true;
        }
    return false;
}

/* Does the catalog have every rollup that the file's "-- needs: a, b" names? Without such a line it
 * needs none. */
static bool has_needs(const struct catalog *catalog, const char *text)
{
    const char *at = strstr(text, "\n" NEEDS);
    if (at == NULL)
        return true;
    at += 1 + strlen(NEEDS);
    while (*at != '\n' && *at != '\0') {
        size_t size = strcspn(at, ", \n");
        if (size > 0 && !has_rollup(catalog, at, size))
            return false;
        at += size;
        at += strspn(at, ", ");
    }
    return true;
}

/* What schemas/views/NAME holds, unless it is about rollups that this system does not have. An
 * error of PostgreSQL names the file, by the line before it. */
static enum fx_code append_file(const struct setup *setup, const char *name, struct buf *out,
                                struct fx_err *err)
{
    char path[PATH_SIZE];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof path, "%s/views/%s", setup->options.schemas, name);
    enum fx_code code = document_read(path, DOCUMENT_SIZE_MAX, &text, err);
    const char *statements = buf_text(&text);
    if (code == FX_OK && has_needs(&setup->catalog, statements)) {
        buf_append_format(out, SQL_FILE "views/%s\n", name);
        buf_append_text(out, statements);
        sql_end(out);
    }
    buf_release(&text);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s", path);
}

static int is_view_file(const struct dirent *entry)
{
    for (size_t i = 0; i < NEEDED_COUNT; i++)
        if (strcmp(entry->d_name, needed[i]) == 0)
            return 0;
    size_t size = strlen(entry->d_name);
    return size > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 4, ".sql") == 0;
}

/* Every other file of schemas/views, by name. */
static enum fx_code append_files(const struct setup *setup, struct buf *out, struct fx_err *err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/views", setup->options.schemas);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_view_file, alphasort);
    if (count < 0)
        return fx_err_set(err, FX_ECONFIG, "%s: cannot be read", path);
    for (int i = 0; i < count; i++) {
        if (err->code == FX_OK)
            (void)!append_file(setup, entries[i]->d_name, out, err);
        free(entries[i]);
    }
    free(entries);
    return err->code;
}

/* All that is made, in order; what must be there before derived columns can be checked is apart. */
struct texts {
    struct buf own;    /* stays when all else is dropped: our functions need it, and workers write
                        * through it */
    struct buf needed; /* the first of schemas/views */
    struct buf rest;   /* what is generated, and the others of schemas/views */
};

static enum fx_code append_all(const struct setup *setup, struct texts *texts, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    append_source_view(setup, &texts->own);
    append_correction_view(setup, &texts->own);
    append_loss_view(setup, &texts->own);
    for (size_t i = 0; code == FX_OK && i < NEEDED_COUNT; i++)
        code = append_file(setup, needed[i], &texts->needed, err);
    if (code == FX_OK)
        code = append_generated(setup, &texts->rest, err);
    if (code == FX_OK)
        code = append_files(setup, &texts->rest, err);
    return code;
}

static enum fx_code make_views(const struct setup *setup, const struct texts *texts,
                               struct fx_err *err)
{
    enum fx_code code = sql_run_list(setup->conn, &texts->needed, err);
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++)
        code = check_all_derived(setup, &setup->catalog.kinds[k], err);
    return code == FX_OK ? sql_run_list(setup->conn, &texts->rest, err) : code;
}

/* Where a view changed more than CREATE OR REPLACE can do, all that is ours is made anew; readers
 * see the old views until the commit. */
static enum fx_code make_all(const struct setup *setup, const struct texts *texts,
                             struct fx_err *err)
{
    struct fx_err first = FX_ERR_INIT;
    if (generated_lock(setup->conn, false, err) != FX_OK ||
        sql_run_list(setup->conn, &texts->own, err) != FX_OK ||
        generated_begin(setup->conn, err) != FX_OK)
        return err->code;
    if (make_views(setup, texts, &first) != FX_OK) {
        if (!generated_is_other_shape(&first))
            return fx_err_set(err, first.code, "%s", first.text);
        if (generated_drop(setup->conn, err) != FX_OK || make_views(setup, texts, err) != FX_OK ||
            generated_restore(setup->conn, err) != FX_OK)
            return err->code;
    }
    return generated_end(setup->conn, err);
}

enum fx_code setup_rollup_views(struct setup *setup, struct fx_err *err)
{
    struct texts texts = {BUF_INIT, BUF_INIT, BUF_INIT};
    struct buf whole = BUF_INIT;
    char digest[GENERATED_DIGEST_SIZE];
    bool is_made = false;
    enum fx_code code = append_all(setup, &texts, err);
    buf_append(&whole, texts.own.data, texts.own.size);
    buf_append(&whole, texts.needed.data, texts.needed.size);
    buf_append(&whole, texts.rest.data, texts.rest.size);
    if (code == FX_OK && buf_check(&texts.own, err) == FX_OK &&
        buf_check(&texts.needed, err) == FX_OK && buf_check(&texts.rest, err) == FX_OK)
        (void)(buf_check(&whole, err) == FX_OK);
    code = err->code;
    if (code == FX_OK) {
        generated_digest(&whole, digest);
        code = generated_find(setup->conn, digest, &is_made, err);
    }
    if (code == FX_OK && !is_made)
        code = make_all(setup, &texts, err);
    if (code == FX_OK && !is_made)
        code = generated_keep(setup->conn, digest, err);
    buf_release(&whole);
    buf_release(&texts.own);
    buf_release(&texts.needed);
    buf_release(&texts.rest);
    return code;
}

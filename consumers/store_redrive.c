/* SPDX-License-Identifier: Apache-2.0 */
/* store_redrive - reads rejected events, and settles those that were taken again. */
#include "store_rejected.h"
#include "store_state.h"

#include "../common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Topics are ours to quote: text_is_name. */
static void write_topics(const struct store *store, struct buf *literal)
{
    for (int i = 0; i < store->options.catalog->kind_count; i++)
        buf_append_format(literal, "%c\"%s\"", i == 0 ? '{' : ',', store->options.topics[i]);
    buf_append_byte(literal, '}');
}

/* A reason that this program does not know is not looked for. */
static void write_reasons(enum reason reason, struct buf *literal)
{
    char before = '{';
    for (int i = 0; i < REASON_COUNT; i++) {
        if (reason != REASON_COUNT && (int)reason != i)
            continue;
        buf_append_format(literal, "%c%s", before, reason_name((enum reason)i));
        before = ',';
    }
    buf_append_byte(literal, '}');
}

static int64_t number_at(const PGresult *rows, int row, int column)
{
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

static enum fx_code read_row(const struct store *store, const PGresult *rows, int at,
                             struct flush_rejected *event, struct fx_err *err)
{
    size_t size = 0;
    memset(event, 0, sizeof *event);
    event->topic = store_topic(store, PQgetvalue(rows, at, 0));
    event->partition = (int32_t)number_at(rows, at, 1);
    event->offset = number_at(rows, at, 2);
    event->reason = reason_parse(PQgetvalue(rows, at, 3));
    event->has_envelope = !PQgetisnull(rows, at, 4) && !PQgetisnull(rows, at, 5);
    if (event->has_envelope) {
        text_copy(event->source, sizeof event->source, PQgetvalue(rows, at, 4));
        event->run = number_at(rows, at, 5);
        event->seq = number_at(rows, at, 6);
    }
    event->length = (uint32_t)number_at(rows, at, 7);
    event->append_ms = number_at(rows, at, 9);
    uint8_t *digest = PQunescapeBytea((const uint8_t *)PQgetvalue(rows, at, 8), &size);
    if (digest == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a rejected event");
    if (size == sizeof event->sha256)
        memcpy(event->sha256, digest, size);
    PQfreemem(digest);
    if (event->topic < 0 || event->reason == REASON_COUNT || size != sizeof event->sha256)
        return fx_err_set(err, FX_ESTATE, "rejected_event: topic, reason or sha256 is none");
    return FX_OK;
}

/* The rows of the first one's partition. */
static enum fx_code read_rows(const struct store *store, const PGresult *rows,
                              struct rejected_list *list, struct fx_err *err)
{
    int count = 0;
    for (; count < PQntuples(rows) && count < list->rows_max; count++) {
        struct flush_rejected *row = &list->rows[count];
        if (read_row(store, rows, count, row, err) != FX_OK)
            return err->code;
        if (row->topic != list->rows[0].topic || row->partition != list->rows[0].partition)
            break;
    }
    list->count = count;
    if (count > 0)
        list->generation = number_at(rows, 0, 10);
    return FX_OK;
}

/* Offsets below 0 are of a log that a person accepted as lost: nobody can take them again. Rows in
 * their order are messages in order, so the first rows that hold enough messages will do. */
static const char list_sql[] =
    "SELECT r.topic, r.partition, e.\"offset\", r.reason, r.source, r.run, e.seq, e.length, "
    "e.sha256, (extract(epoch FROM e.appended_at) * 1000)::bigint, coalesce((SELECT p.generation "
    "FROM partition_position p WHERE p.topic = r.topic AND p.partition = r.partition), 0) "
    "FROM (SELECT r.*, sum(r.events) OVER (ORDER BY r.topic, r.partition, r.last_offset) - "
    "r.events AS ahead FROM (SELECT r.* FROM rejected_range r WHERE "
    "(r.topic, r.partition, r.last_offset) > "
    "($1::text, $2::int, $3::bigint) AND r.last_offset >= 0 AND r.topic = ANY($4::text[]) AND "
    "r.reason = ANY($5::text[]) ORDER BY r.topic, r.partition, r.last_offset LIMIT $6::int) r) "
    "r" STORE_UNFOLD_SQL "WHERE r.ahead < 2 * $6::int AND "
    "(r.topic, r.partition, e.\"offset\") > ($1::text, $2::int, $3::bigint) "
    "ORDER BY r.topic, r.partition, e.\"offset\" LIMIT $6::int";

static enum fx_code list_rows(struct store *store, struct rejected_list *list, struct buf *topics,
                              struct buf *reasons, struct fx_err *err)
{
    char partition[16];
    char offset[24];
    char limit[16];
    snprintf(partition, sizeof partition, "%" PRId32, list->partition);
    snprintf(offset, sizeof offset, "%" PRId64, list->offset);
    snprintf(limit, sizeof limit, "%d", list->rows_max);
    const char *values[] = {list->topic < 0 ? "" : store->options.topics[list->topic],
                            partition,
                            offset,
                            buf_text(topics),
                            buf_text(reasons),
                            limit};
    PGresult *rows = NULL;
    struct pg_statement statement = {list_sql, 6, values};
    if (pg_query(store->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    (void)(read_rows(store, rows, list, err) == FX_OK);
    PQclear(rows);
    return err->code;
}

/* A planner that has met few rows so far sorts all that are left for every batch: along the primary
 * key it reads each once. */
static const char in_key_order[] =
    "BEGIN; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; "
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

enum fx_code store_list_rejected(struct store *store, struct rejected_list *list,
                                 struct fx_err *err)
{
    struct buf topics = BUF_INIT;
    struct buf reasons = BUF_INIT;
    list->count = 0;
    write_topics(store, &topics);
    write_reasons(list->reason, &reasons);
    if (buf_check(&topics, err) == FX_OK && buf_check(&reasons, err) == FX_OK &&
        store_connect(store, err) == FX_OK && pg_run(store->conn, in_key_order, err) == FX_OK &&
        list_rows(store, list, &topics, &reasons, err) == FX_OK)
        (void)(pg_run(store->conn, "COMMIT", err) == FX_OK);
    buf_release(&topics);
    buf_release(&reasons);
    if (err->code != FX_OK)
        store_disconnect(store);
    return err->code;
}

enum fx_code store_count_rejected(struct store *store, enum reason reason, int64_t *count,
                                  struct fx_err *err)
{
    struct buf topics = BUF_INIT;
    struct buf reasons = BUF_INIT;
    write_topics(store, &topics);
    write_reasons(reason, &reasons);
    const char *values[] = {buf_text(&topics), buf_text(&reasons)};
    struct pg_statement statement = {
        "SELECT coalesce(sum(events), 0) FROM rejected_range WHERE "
        "last_offset >= 0 AND topic = ANY($1::text[]) AND reason = ANY($2::text[])",
        2, values};
    PGresult *rows = NULL;
    if (buf_check(&topics, err) == FX_OK && buf_check(&reasons, err) == FX_OK &&
        store_connect(store, err) == FX_OK &&
        pg_query(store->conn, &statement, &rows, err) == FX_OK) {
        *count = number_at(rows, 0, 0);
        PQclear(rows);
    } else {
        store_disconnect(store);
    }
    buf_release(&topics);
    buf_release(&reasons);
    return err->code;
}

/* Each must be there as it was listed, or another settled it; what counts is on record. What is
 * left of their rows stays, in rows that end where one was taken out. */
#define KEPT_SQL STORE_FOLD_SQL("left_over")
#define SETTLED_SQL                                                                                \
    "WITH d AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], "            \
    "$5::text[], $6::bigint[], $7::bigint[], $8::text[]) AS d(topic, partition, \"offset\", "      \
    "reason, source, run, seq, outcome)), "                                                        \
    "k AS (SELECT DISTINCT f.topic, f.partition, f.last_offset FROM d CROSS JOIN LATERAL "         \
    "(SELECT r.topic, r.partition, r.last_offset FROM rejected_range r WHERE r.topic = d.topic "   \
    "AND r.partition = d.partition AND r.last_offset >= d.\"offset\" "                             \
    "ORDER BY r.last_offset LIMIT 1) f), "                                                         \
    "r AS (DELETE FROM rejected_range r USING k WHERE r.topic = k.topic AND "                      \
    "r.partition = k.partition AND r.last_offset = k.last_offset RETURNING r.*), "                 \
    "x AS MATERIALIZED (SELECT r.topic, r.partition, r.last_offset, r.reason, r.source, r.run, "   \
    "e.*, d.topic IS NOT NULL AS is_settled FROM r" STORE_UNFOLD_SQL                               \
    "LEFT JOIN d ON d.topic = r.topic AND d.partition = r.partition AND "                          \
    "d.\"offset\" = e.\"offset\" AND d.reason = r.reason), "                                       \
    "l AS (SELECT x.*, count(*) FILTER (WHERE is_settled) OVER (PARTITION BY topic, partition, "   \
    "last_offset ORDER BY \"offset\") AS part FROM x), "                                           \
    "left_over AS (SELECT l.*, (last_offset, part) AS fold FROM l WHERE NOT is_settled), "         \
    "b AS (" KEPT_SQL "), i AS (INSERT INTO \"%s\".redriven_event (topic, partition, \"offset\", " \
    "reason, source, run, seq, outcome) SELECT topic, partition, \"offset\", reason, source, "     \
    "run, seq, outcome FROM d WHERE outcome IS NOT NULL) "                                         \
    "SELECT must((SELECT count(*) FROM x WHERE is_settled) = (SELECT count(*) FROM d), "           \
    "'FX001', 'a rejected event was settled by another')"

#define SETTLED_ARRAYS 8

static void add_settled(struct store *store, const struct flush_settled *settled)
{
    const struct flush_rejected *row = settled->row;
    struct array *a = store->arrays;
    array_add_text(&a[0], store->options.topics[row->topic]);
    array_add_int4(&a[1], row->partition);
    array_add_int8(&a[2], row->offset);
    array_add_text(&a[3], reason_name(row->reason));
    if (row->has_envelope) {
        array_add_text(&a[4], row->source);
        array_add_int8(&a[5], row->run);
        array_add_int8(&a[6], row->seq);
    } else {
        for (int i = 4; i <= 6; i++)
            array_add_null(&a[i]);
    }
    if (settled->outcome == SETTLED_ANEW)
        array_add_null(&a[7]);
    else
        array_add_text(&a[7], settled->outcome == SETTLED_COUNTED ? "counted" : "duplicate");
}

enum fx_code store_send_settled(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const enum array_type types[SETTLED_ARRAYS] = {ARRAY_TEXT, ARRAY_INT4, ARRAY_INT8,
                                                          ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8,
                                                          ARRAY_INT8, ARRAY_TEXT};
    char sql[3000];
    if (flush->settled_count == 0)
        return FX_OK;
    fx_assert(store->record_schema[0] != '\0');
    store_begin_arrays(store, types, SETTLED_ARRAYS);
    for (int i = 0; i < flush->settled_count; i++)
        add_settled(store, &flush->settled[i]);
    snprintf(sql, sizeof sql, SETTLED_SQL, store->record_schema);
    return store_send_arrays_sql(store, sql, SETTLED_ARRAYS, err);
}

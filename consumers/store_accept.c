/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_accept - makes locked positions a worker's own, and applies what a person accepted of
 * Kafka's losses: see store.h. The rows are locked by then, as fx-setup locks them before it
 * records an acceptance: each acceptance is seen by exactly one first claim.
 */
#include "store_state.h"

#include "../common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In all of them %s is the quoted record schema. newest: of the acceptances of counted offsets;
 * what was accepted before it is of a log that is no more. back: where the pending ones of counted
 * offsets lead to. gone: whether what is missing between there and Kafka's first offset is
 * accepted. */
static const char take_sql[] =
    "WITH d AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) "
    "AS d(topic, partition, generation, low)), "
    "p AS (SELECT d.*, p.next_offset AS was, coalesce(p.accepted_id, 0) AS applied "
    "FROM d JOIN partition_position p USING (topic, partition)), "
    "n AS (SELECT p.*, (SELECT max(a.id) FROM %s.acceptance a WHERE a.topic = p.topic "
    "AND a.partition = p.partition AND a.is_counted) AS newest, "
    "(SELECT min(a.first_offset) FROM %s.acceptance a WHERE a.topic = p.topic "
    "AND a.partition = p.partition AND a.is_counted AND a.id > p.applied) AS back FROM "
    "p), "
    "g AS (SELECT n.*, least(n.was, n.back) AS start, (SELECT max(a.id) FROM "
    "%s.acceptance a WHERE a.topic = n.topic AND a.partition = n.partition "
    "AND a.id > n.applied AND a.id >= coalesce(n.newest, 0) "
    "AND a.first_offset <= least(n.was, n.back) AND a.last_offset >= n.low - 1 "
    "AND n.low > least(n.was, n.back)) AS gone FROM n) "
    "UPDATE partition_position p SET generation = g.generation, claimed_by = $5, "
    "claimed_at = now(), "
    "next_offset = CASE WHEN g.gone IS NULL THEN g.start ELSE g.low END, "
    "base_offset = least(p.base_offset, CASE WHEN g.gone IS NULL THEN g.start ELSE g.low END), "
    "bookmark = CASE WHEN g.gone IS NULL AND g.start = g.was THEN p.bookmark END, "
    "accepted_id = greatest(p.accepted_id, g.gone, CASE WHEN g.newest > g.applied THEN g.newest "
    "END) "
    "FROM g WHERE p.topic = g.topic AND p.partition = g.partition "
    "RETURNING p.topic, p.partition, p.base_offset, p.next_offset, p.bookmark, p.append_high_ms, "
    "g.was, g.gone IS NOT NULL OR g.start < g.was, g.start < g.was";

/* Rejected events of the log that is no more make room for what is read now: see the comment of
 * their offsets. A row that is of both logs becomes two. */
static const char retire_sql[] =
    "WITH n AS (SELECT a.topic, a.partition, count(*) AS logs, least((array_agg(a.first_offset "
    "ORDER BY a.id DESC))[1], $3::bigint) AS first FROM %s.acceptance a WHERE a.topic = $1 "
    "AND a.partition = $2::int AND a.is_counted GROUP BY 1, 2), "
    "r AS (DELETE FROM rejected_range r USING n WHERE r.topic = n.topic AND "
    "r.partition = n.partition AND r.last_offset >= n.first RETURNING r.*, n.logs, n.first), "
    "e AS (SELECT r.topic, r.partition, r.reason, r.source, r.run, e.detail, e.seq, e.length, "
    "e.sha256, e.appended_at, o.\"offset\", CASE WHEN o.\"offset\" < 0 THEN r.last_offset ELSE "
    "-1 - r.last_offset END AS fold FROM r" STORE_UNFOLD_SQL
    "CROSS JOIN LATERAL (SELECT CASE WHEN e.\"offset\" >= r.first THEN "
    "e.\"offset\" - (r.logs << 40) ELSE e.\"offset\" END AS \"offset\") o) " STORE_FOLD_SQL("e");

static const char untimed_sql[] =
    "SELECT a.topic, a.partition, a.first_offset, a.last_offset FROM %s.acceptance a "
    "JOIN partition_position p USING (topic, partition) WHERE (a.topic, a.partition) IN "
    "(SELECT * FROM unnest($1::text[], $2::int[])) AND NOT a.is_counted "
    "AND a.last_offset >= p.next_offset AND NOT EXISTS (SELECT FROM %s.acceptance r WHERE "
    "r.topic = a.topic AND r.partition = a.partition AND r.is_counted "
    "AND r.id > a.id) ORDER BY a.first_offset, a.last_offset LIMIT $3";

void store_record_sql(const struct store *store, const char *text, struct buf *sql)
{
    fx_assert(store->record_schema[0] != '\0');
    for (const char *mark; (mark = strstr(text, "%s")) != NULL; text = mark + 2) {
        buf_append(sql, text, (size_t)(mark - text));
        buf_append_format(sql, "\"%s\"", store->record_schema);
    }
    buf_append_text(sql, text);
}

enum fx_code store_record_query(struct store *store, const struct pg_statement *statement,
                                PGresult **rows, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    store_record_sql(store, statement->sql, &sql);
    struct pg_statement whole = {buf_text(&sql), statement->count, statement->values};
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = pg_query(store->conn, &whole, rows, err);
    buf_release(&sql);
    return code;
}

/* Says what was applied, and retires the rejected events of a log that is no more. */
static enum fx_code note_applied(struct store *store, const PGresult *rows, int row,
                                 struct fx_err *err)
{
    const char *values[] = {PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1),
                            PQgetvalue(rows, row, 3)};
    PGresult *none = NULL;
    struct pg_statement retire = {retire_sql, 3, values};
    fx_log(FX_LOG_WARN, "accepted", "topic=%s partition=%s next=%s was=%s", values[0], values[1],
           values[2], PQgetvalue(rows, row, 6));
    if (PQgetvalue(rows, row, 8)[0] != 't' ||
        store_record_query(store, &retire, &none, err) != FX_OK)
        return err->code;
    PQclear(none);
    return FX_OK;
}

enum fx_code store_take_positions(struct store *store, const char *const values[5], PGresult **rows,
                                  struct fx_err *err)
{
    struct pg_statement take = {take_sql, 5, values};
    PGresult *taken = NULL;
    if (store_record_query(store, &take, &taken, err) != FX_OK)
        return err->code;
    for (int i = 0; i < PQntuples(taken) && err->code == FX_OK; i++)
        if (PQgetvalue(taken, i, 7)[0] == 't')
            (void)(note_applied(store, taken, i, err) == FX_OK);
    if (err->code == FX_OK)
        *rows = taken;
    else
        PQclear(taken);
    return err->code;
}

enum fx_code store_read_untimed(struct store *store, const char *const values[2],
                                struct claim *claim, struct fx_err *err)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", CLAIM_UNTIMED_MAX);
    const char *all[] = {values[0], values[1], limit};
    PGresult *rows = NULL;
    struct pg_statement statement = {untimed_sql, 3, all};
    if (store_record_query(store, &statement, &rows, err) != FX_OK)
        return err->code;
    claim->untimed_count = 0;
    for (int i = 0; i < PQntuples(rows); i++)
        claim->untimed[claim->untimed_count++] = (struct claim_range){
            store_topic(store, PQgetvalue(rows, i, 0)),
            (int32_t)strtol(PQgetvalue(rows, i, 1), NULL, 10),
            strtoll(PQgetvalue(rows, i, 2), NULL, 10), strtoll(PQgetvalue(rows, i, 3), NULL, 10)};
    PQclear(rows);
    return FX_OK;
}

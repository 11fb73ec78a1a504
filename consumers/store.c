/* SPDX-License-Identifier: Apache-2.0 */
#include "store_state.h"

#include "../common/day.h"
#include "../common/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_TIMEOUT_MS 60000
#define DRAIN_MAX_MS 3000 /* since the flush began */
#define DRAIN_WAIT_MS 20

enum fx_code store_open(const struct store_options *options, struct store **store,
                        struct fx_err *err)
{
    struct store *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a store");
    fresh->options = *options;
    *store = fresh;
    return FX_OK;
}

void store_disconnect(struct store *store)
{
    if (store->conn != NULL)
        PQfinish(store->conn);
    store->conn = NULL;
    store->is_in_flight = false;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_disconnect(store);
    for (int i = 0; i < STORE_ARRAYS_MAX; i++)
        array_release(&store->arrays[i]);
    free(store->rows);
    free(store);
}

int store_topic(const struct store *store, const char *name)
{
    for (int i = 0; i < store->options.catalog->kind_count; i++)
        if (strcmp(store->options.topics[i], name) == 0)
            return i;
    return -1;
}

static enum fx_code prepare(struct store *store, const char *name, const char *sql,
                            struct fx_err *err)
{
    PGresult *result = PQprepare(store->conn, name, sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        pg_failed(store->conn, result, err);
        fx_err_wrap(err, "prepare %s", name);
    }
    PQclear(result);
    return err->code;
}

static enum fx_code prepare_table(struct store *store, const struct schema *schema,
                                  const struct rollup *rollup, int level, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    char name[STORE_NAME_MAX];
    store_rollup_name(store->options.catalog, rollup, level, name);
    if (store_rollup_sql(schema, rollup, level, &sql, err) == FX_OK)
        (void)(prepare(store, name, buf_text(&sql), err) == FX_OK);
    if (err->code == FX_OK && levels_has_total(rollup, level)) {
        buf_reset(&sql);
        store_total_name(store->options.catalog, rollup, level, name);
        if (store_total_sql(schema, rollup, level, &sql, err) == FX_OK)
            (void)(prepare(store, name, buf_text(&sql), err) == FX_OK);
    }
    buf_release(&sql);
    return err->code == FX_OK ? FX_OK
                              : fx_err_wrap(err, "table %s_%s", rollup->name, levels_suffix(level));
}

static enum fx_code prepare_rollups(struct store *store, const struct catalog_kind *kind,
                                    struct fx_err *err)
{
    for (int i = 0; i < kind->rollups.count * LEVEL_COUNT && err->code == FX_OK; i++) {
        const struct rollup *rollup = &kind->rollups.rollups[i / LEVEL_COUNT];
        int level = i % LEVEL_COUNT;
        if (levels_has(rollup, level))
            (void)(prepare_table(store, kind_current(&kind->kind), rollup, level, err) == FX_OK);
    }
    return err->code;
}

/* A worker stopped in the middle of a pipeline holds its locks, and no timeout of PostgreSQL 15
 * ends it while the server waits for the client. Whoever waited in vain ends it. */
static enum fx_code end_stopped_workers(struct store *store, struct fx_err *err)
{
    PGresult *result = NULL;
    static const struct pg_statement statement = {
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE usename = current_user AND datname = current_database() "
        "AND application_name = 'fx-rollup' AND pid <> pg_backend_pid() AND state <> 'idle' "
        "AND wait_event = 'ClientRead' AND state_change < now() - interval '10 s'",
        0, NULL};
    if (pg_query(store->conn, &statement, &result, err) != FX_OK)
        return err->code;
    fx_log(FX_LOG_WARN, "end_stopped", "backends=%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return FX_OK;
}

enum fx_code store_connect(struct store *store, struct fx_err *err)
{
    if (store->is_in_flight)
        store_disconnect(store); /* its outcome is not known, and nobody asks any more */
    if (store->conn != NULL)
        return FX_OK;
    struct pg_options options = {store->options.conninfo, "fx-rollup", store->options.schema_name};
    if (pg_open(&options, &store->conn, err) != FX_OK)
        return err->code;
    for (int i = 0; store_statements[i].name != NULL && err->code == FX_OK; i++)
        (void)(prepare(store, store_statements[i].name, store_statements[i].sql, err) == FX_OK);
    for (int k = 0; k < store->options.catalog->kind_count && err->code == FX_OK; k++)
        (void)(prepare_rollups(store, &store->options.catalog->kinds[k], err) == FX_OK);
    if (err->code == FX_OK && store->is_blocked && end_stopped_workers(store, err) == FX_OK)
        store->is_blocked = false;
    if (err->code != FX_OK)
        store_disconnect(store);
    return err->code;
}

/* Keeps the first error of the flush, and what kind of conflict it is. */
static void note_failure(struct store *store, const PGresult *result)
{
    if (store->failure.code != FX_OK)
        return;
    const char *state = pg_sqlstate(result);
    pg_failed(store->conn, result, &store->failure);
    store->conflict = strcmp(state, "FX002") == 0   ? STORE_RUNS
                      : strcmp(state, "FX003") == 0 ? STORE_MARKS
                      : strcmp(state, "57014") == 0 ? STORE_SLOW
                                                    : STORE_FENCED;
    if (strcmp(state, "55P03") == 0 || strcmp(state, "57014") == 0)
        store->is_blocked = true;
}

/* One result of the pipeline. true: it was the Sync, the last one. */
static bool take_result(struct store *store, PGresult *result)
{
    switch ((int)PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        store->is_commit_tagged = strcmp(PQcmdStatus(result), "COMMIT") == 0;
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        note_failure(store, result);
    }
    return false;
}

/* The flush is over: committed, or drop the connection and with it what is left of it. */
static enum fx_code conclude(struct store *store, bool *is_done, struct fx_err *err)
{
    store->is_in_flight = false;
    if (store->failure.code == FX_OK && store->is_commit_tagged &&
        PQexitPipelineMode(store->conn) == 1 && PQsetnonblocking(store->conn, 0) == 0) {
        *is_done = true;
        return FX_OK;
    }
    if (store->failure.code == FX_OK)
        fx_err_set(&store->failure, FX_ECLAIM, "the transaction was not committed");
    else if (store->failure.code == FX_ERETRY)
        store->failure.code = FX_ECLAIM; /* in doubt */
    store_disconnect(store);
    *err = store->failure;
    return fx_err_wrap(err, "flush");
}

static enum fx_code lose(struct store *store, struct fx_err *err)
{
    bool is_done = false;
    note_failure(store, NULL);
    return conclude(store, &is_done, err);
}

static void wait_for(const struct store *store, bool is_writing, int timeout_ms)
{
    struct pollfd waited = {.fd = PQsocket(store->conn)};
    waited.events = (short)(POLLIN | (is_writing ? POLLOUT : 0));
    (void)poll(&waited, 1, timeout_ms);
}

void store_drain(struct store *store)
{
    while (PQflush(store->conn) == 1 && day_monotonic_ms() - store->sent_ms < DRAIN_MAX_MS) {
        wait_for(store, true, DRAIN_WAIT_MS);
        if (PQconsumeInput(store->conn) == 0)
            return; /* the next call says so */
    }
}

enum fx_code store_poll(struct store *store, int timeout_ms, bool *is_done, struct fx_err *err)
{
    fx_assert(store->is_in_flight);
    int left = PQflush(store->conn);
    if (timeout_ms > 0)
        wait_for(store, left == 1, timeout_ms);
    if (left < 0 || PQconsumeInput(store->conn) == 0)
        return lose(store, err);
    int nulls = 0;
    while (!PQisBusy(store->conn) && nulls < 2) {
        PGresult *result = PQgetResult(store->conn);
        nulls = result == NULL ? nulls + 1 : 0; /* NULL ends a statement, two mean no more */
        bool is_over = result != NULL && take_result(store, result);
        PQclear(result);
        if (is_over)
            return conclude(store, is_done, err);
    }
    bool is_slow = day_monotonic_ms() - store->sent_ms > FLUSH_TIMEOUT_MS;
    if (!is_slow && PQstatus(store->conn) != CONNECTION_BAD)
        return FX_OK;
    enum fx_code code = lose(store, err);
    if (is_slow)
        store->conflict = STORE_SLOW;
    return code;
}

void store_abandon(struct store *store)
{
    if (store->is_in_flight)
        store_disconnect(store);
}

enum store_conflict store_conflict(const struct store *store)
{
    return store->conflict;
}

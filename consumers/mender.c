/* SPDX-License-Identifier: Apache-2.0 */
#include "mender_core.h"

#include "../common/day.h"
#include "../common/digest.h"
#include "../common/log.h"
#include "../common/retry.h"
#include "../common/text.h"
#include "pg.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD_MS 30000
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define ROUND_MESSAGES_MAX 1000
#define ROUND_BYTES_MAX ((size_t)8 << 20)
#define ROWS_AT_ONCE "2000"
/* A holder of the lock that is stopped, or whose host died, is idle: its session ends. */
#define LOCK_LIMIT "SET idle_session_timeout = '2min'"

struct mender {
    struct mender_options options;
    char topic[KAFKA_TOPIC_MAX];
    pthread_t thread;
    atomic_bool stop;
    pthread_mutex_t mutex; /* of what the two below wait for and tell */
    pthread_cond_t wake;
    struct mender_stats stats;
    PGconn *conn; /* NULL: none; while there is one, the lock is ours */
    struct retry retry;
    bool is_trouble_told;
    bool is_more; /* the last round was full */
    struct mends mends;
    struct ask ask;
};

/* ---- the source at hand ---- */

struct round {
    struct mender *mender;
    struct ask_policy policy;
    char source[MENDER_SOURCE_SIZE]; /* "": none yet */
    int64_t asked_at_ms;             /* of the request sent last */
    int attempts;
    struct buf body;
    int64_t gaps;     /* asked for, of all sources */
    int64_t left_out; /* for want of room in a message */
};

static bool is_full(const struct mends *mends)
{
    return mends->count >= ROUND_MESSAGES_MAX || mends->bytes >= ROUND_BYTES_MAX;
}

static enum fx_code add_mend(struct mends *mends, const char *source, struct mend **mend,
                             struct fx_err *err)
{
    if (mends->count == mends->room) {
        int room = mends->room == 0 ? 16 : mends->room * 2;
        struct mend *more = realloc(mends->items, (size_t)room * sizeof *more);
        if (more == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d requests", room);
        mends->items = more;
        mends->room = room;
    }
    *mend = &mends->items[mends->count++];
    **mend = (struct mend){.body = BUF_INIT};
    text_copy((*mend)->source, sizeof(*mend)->source, source);
    return FX_OK;
}

static void forget_mends(struct mends *mends)
{
    for (int i = 0; i < mends->count; i++)
        buf_release(&mends->items[i].body);
    free(mends->items);
    *mends = (struct mends){NULL, 0, 0, 0};
}

/* All gaps of the source at hand were met. */
static enum fx_code settle_source(struct round *round, struct fx_err *err)
{
    struct mender *mender = round->mender;
    struct mend *mend = NULL;
    if (round->source[0] == '\0')
        return FX_OK;
    const struct ask_known known = {round->asked_at_ms, round->attempts, buf_text(&round->body)};
    if (buf_check(&round->body, err) != FX_OK)
        return err->code;
    struct ask_decision decision = ask_decide(&mender->ask, &round->policy, &known);
    if (round->attempts > 0 || decision.action == ASK_SEND)
        round->gaps += mender->ask.count;
    if (decision.action == ASK_NOTHING)
        return FX_OK;
    round->left_out += mender->ask.left_out;
    if (add_mend(&mender->mends, round->source, &mend, err) != FX_OK)
        return err->code;
    mend->decision = decision;
    if (decision.action == ASK_SEND)
        ask_write_body(&mender->ask, &mend->body);
    mender->mends.bytes += mend->body.size;
    return buf_check(&mend->body, err);
}

/* ---- rows ---- */

enum column {
    COLUMN_SOURCE,
    COLUMN_TOPIC, /* NULL: no gap, only a request */
    COLUMN_RUN,
    COLUMN_FIRST,
    COLUMN_LAST,
    COLUMN_OPENED,
    COLUMN_CAUGHT_UP,
    COLUMN_OLDEST_KEPT,
    COLUMN_ANNOUNCED,
    COLUMN_IS_QUARANTINED,
    COLUMN_ASKED_AT, /* NULL: no request */
    COLUMN_ATTEMPTS,
    COLUMN_BODY /* in the first row of a source only */
};

#define MS(instant) "(extract(epoch FROM " instant ") * 1000)::bigint"

/* The cursor's order makes a source's rows adjacent, and its first row the one with the body. */
static const char declare[] =
    "DECLARE gaps NO SCROLL CURSOR FOR "
    "SELECT coalesce(g.source, q.source) AS source, g.topic, g.run, g.first_seq, "
    "g.last_seq, "
    "g.opened, g.caught_up, g.oldest_kept, g.announced, g.is_quarantined, " MS(
        "q.asked_at") ", "
                      "q.attempts, CASE WHEN row_number() OVER (PARTITION BY "
                      "coalesce(g.source, q.source) "
                      "ORDER BY g.topic, g.run, g.first_seq) = 1 THEN q.body END "
                      "FROM (SELECT g.topic, g.source, g.run, g.first_seq, "
                      "g.last_seq, " MS("g.opened_at") " AS opened, " MS(
                          "p.caught_up_at") " AS caught_up, l.oldest_kept, l.announced, "
                                            "l.is_quarantined FROM source_gap g JOIN "
                                            "source_ledger l USING (topic, source, run) "
                                            "JOIN partition_position p ON p.topic = "
                                            "l.topic AND p.partition = l.partition "
                                            "WHERE g.cause = 'missing') g FULL JOIN "
                                            "resend_request q ON q.source = g.source "
                                            "ORDER BY 1, g.topic, g.run, g.first_seq";

static int64_t number_at(const PGresult *rows, int row, enum column column, int64_t if_null)
{
    return PQgetisnull(rows, row, (int)column)
               ? if_null
               : strtoll(PQgetvalue(rows, row, (int)column), NULL, 10);
}

static void begin_source(struct round *round, const PGresult *rows, int row)
{
    text_copy(round->source, sizeof round->source, PQgetvalue(rows, row, COLUMN_SOURCE));
    round->asked_at_ms = number_at(rows, row, COLUMN_ASKED_AT, 0);
    round->attempts = (int)number_at(rows, row, COLUMN_ATTEMPTS, 0);
    buf_reset(&round->body);
    buf_append_text(&round->body, PQgetvalue(rows, row, COLUMN_BODY));
    ask_reset(&round->mender->ask);
}

static const char *find_topic(const struct mender *mender, const char *name)
{
    for (int i = 0; i < mender->options.topic_count; i++)
        if (strcmp(mender->options.topics[i], name) == 0)
            return mender->options.topics[i];
    return NULL;
}

static enum fx_code take_row(struct round *round, const PGresult *rows, int row, struct fx_err *err)
{
    if (strcmp(round->source, PQgetvalue(rows, row, COLUMN_SOURCE)) != 0) {
        if (settle_source(round, err) != FX_OK)
            return err->code;
        begin_source(round, rows, row);
    }
    const char *topic = find_topic(round->mender, PQgetvalue(rows, row, COLUMN_TOPIC));
    if (topic == NULL)
        return FX_OK;
    const struct ask_gap gap = {
        topic, number_at(rows, row, COLUMN_RUN, 0), number_at(rows, row, COLUMN_FIRST, 0),
        number_at(rows, row, COLUMN_LAST, 0), number_at(rows, row, COLUMN_OPENED, 0)};
    const struct ask_run run = {number_at(rows, row, COLUMN_CAUGHT_UP, -1),
                                number_at(rows, row, COLUMN_OLDEST_KEPT, -1),
                                number_at(rows, row, COLUMN_ANNOUNCED, 0),
                                PQgetvalue(rows, row, COLUMN_IS_QUARANTINED)[0] == 't'};
    ask_add(&round->mender->ask, &round->policy, &gap, &run);
    return FX_OK;
}

/* A full round leaves the other sources to the next one, which follows at once. */
static enum fx_code take_rows(struct round *round, bool *is_end, struct fx_err *err)
{
    PGresult *rows = NULL;
    const struct pg_statement fetch = {"FETCH " ROWS_AT_ONCE " FROM gaps", 0, NULL};
    if (pg_query(round->mender->conn, &fetch, &rows, err) != FX_OK)
        return err->code;
    int count = PQntuples(rows);
    for (int row = 0; err->code == FX_OK && row < count && !is_full(&round->mender->mends); row++)
        (void)!take_row(round, rows, row, err);
    PQclear(rows);
    *is_end = count == 0;
    return err->code;
}

static enum fx_code read_policy(struct round *round, bool *is_rebuild, struct fx_err *err)
{
    PGresult *rows = NULL;
    const struct pg_statement query = {"SELECT is_rebuild, " MS("now()") " FROM definition", 0,
                                       NULL};
    if (pg_query(round->mender->conn, &query, &rows, err) != FX_OK)
        return err->code;
    *is_rebuild = PQntuples(rows) != 1 || PQgetvalue(rows, 0, 0)[0] == 't';
    if (!*is_rebuild)
        round->policy = (struct ask_policy){round->mender->options.after_ms,
                                            strtoll(PQgetvalue(rows, 0, 1), NULL, 10)};
    PQclear(rows);
    return FX_OK;
}

/* One snapshot: a request is judged by the gaps that were open with it. */
static enum fx_code read_gaps(struct round *round, struct fx_err *err)
{
    bool is_rebuild = false;
    bool is_end = false;
    PGconn *conn = round->mender->conn;
    const struct mends *mends = &round->mender->mends;
    if (pg_run(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) != FX_OK ||
        read_policy(round, &is_rebuild, err) != FX_OK)
        return err->code;
    enum fx_code code = is_rebuild ? FX_OK : pg_run(conn, declare, err);
    while (code == FX_OK && !is_rebuild && !is_end && !is_full(mends))
        code = take_rows(round, &is_end, err);
    if (code == FX_OK && is_end)
        code = settle_source(round, err);
    round->mender->is_more = !is_rebuild && !is_end;
    return code == FX_OK ? pg_run(conn, "COMMIT", err) : code;
}

/* ---- writing down what the broker has ---- */

static enum fx_code write_one(struct mender *mender, struct mend *mend, struct fx_err *err)
{
    char asked_at[24];
    char attempts[16];
    bool is_sent = mend->decision.action == ASK_SEND;
    snprintf(asked_at, sizeof asked_at, "%" PRId64, mend->decision.asked_at_ms);
    snprintf(attempts, sizeof attempts, "%d", mend->decision.attempt);
    const char *values[] = {mend->source, asked_at, attempts, buf_text(&mend->body)};
    const struct pg_statement statement = {
        is_sent ? "INSERT INTO resend_request VALUES ($1, timestamptz 'epoch' + $2::bigint * "
                  "interval '1 ms', $3::integer, $4) ON CONFLICT (source) DO UPDATE SET "
                  "asked_at = EXCLUDED.asked_at, attempts = EXCLUDED.attempts, "
                  "body = EXCLUDED.body"
                : "DELETE FROM resend_request WHERE source = $1",
        is_sent ? 4 : 1, values};
    PGresult *result = NULL;
    if (pg_query(mender->conn, &statement, &result, err) != FX_OK)
        return err->code;
    PQclear(result);
    return FX_OK;
}

static enum fx_code write_acked(struct mender *mender, struct fx_err *err)
{
    int sent = 0;
    int withdrawn = 0;
    if (pg_run(mender->conn, "BEGIN", err) != FX_OK)
        return err->code;
    for (int i = 0; i < mender->mends.count; i++) {
        struct mend *mend = &mender->mends.items[i];
        if (!mend->is_acked)
            continue;
        if (write_one(mender, mend, err) != FX_OK)
            return err->code;
        sent += mend->decision.action == ASK_SEND;
        withdrawn += mend->decision.action == ASK_WITHDRAW;
    }
    if (pg_run(mender->conn, "COMMIT", err) != FX_OK)
        return err->code;
    pthread_mutex_lock(&mender->mutex);
    mender->stats.requests += sent;
    pthread_mutex_unlock(&mender->mutex);
    if (sent + withdrawn > 0)
        fx_log(FX_LOG_INFO, "resend_asked", "sources=%d withdrawn=%d", sent, withdrawn);
    return FX_OK;
}

/* What was acknowledged is written down even if some was not. */
static enum fx_code publish(struct mender *mender, struct fx_err *err)
{
    const struct mends_target target = {&mender->options.kafka, mender->topic, &mender->stop};
    struct fx_err failed = FX_ERR_INIT;
    if (mender->mends.count == 0)
        return FX_OK;
    enum fx_code code = mends_publish(&mender->mends, &target, &failed);
    if (write_acked(mender, err) != FX_OK)
        return err->code;
    return code == FX_OK ? FX_OK : fx_err_set(err, code, "%s", failed.text);
}

/* ---- rounds ---- */

static void tell_gaps(struct mender *mender, int64_t gaps)
{
    pthread_mutex_lock(&mender->mutex);
    mender->stats.gaps = gaps;
    pthread_mutex_unlock(&mender->mutex);
}

static enum fx_code mend(struct mender *mender, struct fx_err *err)
{
    struct round round = {.mender = mender, .body = BUF_INIT};
    if (read_gaps(&round, err) == FX_OK) {
        if (!mender->is_more)
            tell_gaps(mender, round.gaps);
        if (round.left_out > 0)
            fx_log(FX_LOG_WARN, "resend_capped",
                   "gaps=%lld effect=asked_for_when_newer_ones_are_settled",
                   (long long)round.left_out);
        (void)!publish(mender, err);
    }
    buf_release(&round.body);
    forget_mends(&mender->mends);
    return err->code;
}

static void disconnect(struct mender *mender)
{
    PQfinish(mender->conn);
    mender->conn = NULL;
    mender->is_more = false;
    tell_gaps(mender, 0);
}

/* A connection stays only with the lock. */
static enum fx_code connect_and_lock(struct mender *mender, struct fx_err *err)
{
    const struct pg_options options = {mender->options.conninfo, "fx-rollup resend",
                                       mender->options.schema_name};
    const char *values[] = {mender->options.schema_name};
    const struct pg_statement query = {
        "SELECT pg_try_advisory_lock(hashtextextended('fangxian resend ' || $1, 0))", 1, values};
    PGresult *result = NULL;
    if (pg_open(&options, &mender->conn, err) != FX_OK ||
        pg_run(mender->conn, LOCK_LIMIT, err) != FX_OK)
        return err->code;
    if (pg_query(mender->conn, &query, &result, err) != FX_OK)
        return err->code;
    bool is_ours = PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (is_ours)
        fx_log(FX_LOG_INFO, "resend_active", "topic=%s after_s=%lld", mender->topic,
               (long long)mender->options.after_ms / 1000);
    else
        disconnect(mender);
    return FX_OK;
}

static void note_trouble(struct mender *mender, const struct fx_err *err)
{
    char quoted[FX_ERR_TEXT_MAX];
    if (!mender->is_trouble_told)
        fx_log(FX_LOG_WARN, "resend_waits", "msg=%s effect=counting_goes_on",
               fx_log_quote(quoted, sizeof quoted, err->text));
    mender->is_trouble_told = true;
}

/* Returns how long to wait for the next round. */
static int64_t run_round(struct mender *mender)
{
    struct fx_err err = FX_ERR_INIT;
    int64_t period_ms = mender->options.after_ms < PERIOD_MS ? mender->options.after_ms : PERIOD_MS;
    if (mender->conn == NULL && connect_and_lock(mender, &err) == FX_OK && mender->conn == NULL)
        return period_ms; /* another process speaks */
    if (err.code == FX_OK && mend(mender, &err) == FX_OK) {
        retry_reset(&mender->retry);
        mender->is_trouble_told = false;
        return mender->is_more ? 0 : period_ms;
    }
    note_trouble(mender, &err);
    disconnect(mender); /* whatever state it is in, the next connection is in a known one */
    return retry_next_ms(&mender->retry, digest_random());
}

static void wait_ms(struct mender *mender, int64_t milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mender->mutex);
    int waited = 0;
    while (waited == 0 && !atomic_load(&mender->stop))
        waited = pthread_cond_timedwait(&mender->wake, &mender->mutex, &until);
    pthread_mutex_unlock(&mender->mutex);
}

static void *run(void *context)
{
    struct mender *mender = context;
    while (!atomic_load(&mender->stop))
        wait_ms(mender, run_round(mender));
    disconnect(mender);
    return NULL;
}

enum fx_code mender_open(const struct mender_options *options, struct mender **mender,
                         struct fx_err *err)
{
    struct mender *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a mender");
    fresh->options = *options;
    retry_init(&fresh->retry, RETRY_MIN_MS, RETRY_MAX_MS);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&fresh->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&fresh->mutex, NULL);
    kafka_topic_name(fresh->topic, options->topic_prefix, "resend");
    if (pthread_create(&fresh->thread, NULL, run, fresh) != 0) {
        free(fresh);
        return fx_err_set(err, FX_EMEMORY, "cannot start the mender's thread");
    }
    *mender = fresh;
    return FX_OK;
}

struct mender_stats mender_stats(struct mender *mender)
{
    if (mender == NULL)
        return (struct mender_stats){0, 0};
    pthread_mutex_lock(&mender->mutex);
    struct mender_stats copy = mender->stats;
    pthread_mutex_unlock(&mender->mutex);
    return copy;
}

void mender_close(struct mender *mender)
{
    if (mender == NULL)
        return;
    pthread_mutex_lock(&mender->mutex);
    atomic_store(&mender->stop, true);
    pthread_cond_signal(&mender->wake);
    pthread_mutex_unlock(&mender->mutex);
    pthread_join(mender->thread, NULL);
    pthread_cond_destroy(&mender->wake);
    pthread_mutex_destroy(&mender->mutex);
    free(mender);
}

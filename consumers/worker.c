/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "../common/day.h"
#include "../common/digest.h"
#include "../common/log.h"
#include "../common/retry.h"

#include <string.h>
#include <unistd.h>

#define IDLE_WAIT_MS 50
#define DRAIN_MAX_MS 15000
#define STATS_EVERY_MS 200
#define AFTER_FIRST_MS 500 /* librdkafka's second since its join is nearly over by then */
#define FIRST_MAX_MS 2000  /* it may be waiting for a service, or for a member that is gone */
#define REJOINS_MAX 3
#define REJOINS_WITHIN_MS 600000

static void publish(struct worker *worker, const struct pipeline *pipeline)
{
    pthread_mutex_lock(&worker->mutex);
    worker->stats = *pipeline_stats(pipeline);
    pthread_mutex_unlock(&worker->mutex);
}

struct pipeline_stats worker_stats(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    struct pipeline_stats copy = worker->stats;
    pthread_mutex_unlock(&worker->mutex);
    return copy;
}

/* At the start services may be away for a while; later the pipeline waits for them itself. */
static bool may_wait(struct worker *worker, const struct pipeline *pipeline, int64_t began_ms,
                     struct fx_err *err)
{
    bool is_early = pipeline_stats(pipeline)->claims == 0;
    if (err->code != FX_ERETRY || !is_early ||
        day_monotonic_ms() - began_ms > worker->options.give_up_ms)
        return false;
    char quoted[FX_ERR_TEXT_MAX];
    fx_log(FX_LOG_WARN, "wait", "worker=%s msg=%s", worker->name,
           fx_log_quote(quoted, sizeof quoted, err->text));
    fx_err_clear(err);
    usleep(200000);
    return true;
}

/* The database's absence at the start ends the program too, or it would wait unseen for ever. */
static bool is_given_up(const struct worker *worker, const struct pipeline *pipeline,
                        int64_t *failed_ms, struct fx_err *err)
{
    const struct pipeline_stats *stats = pipeline_stats(pipeline);
    if (stats->claims > 0 || stats->drops == 0)
        return false;
    if (*failed_ms == 0)
        *failed_ms = day_monotonic_ms();
    if (day_monotonic_ms() - *failed_ms <= worker->options.give_up_ms)
        return false;
    fx_err_set(err, FX_ERETRY, "no partition could be claimed in %lld s: %.400s",
               (long long)worker->options.give_up_ms / 1000, pipeline_trouble(pipeline));
    return true;
}

static bool is_stopping(const struct worker *worker)
{
    return atomic_load(worker->options.stop) || atomic_load(worker->options.has_failed);
}

static void run_pipeline(struct worker *worker, struct pipeline *pipeline, struct fx_err *err)
{
    int64_t began_ms = day_monotonic_ms();
    int64_t published_ms = began_ms;
    int64_t drain_ms = 0;
    int64_t failed_ms = 0;
    while (!pipeline_is_done(pipeline)) {
        if (is_stopping(worker) && drain_ms == 0) {
            pipeline_drain(pipeline);
            drain_ms = day_monotonic_ms();
        }
        if (drain_ms != 0 && day_monotonic_ms() - drain_ms > DRAIN_MAX_MS)
            break; /* what is not committed comes again from Kafka */
        if (pipeline_step(pipeline, day_now_ms(), IDLE_WAIT_MS, err) != FX_OK &&
            !may_wait(worker, pipeline, began_ms, err))
            break;
        if (is_given_up(worker, pipeline, &failed_ms, err))
            break;
        if (day_monotonic_ms() - published_ms >= STATS_EVERY_MS) {
            published_ms = day_monotonic_ms();
            publish(worker, pipeline);
        }
    }
    publish(worker, pipeline);
}

static void let_first_join(const struct worker *worker)
{
    struct worker *first = worker->options.first;
    int64_t until_ms = day_monotonic_ms() + FIRST_MAX_MS;
    bool has_claimed = false;
    while (first != NULL && !is_stopping(worker) && day_monotonic_ms() < until_ms) {
        if (!has_claimed && worker_stats(first).claims > 0) {
            has_claimed = true;
            until_ms = day_monotonic_ms() + AFTER_FIRST_MS;
        }
        usleep(10000);
    }
}

/* From the joining of the group to its end; true: fenced. */
static bool run_member(struct worker *worker, struct fx_err *err)
{
    struct intake *intake = NULL;
    struct store *store = NULL;
    struct pipeline *pipeline = NULL;
    if (store_open(&worker->options.store, &store, err) == FX_OK &&
        intake_open(&worker->options.intake, &intake, err) == FX_OK) {
        struct pipeline_options options = {
            .catalog = worker->options.catalog,
            .topics = worker->options.intake.topics,
            .intake = intake,
            .store = store,
            .seed = digest_random(),
            .bytes_max = worker->options.bytes_max,
            .runs_max = worker->options.runs_max,
            .events_max = worker->options.events_max,
            .until_end = worker->options.until_end,
        };
        let_first_join(worker);
        if (pipeline_open(&options, &pipeline, err) == FX_OK)
            run_pipeline(worker, pipeline, err);
    }
    bool is_fenced = err->code == FX_ESTATE && intake != NULL && intake_is_fenced(intake);
    pipeline_close(pipeline);
    store_close(store);
    intake_close(intake);
    return is_fenced;
}

/* How often a member joined again since a time. */
struct rejoins {
    int64_t since_ms;
    int count;
};

/*
 * A member that is fenced joins once more, a few times: a process that was killed under the same
 * name may have left a request to join that the broker comes to only then, and after a broker's
 * outage the member's own earlier request may be taken for another's. Where the name is really used
 * twice both would take it from each other for ever: so one, after a few rounds, gives up. One that
 * stops anyway has nothing to give up: who took the name counts what is not committed.
 */
static bool may_rejoin(const struct worker *worker, struct rejoins *rejoins, struct fx_err *err)
{
    bool is_last = is_stopping(worker);
    if (day_monotonic_ms() - rejoins->since_ms > REJOINS_WITHIN_MS)
        *rejoins = (struct rejoins){day_monotonic_ms(), 0};
    if (!is_last && rejoins->count++ == REJOINS_MAX)
        return false;
    fx_log(FX_LOG_WARN, "fenced", "worker=%s effect=%s", worker->name,
           is_last ? "stops" : "joins_again");
    fx_err_clear(err);
    return !is_last;
}

static void *run(void *context)
{
    struct worker *worker = context;
    struct fx_err *err = &worker->err;
    struct rejoins rejoins = {day_monotonic_ms(), 0};
    while (run_member(worker, err) && may_rejoin(worker, &rejoins, err))
        ;
    if (err->code != FX_OK) {
        fx_log_err("worker", err);
        atomic_store(worker->options.has_failed, true);
    }
    return NULL;
}

enum fx_code worker_open(struct worker *worker, struct fx_err *err)
{
    fx_err_clear(&worker->err);
    memset(&worker->stats, 0, sizeof worker->stats);
    worker->stats.lag = -1;
    pthread_mutex_init(&worker->mutex, NULL);
    worker->options.intake.instance = worker->instance[0] == '\0' ? NULL : worker->instance;
    worker->options.store.worker = worker->name;
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        return fx_err_set(err, FX_EMEMORY, "cannot start a worker thread");
    return FX_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fangxian-hot - the path of an event through memory alone, in millions of events per second of CPU
 * time of one thread: no Kafka, no PostgreSQL. Messages of a thousand sources lie in memory as they
 * lie in librdkafka's buffers.
 *
 *   decode        plan_read: bytes to checked fields (all of the record's, whatever is counted)
 *   decode_count  and plan_apply: all columns of the kind's rollups
 *   ledger        ledger_find, ledger_judge, ledger_count
 *
 * Ends with a line "NAME MILLIONS_PER_S" for each: the median of ROUNDS.
 */
#include "../../common/day.h"
#include "../../common/log.h"
#include "../../consumers/plan.h"
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGES 200000
#define SOURCES 1000
#define SIZE_MAX_OF_ONE 256
#define ROUNDS 5
#define SEED 7

struct message {
    const uint8_t *bytes;
    size_t size;
    const struct pool_source *source;
    int64_t seq;
};

struct bench {
    struct catalog catalog;
    int kind;
    struct pool *pool;
    struct message *messages;
    struct plan *plan;
    struct cells *cells[ROLLUP_PER_KIND_MAX];
    struct ledger *ledger;
    int64_t round;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum fx_code make_messages(struct bench *bench, struct fx_err *err)
{
    uint8_t *all = malloc((size_t)MESSAGES * SIZE_MAX_OF_ONE);
    size_t used = 0;
    bench->messages = calloc(MESSAGES, sizeof *bench->messages);
    if (all == NULL || bench->messages == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for messages");
    for (int i = 0; i < MESSAGES; i++) {
        struct pool_message made;
        if (pool_event(bench->pool, i, &made, err) != FX_OK)
            return err->code;
        fx_assert(made.size <= SIZE_MAX_OF_ONE);
        memcpy(all + used, made.bytes, made.size);
        bench->messages[i] = (struct message){all + used, made.size, made.source, 1 + i / SOURCES};
        used += made.size;
    }
    return FX_OK;
}

static enum fx_code open_bench(struct bench *bench, const char *schemas, const char *kind,
                               struct fx_err *err)
{
    const struct pool_options options = {.schemas = schemas,
                                         .kind = kind,
                                         .events = MESSAGES,
                                         .sources = SOURCES,
                                         .first = 1,
                                         .from_ms = INT64_C(1644422400000),
                                         .spread_ms = DAY_HOUR_MS * 4};
    if (catalog_load(schemas, &bench->catalog, err) != FX_OK ||
        pool_open(&options, &bench->pool, err) != FX_OK || make_messages(bench, err) != FX_OK)
        return err->code;
    while (strcmp(bench->catalog.kinds[bench->kind].kind.name, kind) != 0)
        bench->kind++;
    if (plan_open(&bench->catalog, bench->kind, SEED, &bench->plan, err) != FX_OK)
        return err->code;
    for (int i = 0; i < plan_rollup_count(bench->plan); i++)
        if (cells_open(plan_rollup(bench->plan, i), SIZE_MAX / 2, SEED, &bench->cells[i], err) !=
            FX_OK)
            return err->code;
    return ledger_open(SOURCES * ROUNDS + 1, SEED, &bench->ledger, err);
}

static enum fx_code read_one(const struct bench *bench, int i, struct event *event,
                             struct fx_err *err)
{
    char detail[96];
    const struct message *message = &bench->messages[i];
    if (plan_read(bench->plan, message->bytes, message->size, event, detail) != REASON_COUNT)
        return fx_err_set(err, FX_ESTATE, "message %d: %s", i, detail);
    return FX_OK;
}

static enum fx_code decode(struct bench *bench, struct fx_err *err)
{
    struct event event;
    for (int i = 0; i < MESSAGES; i++)
        if (read_one(bench, i, &event, err) != FX_OK)
            break;
    return err->code;
}

static enum fx_code decode_count(struct bench *bench, struct fx_err *err)
{
    struct event event;
    for (int i = 0; i < MESSAGES; i++) {
        if (read_one(bench, i, &event, err) != FX_OK)
            break;
        const struct plan_target target = {
            .event = &event,
            .counted_ms = event.fields.numbers[ENVELOPE_OCCURRED_AT],
            .sign = 1,
            .source = (uint32_t)(bench->messages[i].source - pool_sources(bench->pool)),
            .region = bench->messages[i].source->region,
            .regions = pool_regions(bench->pool),
            .cells = bench->cells,
        };
        if (plan_apply(bench->plan, &target, err) != FX_OK)
            break;
    }
    return err->code;
}

static enum fx_code count_numbers(struct bench *bench, struct fx_err *err)
{
    const struct gap gap = {.cause = GAP_MISSING};
    for (int i = 0; i < MESSAGES; i++) {
        const struct message *message = &bench->messages[i];
        struct ledger_key key = {0, message->source->run + bench->round, message->source->name,
                                 message->source->name_size};
        int index;
        if (ledger_find(bench->ledger, &key, 0, &index, err) != FX_OK)
            break;
        if (ledger_judge(ledger_entry(bench->ledger, index), 0, message->seq, false) != LEDGER_NEW)
            return fx_err_set(err, FX_ESTATE, "number %lld is not new", (long long)message->seq);
        if (ledger_count(bench->ledger, index, message->seq, &gap, err) != FX_OK)
            break;
    }
    bench->round++;
    return err->code;
}

static int compare_rates(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static enum fx_code measure(struct bench *bench, const char *name,
                            enum fx_code (*what)(struct bench *, struct fx_err *),
                            struct fx_err *err)
{
    double rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double began = now_s();
        if (what(bench, err) != FX_OK)
            return fx_err_wrap(err, "%s", name);
        rates[i] = MESSAGES / (now_s() - began) / 1e6;
    }
    qsort(rates, ROUNDS, sizeof rates[0], compare_rates);
    printf("%s %.1f\n", name, rates[ROUNDS / 2]);
    return FX_OK;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct fx_err err = FX_ERR_INIT;
    const char *kind = argc > 2 ? argv[2] : "checkpoint";
    if (open_bench(&bench, argc > 1 ? argv[1] : "schemas", kind, &err) == FX_OK &&
        measure(&bench, "decode", decode, &err) == FX_OK &&
        measure(&bench, "decode_count", decode_count, &err) == FX_OK)
        (void)(measure(&bench, "ledger", count_numbers, &err) == FX_OK);
    if (err.code != FX_OK)
        fx_log_err("hot", &err);
    return fx_code_exit_status(err.code);
}

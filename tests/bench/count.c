/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fangxian-count - librdkafka's consumer that does nothing but count: the ceiling of what any
 * consumer on it can do. One or two consumers (threads), each of half the partitions; the callback
 * interface, the fastest of librdkafka's. Its queue is 13 times as long as fx-rollup's (see
 * consumers/intake.c), which takes more memory and spares it the waking of intake_wake.h; the
 * benchmark runs it with fx-rollup's as well (-X) and compares with the faster of both.
 *
 * The allocator is the caller's: LD_PRELOAD=libmimalloc.so.2, or none for glibc's.
 *
 * Ends with one line of JSON on stdout, as every consumer of the benchmark.
 */
#include "../../common/args.h"
#include "../../common/day.h"
#include "../../common/kafka.h"
#include "../../common/log.h"
#include "bench.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CONSUMERS_MAX 8

struct options {
    struct kafka_options kafka;
    struct fx_list topics;
    int64_t consumers;
};

#define AT(member) offsetof(struct options, member)

static const struct fx_opt opts[] = {
    KAFKA_OPTS(struct options, kafka),
    {"topic", 't', FX_OPT_LIST, AT(topics), "TOPIC", NULL, 0, 0, "what to count; several times"},
    {"consumers", 0, FX_OPT_NUMBER, AT(consumers), "N", NULL, 1, CONSUMERS_MAX,
     "threads, each with a share of the partitions"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {"fangxian-count", "[options]",
                                          "Counts messages of topics, for benchmarks.", opts, NULL};

static struct options options = {.consumers = 1};
static int32_t partitions[ARGS_LIST_MAX]; /* of each topic */

struct counter {
    pthread_t thread;
    int index;
    int64_t count; /* messages met */
    int64_t bytes;
    int64_t wanted;
    int64_t first_ms;
    rd_kafka_queue_t *queue;
    rd_kafka_t *rk;
    struct fx_err err;
};

static void on_message(rd_kafka_message_t *message, void *opaque)
{
    struct counter *counter = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (counter->count++ == 0)
        counter->first_ms = day_now_ms();
    counter->bytes += (int64_t)message->len;
    if (counter->count == counter->wanted)
        rd_kafka_yield(counter->rk);
}

static enum fx_code open_counter(struct counter *counter, struct fx_err *err)
{
    static const char *const defaults[][2] = {{"queued.min.messages", "200000"},
                                              {"queued.max.messages.kbytes", "16384"},
                                              {"fetch.wait.max.ms", "100"},
                                              {"fetch.error.backoff.ms", "2"},
                                              {"check.crcs", "true"},
                                              {"enable.auto.commit", "false"},
                                              {"group.id", "fangxian-count"},
                                              {NULL, NULL}};
    rd_kafka_conf_t *conf;
    if (kafka_conf_new(&options.kafka, "fangxian-count", defaults, &conf, err) != FX_OK)
        return err->code;
    (void)rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "2", NULL, 0);
    if (kafka_open(RD_KAFKA_CONSUMER, conf, &counter->rk, err) != FX_OK)
        return err->code;
    rd_kafka_poll_set_consumer(counter->rk);
    counter->queue = rd_kafka_queue_new(counter->rk);
    return FX_OK;
}

/* Adds the counter's share of a topic: every so-many-th partition. */
static void list_share(struct counter *counter, int topic, rd_kafka_topic_partition_list_t *list,
                       struct fx_err *err)
{
    const char *name = options.topics.items[topic];
    for (int32_t i = counter->index; i < partitions[topic]; i += (int32_t)options.consumers) {
        int64_t low = 0;
        int64_t high = 0;
        if (rd_kafka_query_watermark_offsets(counter->rk, name, i, &low, &high, 10000) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            fx_err_set(err, FX_ERETRY, "no offsets of %s/%d", name, (int)i);
        counter->wanted += high - low;
        rd_kafka_topic_partition_list_add(list, name, i)->offset = low;
        rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(counter->rk, name, i);
        rd_kafka_queue_forward(queue, counter->queue);
        rd_kafka_queue_destroy(queue);
    }
}

static enum fx_code assign(struct counter *counter, struct fx_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int t = 0; t < options.topics.count; t++)
        list_share(counter, t, list, err);
    rd_kafka_assign(counter->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err->code;
}

static void *count(void *context)
{
    struct counter *counter = context;
    if (open_counter(counter, &counter->err) != FX_OK || assign(counter, &counter->err) != FX_OK)
        return NULL;
    while (counter->count < counter->wanted)
        rd_kafka_consume_callback_queue(counter->queue, 100, on_message, counter);
    return NULL;
}

static enum fx_code ask_partitions(struct fx_err *err)
{
    static const char *const none[][2] = {{NULL, NULL}};
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk = NULL;
    if (kafka_conf_new(&options.kafka, "fangxian-count", none, &conf, err) != FX_OK ||
        kafka_open(RD_KAFKA_PRODUCER, conf, &rk, err) != FX_OK)
        return err->code;
    for (int t = 0; t < options.topics.count && err->code == FX_OK; t++)
        (void)(kafka_partition_count(rk, options.topics.items[t], 10000, &partitions[t], err) ==
               FX_OK);
    rd_kafka_destroy(rk);
    return err->code;
}

static enum fx_code count_all(struct fx_err *err)
{
    static struct counter counters[CONSUMERS_MAX];
    struct bench_result result = {.first_fetch_ms = INT64_MAX};
    if (ask_partitions(err) != FX_OK)
        return err->code;
    for (int i = 0; i < options.consumers; i++) {
        counters[i].index = i;
        if (pthread_create(&counters[i].thread, NULL, count, &counters[i]) != 0)
            return fx_err_set(err, FX_EMEMORY, "no thread");
    }
    for (int i = 0; i < options.consumers; i++) {
        pthread_join(counters[i].thread, NULL);
        if (counters[i].err.code != FX_OK)
            *err = counters[i].err;
        result.events += counters[i].count;
        if (counters[i].first_ms > 0 && counters[i].first_ms < result.first_fetch_ms)
            result.first_fetch_ms = counters[i].first_ms;
    }
    result.last_commit_ms = day_now_ms();
    if (err->code == FX_OK)
        bench_print(&result);
    return err->code;
}

int main(int argc, char **argv)
{
    struct fx_err err = FX_ERR_INIT;
    struct fx_argv words = {argc, argv, 0, false};
    if (args_parse(&program, &words, &options, &err) == FX_OK && !words.is_done) {
        if (options.topics.count == 0)
            fx_err_set(&err, FX_ECONFIG, "--topic, please");
        else
            (void)(count_all(&err) == FX_OK);
    }
    if (err.code != FX_OK)
        fx_log_err("count", &err);
    return fx_code_exit_status(err.code);
}

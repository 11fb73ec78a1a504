/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fangxian-fill - a topic full of events, for benchmarks: millions of a kind, from many sources,
 * spread over a day. See pool.h. Every source lies in the partition of its name.
 *
 * Ends with one line on stdout: events, bytes of the values, partitions.
 */
#include "../../common/day.h"
#include "../../common/kafka.h"
#include "../../common/log.h"
#include "pool.h"

#include <inttypes.h>
#include <string.h>

#define FLUSH_MS 120000

struct options {
    struct kafka_options kafka;
    struct pool_options pool;
    const char *topic;
    int64_t rate;
};

#define AT(member) offsetof(struct options, member)

static const struct fx_opt opts[] = {
    KAFKA_OPTS(struct options, kafka),
    {"schemas", 0, FX_OPT_TEXT, AT(pool.schemas), "DIR", "FX_SCHEMAS", 0, 0, "the kinds"},
    {"topic", 't', FX_OPT_TEXT, AT(topic), "TOPIC", NULL, 0, 0, "where the events go"},
    {"events", 'n', FX_OPT_NUMBER, AT(pool.events), "N", NULL, 1, INT64_C(1) << 40, "how many"},
    {"sources", 0, FX_OPT_NUMBER, AT(pool.sources), "N", NULL, 1, 10000000,
     "of how many sources (1000)"},
    {"first", 0, FX_OPT_NUMBER, AT(pool.first), "SEQ", NULL, 1, INT64_C(1) << 40,
     "each source's first number (1)"},
    {"from", 0, FX_OPT_TIME, AT(pool.from_ms), "TIME", NULL, 0, 0,
     "when the first one happened (2022-02-10)"},
    {"spread-ms", 0, FX_OPT_NUMBER, AT(pool.spread_ms), "MS", NULL, 1, INT64_C(1) << 40,
     "over how long a time they are spread (a day)"},
    {"rate", 0, FX_OPT_NUMBER, AT(rate), "N", NULL, 1, 100000000,
     "events per second at most (as fast as can be)"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {"fangxian-fill", "[options] KIND",
                                          "Fills a topic with events, for benchmarks.", opts, NULL};

struct filling {
    struct options options;
    struct pool *pool;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    int32_t partitions;
    int64_t began_ms;
    int64_t bytes;
    int64_t failed;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct filling *filling = opaque;
    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        filling->failed++;
}

static enum fx_code open_kafka(struct filling *filling, struct fx_err *err)
{
    static const char *const defaults[][2] = {{"linger.ms", "50"},
                                              {"batch.num.messages", "20000"},
                                              {"batch.size", "1000000"},
                                              {"queue.buffering.max.messages", "500000"},
                                              {"queue.buffering.max.kbytes", "262144"},
                                              {"enable.idempotence", "true"},
                                              {NULL, NULL}};
    rd_kafka_conf_t *conf;
    if (kafka_conf_new(&filling->options.kafka, "fangxian-fill", defaults, &conf, err) != FX_OK)
        return err->code;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, filling);
    if (kafka_open(RD_KAFKA_PRODUCER, conf, &filling->rk, err) != FX_OK)
        return err->code;
    filling->topic = rd_kafka_topic_new(filling->rk, filling->options.topic, NULL);
    return kafka_partition_count(filling->rk, filling->options.topic, 10000, &filling->partitions,
                                 err);
}

/* Waits until the event is due; looked at once a millisecond, or at each event of a slow topic. */
static void keep_pace(struct filling *filling, int64_t number)
{
    int64_t rate = filling->options.rate;
    if (rate == 0 || number % (rate / 1000 + 1) != 0)
        return;
    int64_t due_ms = filling->began_ms + number * 1000 / rate;
    for (int64_t left; (left = due_ms - day_monotonic_ms()) > 0;)
        rd_kafka_poll(filling->rk, (int)left);
}

static enum fx_code send_event(struct filling *filling, int64_t number, struct fx_err *err)
{
    struct pool_message event;
    if (pool_event(filling->pool, number, &event, err) != FX_OK)
        return err->code;
    const struct pool_source *source = event.source;
    int32_t partition = wire_partition(source->name, source->name_size, filling->partitions);
    filling->bytes += (int64_t)event.size;
    while (rd_kafka_produce(filling->topic, partition, RD_KAFKA_MSG_F_COPY, event.bytes, event.size,
                            source->name, source->name_size, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fx_err_set(err, FX_ERETRY, "produce: %s",
                              rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(filling->rk, 20);
    }
    if (number % 1000 == 0)
        rd_kafka_poll(filling->rk, 0);
    return FX_OK;
}

static enum fx_code fill(struct filling *filling, const char *kind, struct fx_err *err)
{
    filling->options.pool.kind = kind;
    if (pool_open(&filling->options.pool, &filling->pool, err) != FX_OK ||
        open_kafka(filling, err) != FX_OK)
        return err->code;
    filling->began_ms = day_monotonic_ms();
    for (int64_t i = 0; i < filling->options.pool.events; i++) {
        keep_pace(filling, i);
        if (send_event(filling, i, err) != FX_OK)
            return err->code;
    }
    if (rd_kafka_flush(filling->rk, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || filling->failed > 0)
        return fx_err_set(err, FX_ERETRY, "%" PRId64 " events were not delivered", filling->failed);
    printf("events=%" PRId64 " bytes=%" PRId64 " partitions=%d\n", filling->options.pool.events,
           filling->bytes, (int)filling->partitions);
    return FX_OK;
}

int main(int argc, char **argv)
{
    static struct filling filling = {.options.pool = {.schemas = "schemas",
                                                      .sources = 1000,
                                                      .first = 1,
                                                      .from_ms = INT64_C(1644422400000),
                                                      .spread_ms = DAY_MS}};
    struct fx_err err = FX_ERR_INIT;
    struct fx_argv words = {argc, argv, 0, false};
    if (args_parse(&program, &words, &filling.options, &err) == FX_OK && !words.is_done) {
        if (filling.options.topic == NULL || words.operands + 1 != argc ||
            filling.options.pool.events == 0)
            fx_err_set(&err, FX_ECONFIG, "a KIND, --topic and --events, please");
        else
            (void)(fill(&filling, argv[words.operands], &err) == FX_OK);
    }
    if (err.code != FX_OK)
        fx_log_err("fill", &err);
    return fx_code_exit_status(err.code);
}

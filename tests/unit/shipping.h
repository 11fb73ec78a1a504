/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipping - a shipper with an outbox in a scratch folder and librdkafka's own broker.
 *
 * The broker can be told to fail. It is one for all tests of a program, each with a topic of its
 * own: taking one down can last a second.
 */
#ifndef FX_SHIPPING_H
#define FX_SHIPPING_H

#include "../../common/day.h"
#include "../../common/log.h"
#include "../../producers/outbox_send.h"
#include "../../producers/shipper.h"
#include "scratch.h"

#include <librdkafka/rdkafka_mock.h>
#include <sodium.h>

#define LIMIT_MS 20000

static rd_kafka_t *broker_client;
static rd_kafka_mock_cluster_t *cluster;

struct bench {
    struct scratch scratch;
    char path[512];
    struct outbox *outbox;
    struct kind heartbeat;
    struct shipper *shipper;
    char topic[32];
    struct fx_err err;
};

static inline void open_outbox(struct bench *bench)
{
    const struct outbox_options options = {
        .path = bench->path, .kind = "checkpoint", .keep_ms = DAY_MS};
    if (outbox_open(&options, &bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static inline void open_shipper(struct bench *bench)
{
    const struct shipper_options options = {
        .kafka = {.brokers = rd_kafka_mock_cluster_bootstraps(cluster),
                  .properties = {{"reconnect.backoff.ms=10", "reconnect.backoff.max.ms=50",
                                  "retry.backoff.ms=10"},
                                 3}},
        .topic = bench->topic,
        .heartbeat = kind_current(&bench->heartbeat),
        .outbox = bench->outbox,
        .heartbeat_ms = 300000,
        .partitions_ms = 20};
    if (shipper_open(&options, &bench->shipper, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static inline int start_broker(void **state)
{
    (void)state;
    char text[256];
    fx_log_open("shipping", FX_LOG_ERROR);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text);
    broker_client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cluster = rd_kafka_mock_cluster_new(broker_client, 1);
    return sodium_init() < 0 || cluster == NULL ? -1 : 0;
}

static inline int stop_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(broker_client);
    return 0;
}

static inline int set_up(void **state)
{
    static struct bench bench;
    static int topics;
    bench = (struct bench){0};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    snprintf(bench.topic, sizeof bench.topic, "t%d.checkpoint", topics++);
    if (rd_kafka_mock_topic_create(cluster, bench.topic, 4, 1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        schema_load_heartbeat(FX_SCHEMAS_DIR, &bench.heartbeat, &bench.err) != FX_OK)
        return -1;
    open_outbox(&bench);
    open_shipper(&bench);
    *state = &bench;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    kind_release(&bench->heartbeat);
    scratch_close(&bench->scratch);
    return 0;
}

/* The message is the number itself, so that the reader need not decode. */
static inline void store(struct bench *bench, const char *source, int count)
{
    struct outbox_run *run = NULL;
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(outbox_take_run(bench->outbox, source, "4415", &run, &bench->err), FX_OK);
        int64_t seq = run->last_seq + 1;
        const struct outbox_event event = {(const uint8_t *)&seq, sizeof seq, 1, 1, NULL};
        assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    }
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
}

static inline void pump(struct bench *bench)
{
    if (shipper_pump(bench->shipper, INPUT_OPEN, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
    usleep(1000);
}

static inline void pump_until_done(struct bench *bench)
{
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    while (!shipper_is_done(bench->shipper)) {
        pump(bench);
        if (day_monotonic_ms() > limit_ms)
            fail_msg("not done: acked %lld of %lld", (long long)outbox_acked_id(bench->outbox),
                     (long long)outbox_last_id(bench->outbox));
    }
    assert_int_equal(outbox_flush(bench->outbox, 0, &bench->err), FX_OK);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* arrived - what lies in a topic of shipping.h: which numbers, how often, in which order. */
#ifndef FX_ARRIVED_H
#define FX_ARRIVED_H

#include "shipping.h"

#define NUMBERS_MAX 40000

struct arrived {
    int events;
    int beats;
    int unique;
    int out_of_order; /* an event that came behind a later one */
    int beats_before; /* heartbeats that came before the first event */
    uint8_t seen[NUMBERS_MAX + 1];
};

static inline void note_message(struct arrived *arrived, const rd_kafka_message_t *message,
                                int64_t *highest)
{
    if (message->len != sizeof(int64_t)) {
        arrived->beats++;
        arrived->beats_before += arrived->events == 0;
        return;
    }
    int64_t seq;
    memcpy(&seq, message->payload, sizeof seq);
    assert_in_range(seq, 1, NUMBERS_MAX);
    arrived->events++;
    arrived->unique += arrived->seen[seq] == 0;
    arrived->seen[seq] = 1;
    if (seq == *highest + 1)
        *highest = seq;
    else if (seq > *highest)
        arrived->out_of_order++;
}

/* Asking for the topic first spares half a second in which a consumer would wait to ask. */
static inline rd_kafka_topic_t *find_topic(rd_kafka_t *consumer, const char *name)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    assert_non_null(topic);
    assert_int_equal(rd_kafka_metadata(consumer, 0, topic, &metadata, LIMIT_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_metadata_destroy(metadata);
    return topic;
}

/* Everything that lies in the one partition of source. */
static inline void read_all(struct bench *bench, const char *source, struct arrived *arrived)
{
    char text[256];
    int64_t highest = 0;
    int32_t partition = wire_partition(source, strlen(source), 4);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), text,
                      sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof text);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(consumer);
    rd_kafka_topic_t *topic = find_topic(consumer, bench->topic);
    assert_int_equal(rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING), 0);
    memset(arrived, 0, sizeof *arrived);
    for (bool is_end = false; !is_end;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, LIMIT_MS);
        assert_non_null(message);
        is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            note_message(arrived, message, &highest);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, partition);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka - what every program's librdkafka handle has in common: brokers, -X properties, logs.
 *
 * Order of precedence: our defaults, then -X, then our invariants (kafka_conf_force): what the
 * guarantee rests on cannot be configured away.
 */
#ifndef FX_KAFKA_H
#define FX_KAFKA_H

#include "args.h"
#include "err.h"

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#define KAFKA_TOPIC_MAX 250
#define KAFKA_CLUSTER_MAX 64

struct kafka_options {
    const char *brokers;       /* -b, FX_BROKERS: host:port,host:port */
    struct fx_list properties; /* -X key=value, as in kcat and librdkafka's CONFIGURATION.md */
};

/* The rows of these options in a program's table; type's field member is a kafka_options. */
#define KAFKA_OPTS(type, member)                                                                   \
    {"brokers",    'b', FX_OPT_TEXT, offsetof(type, member.brokers), "HOST:PORT,...",              \
     "FX_BROKERS", 0,   0,           "Kafka's bootstrap servers"},                                 \
    {                                                                                              \
        "property", 'X', FX_OPT_LIST, offsetof(type, member.properties), "NAME=VALUE", NULL, 0, 0, \
            "a property of librdkafka, as in kcat; several times;\nwhat the guarantee rests on "   \
            "stays"                                                                                \
    }

/*
 * A new configuration with brokers, client.id and the log callback set, defaults applied, then
 * -X. The caller owns it until rd_kafka_new takes it.
 *
 * FX_ECONFIG  no brokers, or a property librdkafka refuses; err names it.
 */
FX_MUST_CHECK enum fx_code kafka_conf_new(const struct kafka_options *options, const char *client,
                                          const char *const defaults[][2], rd_kafka_conf_t **conf,
                                          struct fx_err *err);

/* Sets invariants, {name, value} pairs ended by {NULL, NULL}, over anything -X said. */
FX_MUST_CHECK enum fx_code kafka_conf_force(rd_kafka_conf_t *conf,
                                            const char *const invariants[][2], struct fx_err *err);

/* Makes the handle; takes conf, also on error. */
FX_MUST_CHECK enum fx_code kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **rk,
                                      struct fx_err *err);

/*
 * The number of partitions of topic.
 *
 * FX_ERETRY   no broker answered within timeout_ms, or the topic has no leader now.
 * FX_ECONFIG  the topic does not exist: run fx-setup.
 */
FX_MUST_CHECK enum fx_code kafka_partition_count(rd_kafka_t *rk, const char *topic, int timeout_ms,
                                                 int32_t *count, struct fx_err *err);

/* The id of the cluster, at most KAFKA_CLUSTER_MAX - 1 bytes. FX_ERETRY: no broker told it in time.
 */
FX_MUST_CHECK enum fx_code kafka_cluster(rd_kafka_t *rk, int timeout_ms,
                                         char out[KAFKA_CLUSTER_MAX], struct fx_err *err);

/* PREFIX.kind-with-dashes into out (KAFKA_TOPIC_MAX bytes). Returns out. */
char *kafka_topic_name(char *out, const char *prefix, const char *kind);

#endif

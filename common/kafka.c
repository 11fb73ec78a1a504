/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka.h"

#include "log.h"

#include <stdio.h>
#include <string.h>

/* librdkafka's own lines; "disconnected" storms of an absent broker come at most once a second. */
static void forward_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    char quoted[360];
    enum fx_log_level ours = level <= 3 ? FX_LOG_WARN : level <= 6 ? FX_LOG_INFO : FX_LOG_DEBUG;
    fx_log(ours, "kafka", "facility=%s msg=%s", facility,
           fx_log_quote(quoted, sizeof quoted, text));
}

static enum fx_code set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                                 struct fx_err *err)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return fx_err_set(err, FX_ECONFIG, "Kafka property %s: %s", name, text);
    return FX_OK;
}

enum fx_code kafka_conf_force(rd_kafka_conf_t *conf, const char *const invariants[][2],
                              struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && invariants[i][0] != NULL; i++)
        code = set_property(conf, invariants[i][0], invariants[i][1], err);
    return code;
}

static enum fx_code set_user_properties(rd_kafka_conf_t *conf, const struct fx_list *properties,
                                        struct fx_err *err)
{
    for (int i = 0; i < properties->count; i++) {
        char name[128];
        const char *value = NULL;
        if (args_split(properties->items[i], name, sizeof name, &value, err) != FX_OK)
            return fx_err_wrap(err, "-X");
        if (set_property(conf, name, value, err) != FX_OK)
            return fx_err_wrap(err, "-X %s", properties->items[i]);
    }
    return FX_OK;
}

enum fx_code kafka_conf_new(const struct kafka_options *options, const char *client,
                            const char *const defaults[][2], rd_kafka_conf_t **conf,
                            struct fx_err *err)
{
    if (options->brokers == NULL || options->brokers[0] == '\0')
        return fx_err_set(err, FX_ECONFIG, "no Kafka brokers: give -b host:port or set FX_BROKERS");
    rd_kafka_conf_t *fresh = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(fresh, forward_log);
    enum fx_code code = set_property(fresh, "bootstrap.servers", options->brokers, err);
    if (code == FX_OK)
        code = set_property(fresh, "client.id", client, err);
    if (code == FX_OK)
        code = kafka_conf_force(fresh, defaults, err);
    if (code == FX_OK)
        code = set_user_properties(fresh, &options->properties, err);
    if (code != FX_OK) {
        rd_kafka_conf_destroy(fresh);
        return code;
    }
    *conf = fresh;
    return FX_OK;
}

enum fx_code kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **rk,
                        struct fx_err *err)
{
    char text[256];
    rd_kafka_t *fresh = rd_kafka_new(type, conf, text, sizeof text);
    if (fresh == NULL) {
        rd_kafka_conf_destroy(conf);
        return fx_err_set(err, FX_ECONFIG, "Kafka client: %s", text);
    }
    *rk = fresh;
    return FX_OK;
}

enum fx_code kafka_partition_count(rd_kafka_t *rk, const char *topic, int timeout_ms,
                                   int32_t *count, struct fx_err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    if (handle == NULL)
        return fx_err_set(err, FX_ECONFIG, "topic %s: %s", topic,
                          rd_kafka_err2str(rd_kafka_last_error()));
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t failed = rd_kafka_metadata(rk, 0, handle, &metadata, timeout_ms);
    enum fx_code code = FX_OK;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        code = fx_err_set(err, FX_ERETRY, "no answer from a Kafka broker about topic %s: %s", topic,
                          rd_kafka_err2str(failed));
    else if (metadata->topic_cnt == 1 &&
             metadata->topics[0].err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        code = fx_err_set(err, FX_ERETRY, "topic %s has no leader", topic);
    else if (metadata->topic_cnt != 1 || metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        code = fx_err_set(err, FX_ECONFIG, "topic %s does not exist: run fx-setup", topic);
    else
        *count = metadata->topics[0].partition_cnt;
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return code;
}

enum fx_code kafka_cluster(rd_kafka_t *rk, int timeout_ms, char out[KAFKA_CLUSTER_MAX],
                           struct fx_err *err)
{
    char *id = rd_kafka_clusterid(rk, timeout_ms);
    if (id == NULL)
        return fx_err_set(err, FX_ERETRY, "no Kafka broker tells its cluster's id");
    snprintf(out, KAFKA_CLUSTER_MAX, "%s", id);
    rd_kafka_mem_free(rk, id);
    return FX_OK;
}

char *kafka_topic_name(char *out, const char *prefix, const char *kind)
{
    snprintf(out, KAFKA_TOPIC_MAX, "%s.%s", prefix, kind);
    for (char *c = out + strlen(prefix); *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
    return out;
}

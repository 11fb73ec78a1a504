/* SPDX-License-Identifier: Apache-2.0 */
#include "../common/day.h"
#include "../common/log.h"
#include "setup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEW_PARTITIONS 12 /* where nobody says */
#define ANSWER_MS 30000
#define METADATA_MS 10000
#define VISIBLE_MS 30000 /* until a new topic has its leaders, at most */
#define LOOK_EVERY_US 50000
#define CONFIGS_MAX 8
#define RESEND "resend" /* PREFIX.resend, see schemas/README.md */

struct config {
    const char *name;
    const char *value;
};

struct session {
    struct setup *setup;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    const rd_kafka_metadata_t *metadata;
    int replication;
    char retention_ms[24];
    int partitions;                     /* of the topic at hand, at least; 0: as many as it has */
    int new_partitions;                 /* if it has to be made */
    struct config configs[CONFIGS_MAX]; /* what it must have */
    int config_count;
    bool is_kept_for_ever; /* if it has to be made */
};

static enum fx_code refuse(const char *what, const char *topic, rd_kafka_resp_err_t failed,
                           const char *text, struct fx_err *err)
{
    bool is_away = failed == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                   failed == RD_KAFKA_RESP_ERR__TRANSPORT ||
                   failed == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
                   failed == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
                   failed == RD_KAFKA_RESP_ERR_NOT_CONTROLLER ||
                   failed == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                   failed == RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE;
    return fx_err_set(err, is_away ? FX_ERETRY : FX_ECONFIG, "%s topic %s: %s", what, topic,
                      text == NULL ? rd_kafka_err2str(failed) : text);
}

static rd_kafka_AdminOptions_t *new_options(struct session *session, rd_kafka_admin_op_t operation)
{
    char text[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(session->rk, operation);
    fx_assert(options != NULL);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, text, sizeof text);
    /* DescribeConfigs and AlterConfigs do not know this one and say so; that is well */
    rd_kafka_AdminOptions_set_operation_timeout(options, ANSWER_MS, text, sizeof text);
    return options;
}

/* The answer to the request just sent; NULL: err says why there is none. */
static rd_kafka_event_t *take_answer(struct session *session, const char *what, const char *topic,
                                     struct fx_err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(session->queue, ANSWER_MS + 5000);
    if (event == NULL) {
        refuse(what, topic, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
        return NULL;
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        refuse(what, topic, rd_kafka_event_error(event), rd_kafka_event_error_string(event), err);
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

static enum fx_code check_topics(const rd_kafka_topic_result_t *const *results, size_t count,
                                 const char *what, struct fx_err *err)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t failed = rd_kafka_topic_result_error(results[i]);
        if (failed != RD_KAFKA_RESP_ERR_NO_ERROR &&
            failed != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return refuse(what, rd_kafka_topic_result_name(results[i]), failed,
                          rd_kafka_topic_result_error_string(results[i]), err);
    }
    return FX_OK;
}

static enum fx_code create_topic(struct session *session, const char *topic, struct fx_err *err)
{
    const struct setup_options *options = &session->setup->options;
    if (options->is_check)
        return FX_OK;
    char text[256];
    rd_kafka_NewTopic_t *fresh = rd_kafka_NewTopic_new(topic, session->new_partitions,
                                                       session->replication, text, sizeof text);
    if (fresh == NULL)
        return fx_err_set(err, FX_ECONFIG, "topic %s: %s", topic, text);
    for (int i = 0; i < session->config_count; i++)
        rd_kafka_NewTopic_set_config(fresh, session->configs[i].name, session->configs[i].value);
    if (session->is_kept_for_ever)
        rd_kafka_NewTopic_set_config(fresh, "retention.ms", "-1");
    rd_kafka_AdminOptions_t *admin = new_options(session, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(session->rk, &fresh, 1, admin, session->queue);
    rd_kafka_event_t *event = take_answer(session, "create", topic, err);
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        (void)!check_topics(results, count, "create", err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(fresh);
    return err->code;
}

/* Partitions are only ever added: a run keeps its partition, see wire.h. */
static enum fx_code add_partitions(struct session *session, const char *topic, struct fx_err *err)
{
    const struct setup_options *options = &session->setup->options;
    if (options->is_check)
        return FX_OK;
    char text[256];
    rd_kafka_NewPartitions_t *fresh =
        rd_kafka_NewPartitions_new(topic, (size_t)session->partitions, text, sizeof text);
    if (fresh == NULL)
        return fx_err_set(err, FX_ECONFIG, "topic %s: %s", topic, text);
    rd_kafka_AdminOptions_t *admin = new_options(session, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_CreatePartitions(session->rk, &fresh, 1, admin, session->queue);
    rd_kafka_event_t *event = take_answer(session, "add partitions to", topic, err);
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
        (void)!check_topics(results, count, "add partitions to", err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewPartitions_destroy(fresh);
    return err->code;
}

static const struct config *find_config(const struct session *session, const char *name)
{
    for (int i = 0; i < session->config_count; i++)
        if (strcmp(session->configs[i].name, name) == 0)
            return &session->configs[i];
    return NULL;
}

static enum fx_code alter_configs(struct session *session, rd_kafka_ConfigResource_t *resource,
                                  struct fx_err *err)
{
    const char *topic = rd_kafka_ConfigResource_name(resource);
    rd_kafka_AdminOptions_t *admin = new_options(session, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
    rd_kafka_AlterConfigs(session->rk, &resource, 1, admin, session->queue);
    rd_kafka_event_t *event = take_answer(session, "alter", topic, err);
    rd_kafka_AdminOptions_destroy(admin);
    if (event == NULL)
        return err->code;
    size_t count = 0;
    const rd_kafka_ConfigResource_t **answers =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_ConfigResource_error(answers[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            refuse("alter", topic, rd_kafka_ConfigResource_error(answers[i]),
                   rd_kafka_ConfigResource_error_string(answers[i]), err);
    rd_kafka_event_destroy(event);
    return err->code;
}

/*
 * Compares what the topic has with what we want. AlterConfigs forgets every setting that it is not
 * told, so wanted gets the topic's own other settings too.
 */
static bool merge_configs(struct session *session, const rd_kafka_ConfigResource_t *found,
                          rd_kafka_ConfigResource_t *wanted)
{
    const char *topic = rd_kafka_ConfigResource_name(found);
    bool is_different = false;
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        const struct config *ours = find_config(session, name);
        if (ours != NULL && (value == NULL || strcmp(ours->value, value) != 0)) {
            setup_change(session->setup, "change topic %s: %s %s -> %s", topic, name,
                         value == NULL ? "(none)" : value, ours->value);
            is_different = true;
        }
        if (ours == NULL && value != NULL &&
            rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
            rd_kafka_ConfigResource_set_config(wanted, name, value);
    }
    for (int i = 0; i < session->config_count; i++)
        rd_kafka_ConfigResource_set_config(wanted, session->configs[i].name,
                                           session->configs[i].value);
    return is_different;
}

static enum fx_code check_configs(struct session *session, const char *topic, struct fx_err *err)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *admin = new_options(session, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(session->rk, &asked, 1, admin, session->queue);
    rd_kafka_event_t *event = take_answer(session, "describe", topic, err);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **found =
        event == NULL ? NULL
                      : rd_kafka_DescribeConfigs_result_resources(
                            rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count == 1 && rd_kafka_ConfigResource_error(found[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        refuse("describe", topic, rd_kafka_ConfigResource_error(found[0]),
               rd_kafka_ConfigResource_error_string(found[0]), err);
    else if (count == 1 && merge_configs(session, found[0], wanted) &&
             !session->setup->options.is_check)
        (void)!alter_configs(session, wanted, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_ConfigResource_destroy(asked);
    return err->code;
}

static const rd_kafka_metadata_topic_t *find_topic(const struct session *session, const char *topic)
{
    for (int i = 0; i < session->metadata->topic_cnt; i++)
        if (strcmp(session->metadata->topics[i].topic, topic) == 0)
            return &session->metadata->topics[i];
    return NULL;
}

static bool has_leaders(rd_kafka_t *rk, rd_kafka_topic_t *handle, int partitions)
{
    const rd_kafka_metadata_t *metadata = NULL;
    if (rd_kafka_metadata(rk, 0, handle, &metadata, METADATA_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    const rd_kafka_metadata_topic_t *found = &metadata->topics[0];
    bool is_led = metadata->topic_cnt == 1 && found->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                  found->partition_cnt >= partitions;
    for (int i = 0; is_led && i < found->partition_cnt; i++)
        is_led = found->partitions[i].leader >= 0;
    rd_kafka_metadata_destroy(metadata);
    return is_led;
}

/* The controller made it, but brokers hear of it later: who starts at once would not find it. */
static enum fx_code await_topic(struct session *session, const char *topic, int partitions,
                                struct fx_err *err)
{
    int64_t began_ms = day_monotonic_ms();
    rd_kafka_topic_t *handle =
        session->setup->options.is_check ? NULL : rd_kafka_topic_new(session->rk, topic, NULL);
    if (handle == NULL)
        return FX_OK;
    while (err->code == FX_OK && !has_leaders(session->rk, handle, partitions)) {
        if (day_monotonic_ms() - began_ms > VISIBLE_MS)
            fx_err_set(err, FX_ERETRY, "topic %s was made, but has no leaders after %d s", topic,
                       VISIBLE_MS / 1000);
        usleep(LOOK_EVERY_US);
    }
    rd_kafka_topic_destroy(handle);
    return err->code;
}

static enum fx_code make_topic(struct session *session, const char *topic, struct fx_err *err)
{
    struct setup *setup = session->setup;
    int asked = session->partitions;
    int wanted = session->new_partitions;
    const rd_kafka_metadata_topic_t *found = find_topic(session, topic);
    if (found == NULL) {
        if (create_topic(session, topic, err) == FX_OK &&
            await_topic(session, topic, wanted, err) == FX_OK)
            setup_change(setup, "create topic %s: %d partitions, replication %d", topic, wanted,
                         session->replication);
        return err->code;
    }
    if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        found->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return refuse("look at", topic, found->err, NULL, err);
    if (found->partition_cnt < asked && add_partitions(session, topic, err) == FX_OK &&
        await_topic(session, topic, wanted, err) == FX_OK)
        setup_change(setup, "change topic %s: partitions %d -> %d", topic, found->partition_cnt,
                     wanted);
    if (found->partition_cnt > wanted)
        fx_log(FX_LOG_INFO, "more_partitions", "topic=%s partitions=%d asked=%d", topic,
               found->partition_cnt, wanted);
    if (found->partition_cnt > 0 && found->partitions[0].replica_cnt < session->replication)
        fx_log(FX_LOG_WARN, "replication",
               "topic=%s replication=%d asked=%d msg=\"changed only by "
               "kafka-reassign-partitions\"",
               topic, found->partitions[0].replica_cnt, session->replication);
    return err->code == FX_OK ? check_configs(session, topic, err) : err->code;
}

static void add_config(struct session *session, const char *name, const char *value)
{
    fx_assert(session->config_count < CONFIGS_MAX);
    session->configs[session->config_count++] = (struct config){name, value};
}

static void choose_replication(struct session *session)
{
    const struct setup_options *options = &session->setup->options;
    int brokers = session->metadata->broker_cnt;
    session->replication = options->replication > 0 ? (int)options->replication
                           : brokers < 3            ? 1
                                                    : 3;
    if (options->replication == 0 && brokers == 2)
        session->replication = 2;
}

/* What every topic of ours has. A message is small; the limit is for a batch of them. */
static void choose_configs(struct session *session, const char *policy)
{
    session->config_count = 0;
    add_config(session, "message.timestamp.type", "LogAppendTime");
    add_config(session, "cleanup.policy", policy);
    add_config(session, "retention.bytes", "-1");
    add_config(session, "max.message.bytes", "1048588");
    add_config(session, "unclean.leader.election.enable", "false");
    if (session->replication >= 3)
        add_config(session, "min.insync.replicas", "2");
}

static enum fx_code make_event_topics(struct session *session, struct fx_err *err)
{
    const struct setup_options *options = &session->setup->options;
    const struct catalog *catalog = &session->setup->catalog;
    session->partitions = (int)options->partitions;
    session->new_partitions = options->partitions == 0 ? NEW_PARTITIONS : (int)options->partitions;
    session->is_kept_for_ever = options->retention_ms == SETUP_RETENTION_KEPT;
    choose_configs(session, "delete");
    snprintf(session->retention_ms, sizeof session->retention_ms, "%" PRId64,
             options->retention_ms);
    if (!session->is_kept_for_ever)
        add_config(session, "retention.ms", session->retention_ms);
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < catalog->kind_count; i++) {
        char topic[KAFKA_TOPIC_MAX];
        kafka_topic_name(topic, options->topic_prefix, catalog->kinds[i].kind.name);
        code = make_topic(session, topic, err);
    }
    return code;
}

/*
 * What sources are asked for: one message per source, gone once it is answered.
 *
 * One partition: every post reads all of it, as it does not know beforehand which sources it will
 * have, and a connection and a fetch per broker is what costs on a poor network. The topic is
 * small; segments of a day let compaction at what is settled.
 */
static enum fx_code make_resend_topic(struct session *session, struct fx_err *err)
{
    const struct catalog *catalog = &session->setup->catalog;
    char topic[KAFKA_TOPIC_MAX];
    for (int i = 0; i < catalog->kind_count; i++)
        if (strcmp(catalog->kinds[i].kind.name, RESEND) == 0)
            return fx_err_set(err, FX_ECONFIG,
                              "a kind cannot be named " RESEND
                              ": the topic of that name is for requests");
    session->partitions = 0;
    session->new_partitions = 1;
    session->is_kept_for_ever = false;
    choose_configs(session, "compact");
    add_config(session, "segment.ms", "86400000");
    add_config(session, "min.cleanable.dirty.ratio", "0.1");
    kafka_topic_name(topic, session->setup->options.topic_prefix, RESEND);
    return make_topic(session, topic, err);
}

static enum fx_code open_session(struct session *session, struct fx_err *err)
{
    static const char *const none[][2] = {{NULL, NULL}};
    static const char *const invariants[][2] = {{"allow.auto.create.topics", "false"},
                                                {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;
    const struct kafka_options *options = &session->setup->options.kafka;
    if (kafka_conf_new(options, "fx-setup", none, &conf, err) != FX_OK)
        return err->code;
    if (kafka_conf_force(conf, invariants, err) != FX_OK) {
        rd_kafka_conf_destroy(conf);
        return err->code;
    }
    if (kafka_open(RD_KAFKA_PRODUCER, conf, &session->rk, err) != FX_OK)
        return err->code;
    session->queue = rd_kafka_queue_new(session->rk);
    rd_kafka_resp_err_t failed =
        rd_kafka_metadata(session->rk, 1, NULL, &session->metadata, METADATA_MS);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fx_err_set(err, FX_ERETRY, "no answer from a Kafka broker at %s: %s",
                          options->brokers, rd_kafka_err2str(failed));
    return FX_OK;
}

static void close_session(struct session *session)
{
    if (session->metadata != NULL)
        rd_kafka_metadata_destroy(session->metadata);
    if (session->queue != NULL)
        rd_kafka_queue_destroy(session->queue);
    if (session->rk != NULL)
        rd_kafka_destroy(session->rk);
}

enum fx_code setup_cluster(struct setup *setup, struct fx_err *err)
{
    struct session session = {.setup = setup};
    enum fx_code code = open_session(&session, err);
    if (code == FX_OK)
        code = kafka_cluster(session.rk, METADATA_MS, setup->cluster, err);
    close_session(&session);
    return code;
}

enum fx_code setup_topics(struct setup *setup, struct fx_err *err)
{
    struct session session = {.setup = setup};
    enum fx_code code = open_session(&session, err);
    if (code == FX_OK) {
        choose_replication(&session);
        code = make_event_topics(&session, err);
    }
    if (code == FX_OK)
        code = make_resend_topic(&session, err);
    close_session(&session);
    return code;
}

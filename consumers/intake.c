/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_kafka.h"

#include "../common/log.h"
#include "intake_queue.h"

#include <stdlib.h>
#include <string.h>

#define ASK_TIMEOUT_MS 5000
#define TOPICS_MAX 64
#define TAKE_MAX 1024 /* messages between two looks at the group and at a flush in flight */

struct intake {
    rd_kafka_t *rk;
    rd_kafka_t *asker;          /* questions on rk's connection would wait behind its long polls */
    struct intake_queue *queue; /* all assigned partitions are forwarded here */
    const char *const *topics;
    int topic_count;
    const rd_kafka_topic_t *handles[TOPICS_MAX]; /* last seen handle of each topic */

    enum intake_change change;
    struct intake_partition *list; /* of the waiting INTAKE_ASSIGN, or assigned now */
    int list_count;
    bool is_assigned;
    bool is_closing;

    intake_take_cb *take; /* of the running intake_poll */
    void *take_context;
    struct fx_err failure;
    char cluster[KAFKA_CLUSTER_MAX]; /* "": not known yet */
};

static int topic_index(const struct intake *intake, const char *name)
{
    for (int i = 0; i < intake->topic_count; i++)
        if (strcmp(intake->topics[i], name) == 0)
            return i;
    return -1;
}

/* Keeps the partitions of a new assignment; the answer comes from intake_assign. */
static void keep_list(struct intake *intake, const rd_kafka_topic_partition_list_t *partitions)
{
    struct intake_partition *list = calloc((size_t)partitions->cnt + 1, sizeof *list);
    if (list == NULL) {
        fx_err_set(&intake->failure, FX_EMEMORY, "no memory for an assignment");
        return;
    }
    free(intake->list);
    intake->list = list;
    intake->list_count = 0;
    for (int i = 0; i < partitions->cnt; i++) {
        int topic = topic_index(intake, partitions->elems[i].topic);
        if (topic >= 0)
            list[intake->list_count++] =
                (struct intake_partition){topic, partitions->elems[i].partition, -1};
    }
    intake->change = INTAKE_ASSIGN;
}

/*
 * Every assignment goes through here. Until the partitions of the one before have stopped, the next
 * call would stop them once more, and the second answer aborts the process: a failed assertion in
 * every librdkafka that lacks confluentinc/librdkafka#5574. A question goes through the same queue
 * as the stops (the first one waits for these, the second for their answers).
 */
static rd_kafka_resp_err_t assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t failed = rd_kafka_assign(rk, list);
    for (int i = 0; i < 2; i++) {
        rd_kafka_topic_partition_list_t *assigned;
        if (rd_kafka_assignment(rk, &assigned) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_destroy(assigned);
    }
    return failed;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct intake *intake = opaque;
    if (intake->is_closing) /* nothing is assigned any more, and no question is answered after it */
        rd_kafka_assign(rk, NULL);
    else if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        keep_list(intake, partitions);
    else if (what == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        intake->change = rd_kafka_assignment_lost(rk) ? INTAKE_LOST : INTAKE_REVOKE;
    else
        intake->change = INTAKE_LOST;
}

/*
 * Defaults that -X may change. Memory is bounded by bytes (intake_queue.h); a fetch is of several
 * partitions, so that the first of them is taken while the others are read, and of few bytes, which
 * are four times as many once zstd is unpacked.
 */
static const char *const defaults[][2] = {
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "500"}, /* how soon a member hears of a rebalance */
    {"queued.min.messages", "200000"},
    {"queued.max.messages.kbytes", "1280"},
    {"fetch.message.max.bytes", "131072"},
    {"fetch.max.bytes", "524288"},
    {"message.max.bytes", "524288"}, /* of what it would send; no fetch may be smaller */
    /* what a batch of zstd may unpack to; a producer's is a megabyte at most, unless told so */
    {"receive.message.max.bytes", "8388608"},
    {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "2"},
    {"check.crcs", "true"},
    {"topic.metadata.refresh.interval.ms", "20000"}, /* partitions that are added */
    {"socket.nagle.disable", "true"},
    {"statistics.interval.ms", "0"},
    {NULL, NULL},
};

/* What the guarantee rests on. */
static const char *const invariants[][2] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"partition.assignment.strategy", "roundrobin"}, /* eager: assign, never incremental */
    {"allow.auto.create.topics", "false"},
    {"isolation.level", "read_committed"},
    {NULL, NULL},
};

/* What the asker once heard of a topic it keeps for 15 minutes by default, and answers from it that
 * a partition added since does not exist (rd_kafka_topic_partition_list_get_leaders, a "permanent
 * error"): no claim of that partition would succeed until then. */
static const char *const asker_invariants[][2] = {{"metadata.max.age.ms", "1000"}, {NULL, NULL}};

static enum fx_code configure(const struct intake_options *options, struct intake *intake,
                              rd_kafka_conf_t **conf, struct fx_err *err)
{
    const char *const own[][2] = {
        {"group.id", options->group},
        {options->instance == NULL ? NULL : "group.instance.id", options->instance},
        {NULL, NULL}};
    if (kafka_conf_new(&options->kafka, "fx-rollup", defaults, conf, err) != FX_OK)
        return err->code;
    if (kafka_conf_force(*conf, invariants, err) != FX_OK ||
        kafka_conf_force(*conf, own, err) != FX_OK) {
        rd_kafka_conf_destroy(*conf);
        return err->code;
    }
    /* known from librdkafka 2.3 on, where the wait for a full queue is a second */
    (void)rd_kafka_conf_set(*conf, "fetch.queue.backoff.ms", "2", NULL, 0);
    rd_kafka_conf_set_rebalance_cb(*conf, on_rebalance);
    rd_kafka_conf_set_opaque(*conf, intake);
    return FX_OK;
}

static enum fx_code open_asker(const struct intake_options *options, rd_kafka_t **asker,
                               struct fx_err *err)
{
    static const char *const none[][2] = {{NULL, NULL}};
    rd_kafka_conf_t *conf;
    if (kafka_conf_new(&options->kafka, "fx-rollup-ask", none, &conf, err) != FX_OK)
        return err->code;
    if (kafka_conf_force(conf, asker_invariants, err) != FX_OK) {
        rd_kafka_conf_destroy(conf);
        return err->code;
    }
    return kafka_open(RD_KAFKA_PRODUCER, conf, asker, err);
}

enum fx_code intake_open(const struct intake_options *options, struct intake **intake,
                         struct fx_err *err)
{
    fx_assert(options->topic_count <= TOPICS_MAX);
    struct intake *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for an intake");
    fresh->topics = options->topics;
    fresh->topic_count = options->topic_count;
    rd_kafka_conf_t *conf = NULL;
    if (configure(options, fresh, &conf, err) != FX_OK ||
        kafka_open(RD_KAFKA_CONSUMER, conf, &fresh->rk, err) != FX_OK ||
        open_asker(options, &fresh->asker, err) != FX_OK) {
        if (fresh->rk != NULL)
            rd_kafka_destroy(fresh->rk);
        free(fresh);
        return err->code;
    }
    rd_kafka_poll_set_consumer(fresh->rk);
    if (intake_queue_open(fresh->rk, &fresh->queue, err) != FX_OK) {
        intake_close(fresh);
        return err->code;
    }
    *intake = fresh;
    return FX_OK;
}

void intake_close(struct intake *intake)
{
    if (intake == NULL)
        return;
    intake->is_closing = true;
    intake_queue_stop(intake->queue);
    assign(intake->rk, NULL);
    rd_kafka_consumer_close(intake->rk);
    intake_queue_close(intake->queue);
    rd_kafka_destroy(intake->rk);
    rd_kafka_destroy(intake->asker);
    free(intake->list);
    free(intake);
}

enum fx_code intake_subscribe(struct intake *intake, struct fx_err *err)
{
    for (int i = 0; i < intake->topic_count; i++) {
        int32_t count;
        if (intake_partition_count(intake, i, &count, err) != FX_OK)
            return err->code;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(intake->topic_count);
    for (int i = 0; i < intake->topic_count; i++)
        rd_kafka_topic_partition_list_add(list, intake->topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t failed = rd_kafka_subscribe(intake->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fx_err_set(err, FX_ECONFIG, "subscribe: %s", rd_kafka_err2str(failed));
    return FX_OK;
}

/* Errors that come in place of a message. Most pass by themselves; these do not. */
static void note_failure(struct intake *intake, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt == NULL ? "?" : rd_kafka_topic_name(message->rkt);
    const char *text = rd_kafka_message_errstr(message);
    char quoted[360];
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        fx_err_set(&intake->failure, FX_ECLAIM,
                   "topic %s partition %d: the broker does not have offset %lld: %.200s", topic,
                   (int)message->partition, (long long)message->offset, text);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        fx_err_set(&intake->failure, FX_ESTATE, "topic %s is gone from Kafka: %.200s", topic, text);
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        fx_err_set(&intake->failure, FX_ECONFIG, "topic %s: %.200s", topic, text);
        break;
    default:
        fx_log(FX_LOG_WARN, "intake", "topic=%s msg=%s", topic,
               fx_log_quote(quoted, sizeof quoted, text));
    }
}

/* Handles are compared by address first: names are long and messages many. */
static int handle_index(struct intake *intake, const rd_kafka_topic_t *handle)
{
    for (int i = 0; i < intake->topic_count; i++)
        if (intake->handles[i] == handle)
            return i;
    int index = topic_index(intake, rd_kafka_topic_name(handle));
    if (index >= 0)
        intake->handles[index] = handle;
    return index;
}

/* false: no more for now. */
static bool take_one(struct intake *intake, const rd_kafka_message_t *rkm)
{
    bool is_unread = rkm->err == RD_KAFKA_RESP_ERR__BAD_COMPRESSION && rkm->rkt != NULL;
    bool is_end = rkm->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && rkm->rkt != NULL;
    if (rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_unread && !is_end) {
        note_failure(intake, rkm);
        return true;
    }
    int topic = handle_index(intake, rkm->rkt);
    if (topic < 0)
        return true;
    rd_kafka_timestamp_type_t type;
    struct intake_message message = {
        .topic = topic,
        .partition = rkm->partition,
        .offset = rkm->offset,
        .append_ms = rd_kafka_message_timestamp(rkm, &type),
        .key = rkm->key,
        .key_size = rkm->key_len,
        .value = rkm->payload,
        .value_size = rkm->len,
    };
    message.is_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    if (is_unread || is_end) /* its payload is words about it */
        message = (struct intake_message){.topic = topic,
                                          .partition = rkm->partition,
                                          .offset = rkm->offset,
                                          .is_unread = is_unread,
                                          .is_end = is_end};
    return intake->take(intake->take_context, &message);
}

/* Rebalances, errors and, should a partition not be forwarded, nothing else. */
static void serve_group(struct intake *intake, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(intake->rk, timeout_ms);
    if (message == NULL)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        note_failure(intake, message);
    else
        fx_err_set(&intake->failure, FX_ESTATE, "a message came outside of the data queue");
    rd_kafka_message_destroy(message);
}

static void take_some(struct intake *intake, int timeout_ms)
{
    const rd_kafka_message_t *message = intake_queue_next(intake->queue, timeout_ms);
    for (int i = 0; message == NULL && i < intake->list_count; i++)
        intake_queue_forward(intake->queue, intake->topics[intake->list[i].topic],
                             intake->list[i].partition);
    int taken = 0;
    while (message != NULL && take_one(intake, message))
        message = ++taken < TAKE_MAX ? intake_queue_next(intake->queue, 0) : NULL;
}

enum fx_code intake_poll(struct intake *intake, int timeout_ms, intake_take_cb *take, void *context,
                         struct fx_err *err)
{
    bool is_taking = take != NULL && intake->is_assigned && intake->change == INTAKE_NONE;
    serve_group(intake, is_taking ? 0 : timeout_ms);
    is_taking = is_taking && intake->change == INTAKE_NONE;
    if (is_taking) {
        intake->take = take;
        intake->take_context = context;
        take_some(intake, timeout_ms);
    }
    char text[256];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(intake->rk, text, sizeof text);
    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fx_err_set(err, FX_ESTATE, "Kafka: %s (is --instance used twice?)", text);
    if (intake->failure.code != FX_OK) {
        *err = intake->failure;
        fx_err_clear(&intake->failure);
    }
    return err->code;
}

bool intake_is_fenced(const struct intake *intake)
{
    char text[8];
    return rd_kafka_fatal_error(intake->rk, text, sizeof text) ==
           RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

enum intake_change intake_change(const struct intake *intake, const struct intake_partition **list,
                                 int *count)
{
    *list = intake->list;
    *count = intake->list_count;
    return intake->change;
}

enum fx_code intake_assign(struct intake *intake, const struct intake_partition *list, int count,
                           struct fx_err *err)
{
    size_t size = (size_t)count * sizeof *list;
    struct intake_partition *copy = malloc(size + 1);
    if (copy == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for an assignment");
    if (count > 0)
        memcpy(copy, list, size);
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        fx_assert(list[i].offset >= 0); /* never without an explicit offset */
        intake_queue_forward(intake->queue, intake->topics[list[i].topic], list[i].partition);
        rd_kafka_topic_partition_list_add(offsets, intake->topics[list[i].topic], list[i].partition)
            ->offset = list[i].offset;
    }
    memset(intake->handles, 0, sizeof intake->handles);
    rd_kafka_resp_err_t failed = assign(intake->rk, offsets);
    intake_queue_assign(intake->queue, offsets);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        free(copy);
        return fx_err_set(err, FX_ERETRY, "assign: %s", rd_kafka_err2str(failed));
    }
    free(intake->list); /* of the change, until now: list may be a part of it */
    intake->list = copy;
    intake->list_count = count;
    intake->is_assigned = true;
    intake->change = INTAKE_NONE;
    return FX_OK;
}

void intake_unassign(struct intake *intake)
{
    assign(intake->rk, NULL);
    intake_queue_drop(intake->queue, NULL, 0);
    intake->is_assigned = false;
    intake->change = INTAKE_NONE;
    intake->list_count = 0;
}

enum fx_code intake_seek(struct intake *intake, int topic, int32_t partition, int64_t offset,
                         struct fx_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, intake->topics[topic], partition)->offset = offset;
    /* librdkafka before 2.1.0 takes the timeout for microseconds */
    int timeout_ms = rd_kafka_version() < 0x02010000 ? 1000000 : 1000;
    rd_kafka_error_t *failed = rd_kafka_seek_partitions(intake->rk, list, timeout_ms);
    rd_kafka_resp_err_t own = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (failed != NULL)
        fx_err_set(err, FX_ERETRY, "seek: %s", rd_kafka_error_string(failed));
    else if (own != RD_KAFKA_RESP_ERR_NO_ERROR)
        fx_err_set(err, FX_ERETRY, "seek: %s", rd_kafka_err2str(own));
    else
        intake_queue_drop(intake->queue, intake->topics[topic], partition);
    if (failed != NULL)
        rd_kafka_error_destroy(failed);
    return err->code;
}

/* One ListOffsets request per broker; when is RD_KAFKA_OFFSET_BEGINNING or _END, which the
 * protocol knows as timestamps too. */
static enum fx_code ask_offsets(struct intake *intake, struct intake_range *ranges, int count,
                                int64_t when, struct fx_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, intake->topics[ranges[i].topic],
                                          ranges[i].partition)
            ->offset = when;
    rd_kafka_resp_err_t failed = rd_kafka_offsets_for_times(intake->asker, list, ASK_TIMEOUT_MS);
    for (int i = 0; i < count && failed == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *answer = rd_kafka_topic_partition_list_find(
            list, intake->topics[ranges[i].topic], ranges[i].partition);
        bool is_led = answer == NULL || answer->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        ranges[i].is_known = ranges[i].is_known && is_led;
        if (!is_led)
            continue;
        failed = answer == NULL ? RD_KAFKA_RESP_ERR__PARTIAL : answer->err;
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR && answer->offset < 0)
            failed = RD_KAFKA_RESP_ERR__PARTIAL;
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR && when == RD_KAFKA_OFFSET_END)
            ranges[i].high = answer->offset;
        else if (failed == RD_KAFKA_RESP_ERR_NO_ERROR)
            ranges[i].low = answer->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fx_err_set(err, FX_ERETRY, "asking Kafka for offsets: %s", rd_kafka_err2str(failed));
    return FX_OK;
}

enum fx_code intake_ask_ranges(struct intake *intake, struct intake_range *ranges, int count,
                               struct fx_err *err)
{
    int known = 0;
    for (int i = 0; i < count; i++)
        ranges[i].is_known = true;
    if (count > 0 && ask_offsets(intake, ranges, count, RD_KAFKA_OFFSET_BEGINNING, err) == FX_OK)
        (void)(ask_offsets(intake, ranges, count, RD_KAFKA_OFFSET_END, err) == FX_OK);
    for (int i = 0; i < count; i++)
        known += ranges[i].is_known;
    if (count > 0 && known == 0 && err->code == FX_OK)
        return fx_err_set(err, FX_ERETRY, "asking Kafka for offsets: no partition has a leader");
    return err->code;
}

enum fx_code intake_cluster(struct intake *intake, const char **cluster, struct fx_err *err)
{
    if (intake->cluster[0] == '\0' &&
        kafka_cluster(intake->asker, ASK_TIMEOUT_MS, intake->cluster, err) != FX_OK)
        return err->code;
    *cluster = intake->cluster;
    return FX_OK;
}

enum fx_code intake_partition_count(struct intake *intake, int topic, int32_t *count,
                                    struct fx_err *err)
{
    return kafka_partition_count(intake->asker, intake->topics[topic], ASK_TIMEOUT_MS, count, err);
}

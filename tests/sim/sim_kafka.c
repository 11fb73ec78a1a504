/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_kafka - the part of librdkafka that the shipper uses, and probe.h, over the logs of a world.
 *
 * The linker prefers a program's own symbols to a library's. An idempotent producer with acks=all:
 * per partition, messages come into the log in the order they were handed over, each at most once;
 * its report comes later, through rd_kafka_poll. Faults: a message that fails alone, with those
 * behind it delivered; the end of the producer; a full queue; a broker that is away; requests of a
 * producer that is gone and arrive late; and, where loss_permille says so, a broker that loses what
 * it acknowledged.
 */
#include "sim_post.h"

#include "../../producers/probe.h"

#define QUEUE_MAX 64
#define LATE_MAX 64

enum message_state { MESSAGE_QUEUED, MESSAGE_DELIVERED, MESSAGE_FAILED };

struct message {
    int topic;
    int32_t partition;
    enum message_state state;
    void *slot;
    int entry; /* -1: a heartbeat */
    size_t size;
    uint8_t bytes[SAYING_SIZE_MAX];
};

struct rd_kafka_conf_s {
    void (*on_report)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);
    void (*on_error)(rd_kafka_t *rk, int code, const char *reason, void *opaque);
    void *opaque;
    int invariants; /* set as the guarantee wants */
};

struct rd_kafka_topic_s {
    rd_kafka_t *rk;
    int topic;
};

struct rd_kafka_s {
    struct rd_kafka_conf_s conf;
    struct rd_kafka_topic_s topic;
    struct post *post;
    bool is_used;
    bool is_over;   /* a fatal error */
    bool has_error; /* that is not told yet */
    struct message queue[QUEUE_MAX];
    int count;
};

static struct rd_kafka_s producers[POSTS];
static struct message late[LATE_MAX];
static int late_count;
static rd_kafka_resp_err_t last_error;

void kafka_reset(void)
{
    late_count = 0;
    for (int i = 0; i < POSTS; i++)
        producers[i].is_used = false;
}

static bool is_away(void)
{
    return sim.world.now_ms < posts.away_until_ms;
}

/* ---- configuration ---- */

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
    rd_kafka_conf_t *conf = calloc(1, sizeof *conf);
    assert_non_null(conf);
    return conf;
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
    free(conf);
}

rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                                      char *text, size_t size)
{
    static const char *const invariants[][2] = {
        {"enable.idempotence", "true"}, {"acks", "all"}, {"message.timeout.ms", "0"}};
    (void)text;
    (void)size;
    for (int i = 0; i < 3; i++)
        if (strcmp(name, invariants[i][0]) == 0)
            conf->invariants =
                (conf->invariants & ~(1 << i)) | (strcmp(value, invariants[i][1]) == 0) << i;
    return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *conf,
                              void (*on_log)(const rd_kafka_t *rk, int level, const char *facility,
                                             const char *text))
{
    (void)conf;
    (void)on_log;
}

void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *conf,
                                 void (*on_report)(rd_kafka_t *rk,
                                                   const rd_kafka_message_t *message, void *opaque))
{
    conf->on_report = on_report;
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf,
                                void (*on_error)(rd_kafka_t *rk, int code, const char *reason,
                                                 void *opaque))
{
    conf->on_error = on_error;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
    conf->opaque = opaque;
}

/* ---- a producer ---- */

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
    struct rd_kafka_s *rk = &producers[posts.current - posts.items];
    (void)text;
    (void)size;
    assert_int_equal(type, RD_KAFKA_PRODUCER);
    assert_int_equal(conf->invariants, 7);
    assert_false(rk->is_used);
    rk->conf = *conf;
    rk->post = posts.current;
    rk->is_used = true;
    rk->is_over = rk->has_error = false;
    rk->count = 0;
    free(conf);
    sim.events[SIM_producers]++;
    return rk;
}

rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *rk)
{
    return (rd_kafka_queue_t *)rk;
}

void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd, const void *bytes, size_t size)
{
    (void)queue;
    (void)fd;
    (void)bytes;
    (void)size;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
    (void)queue;
}

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *name, rd_kafka_topic_conf_t *conf)
{
    (void)conf;
    rk->topic.rk = rk;
    rk->topic.topic = strcmp(name, "bell") == 0 ? TOPIC_BELL : TOPIC_GATE;
    return &rk->topic;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *topic)
{
    topic->rk = NULL;
}

rd_kafka_resp_err_t rd_kafka_last_error(void)
{
    return last_error;
}

int rd_kafka_produce(rd_kafka_topic_t *topic, int32_t partition, int flags, void *payload,
                     size_t size, const void *key, size_t key_size, void *slot)
{
    struct rd_kafka_s *rk = topic->rk;
    assert_int_equal(flags, RD_KAFKA_MSG_F_COPY);
    last_error = RD_KAFKA_RESP_ERR__FATAL;
    if (rk->post->disk->is_dead || disk_dies(rk->post->disk) || rk->is_over)
        return -1;
    last_error = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    if (rk->count >= posts.queue_max || (!posts.is_calm && dice_chance(&posts.dice, 1))) {
        sim.events[SIM_full_queues]++;
        return -1;
    }
    const uint8_t *bytes = payload;
    assert_true(partition >= 0 && partition < posts.partitions);
    assert_true(size <= SAYING_SIZE_MAX);
    assert_int_equal(bytes[WIRE_HEADER_SIZE], key_size * 2); /* the source, its length in front */
    assert_memory_equal(bytes + WIRE_HEADER_SIZE + 1, key, key_size);
    check_handed_over(rk->post, bytes, size);
    struct message *message = &rk->queue[rk->count++];
    *message = (struct message){.topic = topic->topic,
                                .partition = partition,
                                .slot = slot,
                                .entry = journal_find(bytes, size),
                                .size = size};
    memcpy(message->bytes, bytes, size);
    return 0;
}

static void report(struct rd_kafka_s *rk, int index)
{
    struct message *message = &rk->queue[index];
    rd_kafka_message_t told = {.err = message->state == MESSAGE_DELIVERED
                                          ? RD_KAFKA_RESP_ERR_NO_ERROR
                                          : RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
                               .partition = message->partition,
                               ._private = message->slot};
    if (message->entry >= 0 && message->state == MESSAGE_DELIVERED)
        posts.entries[message->entry].is_acked = true;
    rk->count--;
    memmove(message, message + 1, (size_t)(rk->count - index) * sizeof *message);
    rk->conf.on_report(rk, &told, rk->conf.opaque);
}

/* Reports of a partition come in its order, those of several partitions in any. */
int rd_kafka_poll(rd_kafka_t *rk, int timeout_ms)
{
    assert_int_equal(timeout_ms, 0);
    if (rk->post->disk->is_dead)
        return 0;
    bool tells_away = is_away() && rk->count > 0 && dice_chance(&posts.dice, 20);
    if (rk->has_error || tells_away) {
        int code = rk->has_error ? RD_KAFKA_RESP_ERR__FATAL : RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
        rk->has_error = false;
        rk->conf.on_error(rk, code, "simulated", rk->conf.opaque);
        return tells_away ? 0 : 1;
    }
    int32_t first = dice_below(&posts.dice, WORLD_PARTITIONS);
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        int index = 0;
        while (index < rk->count && rk->queue[index].partition != (first + p) % WORLD_PARTITIONS)
            index++;
        if (index == rk->count || rk->queue[index].state == MESSAGE_QUEUED ||
            (!posts.is_calm && dice_chance(&posts.dice, 15)))
            continue;
        report(rk, index);
        return 1;
    }
    return 0;
}

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *rk, int flags)
{
    (void)rk;
    assert_true((flags & RD_KAFKA_PURGE_F_NON_BLOCKING) != 0);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What was on its way to the broker may arrive yet: the first ones of each partition. */
void rd_kafka_destroy(rd_kafka_t *rk)
{
    bool is_over[WORLD_PARTITIONS] = {false};
    assert_null(rk->topic.rk);
    for (int i = 0; i < rk->count; i++) {
        const struct message *message = &rk->queue[i];
        if (message->state != MESSAGE_QUEUED)
            continue;
        is_over[message->partition] |= dice_chance(&posts.dice, 40);
        if (late_count < LATE_MAX && !is_over[message->partition])
            late[late_count++] = *message;
    }
    rk->is_used = false;
}

/* ---- the broker ---- */

static void append(const struct message *message)
{
    log_append(message->topic, message->partition, message->bytes, message->size);
}

/* A fatal error: what is queued was delivered or not, and fails either way. */
static void end_producer(struct rd_kafka_s *rk)
{
    bool is_delivered = dice_chance(&posts.dice, 50);
    sim.events[SIM_fatal_errors]++;
    rk->is_over = rk->has_error = true;
    for (int i = 0; i < rk->count; i++) {
        if (rk->queue[i].state != MESSAGE_QUEUED)
            continue;
        is_delivered &= dice_chance(&posts.dice, 70);
        if (is_delivered)
            append(&rk->queue[i]);
        rk->queue[i].state = MESSAGE_FAILED;
    }
}

static void fail_message(struct rd_kafka_s *rk, struct message *message)
{
    if (dice_chance(&posts.dice, 25)) {
        end_producer(rk);
        return;
    }
    sim.events[SIM_failed_deliveries]++;
    message->state = MESSAGE_FAILED;
    if (dice_chance(&posts.dice, 40))
        append(message);
}

static void deliver(struct rd_kafka_s *rk, struct message *message)
{
    int chance = dice_below(&posts.dice, 1000);
    if (!posts.is_calm && chance < posts.trouble_permille) {
        fail_message(rk, message);
        return;
    }
    message->state = MESSAGE_DELIVERED;
    if (!posts.is_calm && message->entry >= 0 && chance >= 1000 - posts.loss_permille) {
        posts.entries[message->entry].is_lost = true;
        posts.entries[message->entry].wanted_of = -1;
        sim.events[SIM_lost_records]++;
        return;
    }
    append(message);
}

static void serve_producer(struct rd_kafka_s *rk)
{
    int count = posts.is_calm ? rk->count : dice_below(&posts.dice, 14);
    for (; count > 0; count--) {
        int32_t partition = dice_below(&posts.dice, WORLD_PARTITIONS);
        int index = 0;
        while (index < rk->count && (rk->queue[index].state != MESSAGE_QUEUED ||
                                     rk->queue[index].partition != partition))
            index++;
        if (index < rk->count)
            deliver(rk, &rk->queue[index]);
    }
}

void kafka_serve(void)
{
    if (is_away())
        return;
    while (late_count > 0 && (posts.is_calm || dice_chance(&posts.dice, 30))) {
        append(&late[0]);
        sim.events[SIM_late_records]++;
        late_count--;
        memmove(late, late + 1, (size_t)late_count * sizeof *late);
    }
    for (int i = 0; i < POSTS; i++)
        if (producers[i].is_used && !producers[i].is_over)
            serve_producer(&producers[i]);
}

/* ---- probe.h ---- */

enum fx_code probe_ask(struct probe *probe, rd_kafka_t *rk, const char *topic, struct fx_err *err)
{
    (void)err;
    assert_false(probe->is_started);
    probe->rk = rk;
    probe->topic = topic;
    probe->is_started = true;
    return FX_OK;
}

bool probe_poll(struct probe *probe, int32_t *partitions, struct fx_err *err)
{
    if (!probe->is_started || (!posts.is_calm && dice_chance(&posts.dice, 40)))
        return false;
    probe->is_started = false;
    if (is_away())
        fx_err_set(err, FX_ERETRY, "no answer");
    else
        *partitions = posts.partitions;
    return true;
}

void probe_cancel(struct probe *probe)
{
    probe->is_started = false;
}

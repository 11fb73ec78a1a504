/* SPDX-License-Identifier: Apache-2.0 */
#include "shipper_core.h"

#include "../common/day.h"
#include "../common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 15000
#define DISK_RETRY_MS 1000

/* ---- what librdkafka tells ---- */

void shipper_note_trouble(struct shipper *shipper, enum fx_code code, const char *text)
{
    bool is_new = shipper->trouble.code == FX_OK;
    fx_err_clear(&shipper->trouble);
    fx_err_set(&shipper->trouble, code, "%s", text);
    char quoted[360];
    if (is_new)
        fx_log(FX_LOG_WARN, "kafka_away", "msg=%s", fx_log_quote(quoted, sizeof quoted, text));
}

static void note_success(struct shipper *shipper)
{
    shipper->counts.acked++;
    if (shipper->trouble.code == FX_OK)
        return;
    fx_err_clear(&shipper->trouble);
    retry_reset(&shipper->retry);
    fx_log(FX_LOG_INFO, "kafka_back", "on_their_way=%u", shipper->count);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct shipper *shipper = opaque;
    struct slot *slot = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        slot->is_done = true;
        note_success(shipper);
        return;
    }
    shipper->is_broken = true;
    shipper_note_trouble(shipper, FX_ERETRY, rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct shipper *shipper = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        shipper->is_broken = true;
    shipper_note_trouble(shipper, FX_ERETRY, reason);
}

/* ---- the producer's life ---- */

static void close_producer(struct shipper *shipper)
{
    if (shipper->rk == NULL)
        return;
    probe_cancel(&shipper->probe);
    rd_kafka_purge(shipper->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
    if (shipper->topic != NULL)
        rd_kafka_topic_destroy(shipper->topic);
    rd_kafka_destroy(shipper->rk);
    shipper->topic = NULL;
    shipper->rk = NULL;
}

static enum fx_code open_producer(struct shipper *shipper, struct fx_err *err)
{
    /*
     * weighed: lz4 / zstd, chosen zstd: a million simulated checkpoint events of 600 sources take
     * 23.2 MB in the topic instead of 42.2, for 4.6 s of CPU instead of 4.4.
     * weighed: zstd's levels 3, its default / 1, chosen 1: 27.3 bytes an event instead of 25.9 (700
     * sources), for less CPU, and 1.7 MiB less of memory in bulk.
     */
    static const char *const defaults[][2] = {
        {"linger.ms", "5"},
        {"compression.codec", "zstd"},
        {"compression.level", "1"},
        {"batch.size", "262144"},
        {"queue.buffering.max.kbytes", "16384"},
        {"reconnect.backoff.max.ms", "10000"},
        {"socket.keepalive.enable", "true"},
        {"log.connection.close", "false"},
        {"log_level", "2"}, /* on_error tells, once per change */
        {NULL, NULL}};
    static const char *const invariants[][2] = {{"enable.idempotence", "true"},
                                                {"acks", "all"},
                                                {"message.timeout.ms", "0"},
                                                {"allow.auto.create.topics", "false"},
                                                {"socket.nagle.disable", "true"},
                                                {"queue.buffering.max.messages", "16384"},
                                                {NULL, NULL}};
    _Static_assert(SHIPPER_WINDOW < 16384, "the window is the bound, not librdkafka's queue");
    rd_kafka_conf_t *conf = NULL;
    if (kafka_conf_new(&shipper->options.kafka, "fangxian", defaults, &conf, err) != FX_OK)
        return err->code;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, shipper);
    if (kafka_conf_force(conf, invariants, err) != FX_OK) {
        rd_kafka_conf_destroy(conf);
        return err->code;
    }
    if (kafka_open(RD_KAFKA_PRODUCER, conf, &shipper->rk, err) != FX_OK)
        return err->code;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(shipper->rk);
    rd_kafka_queue_io_event_enable(queue, shipper->wake[1], "k", 1);
    rd_kafka_queue_destroy(queue);
    shipper->topic = rd_kafka_topic_new(shipper->rk, shipper->options.topic, NULL);
    shipper->counts.opened++;
    if (shipper->topic == NULL) {
        fx_err_set(err, FX_ECONFIG, "topic %s: %s", shipper->options.topic,
                   rd_kafka_err2str(rd_kafka_last_error()));
        close_producer(shipper);
    }
    return err->code;
}

/* What was on its way goes again, from the first row not acknowledged. */
static void forget_window(struct shipper *shipper)
{
    for (unsigned i = 0; i < shipper->count; i++) {
        const struct slot *slot = &shipper->slots[(shipper->head + i) % SHIPPER_WINDOW];
        if (slot->kind == SLOT_BEAT && slot->state == HEARTBEAT_OPEN)
            slot->run->is_opened = false;
    }
    shipper->count = 0;
    shipper->declared_waiting = 0;
    shipper->cursor = outbox_acked_id(shipper->options.outbox);
    shipper->old = (struct sweep){0, false};
    shipper->opened = (struct sweep){0, false};
    shipper->ended = (struct sweep){0, false};
    shipper->resend.id = 0;
    shipper->resend_sent = 0;
    shipper->resend_acked = 0;
    shipper->resend_waiting = 0;
    shipper_note_resend(shipper);
}

static void wait_before_retry(struct shipper *shipper)
{
    uint64_t random;
    randombytes_buf(&random, sizeof random);
    shipper->retry_at_ms = day_monotonic_ms() + retry_next_ms(&shipper->retry, random);
}

static void reopen_later(struct shipper *shipper)
{
    close_producer(shipper);
    forget_window(shipper);
    shipper->is_broken = false;
    shipper->partitions = 0;
    wait_before_retry(shipper);
}

static enum fx_code note_partitions(struct shipper *shipper, int32_t partitions, struct fx_err *err)
{
    if (shipper->partitions != 0 && shipper->partitions != partitions)
        fx_log(FX_LOG_INFO, "partitions_changed", "from=%d to=%d effect=for_new_runs",
               (int)shipper->partitions, (int)partitions);
    shipper->partitions = partitions;
    shipper->partitions_at_ms = day_monotonic_ms() + shipper->options.partitions_ms;
    return outbox_assign_partitions(shipper->options.outbox, partitions, err);
}

/*
 * Makes the producer and learns the number of partitions, one step per call. What cannot be made at
 * present (a certificate that is being replaced, no thread, no file) can be made later:
 * shipper_open has shown that brokers and properties are right.
 */
static enum fx_code get_ready(struct shipper *shipper, struct fx_err *err)
{
    struct fx_err failed = FX_ERR_INIT;
    int32_t partitions = 0;
    if (shipper->rk == NULL) {
        if (open_producer(shipper, &failed) != FX_OK)
            failed.code = FX_ERETRY;
    } else if (!shipper->probe.is_started) {
        (void)!probe_ask(&shipper->probe, shipper->rk, shipper->options.topic, &failed);
    } else if (probe_poll(&shipper->probe, &partitions, &failed) && failed.code == FX_OK) {
        return note_partitions(shipper, partitions, err);
    }
    if (failed.code != FX_OK) {
        shipper_note_trouble(shipper, failed.code, failed.text);
        wait_before_retry(shipper);
    }
    return FX_OK;
}

/* The topic may have got more partitions. A look that fails is no trouble by itself. */
static enum fx_code look_again(struct shipper *shipper, struct fx_err *err)
{
    struct fx_err failed = FX_ERR_INIT;
    int32_t partitions = 0;
    if (!shipper->probe.is_started) {
        if (day_monotonic_ms() < shipper->partitions_at_ms ||
            probe_ask(&shipper->probe, shipper->rk, shipper->options.topic, &failed) == FX_OK)
            return FX_OK;
    } else if (!probe_poll(&shipper->probe, &partitions, &failed)) {
        return FX_OK;
    }
    return note_partitions(shipper, failed.code == FX_OK ? partitions : shipper->partitions, err);
}

/* ---- taking in ---- */

static void settle_beat(struct shipper *shipper, const struct slot *slot)
{
    if (slot->state != HEARTBEAT_ENDED)
        return;
    slot->run->is_ended = true;
    slot->run->ended_ms = day_now_ms();
    outbox_touch(shipper->options.outbox, slot->run);
}

/* FX_EDISK: the slot whose effect could not be written stays, and those behind it. */
static enum fx_code settle(struct shipper *shipper, struct fx_err *err)
{
    struct outbox *outbox = shipper->options.outbox;
    int64_t acked_id = outbox_acked_id(outbox);
    while (shipper->count > 0 && shipper->slots[shipper->head].is_done) {
        const struct slot *slot = &shipper->slots[shipper->head];
        if (slot->kind == SLOT_ROW) {
            acked_id = slot->id;
            slot->run->acked_seq = slot->seq;
        } else if (slot->kind == SLOT_BEAT) {
            settle_beat(shipper, slot);
        } else if (slot->kind == SLOT_RESEND) {
            shipper->resend_acked = slot->id - 1; /* requests go one behind the other */
            shipper->resend_waiting--;
        } else {
            if (outbox_end_declared(outbox, slot->id, slot->seq, err) != FX_OK)
                break;
            shipper->declared_waiting--;
        }
        shipper->head = (shipper->head + 1) % SHIPPER_WINDOW;
        shipper->count--;
    }
    outbox_ack(outbox, acked_id);
    return err->code;
}

enum fx_code shipper_pump(struct shipper *shipper, enum input_state input, struct fx_err *err)
{
    char bytes[64];
    while (read(shipper->wake[0], bytes, sizeof bytes) > 0)
        continue;
    shipper->input = input;
    if (shipper->rk != NULL)
        while (rd_kafka_poll(shipper->rk, 0) > 0)
            continue;
    enum fx_code code = settle(shipper, err);
    if (shipper->is_broken)
        reopen_later(shipper);
    if (code == FX_OK && day_monotonic_ms() < shipper->retry_at_ms)
        return FX_OK;
    if (code == FX_OK)
        code = shipper->partitions == 0 ? get_ready(shipper, err) : look_again(shipper, err);
    if (code == FX_OK && shipper->partitions > 0)
        code = shipper_send(shipper, err);
    if (code != FX_OK) /* the outbox cannot be read or written */
        shipper->retry_at_ms = day_monotonic_ms() + DISK_RETRY_MS;
    return code;
}

/* ---- the rest ---- */

enum fx_code shipper_open(const struct shipper_options *options, struct shipper **shipper,
                          struct fx_err *err)
{
    struct shipper *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a shipper");
    fresh->options = *options;
    fresh->cursor = outbox_acked_id(options->outbox);
    shipper_note_resend(fresh);
    fresh->alive.is_over = true;
    fresh->alive_at_ms = day_monotonic_ms() + options->heartbeat_ms;
    retry_init(&fresh->retry, RETRY_MIN_MS, RETRY_MAX_MS);
    if (pipe2(fresh->wake, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(fresh);
        return fx_err_set(err, FX_EMEMORY, "pipe: %s", strerror(errno));
    }
    fresh->probe.wake_fd = fresh->wake[1];
    enum fx_code code = open_producer(fresh, err);
    if (code != FX_OK) {
        shipper_close(fresh);
        return code;
    }
    *shipper = fresh;
    return FX_OK;
}

void shipper_end(struct shipper *shipper)
{
    shipper->is_ending = true;
}

void shipper_note_resend(struct shipper *shipper)
{
    shipper->is_resend_noted = true;
    shipper->is_declared_noted = true;
    shipper->declared_next = 0;
}

bool shipper_is_done(const struct shipper *shipper)
{
    return shipper_is_drained(shipper) && shipper->old.is_over &&
           (!shipper->is_ending || shipper->ended.is_over);
}

bool shipper_is_hungry(const struct shipper *shipper)
{
    return shipper->partitions > 0 && shipper->count < SHIPPER_WINDOW / 2 &&
           shipper_has_due(shipper) && day_monotonic_ms() >= shipper->retry_at_ms;
}

int shipper_wake_fd(const struct shipper *shipper)
{
    return shipper->wake[0];
}

enum fx_code shipper_trouble(const struct shipper *shipper, struct fx_err *err)
{
    if (shipper->trouble.code == FX_OK)
        return FX_OK;
    return fx_err_set(err, shipper->trouble.code, "%s", shipper->trouble.text);
}

void shipper_count(const struct shipper *shipper, struct shipper_counts *counts)
{
    *counts = shipper->counts;
}

void shipper_close(struct shipper *shipper)
{
    if (shipper == NULL)
        return;
    close_producer(shipper);
    close(shipper->wake[0]);
    close(shipper->wake[1]);
    free(shipper);
}

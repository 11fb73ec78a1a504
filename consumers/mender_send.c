/* SPDX-License-Identifier: Apache-2.0 */
#include "../schemas/wire.h"
#include "mender_core.h"

#include <string.h>

#define ANSWER_MS 5000
#define POLL_MS 100

struct sending {
    rd_kafka_t *rk;
    int waiting; /* for a report */
    struct fx_err failed;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct sending *sending = opaque;
    struct mend *mend = message->_private;
    sending->waiting--;
    mend->is_acked = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!mend->is_acked)
        fx_err_set(&sending->failed, FX_ERETRY, "%s", rd_kafka_err2str(message->err));
}

/* A request that could not be delivered is no use later: the next round decides anew. */
static enum fx_code open_producer(struct sending *sending, const struct mends_target *target,
                                  struct fx_err *err)
{
    static const char *const defaults[][2] = {{"linger.ms", "5"},
                                              {"compression.codec", "zstd"},
                                              {"queue.buffering.max.kbytes", "16384"},
                                              {"log_level", "2"},
                                              {NULL, NULL}};
    static const char *const invariants[][2] = {{"enable.idempotence", "true"},
                                                {"acks", "all"},
                                                {"message.timeout.ms", "15000"},
                                                {"allow.auto.create.topics", "false"},
                                                {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;
    if (kafka_conf_new(target->kafka, "fx-rollup-resend", defaults, &conf, err) != FX_OK)
        return err->code;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, sending);
    if (kafka_conf_force(conf, invariants, err) != FX_OK) {
        rd_kafka_conf_destroy(conf);
        return err->code;
    }
    return kafka_open(RD_KAFKA_PRODUCER, conf, &sending->rk, err);
}

/* Without a value: the compacted topic forgets the source. */
static enum fx_code produce(struct sending *sending, const char *topic, int32_t partitions,
                            struct mend *mend, struct fx_err *err)
{
    struct buf value = BUF_INIT;
    size_t key_size = strlen(mend->source);
    if (mend->decision.action == ASK_SEND)
        ask_write(&mend->decision, buf_text(&mend->body), &value);
    enum fx_code code = buf_check(&value, err);
    if (code == FX_OK) {
        rd_kafka_resp_err_t failed = rd_kafka_producev(
            sending->rk, RD_KAFKA_V_TOPIC(topic),
            RD_KAFKA_V_PARTITION(wire_partition(mend->source, key_size, partitions)),
            RD_KAFKA_V_KEY(mend->source, key_size), RD_KAFKA_V_VALUE(value.data, value.size),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(mend), RD_KAFKA_V_END);
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR)
            sending->waiting++;
        else
            code = fx_err_set(err, FX_ERETRY, "%s", rd_kafka_err2str(failed));
    }
    buf_release(&value);
    return code;
}

enum fx_code mends_publish(struct mends *mends, const struct mends_target *target,
                           struct fx_err *err)
{
    struct sending sending = {.failed = FX_ERR_INIT};
    int32_t partitions = 0;
    if (open_producer(&sending, target, err) != FX_OK)
        return err->code;
    enum fx_code code =
        kafka_partition_count(sending.rk, target->topic, ANSWER_MS, &partitions, err);
    for (int i = 0; code == FX_OK && i < mends->count; i++)
        code = produce(&sending, target->topic, partitions, &mends->items[i], err);
    while (sending.waiting > 0 && !atomic_load(target->stop))
        rd_kafka_poll(sending.rk, POLL_MS);
    if (sending.waiting > 0) {
        rd_kafka_purge(sending.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                       RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_flush(sending.rk, POLL_MS); /* its reports name mends that the caller frees */
    }
    rd_kafka_destroy(sending.rk);
    if (sending.failed.code != FX_OK)
        code = fx_err_set(err, FX_ERETRY, "topic %s: %s", target->topic, sending.failed.text);
    return code;
}

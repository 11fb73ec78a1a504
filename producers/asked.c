/* SPDX-License-Identifier: Apache-2.0 */
#include "asked.h"

#include "../common/day.h"
#include "../common/log.h"
#include "../common/retry.h"
#include "../common/text.h"
#include "asked_message.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARTITIONS_MAX 64
#define ANSWER_MS 2000 /* bounds how long asked_close waits */
#define RETRY_MIN_MS 2000
#define RETRY_MAX_MS 300000 /* an older city may stay without the topic for months */
#define WELL_MS 60000       /* without an error: reading works */
#define MESSAGES_AT_ONCE 64

/* A question that librdkafka asks synchronously only, on a thread of its own, as in probe.h: which
 * partitions the topic has, and where they end. */
struct look {
    pthread_t thread;
    bool is_started;
    atomic_bool is_done; /* the fields below hold the answer */
    atomic_bool is_over; /* nobody waits for it */
    int32_t partitions;
    int64_t ends[PARTITIONS_MAX];
    struct fx_err err;
};

struct asked {
    struct asked_options options;
    rd_kafka_t *rk; /* NULL: not open at present */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    struct look look;
    int wake[2];                  /* read end, write end */
    int32_t reading;              /* partitions that are read */
    int64_t next[PARTITIONS_MAX]; /* offset behind the last message taken */
    rd_kafka_message_t *held;     /* could not be dealt with yet */
    int64_t retry_at_ms;
    int64_t well_at_ms; /* reading works if no error comes until then; INT64_MAX: it does */
    struct retry retry;
    bool is_missing; /* the topic does not exist */
    bool is_trouble_told;
    struct asked_counts counts;
    struct asked_message message;
};

/* ---- the consumer's life ---- */

static enum fx_code open_consumer(struct asked *asked, struct fx_err *err)
{
    static const char *const defaults[][2] = {
        {"queued.min.messages", "1"},
        {"queued.max.messages.kbytes", "256"},
        {"fetch.message.max.bytes", "131072"},
        {"fetch.wait.max.ms", "30000"}, /* silence costs two requests a minute */
        {"reconnect.backoff.max.ms", "10000"},
        {"socket.keepalive.enable", "true"},
        {"log.connection.close", "false"},
        {"log_level", "2"}, /* the shipper tells of brokers */
        {NULL, NULL}};
    static const char *const invariants[][2] = {{"enable.auto.commit", "false"},
                                                {"auto.commit.enable", "false"},
                                                {"auto.offset.reset", "earliest"},
                                                {"enable.partition.eof", "false"},
                                                {"allow.auto.create.topics", "false"},
                                                {"check.crcs", "true"},
                                                {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;
    if (kafka_conf_new(&asked->options.kafka, "fangxian-asked", defaults, &conf, err) != FX_OK)
        return err->code;
    if (kafka_conf_force(conf, invariants, err) != FX_OK) {
        rd_kafka_conf_destroy(conf);
        return err->code;
    }
    if (kafka_open(RD_KAFKA_CONSUMER, conf, &asked->rk, err) != FX_OK)
        return err->code;
    asked->topic = rd_kafka_topic_new(asked->rk, asked->options.topic, NULL);
    asked->queue = rd_kafka_queue_new(asked->rk);
    rd_kafka_queue_io_event_enable(asked->queue, asked->wake[1], "a", 1);
    if (asked->topic == NULL)
        return fx_err_set(err, FX_ECONFIG, "topic %s: %s", asked->options.topic,
                          rd_kafka_err2str(rd_kafka_last_error()));
    return FX_OK;
}

static void join_look(struct look *look)
{
    atomic_store(&look->is_over, true);
    if (look->is_started)
        pthread_join(look->thread, NULL);
    look->is_started = false;
}

static void close_consumer(struct asked *asked)
{
    if (asked->rk == NULL)
        return;
    join_look(&asked->look);
    if (asked->held != NULL)
        rd_kafka_message_destroy(asked->held);
    asked->held = NULL;
    for (int32_t i = 0; i < asked->reading; i++)
        rd_kafka_consume_stop(asked->topic, i);
    asked->reading = 0;
    rd_kafka_queue_destroy(asked->queue);
    if (asked->topic != NULL)
        rd_kafka_topic_destroy(asked->topic);
    rd_kafka_destroy(asked->rk);
    asked->topic = NULL;
    asked->rk = NULL;
}

/*
 * Told once per change. The consumer stays, and finds brokers again by itself: to close it is to
 * wait for librdkafka's threads, one of which may sit in the resolver for as long as an outage of
 * DNS lasts, while the station stands still. Only where reading cannot go on with it is it closed.
 */
static void try_later(struct asked *asked, bool is_missing, const char *text)
{
    char quoted[360];
    uint64_t random;
    randombytes_buf(&random, sizeof random);
    if (!asked->is_trouble_told)
        fx_log(is_missing ? FX_LOG_INFO : FX_LOG_DEBUG, "resend_requests_away",
               "effect=nothing_is_sent_again_by_itself msg=%s",
               fx_log_quote(quoted, sizeof quoted, text));
    asked->counts.told += !asked->is_trouble_told;
    asked->counts.away++;
    asked->is_trouble_told = true;
    asked->is_missing = is_missing;
    asked->retry_at_ms = day_monotonic_ms() + retry_next_ms(&asked->retry, random);
}

/* ---- looking at the topic ---- */

static void find_ends(struct asked *asked, struct look *look)
{
    for (int32_t i = 0; i < look->partitions && !atomic_load(&look->is_over); i++) {
        int64_t low = 0;
        rd_kafka_resp_err_t failed = rd_kafka_query_watermark_offsets(
            asked->rk, asked->options.topic, i, &low, &look->ends[i], ANSWER_MS);
        if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fx_err_set(&look->err, FX_ERETRY, "%s", rd_kafka_err2str(failed));
            return;
        }
        if (low == look->ends[i])
            look->ends[i] = 0; /* nothing to be read */
    }
}

static void *run_look(void *context)
{
    struct asked *asked = context;
    struct look *look = &asked->look;
    if (kafka_partition_count(asked->rk, asked->options.topic, ANSWER_MS, &look->partitions,
                              &look->err) == FX_OK) {
        if (look->partitions <= PARTITIONS_MAX)
            find_ends(asked, look);
        else
            fx_err_set(&look->err, FX_ECONFIG, "topic %s has more than %d partitions",
                       asked->options.topic, PARTITIONS_MAX);
    }
    atomic_store(&look->is_done, true);
    ssize_t written = write(asked->wake[1], "l", 1);
    (void)written; /* a full pipe wakes just as well */
    return NULL;
}

static enum fx_code begin_look(struct asked *asked, struct fx_err *err)
{
    struct look *look = &asked->look;
    fx_err_clear(&look->err);
    atomic_store(&look->is_done, false);
    atomic_store(&look->is_over, false);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    int failed = pthread_create(&look->thread, &attributes, run_look, asked);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
        return fx_err_set(err, FX_ERETRY, "a thread: %s", strerror(failed));
    look->is_started = true;
    return FX_OK;
}

static void read_all(struct asked *asked)
{
    struct look *look = &asked->look;
    join_look(look);
    if (look->err.code != FX_OK) {
        bool is_missing =
            look->err.code == FX_ECONFIG; /* brokers answer, which makes closing quick */
        try_later(asked, is_missing, look->err.text);
        if (is_missing)
            close_consumer(asked);
        return;
    }
    memset(asked->next, 0, sizeof asked->next);
    for (int32_t i = 0; i < look->partitions; i++) {
        if (rd_kafka_consume_start_queue(asked->topic, i, RD_KAFKA_OFFSET_BEGINNING,
                                         asked->queue) != 0) {
            try_later(asked, false, rd_kafka_err2str(rd_kafka_last_error()));
            close_consumer(asked);
            return;
        }
        asked->reading = i + 1;
    }
    asked->is_missing = false;
    asked->well_at_ms = day_monotonic_ms() + WELL_MS;
}

/* Who may see the topic may still not read it: only a message, or silence, shows that reading
 * works, and that the next trouble is news. */
static void note_well(struct asked *asked)
{
    asked->well_at_ms = INT64_MAX;
    asked->is_trouble_told = false;
    retry_reset(&asked->retry);
}

/* One step per call, until partitions are read. */
static void get_ready(struct asked *asked)
{
    struct fx_err err = FX_ERR_INIT;
    if (day_monotonic_ms() < asked->retry_at_ms)
        return;
    if (asked->rk == NULL && open_consumer(asked, &err) != FX_OK) {
        try_later(asked, false, err.text);
        close_consumer(asked); /* half open, perhaps */
    } else if (!asked->look.is_started && begin_look(asked, &err) != FX_OK) {
        try_later(asked, false, err.text);
    } else if (atomic_load(&asked->look.is_done)) {
        read_all(asked);
    }
}

/* ---- messages ---- */

static void note_wrong(struct asked *asked, const rd_kafka_message_t *message, const char *text)
{
    char quoted[360];
    if (asked->counts.wrong++ == 0)
        fx_log(FX_LOG_WARN, "resend_request_wrong",
               "partition=%d offset=%lld effect=passed_over_others_are_only_counted msg=%s",
               (int)message->partition, (long long)message->offset,
               fx_log_quote(quoted, sizeof quoted, text));
}

static enum fx_code obey(struct asked *asked, const char *source, bool *is_noted,
                         struct fx_err *err)
{
    const struct asked_message *message = &asked->message;
    const struct outbox_request request = {source, message->asked_at_ms, message->attempt,
                                           message->spans, message->count};
    struct outbox_obeyed obeyed;
    if (outbox_obey(asked->options.outbox, &request, &obeyed, err) != FX_OK)
        return err->code;
    if (obeyed.is_repeated)
        return FX_OK;
    asked->counts.obeyed++;
    *is_noted = true;
    fx_log(FX_LOG_INFO, "asked", "attempt=%lld ranges=%d events=%lld gone=%d unknown=%d",
           (long long)message->attempt, message->count, (long long)obeyed.numbers, obeyed.gone,
           obeyed.unknown);
    return FX_OK;
}

/* *is_taken: the message is dealt with, one way or another. */
static enum fx_code take(struct asked *asked, const rd_kafka_message_t *message, bool *is_noted,
                         bool *is_taken, struct fx_err *err)
{
    struct fx_err wrong = FX_ERR_INIT;
    char source[SCHEMA_SOURCE_MAX + 1];
    bool is_known = false;
    int64_t waiting = 0;
    *is_taken = true;
    if (!text_is_name(message->key, message->key_len, SCHEMA_SOURCE_MAX)) {
        note_wrong(asked, message, "the key is no source's name");
        return FX_OK;
    }
    memcpy(source, message->key, message->key_len);
    source[message->key_len] = '\0';
    *is_taken = false;
    if (outbox_knows(asked->options.outbox, source, &is_known, err) != FX_OK)
        return err->code;
    *is_taken = true;
    if (!is_known || message->payload == NULL) /* another post's; nothing is asked any more */
        return FX_OK;
    const struct asked_bytes came = {message->payload, message->len,
                                     rd_kafka_message_timestamp(message, NULL)};
    enum fx_code code = asked_parse(&came, asked->options.own_topic, &asked->message, &wrong);
    if (code == FX_EMEMORY) {
        *is_taken = false;
        return fx_err_set(err, code, "%s", wrong.text);
    }
    if (code != FX_OK) {
        note_wrong(asked, message, wrong.text);
        return FX_OK;
    }
    if (asked->message.count == 0)
        return FX_OK;
    *is_taken = false;
    if (outbox_count_resends(asked->options.outbox, &waiting, err) != FX_OK)
        return err->code;
    if (waiting > ASKED_WAITING_MAX)
        return FX_OK;
    *is_taken = obey(asked, source, is_noted, err) == FX_OK;
    return err->code;
}

static bool is_gone(rd_kafka_resp_err_t failed)
{
    return failed == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           failed == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           failed == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           failed == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

/* The next message into asked->held; false: there is none, or reading came to an end. */
static bool hold_next(struct asked *asked)
{
    while (asked->held == NULL) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(asked->queue, 0);
        if (message == NULL)
            return false;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            asked->held = message;
            note_well(asked);
            break;
        }
        rd_kafka_resp_err_t failed = message->err; /* others mend themselves */
        rd_kafka_message_destroy(message);
        if (is_gone(failed)) {
            try_later(asked, true, rd_kafka_err2str(failed));
            close_consumer(asked);
            return false;
        }
    }
    return true;
}

enum fx_code asked_poll(struct asked *asked, bool *is_noted, struct fx_err *err)
{
    char bytes[64];
    while (read(asked->wake[0], bytes, sizeof bytes) > 0)
        continue;
    *is_noted = false;
    if (asked->reading == 0) {
        get_ready(asked);
        return FX_OK;
    }
    rd_kafka_poll(asked->rk, 0);
    int count = 0;
    while (count < MESSAGES_AT_ONCE && hold_next(asked)) {
        bool is_taken = false;
        rd_kafka_message_t *message = asked->held;
        if (take(asked, message, is_noted, &is_taken, err) != FX_OK || !is_taken)
            return err->code;
        asked->next[message->partition] = message->offset + 1;
        rd_kafka_message_destroy(message);
        asked->held = NULL;
        count++;
    }
    if (asked->reading > 0 && day_monotonic_ms() >= asked->well_at_ms)
        note_well(asked);
    if (count == MESSAGES_AT_ONCE) { /* perhaps there are more */
        ssize_t written = write(asked->wake[1], "m", 1);
        (void)written;
    }
    return FX_OK;
}

/* ---- the rest ---- */

enum fx_code asked_open(const struct asked_options *options, struct asked **asked,
                        struct fx_err *err)
{
    struct asked *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a reader of requests");
    fresh->options = *options;
    retry_init(&fresh->retry, RETRY_MIN_MS, RETRY_MAX_MS);
    if (pipe2(fresh->wake, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(fresh);
        return fx_err_set(err, FX_EMEMORY, "pipe: %s", strerror(errno));
    }
    if (open_consumer(fresh, err) != FX_OK) {
        asked_close(fresh);
        return err->code;
    }
    *asked = fresh;
    return FX_OK;
}

bool asked_is_settled(const struct asked *asked)
{
    if (asked->reading == 0)
        return asked->is_missing;
    for (int32_t i = 0; i < asked->reading; i++)
        if (asked->next[i] < asked->look.ends[i])
            return false;
    return true;
}

int asked_wake_fd(const struct asked *asked)
{
    return asked->wake[0];
}

void asked_count(const struct asked *asked, struct asked_counts *counts)
{
    *counts = asked->counts;
}

void asked_close(struct asked *asked)
{
    if (asked == NULL)
        return;
    close_consumer(asked);
    close(asked->wake[0]);
    close(asked->wake[1]);
    free(asked);
}

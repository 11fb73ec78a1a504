/* SPDX-License-Identifier: Apache-2.0 */
/* redrive - which rows come next, and their records from Kafka. */
#include "redrive_state.h"

#include "../common/log.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MIN_MS 100
#define WAIT_MAX_MS 1000
#define FETCH_MAX_MS 30000  /* without a record */
#define READ_OVER_MAX 10000 /* records between two wanted ones that are read over, not sought */
#define PASSES_MAX 3        /* as arrive.c: librdkafka may skip once */
#define REFUSALS_MAX 3

enum fx_code redrive_open(const struct redrive_options *options, struct redrive **redrive,
                          struct fx_err *err)
{
    struct redrive *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory to re-drive events");
    fresh->options = *options;
    fresh->batch_max = REDRIVE_BATCH_MAX;
    fresh->read_next = -1;
    fresh->listed.reason = options->reason;
    fresh->listed.topic = -1;
    fresh->listed.rows = calloc(REDRIVE_BATCH_MAX, sizeof *fresh->listed.rows);
    retry_init(&fresh->retry, WAIT_MIN_MS, WAIT_MAX_MS);
    struct pipeline_options inner = {.catalog = options->catalog,
                                     .topics = options->topics,
                                     .intake = options->intake,
                                     .store = options->store,
                                     .seed = options->seed,
                                     .bytes_max = options->bytes_max,
                                     .runs_max = 4 * REDRIVE_BATCH_MAX,
                                     .events_max = REDRIVE_BATCH_MAX};
    if (fresh->listed.rows == NULL)
        fx_err_set(err, FX_EMEMORY, "no memory to re-drive events");
    if (err->code != FX_OK || pipeline_open(&inner, &fresh->pipeline, err) != FX_OK) {
        redrive_close(fresh);
        return err->code;
    }
    *redrive = fresh;
    return FX_OK;
}

void redrive_close(struct redrive *redrive)
{
    if (redrive == NULL)
        return;
    pipeline_close(redrive->pipeline);
    buf_release(&redrive->bytes);
    free(redrive->listed.rows);
    free(redrive);
}

static const char *topic_of(const struct redrive *redrive, int topic)
{
    return redrive->options.topics[topic];
}

/* Which rows of the batch Kafka may have; those added since the partition was begun end it. */
static enum fx_code sort_rows(struct redrive *redrive, bool is_new, struct fx_err *err)
{
    struct rejected_list *listed = &redrive->listed;
    for (int i = 0; i < listed->count; i++) {
        const struct flush_rejected *event = &listed->rows[i];
        struct row *row = &redrive->rows[i];
        *row = (struct row){.state = ROW_WANTED, .verdict = REASON_COUNT};
        row->is_tallied = event->has_envelope && reason_is_trusted(event->reason);
        bool is_added = !is_new && event->offset >= redrive->end;
        bool is_behind = !is_added && event->offset >= redrive->range.high;
        if (is_behind)
            return fx_err_set(err, FX_ESTATE,
                              "topic %s partition %d ends at offset %lld but %lld was rejected: it "
                              "was recreated or truncated, or this is another cluster",
                              topic_of(redrive, event->topic), (int)event->partition,
                              (long long)redrive->range.high, (long long)event->offset);
        if (event->offset < redrive->range.low) /* or of a log that is no more */
            row->state = ROW_GONE;
        else if (is_added)
            listed->count = i;
    }
    return FX_OK;
}

/* Ranges are asked for after the rows were listed, once: it takes as long as a whole batch. */
static enum fx_code ask_range(struct redrive *redrive, bool is_new, struct fx_err *err)
{
    const struct flush_rejected *first = &redrive->listed.rows[0];
    struct intake_range range = {.topic = first->topic, .partition = first->partition};
    if (!is_new && redrive->refusals == 0)
        return FX_OK;
    if (intake_ask_ranges(redrive->options.intake, &range, 1, err) != FX_OK)
        return err->code;
    redrive->range = range;
    if (is_new) {
        redrive->end = range.high;
        redrive->read_next = -1;
    }
    return FX_OK;
}

/* The next batch; no rows: is_done, or the partition is done with. */
static enum fx_code list_batch(struct redrive *redrive, struct fx_err *err)
{
    struct rejected_list *listed = &redrive->listed;
    int topic = listed->topic;
    int32_t partition = listed->partition;
    listed->rows_max = redrive->batch_max;
    if (store_list_rejected(redrive->options.store, listed, err) != FX_OK)
        return fx_err_wrap(err, "rejected events");
    if (listed->count == 0) {
        redrive->is_done = true;
        return FX_OK;
    }
    const struct flush_rejected *first = &listed->rows[0];
    bool is_new = first->topic != topic || first->partition != partition;
    if (ask_range(redrive, is_new, err) != FX_OK || sort_rows(redrive, is_new, err) != FX_OK)
        return err->code;
    redrive->has_company = is_new || listed->generation != redrive->claimed.generation;
    redrive->at = 0;
    redrive->is_fetched = false;
    redrive->fetch_end_ms = redrive->now_ms + FETCH_MAX_MS;
    buf_reset(&redrive->bytes);
    if (listed->count > 0)
        return FX_OK;
    listed->topic = first->topic;
    listed->partition = first->partition;
    listed->offset = INT64_MAX;
    return FX_OK;
}

static bool is_same_record(const struct flush_rejected *event, const struct intake_message *message)
{
    uint8_t sha256[DIGEST_SHA256_SIZE];
    if (event->length != message->value_size)
        return false;
    digest_sha256(message->value, message->value_size, sha256);
    return memcmp(event->sha256, sha256, sizeof sha256) == 0;
}

/* Keeps the record of the next row. */
static void keep_record(struct redrive *redrive, const struct intake_message *message)
{
    const struct flush_rejected *event = &redrive->listed.rows[redrive->at];
    struct row *row = &redrive->rows[redrive->at++];
    struct buf *bytes = &redrive->bytes;
    if (!is_same_record(event, message)) {
        fx_err_set(&redrive->doubt, FX_ESTATE,
                   "topic %s partition %d: record %lld is not the one that was rejected: the topic "
                   "was recreated or truncated, or this is another cluster",
                   topic_of(redrive, message->topic), (int)message->partition,
                   (long long)message->offset);
        return;
    }
    row->state = ROW_FETCHED;
    row->key_at = bytes->size;
    row->key_size = message->key_size;
    if (message->key_size > 0)
        buf_append(bytes, message->key, message->key_size);
    row->value_at = bytes->size;
    row->value_size = message->value_size;
    if (message->value_size > 0)
        buf_append(bytes, message->value, message->value_size);
    (void)(buf_check(bytes, &redrive->doubt) == FX_OK);
}

/* Kafka went over the next row's offset. true: so often that it is not there. */
static bool is_passed_over(struct redrive *redrive, int64_t offset)
{
    redrive->passes = redrive->passed == offset ? redrive->passes + 1 : 1;
    redrive->passed = offset;
    return redrive->passes >= PASSES_MAX;
}

/* Moves on to the next row to fetch. false: there is none, or there are bytes enough. */
static bool find_wanted(struct redrive *redrive)
{
    struct rejected_list *listed = &redrive->listed;
    while (redrive->at < listed->count && redrive->rows[redrive->at].state != ROW_WANTED)
        redrive->at++;
    if (redrive->at < listed->count && redrive->bytes.size >= REDRIVE_BYTES_MAX)
        listed->count = redrive->at; /* the others are listed again */
    return redrive->at < listed->count;
}

/* A batch before the next row, or its own, cannot be unpacked: it is read from that row on. */
static bool step_over(struct redrive *redrive)
{
    if (find_wanted(redrive) && is_passed_over(redrive, redrive->listed.rows[redrive->at].offset))
        redrive->rows[redrive->at].state = ROW_GONE;
    redrive->read_next = -1;
    return false;
}

static bool take_record(void *context, const struct intake_message *message)
{
    struct redrive *redrive = context;
    const struct flush_rejected *first = &redrive->listed.rows[0];
    if (message->is_end || message->topic != first->topic ||
        message->partition != first->partition ||
        (message->offset < redrive->read_next && !message->is_unread))
        return true; /* fetched before the last assignment */
    if (message->is_unread)
        return redrive->read_next >= 0 && step_over(redrive);
    while (find_wanted(redrive)) {
        int64_t offset = redrive->listed.rows[redrive->at].offset;
        if (offset > message->offset)
            break;
        if (offset == message->offset) {
            keep_record(redrive, message);
        } else if (is_passed_over(redrive, offset)) {
            redrive->rows[redrive->at].state = ROW_GONE;
        } else {
            redrive->read_next = -1;
            return false;
        }
    }
    redrive->read_next = message->offset + 1;
    redrive->fetch_end_ms = redrive->now_ms + FETCH_MAX_MS; /* it comes: slow is not silent */
    return redrive->doubt.code == FX_OK && find_wanted(redrive);
}

/* Retention may have gone on since the ranges were asked for: then they are asked for again. */
static enum fx_code refused_by_kafka(struct redrive *redrive, struct fx_err *err)
{
    redrive->read_next = -1;
    if (err->code == FX_ESTATE && ++redrive->refusals < REFUSALS_MAX)
        err->code = FX_ERETRY;
    return err->code;
}

static enum fx_code fetch_some(struct redrive *redrive, int wait_ms, struct fx_err *err)
{
    struct intake *intake = redrive->options.intake;
    if (!find_wanted(redrive)) {
        redrive->is_fetched = true;
        redrive->refusals = 0;
        return FX_OK;
    }
    const struct flush_rejected *event = &redrive->listed.rows[redrive->at];
    if (redrive->now_ms > redrive->fetch_end_ms)
        return fx_err_set(err, FX_ERETRY, "Kafka does not give topic %s partition %d offset %lld",
                          topic_of(redrive, event->topic), (int)event->partition,
                          (long long)event->offset);
    if (redrive->read_next < 0 || event->offset < redrive->read_next ||
        event->offset - redrive->read_next > READ_OVER_MAX) {
        struct intake_partition from = {event->topic, event->partition, event->offset};
        if (intake_assign(intake, &from, 1, err) != FX_OK)
            return err->code;
        redrive->read_next = event->offset;
    }
    if (intake_poll(intake, wait_ms, take_record, redrive, err) != FX_OK)
        return refused_by_kafka(redrive, err);
    if (redrive->doubt.code != FX_OK)
        *err = redrive->doubt;
    fx_err_clear(&redrive->doubt);
    return err->code;
}

/* What was begun is dropped and begins anew, from the first row that is not done with. */
static enum fx_code begin_anew(struct redrive *redrive, struct fx_err *err)
{
    claim_drop(redrive->pipeline);
    redrive->listed.count = 0;
    redrive->is_in_flight = false;
    if (err->code == FX_ECONFIG || err->code == FX_ESTATE)
        return err->code;
    uint64_t random = redrive->pipeline->random_state += UINT64_C(0x9e3779b97f4a7c15);
    bool is_refused = err->code == FX_EREFUSED; /* nobody needs the time */
    int64_t wait_ms = is_refused ? WAIT_MIN_MS : retry_next_ms(&redrive->retry, random >> 17);
    redrive->next_ms = redrive->now_ms + wait_ms;
    redrive->stats.drops++;
    memcpy(redrive->trouble, err->text, sizeof redrive->trouble);
    char quoted[FX_ERR_TEXT_MAX];
    fx_log(FX_LOG_WARN, "drop", "code=%s wait_ms=%lld msg=%s", fx_code_name(err->code),
           (long long)wait_ms, fx_log_quote(quoted, sizeof quoted, err->text));
    fx_err_clear(err);
    return FX_OK;
}

static enum fx_code poll_flight(struct redrive *redrive, int wait_ms, struct fx_err *err)
{
    bool is_committed = false;
    if (store_poll(redrive->options.store, wait_ms, &is_committed, err) != FX_OK) {
        redrive_note_failure(redrive, err->code);
        return err->code;
    }
    if (is_committed)
        redrive_finish_batch(redrive);
    return FX_OK;
}

static enum fx_code go_on(struct redrive *redrive, int wait_ms, struct fx_err *err)
{
    if (redrive->is_in_flight)
        return poll_flight(redrive, wait_ms, err);
    redrive->is_done = redrive->is_done || redrive->is_draining;
    if (redrive->is_done)
        return FX_OK;
    if (redrive->now_ms < redrive->next_ms)
        return intake_poll(redrive->options.intake, wait_ms, NULL, NULL, err);
    if (redrive->listed.count == 0)
        return list_batch(redrive, err);
    if (!redrive->is_fetched)
        return fetch_some(redrive, wait_ms, err);
    return redrive_send_batch(redrive, err);
}

enum fx_code redrive_step(struct redrive *redrive, int64_t now_ms, int wait_ms, struct fx_err *err)
{
    if (now_ms < redrive->now_ms) /* the clock was set back: waits begin anew */
        redrive->next_ms = now_ms;
    redrive->now_ms = now_ms;
    if (go_on(redrive, wait_ms, err) != FX_OK)
        return begin_anew(redrive, err);
    return FX_OK;
}

bool redrive_is_done(const struct redrive *redrive)
{
    return redrive->is_done;
}

void redrive_drain(struct redrive *redrive)
{
    redrive->is_draining = true;
}

const char *redrive_trouble(const struct redrive *redrive)
{
    return redrive->trouble;
}

const struct redrive_stats *redrive_stats(const struct redrive *redrive)
{
    return &redrive->stats;
}

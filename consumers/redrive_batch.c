/* SPDX-License-Identifier: Apache-2.0 */
/* redrive_batch - what becomes of a batch whose records are fetched. */
#include "redrive_state.h"

#include "../common/log.h"

#include <string.h>

#define PAUSE_MS 300 /* in which a fenced worker claims and commits what it has */

static struct intake_message message_of(const struct redrive *redrive, int i)
{
    const struct flush_rejected *event = &redrive->listed.rows[i];
    const struct row *row = &redrive->rows[i];
    const uint8_t *bytes = redrive->bytes.data;
    return (struct intake_message){.topic = event->topic,
                                   .partition = event->partition,
                                   .offset = event->offset,
                                   .append_ms = event->append_ms,
                                   .is_append_time = true,
                                   .key = bytes == NULL ? NULL : bytes + row->key_at,
                                   .key_size = row->key_size,
                                   .value = bytes == NULL ? NULL : bytes + row->value_at,
                                   .value_size = row->value_size};
}

/* The run of the event, and what is known of it, or of the event that it reverses. */
static void add_wanted(struct redrive *redrive, int topic, const struct event *event, bool is_good)
{
    struct claim_wanted wanted = {.topic = topic, .run = event->run};
    memcpy(wanted.source, event->source.bytes, event->source.size);
    redrive->wanted[redrive->wanted_count++] = wanted;
    if (!is_good || event->is_heartbeat)
        return;
    bool is_reversal = event->fields.numbers[ENVELOPE_SIGN] < 0;
    wanted.run = is_reversal ? event->fields.numbers[ENVELOPE_REVERSES_RUN] : event->run;
    wanted.seq = is_reversal ? event->fields.numbers[ENVELOPE_REVERSES_SEQ] : event->seq;
    redrive->wanted[redrive->wanted_count++] = wanted;
}

/* What the record alone says: if it is rejected for what it was, no claim needs to be made. */
static void judge_record(struct redrive *redrive, int i)
{
    struct flush_rejected *row = &redrive->listed.rows[i];
    struct intake_message message = message_of(redrive, i);
    const struct plan *plan = redrive->pipeline->kinds[row->topic].plan;
    struct event event;
    enum reason reason = plan_read(plan, message.value, message.value_size, &event, row->detail);
    if (event.is_envelope_valid && (message.key_size != event.source.size ||
                                    memcmp(message.key, event.source.bytes, event.source.size)))
        reason = REASON_KEY_MISMATCH;
    if (reason == row->reason) {
        redrive->rows[i].state = ROW_STAYS;
        redrive->rows[i].verdict = reason;
        return;
    }
    if (!event.is_envelope_valid)
        return;
    add_wanted(redrive, row->topic, &event, reason == REASON_COUNT);
    row->has_envelope = true;
    memcpy(row->source, event.source.bytes, event.source.size);
    row->source[event.source.size] = '\0';
    row->run = event.run;
    row->seq = event.seq;
}

static enum fx_code claim_partition(struct redrive *redrive, struct fx_err *err)
{
    struct pipeline *pipeline = redrive->pipeline;
    const struct flush_rejected *first = &redrive->listed.rows[0];
    struct claim claim = {.partitions = &redrive->claimed,
                          .count = 1,
                          .wanted = redrive->wanted,
                          .wanted_count = redrive->wanted_count,
                          .reported_until_ms = INT64_MIN};
    redrive->claimed = (struct claim_partition){
        .topic = first->topic, .partition = first->partition, .low_offset = redrive->range.low};
    redrive->claimed.generation = (int64_t)claim_random(pipeline);
    claim_drop(pipeline);
    if (intake_cluster(redrive->options.intake, &claim.cluster, err) != FX_OK)
        return err->code;
    if (store_claim(redrive->options.store, &claim, pipeline->ledger, &pipeline->marks, err) !=
            FX_OK ||
        store_load_regions(redrive->options.store, &pipeline->regions, err) != FX_OK)
        return err->code;
    pipeline->accept_simulated = claim.accept_simulated;
    pipeline->reported_until_ms = claim.reported_until_ms;
    redrive->stats.claims++;
    return FX_OK;
}

/* It is not among the rejected any more. */
static void untally(struct redrive *redrive, int i)
{
    const struct flush_rejected *row = &redrive->listed.rows[i];
    struct ledger *ledger = redrive->pipeline->ledger;
    struct ledger_key key = {(uint16_t)row->topic, row->run, row->source, strlen(row->source)};
    int index = ledger_lookup(ledger, &key);
    if (index >= 0) /* it is dirty: the event was counted or tallied as a duplicate just now */
        ledger_entry(ledger, index)->delta.rejected--;
}

/* Takes the record again, as it would have been taken in its turn. */
static enum fx_code take_again(struct redrive *redrive, int i, struct fx_err *err)
{
    struct pipeline *pipeline = redrive->pipeline;
    struct row *row = &redrive->rows[i];
    struct intake_message message = message_of(redrive, i);
    struct redriven redriven = {redrive->listed.rows[i].reason, REASON_COUNT};
    struct part part = {.topic = message.topic,
                        .partition = message.partition,
                        .base = redrive->claimed.base_offset};
    int64_t duplicates = pipeline->stats.duplicates;
    int64_t heartbeats = pipeline->stats.heartbeats;
    int rejected = pipeline->rejected_count;
    pipeline->redriven = &redriven;
    enum fx_code code = take_event(pipeline, &part, &message, err);
    pipeline->redriven = NULL;
    if (code != FX_OK)
        return code;
    row->verdict = redriven.verdict;
    row->state = ROW_COUNTED;
    if (row->verdict != REASON_COUNT) {
        row->state = ROW_STAYS;
    } else if (pipeline->rejected_count > rejected) {
        row->state = ROW_ANEW;
        row->verdict = pipeline->rejected[rejected].reason;
    } else if (pipeline->stats.duplicates > duplicates) {
        row->state = ROW_DUPLICATE;
    }
    bool is_event = pipeline->stats.heartbeats == heartbeats;
    bool is_free = row->state == ROW_COUNTED || row->state == ROW_DUPLICATE;
    if (row->is_tallied && is_event && is_free)
        untally(redrive, i);
    return FX_OK;
}

/* A record that is gone from Kafka, of a number that may have counted by a copy since. Heartbeats
 * have none. */
static bool may_be_copied(const struct redrive *redrive, int i)
{
    const struct flush_rejected *row = &redrive->listed.rows[i];
    return redrive->rows[i].state == ROW_GONE && row->has_envelope && row->seq > 0;
}

static void want_gone(struct redrive *redrive, int i)
{
    const struct flush_rejected *row = &redrive->listed.rows[i];
    struct claim_wanted wanted = {.topic = row->topic, .run = row->run};
    memcpy(wanted.source, row->source, strlen(row->source));
    redrive->wanted[redrive->wanted_count++] = wanted;
}

/* If a copy counted, it is a duplicate, though nobody can read it any more. */
static void settle_gone(struct redrive *redrive, int i)
{
    struct pipeline *pipeline = redrive->pipeline;
    const struct flush_rejected *row = &redrive->listed.rows[i];
    struct ledger_key key = {(uint16_t)row->topic, row->run, row->source, strlen(row->source)};
    int index = ledger_lookup(pipeline->ledger, &key);
    if (index < 0)
        return;
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, index);
    if (ledger_judge(entry, row->partition, row->seq, false) != LEDGER_DUPLICATE)
        return;
    take_tally(pipeline, index, row->append_ms, (struct ledger_tally){.duplicates = 1});
    redrive->rows[i].state = ROW_DUPLICATE;
    if (redrive->rows[i].is_tallied)
        untally(redrive, i);
}

/* Takes the batch's records; those that find no room are listed again. */
static enum fx_code take_batch(struct redrive *redrive, struct fx_err *err)
{
    redrive->taken = 0;
    for (int i = 0; i < redrive->listed.count; i++) {
        struct row *row = &redrive->rows[i];
        bool is_fetched = row->state == ROW_FETCHED;
        if (may_be_copied(redrive, i))
            settle_gone(redrive, i);
        if (is_fetched && take_again(redrive, i, err) != FX_OK)
            return err->code;
        if (is_fetched && row->state != ROW_STAYS) {
            const struct flush_rejected *event = &redrive->listed.rows[i];
            redrive->pipeline->latest =
                (struct refused){event->topic, event->partition, event->offset};
            redrive->taken++;
        }
        if (take_room(redrive->pipeline) <= 0)
            redrive->listed.count = i + 1;
    }
    return FX_OK;
}

static int list_settled(struct redrive *redrive)
{
    int count = 0;
    for (int i = 0; i < redrive->listed.count; i++) {
        enum row_state state = redrive->rows[i].state;
        if (state < ROW_COUNTED)
            continue;
        redrive->settled[count++] = (struct flush_settled){
            &redrive->listed.rows[i], state == ROW_COUNTED     ? SETTLED_COUNTED
                                      : state == ROW_DUPLICATE ? SETTLED_DUPLICATE
                                                               : SETTLED_ANEW};
    }
    return count;
}

/* The position stays where it is, but it must be the one that was claimed. */
static enum fx_code send_flush(struct redrive *redrive, int settled_count, struct fx_err *err)
{
    const struct claim_partition *claimed = &redrive->claimed;
    struct flush_position position = {.topic = claimed->topic,
                                      .partition = claimed->partition,
                                      .generation = claimed->generation,
                                      .old_next = claimed->next_offset,
                                      .new_next = claimed->next_offset,
                                      .append_high_ms = claimed->append_high_ms,
                                      .has_bookmark = claimed->has_bookmark,
                                      .bookmark = claimed->bookmark};
    struct flush flush;
    if (compose_flush(redrive->pipeline, &flush, err) != FX_OK)
        return err->code;
    flush.positions = &position;
    flush.position_count = 1;
    flush.settled = redrive->settled;
    flush.settled_count = settled_count;
    if (store_send(redrive->options.store, &flush, err) != FX_OK)
        return err->code;
    compose_sent(redrive->pipeline);
    redrive->is_in_flight = true;
    return FX_OK;
}

enum fx_code redrive_send_batch(struct redrive *redrive, struct fx_err *err)
{
    bool is_claim_needed = false;
    redrive->wanted_count = 0;
    for (int i = 0; i < redrive->listed.count; i++) {
        if (redrive->rows[i].state == ROW_FETCHED)
            judge_record(redrive, i);
        if (may_be_copied(redrive, i))
            want_gone(redrive, i);
        is_claim_needed |= redrive->rows[i].state == ROW_FETCHED || may_be_copied(redrive, i);
    }
    if (is_claim_needed &&
        (claim_partition(redrive, err) != FX_OK || take_batch(redrive, err) != FX_OK))
        return err->code;
    int settled_count = list_settled(redrive);
    if (settled_count > 0)
        return send_flush(redrive, settled_count, err);
    redrive_finish_batch(redrive);
    return FX_OK;
}

static void tell_gone(const struct redrive *redrive, const struct flush_rejected *row)
{
    const char *topic = redrive->options.topics[row->topic];
    if (row->has_envelope)
        fx_log(FX_LOG_WARN, "gone", "topic=%s partition=%d offset=%lld resend=%s:%012llx:%lld",
               topic, (int)row->partition, (long long)row->offset, row->source,
               (unsigned long long)row->run, (long long)row->seq);
    else
        fx_log(FX_LOG_WARN, "gone", "topic=%s partition=%d offset=%lld", topic, (int)row->partition,
               (long long)row->offset);
}

static void tally(struct redrive *redrive, int i)
{
    struct redrive_stats *stats = &redrive->stats;
    const struct row *row = &redrive->rows[i];
    stats->rows++;
    switch (row->state) {
    case ROW_COUNTED:
        stats->counted++;
        return;
    case ROW_DUPLICATE:
        stats->duplicates++;
        return;
    case ROW_STAYS:
    case ROW_ANEW:
        stats->rejected[row->verdict]++;
        return;
    case ROW_GONE:
    case ROW_WANTED:
    case ROW_FETCHED:
        break;
    }
    stats->gone++;
    tell_gone(redrive, &redrive->listed.rows[i]);
}

void redrive_finish_batch(struct redrive *redrive)
{
    struct rejected_list *listed = &redrive->listed;
    bool is_committed = redrive->is_in_flight;
    for (int i = 0; i < listed->count; i++)
        tally(redrive, i);
    const struct flush_rejected *last = &listed->rows[listed->count - 1];
    fx_log(FX_LOG_DEBUG, "batch", "topic=%s partition=%d rows=%d taken=%d",
           redrive->options.topics[last->topic], (int)last->partition, listed->count,
           is_committed ? redrive->taken : 0);
    listed->topic = last->topic;
    listed->partition = last->partition;
    listed->offset = last->offset;
    listed->count = 0;
    redrive->is_in_flight = false;
    redrive->trouble[0] = '\0';
    retry_reset(&redrive->retry);
    if (redrive->batch_max < REDRIVE_BATCH_MAX)
        redrive->batch_max *= 2;
    if (redrive->has_company && is_committed)
        redrive->next_ms = redrive->now_ms + PAUSE_MS;
}

/* The database refuses a value of the flush: find the message by halving, as pipeline.c. */
void redrive_note_failure(struct redrive *redrive, enum fx_code code)
{
    struct pipeline *pipeline = redrive->pipeline;
    bool is_slow = code == FX_ECLAIM && store_conflict(redrive->options.store) == STORE_SLOW;
    if (code == FX_EREFUSED && redrive->taken == 1) {
        pipeline->refused[0] = pipeline->flight_latest;
        pipeline->refused_count = 1;
    } else if (code == FX_EREFUSED || is_slow) {
        redrive->batch_max = redrive->listed.count > 1 ? redrive->listed.count / 2 : 1;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* arrive - which message is the next one of its partition, and whether it is the Kafka we knew. */
#include "claim.h"

#include "../common/log.h"

#include <string.h>

#define CLOCK_AHEAD_MS INT64_C(3600000)

static struct part *find_part(struct pipeline *pipeline, const struct intake_message *message)
{
    struct part *recent = pipeline->recent;
    if (recent != NULL && recent->partition == message->partition &&
        recent->topic == message->topic)
        return recent;
    for (int i = 0; i < pipeline->part_count; i++) {
        struct part *part = &pipeline->parts[i];
        if (part->partition == message->partition && part->topic == message->topic)
            return pipeline->recent = part;
    }
    return NULL;
}

static void append_bytes(uint8_t *out, size_t *used, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(out + *used, bytes, size);
    *used += size;
}

/* Keeps what the bookmark is made of: sizes, append time, key and value. */
static void keep_last(struct part *part, const struct intake_message *message)
{
    size_t need = 2 * sizeof(uint64_t) + sizeof(int64_t) + message->key_size + message->value_size;
    uint64_t sizes[2] = {message->key_size, message->value_size};
    part->has_bookmark = true;
    if (need > LAST_RECORD_MAX) {
        uint64_t hash = digest_u64(message->value, message->value_size);
        hash ^= digest_u64(message->key, message->key_size) ^ (uint64_t)message->append_ms;
        part->bookmark = (int64_t)(hash ^ sizes[0] ^ (sizes[1] << 32));
        part->last_size = 0;
        return;
    }
    size_t used = 0;
    append_bytes(part->last, &used, sizes, sizeof sizes);
    append_bytes(part->last, &used, &message->append_ms, sizeof message->append_ms);
    append_bytes(part->last, &used, message->key, message->key_size);
    append_bytes(part->last, &used, message->value, message->value_size);
    part->last_size = (uint32_t)used;
}

int64_t arrive_bookmark(struct part *part)
{
    if (part->last_size > 0) {
        part->bookmark = (int64_t)digest_u64(part->last, part->last_size);
        part->last_size = 0;
    }
    return part->bookmark;
}

/* The first message after a claim is the last one counted before it, or Kafka is not what it was:
 * the topic was made anew, cut off, or belongs to another cluster. */
static void verify_bookmark(struct pipeline *pipeline, struct part *part,
                            const struct intake_message *message)
{
    int64_t expected = part->bookmark;
    bool is_there = message->offset == part->next - 1;
    if (is_there)
        keep_last(part, message);
    if (!is_there || arrive_bookmark(part) != expected) {
        part->bookmark = expected;
        part->last_size = 0;
        struct claim_range lost = {.first = part->low, .last = part->next - 1};
        (void)claim_refuse_loss(pipeline, part, &lost,
                                "were counted, but the last of them is another record now: the "
                                "topic was recreated or truncated, or this is another cluster",
                                &pipeline->doubt);
        return;
    }
    part->is_verifying = false;
}

/* Whether message came only because offsets ahead were asked for, see unread.h. */
static bool is_too_far(struct part *part)
{
    if (part->unread.stride < 2)
        return false;
    if (part->seek_wanted < 0 && unread_went_too_far(&part->unread, part->next))
        part->seek_wanted = part->unread.probe;
    return part->seek_wanted >= 0;
}

/* false: message is not the one to take now. */
static bool is_next(struct pipeline *pipeline, struct part *part,
                    const struct intake_message *message)
{
    if (part->is_verifying) {
        verify_bookmark(pipeline, part, message);
        return false;
    }
    if (message->offset < part->next)
        return false; /* fetched before the last claim */
    if (message->offset == part->next)
        return true;
    if (is_too_far(part))
        return false;
    if (part->sought != part->next) {
        part->sought = part->seek_wanted = part->next;
        return false;
    }
    if (part->seek_wanted >= 0)
        return false; /* not sought yet */
    pipeline->holes[pipeline->hole_count++] =
        (struct flush_hole){part->topic, part->partition, part->next, message->offset - 1};
    part->next = message->offset;
    return true;
}

/* Whether a person accepted that the record has no time of Kafka's. */
static bool is_untimed(const struct pipeline *pipeline, const struct intake_message *message)
{
    for (int i = 0; i < pipeline->untimed_count; i++) {
        const struct claim_range *range = &pipeline->untimed[i];
        if (range->topic == message->topic && range->partition == message->partition &&
            range->first <= message->offset && message->offset <= range->last)
            return true;
    }
    return false;
}

/* The producer's clock may say anything: it would decide when wrong clocks are found out. What
 * Kafka said last is older than the record, but true; where it never said anything, the producer's
 * time is believed as far as it is past. */
static int64_t trusted_ms(const struct pipeline *pipeline, const struct part *part,
                          const struct intake_message *message)
{
    if (message->is_append_time)
        return message->append_ms;
    if (part->append_high_ms > 0)
        return part->append_high_ms;
    return message->append_ms < pipeline->now_ms ? message->append_ms : pipeline->now_ms;
}

/* Silence and wrong clocks of sources are judged by Kafka's time, which no later record can take
 * back by more than an hour: somebody has to know. */
static void note_ahead(const struct pipeline *pipeline, struct part *part, int64_t append_ms)
{
    if (part->is_ahead || append_ms < pipeline->now_ms + CLOCK_AHEAD_MS)
        return;
    part->is_ahead = true;
    fx_log(FX_LOG_ERROR, "clock_ahead",
           "topic=%s partition=%d offset=%lld ahead_ms=%lld msg=\"a broker's clock, or ours: until "
           "then nobody is known to be silent\"",
           pipeline->options.topics[part->topic], (int)part->partition, (long long)part->next,
           (long long)(append_ms - pipeline->now_ms));
}

static void refuse_time(struct pipeline *pipeline, const struct part *part)
{
    struct claim_range lost = {.first = part->next, .last = part->next};
    if (part->end - 1 > lost.last)
        lost.last = part->end - 1;
    (void)claim_refuse_loss(pipeline, part, &lost,
                            "bear their producer's time from the first on: run fx-setup, which "
                            "sets message.timestamp.type=LogAppendTime",
                            &pipeline->doubt);
}

/* In place of a message: its batch cannot be unpacked. The step goes on with it, as Kafka has to be
 * asked, which no callback may wait for. */
static bool note_unread(struct pipeline *pipeline, struct part *part,
                        const struct intake_message *message)
{
    if (part == NULL || part->seek_wanted >= 0)
        return true; /* not asked yet */
    if (part->is_verifying) {
        fx_err_set(&pipeline->doubt, FX_ECLAIM,
                   "topic %s partition %d: offset %lld was counted last, and cannot be unpacked",
                   pipeline->options.topics[part->topic], (int)part->partition,
                   (long long)part->next - 1);
        return false;
    }
    part->is_unread = pipeline->has_unread = true;
    part->unread_base = message->offset;
    return true;
}

/* Takes a place of every table; false: no more messages for now. */
static bool use_place(struct pipeline *pipeline)
{
    if (--pipeline->room <= 0)
        pipeline->room = take_room(pipeline);
    return pipeline->room > 0;
}

/* In place of a message: what lies in front of offset and did not come is markers of transactions,
 * or was aborted. Left alone, the partition would be behind until something comes after it. Until
 * then there is no bookmark: the record in front of the position is none that could be read again.
 */
static bool note_end(struct pipeline *pipeline, struct part *part,
                     const struct intake_message *message)
{
    if (part == NULL || part->is_verifying || message->offset <= part->next ||
        !is_next(pipeline, part, message))
        return true;
    part->has_bookmark = false;
    part->last_size = 0;
    return use_place(pipeline);
}

/* Offsets up to last are a hole from now on. There is no bookmark in them. */
static void give_up(struct pipeline *pipeline, struct part *part, int64_t last)
{
    fx_log(FX_LOG_ERROR, "unread",
           "topic=%s partition=%d first=%lld last=%lld msg=\"a batch that cannot be unpacked, or "
           "to more than receive.message.max.bytes\"",
           pipeline->options.topics[part->topic], (int)part->partition, (long long)part->next,
           (long long)last);
    int count = pipeline->hole_count;
    struct flush_hole *newest = count > 0 ? &pipeline->holes[count - 1] : NULL;
    if (newest != NULL && newest->topic == part->topic && newest->partition == part->partition &&
        newest->last_offset == part->next - 1)
        newest->last_offset = last;
    else
        pipeline->holes[pipeline->hole_count++] =
            (struct flush_hole){part->topic, part->partition, part->next, last};
    pipeline->stats.unread += last - part->next + 1;
    part->next = last + 1;
    part->has_bookmark = false;
    part->last_size = 0;
}

void arrive_step_over(struct pipeline *pipeline)
{
    pipeline->has_unread = false;
    for (int i = 0; i < pipeline->part_count; i++) {
        struct part *part = &pipeline->parts[i];
        struct intake_range range = {.topic = part->topic, .partition = part->partition};
        struct fx_err err = FX_ERR_INIT;
        bool is_unread = part->is_unread;
        part->is_unread = false;
        if (!is_unread || part->seek_wanted >= 0)
            continue;
        part->seek_wanted = part->unread.probe > part->next ? part->unread.probe : part->next;
        if (pipeline->hole_count == PIPELINE_HOLES_MAX ||
            intake_ask_ranges(pipeline->options.intake, &range, 1, &err) != FX_OK)
            continue; /* the same is asked for again */
        int64_t last = unread_failed(&part->unread, part->next, part->unread_base, range.high);
        if (last >= part->next)
            give_up(pipeline, part, last);
        part->seek_wanted = part->unread.probe;
    }
}

bool arrive_message(void *context, const struct intake_message *message)
{
    struct pipeline *pipeline = context;
    struct part *part = find_part(pipeline, message);
    if (pipeline->doubt.code != FX_OK)
        return false;
    if (message->is_unread)
        return note_unread(pipeline, part, message);
    if (message->is_end)
        return note_end(pipeline, part, message);
    if (part == NULL || !is_next(pipeline, part, message))
        return pipeline->doubt.code == FX_OK;
    if (!message->is_append_time && !is_untimed(pipeline, message)) {
        refuse_time(pipeline, part);
        return false;
    }
    struct intake_message timed = *message;
    timed.append_ms = trusted_ms(pipeline, part, message);
    note_ahead(pipeline, part, timed.append_ms);
    pipeline->latest = (struct refused){part->topic, part->partition, message->offset};
    pipeline->latest_append_ms = timed.append_ms;
    if (take_event(pipeline, part, &timed, &pipeline->doubt) != FX_OK)
        return false; /* half done, perhaps: everything uncommitted is dropped */
    if (timed.append_ms > part->append_high_ms)
        part->append_high_ms = timed.append_ms;
    part->next = message->offset + 1;
    keep_last(part, message);
    if (pipeline->stats.messages++ == 0)
        pipeline->stats.began_ms = pipeline->now_ms;
    pipeline->pending++;
    return use_place(pipeline);
}

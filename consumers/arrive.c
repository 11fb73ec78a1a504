/* SPDX-License-Identifier: Apache-2.0 */
/* arrive - which message is the next one of its partition, and whether it is the Kafka we knew. */
#include "pipeline_state.h"

#include <string.h>

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
        fx_err_set(&pipeline->doubt, FX_ESTATE,
                   "topic %d partition %d: record %lld is not the one that was counted: the topic "
                   "was recreated or truncated, or this is another cluster",
                   part->topic, (int)part->partition, (long long)part->next - 1);
        return;
    }
    part->is_verifying = false;
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

bool arrive_message(void *context, const struct intake_message *message)
{
    struct pipeline *pipeline = context;
    struct part *part = find_part(pipeline, message);
    if (pipeline->doubt.code != FX_OK)
        return false;
    if (part == NULL || !is_next(pipeline, part, message))
        return pipeline->doubt.code == FX_OK;
    if (!message->is_append_time) {
        fx_err_set(&pipeline->doubt, FX_ESTATE,
                   "topic %d does not have message.timestamp.type=LogAppendTime: run fx-setup",
                   message->topic);
        return false;
    }
    pipeline->latest = (struct refused){part->topic, part->partition, message->offset};
    if (take_event(pipeline, part, message, &pipeline->doubt) != FX_OK)
        return false; /* half done, perhaps: everything uncommitted is dropped */
    if (message->append_ms > part->append_high_ms)
        part->append_high_ms = message->append_ms;
    part->next = message->offset + 1;
    keep_last(part, message);
    pipeline->stats.messages++;
    pipeline->pending++;
    return take_has_room(pipeline);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_part - an assigned partition, as the files of pipeline_state.h know it. */
#ifndef FX_PIPELINE_PART_H
#define FX_PIPELINE_PART_H

#include "../schemas/schema.h"
#include "../schemas/wire.h"
#include "unread.h"

#define LAST_RECORD_MAX (WIRE_EVENT_MAX + SCHEMA_SOURCE_MAX + 24) /* all that can be an event */

struct part {
    int topic;
    int32_t partition;
    int64_t generation;
    int64_t base;
    int64_t low; /* at the claim: first offset there is, and the one behind the last */
    int64_t end;
    int64_t next;      /* offset of the next message to take */
    int64_t sent_next; /* next as the last flush wrote it */
    int64_t append_high_ms;
    int64_t caught_up_ms; /* everything appended until then is taken; 0: not known */
    int64_t sent_caught_up_ms;
    int64_t sought;      /* offset that was sought once after a jump, -1: none */
    int64_t seek_wanted; /* -1: none */
    int64_t bookmark;    /* of record next - 1 */
    bool has_bookmark;
    bool is_ahead;       /* an append time was far ahead of our clock since the claim */
    bool is_verifying;   /* the first message must be the bookmarked one */
    bool is_unread;      /* a batch could not be unpacked since the last step */
    int64_t unread_base; /* its first offset */
    struct unread unread;
    uint32_t last_size; /* bytes of the last record kept in last, 0: bookmark is current */
    uint8_t last[LAST_RECORD_MAX];
};

#endif

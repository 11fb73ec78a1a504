/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_encode - the bytes of what a message of fake_kinds says.
 */
#ifndef FX_FAKE_ENCODE_H
#define FX_FAKE_ENCODE_H

#include "fake_saying.h"

#include "../../schemas/wire.h"

#define SAYING_SIZE_MAX 256

struct saying_bytes {
    uint8_t bytes[SAYING_SIZE_MAX];
    size_t size;
};

static inline void saying_put_long(struct saying_bytes *out, int64_t value)
{
    assert_true(out->size + 10 <= sizeof out->bytes);
    out->size += wire_write_long(out->bytes + out->size, value);
}

static inline void saying_put_text(struct saying_bytes *out, const char *text)
{
    size_t size = strlen(text);
    saying_put_long(out, (int64_t)size);
    assert_true(out->size + size <= sizeof out->bytes);
    memcpy(out->bytes + out->size, text, size);
    out->size += size;
}

/* Branch 0 is null in every union here. */
static inline void saying_put_nullable(struct saying_bytes *out, int64_t value)
{
    saying_put_long(out, value != SAYING_NEVER);
    if (value != SAYING_NEVER)
        saying_put_long(out, value);
}

static inline void saying_put_heartbeat(struct saying_bytes *out, const struct saying *saying)
{
    saying_put_long(out, saying->seq);
    saying_put_long(out, 1); /* ALIVE */
    saying_put_long(out, saying->last_seq);
    saying_put_long(out, saying->acked_seq);
    saying_put_long(out, 1);
    saying_put_long(out, 0);
    saying_put_long(out, saying->is_closed); /* OPEN or CLOSED */
    saying_put_nullable(out, SAYING_NEVER);
    saying_put_nullable(out, SAYING_NEVER);
    saying_put_nullable(out, SAYING_NEVER);
    saying_put_text(out, saying->region);
    saying_put_long(out, saying->occurred_ms);
}

static inline void saying_put_gate(struct saying_bytes *out, const struct saying *saying)
{
    saying_put_long(out, saying->post);
    saying_put_text(out, saying->lane);
    assert_true(out->size < sizeof out->bytes);
    out->bytes[out->size++] = saying->first;
    saying_put_long(out, saying->persons);
    saying_put_long(out, saying->persons - saying->children);
    saying_put_long(out, saying->children);
    saying_put_nullable(out, saying->wait_s);
    saying_put_long(out, saying->origin != NULL);
    if (saying->origin != NULL)
        saying_put_text(out, saying->origin);
}

/* The value of the message. */
static inline struct saying_bytes saying_encode(const struct catalog *catalog,
                                                const struct saying *saying)
{
    struct saying_bytes out = {.size = WIRE_HEADER_SIZE};
    const struct kind *kind =
        saying->is_heartbeat ? &catalog->heartbeat : &catalog->kinds[saying->topic].kind;
    wire_write_header(out.bytes, kind_current(kind)->fingerprint);
    saying_put_text(&out, saying->source);
    saying_put_long(&out, saying->run);
    if (saying->is_heartbeat) {
        saying_put_heartbeat(&out, saying);
        return out;
    }
    saying_put_long(&out, saying->seq);
    saying_put_long(&out, saying->occurred_ms);
    saying_put_text(&out, saying->region);
    saying_put_long(&out, saying->sign);
    saying_put_nullable(&out, saying->reverses_run);
    saying_put_nullable(&out, saying->reverses_seq);
    saying_put_nullable(&out, saying->counted_ms);
    if (saying->topic == TOPIC_BELL)
        saying_put_long(&out, saying->persons);
    else
        saying_put_gate(&out, saying);
    return out;
}

#endif

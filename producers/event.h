/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - one record as a row of values, and its two forms: Avro bytes and JSON.
 *
 * values[i] belongs to schema->fields[i]. Works for every kind's record and for the heartbeat's.
 * Encodes directly (zigzag varints, lengths, branch numbers): the schema language is small enough
 * that a general Avro writer would only add allocations.
 *
 * Pure: no I/O, no clock; event_encode and event_decode do not allocate.
 * Ownership: texts are borrowed, from the line or from the bytes that were decoded.
 *
 * Source: Avro 1.11 specification, "Binary Encoding".
 */
#ifndef FX_EVENT_H
#define FX_EVENT_H

#include "../common/buf.h"
#include "../common/err.h"
#include "../schemas/schema.h"
#include "../schemas/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_value {
    int64_t number;   /* int, long, time in ms, symbol's index, 0 or 1 */
    const char *text; /* FIELD_STRING: borrowed, size bytes, not always terminated */
    int size;
    bool is_null;
};

struct event {
    const struct schema *schema; /* borrowed; says what values mean */
    struct event_value values[SCHEMA_FIELDS_MAX];
};

/* Every value 0, "" or, where the field can be, null. */
void event_reset(struct event *event, const struct schema *schema);

/* For fields known by name; the field must exist. */
void event_set_number(struct event *event, const char *field, int64_t number);
void event_set_text(struct event *event, const char *field, const char *text);

/* The values of the fixed envelope, for code that reads better with a name. */
const struct event_value *event_envelope(const struct event *event, enum envelope_field field);

/*
 * Single-object encoding into out.
 *
 * FX_EINPUT  longer than WIRE_EVENT_MAX.
 */
FX_MUST_CHECK enum fx_code event_encode(const struct event *event, uint8_t out[WIRE_EVENT_MAX],
                                        size_t *size, struct fx_err *err);

/*
 * The event in bytes, in terms of kind's current schema: fields the writer's version lacked take
 * their default. Texts point into bytes.
 *
 * FX_ESTATE  bytes are not a whole event of this kind. *event is not to be used then.
 */
FX_MUST_CHECK enum fx_code event_decode(const struct kind *kind, const uint8_t *bytes, size_t size,
                                        struct event *event, struct fx_err *err);

/* Appends text as a JSON string, quotes included; bytes that are no UTF-8 become '?'. */
void event_append_text(struct buf *out, const char *text, size_t size);

/* Appends the event as one line of JSON without newline, times in the reporting zone's form. */
void event_append_json(const struct event *event, struct buf *out);

#endif

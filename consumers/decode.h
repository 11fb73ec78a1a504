/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode - Avro bytes of one writer's schema into the numbers and texts of the current one.
 *
 * A decoder walks the bytes once, with bounds checks and without the heap. Its result is indexed
 * by the fields of the kind's current schema: enum symbols are translated, fields the writer did
 * not have take the newest default. Stricter than avro-c on purpose: varints in shortest form,
 * booleans 0 or 1, UTF-8 without NUL, nothing behind the last field.
 *
 * Pure. A decoder is read-only after decoder_open. Source: Avro 1.11 specification, "Binary
 * Encoding".
 */
#ifndef FX_DECODE_H
#define FX_DECODE_H

#include "../schemas/schema.h"

struct decoded_text {
    const char *bytes; /* inside the message; not terminated */
    uint32_t size;
};

struct decoded {
    int64_t
        numbers[SCHEMA_FIELDS_MAX + 8]; /* int, long, boolean, index of an enum's symbol; 0 for
                                         * null; room behind the last, eight are written at once */
    struct decoded_text texts[SCHEMA_FIELDS_MAX]; /* of strings only; "" for null */
    bool is_null[SCHEMA_FIELDS_MAX];
    int invalid_field;  /* out of its bounds, the first that the writer wrote; -1: none */
    int mismatched_sum; /* first sum that does not add up; -1: none, or a field is invalid */
};

struct decoder;

/* FX_EMEMORY. Borrows both schemas while it is open. */
FX_MUST_CHECK enum fx_code decoder_open(const struct schema *writer, const struct schema *current,
                                        struct decoder **decoder, struct fx_err *err);
void decoder_close(struct decoder *decoder);

/* Whether it has code of its own, made when the program was built (straight.h). */
bool decoder_is_straight(const struct decoder *decoder);

/*
 * Decodes a whole body. false: it is no value of the writer's schema (out is undefined). true:
 * out is filled; a value outside its bounds or a sum that is wrong is named in it.
 */
bool decoder_run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out);

#endif

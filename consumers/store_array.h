/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_array - one-dimensional PostgreSQL arrays in binary form, as parameters for unnest.
 *
 *   ndim = 1 | has null | element type | count | lower bound = 1 | (size | bytes)*   all int32, BE
 *
 * Source: PostgreSQL 15, src/backend/utils/adt/arrayfuncs.c (array_recv).
 * An allocation that failed shows at buf_check of buf, and nothing after it is added. Memory is
 * kept from array_begin to array_begin.
 */
#ifndef FX_STORE_ARRAY_H
#define FX_STORE_ARRAY_H

#include "../common/buf.h"

/* Element types: OIDs of pg_type.dat, fixed for ever. */
enum array_type {
    ARRAY_BOOL = 16,
    ARRAY_BYTEA = 17,
    ARRAY_INT8 = 20,
    ARRAY_INT4 = 23,
    ARRAY_TEXT = 25,
    ARRAY_DATE = 1082,
    ARRAY_TIMESTAMPTZ = 1184
};

struct array {
    struct buf buf;
    int32_t count;
    bool has_null;
};

void array_begin(struct array *array, enum array_type type);
void array_add_null(struct array *array);
void array_add_bool(struct array *array, bool value);
void array_add_int4(struct array *array, int32_t value);
void array_add_int8(struct array *array, int64_t value);
void array_add_bytes(struct array *array, const void *bytes, size_t size);
void array_add_text(struct array *array, const char *text);

/* An instant in milliseconds since 1970; far ones are clamped to what PostgreSQL can hold. */
void array_add_instant(struct array *array, int64_t instant_ms);

/* The day of the reporting zone that ends at end_ms, exclusive. */
void array_add_day(struct array *array, int64_t end_ms);

/* Writes count and null flag into the header. */
void array_end(struct array *array);
void array_release(struct array *array);

#endif

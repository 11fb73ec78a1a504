/* SPDX-License-Identifier: Apache-2.0 */
#include "store_array.h"

#include "../common/day.h"

#include <string.h>

#define EPOCH_2000_MS INT64_C(946684800000)
/* within timestamptz's 4713 BC to 294276 AD */
#define INSTANT_MIN_MS INT64_C(-200000000000000)
#define INSTANT_MAX_MS INT64_C(9000000000000000)

static void put_int4(uint8_t *out, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    for (int i = 3; i >= 0; i--, bits >>= 8)
        out[i] = (uint8_t)bits;
}

static void put_int8(uint8_t *out, int64_t value)
{
    uint64_t bits = __builtin_bswap64((uint64_t)value);
    memcpy(out, &bits, sizeof bits);
}

void array_begin(struct array *array, enum array_type type)
{
    uint8_t header[20] = {0};
    put_int4(header, 1);
    put_int4(header + 8, (int32_t)type);
    put_int4(header + 16, 1);
    buf_reset(&array->buf);
    buf_append(&array->buf, header, sizeof header);
    array->count = 0;
    array->has_null = false;
}

void array_add_null(struct array *array)
{
    uint8_t size[4];
    put_int4(size, -1);
    buf_append(&array->buf, size, sizeof size);
    array->count++;
    array->has_null = true;
}

void array_add_bytes(struct array *array, const void *bytes, size_t size)
{
    uint8_t head[4];
    put_int4(head, (int32_t)size);
    buf_append(&array->buf, head, sizeof head);
    buf_append(&array->buf, bytes, size);
    array->count++;
}

void array_add_bool(struct array *array, bool value)
{
    uint8_t byte = value;
    array_add_bytes(array, &byte, 1);
}

void array_add_int4(struct array *array, int32_t value)
{
    uint8_t bytes[4];
    put_int4(bytes, value);
    array_add_bytes(array, bytes, sizeof bytes);
}

void array_add_int8(struct array *array, int64_t value)
{
    uint8_t *out = buf_reserve(&array->buf, 12);
    if (out == NULL)
        return;
    put_int4(out, 8);
    put_int8(out + 4, value);
    array->buf.size += 12;
    array->count++;
}

void array_add_text(struct array *array, const char *text)
{
    array_add_bytes(array, text, strlen(text));
}

void array_add_instant(struct array *array, int64_t instant_ms)
{
    if (instant_ms < INSTANT_MIN_MS)
        instant_ms = INSTANT_MIN_MS;
    if (instant_ms > INSTANT_MAX_MS)
        instant_ms = INSTANT_MAX_MS;
    array_add_int8(array, (instant_ms - EPOCH_2000_MS) * 1000);
}

void array_add_day(struct array *array, int64_t end_ms)
{
    int64_t local_ms = end_ms - 1 + DAY_ZONE_OFFSET_MS - EPOCH_2000_MS;
    array_add_int4(array, (int32_t)(day_bucket_ms(local_ms, DAY_MS) / DAY_MS));
}

void array_end(struct array *array)
{
    if (array->buf.is_failed)
        return;
    put_int4(array->buf.data + 4, array->has_null);
    put_int4(array->buf.data + 12, array->count);
}

void array_release(struct array *array)
{
    buf_release(&array->buf);
}

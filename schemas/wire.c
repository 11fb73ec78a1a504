/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "../common/err.h"

#include <endian.h>
#include <string.h>

#define FINGERPRINT_EMPTY UINT64_C(0xc15d213aa4d7a795) /* also the polynomial */
#define VARINT_MAX 10

/* Bit by bit: a fingerprint is computed once per schema at start, so a table earns nothing. */
uint64_t wire_fingerprint(const char *bytes, size_t size)
{
    uint64_t state = FINGERPRINT_EMPTY;
    for (size_t i = 0; i < size; i++) {
        state ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (FINGERPRINT_EMPTY & (0 - (state & 1)));
    }
    return state;
}

void wire_write_header(uint8_t out[WIRE_HEADER_SIZE], uint64_t fingerprint)
{
    out[0] = 0xc3;
    out[1] = 0x01;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)(fingerprint >> (8 * i));
}

bool wire_read_header(const uint8_t *bytes, size_t size, uint64_t *fingerprint)
{
    if (size < WIRE_HEADER_SIZE || bytes[0] != 0xc3 || bytes[1] != 0x01)
        return false;
    memcpy(fingerprint, bytes + 2, sizeof *fingerprint);
    *fingerprint = le64toh(*fingerprint);
    return true;
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Kafka's variant of MurmurHash2: fixed seed, words little-endian, the tail in one step. */
static uint32_t hash_murmur2(const uint8_t *bytes, size_t size)
{
    const uint32_t mix = UINT32_C(0x5bd1e995);
    uint32_t hash = UINT32_C(0x9747b28c) ^ (uint32_t)size;
    for (; size >= 4; bytes += 4, size -= 4) {
        uint32_t word = read_u32(bytes) * mix;
        word = (word ^ word >> 24) * mix;
        hash = hash * mix ^ word;
    }
    if (size > 0) {
        uint8_t tail[4] = {0};
        memcpy(tail, bytes, size);
        hash = (hash ^ read_u32(tail)) * mix;
    }
    hash = (hash ^ hash >> 13) * mix;
    return hash ^ hash >> 15;
}

int32_t wire_partition(const char *key, size_t size, int32_t partitions)
{
    fx_assert(partitions >= 1);
    uint32_t hash = hash_murmur2((const uint8_t *)key, size);
    return (int32_t)(hash & UINT32_C(0x7fffffff)) % partitions;
}

size_t wire_write_long(uint8_t *out, int64_t value)
{
    uint64_t rest = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    size_t size = 0;
    for (; rest >= 0x80; rest >>= 7)
        out[size++] = (uint8_t)(rest | 0x80);
    out[size++] = (uint8_t)rest;
    return size;
}

/*
 * A varint of at most eight bytes, all of them in one word: seven bits of each are moved together
 * in three steps, without a loop. 0: it is longer, or not in its shortest form.
 */
static size_t read_word(const uint8_t *bytes, uint64_t *bits)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    word = le64toh(word);
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);
    if (ends == 0)
        return 0;
    int last = __builtin_ctzll(ends); /* the high bit of the last byte */
    word &= UINT64_MAX >> (63 - last);
    if (last > 7 && word >> (last - 7) == 0)
        return 0;
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    *bits = (word & UINT64_C(0x0fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    return (size_t)(last + 1) / 8;
}

static int64_t unzigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
}

bool wire_read_long_varint(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    const uint8_t *bytes = *at;
    size_t left = (size_t)(end - bytes);
    uint64_t bits = 0;
    size_t size = left < sizeof bits ? 0 : read_word(bytes, &bits);
    if (size > 0) {
        *at = bytes + size;
        *value = unzigzag(bits);
        return true;
    }
    for (size_t i = 0; i < left && i < VARINT_MAX; i++) {
        uint8_t byte = bytes[i];
        bits |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        bool is_shortest = byte != 0 || i == 0;
        bool is_overflow = i == VARINT_MAX - 1 && byte > 1;
        if (!is_shortest || is_overflow)
            return false;
        *at = bytes + i + 1;
        *value = unzigzag(bits);
        return true;
    }
    return false;
}

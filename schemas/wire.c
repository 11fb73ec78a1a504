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

bool wire_read_long_varint(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    const uint8_t *bytes = *at;
    size_t left = (size_t)(end - bytes);
    uint64_t word;
    if (left >= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        size_t size = wire_read_word(le64toh(word), value);
        *at = bytes + size;
        if (size > 0)
            return true;
    }
    uint64_t bits = 0;
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
        *value = wire_unzigzag(bits);
        return true;
    }
    return false;
}

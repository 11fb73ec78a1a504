/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash - a quick, seeded hash for in-memory tables on the per-event path.
 *
 * Multiply-and-fold over 8-byte words (the idea of wyhash, Wang Yi, public domain). Not for
 * anything durable or secret: values differ from seed to seed and may change between releases.
 * Draw the seed at random where keys come from outside.
 */
#ifndef FX_HASH_H
#define FX_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* The last bytes of a text of less than eight, all of them. Loads that overlap: a copy of a size
 * that the compiler does not know is a call. */
static inline uint64_t hash_short(const uint8_t *at, size_t size)
{
    uint32_t low;
    uint32_t high;
    if (size >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + size - 4, 4);
        return low | (uint64_t)high << 32;
    }
    return size == 0 ? 0 : at[0] | (uint64_t)at[size / 2] << 8 | (uint64_t)at[size - 1] << 16;
}

static inline uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed)
{
    const uint8_t *at = bytes;
    const uint8_t *end = at + size;
    uint64_t state =
        seed ^ hash_mix(size ^ UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db));
    for (; end - at > 8; at += 8)
        state = hash_mix(state ^ hash_load(at), UINT64_C(0x8ebc6af09c88c6e3));
    uint64_t tail = size >= 8 ? hash_load(end - 8) : hash_short(at, size);
    return hash_mix(state ^ tail, UINT64_C(0x589965cc75374cc3));
}

static inline uint64_t hash_u64(uint64_t value, uint64_t seed)
{
    return hash_mix(value ^ seed ^ UINT64_C(0x8ebc6af09c88c6e3), UINT64_C(0x589965cc75374cc3));
}

#endif

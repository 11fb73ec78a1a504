/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_word - eight bytes at once: the part of decode_walk.h that has to do with words.
 */
#ifndef FX_DECODE_WORD_H
#define FX_DECODE_WORD_H

#include "decode_ops.h"

#include <endian.h>
#include <string.h>

/* What is being read, from where it has got to. */
struct reading {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next eight bytes, zeros behind the end. The whole has at least eight. */
FX_INLINE uint64_t next_word(const struct reading *reading)
{
    uint64_t word;
    size_t left = (size_t)(reading->end - reading->at);
    if (left >= WORD) {
        memcpy(&word, reading->at, WORD);
        return le64toh(word);
    }
    memcpy(&word, reading->end - WORD, WORD);
    return left == 0 ? 0 : le64toh(word) >> 8 * (WORD - left);
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

#define INTERLEAVE4(low, high, a, b) __builtin_shufflevector(low, high, a, 4 + (a), b, 4 + (b))

/* The eight bytes of word as eight numbers: each step puts zeros between twice as many. */
FX_INLINE void spread(uint64_t word, int64_t *numbers)
{
    const bytes16 none = {0};
    const bytes16 bytes = (bytes16)(pair){htole64(word), 0};
    const halves8 halves = (halves8)__builtin_shufflevector(bytes, none, 0, 16, 1, 17, 2, 18, 3, 19,
                                                            4, 20, 5, 21, 6, 22, 7, 23);
    const words4 low =
        (words4)__builtin_shufflevector(halves, (halves8)none, 0, 8, 1, 9, 2, 10, 3, 11);
    const words4 high =
        (words4)__builtin_shufflevector(halves, (halves8)none, 4, 12, 5, 13, 6, 14, 7, 15);
    const words4 first = INTERLEAVE4(low, (words4)none, 0, 1);
    const words4 second = INTERLEAVE4(low, (words4)none, 2, 3);
    const words4 third = INTERLEAVE4(high, (words4)none, 0, 1);
    const words4 fourth = INTERLEAVE4(high, (words4)none, 2, 3);
    memcpy(numbers, &first, sizeof first); /* one by one: an array of them would be written twice */
    memcpy(numbers + 2, &second, sizeof second);
    memcpy(numbers + 4, &third, sizeof third);
    memcpy(numbers + 6, &fourth, sizeof fourth);
    for (int i = 0; i < WORD; i++) /* nothing to do where the lowest byte comes first */
        numbers[i] = (int64_t)le64toh((uint64_t)numbers[i]);
}

/*
 * Several steps in one word. Every byte is a whole varint (no high bit), not negative (zigzag's low
 * bit is clear), and not above its limit: limit, with the high bit set, minus the byte then leaves
 * the high bit standing, and never borrows from its neighbour.
 */
FX_INLINE bool take_word(const struct op *op, struct reading *reading, int64_t *numbers)
{
    uint64_t word = next_word(reading) & op->mask;
    uint64_t is_bad = (word & (HIGH_BITS | LOW_BITS)) | (~(op->limits - word) & HIGH_BITS);
    if (is_bad != 0 || reading->end - reading->at < op->count)
        return false;
    spread(word >> 1, &numbers[op->to]);
    reading->at += op->count;
    return true;
}

#endif

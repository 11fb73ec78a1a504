/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_walk - an op's way through the bytes, as inline code. decode.c walks a table of ops with
 * it; what straight_make.c writes has an op's numbers as constants, and no table is left. Private
 * to these two.
 */
#ifndef FX_DECODE_WALK_H
#define FX_DECODE_WALK_H

#include "../common/text.h"
#include "../schemas/wire.h"
#include "decode_word.h"

FX_INLINE bool take_text(const struct op *op, struct reading *reading, struct decoded *out)
{
    const uint8_t *from = reading->at;
    if (from == reading->end || *from >= 0x80 || (*from & 1) != 0)
        return false;
    size_t size = *from++ / 2;
    if (size > (size_t)(reading->end - from) || (int64_t)size > op->max)
        return false;
    const char *bytes = (const char *)from;
    if (op->is_name ? !text_is_name(bytes, size, 64) : !text_is_utf8(bytes, size))
        return false;
    out->texts[op->to] = (struct decoded_text){bytes, (uint32_t)size};
    out->numbers[op->to] = 0;
    reading->at = from + size;
    return true;
}

FX_INLINE bool take_number(const struct op *op, struct reading *reading, int64_t *numbers)
{
    int64_t number;
    size_t size = wire_read_word(next_word(reading), &number);
    bool is_good = size > 0 && size <= (size_t)(reading->end - reading->at);
    if (!is_good || number < op->min || number > op->max)
        return false;
    numbers[op->to] = number;
    reading->at += size;
    return true;
}

/*
 * Its first byte says 0: null, or 2: a number follows. Both at once: of null the number is made of
 * nothing and the size is that of the branch.
 */
FX_INLINE bool take_optional(const struct op *op, struct reading *reading, struct decoded *out)
{
    uint64_t word = next_word(reading);
    uint64_t is_there = word >> 1 & 1;
    uint64_t there = 0 - is_there;
    uint64_t ends = (~(word >> 8) & UINT64_C(0x808080)) | UINT64_C(0x80000000);
    int last = __builtin_ctzll(ends); /* the high bit of the last byte */
    uint64_t bits = word >> 8 & (UINT64_C(0xffffffff) >> (31 - last)) & there;
    bool is_short = last == 7 || bits >> (last - 7) != 0 || is_there == 0; /* the shortest form */
    bits = (bits & 0x7f) | (bits >> 1 & 0x3f80) | (bits >> 2 & 0x1fc000);
    int64_t number = wire_unzigzag(bits);
    size_t size = 1 + ((size_t)(last + 1) / 8 & there);
    bool is_within = (number >= op->min && number <= op->max) || is_there == 0;
    bool is_good = (word & 0xfd) == 0 && (last < 31 || is_there == 0) && is_short && is_within &&
                   size <= (size_t)(reading->end - reading->at);
    if (!is_good)
        return false;
    out->is_null[op->to] = is_there == 0;
    out->numbers[op->to] = number;
    reading->at += size;
    return true;
}

/*
 * The op's steps, each by itself, whatever they find. false: the bytes are no value of them. It is
 * seldom called, and never given the caller's own reading: that stays in registers then.
 */
bool decode_slowly(const struct decoder *decoder, const struct op *op, struct reading *reading,
                   struct decoded *out) __attribute__((cold, noinline));

/* false: not as expected; nothing was taken. The whole has at least eight bytes. */
FX_INLINE bool take_op(const struct op *op, struct reading *reading, struct decoded *out)
{
    switch (op->kind) {
    case OP_WORD:
        return take_word(op, reading, out->numbers);
    case OP_OPTIONAL:
        return take_optional(op, reading, out);
    case OP_NUMBER:
        return take_number(op, reading, out->numbers);
    case OP_TEXT:
        return take_text(op, reading, out);
    case OP_STEPS:
        break;
    }
    return false;
}

FX_INLINE bool decode_op(const struct decoder *decoder, const struct op *op,
                         struct reading *reading, struct decoded *out)
{
    if (__builtin_expect(take_op(op, reading, out), true))
        return true;
    struct reading copy = *reading;
    bool is_taken = decode_slowly(decoder, op, &copy, out);
    *reading = copy;
    return is_taken;
}

/* Only within their bounds are parts small enough to be added without overflow. */
FX_INLINE void check_row(const struct sum_row *row, struct decoded *out)
{
    const int64_t *part = &out->numbers[row->first];
    int64_t parts = 0;
    int i = 0;
    for (; i + 4 <= row->count; i += 4)
        parts += part[i] + part[i + 1] + part[i + 2] + part[i + 3];
    for (; i < row->count; i++)
        parts += part[i];
    if (parts != out->numbers[row->total])
        out->mismatched_sum = row->sum;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "../common/text.h"
#include "../schemas/wire.h"
#include "decode_ops.h"

#include <endian.h>
#include <string.h>

_Static_assert(sizeof((struct decoded *)0)->numbers >=
                   (SCHEMA_FIELDS_MAX + WORD - 1) * sizeof(int64_t),
               "eight numbers from the last field on");

static void fill_defaults(const struct decoder *decoder, struct decoded *out)
{
    for (int i = 0; i < decoder->default_count; i++) {
        int at = decoder->defaults[i];
        const struct field *field = &decoder->current->fields[at];
        out->is_null[at] = field->is_default_null;
        out->numbers[at] = field->is_default_null ? 0 : field->default_number;
        if (field->type == FIELD_STRING && field->default_text != NULL) {
            out->texts[at].bytes = field->default_text;
            out->texts[at].size = (uint32_t)strlen(field->default_text);
        }
    }
}

/* A string: size, then bytes. *is_valid: it keeps to length, UTF-8 and the rule for names. */
static inline bool take_string(const struct step *step, const uint8_t **at, const uint8_t *end,
                               struct decoded_text *text, bool *is_valid)
{
    int64_t size;
    if (!wire_read_long(at, end, &size) || size < 0 || size > end - *at)
        return false;
    text->bytes = (const char *)*at;
    text->size = (uint32_t)size;
    *at += size;
    *is_valid =
        size <= step->max && (step->is_name_checked ? text_is_name(text->bytes, (size_t)size, 64)
                                                    : text_is_utf8(text->bytes, (size_t)size));
    return true;
}

/* A value of the step's type at *at. false: the bytes are no such value. */
static inline bool take_value(const struct step *step, const uint8_t **at, const uint8_t *end,
                              int64_t *number, bool *is_valid)
{
    if (step->type == FIELD_BOOLEAN) {
        if (*at == end || **at > 1)
            return false;
        *number = *(*at)++;
        return true;
    }
    if (!wire_read_long(at, end, number))
        return false;
    if (step->type == FIELD_ENUM) {
        if (*number < 0 || *number >= step->symbol_count)
            return false;
        if (step->symbols != NULL)
            *number = step->symbols[*number];
        return true;
    }
    if (step->type == FIELD_INT && (*number < INT32_MIN || *number > INT32_MAX))
        return false;
    *is_valid = *number >= step->min && *number <= step->max;
    return true;
}

/* One step, whatever it finds. false: the bytes are no value of it. */
static bool run_step(const struct step *step, const uint8_t **at, const uint8_t *end,
                     struct decoded *out)
{
    bool is_null = false;
    bool is_valid = true;
    if (step->is_nullable) {
        int64_t branch;
        if (!wire_read_long(at, end, &branch) || branch < 0 || branch > 1)
            return false;
        is_null = branch == step->null_branch;
    }
    int64_t number = 0;
    struct decoded_text text = {"", 0};
    if (!is_null) {
        bool is_taken = step->type == FIELD_STRING ? take_string(step, at, end, &text, &is_valid)
                                                   : take_value(step, at, end, &number, &is_valid);
        if (!is_taken)
            return false;
    }
    if (step->to < 0)
        return true;
    out->is_null[step->to] = is_null;
    out->numbers[step->to] = number;
    if (step->type == FIELD_STRING)
        out->texts[step->to] = text;
    if (!is_valid && out->invalid_field < 0)
        out->invalid_field = step->to;
    return true;
}

/* What is being read, from where it has got to. */
struct reading {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next eight bytes, zeros behind the end. The whole has at least eight. */
static inline uint64_t next_word(const struct reading *reading)
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

static inline bool take_text(const struct op *op, bool is_name, struct reading *reading,
                             struct decoded *out)
{
    const uint8_t *from = reading->at;
    if (from == reading->end || *from >= 0x80 || (*from & 1) != 0)
        return false;
    size_t size = *from++ / 2;
    if (size > (size_t)(reading->end - from) || (int64_t)size > op->max)
        return false;
    const char *bytes = (const char *)from;
    if (is_name ? !text_is_name(bytes, size, 64) : !text_is_utf8(bytes, size))
        return false;
    out->texts[op->to] = (struct decoded_text){bytes, (uint32_t)size};
    out->numbers[op->to] = 0;
    reading->at = from + size;
    return true;
}

static inline bool take_number(const struct op *op, struct reading *reading, int64_t *numbers)
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
static inline bool take_optional(const struct op *op, struct reading *reading, struct decoded *out)
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

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

#define INTERLEAVE4(low, high, a, b) __builtin_shufflevector(low, high, a, 4 + (a), b, 4 + (b))

/* The eight bytes of word as eight numbers: each step puts zeros between twice as many. */
static inline void spread(uint64_t word, int64_t *numbers)
{
    const bytes16 none = {0};
    const bytes16 bytes = (bytes16)(pair){htole64(word), 0};
    const halves8 halves = (halves8)__builtin_shufflevector(bytes, none, 0, 16, 1, 17, 2, 18, 3, 19,
                                                            4, 20, 5, 21, 6, 22, 7, 23);
    const words4 low =
        (words4)__builtin_shufflevector(halves, (halves8)none, 0, 8, 1, 9, 2, 10, 3, 11);
    const words4 high =
        (words4)__builtin_shufflevector(halves, (halves8)none, 4, 12, 5, 13, 6, 14, 7, 15);
    const words4 all[4] = {
        INTERLEAVE4(low, (words4)none, 0, 1), INTERLEAVE4(low, (words4)none, 2, 3),
        INTERLEAVE4(high, (words4)none, 0, 1), INTERLEAVE4(high, (words4)none, 2, 3)};
    memcpy(numbers, all, sizeof all);
    for (int i = 0; i < WORD; i++) /* nothing to do where the lowest byte comes first */
        numbers[i] = (int64_t)le64toh((uint64_t)numbers[i]);
}

/*
 * Several steps in one word. Every byte is a whole varint (no high bit), not negative (zigzag's low
 * bit is clear), and not above its limit: limit, with the high bit set, minus the byte then leaves
 * the high bit standing, and never borrows from its neighbour.
 */
static inline bool take_word(const struct op *op, struct reading *reading, int64_t *numbers)
{
    uint64_t word = next_word(reading) & op->mask;
    uint64_t is_bad = (word & (HIGH_BITS | LOW_BITS)) | (~(op->limits - word) & HIGH_BITS);
    if (is_bad != 0 || reading->end - reading->at < op->count)
        return false;
    spread(word >> 1, &numbers[op->to]);
    reading->at += op->count;
    return true;
}

/* false: not as expected; nothing was taken. */
static inline bool run_op(const struct decoder *decoder, const struct op *op,
                          struct reading *reading, struct decoded *out)
{
    switch (op->kind) {
    case OP_WORD:
        return take_word(op, reading, out->numbers);
    case OP_OPTIONAL:
        return take_optional(op, reading, out);
    case OP_NUMBER:
        return take_number(op, reading, out->numbers);
    case OP_TEXT:
        return take_text(op, decoder->steps[op->first].is_name_checked, reading, out);
    case OP_STEPS:
        break;
    }
    return false;
}

static bool run_steps(const struct decoder *decoder, const struct op *op, struct reading *reading,
                      struct decoded *out)
{
    for (int i = 0; i < op->count; i++)
        if (!run_step(&decoder->steps[op->first + i], &reading->at, reading->end, out))
            return false;
    return true;
}

static int64_t add_row(const int64_t *first, int count)
{
    int64_t parts = 0;
    int i = 0;
    for (; i + 4 < count; i += 4)
        parts += first[i] + first[i + 1] + first[i + 2] + first[i + 3];
    for (; i < count; i++)
        parts += first[i];
    return parts;
}

static int64_t add_parts(const struct sum *sum, const int64_t *numbers)
{
    int64_t parts = 0;
    for (int i = 0; i < sum->part_count; i++)
        parts += numbers[sum->parts[i]];
    return parts;
}

/* Only within their bounds are parts small enough to be added without overflow. */
static void check_sums(const struct decoder *decoder, struct decoded *out)
{
    const struct schema *schema = decoder->current;
    if (out->invalid_field >= 0)
        return;
    for (int i = schema->sum_count - 1; i >= 0; i--) {
        const struct sum *sum = &schema->sums[i];
        int64_t parts = decoder->is_row[i] ? add_row(&out->numbers[sum->parts[0]], sum->part_count)
                                           : add_parts(sum, out->numbers);
        if (parts != out->numbers[sum->total])
            out->mismatched_sum = i;
    }
}

bool decoder_run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out)
{
    struct reading reading = {bytes, bytes + size};
    const struct op *end = &decoder->ops[decoder->op_count];
    bool is_long = size >= WORD;
    out->invalid_field = -1;
    out->mismatched_sum = -1;
    memcpy(out->is_null, decoder->is_null, sizeof out->is_null);
    for (const struct op *op = decoder->ops; op < end; op++)
        if (!(is_long && run_op(decoder, op, &reading, out)) &&
            !run_steps(decoder, op, &reading, out))
            return false;
    if (reading.at != reading.end)
        return false;
    fill_defaults(decoder, out);
    check_sums(decoder, out);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include "../common/text.h"
#include "../schemas/wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8
#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

/*
 * One field of the writer's record. Most are whole numbers of one byte, in a row: up to eight of
 * them are checked and taken as one word, see take_word. Where a byte is not of that kind, its step
 * decides alone.
 */
struct step {
    enum field_type type;
    bool is_nullable;
    bool is_number;       /* an int or a long that goes somewhere */
    bool is_name_checked; /* the envelope's source: more than UTF-8 */
    int null_branch;
    int to; /* index in the current schema, -1: it has no such field any more */
    int64_t min;
    int64_t max;
    int64_t symbol_count;
    int32_t *symbols; /* writer's index -> current index; NULL if they are the same */
    int word_count;   /* so many steps, this one first, may be one word; 0: none */
    uint64_t mask;    /* the word's bytes */
    uint64_t limits;  /* the highest value of each, with the high bit set */
};

struct decoder {
    const struct schema *current;
    struct step steps[SCHEMA_FIELDS_MAX];
    int step_count;
    bool is_null[SCHEMA_FIELDS_MAX]; /* what is_null begins with: a word says no more */
    int defaults[SCHEMA_FIELDS_MAX]; /* fields the writer does not have */
    int default_count;
    bool is_row[SCHEMA_SUMS_MAX]; /* the sum's parts are fields in a row */
};

static enum fx_code translate_symbols(const struct field *from, const struct field *to,
                                      struct step *step, struct fx_err *err)
{
    step->symbol_count = from->symbol_count;
    bool is_same = true;
    for (int i = 0; i < from->symbol_count; i++)
        is_same &= i < to->symbol_count && strcmp(from->symbols[i], to->symbols[i]) == 0;
    if (is_same)
        return FX_OK;
    step->symbols = calloc((size_t)from->symbol_count, sizeof *step->symbols);
    if (step->symbols == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a decoder");
    for (int i = 0; i < from->symbol_count; i++)
        step->symbols[i] = field_symbol(to, from->symbols[i], strlen(from->symbols[i]));
    return FX_OK;
}

static enum fx_code compile_step(const struct field *from, const struct schema *current,
                                 struct step *step, struct fx_err *err)
{
    step->type = from->type;
    step->is_nullable = from->is_nullable;
    step->null_branch = from->null_branch;
    step->to = schema_field(current, from->name);
    /* bounds may only widen, so the current schema's hold for every writer */
    const struct field *bounds = step->to < 0 ? from : &current->fields[step->to];
    step->is_number = (from->type == FIELD_INT || from->type == FIELD_LONG) && step->to >= 0;
    step->min = bounds->min;
    step->max = from->type == FIELD_STRING ? bounds->max_length : bounds->max;
    if (from->type == FIELD_ENUM)
        return translate_symbols(from, bounds, step, err);
    return FX_OK;
}

/*
 * The highest byte that is a good value of step by itself, if those from 0 up to it are; or -1.
 * The envelope's null is one, as all but reversals have it; another field is null now and then.
 */
static int highest_byte(const struct step *step)
{
    bool is_symbol = step->type == FIELD_ENUM && step->symbols == NULL && step->to >= 0;
    if (!step->is_number && !is_symbol)
        return -1;
    if (step->is_nullable)
        return step->to < ENVELOPE_COUNT && step->null_branch == 0 && step->is_number ? 0 : -1;
    int64_t max = is_symbol ? step->symbol_count - 1 : step->max;
    if (max < 0 || (step->is_number && step->min > 0))
        return -1;
    return max > 63 ? 126 : (int)max * 2; /* zigzag */
}

/* The steps from at on that may be one word: they go to fields in a row. */
static void compile_word(struct decoder *decoder, int at)
{
    struct step *first = &decoder->steps[at];
    first->limits = HIGH_BITS;
    int count = 0;
    while (count < WORD && at + count < decoder->step_count) {
        const struct step *step = &first[count];
        int highest = highest_byte(step);
        if (highest < 0 || step->to != first->to + count)
            break;
        first->limits |= (uint64_t)highest << 8 * count;
        first->mask |= UINT64_C(0xff) << 8 * count++;
    }
    first->word_count = count > 1 ? count : 0;
}

static bool is_in_a_row(const struct sum *sum)
{
    for (int i = 1; i < sum->part_count; i++)
        if (sum->parts[i] != sum->parts[0] + i)
            return false;
    return true;
}

enum fx_code decoder_open(const struct schema *writer, const struct schema *current,
                          struct decoder **decoder, struct fx_err *err)
{
    fx_assert(writer->field_count <= SCHEMA_FIELDS_MAX);
    struct decoder *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a decoder");
    fresh->current = current;
    for (int i = 0; i < writer->field_count && err->code == FX_OK; i++) {
        struct step *step = &fresh->steps[fresh->step_count++];
        if (compile_step(&writer->fields[i], current, step, err) == FX_OK)
            step->is_name_checked = i == ENVELOPE_SOURCE && step->type == FIELD_STRING;
    }
    for (int i = 0; i < fresh->step_count; i++) {
        compile_word(fresh, i);
        if (fresh->steps[i].to >= 0)
            fresh->is_null[fresh->steps[i].to] = fresh->steps[i].is_nullable;
    }
    for (int i = 0; i < current->sum_count; i++)
        fresh->is_row[i] = is_in_a_row(&current->sums[i]);
    for (int i = 0; i < current->field_count; i++)
        if (schema_field(writer, current->fields[i].name) < 0)
            fresh->defaults[fresh->default_count++] = i;
    if (err->code != FX_OK) {
        decoder_close(fresh);
        return err->code;
    }
    *decoder = fresh;
    return FX_OK;
}

void decoder_close(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (int i = 0; i < decoder->step_count; i++)
        free(decoder->steps[i].symbols);
    free(decoder);
}

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

/* Any step. */
static bool run_any(const struct step *step, const uint8_t **at, const uint8_t *end,
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

/* A step; the most frequent kind, a number within its bounds or none, without detours. */
static inline bool run_step(const struct step *step, const uint8_t **at, const uint8_t *end,
                            struct decoded *out)
{
    const uint8_t *from = *at;
    int64_t number = 0;
    if (step->is_number) {
        int64_t branch = !step->null_branch;
        bool is_good = !step->is_nullable || wire_read_long(&from, end, &branch);
        bool is_null = step->is_nullable && branch == step->null_branch;
        if (is_good && !is_null)
            is_good = branch == !step->null_branch && wire_read_long(&from, end, &number) &&
                      number >= step->min && number <= step->max;
        if (is_good) {
            out->is_null[step->to] = is_null;
            out->numbers[step->to] = number;
            *at = from;
            return true;
        }
        from = *at;
    }
    bool is_taken = run_any(step, &from, end, out);
    *at = from;
    return is_taken;
}

/*
 * Several steps in one word. Every byte is a whole varint (no high bit), not negative (zigzag's low
 * bit is clear), and not above its limit: limit, with the high bit set, minus the byte then leaves
 * the high bit standing, and never borrows from its neighbour. false: not so; nothing was taken.
 */
static inline bool take_word(const struct step *first, const uint8_t **at, const uint8_t *end,
                             int64_t *numbers)
{
    uint64_t word;
    if (end - *at < WORD)
        return false;
    memcpy(&word, *at, WORD);
    word = le64toh(word) & first->mask;
    if ((word & (HIGH_BITS | LOW_BITS)) != 0 || ((first->limits - word) & HIGH_BITS) != HIGH_BITS)
        return false;
    int count = first->word_count;
    *at += count;
    if (count == WORD) /* unrolled */
        for (int i = 0; i < WORD; i++)
            numbers[i] = (int64_t)(word >> (8 * i + 1) & 0x7f);
    else
        for (int i = 0; i < count; i++)
            numbers[i] = (int64_t)(word >> (8 * i + 1) & 0x7f);
    return true;
}

static int64_t add_parts(const struct sum *sum, bool is_row, const int64_t *numbers)
{
    int64_t parts = 0;
    const int64_t *first = &numbers[sum->parts[0]];
    if (is_row)
        for (int i = 0; i < sum->part_count; i++)
            parts += first[i];
    else
        for (int i = 0; i < sum->part_count; i++)
            parts += numbers[sum->parts[i]];
    return parts;
}

/* Only within their bounds are parts small enough to be added without overflow. */
static void check_sums(const struct decoder *decoder, struct decoded *out)
{
    const struct schema *schema = decoder->current;
    for (int i = 0; out->invalid_field < 0 && i < schema->sum_count; i++) {
        int64_t parts = add_parts(&schema->sums[i], decoder->is_row[i], out->numbers);
        if (parts != out->numbers[schema->sums[i].total] && out->mismatched_sum < 0)
            out->mismatched_sum = i;
    }
}

bool decoder_run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out)
{
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + size;
    out->invalid_field = -1;
    out->mismatched_sum = -1;
    memcpy(out->is_null, decoder->is_null, sizeof out->is_null);
    for (int i = 0; i < decoder->step_count; i++) {
        const struct step *step = &decoder->steps[i];
        if (step->word_count > 0 && take_word(step, &at, end, &out->numbers[step->to]))
            i += step->word_count - 1;
        else if (!run_step(step, &at, end, out))
            return false;
    }
    if (at != end)
        return false;
    fill_defaults(decoder, out);
    check_sums(decoder, out);
    return true;
}

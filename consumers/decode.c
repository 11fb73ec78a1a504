/* SPDX-License-Identifier: Apache-2.0 */
#include "decode_walk.h"

_Static_assert(sizeof((struct decoded *)0)->numbers >=
                   (SCHEMA_FIELDS_MAX + WORD - 1) * sizeof(int64_t),
               "eight numbers from the last field on");

void decode_fill_defaults(const struct decoder *decoder, struct decoded *out)
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

bool decode_slowly(const struct decoder *decoder, const struct op *op, struct reading *reading,
                   struct decoded *out)
{
    for (int i = 0; i < op->count; i++)
        if (!run_step(&decoder->steps[op->first + i], &reading->at, reading->end, out))
            return false;
    return true;
}

static void check_parts(const struct sum *sum, int index, struct decoded *out)
{
    int64_t parts = 0;
    for (int i = 0; i < sum->part_count; i++)
        parts += out->numbers[sum->parts[i]];
    if (parts != out->numbers[sum->total])
        out->mismatched_sum = index;
}

/* The first that is wrong is named, so they are looked at from the last on. */
void decode_check_sums(const struct decoder *decoder, struct decoded *out)
{
    for (int i = decoder->current->sum_count - 1; i >= 0; i--)
        if (decoder->sums[i].count > 0)
            check_row(&decoder->sums[i], out);
        else
            check_parts(&decoder->current->sums[i], i, out);
}

/* Any decoder's way. */
static bool walk(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out)
{
    struct reading reading = {bytes, bytes + size};
    const struct op *end = &decoder->ops[decoder->op_count];
    bool is_long = size >= WORD;
    memcpy(out->is_null, decoder->is_null, sizeof out->is_null);
    for (const struct op *op = decoder->ops; op < end; op++)
        if (is_long ? !decode_op(decoder, op, &reading, out)
                    : !decode_slowly(decoder, op, &reading, out))
            return false;
    if (reading.at != reading.end)
        return false;
    decode_fill_defaults(decoder, out);
    if (out->invalid_field < 0)
        decode_check_sums(decoder, out);
    return true;
}

bool decoder_is_straight(const struct decoder *decoder)
{
    return decoder->straight != NULL;
}

bool decoder_run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out)
{
    out->invalid_field = -1;
    out->mismatched_sum = -1;
    if (decoder->straight != NULL && size >= WORD)
        return decoder->straight(decoder, bytes, size, out);
    return walk(decoder, bytes, size, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include "../common/text.h"
#include "../schemas/wire.h"

#include <stdlib.h>
#include <string.h>

/* One field of the writer's record. */
struct step {
    enum field_type type;
    bool is_nullable;
    bool is_name_checked; /* the envelope's source: more than UTF-8 */
    int null_branch;
    int to; /* index in the current schema, -1: it has no such field any more */
    int64_t min;
    int64_t max;
    int64_t symbol_count;
    int32_t *symbols; /* writer's index -> current index; NULL if they are the same */
};

struct decoder {
    const struct schema *current;
    struct step steps[SCHEMA_FIELDS_MAX];
    int step_count;
    int defaults[SCHEMA_FIELDS_MAX]; /* fields the writer does not have */
    int default_count;
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
    step->min = bounds->min;
    step->max = from->type == FIELD_STRING ? bounds->max_length : bounds->max;
    if (from->type == FIELD_ENUM)
        return translate_symbols(from, bounds, step, err);
    return FX_OK;
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
        out->numbers[at] = field->default_number;
        if (field->type == FIELD_STRING && field->default_text != NULL) {
            out->texts[at].bytes = field->default_text;
            out->texts[at].size = (uint32_t)strlen(field->default_text);
        }
    }
}

/* A string: size, then bytes. *is_valid: it keeps to length, UTF-8 and the rule for names. */
static bool take_string(const struct step *step, const uint8_t **at, const uint8_t *end,
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
static bool take_value(const struct step *step, const uint8_t **at, const uint8_t *end,
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
    out->texts[step->to] = text;
    if (!is_valid && out->invalid_field < 0)
        out->invalid_field = step->to;
    return true;
}

static void check_sums(const struct schema *schema, struct decoded *out)
{
    for (int i = 0; i < schema->sum_count; i++) {
        const struct sum *sum = &schema->sums[i];
        int64_t parts = 0;
        for (int k = 0; k < sum->part_count; k++)
            parts += out->numbers[sum->parts[k]];
        if (parts != out->numbers[sum->total] && out->mismatched_sum < 0)
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
    for (int i = 0; i < decoder->step_count; i++)
        if (!run_step(&decoder->steps[i], &at, end, out))
            return false;
    if (at != end)
        return false;
    fill_defaults(decoder, out);
    check_sums(decoder->current, out);
    return true;
}

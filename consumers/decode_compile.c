/* SPDX-License-Identifier: Apache-2.0 */
/* decode_compile - a writer's schema and the current one as steps and ops. */
#include "straight.h"

#include <stdlib.h>
#include <string.h>

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

/* Whether a step before at goes to one of count fields from to on. */
static bool is_taken_before(const struct decoder *decoder, int at, int to, int count)
{
    for (int i = 0; i < at; i++)
        if (decoder->steps[i].to >= to && decoder->steps[i].to < to + count)
            return true;
    return false;
}

/* As many steps of op, from its first one on, as one word does: they go to fields in a row. */
static bool compile_word(const struct decoder *decoder, struct op *op)
{
    const struct step *first = &decoder->steps[op->first];
    int count = 0;
    op->limits = HIGH_BITS;
    while (count < WORD && op->first + count < decoder->step_count) {
        const struct step *step = &first[count];
        int highest = highest_byte(step);
        if (highest < 0 || step->to != first->to + count)
            break;
        op->limits |= (uint64_t)highest << 8 * count;
        op->mask |= UINT64_C(0xff) << 8 * count++;
    }
    /* all eight numbers are written, so those that are none of its own come later */
    if (count < 2 || is_taken_before(decoder, op->first, op->to + count, WORD - count))
        return false;
    op->kind = OP_WORD;
    op->count = count;
    return true;
}

static void compile_ops(struct decoder *decoder)
{
    for (int at = 0; at < decoder->step_count; at += decoder->ops[decoder->op_count++].count) {
        const struct step *step = &decoder->steps[at];
        struct op *op = &decoder->ops[decoder->op_count];
        *op = (struct op){.first = at, .count = 1, .to = step->to, .min = step->min};
        op->max = step->max;
        op->is_name = step->is_name_checked;
        if (compile_word(decoder, op))
            continue;
        if (step->type == FIELD_STRING && !step->is_nullable && step->to >= 0)
            op->kind = OP_TEXT;
        else if (step->is_number && !step->is_nullable)
            op->kind = OP_NUMBER;
        else if (step->is_number && step->null_branch == 0)
            op->kind = OP_OPTIONAL;
    }
}

/* count stays 0 where the parts are in no row. */
static struct sum_row find_row(const struct sum *sum, int index)
{
    struct sum_row row = {index, sum->total, sum->parts[0], 0};
    for (int i = 1; i < sum->part_count; i++)
        if (sum->parts[i] != sum->parts[0] + i)
            return row;
    row.count = sum->part_count;
    return row;
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
    compile_ops(fresh);
    for (int i = 0; i < fresh->step_count; i++)
        if (fresh->steps[i].to >= 0)
            fresh->is_null[fresh->steps[i].to] = fresh->steps[i].is_nullable;
    for (int i = 0; i < current->sum_count; i++)
        fresh->sums[i] = find_row(&current->sums[i], i);
    for (int i = 0; i < current->field_count; i++)
        if (schema_field(writer, current->fields[i].name) < 0)
            fresh->defaults[fresh->default_count++] = i;
    if (err->code != FX_OK) {
        decoder_close(fresh);
        return err->code;
    }
    fresh->straight = straight_find_decode(fresh);
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

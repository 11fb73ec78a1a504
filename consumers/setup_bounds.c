/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_bounds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(enum field_type type)
{
    static const char *const names[] = {"int", "long", "enum", "boolean", "string"};
    _Static_assert(sizeof names / sizeof names[0] == FIELD_STRING + 1, "a name each");
    return names[type];
}

static void append_field(struct buf *out, const struct field *field)
{
    bool has_bounds = field->type == FIELD_INT || field->type == FIELD_LONG;
    buf_append_format(
        out, "%s %s%s%s %" PRId64 " %" PRId64 " %d ", field->name, type_name(field->type),
        field->is_time ? "-ms" : "", field->is_nullable ? "?" : "", has_bounds ? field->min : 0,
        has_bounds ? field->max : 0, field->type == FIELD_STRING ? field->max_length : 0);
    for (int i = 0; i < field->symbol_count; i++)
        buf_append_format(out, "%s%s", i == 0 ? "" : ",", field->symbols[i]);
    buf_append_byte(out, '\n');
}

void bounds_append(struct buf *out, const struct schema *schema)
{
    for (int i = 0; i < schema->field_count; i++)
        append_field(out, &schema->fields[i]);
    buf_append_format(out, "(not_before) ms %" PRId64 " 0 0 \n", schema->not_before_ms);
    for (int i = 0; i < schema->sum_count; i++) {
        const struct sum *sum = &schema->sums[i];
        buf_append_format(out, "(sums) %s=", schema->fields[sum->total].name);
        for (int j = 0; j < sum->part_count; j++)
            buf_append_format(out, "%s%s", j == 0 ? "" : "+", schema->fields[sum->parts[j]].name);
        buf_append_format(out, "/%s 0 0 0 \n", sum->rest < 0 ? "" : schema->fields[sum->rest].name);
    }
}

/* A line in parts that point into it. */
struct line {
    const char *name;
    size_t name_size;
    const char *type;
    size_t type_size;
    int64_t numbers[3]; /* min, max, max_length */
    const char *symbols;
    size_t symbols_size;
};

/* Takes the line at text apart; returns where the next one starts. */
static const char *take_line(const char *text, struct line *line)
{
    line->name = text;
    line->name_size = strcspn(text, " \n");
    text += line->name_size + (text[line->name_size] == ' ');
    line->type = text;
    line->type_size = strcspn(text, " \n");
    text += line->type_size;
    for (int i = 0; i < 3; i++) {
        char *end = NULL;
        line->numbers[i] = strtoll(text, &end, 10);
        text = end;
    }
    text += *text == ' ';
    line->symbols = text;
    line->symbols_size = strcspn(text, "\n");
    text += line->symbols_size;
    return text + (*text == '\n');
}

static bool is_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    return a_size == b_size && memcmp(a, b, a_size) == 0;
}

static enum fx_code compare_lines(const struct line *was, const struct line *is, struct fx_err *err)
{
    static const char *const names[] = {"min", "max", "max_length"};
    int size = (int)(is->name_size > 0 ? is->name_size : was->name_size);
    const char *name = is->name_size > 0 ? is->name : was->name;
    if (!is_same(was->name, was->name_size, is->name, is->name_size) ||
        !is_same(was->type, was->type_size, is->type, is->type_size) ||
        !is_same(was->symbols, was->symbols_size, is->symbols, is->symbols_size))
        return fx_err_set(err, FX_ECONFIG,
                          "field %.*s: its place, type, symbols or sums changed: add a version, or "
                          "another field",
                          size, name);
    for (int i = 0; i < 3; i++) {
        bool is_narrower =
            i == 0 ? is->numbers[i] > was->numbers[i] : is->numbers[i] < was->numbers[i];
        if (is_narrower)
            return fx_err_set(err, FX_ECONFIG,
                              "field %.*s: %s was %" PRId64 ", is %" PRId64
                              ": bounds may only widen",
                              size, name, names[i], was->numbers[i], is->numbers[i]);
    }
    return FX_OK;
}

enum fx_code bounds_compare(const char *was, const char *is, struct fx_err *err)
{
    struct line old = {0};
    struct line new = {0};
    while (*was != '\0' || *is != '\0') {
        was = take_line(was, &old);
        is = take_line(is, &new);
        if (compare_lines(&old, &new, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

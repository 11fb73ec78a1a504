/* SPDX-License-Identifier: Apache-2.0 */
#include "record_value.h"

#include "../common/day.h"
#include "suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHOICES_MAX 200 /* bytes of an enum's symbols in a message */
#define TEXT_MAX 128    /* longer than any time, and than what suggest and quotes look at */

const char *value_type_name(const struct flat_value *given)
{
    static const char *const names[] = {
        [FLAT_NULL] = "null",   [FLAT_FALSE] = "false",
        [FLAT_TRUE] = "true",   [FLAT_NUMBER] = "a whole number",
        [FLAT_TEXT] = "a text", [FLAT_FRACTION] = "a fraction",
        [FLAT_LIST] = "a list", [FLAT_OBJECT] = "an object",
    };
    _Static_assert(sizeof names / sizeof names[0] == FLAT_TYPE_COUNT, "a name for each type");
    return names[given->type];
}

/* The text with an end, cut to what fits. */
static void terminate(char out[TEXT_MAX], const struct flat_value *given)
{
    size_t size = given->size < TEXT_MAX ? (size_t)given->size : TEXT_MAX - 1;
    memcpy(out, given->text, size);
    out[size] = '\0';
}

static enum fx_code refuse_symbol(const struct field *field, const struct flat_value *given,
                                  struct record_line *line, struct fx_err *err)
{
    char text[TEXT_MAX];
    char choices[CHOICES_MAX + 8] = "";
    size_t used = 0;
    struct suggest suggest;
    terminate(text, given);
    suggest_init(&suggest, text);
    for (int i = 0; i < field->symbol_count; i++) {
        const char *symbol = field->symbols[i];
        suggest_offer(&suggest, symbol);
        if (used + strlen(symbol) + 2 < CHOICES_MAX)
            used += (size_t)snprintf(choices + used, sizeof choices - used, "%s%s",
                                     used > 0 ? ", " : "", symbol);
        else if (used < CHOICES_MAX)
            used += (size_t)snprintf(choices + used, sizeof choices - used, ", ...") + CHOICES_MAX;
    }
    char quoted[SUGGEST_QUOTE_SIZE];
    const char *hint = suggest.best != NULL ? "; did you mean " : "";
    return record_refuse(line, field->name, err, "%s is not one of %s%s%s%s",
                         suggest_quote(quoted, text), choices, hint,
                         suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "?" : "");
}

enum fx_code value_check_bounds(const struct field *field, int64_t number, struct record_line *line,
                                struct fx_err *err)
{
    if (number < field->min)
        return record_refuse(line, field->name, err, "'%" PRId64 "' is below %" PRId64, number,
                             field->min);
    if (number > field->max)
        return record_refuse(line, field->name, err, "'%" PRId64 "' is above %" PRId64, number,
                             field->max);
    return FX_OK;
}

static enum fx_code read_time(const struct field *field, const struct flat_value *given,
                              int64_t *number, struct record_line *line, struct fx_err *err)
{
    struct fx_err unread = FX_ERR_INIT;
    char text[TEXT_MAX];
    char quoted[SUGGEST_QUOTE_SIZE];
    if (given->type == FLAT_NUMBER) {
        *number = given->number;
        return FX_OK;
    }
    if (given->type != FLAT_TEXT)
        return record_refuse(line, field->name, err, "wants a time, not %s",
                             value_type_name(given));
    terminate(text, given);
    if (given->size < TEXT_MAX && day_parse(text, number, &unread) == FX_OK)
        return FX_OK;
    return record_refuse(line, field->name, err,
                         "%s is not a time; write 2022-02-10T08:30:00+08:00",
                         suggest_quote(quoted, text));
}

static enum fx_code read_text(const struct field *field, const struct flat_value *given,
                              struct event_value *value, struct record_line *line,
                              struct fx_err *err)
{
    if (given->type != FLAT_TEXT)
        return record_refuse(line, field->name, err, "wants a text, not %s",
                             value_type_name(given));
    if (given->size > field->max_length)
        return record_refuse(line, field->name, err, "has %d bytes, at most %d are allowed",
                             given->size, field->max_length);
    value->text = given->text;
    value->size = given->size;
    return FX_OK;
}

enum fx_code value_read(const struct field *field, const struct flat_value *given,
                        struct event_value *value, struct record_line *line, struct fx_err *err)
{
    *value = (struct event_value){0, "", 0, false};
    if (given->type == FLAT_NULL && field->is_nullable) {
        value->is_null = true;
        return FX_OK;
    }
    switch (field->type) {
    case FIELD_STRING:
        return read_text(field, given, value, line, err);
    case FIELD_ENUM:
        if (given->type != FLAT_TEXT)
            return record_refuse(line, field->name, err, "wants a text, not %s",
                                 value_type_name(given));
        value->number = field_symbol(field, given->text, (size_t)given->size);
        return value->number >= 0 ? FX_OK : refuse_symbol(field, given, line, err);
    case FIELD_BOOLEAN:
        value->number = given->type == FLAT_TRUE;
        return given->type == FLAT_TRUE || given->type == FLAT_FALSE
                   ? FX_OK
                   : record_refuse(line, field->name, err, "wants true or false, not %s",
                                   value_type_name(given));
    case FIELD_INT:
    case FIELD_LONG:
        break;
    }
    if (field->is_time) {
        if (read_time(field, given, &value->number, line, err) != FX_OK)
            return err->code;
    } else if (given->type != FLAT_NUMBER) {
        return record_refuse(line, field->name, err, "wants a whole number, not %s",
                             value_type_name(given));
    } else {
        value->number = given->number;
    }
    return value_check_bounds(field, value->number, line, err);
}

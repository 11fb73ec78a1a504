/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include "../common/day.h"
#include "../common/text.h"

#include <inttypes.h>
#include <string.h>

void event_reset(struct event *event, const struct schema *schema)
{
    event->schema = schema;
    for (int i = 0; i < schema->field_count; i++)
        event->values[i] = (struct event_value){0, "", 0, schema->fields[i].is_nullable};
}

static struct event_value *value_of(struct event *event, const char *field)
{
    int index = schema_field(event->schema, field);
    fx_assert(index >= 0);
    return &event->values[index];
}

void event_set_number(struct event *event, const char *field, int64_t number)
{
    *value_of(event, field) = (struct event_value){number, "", 0, false};
}

void event_set_text(struct event *event, const char *field, const char *text)
{
    *value_of(event, field) = (struct event_value){0, text, (int)strlen(text), false};
}

const struct event_value *event_envelope(const struct event *event, enum envelope_field field)
{
    return &event->values[field];
}

/* A bound on what one value takes: branch, and a varint or a length with its text. */
static size_t room_for(const struct event_value *value)
{
    return 20 + (size_t)value->size;
}

static size_t write_value(const struct field *field, const struct event_value *value, uint8_t *out)
{
    size_t used = 0;
    if (field->is_nullable) {
        int branch = value->is_null ? field->null_branch : 1 - field->null_branch;
        used += wire_write_long(out, branch);
        if (value->is_null)
            return used;
    }
    switch (field->type) {
    case FIELD_BOOLEAN:
        out[used++] = value->number != 0;
        return used;
    case FIELD_STRING:
        used += wire_write_long(out + used, value->size);
        memcpy(out + used, value->text, (size_t)value->size);
        return used + (size_t)value->size;
    case FIELD_INT:
    case FIELD_LONG:
    case FIELD_ENUM:
        break;
    }
    return used + wire_write_long(out + used, value->number);
}

enum fx_code event_encode(const struct event *event, uint8_t out[WIRE_EVENT_MAX], size_t *size,
                          struct fx_err *err)
{
    const struct schema *schema = event->schema;
    wire_write_header(out, schema->fingerprint);
    size_t used = WIRE_HEADER_SIZE;
    for (int i = 0; i < schema->field_count; i++) {
        if (used + room_for(&event->values[i]) > WIRE_EVENT_MAX)
            return fx_err_set(err, FX_EINPUT, "the event is longer than %d bytes", WIRE_EVENT_MAX);
        used += write_value(&schema->fields[i], &event->values[i], out + used);
    }
    *size = used;
    return FX_OK;
}

static bool read_text(const uint8_t **at, const uint8_t *end, struct event_value *value)
{
    int64_t size;
    if (!wire_read_long(at, end, &size) || size < 0 || size > end - *at)
        return false;
    value->text = (const char *)*at;
    value->size = (int)size;
    *at += size;
    return true;
}

static bool read_value(const struct field *field, const uint8_t **at, const uint8_t *end,
                       struct event_value *value)
{
    *value = (struct event_value){0, "", 0, false};
    if (field->is_nullable) {
        int64_t branch;
        if (!wire_read_long(at, end, &branch) || branch < 0 || branch > 1)
            return false;
        value->is_null = branch == field->null_branch;
        if (value->is_null)
            return true;
    }
    if (field->type == FIELD_STRING)
        return read_text(at, end, value);
    if (field->type != FIELD_BOOLEAN)
        return wire_read_long(at, end, &value->number);
    if (*at == end)
        return false;
    value->number = *(*at)++;
    return value->number <= 1;
}

static void set_default(const struct field *field, struct event_value *value)
{
    *value = (struct event_value){field->default_number, "", 0, field->is_default_null};
    if (field->default_text != NULL) {
        value->text = field->default_text;
        value->size = (int)strlen(field->default_text);
    }
}

static const struct schema *find_version(const struct kind *kind, uint64_t fingerprint)
{
    for (int i = 0; i < kind->version_count; i++)
        if (kind->versions[i].fingerprint == fingerprint)
            return &kind->versions[i];
    return NULL;
}

enum fx_code event_decode(const struct kind *kind, const uint8_t *bytes, size_t size,
                          struct event *event, struct fx_err *err)
{
    uint64_t fingerprint;
    const struct schema *writer = NULL;
    if (wire_read_header(bytes, size, &fingerprint))
        writer = find_version(kind, fingerprint);
    if (writer == NULL)
        return fx_err_set(err, FX_ESTATE, "a stored event was written with no known version of %s",
                          kind->name);
    const struct schema *current = kind_current(kind);
    event->schema = current;
    for (int i = 0; i < current->field_count; i++)
        set_default(&current->fields[i], &event->values[i]);
    const uint8_t *at = bytes + WIRE_HEADER_SIZE;
    for (int i = 0; i < writer->field_count; i++) {
        struct event_value value;
        const struct field *field = &writer->fields[i];
        if (!read_value(field, &at, bytes + size, &value) ||
            (field->type == FIELD_ENUM && !value.is_null &&
             (value.number < 0 || value.number >= field->symbol_count)))
            return fx_err_set(err, FX_ESTATE, "a stored event of %s ends in field %s", kind->name,
                              field->name);
        int index = writer == current ? i : schema_field(current, field->name);
        if (index < 0)
            continue;
        if (field->type == FIELD_ENUM && !value.is_null) {
            const char *symbol = field->symbols[value.number];
            value.number = field_symbol(&current->fields[index], symbol, strlen(symbol));
        }
        event->values[index] = value;
    }
    if (at != bytes + size)
        return fx_err_set(err, FX_ESTATE, "a stored event of %s has bytes too many", kind->name);
    return FX_OK;
}

void event_append_text(struct buf *out, const char *text, size_t size)
{
    bool is_utf8 = text_is_utf8(text, size);
    buf_append_byte(out, '"');
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == '"' || byte == '\\') {
            buf_append_byte(out, '\\');
            buf_append_byte(out, byte);
        } else if (byte < 0x20) {
            buf_append_format(out, "\\u%04x", byte);
        } else {
            buf_append_byte(out, byte < 0x80 || is_utf8 ? byte : '?');
        }
    }
    buf_append_byte(out, '"');
}

static void append_value(const struct field *field, const struct event_value *value,
                         struct buf *out)
{
    char time[DAY_TEXT_SIZE];
    if (value->is_null)
        buf_append_text(out, "null");
    else if (field->type == FIELD_STRING)
        event_append_text(out, value->text, (size_t)value->size);
    else if (field->type == FIELD_ENUM)
        event_append_text(out, field->symbols[value->number],
                          strlen(field->symbols[value->number]));
    else if (field->type == FIELD_BOOLEAN)
        buf_append_text(out, value->number != 0 ? "true" : "false");
    else if (field->is_time)
        buf_append_format(out, "\"%s\"", day_format(value->number, time));
    else
        buf_append_format(out, "%" PRId64, value->number);
}

void event_append_json(const struct event *event, struct buf *out)
{
    const struct schema *schema = event->schema;
    for (int i = 0; i < schema->field_count; i++) {
        buf_append_text(out, i == 0 ? "{" : ",");
        event_append_text(out, schema->fields[i].name, strlen(schema->fields[i].name));
        buf_append_byte(out, ':');
        append_value(&schema->fields[i], &event->values[i], out);
    }
    buf_append_byte(out, '}');
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "canonical.h"

#include <stdbool.h>
#include <string.h>

static const char *get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void append_name(struct buf *out, const json_t *named, const char *space)
{
    buf_append_format(out, "{\"name\":\"%s%s%s\",\"type\":\"%s\"", space,
                      space[0] == '\0' ? "" : ".", get_text(named, "name"),
                      get_text(named, "type"));
}

static void append_enum(struct buf *out, const json_t *type, const char *space)
{
    append_name(out, type, space);
    buf_append_text(out, ",\"symbols\":[");
    size_t index;
    const json_t *symbol;
    json_array_foreach(json_object_get(type, "symbols"), index, symbol)
    {
        buf_append_format(out, "%s\"%s\"", index == 0 ? "" : ",", json_string_value(symbol));
    }
    buf_append_text(out, "]}");
}

/* A branch of a union, or a field's type that is no union. */
static void append_simple(struct buf *out, const json_t *type, const char *space)
{
    if (json_is_string(type))
        buf_append_format(out, "\"%s\"", json_string_value(type));
    else if (strcmp(get_text(type, "type"), "enum") == 0)
        append_enum(out, type, space);
    else
        buf_append_format(out, "\"%s\"", get_text(type, "type"));
}

static void append_type(struct buf *out, const json_t *type, const char *space)
{
    if (!json_is_array(type)) {
        append_simple(out, type, space);
        return;
    }
    size_t index;
    const json_t *branch;
    json_array_foreach(type, index, branch)
    {
        buf_append_text(out, index == 0 ? "[" : ",");
        append_simple(out, branch, space);
    }
    buf_append_text(out, "]");
}

void canonical_append(struct buf *out, const json_t *record)
{
    const char *space = get_text(record, "namespace");
    append_name(out, record, space);
    buf_append_text(out, ",\"fields\":[");
    size_t index;
    const json_t *field;
    json_array_foreach(json_object_get(record, "fields"), index, field)
    {
        buf_append_format(out, "%s{\"name\":\"%s\",\"type\":", index == 0 ? "" : ",",
                          get_text(field, "name"));
        append_type(out, json_object_get(field, "type"), space);
        buf_append_text(out, "}");
    }
    buf_append_text(out, "]}");
}

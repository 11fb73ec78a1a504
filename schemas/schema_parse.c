/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_parse.h"

#include "../common/day.h"
#include "../common/text.h"
#include "document.h"

#include <stdlib.h>
#include <string.h>

#define SYMBOLS_MAX 256
#define LENGTH_MAX 1024
#define LENGTH_DEFAULT 256
#define SUMMED_MAX INT64_C(1000000000) /* so that a sum of 10^9 events still fits a bigint */
#define TYPES_ALLOWED "int, long, enum, boolean, string or a union of null with one of these"

/* What parsing one record carries along. */
struct parsing {
    struct schema *schema;
    json_t *type_names; /* object: names of the record and its enums so far */
};

static void release_field(struct field *field)
{
    for (int i = 0; field->symbols != NULL && i < field->symbol_count; i++)
        free(field->symbols[i]);
    free(field->symbols);
    free(field->default_text);
    free(field->doc);
}

void schema_release(struct schema *schema)
{
    for (int i = 0; schema->fields != NULL && i < schema->field_count; i++)
        release_field(&schema->fields[i]);
    free(schema->fields);
    free(schema->json);
    free(schema->canonical);
    free(schema->doc);
    *schema = (struct schema){0};
}

/* Avro's rule for names; upper case allowed, as symbols have it. */
static bool is_avro_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t size = strlen(name);
    return size >= 1 && size < SCHEMA_NAME_MAX && strspn(name, allowed) == size &&
           !(name[0] >= '0' && name[0] <= '9');
}

/* Names of lower case, parted by dots; "" is none. */
static bool is_namespace(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    for (const char *at = name; *at != '\0'; at++) {
        bool is_first = at == name || at[-1] == '.';
        bool is_letter = strchr(letters, *at) != NULL;
        bool is_inner = (*at >= '0' && *at <= '9') || (*at == '.' && at[1] != '\0');
        if (!is_letter && (is_first || !is_inner))
            return false;
    }
    return true;
}

static enum fx_code take_type_name(struct parsing *parsing, const json_t *type, struct fx_err *err)
{
    const char *name = NULL;
    if (document_string(type, "name", NULL, &name, err) != FX_OK)
        return err->code;
    if (!is_avro_name(name))
        return fx_err_set(err, FX_ECONFIG, "\"%.64s\" is no name for a type", name);
    if (json_object_get(parsing->type_names, name) != NULL)
        return fx_err_set(err, FX_ECONFIG, "two types are named \"%s\"", name);
    if (json_object_set_new(parsing->type_names, name, json_true()) != 0)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    return FX_OK;
}

static enum fx_code add_symbol(struct field *field, const json_t *symbol, struct fx_err *err)
{
    const char *name = json_string_value(symbol);
    if (name == NULL || !is_avro_name(name))
        return fx_err_set(err, FX_ECONFIG, "symbol %d is no name", field->symbol_count + 1);
    if (field_symbol(field, name, strlen(name)) >= 0)
        return fx_err_set(err, FX_ECONFIG, "two symbols are named %s", name);
    if (document_copy(name, &field->symbols[field->symbol_count], err) != FX_OK)
        return err->code;
    field->symbol_count++;
    return FX_OK;
}

static enum fx_code parse_enum(struct parsing *parsing, const json_t *type, struct field *field,
                               struct fx_err *err)
{
    static const char *const keys[] = {"type", "name", "symbols", "doc", NULL};
    if (document_check_keys(type, keys, err) != FX_OK ||
        take_type_name(parsing, type, err) != FX_OK)
        return err->code;
    const json_t *symbols = json_object_get(type, "symbols");
    size_t count = json_array_size(symbols);
    if (count < 1 || count > SYMBOLS_MAX)
        return fx_err_set(err, FX_ECONFIG, "an enum has 1 to %d \"symbols\"", SYMBOLS_MAX);
    field->symbols = calloc(count, sizeof *field->symbols);
    if (field->symbols == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    for (size_t i = 0; i < count; i++)
        if (add_symbol(field, json_array_get(symbols, i), err) != FX_OK)
            return err->code;
    field->type = FIELD_ENUM;
    field->max = field->symbol_count - 1;
    return FX_OK;
}

static enum fx_code parse_primitive(const char *name, struct field *field, struct fx_err *err)
{
    if (strcmp(name, "int") == 0) {
        field->type = FIELD_INT;
        field->min = INT32_MIN;
        field->max = INT32_MAX;
    } else if (strcmp(name, "long") == 0) {
        field->type = FIELD_LONG;
        field->min = INT64_MIN;
        field->max = INT64_MAX;
    } else if (strcmp(name, "boolean") == 0) {
        field->type = FIELD_BOOLEAN;
        field->max = 1;
    } else if (strcmp(name, "string") == 0) {
        field->type = FIELD_STRING;
        field->max_length = LENGTH_DEFAULT;
    } else {
        return fx_err_set(err, FX_ECONFIG, "type \"%.40s\" is not " TYPES_ALLOWED, name);
    }
    return FX_OK;
}

/* A type that is no union: "long", {"type": "long", "logicalType": …} or an enum. */
static enum fx_code parse_simple(struct parsing *parsing, const json_t *type, struct field *field,
                                 struct fx_err *err)
{
    static const char *const keys[] = {"type", "logicalType", NULL};
    if (json_is_string(type))
        return parse_primitive(json_string_value(type), field, err);
    if (!json_is_object(type))
        return fx_err_set(err, FX_ECONFIG, "the type is not " TYPES_ALLOWED);
    const char *name = NULL;
    const char *logical = NULL;
    if (document_string(type, "type", NULL, &name, err) != FX_OK)
        return err->code;
    if (strcmp(name, "enum") == 0)
        return parse_enum(parsing, type, field, err);
    if (parse_primitive(name, field, err) != FX_OK ||
        document_check_keys(type, keys, err) != FX_OK ||
        document_string(type, "logicalType", "", &logical, err) != FX_OK)
        return err->code;
    field->is_time = strcmp(logical, "timestamp-millis") == 0;
    if (logical[0] != '\0' && !(field->is_time && field->type == FIELD_LONG))
        return fx_err_set(err, FX_ECONFIG, "logicalType \"%.40s\" is not timestamp-millis on long",
                          logical);
    return FX_OK;
}

static bool is_null_type(const json_t *type)
{
    return json_is_string(type) && strcmp(json_string_value(type), "null") == 0;
}

static enum fx_code parse_type(struct parsing *parsing, const json_t *type, struct field *field,
                               struct fx_err *err)
{
    if (type == NULL)
        return fx_err_set(err, FX_ECONFIG, "\"type\" is missing");
    if (!json_is_array(type))
        return parse_simple(parsing, type, field, err);
    field->is_nullable = true;
    field->null_branch = is_null_type(json_array_get(type, 0)) ? 0 : 1;
    if (json_array_size(type) != 2 ||
        !is_null_type(json_array_get(type, (size_t)field->null_branch)))
        return fx_err_set(err, FX_ECONFIG, "the union is not of null with one other type");
    return parse_simple(parsing, json_array_get(type, 1 - (size_t)field->null_branch), field, err);
}

static enum fx_code parse_bound(const json_t *json, const char *key, const struct field *field,
                                int64_t *bound, struct fx_err *err)
{
    const json_t *value = json_object_get(json, key);
    if (value == NULL)
        return FX_OK;
    if (field->type != FIELD_INT && field->type != FIELD_LONG)
        return fx_err_set(err, FX_ECONFIG, "\"%s\" is for int and long only", key);
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < field->min || number > field->max)
        return fx_err_set(err, FX_ECONFIG, "\"%s\" is no number in the type's range (min <= max)",
                          key);
    *bound = number;
    return FX_OK;
}

static enum fx_code parse_attributes(const json_t *json, struct field *field, struct fx_err *err)
{
    if (parse_bound(json, "min", field, &field->min, err) != FX_OK ||
        parse_bound(json, "max", field, &field->max, err) != FX_OK)
        return err->code;
    const json_t *length = json_object_get(json, "max_length");
    if (length == NULL)
        return FX_OK;
    if (field->type != FIELD_STRING)
        return fx_err_set(err, FX_ECONFIG, "\"max_length\" is for strings only");
    json_int_t number = json_integer_value(length);
    if (!json_is_integer(length) || number < 1 || number > LENGTH_MAX)
        return fx_err_set(err, FX_ECONFIG, "\"max_length\" is no number from 1 to %d", LENGTH_MAX);
    field->max_length = (int)number;
    return FX_OK;
}

static enum fx_code parse_default_value(const json_t *value, struct field *field,
                                        struct fx_err *err)
{
    const char *text = json_string_value(value);
    bool is_good = false;
    switch (field->type) {
    case FIELD_INT:
    case FIELD_LONG:
        field->default_number = json_integer_value(value);
        is_good = json_is_integer(value) && field->default_number >= field->min &&
                  field->default_number <= field->max;
        break;
    case FIELD_BOOLEAN:
        field->default_number = json_is_true(value);
        is_good = json_is_boolean(value);
        break;
    case FIELD_ENUM:
        field->default_number = text == NULL ? -1 : field_symbol(field, text, strlen(text));
        is_good = field->default_number >= 0;
        break;
    case FIELD_STRING:
        is_good = text != NULL && strlen(text) <= (size_t)field->max_length;
        if (is_good)
            return document_copy(text, &field->default_text, err);
        break;
    }
    return is_good ? FX_OK : fx_err_set(err, FX_ECONFIG, "the default is no value of the field");
}

/* Avro's rule: a union's default is of its first branch. */
static enum fx_code parse_default(const json_t *json, struct field *field, struct fx_err *err)
{
    const json_t *value = json_object_get(json, "default");
    if (value == NULL)
        return FX_OK;
    field->has_default = true;
    field->is_default_null = json_is_null(value);
    bool is_null_first = field->is_nullable && field->null_branch == 0;
    if (field->is_default_null != is_null_first)
        return fx_err_set(err, FX_ECONFIG,
                          is_null_first ? "the default has to be null, as the "
                                          "union's first branch is"
                                        : "the default cannot be null");
    return field->is_default_null ? FX_OK : parse_default_value(value, field, err);
}

static enum fx_code parse_name(const json_t *json, const struct schema *schema, struct field *field,
                               struct fx_err *err)
{
    const char *name = NULL;
    if (document_string(json, "name", NULL, &name, err) != FX_OK)
        return err->code;
    if (!text_is_identifier(name))
        return fx_err_set(err, FX_ECONFIG, "\"%.64s\" is not [a-z_][a-z0-9_]*", name);
    if (schema_field(schema, name) >= 0)
        return fx_err_set(err, FX_ECONFIG, "two fields are named %s", name);
    text_copy(field->name, sizeof field->name, name);
    return FX_OK;
}

static enum fx_code parse_field(struct parsing *parsing, const json_t *json, struct field *field,
                                struct fx_err *err)
{
    static const char *const keys[] = {"name", "type", "doc",        "default",
                                       "min",  "max",  "max_length", NULL};
    const char *doc = NULL;
    if (document_check_keys(json, keys, err) != FX_OK ||
        document_string(json, "doc", "", &doc, err) != FX_OK ||
        document_copy(doc, &field->doc, err) != FX_OK ||
        parse_type(parsing, json_object_get(json, "type"), field, err) != FX_OK ||
        parse_attributes(json, field, err) != FX_OK)
        return err->code;
    return parse_default(json, field, err);
}

static enum fx_code parse_fields(struct parsing *parsing, const json_t *fields, struct fx_err *err)
{
    struct schema *schema = parsing->schema;
    size_t count = json_array_size(fields);
    if (count < 1 || count > SCHEMA_FIELDS_MAX)
        return fx_err_set(err, FX_ECONFIG, "a record has 1 to %d \"fields\"", SCHEMA_FIELDS_MAX);
    schema->fields = calloc(count, sizeof *schema->fields);
    if (schema->fields == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *json = json_array_get(fields, i);
        struct field *field = &schema->fields[i];
        if (parse_name(json, schema, field, err) != FX_OK)
            return fx_err_wrap(err, "field %zu", i + 1);
        schema->field_count++;
        if (parse_field(parsing, json, field, err) != FX_OK)
            return fx_err_wrap(err, "field %s", field->name);
    }
    return FX_OK;
}

static enum fx_code find_summed(const struct schema *schema, const json_t *name, int *index,
                                struct fx_err *err)
{
    const char *text = json_string_value(name);
    if (text == NULL)
        return fx_err_set(err, FX_ECONFIG, "\"total\" and \"parts\" name fields");
    int found = schema_field(schema, text);
    if (found < 0)
        return fx_err_set(err, FX_ECONFIG, "no field \"%.64s\"", text);
    const struct field *field = &schema->fields[found];
    bool is_number = (field->type == FIELD_INT || field->type == FIELD_LONG) && !field->is_time;
    if (!is_number || field->is_nullable || field->min < 0 || field->max > SUMMED_MAX)
        return fx_err_set(err, FX_ECONFIG,
                          "field %s in a sum has to be an int or long, never null, with min >= 0 "
                          "and max <= %lld",
                          text, (long long)SUMMED_MAX);
    *index = found;
    return FX_OK;
}

static enum fx_code add_part(const struct schema *schema, const json_t *name, struct sum *sum,
                             struct fx_err *err)
{
    int found = -1;
    if (find_summed(schema, name, &found, err) != FX_OK)
        return err->code;
    bool is_there = found == sum->total;
    for (int i = 0; i < sum->part_count; i++)
        is_there = is_there || sum->parts[i] == found;
    if (is_there)
        return fx_err_set(err, FX_ECONFIG, "field %s is named twice", schema->fields[found].name);
    sum->parts[sum->part_count++] = found;
    return FX_OK;
}

static enum fx_code parse_rest(const struct schema *schema, const json_t *rest, struct sum *sum,
                               struct fx_err *err)
{
    sum->rest = -1;
    if (rest == NULL)
        return FX_OK;
    const char *name = json_is_string(rest) ? json_string_value(rest) : "";
    for (int i = 0; i < sum->part_count; i++)
        if (strcmp(schema->fields[sum->parts[i]].name, name) == 0)
            sum->rest = sum->parts[i];
    if (sum->rest < 0)
        return fx_err_set(err, FX_ECONFIG, "the rest \"%.64s\" is none of the parts", name);
    return FX_OK;
}

static enum fx_code parse_sum(const struct schema *schema, const json_t *json, struct sum *sum,
                              struct fx_err *err)
{
    static const char *const keys[] = {"total", "parts", "rest", NULL};
    if (document_check_keys(json, keys, err) != FX_OK ||
        find_summed(schema, json_object_get(json, "total"), &sum->total, err) != FX_OK)
        return err->code;
    const json_t *parts = json_object_get(json, "parts");
    size_t count = json_array_size(parts);
    if (count < 2)
        return fx_err_set(err, FX_ECONFIG, "\"parts\" is no list of two or more fields");
    for (size_t i = 0; i < count; i++)
        if (add_part(schema, json_array_get(parts, i), sum, err) != FX_OK)
            return err->code;
    return parse_rest(schema, json_object_get(json, "rest"), sum, err);
}

static enum fx_code parse_sums(struct schema *schema, const json_t *sums, struct fx_err *err)
{
    if (sums == NULL)
        return FX_OK;
    size_t count = json_array_size(sums);
    if (!json_is_array(sums) || count > SCHEMA_SUMS_MAX)
        return fx_err_set(err, FX_ECONFIG, "\"sums\" is no list of at most %d", SCHEMA_SUMS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (parse_sum(schema, json_array_get(sums, i), &schema->sums[i], err) != FX_OK)
            return fx_err_wrap(err, "sums[%zu]", i);
        schema->sum_count++;
    }
    return FX_OK;
}

static enum fx_code parse_not_before(const json_t *root, struct schema *schema, struct fx_err *err)
{
    const char *text = NULL;
    schema->not_before_ms = DAY_2020_MS;
    if (document_string(root, "not_before", "", &text, err) != FX_OK || text[0] == '\0')
        return err->code;
    if (day_parse(text, &schema->not_before_ms, err) != FX_OK) {
        err->code = FX_ECONFIG;
        return fx_err_wrap(err, "\"not_before\"");
    }
    return FX_OK;
}

static enum fx_code check_record(const json_t *root, const char *kind, struct fx_err *err)
{
    static const char *const keys[] = {"type",   "name", "namespace",  "doc",
                                       "fields", "sums", "not_before", NULL};
    const char *type = NULL;
    const char *name = NULL;
    const char *space = NULL;
    if (document_check_keys(root, keys, err) != FX_OK ||
        document_string(root, "type", NULL, &type, err) != FX_OK ||
        document_string(root, "name", NULL, &name, err) != FX_OK ||
        document_string(root, "namespace", "", &space, err) != FX_OK)
        return err->code;
    if (strcmp(type, "record") != 0)
        return fx_err_set(err, FX_ECONFIG, "is no record");
    if (strcmp(name, kind) != 0)
        return fx_err_set(err, FX_ECONFIG, "the record is named \"%.64s\", its folder \"%s\"", name,
                          kind);
    if (!is_namespace(space))
        return fx_err_set(err, FX_ECONFIG, "\"%.64s\" is no namespace", space);
    return FX_OK;
}

enum fx_code schema_parse(const json_t *root, const char *kind, struct schema *schema,
                          struct fx_err *err)
{
    const char *doc = NULL;
    if (check_record(root, kind, err) != FX_OK ||
        document_string(root, "doc", "", &doc, err) != FX_OK ||
        document_copy(doc, &schema->doc, err) != FX_OK)
        return err->code;
    struct parsing parsing = {schema, json_object()};
    if (parsing.type_names == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    enum fx_code code = take_type_name(&parsing, root, err);
    if (code == FX_OK)
        code = parse_fields(&parsing, json_object_get(root, "fields"), err);
    json_decref(parsing.type_names);
    if (code == FX_OK)
        code = parse_sums(schema, json_object_get(root, "sums"), err);
    if (code == FX_OK)
        code = parse_not_before(root, schema, err);
    return code;
}

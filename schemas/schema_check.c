/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_parse.h"

#include <string.h>

/* A field that code relies on; bounds that a file leaves out are these. */
struct expected {
    const char *name;
    enum field_type type;
    bool is_nullable;
    bool is_time;
    int64_t min; /* min = max: no bounds of our own */
    int64_t max;
    int max_length;
    const char *symbols; /* FIELD_ENUM: "OPEN,ALIVE" */
};

static const struct expected envelope[] = {
    {"source", FIELD_STRING, false, false, 0, 0, SCHEMA_SOURCE_MAX, NULL},
    {"run", FIELD_LONG, false, false, 0, SCHEMA_RUN_LIMIT - 1, 0, NULL},
    {"seq", FIELD_LONG, false, false, 1, INT64_MAX, 0, NULL},
    {"occurred_at", FIELD_LONG, false, true, 0, 0, 0, NULL},
    {"region", FIELD_STRING, false, false, 0, 0, SCHEMA_REGION_MAX, NULL},
    {"sign", FIELD_INT, false, false, -1, 1, 0, NULL},
    {"reverses_run", FIELD_LONG, true, false, 0, SCHEMA_RUN_LIMIT - 1, 0, NULL},
    {"reverses_seq", FIELD_LONG, true, false, 1, INT64_MAX, 0, NULL},
    {"counted_at", FIELD_LONG, true, true, 0, 0, 0, NULL},
};
_Static_assert(sizeof envelope / sizeof envelope[0] == ENVELOPE_COUNT, "one row per field");

static const struct expected heartbeat[] = {
    {"source", FIELD_STRING, false, false, 0, 0, SCHEMA_SOURCE_MAX, NULL},
    {"run", FIELD_LONG, false, false, 0, SCHEMA_RUN_LIMIT - 1, 0, NULL},
    {"n", FIELD_LONG, false, false, 0, INT64_MAX, 0, NULL},
    {"state", FIELD_ENUM, false, false, 0, 0, 0, "OPEN,ALIVE,ENDED"},
    {"last_seq", FIELD_LONG, false, false, 0, INT64_MAX, 0, NULL},
    {"acked_seq", FIELD_LONG, false, false, 0, INT64_MAX, 0, NULL},
    {"oldest_kept", FIELD_LONG, false, false, 0, INT64_MAX, 0, NULL},
    {"refused", FIELD_LONG, false, false, 0, INT64_MAX, 0, NULL},
    {"input_state", FIELD_ENUM, false, false, 0, 0, 0, "OPEN,CLOSED,STALE"},
    {"last_line_at", FIELD_LONG, true, true, 0, 0, 0, NULL},
    {"previous_run", FIELD_LONG, true, false, 0, SCHEMA_RUN_LIMIT - 1, 0, NULL},
    {"previous_last_seq", FIELD_LONG, true, false, 0, INT64_MAX, 0, NULL},
    {"region", FIELD_STRING, false, false, 0, 0, SCHEMA_REGION_MAX, NULL},
    {"at", FIELD_LONG, false, true, 0, 0, 0, NULL},
};

static const char *const type_names[] = {"int", "long", "enum", "boolean", "string"};

static bool has_symbols(const struct field *field, const char *symbols)
{
    for (int i = 0; i < field->symbol_count; i++) {
        size_t size = strlen(field->symbols[i]);
        if (strncmp(symbols, field->symbols[i], size) != 0)
            return false;
        symbols += size;
        if (*symbols == ',' && i + 1 < field->symbol_count)
            symbols++;
    }
    return *symbols == '\0';
}

/* Bounds are checked, too: a tighter one in the file would be a promise nobody keeps. */
static enum fx_code check_bounds(const struct expected *expected, struct field *field,
                                 struct fx_err *err)
{
    bool is_long = expected->type == FIELD_LONG;
    int64_t type_min = is_long ? INT64_MIN : INT32_MIN;
    int64_t type_max = is_long ? INT64_MAX : INT32_MAX;
    if (expected->min != expected->max) {
        bool is_ours = (field->min == expected->min || field->min == type_min) &&
                       (field->max == expected->max || field->max == type_max);
        if (!is_ours)
            return fx_err_set(err, FX_ECONFIG, "min and max have to be %lld and %lld",
                              (long long)expected->min, (long long)expected->max);
        field->min = expected->min;
        field->max = expected->max;
    }
    if (expected->max_length > 0) {
        if (field->max_length != 256 && field->max_length != expected->max_length)
            return fx_err_set(err, FX_ECONFIG, "max_length has to be %d", expected->max_length);
        field->max_length = expected->max_length;
    }
    return FX_OK;
}

static enum fx_code check_field(const struct expected *expected, struct field *field,
                                struct fx_err *err)
{
    if (strcmp(field->name, expected->name) != 0)
        return fx_err_set(err, FX_ECONFIG, "is \"%s\" where \"%s\" belongs", field->name,
                          expected->name);
    if (field->type != expected->type || field->is_nullable != expected->is_nullable ||
        field->is_time != expected->is_time || (field->is_nullable && field->null_branch != 0))
        return fx_err_set(err, FX_ECONFIG, "\"%s\" has to be %s%s%s", field->name,
                          expected->is_nullable ? "null or " : "", type_names[expected->type],
                          expected->is_time ? " with logicalType timestamp-millis" : "");
    if (expected->symbols != NULL && !has_symbols(field, expected->symbols))
        return fx_err_set(err, FX_ECONFIG, "\"%s\" has to have the symbols %s", field->name,
                          expected->symbols);
    if (check_bounds(expected, field, err) != FX_OK)
        return fx_err_wrap(err, "\"%s\"", field->name);
    return FX_OK;
}

static enum fx_code check_fields(const struct expected *expected, int count, struct schema *schema,
                                 struct fx_err *err)
{
    for (int i = 0; i < count; i++) {
        if (i >= schema->field_count)
            return fx_err_set(err, FX_ECONFIG, "field %d, \"%s\", is missing", i + 1,
                              expected[i].name);
        if (check_field(&expected[i], &schema->fields[i], err) != FX_OK)
            return fx_err_wrap(err, "field %d", i + 1);
    }
    return FX_OK;
}

enum fx_code schema_check_envelope(struct schema *schema, struct fx_err *err)
{
    if (check_fields(envelope, ENVELOPE_COUNT, schema, err) != FX_OK)
        return fx_err_wrap(err, "envelope");
    const struct field *sign = &schema->fields[ENVELOPE_SIGN];
    if (!sign->has_default || sign->default_number != 1)
        return fx_err_set(err, FX_ECONFIG, "envelope: \"sign\" has to have the default 1");
    for (int i = ENVELOPE_REVERSES_RUN; i < ENVELOPE_COUNT; i++)
        if (!schema->fields[i].has_default || !schema->fields[i].is_default_null)
            return fx_err_set(err, FX_ECONFIG, "envelope: \"%s\" has to have the default null",
                              schema->fields[i].name);
    return FX_OK;
}

enum fx_code schema_check_heartbeat(struct schema *schema, struct fx_err *err)
{
    int count = sizeof heartbeat / sizeof heartbeat[0];
    if (check_fields(heartbeat, count, schema, err) != FX_OK)
        return err->code;
    if (schema->field_count > count)
        return fx_err_set(err, FX_ECONFIG, "field %d, \"%s\", is one too many", count + 1,
                          schema->fields[count].name);
    return FX_OK;
}

/* Symbols keep their indexes, so that an index means the same in all versions. */
static enum fx_code check_symbols(const struct field *older, const struct field *newer,
                                  struct fx_err *err)
{
    for (int i = 0; i < older->symbol_count; i++) {
        const char *symbol = older->symbols[i];
        if (field_symbol(newer, symbol, strlen(symbol)) < 0)
            return fx_err_set(err, FX_ECONFIG, "drops the symbol %s", symbol);
        if (strcmp(newer->symbols[i], symbol) != 0)
            return fx_err_set(err, FX_ECONFIG, "moves the symbol %s: new ones go to the end",
                              symbol);
    }
    return FX_OK;
}

static enum fx_code check_change(const struct field *older, const struct field *newer,
                                 struct fx_err *err)
{
    if (older->type != newer->type || older->is_nullable != newer->is_nullable ||
        older->is_time != newer->is_time)
        return fx_err_set(err, FX_ECONFIG, "changes its type");
    return check_symbols(older, newer, err);
}

static enum fx_code check_pair(const struct schema *older, const struct schema *newer,
                               struct fx_err *err)
{
    if (older->fingerprint == newer->fingerprint)
        return fx_err_set(err, FX_ECONFIG,
                          "has the fingerprint of %d.avsc: an event would not say which it means",
                          older->version);
    for (int i = 0; i < newer->field_count; i++) {
        const struct field *field = &newer->fields[i];
        int old = schema_field(older, field->name);
        if (old >= 0 && check_change(&older->fields[old], field, err) != FX_OK)
            return fx_err_wrap(err, "field %s, as in %d.avsc", field->name, older->version);
        if (old < 0 && !field->has_default)
            return fx_err_set(err, FX_ECONFIG, "field %s is not in %d.avsc and has no default",
                              field->name, older->version);
    }
    return FX_OK;
}

enum fx_code schema_check_versions(const struct kind *kind, struct fx_err *err)
{
    for (int i = 1; i < kind->version_count; i++)
        for (int j = 0; j < i; j++)
            if (check_pair(&kind->versions[j], &kind->versions[i], err) != FX_OK)
                return fx_err_wrap(err, "%s/%d.avsc", kind->name, kind->versions[i].version);
    return FX_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include "../common/hash.h"
#include "../common/text.h"
#include "../schemas/guard.h"
#include "record_value.h"
#include "suggest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 512 /* of the table of keys; a power of two, at least four times the keys */
#define KEY_ID SCHEMA_FIELDS_MAX

_Static_assert(SLOTS >= 4 * (SCHEMA_FIELDS_MAX + 2), "the table of keys stays sparse");

struct key {
    const char *name; /* NULL: the slot is free */
    size_t size;      /* of name */
    int index;        /* of the field, or KEY_ID */
};

struct record {
    struct record_options options;
    const struct schema *schema;
    struct key keys[SLOTS];
    const struct key *last[FLAT_PAIRS_MAX];   /* keys of plain lines, by their place */
    struct flat_key expected[FLAT_PAIRS_MAX]; /* their names */
    struct event constants;                   /* what --set, --source and --region give */
    bool is_said[SCHEMA_FIELDS_MAX];          /* by the line at hand */
    bool is_constant[SCHEMA_FIELDS_MAX];
    bool is_rest[SCHEMA_FIELDS_MAX]; /* takes what a sum leaves unsaid */
    json_t *set;                     /* keeps the texts of constants */
    json_t *line;                    /* keeps the texts of the line at hand */
    struct flat flat;                /* the line at hand, if it is plain */
    char id[RECORD_ID_MAX + 1];      /* of the line at hand */
};

enum fx_code record_refuse(struct record_line *line, const char *field, struct fx_err *err,
                           const char *format, ...)
{
    char reason[FX_ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    text_copy(line->field, sizeof line->field, field);
    line->is_field_known = true;
    if (line->field[0] == '\0')
        return fx_err_set(err, FX_EINPUT, "%s", reason);
    return fx_err_set(err, FX_EINPUT, "%s: %s", line->field, reason);
}

const char *record_reason(const struct record_line *line, const struct fx_err *err)
{
    size_t size = strlen(line->field);
    if (size > 0 && strncmp(err->text, line->field, size) == 0 &&
        strncmp(err->text + size, ": ", 2) == 0)
        return err->text + size + 2;
    return err->text;
}

static struct key *find_slot(struct record *record, const char *name, size_t size)
{
    uint64_t at = hash_bytes(name, size, 0);
    struct key *slot = &record->keys[at & (SLOTS - 1)];
    while (slot->name != NULL && (slot->size != size || memcmp(slot->name, name, size) != 0))
        slot = &record->keys[++at & (SLOTS - 1)];
    return slot;
}

static void add_key(struct record *record, const char *name, int index)
{
    struct key *slot = find_slot(record, name, strlen(name));
    if (slot->name == NULL)
        *slot = (struct key){name, strlen(name), index};
}

/* A text keeps jansson's end. */
static struct flat_value value_of_json(const json_t *json)
{
    static const enum flat_type types[] = {FLAT_OBJECT,   FLAT_LIST, FLAT_TEXT,  FLAT_NUMBER,
                                           FLAT_FRACTION, FLAT_TRUE, FLAT_FALSE, FLAT_NULL};
    _Static_assert(JSON_OBJECT == 0 && JSON_STRING == 2 && JSON_NULL == 7, "jansson's order");
    struct flat_value value = {types[json_typeof(json)], 0, "", 0};
    if (value.type == FLAT_NUMBER)
        value.number = json_integer_value(json);
    if (value.type == FLAT_TEXT) {
        value.text = json_string_value(json);
        value.size = (int)json_string_length(json);
    }
    return value;
}

static bool is_producers(int index)
{
    return index < ENVELOPE_COUNT && index != ENVELOPE_SOURCE && index != ENVELOPE_REGION &&
           index != ENVELOPE_OCCURRED_AT;
}

static enum fx_code refuse_unknown(const struct record *record, const struct flat_pair *pair,
                                   struct record_line *line, struct fx_err *err)
{
    char name[2 * SUGGEST_NAME_MAX];
    struct suggest suggest;
    snprintf(name, sizeof name, "%.*s", pair->key_size, pair->key);
    suggest_init(&suggest, name);
    for (int i = 0; i < record->schema->field_count; i++)
        if (!is_producers(i))
            suggest_offer(&suggest, record->schema->fields[i].name);
    char quoted[SUGGEST_QUOTE_SIZE];
    suggest_quote(quoted, name);
    char *bare = quoted + 1;
    bare[strlen(bare) - 1] = '\0';
    record_refuse(line, bare, err, "%s has no such field%s%s%s", record->options.kind->name,
                  suggest.best != NULL ? "; did you mean " : "",
                  suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "?" : "");
    line->is_field_known = false;
    return err->code;
}

static enum fx_code take_id(struct record *record, const struct flat_value *given,
                            struct record_line *line, struct fx_err *err)
{
    if (given->type != FLAT_TEXT)
        return record_refuse(line, "id", err, "wants a text, not %s", value_type_name(given));
    if (given->size < 1 || given->size > RECORD_ID_MAX)
        return record_refuse(line, "id", err, "has %d bytes, wants 1 to %d", given->size,
                             RECORD_ID_MAX);
    if (line->id != NULL)
        return record_refuse(line, "id", err, "is given twice");
    memcpy(record->id, given->text, (size_t)given->size);
    record->id[given->size] = '\0';
    line->id = record->id;
    return FX_OK;
}

static enum fx_code read_pair(struct record *record, const struct flat_pair *pair,
                              const struct key *key, struct record_line *line, struct fx_err *err)
{
    if (key->name == NULL)
        return refuse_unknown(record, pair, line, err);
    if (key->index == KEY_ID)
        return take_id(record, &pair->value, line, err);
    if (is_producers(key->index))
        return record_refuse(line, key->name, err, "is given by the producer, not by a line");
    if (record->is_said[key->index])
        return record_refuse(line, key->name, err, "says twice what occurred_at says");
    record->is_said[key->index] = true;
    return value_read(&record->schema->fields[key->index], &pair->value,
                      &line->event.values[key->index], line, err);
}

/* What a line leaves unsaid, but for the rest of a sum. */
static enum fx_code fill_value(const struct record *record, int index, struct record_line *line,
                               struct fx_err *err)
{
    const struct field *field = &record->schema->fields[index];
    struct event_value *value = &line->event.values[index];
    *value = (struct event_value){0, "", 0, false};
    if (record->is_constant[index]) {
        *value = record->constants.values[index];
    } else if (field->has_default) {
        *value = (struct event_value){field->default_number, "", 0, field->is_default_null};
        if (field->default_text != NULL) {
            value->text = field->default_text;
            value->size = (int)strlen(field->default_text);
        }
    } else if (field->is_nullable) {
        value->is_null = true;
    } else if ((field->type != FIELD_INT && field->type != FIELD_LONG) || field->min > 0) {
        return record_refuse(line, field->name, err, "is missing");
    }
    return FX_OK;
}

/* "persons: 3 is not code_green + code_none = 2" */
static enum fx_code check_sum(struct record *record, const struct sum *sum,
                              struct record_line *line, struct fx_err *err)
{
    const struct field *fields = record->schema->fields;
    struct event_value *values = line->event.values;
    int64_t total = values[sum->total].number;
    int64_t parts = 0;
    for (int i = 0; i < sum->part_count; i++)
        if (sum->parts[i] != sum->rest || record->is_said[sum->rest])
            parts += values[sum->parts[i]].number;
    if (sum->rest >= 0 && !record->is_said[sum->rest] && parts <= total) {
        values[sum->rest].number = total - parts;
        return value_check_bounds(&fields[sum->rest], total - parts, line, err);
    }
    if (parts == total)
        return FX_OK;
    return record_refuse(line, fields[sum->total].name, err,
                         "'%" PRId64 "' is not the sum of %s to %s, '%" PRId64 "'", total,
                         fields[sum->parts[0]].name, fields[sum->parts[sum->part_count - 1]].name,
                         parts);
}

static enum fx_code check_envelope(struct record_line *line, struct fx_err *err)
{
    const struct event_value *source = event_envelope(&line->event, ENVELOPE_SOURCE);
    const struct event_value *region = event_envelope(&line->event, ENVELOPE_REGION);
    if (source->size == 0)
        return record_refuse(line, "source", err, "is missing: no line and no option gives it");
    if (region->size == 0)
        return record_refuse(line, "region", err, "is missing: no line and no option gives it");
    if (!text_is_name(source->text, (size_t)source->size, SCHEMA_SOURCE_MAX))
        return record_refuse(line, "source", err, "wants 1 to %d of A-Z a-z 0-9 . _ -",
                             SCHEMA_SOURCE_MAX);
    if (region->size < 1 || region->size > SCHEMA_REGION_MAX)
        return record_refuse(line, "region", err, "wants 1 to %d bytes", SCHEMA_REGION_MAX);
    if (region->size == 1 && region->text[0] == '-')
        return record_refuse(line, "region", err, "'-' is no place an event can happen in");
    return FX_OK;
}

static enum fx_code fill_and_check(struct record *record, struct record_line *line,
                                   struct fx_err *err)
{
    const struct schema *schema = record->schema;
    enum fx_code code = FX_OK;
    for (int i = ENVELOPE_COUNT; code == FX_OK && i < schema->field_count; i++) {
        if (!record->is_said[i] && !record->is_constant[i] && record->is_rest[i])
            line->event.values[i] = (struct event_value){0, "", 0, false};
        else if (!record->is_said[i])
            code = fill_value(record, i, line, err);
    }
    for (int i = 0; code == FX_OK && i < schema->sum_count; i++)
        code = check_sum(record, &schema->sums[i], line, err);
    return code == FX_OK ? check_envelope(line, err) : code;
}

/* The post's own source and region, so that even a refused line can be put down to it. */
static void fill_envelope(const struct record *record, struct record_line *line)
{
    line->event.schema = record->schema;
    for (int i = 0; i < ENVELOPE_COUNT; i++)
        line->event.values[i] = record->constants.values[i];
    line->event.values[ENVELOPE_SIGN].number = 1;
}

static enum fx_code refuse_json(const json_error_t *error, struct record_line *line,
                                struct fx_err *err)
{
    enum json_error_code what = json_error_code(error);
    if (what == json_error_invalid_utf8)
        return record_refuse(line, "", err, "the line is not UTF-8");
    if (what == json_error_null_character || what == json_error_null_byte_in_key)
        return record_refuse(line, "", err, "the line holds a NUL character");
    if (what == json_error_duplicate_key)
        return record_refuse(line, "", err, "a key is given twice, by column %d", error->column);
    if (what == json_error_numeric_overflow)
        return record_refuse(line, "", err, "a number is too large, by column %d", error->column);
    return record_refuse(line, "", err, "the line is not JSON, by column %d", error->column);
}

static enum fx_code refuse_no_object(const json_t *json, struct record_line *line,
                                     struct fx_err *err)
{
    const struct flat_value value = value_of_json(json);
    return record_refuse(line, "", err, "the line is %s, not an object", value_type_name(&value));
}

/* The time comes first: the dialect may compute fields from it. */
static enum fx_code read_when(struct record *record, struct record_line *line, struct fx_err *err)
{
    const struct field *field = &record->schema->fields[ENVELOPE_OCCURRED_AT];
    struct event_value *value = &line->event.values[ENVELOPE_OCCURRED_AT];
    const json_t *json = json_object_get(record->line, "at");
    if (json == NULL)
        json = json_object_get(record->line, field->name);
    line->is_clock = json == NULL;
    if (json != NULL) {
        const struct flat_value given = value_of_json(json);
        return value_read(field, &given, value, line, err);
    }
    *value = (struct event_value){line->now_ms, "", 0, false};
    return FX_OK;
}

/* The key of pair i of the plain line, which is expected there in the next one. */
static const struct key *key_at(struct record *record, int i)
{
    const struct flat_pair *pair = &record->flat.pairs[i];
    if (pair->key == record->expected[i].text)
        return record->last[i];
    const struct key *key = find_slot(record, pair->key, (size_t)pair->key_size);
    if (key->name != NULL) {
        record->last[i] = key;
        record->expected[i] = (struct flat_key){key->name, key->size};
    }
    return key;
}

/* A plain line, without its JSON being built. FX_EINPUT says no more than that it is not to be
 * read so: why a line is refused is found in one way only, by read_json. */
static enum fx_code read_flat(struct record *record, struct record_line *line, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < record->flat.count; i++)
        code = read_pair(record, &record->flat.pairs[i], key_at(record, i), line, err);
    struct event_value *at = &line->event.values[ENVELOPE_OCCURRED_AT];
    line->is_clock = !record->is_said[ENVELOPE_OCCURRED_AT];
    if (line->is_clock)
        *at = (struct event_value){line->now_ms, "", 0, false};
    return code == FX_OK ? fill_and_check(record, line, err) : code;
}

static enum fx_code load_json(struct record *record, const char *text, size_t size,
                              struct record_line *line, struct fx_err *err)
{
    json_error_t error;
    record->line = guard_load(text, size, JSON_REJECT_DUPLICATES, &error);
    if (guard_was_short())
        return FX_EMEMORY;
    if (record->line == NULL)
        return refuse_json(&error, line, err);
    if (!json_is_object(record->line))
        return refuse_no_object(record->line, line, err);
    enum fx_code code = read_when(record, line, err);
    if (code == FX_OK && record->options.complete != NULL)
        code = record->options.complete(record->line, line, err);
    for (void *at = json_object_iter(record->line); code == FX_OK && at != NULL;
         at = json_object_iter_next(record->line, at)) {
        const char *key = json_object_iter_key(at);
        const struct flat_pair pair = {key, (int)strlen(key),
                                       value_of_json(json_object_iter_value(at))};
        code = read_pair(record, &pair, find_slot(record, key, (size_t)pair.key_size), line, err);
    }
    return code == FX_OK ? fill_and_check(record, line, err) : code;
}

static enum fx_code read_json(struct record *record, const char *text, size_t size,
                              struct record_line *line, struct fx_err *err)
{
    guard_watch();
    enum fx_code code = load_json(record, text, size, line, err);
    if (!guard_was_short())
        return code;
    fx_err_clear(err);
    return fx_err_set(err, FX_EMEMORY, "no memory for a line");
}

static void forget_line(struct record *record, struct record_line *line)
{
    line->id = NULL;
    line->field[0] = '\0';
    line->is_field_known = true;
    fill_envelope(record, line);
    memset(record->is_said, 0, sizeof record->is_said);
}

enum fx_code record_read(struct record *record, const char *text, size_t size,
                         struct record_line *line, struct fx_err *err)
{
    forget_line(record, line);
    json_decref(record->line);
    record->line = NULL;
    if (size > RECORD_LINE_MAX)
        return record_refuse(line, "", err, "the line is longer than %d bytes", RECORD_LINE_MAX);
    /* A dialect's completion wants JSON. */
    if (record->options.complete == NULL &&
        flat_parse(text, size, record->expected, &record->flat)) {
        if (read_flat(record, line, err) == FX_OK)
            return FX_OK;
        fx_err_clear(err);
        forget_line(record, line);
    }
    return read_json(record, text, size, line, err);
}

/* A constant's text as the JSON a line would hold. */
static json_t *json_of_text(const struct field *field, const char *text)
{
    if (field->is_nullable && strcmp(text, "null") == 0)
        return json_null();
    if (field->type == FIELD_BOOLEAN && strcmp(text, "true") == 0)
        return json_true();
    if (field->type == FIELD_BOOLEAN && strcmp(text, "false") == 0)
        return json_false();
    bool is_number = (field->type == FIELD_INT || field->type == FIELD_LONG) && !field->is_time;
    json_t *number = is_number ? guard_load(text, strlen(text), JSON_DECODE_ANY, NULL) : NULL;
    return number != NULL || guard_was_short() ? number : json_string(text);
}

static enum fx_code set_constant(struct record *record, const char *name, const char *text,
                                 struct fx_err *err)
{
    struct record_line line;
    const struct flat_pair pair = {.key = name, .key_size = (int)strlen(name)};
    const struct key *key = find_slot(record, name, strlen(name));
    if (key->name == NULL)
        return refuse_unknown(record, &pair, &line, err);
    if (key->index == KEY_ID || key->index == ENVELOPE_OCCURRED_AT || is_producers(key->index))
        return fx_err_set(err, FX_ECONFIG, "%s cannot be a constant", name);
    const struct field *field = &record->schema->fields[key->index];
    guard_watch();
    json_t *json = json_of_text(field, text);
    if (guard_was_short()) {
        json_decref(json);
        return fx_err_set(err, FX_EMEMORY, "no memory for constants");
    }
    if (json == NULL)
        return fx_err_set(err, FX_ECONFIG, "the value is not UTF-8");
    if (json_array_append_new(record->set, json) != 0)
        return fx_err_set(err, FX_EMEMORY, "no memory for constants");
    const struct flat_value given = value_of_json(json);
    enum fx_code code =
        value_read(field, &given, &record->constants.values[key->index], &line, err);
    if (code == FX_OK)
        record->is_constant[key->index] = true;
    return code;
}

static enum fx_code set_constants(struct record *record, struct fx_err *err)
{
    const struct record_options *options = &record->options;
    enum fx_code code = FX_OK;
    if (options->source != NULL) {
        code = set_constant(record, "source", options->source, err);
        if (code == FX_OK &&
            !text_is_name(options->source, strlen(options->source), SCHEMA_SOURCE_MAX))
            code = fx_err_set(err, FX_ECONFIG, "--source wants 1 to %d of A-Z a-z 0-9 . _ -",
                              SCHEMA_SOURCE_MAX);
    }
    if (code == FX_OK && options->region != NULL)
        code = set_constant(record, "region", options->region, err);
    for (int i = 0; code == FX_OK && options->set != NULL && i < options->set->count; i++) {
        char name[SCHEMA_NAME_MAX];
        const char *value = NULL;
        code = args_split(options->set->items[i], name, sizeof name, &value, err);
        if (code == FX_OK)
            code = set_constant(record, name, value, err);
        if (code != FX_OK)
            fx_err_wrap(err, "--set");
    }
    if (code == FX_EINPUT)
        err->code = code = FX_ECONFIG;
    return code;
}

enum fx_code record_open(const struct record_options *options, struct record **record,
                         struct fx_err *err)
{
    json_set_alloc_funcs(malloc, free);
    struct record *fresh = calloc(1, sizeof *fresh);
    json_t *set = json_array();
    if (fresh == NULL || set == NULL) {
        free(fresh);
        json_decref(set);
        return fx_err_set(err, FX_EMEMORY, "no memory for a record");
    }
    fresh->options = *options;
    fresh->schema = kind_current(options->kind);
    event_reset(&fresh->constants, fresh->schema);
    fresh->set = set;
    for (int i = 0; i < fresh->schema->field_count; i++)
        add_key(fresh, fresh->schema->fields[i].name, i);
    add_key(fresh, "at", ENVELOPE_OCCURRED_AT);
    add_key(fresh, "id", KEY_ID);
    for (int i = 0; i < fresh->schema->sum_count; i++)
        if (fresh->schema->sums[i].rest >= 0)
            fresh->is_rest[fresh->schema->sums[i].rest] = true;
    enum fx_code code = set_constants(fresh, err);
    if (code != FX_OK) {
        record_close(fresh);
        return code;
    }
    *record = fresh;
    return FX_OK;
}

void record_close(struct record *record)
{
    if (record == NULL)
        return;
    json_decref(record->line);
    json_decref(record->set);
    free(record);
}

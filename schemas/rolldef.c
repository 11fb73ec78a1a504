/* SPDX-License-Identifier: Apache-2.0 */
#include "rolldef.h"

#include "../common/day.h"
#include "../common/text.h"
#include "document.h"
#include "rolldef_column.h"
#include "rolldef_derived.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".rollup.json"
#define NAME_LIMIT 36 /* NAME_county_daily_detail, and what is made from it, fit 63 bytes */
#define DIMENSION_LENGTH_MAX 64
#define FILE_NAME_MAX 256

static const char *const compare_names[] = {
    "in", "not in", ">", ">=", "<", "<=", "is null", "is not null"};
_Static_assert(sizeof compare_names / sizeof compare_names[0] == COMPARE_IS_NOT_NULL + 1,
               "a name each");

static void release_rollup(struct rollup *rollup)
{
    for (int i = 0; i < rollup->column_count; i++)
        column_release(&rollup->columns[i]);
    for (int i = 0; i < rollup->derived_count; i++) {
        free(rollup->derived[i].sql);
        free(rollup->derived[i].doc);
    }
    free(rollup->columns);
    free(rollup->derived);
    free(rollup->doc);
    *rollup = (struct rollup){0};
}

void rollup_set_release(struct rollup_set *set)
{
    for (int i = 0; i < set->count; i++)
        release_rollup(&set->rollups[i]);
    free(set->rollups);
    *set = (struct rollup_set){0};
}

/* file is NAME.rollup.json. */
static enum fx_code parse_name(const json_t *root, const char *file, struct rollup *rollup,
                               struct fx_err *err)
{
    const char *name = NULL;
    if (document_string(root, "rollup", NULL, &name, err) != FX_OK)
        return err->code;
    size_t size = strlen(name);
    if (!text_is_identifier(name) || size > NAME_LIMIT)
        return fx_err_set(err, FX_ECONFIG,
                          "rollup \"%.64s\" is not [a-z_][a-z0-9_]* of at most %d bytes", name,
                          NAME_LIMIT);
    if (strncmp(file, name, size) != 0 || strcmp(file + size, SUFFIX) != 0)
        return fx_err_set(err, FX_ECONFIG, "rollup \"%s\" belongs into %s" SUFFIX, name, name);
    text_copy(rollup->name, sizeof rollup->name, name);
    return FX_OK;
}

static enum fx_code parse_region(const json_t *root, const struct schema *schema,
                                 struct rollup *rollup, struct fx_err *err)
{
    const char *name = NULL;
    if (document_string(root, "region", "region", &name, err) != FX_OK ||
        rolldef_find_field(schema, name, &rollup->region_field, err) != FX_OK)
        return fx_err_wrap(err, "region");
    const struct field *field = &schema->fields[rollup->region_field];
    if (rollup->region_field == ENVELOPE_SOURCE || field->type != FIELD_STRING ||
        field->max_length > SCHEMA_REGION_MAX)
        return fx_err_set(err, FX_ECONFIG,
                          "region: field \"%s\" is no region's code (a string of max_length <= %d)",
                          name, SCHEMA_REGION_MAX);
    return FX_OK;
}

static enum fx_code parse_by(const json_t *root, struct rollup *rollup, struct fx_err *err)
{
    const json_t *by = json_object_get(root, "by");
    for (size_t i = 0; i < json_array_size(by); i++) {
        const char *word = json_string_value(json_array_get(by, i));
        bool *flag = word == NULL                  ? NULL
                     : strcmp(word, "source") == 0 ? &rollup->by_source
                     : strcmp(word, "region") == 0 ? &rollup->by_region
                                                   : NULL;
        if (flag == NULL || *flag)
            return fx_err_set(err, FX_ECONFIG, "by: \"%.64s\" is not source or region, once each",
                              word == NULL ? "" : word);
        *flag = true;
    }
    if (!rollup->by_source && !rollup->by_region)
        return fx_err_set(err, FX_ECONFIG, "\"by\" is no list of source, region or both");
    return FX_OK;
}

/* A bucket has to fit into the hour and into the local day, so that both are sums of buckets. */
static enum fx_code parse_bucket(const json_t *root, struct rollup *rollup, struct fx_err *err)
{
    const char *text = NULL;
    int64_t width_ms = 0;
    if (document_string(root, "bucket", NULL, &text, err) != FX_OK ||
        day_parse_width(text, &width_ms, err) != FX_OK)
        return fx_err_wrap(err, "bucket");
    bool is_part = DAY_HOUR_MS % width_ms == 0;
    bool is_hours =
        width_ms % DAY_HOUR_MS == 0 && DAY_MS % width_ms == 0 && DAY_ZONE_OFFSET_MS % width_ms == 0;
    if (!is_part && !is_hours)
        return fx_err_set(err, FX_ECONFIG,
                          "bucket: %s divides no hour, and is not 1h, 2h, 4h or 8h", text);
    rollup->bucket_ms = width_ms;
    return FX_OK;
}

static bool is_reserved(const char *name)
{
    static const char *const words[] = {"bucket_start", "hour",  "day",     "name",
                                        "name_latin",   "level", "complete"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

static enum fx_code check_dimension(const struct schema *schema, const struct rollup *rollup,
                                    int index, struct fx_err *err)
{
    const struct field *field = &schema->fields[index];
    bool is_short = field->type == FIELD_STRING && field->max_length <= DIMENSION_LENGTH_MAX;
    if (index < ENVELOPE_COUNT)
        return fx_err_set(err, FX_ECONFIG, "field \"%s\" belongs to the envelope: see \"by\"",
                          field->name);
    if (field->is_nullable || (field->type != FIELD_ENUM && !is_short))
        return fx_err_set(err, FX_ECONFIG,
                          "field \"%s\" is no enum or string of max_length <= %d, never null",
                          field->name, DIMENSION_LENGTH_MAX);
    if (is_reserved(field->name))
        return fx_err_set(err, FX_ECONFIG, "\"%s\" is a column of every view", field->name);
    for (int i = 0; i < rollup->dimension_count; i++)
        if (rollup->dimensions[i] == index)
            return fx_err_set(err, FX_ECONFIG, "field \"%s\" is named twice", field->name);
    for (int i = 0; i < rollup->column_count; i++)
        if (strcmp(rollup->columns[i].name, field->name) == 0)
            return fx_err_set(err, FX_ECONFIG, "column \"%s\" has the same name", field->name);
    return FX_OK;
}

static enum fx_code parse_dimensions(const json_t *root, const struct schema *schema,
                                     struct rollup *rollup, struct fx_err *err)
{
    const json_t *names = json_object_get(root, "dimensions");
    size_t count = json_array_size(names);
    if ((names != NULL && !json_is_array(names)) || count > ROLLUP_DIMENSIONS_MAX)
        return fx_err_set(err, FX_ECONFIG, "\"dimensions\" is no list of at most %d fields",
                          ROLLUP_DIMENSIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int index = -1;
        if (rolldef_find_field(schema, name == NULL ? "" : name, &index, err) != FX_OK ||
            check_dimension(schema, rollup, index, err) != FX_OK)
            return fx_err_wrap(err, "dimensions[%zu]", i);
        rollup->dimensions[rollup->dimension_count++] = index;
    }
    return FX_OK;
}

static void append_value(struct buf *out, const struct field *field,
                         const struct condition *condition, int i)
{
    if (field->type == FIELD_STRING)
        buf_append_format(out, " %zu:%s", strlen(condition->texts[i]), condition->texts[i]);
    else if (field->type == FIELD_ENUM)
        buf_append_format(out, " %s", field->symbols[condition->values[i]]);
    else
        buf_append_format(out, " %" PRId64, condition->values[i]);
}

static void append_column(struct buf *out, const struct schema *schema,
                          const struct rollup_column *column)
{
    buf_append_format(out, "column %s %s %s", column->name, aggregate_name(column->aggregate),
                      column->field < 0 ? "*" : schema->fields[column->field].name);
    for (int i = 0; i < column->condition_count; i++) {
        const struct condition *condition = &column->conditions[i];
        const struct field *field = &schema->fields[condition->field];
        buf_append_format(out, " where %s %s", field->name, compare_names[condition->compare]);
        for (int j = 0; j < condition->value_count; j++)
            append_value(out, field, condition, j);
    }
    buf_append_text(out, "\n");
}

/* Over names, not indexes: another version of the schema must not look like another meaning. */
static enum fx_code compute_fingerprint(const struct schema *schema, struct rollup *rollup,
                                        struct fx_err *err)
{
    struct buf text = BUF_INIT;
    buf_append_format(&text, "rollup %s\nbucket %" PRId64 "\nregion %s\nby%s%s\n", rollup->name,
                      rollup->bucket_ms, schema->fields[rollup->region_field].name,
                      rollup->by_source ? " source" : "", rollup->by_region ? " region" : "");
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(&text, "dimension %s\n", schema->fields[rollup->dimensions[i]].name);
    for (int i = 0; i < rollup->column_count; i++)
        append_column(&text, schema, &rollup->columns[i]);
    enum fx_code code = buf_check(&text, err);
    if (code == FX_OK)
        rollup->fingerprint = wire_fingerprint((const char *)text.data, text.size);
    buf_release(&text);
    return code;
}

static enum fx_code parse_rollup(const json_t *root, const char *file, const struct schema *schema,
                                 struct rollup *rollup, struct fx_err *err)
{
    static const char *const keys[] = {"rollup",     "doc",     "region",  "by", "bucket",
                                       "dimensions", "columns", "derived", NULL};
    const char *doc = NULL;
    rollup->columns = calloc(ROLLUP_COLUMNS_MAX, sizeof *rollup->columns);
    if (rollup->columns == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    if (document_check_keys(root, keys, err) != FX_OK ||
        document_string(root, "doc", "", &doc, err) != FX_OK ||
        document_copy(doc, &rollup->doc, err) != FX_OK ||
        parse_name(root, file, rollup, err) != FX_OK ||
        parse_region(root, schema, rollup, err) != FX_OK || parse_by(root, rollup, err) != FX_OK ||
        parse_bucket(root, rollup, err) != FX_OK ||
        columns_parse(json_object_get(root, "columns"), schema, rollup, err) != FX_OK ||
        parse_dimensions(root, schema, rollup, err) != FX_OK ||
        derived_parse(json_object_get(root, "derived"), rollup, err) != FX_OK)
        return err->code;
    return compute_fingerprint(schema, rollup, err);
}

static enum fx_code read_rollup(const char *folder, const char *file, char **json,
                                struct fx_err *err)
{
    struct buf path = BUF_INIT;
    struct buf text = BUF_INIT;
    buf_append_format(&path, "%s/%s", folder, file);
    enum fx_code code = buf_check(&path, err);
    if (code == FX_OK)
        code = document_read(buf_text(&path), DOCUMENT_SIZE_MAX, &text, err);
    if (code == FX_OK)
        code = document_take(&text, json, err);
    buf_release(&text);
    buf_release(&path);
    return code;
}

/* Also on error rollup may be released. */
static enum fx_code load_rollup(const char *folder, const char *file, const struct kind *kind,
                                struct rollup *rollup, struct fx_err *err)
{
    char *json = NULL;
    json_t *root = NULL;
    enum fx_code code = read_rollup(folder, file, &json, err);
    if (code == FX_OK)
        code = document_parse(json, &root, err);
    if (code == FX_OK)
        code = parse_rollup(root, file, kind_current(kind), rollup, err);
    json_decref(root);
    free(json);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s", file);
}

static bool is_definition(const char *entry)
{
    size_t length = strlen(entry);
    return entry[0] != '.' && length >= sizeof SUFFIX && length < FILE_NAME_MAX &&
           strcmp(entry + length - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names of the folder's definitions, sorted. */
static enum fx_code list_files(const char *folder, char (*files)[FILE_NAME_MAX], int *count,
                               struct fx_err *err)
{
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_ECONFIG,
                          "%.200s cannot be read: %s", folder, strerror(errno));
    int found = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (!is_definition(entry->d_name))
            continue;
        if (found < ROLLUP_PER_KIND_MAX)
            text_copy(files[found], FILE_NAME_MAX, entry->d_name);
        found++;
    }
    closedir(listing);
    if (found > ROLLUP_PER_KIND_MAX)
        return fx_err_set(err, FX_ECONFIG, "%.200s holds more than %d rollups", folder,
                          ROLLUP_PER_KIND_MAX);
    qsort(files, (size_t)found, FILE_NAME_MAX, compare_files);
    *count = found;
    return FX_OK;
}

static int compare_rollups(const void *a, const void *b)
{
    const struct rollup *left = a;
    const struct rollup *right = b;
    return strcmp(left->name, right->name);
}

enum fx_code rollup_set_load(const char *directory, const struct kind *kind, struct rollup_set *set,
                             struct fx_err *err)
{
    char folder[4096];
    char files[ROLLUP_PER_KIND_MAX][FILE_NAME_MAX];
    int count = 0;
    int length = snprintf(folder, sizeof folder, "%s/%s", directory, kind->name);
    if (length < 0 || (size_t)length >= sizeof folder)
        return fx_err_set(err, FX_ECONFIG, "the path %.80s… is too long", directory);
    if (list_files(folder, files, &count, err) != FX_OK)
        return err->code;
    struct rollup_set fresh = {calloc((size_t)count + 1, sizeof(struct rollup)), 0};
    if (fresh.rollups == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    enum fx_code code = FX_OK;
    while (code == FX_OK && fresh.count < count) {
        struct rollup *rollup = &fresh.rollups[fresh.count];
        code = load_rollup(folder, files[fresh.count], kind, rollup, err);
        fresh.count++;
    }
    if (code != FX_OK) {
        rollup_set_release(&fresh);
        return code;
    }
    qsort(fresh.rollups, (size_t)count, sizeof *fresh.rollups, compare_rollups);
    *set = fresh;
    return FX_OK;
}

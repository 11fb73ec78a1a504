/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include "../common/text.h"
#include "canonical.h"
#include "document.h"
#include "guard.h"
#include "heartbeat_schema.h"
#include "schema_parse.h"
#include "wire.h"

#include <avro.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSIONS_MAX 1000
#define SUFFIX ".avsc"

struct checking {
    const char *json;
    avro_schema_t parsed;
    int failed; /* errno */
};

/* Begins with jansson's parse, and asks it for no memory afterwards. */
static void read_with_avro(void *context)
{
    struct checking *checking = context;
    checking->failed =
        avro_schema_from_json_length(checking->json, strlen(checking->json), &checking->parsed);
}

/* avro-c reads the text as well: what it refuses, other people's tools refuse too. */
static enum fx_code check_with_avro(const char *json, struct fx_err *err)
{
    struct checking checking = {json, NULL, 0};
    guard_call(read_with_avro, &checking);
    if (guard_was_short() || checking.failed == ENOMEM)
        return fx_err_set(err, FX_EMEMORY, "no memory for avro-c");
    if (checking.failed != 0)
        return fx_err_set(err, FX_ECONFIG, "avro-c: %s", avro_strerror());
    avro_schema_decref(checking.parsed);
    return FX_OK;
}

static enum fx_code read_text(const char *path, char **json, struct fx_err *err)
{
    struct buf text = BUF_INIT;
    enum fx_code code = document_read(path, DOCUMENT_SIZE_MAX, &text, err);
    if (code == FX_OK)
        code = document_take(&text, json, err);
    buf_release(&text);
    return code;
}

static enum fx_code make_canonical(const json_t *root, struct schema *schema, struct fx_err *err)
{
    struct buf text = BUF_INIT;
    canonical_append(&text, root);
    if (document_take(&text, &schema->canonical, err) != FX_OK)
        return err->code;
    schema->fingerprint = wire_fingerprint(schema->canonical, strlen(schema->canonical));
    return FX_OK;
}

/* Also on error schema holds only what schema_release may free. */
static enum fx_code load_schema(const char *path, const char *kind, struct schema *schema,
                                struct fx_err *err)
{
    json_t *root = NULL;
    if (read_text(path, &schema->json, err) != FX_OK ||
        document_parse(schema->json, &root, err) != FX_OK)
        return err->code;
    enum fx_code code = schema_parse(root, kind, schema, err);
    if (code == FX_OK)
        code = check_with_avro(schema->json, err);
    if (code == FX_OK)
        code = make_canonical(root, schema, err);
    json_decref(root);
    return code;
}

static enum fx_code format_path(char *out, size_t size, const char *directory, const char *rest,
                                struct fx_err *err)
{
    int length = snprintf(out, size, "%s/%s", directory, rest);
    if (length < 0 || (size_t)length >= size)
        return fx_err_set(err, FX_ECONFIG, "the path %.80s… is too long", directory);
    return FX_OK;
}

/* 0: entry is no schema's file; -1: it looks like one, but is not named N.avsc. */
static int parse_version(const char *entry)
{
    size_t length = strlen(entry);
    if (entry[0] == '.' || length < sizeof SUFFIX - 1 ||
        strcmp(entry + length - (sizeof SUFFIX - 1), SUFFIX) != 0)
        return 0;
    char *end = NULL;
    long version = strtol(entry, &end, 10);
    bool is_good =
        entry[0] >= '1' && entry[0] <= '9' && strcmp(end, SUFFIX) == 0 && version <= VERSIONS_MAX;
    return is_good ? (int)version : -1;
}

/* Counts the versions in folder, which have to be 1 to count without a hole. */
static enum fx_code count_versions(const char *folder, int *count, struct fx_err *err)
{
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_ECONFIG,
                          "folder cannot be read: %s", strerror(errno));
    int found = 0;
    int highest = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        int version = parse_version(entry->d_name);
        if (version < 0)
            fx_err_set(err, FX_ECONFIG, "%.80s is not named N.avsc, N from 1 to %d", entry->d_name,
                       VERSIONS_MAX);
        found += version > 0;
        highest = version > highest ? version : highest;
    }
    closedir(listing);
    if (err->code != FX_OK)
        return err->code;
    if (found == 0)
        return fx_err_set(err, FX_ECONFIG, "1.avsc is missing");
    if (found != highest)
        return fx_err_set(err, FX_ECONFIG, "%d.avsc is there, but not all from 1 on", highest);
    *count = found;
    return FX_OK;
}

static enum fx_code load_version(const char *folder, struct kind *kind, int version,
                                 struct fx_err *err)
{
    char path[4096];
    char name[32];
    snprintf(name, sizeof name, "%d" SUFFIX, version);
    if (format_path(path, sizeof path, folder, name, err) != FX_OK)
        return err->code;
    struct schema *schema = &kind->versions[kind->version_count++];
    schema->version = version;
    enum fx_code code = load_schema(path, kind->name, schema, err);
    if (code == FX_OK)
        code = strcmp(kind->name, "heartbeat") == 0 ? schema_check_heartbeat(schema, err)
                                                    : schema_check_envelope(schema, err);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s/%s", kind->name, name);
}

static bool is_kind_name(const char *name)
{
    return text_is_identifier(name) && name[0] != '_';
}

static enum fx_code load_versions(const char *folder, struct kind *kind, struct fx_err *err)
{
    int count = 0;
    if (count_versions(folder, &count, err) != FX_OK)
        return fx_err_wrap(err, "%s", kind->name);
    kind->versions = calloc((size_t)count, sizeof *kind->versions);
    if (kind->versions == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d schemas", count);
    for (int version = 1; version <= count; version++)
        if (load_version(folder, kind, version, err) != FX_OK)
            return err->code;
    return schema_check_versions(kind, err);
}

static enum fx_code load_folder(const char *directory, const char *name, struct kind *kind,
                                struct fx_err *err)
{
    char folder[4096];
    struct kind fresh = {0};
    if (!is_kind_name(name) || !text_copy(fresh.name, sizeof fresh.name, name))
        return fx_err_set(err, FX_ECONFIG, "\"%.64s\" is no kind's name: [a-z][a-z0-9_]*", name);
    if (format_path(folder, sizeof folder, directory, name, err) != FX_OK)
        return err->code;
    enum fx_code code = load_versions(folder, &fresh, err);
    if (code != FX_OK) {
        kind_release(&fresh);
        return code;
    }
    *kind = fresh;
    return FX_OK;
}

enum fx_code kind_load(const char *directory, const char *name, struct kind *kind,
                       struct fx_err *err)
{
    if (strcmp(name, "heartbeat") == 0)
        return fx_err_set(err, FX_ECONFIG, "heartbeat is no kind of event");
    return load_folder(directory, name, kind, err);
}

void kind_release(struct kind *kind)
{
    for (int i = 0; i < kind->version_count; i++)
        schema_release(&kind->versions[i]);
    free(kind->versions);
    *kind = (struct kind){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Adds entry to names if it is a kind's folder. */
static enum fx_code add_kind(const char *directory, const char *entry,
                             char (*names)[SCHEMA_NAME_MAX], int limit, int *count)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s/1" SUFFIX, directory, entry);
    bool is_kind = entry[0] != '.' && strcmp(entry, "heartbeat") != 0 && length > 0 &&
                   (size_t)length < sizeof path && access(path, F_OK) == 0;
    if (!is_kind)
        return FX_OK;
    if (!is_kind_name(entry))
        return FX_ECONFIG;
    if (*count == limit)
        return FX_EFULL;
    text_copy(names[(*count)++], SCHEMA_NAME_MAX, entry);
    return FX_OK;
}

enum fx_code kind_list(const char *directory, char (*names)[SCHEMA_NAME_MAX], int limit, int *count,
                       struct fx_err *err)
{
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_ECONFIG, "%s cannot be read: %s",
                          directory, strerror(errno));
    int found = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        enum fx_code code = add_kind(directory, entry->d_name, names, limit, &found);
        if (code == FX_ECONFIG)
            fx_err_set(err, FX_ECONFIG, "%s: folder \"%.64s\" is no kind's name: [a-z][a-z0-9_]*",
                       directory, entry->d_name);
        if (code == FX_EFULL)
            fx_err_set(err, FX_ECONFIG, "%s holds more than %d kinds", directory, limit);
    }
    closedir(listing);
    if (err->code != FX_OK)
        return err->code;
    qsort(names, (size_t)found, sizeof *names, compare_names);
    *count = found;
    return FX_OK;
}

enum fx_code schema_load_heartbeat(const char *directory, struct kind *kind, struct fx_err *err)
{
    if (load_folder(directory, "heartbeat", kind, err) != FX_OK)
        return err->code;
    if (heartbeat_check(kind_current(kind), err) != FX_OK)
        kind_release(kind);
    return err->code;
}

const struct schema *kind_current(const struct kind *kind)
{
    fx_assert(kind->version_count > 0);
    return &kind->versions[kind->version_count - 1];
}

int schema_field(const struct schema *schema, const char *name)
{
    for (int i = 0; i < schema->field_count; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            return i;
    return -1;
}

int field_symbol(const struct field *field, const char *name, size_t size)
{
    for (int i = 0; i < field->symbol_count; i++)
        if (strlen(field->symbols[i]) == size && memcmp(field->symbols[i], name, size) == 0)
            return i;
    return -1;
}

const char *schema_default_directory(void)
{
    return access(FX_SCHEMAS_INSTALLED "/heartbeat/1.avsc", R_OK) == 0 ? FX_SCHEMAS_INSTALLED
                                                                       : FX_SCHEMAS_DIR;
}

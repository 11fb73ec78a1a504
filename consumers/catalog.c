/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog.h"

#include "../common/buf.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

/* Every text goes in as "length:bytes", so that no two catalogs write the same canonical data. */
static void append_text(struct buf *out, const char *text)
{
    buf_append_format(out, "%zu:%s ", text == NULL ? (size_t)0 : strlen(text),
                      text == NULL ? "" : text);
}

static void append_field(struct buf *out, const struct field *field)
{
    append_text(out, field->name);
    buf_append_format(out, "type %d null %d time %d min %" PRId64 " max %" PRId64 " length %d ",
                      (int)field->type, field->is_nullable, field->is_time, field->min, field->max,
                      field->max_length);
    for (int i = 0; i < field->symbol_count; i++)
        append_text(out, field->symbols[i]);
    if (field->has_default)
        buf_append_format(out, "default null %d number %" PRId64 " ", field->is_default_null,
                          field->default_number);
    if (field->has_default && field->default_text != NULL)
        append_text(out, field->default_text);
    buf_append_byte(out, '\n');
}

static void append_sum(struct buf *out, const struct sum *sum)
{
    buf_append_format(out, "sum %d rest %d parts", sum->total, sum->rest);
    for (int i = 0; i < sum->part_count; i++)
        buf_append_format(out, " %d", sum->parts[i]);
    buf_append_byte(out, '\n');
}

static void append_kind(struct buf *out, const struct kind *kind)
{
    buf_append_text(out, "kind ");
    append_text(out, kind->name);
    for (int i = 0; i < kind->version_count; i++) {
        const struct schema *schema = &kind->versions[i];
        buf_append_format(out, "version %d fingerprint %016" PRIx64 " not_before %" PRId64 "\n",
                          schema->version, schema->fingerprint, schema->not_before_ms);
        for (int f = 0; f < schema->field_count; f++)
            append_field(out, &schema->fields[f]);
        for (int s = 0; s < schema->sum_count; s++)
            append_sum(out, &schema->sums[s]);
    }
}

static void append_catalog(struct buf *out, const struct catalog *catalog)
{
    buf_append_text(out, "fangxian catalog 1\n");
    for (int i = 0; i < catalog->kind_count; i++) {
        const struct catalog_kind *entry = &catalog->kinds[i];
        append_kind(out, &entry->kind);
        for (int r = 0; r < entry->rollups.count; r++) {
            append_text(out, entry->rollups.rollups[r].name);
            /* a worker that keeps no totals would leave them behind the hours */
            buf_append_format(out, "rollup %016" PRIx64 " totals %d\n",
                              entry->rollups.rollups[r].fingerprint,
                              rollup_has_change(&entry->rollups.rollups[r]));
        }
    }
    append_kind(out, &catalog->heartbeat);
}

static enum fx_code hash_catalog(struct catalog *catalog, struct fx_err *err)
{
    struct buf text = BUF_INIT;
    append_catalog(&text, catalog);
    enum fx_code code = buf_check(&text, err);
    unsigned char digest[crypto_generichash_BYTES_MIN];
    _Static_assert(sizeof digest * 2 + 1 == CATALOG_HASH_SIZE, "the digest as hex digits");
    if (code == FX_OK) {
        crypto_generichash(digest, sizeof digest, text.data, text.size, NULL, 0);
        sodium_bin2hex(catalog->hash, sizeof catalog->hash, digest, sizeof digest);
    }
    buf_release(&text);
    return code;
}

/* The kind before end that has a rollup called name; NULL: none. */
static const struct catalog_kind *find_owner(const struct catalog *catalog, int end,
                                             const char *name)
{
    for (int k = 0; k < end; k++) {
        const struct rollup_set *set = &catalog->kinds[k].rollups;
        for (int i = 0; i < set->count; i++)
            if (strcmp(set->rollups[i].name, name) == 0)
                return &catalog->kinds[k];
    }
    return NULL;
}

/* Table names come from rollup names, so one name may be used once in the whole catalog. */
static enum fx_code check_names(const struct catalog *catalog, struct fx_err *err)
{
    for (int i = 1; i < catalog->kind_count; i++) {
        const struct catalog_kind *entry = &catalog->kinds[i];
        for (int r = 0; r < entry->rollups.count; r++) {
            const char *name = entry->rollups.rollups[r].name;
            const struct catalog_kind *owner = find_owner(catalog, i, name);
            if (owner != NULL)
                return fx_err_set(err, FX_ECONFIG, "rollup %s is defined by %s and by %s", name,
                                  owner->kind.name, entry->kind.name);
        }
    }
    return FX_OK;
}

static enum fx_code load_kind(const char *directory, const char *name, struct catalog *catalog,
                              struct fx_err *err)
{
    struct catalog_kind entry = {0};
    if (kind_load(directory, name, &entry.kind, err) != FX_OK)
        return err->code;
    enum fx_code code = rollup_set_load(directory, &entry.kind, &entry.rollups, err);
    if (code != FX_OK) {
        kind_release(&entry.kind);
        return code;
    }
    catalog->kinds[catalog->kind_count++] = entry;
    return FX_OK;
}

static enum fx_code load_all(const char *directory, struct catalog *catalog, struct fx_err *err)
{
    char names[CATALOG_KINDS_MAX][SCHEMA_NAME_MAX];
    int count = 0;
    enum fx_code code = kind_list(directory, names, CATALOG_KINDS_MAX, &count, err);
    if (code == FX_OK && count == 0)
        code =
            fx_err_set(err, FX_ECONFIG, "%s: no kind of event (a folder with 1.avsc)", directory);
    for (int i = 0; code == FX_OK && i < count; i++)
        code = load_kind(directory, names[i], catalog, err);
    if (code == FX_OK)
        code = schema_load_heartbeat(directory, &catalog->heartbeat, err);
    if (code == FX_OK)
        code = check_names(catalog, err);
    if (code == FX_OK)
        code = hash_catalog(catalog, err);
    return code;
}

enum fx_code catalog_load(const char *directory, struct catalog *catalog, struct fx_err *err)
{
    fx_assert(directory != NULL && catalog != NULL);
    if (sodium_init() < 0)
        return fx_err_set(err, FX_ECONFIG, "libsodium cannot start");
    struct catalog fresh;
    memset(&fresh, 0, sizeof fresh);
    enum fx_code code = load_all(directory, &fresh, err);
    if (code != FX_OK) {
        catalog_release(&fresh);
        return code;
    }
    *catalog = fresh;
    return FX_OK;
}

void catalog_release(struct catalog *catalog)
{
    for (int i = 0; i < catalog->kind_count; i++) {
        rollup_set_release(&catalog->kinds[i].rollups);
        kind_release(&catalog->kinds[i].kind);
    }
    if (catalog->heartbeat.version_count > 0)
        kind_release(&catalog->heartbeat);
    memset(catalog, 0, sizeof *catalog);
}

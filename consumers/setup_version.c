/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"
#include "setup_bounds.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kind *find_kind(const struct setup *setup, const char *name)
{
    for (int i = 0; i < setup->catalog.kind_count; i++)
        if (strcmp(setup->catalog.kinds[i].kind.name, name) == 0)
            return &setup->catalog.kinds[i].kind;
    return strcmp(name, "heartbeat") == 0 ? &setup->catalog.heartbeat : NULL;
}

static const struct schema *find_version(const struct kind *kind, long version)
{
    for (int i = 0; kind != NULL && i < kind->version_count; i++)
        if (kind->versions[i].version == version)
            return &kind->versions[i];
    return NULL;
}

/* row: kind, version, fingerprint, bounds. Bounds first: they can name the field. */
static enum fx_code check_version(const struct setup *setup, const PGresult *rows, int row,
                                  struct fx_err *err)
{
    const char *name = PQgetvalue(rows, row, 0);
    const char *version = PQgetvalue(rows, row, 1);
    const struct schema *schema = find_version(find_kind(setup, name), strtol(version, NULL, 10));
    if (schema == NULL)
        return fx_err_set(err, FX_ECONFIG,
                          "%s/%s.avsc is gone, but Kafka and outboxes may hold such events", name,
                          version);
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, schema->fingerprint);
    struct buf bounds = BUF_INIT;
    bounds_append(&bounds, schema);
    enum fx_code code = buf_check(&bounds, err);
    if (code == FX_OK)
        code = bounds_compare(PQgetvalue(rows, row, 3), buf_text(&bounds), err);
    if (code == FX_OK && strcmp(PQgetvalue(rows, row, 2), fingerprint) != 0)
        code = fx_err_set(err, FX_ECONFIG, "its fingerprint was %s, is %s: add a version",
                          PQgetvalue(rows, row, 2), fingerprint);
    buf_release(&bounds);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s/%s.avsc", name, version);
}

static enum fx_code write_version(const struct setup *setup, const char *kind,
                                  const struct schema *schema, struct fx_err *err)
{
    char version[16];
    char fingerprint[17];
    snprintf(version, sizeof version, "%d", schema->version);
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, schema->fingerprint);
    struct buf bounds = BUF_INIT;
    bounds_append(&bounds, schema);
    const char *values[] = {kind, version, fingerprint, buf_text(&bounds)};
    enum fx_code code = buf_check(&bounds, err);
    if (code == FX_OK)
        code = sql_execute(setup->conn,
                           "INSERT INTO schema_version AS s VALUES ($1, $2, $3, $4) "
                           "ON CONFLICT (kind, version) DO UPDATE SET bounds = EXCLUDED.bounds "
                           "WHERE s.bounds <> EXCLUDED.bounds",
                           4, values, err);
    buf_release(&bounds);
    return code;
}

static enum fx_code write_kind(const struct setup *setup, const struct kind *kind,
                               struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < kind->version_count; i++)
        code = write_version(setup, kind->name, &kind->versions[i], err);
    return code;
}

enum fx_code setup_versions(struct setup *setup, struct fx_err *err)
{
    PGresult *rows = NULL;
    enum fx_code code =
        pg_query(setup->conn,
                 &(struct pg_statement){"SELECT kind, version, fingerprint, bounds FROM "
                                        "schema_version ORDER BY kind, version",
                                        0, NULL},
                 &rows, err);
    for (int i = 0; code == FX_OK && i < PQntuples(rows); i++)
        code = check_version(setup, rows, i, err);
    PQclear(rows);
    for (int k = 0; code == FX_OK && k < setup->catalog.kind_count; k++)
        code = write_kind(setup, &setup->catalog.kinds[k].kind, err);
    return code == FX_OK ? write_kind(setup, &setup->catalog.heartbeat, err) : code;
}

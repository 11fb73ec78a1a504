/* SPDX-License-Identifier: Apache-2.0 */
#include "../schemas/document.h"
#include "setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 4096

static enum fx_code print(PGconn *conn, const char *sql, const char *const values[3],
                          struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {sql, 3, values};
    if (pg_query(conn, &statement, &rows, err) != FX_OK)
        return err->code;
    fx_assert(PQntuples(rows) == 1);
    enum fx_code code = FX_OK;
    if (printf("%s\n", PQgetvalue(rows, 0, 0)) < 0 || fflush(stdout) != 0)
        code = fx_err_set(err, FX_EDISK, "standard output: %s", strerror(errno));
    PQclear(rows);
    return code;
}

enum fx_code setup_dictionary(const struct setup_options *options, struct fx_err *err)
{
    struct pg_options pg = {options->conninfo, "fx-setup", options->schema_name};
    struct buf sql = BUF_INIT;
    PGconn *conn = NULL;
    char path[PATH_SIZE];
    char published[PATH_SIZE];
    const char *values[] = {options->schema_name, options->record_schema, published};
    snprintf(published, sizeof published, "%s_published", options->schema_name);
    snprintf(path, sizeof path, "%s/dictionary.sql", options->schemas);
    enum fx_code code = document_read(path, DOCUMENT_SIZE_MAX, &sql, err);
    if (code == FX_OK)
        code = pg_open(&pg, &conn, err);
    if (code == FX_OK)
        code = print(conn, buf_text(&sql), values, err);
    PQfinish(conn);
    buf_release(&sql);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "data dictionary");
}

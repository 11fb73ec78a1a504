/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_fetch.h"

#include "../common/day.h"
#include "../common/log.h"

#include <string.h>

#define OID_BOOL 16
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23
#define OID_TIMESTAMPTZ 1184
#define INSTANT_SIZE 48

static enum audit_type type_of(Oid oid)
{
    if (oid == OID_BOOL)
        return AUDIT_BOOLEAN;
    return oid == OID_INT8 || oid == OID_INT4 || oid == OID_INT2 ? AUDIT_NUMBER : AUDIT_TEXT;
}

/* "2022-02-10 08:30:00.5+08" -> "2022-02-10T08:30:00.5+08:00". Returns out. */
static const char *to_iso(const char *instant, char out[INSTANT_SIZE])
{
    size_t size = strlen(instant);
    if (size < 14 || size + 4 > INSTANT_SIZE || instant[10] != ' ')
        return instant; /* infinity */
    memcpy(out, instant, size + 1);
    out[10] = 'T';
    if (out[size - 3] == '+' || out[size - 3] == '-')
        memcpy(out + size, ":00", 4);
    return out;
}

/* Appends all rows of the result; the first call decides the columns. */
static enum fx_code append_result(struct audit_rows *rows, const PGresult *result,
                                  struct fx_err *err)
{
    int columns = PQnfields(result);
    for (int i = rows->column_count; i < columns; i++)
        audit_rows_column(rows, PQfname(result, i), type_of(PQftype(result, i)));
    fx_assert(columns == rows->column_count);
    for (int row = 0; row < PQntuples(result); row++) {
        const char *cells[AUDIT_COLUMNS_MAX];
        char instants[AUDIT_COLUMNS_MAX][INSTANT_SIZE];
        for (int i = 0; i < columns; i++) {
            const char *value = PQgetvalue(result, row, i);
            cells[i] = PQftype(result, i) == OID_TIMESTAMPTZ ? to_iso(value, instants[i]) : value;
            if (PQgetisnull(result, row, i))
                cells[i] = NULL;
        }
        if (audit_rows_add(rows, cells, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

enum fx_code audit_fetch(PGconn *conn, const struct pg_statement *statement,
                         struct audit_rows *rows, struct fx_err *err)
{
    PGresult *result = NULL;
    int64_t began_ms = day_monotonic_ms();
    if (pg_query(conn, statement, &result, err) != FX_OK)
        return err->code;
    enum fx_code code = append_result(rows, result, err);
    fx_log(FX_LOG_DEBUG, "query", "rows=%d last_column=%s ms=%lld", PQntuples(result),
           PQnfields(result) > 0 ? PQfname(result, PQnfields(result) - 1) : "-",
           (long long)(day_monotonic_ms() - began_ms));
    PQclear(result);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "report_pg.h"

#include "../common/day.h"
#include "../common/log.h"

enum fx_code report_pg_read(PGconn *conn, const struct pg_statement *statement,
                            struct audit_rows *rows, struct fx_err *err)
{
    PGresult *result = NULL;
    int64_t began_ms = day_monotonic_ms();
    if (pg_query(conn, statement, &result, err) != FX_OK)
        return err->code;
    int columns = PQnfields(result);
    for (int i = rows->column_count; i < columns; i++)
        audit_rows_column(rows, PQfname(result, i), AUDIT_TEXT);
    fx_assert(columns == rows->column_count);
    for (int row = 0; err->code == FX_OK && row < PQntuples(result); row++) {
        const char *cells[AUDIT_COLUMNS_MAX];
        for (int i = 0; i < columns; i++)
            cells[i] = PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i);
        (void)(audit_rows_add(rows, cells, err) == FX_OK);
    }
    fx_log(FX_LOG_DEBUG, "query", "rows=%d first_column=%s ms=%lld", PQntuples(result),
           columns > 0 ? PQfname(result, 0) : "-", (long long)(day_monotonic_ms() - began_ms));
    PQclear(result);
    return err->code;
}

void report_pg_element(struct buf *array, const char *text)
{
    buf_append_byte(array, array->size == 0 ? '{' : ',');
    if (text == NULL) {
        buf_append_text(array, "NULL");
        return;
    }
    buf_append_byte(array, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_byte(array, '\\');
        buf_append_byte(array, (uint8_t)*text);
    }
    buf_append_byte(array, '"');
}

const char *report_pg_array(struct buf *array)
{
    buf_append_text(array, array->size == 0 ? "{}" : "}");
    return buf_text(array);
}

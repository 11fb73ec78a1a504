/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_rules.h"

#include "outbox_sql.h"

#include <sqlite3.h>
#include <string.h>

enum fx_code outbox_find_line(struct outbox *outbox, const char *source, const char *id,
                              struct outbox_number *number, struct fx_err *err)
{
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_LINE);
    sql_bind_text(statement, 1, source);
    sql_bind_text(statement, 2, id);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    *number = (struct outbox_number){0, 0};
    if (!has_row)
        return FX_OK;
    number->run = sqlite3_column_int64(statement, 0);
    number->seq = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return FX_OK;
}

enum fx_code outbox_find_event(struct outbox *outbox, const char *source,
                               const struct outbox_number *number, struct outbox_stored *stored,
                               struct fx_err *err)
{
    bool has_row;
    int64_t run_id = 0;
    int64_t first_id = 0;
    if (held_write(outbox, err) != FX_OK)
        return err->code;
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_RUN);
    sql_bind_text(statement, 1, source);
    sqlite3_bind_int64(statement, 2, number->run);
    stored->size = 0;
    if (sql_number(outbox, statement, &run_id, err) != FX_OK || run_id == 0 ||
        marks_find(outbox, run_id, number->seq, &first_id, err) != FX_OK)
        return err->code;
    statement = sql_use(outbox, SQL_FIND_EVENT);
    sqlite3_bind_int64(statement, 1, first_id);
    sqlite3_bind_int64(statement, 2, first_id + MARK_ROWS);
    sqlite3_bind_int64(statement, 3, run_id);
    sqlite3_bind_int64(statement, 4, number->seq);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    if (!has_row)
        return FX_OK;
    size_t size = (size_t)sqlite3_column_bytes(statement, 1);
    fx_assert(size > 0 && size <= sizeof stored->bytes);
    memcpy(stored->bytes, sqlite3_column_blob(statement, 1), size);
    stored->size = size;
    stored->id = sqlite3_column_int64(statement, 0);
    stored->is_reversed = sqlite3_column_int(statement, 2) != 0;
    sqlite3_reset(statement);
    return FX_OK;
}

enum fx_code outbox_note_reversal(struct outbox *outbox, int64_t id, const struct outbox_run *by,
                                  const char *reason, struct fx_err *err)
{
    fx_assert(outbox->is_begun);
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_REVERSAL);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, by->run);
    sqlite3_bind_int64(statement, 3, by->last_seq);
    sql_bind_text(statement, 4, reason);
    return sql_run(outbox, statement, err);
}

enum fx_code outbox_census(struct outbox *outbox, const char *source, const char *cell,
                           int64_t *persons, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_CENSUS);
    sql_bind_text(statement, 1, source);
    sql_bind_text(statement, 2, cell);
    return sql_number(outbox, statement, persons, err);
}

enum fx_code outbox_census_add(struct outbox *outbox, const char *source, const char *cell,
                               int64_t persons, struct fx_err *err)
{
    fx_assert(outbox->is_begun);
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_CENSUS);
    sql_bind_text(statement, 1, source);
    sql_bind_text(statement, 2, cell);
    sqlite3_bind_int64(statement, 3, persons);
    return sql_run(outbox, statement, err);
}

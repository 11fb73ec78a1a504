/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_send.h"
#include "outbox_sql.h"

#include <sqlite3.h>

#define UNKNOWN (-1)

enum fx_code marks_note(struct outbox *outbox, struct outbox_run *run, int64_t seq, int64_t id,
                        struct fx_err *err)
{
    if (run->mark_id != 0 && id - run->mark_id < MARK_ROWS)
        return FX_OK;
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_MARK);
    sqlite3_bind_int64(statement, 1, run->id);
    sqlite3_bind_int64(statement, 2, seq);
    sqlite3_bind_int64(statement, 3, id);
    if (sql_run(outbox, statement, err) == FX_OK)
        run->mark_id = id;
    return err->code;
}

enum fx_code marks_find(struct outbox *outbox, int64_t run_id, int64_t seq, int64_t *id,
                        struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_MARK);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, seq);
    if (sql_number(outbox, statement, id, err) != FX_OK || *id != 0)
        return err->code;
    return sql_number(outbox, sql_use(outbox, SQL_MIN_EVENT), id, err);
}

enum fx_code marks_next(struct outbox *outbox, int64_t run_id, int64_t seq, int64_t *id,
                        struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_NEXT_MARK);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, seq);
    return sql_number(outbox, statement, id, err);
}

/* The first number of run at or behind row id: near it, or marked. *seq is 0 if there is none. */
static enum fx_code first_from(struct outbox *outbox, int64_t run_id, int64_t id, int64_t *seq,
                               struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIRST_BETWEEN);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, id + MARK_ROWS);
    sqlite3_bind_int64(statement, 3, run_id);
    if (sql_number(outbox, statement, seq, err) != FX_OK || *seq != 0)
        return err->code;
    statement = sql_use(outbox, SQL_MARK_FROM);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, id);
    return sql_number(outbox, statement, seq, err);
}

enum fx_code outbox_oldest_kept(struct outbox *outbox, const struct outbox_run *run, int64_t *seq,
                                struct fx_err *err)
{
    int64_t oldest_id = 0;
    if (run->is_current) {
        *seq = run->pruned_seq < run->last_seq ? run->pruned_seq + 1 : 0;
        return FX_OK;
    }
    sqlite3_stmt *statement = sql_use(outbox, SQL_IS_FIRST_KEPT);
    sqlite3_bind_int64(statement, 1, run->id);
    if (sql_number(outbox, statement, seq, err) != FX_OK || *seq != 0)
        return err->code;
    if (sql_number(outbox, sql_use(outbox, SQL_MIN_EVENT), &oldest_id, err) != FX_OK ||
        oldest_id == 0 || run->last_id < oldest_id)
        return err->code;
    return first_from(outbox, run->id, oldest_id, seq, err);
}

/* What lies right behind the watermark, read once for all runs. */
static enum fx_code read_unacked(struct outbox *outbox, struct fx_err *err)
{
    bool has_row = true;
    sqlite3_stmt *statement = sql_use(outbox, SQL_EVENTS_FROM);
    sqlite3_bind_int64(statement, 1, outbox->acked_id + 1);
    sqlite3_bind_int64(statement, 2, MARK_ROWS);
    while (has_row) {
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        struct outbox_run *run =
            has_row ? runs_at(outbox, sqlite3_column_int64(statement, 0)) : NULL;
        if (run != NULL && run->acked_seq == UNKNOWN)
            run->acked_seq = sqlite3_column_int64(statement, 1) - 1;
    }
    return FX_OK;
}

enum fx_code marks_find_acked(struct outbox *outbox, struct fx_err *err)
{
    for (int64_t i = 0; i < outbox->runs_count; i++)
        if (outbox->runs[i] != NULL)
            outbox->runs[i]->acked_seq =
                outbox->runs[i]->last_id > outbox->acked_id ? UNKNOWN : outbox->runs[i]->last_seq;
    enum fx_code code = read_unacked(outbox, err);
    for (int64_t i = 0; code == FX_OK && i < outbox->runs_count; i++) {
        struct outbox_run *run = outbox->runs[i];
        int64_t seq = 0;
        if (run == NULL || run->acked_seq != UNKNOWN)
            continue;
        /* Further behind than MARK_ROWS, and nothing of this run in between: it is marked. */
        sqlite3_stmt *statement = sql_use(outbox, SQL_MARK_FROM);
        sqlite3_bind_int64(statement, 1, run->id);
        sqlite3_bind_int64(statement, 2, outbox->acked_id + 1);
        code = sql_number(outbox, statement, &seq, err);
        run->acked_seq = seq == 0 ? run->last_seq : seq - 1;
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_send.h"

#include "../schemas/wire.h"
#include "outbox_sql.h"

#include <sqlite3.h>
#include <string.h>

int64_t outbox_last_id(const struct outbox *outbox)
{
    return outbox->committed_id;
}

int64_t outbox_acked_id(const struct outbox *outbox)
{
    return outbox->acked_id;
}

int64_t outbox_opening_id(const struct outbox *outbox)
{
    return outbox->opening_id;
}

/* Visits the rows of a statement bound already: id, run, seq, bytes. */
static enum fx_code visit_rows(struct outbox *outbox, sqlite3_stmt *statement,
                               const struct outbox_reader *reader, struct fx_err *err)
{
    for (;;) {
        bool has_row;
        struct outbox_row row = {0};
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        if (!has_row)
            return FX_OK;
        if (runs_find(outbox, sqlite3_column_int64(statement, 1), &row.run, err) != FX_OK)
            break;
        row.id = sqlite3_column_int64(statement, 0);
        row.seq = sqlite3_column_int64(statement, 2);
        row.bytes = sqlite3_column_blob(statement, 3);
        row.size = (size_t)sqlite3_column_bytes(statement, 3);
        if (!reader->visit(reader->context, &row))
            break;
    }
    sqlite3_reset(statement);
    return err->code;
}

enum fx_code outbox_read(struct outbox *outbox, const struct outbox_reader *reader,
                         struct fx_err *err)
{
    fx_assert(!outbox->is_begun);
    sqlite3_stmt *statement = sql_use(outbox, SQL_READ_EVENTS);
    sqlite3_bind_int64(statement, 1, reader->after);
    sqlite3_bind_int64(statement, 2, reader->limit);
    return visit_rows(outbox, statement, reader, err);
}

enum fx_code outbox_read_resend(struct outbox *outbox, const struct outbox_resend *resend,
                                const struct outbox_reader *reader, struct fx_err *err)
{
    fx_assert(!outbox->is_begun);
    sqlite3_stmt *statement = sql_use(outbox, SQL_READ_RANGE);
    sqlite3_bind_int64(statement, 1, resend->run_id);
    sqlite3_bind_int64(statement, 2, reader->after);
    sqlite3_bind_int64(statement, 3, resend->last);
    sqlite3_bind_int64(statement, 4, reader->limit);
    return visit_rows(outbox, statement, reader, err);
}

bool outbox_has_unassigned(const struct outbox *outbox)
{
    return outbox->is_unassigned;
}

/* A choice that did not become durable was none: a run is never split over two partitions. */
static void unassign(struct outbox *outbox)
{
    for (int64_t i = 0; i < outbox->dirty_count; i++)
        outbox->dirty[i]->partition = -1;
}

enum fx_code outbox_assign_partitions(struct outbox *outbox, int32_t partitions, struct fx_err *err)
{
    fx_assert(partitions > 0 && !outbox->is_begun);
    outbox->partitions = partitions;
    if (!outbox->is_unassigned)
        return FX_OK;
    /* What was noted before goes first: then only the runs assigned here are dirty. */
    if (outbox_flush(outbox, 0, err) != FX_OK || outbox_begin(outbox, err) != FX_OK)
        return err->code;
    for (int64_t i = 0; i < outbox->runs_count; i++) {
        struct outbox_run *run = outbox->runs[i];
        if (run == NULL || run->partition >= 0)
            continue;
        run->partition = wire_partition(run->source, strlen(run->source), partitions);
        outbox_touch(outbox, run);
    }
    enum fx_code code = outbox_commit(outbox, err);
    if (code != FX_OK) {
        unassign(outbox);
        outbox_rollback(outbox);
        return code;
    }
    outbox->is_unassigned = false;
    return FX_OK;
}

struct outbox_run *outbox_run_at(struct outbox *outbox, int index, bool *is_end)
{
    *is_end = index >= outbox->runs_count;
    return *is_end ? NULL : outbox->runs[index];
}

enum fx_code outbox_oldest_kept(struct outbox *outbox, const struct outbox_run *run, int64_t *seq,
                                struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_OLDEST_KEPT);
    sqlite3_bind_int64(statement, 1, run->id);
    return sql_number(outbox, statement, seq, err);
}

enum fx_code outbox_request_resend(struct outbox *outbox, const char *source,
                                   struct outbox_resend *resend, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_RUN);
    sql_bind_text(statement, 1, source);
    sqlite3_bind_int64(statement, 2, resend->run);
    if (sql_number(outbox, statement, &resend->run_id, err) != FX_OK)
        return err->code;
    if (resend->run_id == 0)
        return fx_err_set(err, FX_EINPUT, "no run %012llx of %s in this outbox",
                          (unsigned long long)resend->run, source);
    statement = sql_use(outbox, SQL_COUNT_RANGE);
    sqlite3_bind_int64(statement, 1, resend->run_id);
    sqlite3_bind_int64(statement, 2, resend->first);
    sqlite3_bind_int64(statement, 3, resend->last);
    if (sql_number(outbox, statement, &resend->count, err) != FX_OK)
        return err->code;
    if (resend->count == 0)
        return fx_err_set(err, FX_EINPUT, "none of the numbers %lld to %lld is kept",
                          (long long)resend->first, (long long)resend->last);
    statement = sql_use(outbox, SQL_ADD_RESEND);
    sqlite3_bind_int64(statement, 1, resend->run_id);
    sqlite3_bind_int64(statement, 2, resend->first);
    sqlite3_bind_int64(statement, 3, resend->last);
    if (sql_run(outbox, statement, err) != FX_OK)
        return err->code;
    resend->id = sqlite3_last_insert_rowid(outbox->db);
    return FX_OK;
}

enum fx_code outbox_next_resend(struct outbox *outbox, int64_t after, struct outbox_resend *resend,
                                struct fx_err *err)
{
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_NEXT_RESEND);
    sqlite3_bind_int64(statement, 1, after);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    *resend = (struct outbox_resend){0};
    if (!has_row)
        return FX_OK;
    resend->id = sqlite3_column_int64(statement, 0);
    resend->run_id = sqlite3_column_int64(statement, 1);
    resend->run = sqlite3_column_int64(statement, 2);
    resend->first = sqlite3_column_int64(statement, 3);
    resend->last = sqlite3_column_int64(statement, 4);
    sqlite3_reset(statement);
    return FX_OK;
}

enum fx_code outbox_end_resends(struct outbox *outbox, int64_t last, int64_t *ended,
                                struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_END_RESENDS);
    sqlite3_bind_int64(statement, 1, last);
    if (sql_run(outbox, statement, err) != FX_OK)
        return err->code;
    *ended = sqlite3_changes(outbox->db);
    return FX_OK;
}

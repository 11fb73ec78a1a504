/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_send.h"

#include "../schemas/wire.h"
#include "outbox_sql.h"

#include <sqlite3.h>
#include <string.h>

#define WINDOWS_AT_ONCE 8 /* of MARK_ROWS rows each: a few milliseconds */

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

struct visited {
    int64_t first_id; /* of visit_range */
    int rows;
    int64_t last_seq;
    bool is_stopped; /* visit said no */
};

/* Visits the rows of a statement bound already: id, run, seq, bytes. */
static enum fx_code visit_rows(struct outbox *outbox, sqlite3_stmt *statement,
                               const struct outbox_reader *reader, struct visited *visited,
                               struct fx_err *err)
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
        visited->is_stopped = !reader->visit(reader->context, &row);
        if (visited->is_stopped)
            break;
        visited->rows++;
        visited->last_seq = row.seq;
    }
    sqlite3_reset(statement);
    return err->code;
}

enum fx_code outbox_read(struct outbox *outbox, const struct outbox_reader *reader,
                         struct fx_err *err)
{
    fx_assert(!outbox->is_begun);
    struct visited visited = {0};
    sqlite3_stmt *statement = sql_use(outbox, SQL_READ_EVENTS);
    sqlite3_bind_int64(statement, 1, reader->after);
    sqlite3_bind_int64(statement, 2, reader->limit);
    return visit_rows(outbox, statement, reader, &visited, err);
}

/* The numbers of resend behind the last visited, among the MARK_ROWS rows from first_id on. */
static enum fx_code visit_range(struct outbox *outbox, const struct outbox_resend *resend,
                                const struct outbox_reader *reader, struct visited *visited,
                                struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_READ_RANGE);
    sqlite3_bind_int64(statement, 1, visited->first_id);
    sqlite3_bind_int64(statement, 2, visited->first_id + MARK_ROWS);
    sqlite3_bind_int64(statement, 3, resend->run_id);
    sqlite3_bind_int64(statement, 4, visited->last_seq);
    sqlite3_bind_int64(statement, 5, resend->last);
    sqlite3_bind_int64(statement, 6, reader->limit - visited->rows);
    return visit_rows(outbox, statement, reader, visited, err);
}

/* A window may hold a single number among many of other runs: a few windows are enough at once. */
enum fx_code outbox_read_resend(struct outbox *outbox, const struct outbox_resend *resend,
                                const struct outbox_reader *reader, struct fx_err *err)
{
    fx_assert(!outbox->is_begun);
    struct visited visited = {.last_seq = reader->after};
    for (int i = 0; i < WINDOWS_AT_ONCE && visited.rows < reader->limit && !visited.is_stopped &&
                    visited.last_seq < resend->last;
         i++) {
        int before = visited.rows;
        int64_t *id = &visited.first_id;
        if (marks_find(outbox, resend->run_id, visited.last_seq + 1, id, err) != FX_OK ||
            visit_range(outbox, resend, reader, &visited, err) != FX_OK)
            return err->code;
        if (visited.rows > before || visited.is_stopped)
            continue;
        /* That number is not kept: on with the first one that is, if one is. */
        if (marks_next(outbox, resend->run_id, visited.last_seq, id, err) != FX_OK || *id == 0)
            return err->code;
        if (visit_range(outbox, resend, reader, &visited, err) != FX_OK || visited.rows == before)
            return err->code;
    }
    return FX_OK;
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

/* Rows are pruned from the lowest id on: a run keeps all of its numbers from the oldest on. */
static enum fx_code count_kept(struct outbox *outbox, struct outbox_resend *resend,
                               struct fx_err *err)
{
    struct outbox_run *run = NULL;
    int64_t oldest = 0;
    if (runs_find(outbox, resend->run_id, &run, err) != FX_OK ||
        outbox_oldest_kept(outbox, run, &oldest, err) != FX_OK)
        return err->code;
    int64_t first = resend->first > oldest ? resend->first : oldest;
    int64_t last = resend->last < run->committed_seq ? resend->last : run->committed_seq;
    resend->count = oldest == 0 || first > last ? 0 : last - first + 1;
    return FX_OK;
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
    if (count_kept(outbox, resend, err) != FX_OK)
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

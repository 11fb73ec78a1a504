/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_asked.h"

#include "outbox_send.h"
#include "outbox_sql.h"

#include <sqlite3.h>

enum fx_code outbox_knows(struct outbox *outbox, const char *source, bool *is_known,
                          struct fx_err *err)
{
    int64_t found = 0;
    sqlite3_stmt *statement = sql_use(outbox, SQL_KNOWS_SOURCE);
    sql_bind_text(statement, 1, source);
    if (sql_number(outbox, statement, &found, err) != FX_OK)
        return err->code;
    *is_known = found != 0;
    return FX_OK;
}

static enum fx_code find_run(struct outbox *outbox, const char *source, int64_t number,
                             struct outbox_run **run, struct fx_err *err)
{
    int64_t id = 0;
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_RUN);
    sql_bind_text(statement, 1, source);
    sqlite3_bind_int64(statement, 2, number);
    if (sql_number(outbox, statement, &id, err) != FX_OK)
        return err->code;
    *run = NULL;
    return id == 0 ? FX_OK : runs_find(outbox, id, run, err);
}

/* A number, not a flag: a word on its way when the next is asked for does not answer that one. */
static enum fx_code add_declares(struct outbox *outbox, int64_t id, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_DECLARES);
    sqlite3_bind_int64(statement, 1, id);
    return sql_run(outbox, statement, err);
}

/* Rows are pruned from the lowest id on, so a run keeps all of its numbers from oldest on. */
static enum fx_code send_again(struct outbox *outbox, const struct outbox_run *run,
                               const struct outbox_span *kept, struct outbox_obeyed *obeyed,
                               struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_ASKED);
    sqlite3_bind_int64(statement, 1, run->id);
    sqlite3_bind_int64(statement, 2, kept->first);
    sqlite3_bind_int64(statement, 3, kept->last);
    obeyed->numbers += kept->last - kept->first + 1;
    return sql_run(outbox, statement, err);
}

static enum fx_code obey_span(struct outbox *outbox, const char *source,
                              const struct outbox_span *span, struct outbox_obeyed *obeyed,
                              struct fx_err *err)
{
    struct outbox_run *run = NULL;
    int64_t oldest = 0;
    if (find_run(outbox, source, span->run, &run, err) != FX_OK)
        return err->code;
    if (run == NULL || span->first > run->committed_seq) {
        obeyed->unknown++;
        return FX_OK;
    }
    if (outbox_oldest_kept(outbox, run, &oldest, err) != FX_OK)
        return err->code;
    if (oldest == 0)
        oldest = run->committed_seq + 1;
    struct outbox_span kept = *span;
    if (kept.last > run->committed_seq)
        kept.last = run->committed_seq;
    if (kept.first < oldest) {
        kept.first = oldest;
        obeyed->gone++;
        if (add_declares(outbox, run->id, err) != FX_OK)
            return err->code;
    }
    return kept.first > kept.last ? FX_OK : send_again(outbox, run, &kept, obeyed, err);
}

/* In a transaction. */
static enum fx_code obey(struct outbox *outbox, const struct outbox_request *request,
                         struct outbox_obeyed *obeyed, struct fx_err *err)
{
    for (int i = 0; i < request->count; i++)
        if (obey_span(outbox, request->source, &request->spans[i], obeyed, err) != FX_OK)
            return err->code;
    /* The word of an old run must not be the last one heard of its source. */
    const struct outbox_run *current = outbox_current_run(outbox, request->source);
    if (obeyed->gone > 0 && current != NULL && add_declares(outbox, current->id, err) != FX_OK)
        return err->code;
    sqlite3_stmt *statement = sql_use(outbox, SQL_SET_ASKED);
    sql_bind_text(statement, 1, request->source);
    sqlite3_bind_int64(statement, 2, request->asked_at_ms);
    sqlite3_bind_int64(statement, 3, request->attempt);
    return sql_run(outbox, statement, err);
}

enum fx_code outbox_obey(struct outbox *outbox, const struct outbox_request *request,
                         struct outbox_obeyed *obeyed, struct fx_err *err)
{
    int64_t found = 0;
    sqlite3_stmt *statement = sql_use(outbox, SQL_FIND_ASKED);
    sql_bind_text(statement, 1, request->source);
    sqlite3_bind_int64(statement, 2, request->asked_at_ms);
    sqlite3_bind_int64(statement, 3, request->attempt);
    if (sql_number(outbox, statement, &found, err) != FX_OK)
        return err->code;
    *obeyed = (struct outbox_obeyed){.is_repeated = found != 0};
    if (obeyed->is_repeated)
        return FX_OK;
    if (outbox_begin(outbox, err) != FX_OK)
        return err->code;
    enum fx_code code = obey(outbox, request, obeyed, err);
    if (code == FX_OK)
        code = outbox_commit(outbox, err);
    if (code != FX_OK)
        outbox_rollback(outbox);
    return code;
}

enum fx_code outbox_count_resends(struct outbox *outbox, int64_t *count, struct fx_err *err)
{
    return sql_number(outbox, sql_use(outbox, SQL_COUNT_RESENDS), count, err);
}

enum fx_code outbox_next_declared(struct outbox *outbox, int64_t after, struct outbox_run **run,
                                  struct fx_err *err)
{
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_NEXT_DECLARED);
    sqlite3_bind_int64(statement, 1, after);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    *run = NULL;
    if (!has_row)
        return FX_OK;
    int64_t id = sqlite3_column_int64(statement, 0);
    int64_t owed = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    if (runs_find(outbox, id, run, err) == FX_OK)
        (*run)->owed = owed;
    return err->code;
}

enum fx_code outbox_count_beat(struct outbox *outbox, struct outbox_run *run, struct fx_err *err)
{
    bool must_store = run->is_ended || run->beats - run->stored_beats >= OUTBOX_BEATS_AHEAD;
    if (must_store) {
        sqlite3_stmt *statement = sql_use(outbox, SQL_SET_BEATS);
        sqlite3_bind_int64(statement, 1, run->id);
        sqlite3_bind_int64(statement, 2, run->beats + 1);
        if (sql_run(outbox, statement, err) != FX_OK)
            return err->code;
        run->stored_beats = run->beats + 1;
    }
    run->beats++;
    outbox_touch(outbox, run);
    return FX_OK;
}

enum fx_code outbox_end_declared(struct outbox *outbox, int64_t id, int64_t owed,
                                 struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_END_DECLARES);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, owed);
    return sql_run(outbox, statement, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include "../common/day.h"
#include "../common/text.h"
#include "outbox_send.h"
#include "outbox_sql.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRUNE_ROWS 4096 /* at once: a fraction of a second, even on a slow disk */

static enum fx_code forget_runs(struct outbox *outbox, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_FORGET_RUNS);
    sqlite3_bind_int64(statement, 1, day_now_ms() - OUTBOX_RUN_KEEP_MS);
    sqlite3_bind_int64(statement, 2, OUTBOX_RUNS_MAX);
    if (sql_run(outbox, statement, err) != FX_OK)
        return err->code;
    /* A run without events has nothing to send again; its requests must not count as waiting. */
    return sql_run(outbox, sql_use(outbox, SQL_FORGET_RESENDS), err);
}

enum fx_code outbox_open(const struct outbox_options *options, struct outbox **outbox,
                         struct fx_err *err)
{
    struct outbox *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for an outbox");
    fresh->options = *options;
    enum fx_code code = sql_open(fresh, err);
    if (code == FX_OK && forget_runs(fresh, err) == FX_EDISK)
        fx_err_clear(err); /* there is no room to forget them: at the next opening, perhaps */
    code = err->code;
    if (code == FX_OK)
        code = runs_load(fresh, err);
    if (code != FX_OK) {
        outbox_close(fresh);
        return code;
    }
    /* Rows up to the watermark may all be pruned; their ids must not be given again. */
    if (fresh->last_id < fresh->acked_id)
        fresh->last_id = fresh->acked_id;
    fresh->committed_id = fresh->last_id;
    fresh->opening_id = fresh->last_id;
    *outbox = fresh;
    return FX_OK;
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    if (outbox->is_begun)
        outbox_rollback(outbox);
    runs_release(outbox);
    sql_close(outbox);
    free(outbox);
}

enum fx_code outbox_begin(struct outbox *outbox, struct fx_err *err)
{
    fx_assert(!outbox->is_begun);
    enum fx_code code = sql_run(outbox, sql_use(outbox, SQL_BEGIN), err);
    outbox->is_begun = code == FX_OK;
    return code;
}

static enum fx_code write_acked(struct outbox *outbox, struct fx_err *err)
{
    if (!outbox->is_acked_dirty)
        return FX_OK;
    sqlite3_stmt *statement = sql_use(outbox, SQL_SET_META);
    sql_bind_text(statement, 1, "acked");
    sqlite3_bind_int64(statement, 2, outbox->acked_id);
    return sql_run(outbox, statement, err);
}

enum fx_code outbox_commit(struct outbox *outbox, struct fx_err *err)
{
    fx_assert(outbox->is_begun);
    enum fx_code code = held_write(outbox, err);
    if (code == FX_OK)
        code = runs_write(outbox, err);
    if (code == FX_OK)
        code = write_acked(outbox, err);
    if (code == FX_OK)
        code = sql_run(outbox, sql_use(outbox, SQL_COMMIT), err);
    if (code != FX_OK)
        return fx_err_wrap(err, "commit");
    outbox->is_begun = false;
    outbox->is_acked_dirty = false;
    outbox->committed_id = outbox->last_id;
    runs_settle(outbox, true);
    return FX_OK;
}

void outbox_rollback(struct outbox *outbox)
{
    struct fx_err err = FX_ERR_INIT;
    /* A full disk may have made SQLite roll back by itself. */
    if (sqlite3_get_autocommit(outbox->db) == 0 &&
        sql_run(outbox, sql_use(outbox, SQL_ROLLBACK), &err) != FX_OK)
        fx_assert(sqlite3_get_autocommit(outbox->db) != 0);
    outbox->is_begun = false;
    outbox->held_count = 0;
    outbox->last_id = outbox->committed_id;
    runs_settle(outbox, false);
}

/* What may be forgotten: what was stored before these times. */
struct limits {
    int64_t event_ms;
    int64_t line_ms;
    int64_t ahead_ms; /* later times are none: they were stamped by a clock that was ahead */
};

/*
 * What bears such a time is as old as the first row behind it that does not. *old is that one, if
 * it was stored before before_ms, else 0. It is looked for in PRUNE_ROWS rows at once: *ahead is
 * the last one that is known not to be it.
 */
static enum fx_code find_old(struct outbox *outbox, enum sql_statement times,
                             const struct limits *limits, int64_t *old, struct fx_err *err)
{
    bool is_event = times == SQL_EVENT_TIMES;
    int64_t before_ms = is_event ? limits->event_ms : limits->line_ms;
    int64_t *ahead = is_event ? &outbox->ahead_event : &outbox->ahead_line;
    int looked = 0;
    bool has_row = true;
    sqlite3_stmt *statement = sql_use(outbox, times);
    sqlite3_bind_int64(statement, 1, *ahead);
    sqlite3_bind_int64(statement, 2, PRUNE_ROWS);
    *old = 0;
    while (has_row) {
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        int64_t stored_ms = has_row ? sqlite3_column_int64(statement, 1) : 0;
        if (has_row && stored_ms < before_ms && stored_ms <= limits->ahead_ms)
            *old = sqlite3_column_int64(statement, 0);
        if (!has_row || stored_ms <= limits->ahead_ms)
            break;
        *ahead = sqlite3_column_int64(statement, 0);
        looked++;
    }
    sqlite3_reset(statement);
    outbox->is_prune_due |= looked == PRUNE_ROWS;
    return FX_OK;
}

/* Forgets up to PRUNE_ROWS of the oldest acknowledged rows. */
static enum fx_code prune_events(struct outbox *outbox, const struct limits *limits,
                                 int64_t *pruned, struct fx_err *err)
{
    static const enum sql_statement forget[] = {SQL_PRUNE_MARKS, SQL_PRUNE_EVENTS,
                                                SQL_PRUNE_REVERSALS};
    int64_t last = 0;
    int64_t old = 0;
    *pruned = 0;
    if (find_old(outbox, SQL_EVENT_TIMES, limits, &old, err) != FX_OK)
        return err->code;
    sqlite3_stmt *statement = sql_use(outbox, SQL_OLD_EVENTS);
    sqlite3_bind_int64(statement, 1, outbox->acked_id);
    sqlite3_bind_int64(statement, 2, PRUNE_ROWS);
    bool has_row = true;
    while (has_row) {
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        int64_t id = has_row ? sqlite3_column_int64(statement, 0) : 0;
        if (!has_row || (id > old && sqlite3_column_int64(statement, 1) >= limits->event_ms))
            break;
        last = id;
        struct outbox_run *run = runs_at(outbox, sqlite3_column_int64(statement, 2));
        if (run != NULL)
            run->pruned_seq = sqlite3_column_int64(statement, 3);
        outbox->is_pruning = true;
        (*pruned)++;
    }
    sqlite3_reset(statement);
    enum fx_code code = FX_OK;
    for (size_t i = 0; code == FX_OK && *pruned > 0 && i < sizeof forget / sizeof forget[0]; i++) {
        statement = sql_use(outbox, forget[i]);
        sqlite3_bind_int64(statement, 1, last);
        code = sql_run(outbox, statement, err);
    }
    return code;
}

/* Forgets up to PRUNE_ROWS of the oldest ids whose events are gone. */
static enum fx_code prune_lines(struct outbox *outbox, const struct limits *limits, int64_t *pruned,
                                struct fx_err *err)
{
    int64_t last = 0;
    int64_t old = 0;
    if (find_old(outbox, SQL_LINE_TIMES, limits, &old, err) != FX_OK)
        return err->code;
    sqlite3_stmt *statement = sql_use(outbox, SQL_LINE_TIMES);
    sqlite3_bind_int64(statement, 1, 0);
    sqlite3_bind_int64(statement, 2, PRUNE_ROWS);
    bool has_row = true;
    while (has_row) {
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        int64_t event = has_row ? sqlite3_column_int64(statement, 0) : 0;
        if (!has_row || (event > old && sqlite3_column_int64(statement, 1) >= limits->line_ms))
            break;
        last = event;
        (*pruned)++;
    }
    sqlite3_reset(statement);
    statement = sql_use(outbox, SQL_PRUNE_LINES);
    sqlite3_bind_int64(statement, 1, last);
    return last == 0 ? FX_OK : sql_run(outbox, statement, err);
}

static enum fx_code used_bytes(struct outbox *outbox, int64_t *bytes, struct fx_err *err)
{
    int64_t pages = 0;
    int64_t unused = 0;
    if (sql_number(outbox, sql_use(outbox, SQL_PAGES), &pages, err) != FX_OK ||
        sql_number(outbox, sql_use(outbox, SQL_FREE_PAGES), &unused, err) != FX_OK)
        return err->code;
    *bytes = (pages - unused) * outbox->page_size;
    return FX_OK;
}

/* Its own transaction, around what is pruned and what is noted. */
static enum fx_code settle(struct outbox *outbox, const struct limits *limits, int64_t *pruned,
                           struct fx_err *err)
{
    if (outbox_begin(outbox, err) != FX_OK)
        return err->code;
    enum fx_code code = prune_events(outbox, limits, pruned, err);
    if (code == FX_OK)
        code = prune_lines(outbox, limits, pruned, err);
    if (code == FX_OK)
        code = outbox_commit(outbox, err);
    if (code != FX_OK)
        outbox_rollback(outbox);
    return code;
}

bool outbox_has_room(struct outbox *outbox)
{
    struct fx_err err = FX_ERR_INIT;
    int64_t bytes = 0;
    int64_t pruned = 1;
    int64_t now_ms = day_now_ms();
    const struct limits limits = {INT64_MAX, now_ms - OUTBOX_ID_KEEP_FULL_MS,
                                  now_ms + OUTBOX_AHEAD_MS};
    fx_assert(!outbox->is_begun);
    if (outbox->options.bytes_max == 0)
        return true;
    while (used_bytes(outbox, &bytes, &err) == FX_OK && bytes >= outbox->options.bytes_max) {
        if (pruned == 0 || settle(outbox, &limits, &pruned, &err) != FX_OK)
            return false;
    }
    return err.code == FX_OK;
}

/* The time tells one trial from the next: what does not change is not written. */
bool outbox_can_write(struct outbox *outbox)
{
    struct fx_err err = FX_ERR_INIT;
    if (outbox_begin(outbox, &err) != FX_OK)
        return false;
    sqlite3_stmt *statement = sql_use(outbox, SQL_SET_META);
    sql_bind_text(statement, 1, "tried");
    sqlite3_bind_int64(statement, 2, day_now_ms());
    if (sql_run(outbox, statement, &err) == FX_OK && outbox_commit(outbox, &err) == FX_OK)
        return true;
    outbox_rollback(outbox);
    return false;
}

static enum fx_code add_line(struct outbox *outbox, const struct outbox_run *run,
                             const struct outbox_event *event, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_ADD_LINE);
    sql_bind_text(statement, 1, run->source);
    sql_bind_text(statement, 2, event->id);
    sqlite3_bind_int64(statement, 3, outbox->last_id + 1);
    sqlite3_bind_int64(statement, 4, run->run);
    sqlite3_bind_int64(statement, 5, run->last_seq + 1);
    sqlite3_bind_int64(statement, 6, event->stored_at_ms);
    return sql_run(outbox, statement, err);
}

enum fx_code outbox_append(struct outbox *outbox, struct outbox_run *run,
                           const struct outbox_event *event, struct fx_err *err)
{
    fx_assert(outbox->is_begun && run->is_current);
    const struct held row = {.run = run->id,
                             .seq = run->last_seq + 1,
                             .stored_at_ms = event->stored_at_ms,
                             .size = event->size};
    enum fx_code code = held_add(outbox, &row, event->bytes, err);
    if (code == FX_OK && event->id != NULL)
        code = add_line(outbox, run, event, err);
    /* Before the mark, which a rollback takes back from runs that were touched only. */
    outbox_touch(outbox, run);
    if (code == FX_OK)
        code = marks_note(outbox, run, run->last_seq + 1, outbox->last_id + 1, err);
    if (code != FX_OK)
        return code;
    run->last_id = ++outbox->last_id;
    run->last_seq++;
    if (run->last_at_ms < event->occurred_at_ms)
        run->last_at_ms = event->occurred_at_ms;
    return FX_OK;
}

enum fx_code outbox_position(struct outbox *outbox, const char *input,
                             struct outbox_position *position, struct fx_err *err)
{
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_POSITION);
    sql_bind_text(statement, 1, input);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    *position = (struct outbox_position){0};
    if (!has_row)
        return FX_OK;
    text_copy(position->detail, sizeof position->detail,
              (const char *)sqlite3_column_text(statement, 0));
    position->device = sqlite3_column_int64(statement, 1);
    position->inode = sqlite3_column_int64(statement, 2);
    position->offset = sqlite3_column_int64(statement, 3);
    position->crc = sqlite3_column_int64(statement, 4);
    position->line_size = sqlite3_column_int64(statement, 5);
    position->lines = sqlite3_column_int64(statement, 6);
    sqlite3_reset(statement);
    return FX_OK;
}

enum fx_code outbox_set_position(struct outbox *outbox, const char *input,
                                 const struct outbox_position *position, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_SET_POSITION);
    sql_bind_text(statement, 1, input);
    sql_bind_text(statement, 2, position->detail);
    sqlite3_bind_int64(statement, 3, position->device);
    sqlite3_bind_int64(statement, 4, position->inode);
    sqlite3_bind_int64(statement, 5, position->offset);
    sqlite3_bind_int64(statement, 6, position->crc);
    sqlite3_bind_int64(statement, 7, position->line_size);
    sqlite3_bind_int64(statement, 8, position->lines);
    return sql_run(outbox, statement, err);
}

void outbox_ack(struct outbox *outbox, int64_t id)
{
    fx_assert(id >= outbox->acked_id && id <= outbox->committed_id);
    outbox->is_acked_dirty |= id > outbox->acked_id;
    outbox->acked_id = id;
}

enum fx_code outbox_flush(struct outbox *outbox, int64_t now_ms, struct fx_err *err)
{
    int64_t pruned = 0;
    int64_t keep_ms = outbox->options.keep_ms;
    int64_t id_keep_ms = keep_ms > OUTBOX_ID_KEEP_MS ? keep_ms : OUTBOX_ID_KEEP_MS;
    const struct limits limits = {now_ms - keep_ms, now_ms - id_keep_ms,
                                  now_ms == 0 ? INT64_MAX : now_ms + OUTBOX_AHEAD_MS};
    fx_assert(!outbox->is_begun);
    if (!outbox->is_acked_dirty && outbox->dirty_count == 0 && !outbox->is_prune_due)
        return FX_OK;
    outbox->is_prune_due = false;
    enum fx_code code = settle(outbox, &limits, &pruned, err);
    outbox->is_prune_due |= code != FX_OK || pruned >= PRUNE_ROWS;
    return code;
}

enum fx_code outbox_count(struct outbox *outbox, struct outbox_counts *counts, struct fx_err *err)
{
    int64_t first_id = 0;
    int64_t last_id = 0;
    struct outbox_counts fresh = {0};
    if (sql_number(outbox, sql_use(outbox, SQL_MIN_EVENT), &first_id, err) != FX_OK ||
        sql_number(outbox, sql_use(outbox, SQL_MAX_EVENT), &last_id, err) != FX_OK)
        return err->code;
    /* Ids are gapless; a count would read the whole outbox while lines wait. */
    fresh.kept = first_id == 0 ? 0 : last_id - first_id + 1;
    fresh.unsent = last_id > outbox->acked_id ? last_id - outbox->acked_id : 0;
    sqlite3_stmt *statement = sql_use(outbox, SQL_OLDEST_UNSENT);
    sqlite3_bind_int64(statement, 1, outbox->acked_id);
    if (sql_number(outbox, statement, &fresh.oldest_ms, err) != FX_OK ||
        sql_number(outbox, sql_use(outbox, SQL_COUNT_RUNS), &fresh.runs_open, err) != FX_OK ||
        used_bytes(outbox, &fresh.bytes, err) != FX_OK)
        return err->code;
    *counts = fresh;
    return FX_OK;
}

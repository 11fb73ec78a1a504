/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_sql.h"

#include "../common/hash.h"
#include "../common/text.h"
#include "../schemas/wire.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_ROOM_MIN 16

/* Makes room for one more pointer in a list. */
static enum fx_code grow(struct outbox_run ***items, int64_t count, int64_t *room,
                         struct fx_err *err)
{
    if (count < *room)
        return FX_OK;
    int64_t more = *room == 0 ? 16 : *room * 2;
    struct outbox_run **fresh = realloc(*items, (size_t)more * sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %lld runs", (long long)more);
    *items = fresh;
    *room = more;
    return FX_OK;
}

/* One more place in runs, and in the list of the dirty, so that outbox_touch cannot fail. */
static enum fx_code add_place(struct outbox *outbox, struct fx_err *err)
{
    if (grow(&outbox->runs, outbox->runs_count, &outbox->runs_room, err) != FX_OK ||
        grow(&outbox->dirty, outbox->runs_count, &outbox->dirty_room, err) != FX_OK)
        return err->code;
    outbox->runs[outbox->runs_count++] = NULL;
    return FX_OK;
}

/* Puts run at its place in runs; ids come in ascending order. */
static enum fx_code keep_run(struct outbox *outbox, struct outbox_run *run, struct fx_err *err)
{
    if (outbox->runs_count == 0)
        outbox->runs_base = run->id;
    while (outbox->runs_count <= run->id - outbox->runs_base)
        if (add_place(outbox, err) != FX_OK)
            return err->code;
    outbox->runs[run->id - outbox->runs_base] = run;
    if (run->partition < 0)
        outbox->is_unassigned = true;
    return FX_OK;
}

static void read_run(sqlite3_stmt *statement, struct outbox_run *run)
{
    *run = (struct outbox_run){.id = sqlite3_column_int64(statement, 0),
                               .run = sqlite3_column_int64(statement, 2),
                               .previous_run = sqlite3_column_int64(statement, 4),
                               .previous_last_seq = sqlite3_column_int64(statement, 5),
                               .partition = sqlite3_column_int(statement, 6),
                               .last_seq = sqlite3_column_int64(statement, 7),
                               .last_at_ms = sqlite3_column_int64(statement, 8),
                               .last_line_ms = sqlite3_column_int64(statement, 9),
                               .refused = sqlite3_column_int64(statement, 10),
                               .beats = sqlite3_column_int64(statement, 11),
                               .is_ended = sqlite3_column_int(statement, 12) != 0,
                               .ended_ms = sqlite3_column_int64(statement, 13),
                               .last_id = sqlite3_column_int64(statement, 15),
                               .is_stored = true};
    /* Sent before a crash and not counted in the row were at most so many: ENDED comes behind. */
    if (!run->is_ended)
        run->beats += OUTBOX_BEATS_AHEAD;
    run->stored_beats = run->beats;
    run->committed_seq = run->last_seq;
    run->committed_id = run->last_id;
    run->committed_at_ms = run->last_at_ms;
    run->kept_refused = run->refused;
    run->acked_seq = run->is_ended ? run->last_seq : 0; /* of an open one: marks_find_acked */
    text_copy(run->source, sizeof run->source, (const char *)sqlite3_column_text(statement, 1));
    text_copy(run->region, sizeof run->region, (const char *)sqlite3_column_text(statement, 3));
}

/* What the events table says of a run that has not ended: its last row, unless that was pruned. */
static enum fx_code check_run(struct outbox *outbox, const struct outbox_run *run,
                              struct fx_err *err)
{
    bool has_row;
    int64_t oldest_id = 0;
    int64_t found = 0;
    if (sql_number(outbox, sql_use(outbox, SQL_MIN_EVENT), &oldest_id, err) != FX_OK)
        return err->code;
    if (oldest_id == 0 || run->last_id < oldest_id)
        return FX_OK;
    sqlite3_stmt *statement = sql_use(outbox, SQL_EVENT_AT);
    sqlite3_bind_int64(statement, 1, run->last_id);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    if (has_row && sqlite3_column_int64(statement, 0) == run->id)
        found = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    if (found == run->last_seq)
        return FX_OK;
    return fx_err_set(err, FX_ESTATE, "outbox %s: run %012llx of %s says %lld, its rows %lld",
                      outbox->options.path, (unsigned long long)run->run, run->source,
                      (long long)run->last_seq, (long long)found);
}

/* New runs come behind all that were ever in the table. */
static enum fx_code skip_to_end(struct outbox *outbox, struct fx_err *err)
{
    int64_t max = 0;
    if (sql_number(outbox, sql_use(outbox, SQL_MAX_RUN), &max, err) != FX_OK)
        return err->code;
    if (outbox->runs_count == 0)
        outbox->runs_base = max + 1;
    while (outbox->runs_base + outbox->runs_count <= max)
        if (add_place(outbox, err) != FX_OK)
            return err->code;
    return FX_OK;
}

enum fx_code runs_load(struct outbox *outbox, struct fx_err *err)
{
    sqlite3_stmt *statement = sql_use(outbox, SQL_OPEN_RUNS);
    for (;;) {
        bool has_row;
        if (sql_step(outbox, statement, &has_row, err) != FX_OK)
            return err->code;
        if (!has_row)
            break;
        struct outbox_run *run = malloc(sizeof *run);
        if (run == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for runs");
        read_run(statement, run);
        if (keep_run(outbox, run, err) != FX_OK) {
            free(run);
            return err->code;
        }
        if (check_run(outbox, run, err) != FX_OK)
            return err->code;
    }
    return marks_find_acked(outbox, err) == FX_OK ? skip_to_end(outbox, err) : err->code;
}

void runs_release(struct outbox *outbox)
{
    for (int64_t i = 0; i < outbox->runs_count; i++)
        free(outbox->runs[i]);
    free(outbox->runs);
    free(outbox->sources);
    free(outbox->dirty);
}

struct outbox_run *runs_at(const struct outbox *outbox, int64_t id)
{
    int64_t place = id - outbox->runs_base;
    return place >= 0 && place < outbox->runs_count ? outbox->runs[place] : NULL;
}

enum fx_code runs_find(struct outbox *outbox, int64_t id, struct outbox_run **run,
                       struct fx_err *err)
{
    *run = runs_at(outbox, id);
    if (*run != NULL)
        return FX_OK;
    *run = &outbox->guest;
    if (outbox->guest.id == id)
        return FX_OK;
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_LOAD_RUN);
    sqlite3_bind_int64(statement, 1, id);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    if (!has_row)
        return fx_err_set(err, FX_ESTATE, "outbox %s: an event belongs to no run",
                          outbox->options.path);
    read_run(statement, &outbox->guest);
    sqlite3_reset(statement);
    return FX_OK;
}

static struct outbox_run **find_source(const struct outbox *outbox, const char *source)
{
    uint64_t at = hash_bytes(source, strlen(source), 0);
    for (;; at++) {
        struct outbox_run **slot = &outbox->sources[at & (outbox->sources_room - 1)];
        if (*slot == NULL || strcmp((*slot)->source, source) == 0)
            return slot;
    }
}

struct outbox_run *outbox_current_run(const struct outbox *outbox, const char *source)
{
    return outbox->sources_room == 0 ? NULL : *find_source(outbox, source);
}

/* At most half of the slots are taken. */
static enum fx_code grow_sources(struct outbox *outbox, struct fx_err *err)
{
    if (outbox->sources_count * 2 < outbox->sources_room)
        return FX_OK;
    struct outbox_run **old = outbox->sources;
    uint64_t old_room = outbox->sources_room;
    uint64_t room = old_room == 0 ? SOURCES_ROOM_MIN : old_room * 2;
    struct outbox_run **fresh = calloc(room, sizeof(struct outbox_run *));
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for sources");
    outbox->sources = fresh;
    outbox->sources_room = room;
    for (uint64_t i = 0; i < old_room; i++)
        if (old[i] != NULL)
            *find_source(outbox, old[i]->source) = old[i];
    free(old);
    return FX_OK;
}

static int64_t draw_run(void)
{
    uint64_t bits = 0;
    randombytes_buf(&bits, sizeof bits);
    return (int64_t)(bits & (uint64_t)(SCHEMA_RUN_LIMIT - 1));
}

/* The run of this source before this one: consumers see a chain. */
static enum fx_code link_previous(struct outbox *outbox, struct outbox_run *run, struct fx_err *err)
{
    bool has_row;
    sqlite3_stmt *statement = sql_use(outbox, SQL_LAST_RUN);
    sql_bind_text(statement, 1, run->source);
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    if (has_row) {
        run->previous_run = sqlite3_column_int64(statement, 0);
        run->previous_last_seq = sqlite3_column_int64(statement, 1);
        run->last_at_ms = run->committed_at_ms = sqlite3_column_int64(statement, 2);
    }
    sqlite3_reset(statement);
    return FX_OK;
}

static enum fx_code open_run(struct outbox *outbox, const char *source, const char *region,
                             struct outbox_run **run, struct fx_err *err)
{
    struct outbox_run *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a run");
    fx_assert(text_copy(fresh->source, sizeof fresh->source, source));
    fx_assert(text_copy(fresh->region, sizeof fresh->region, region));
    fresh->id = outbox->runs_base + outbox->runs_count;
    fresh->run = draw_run();
    fresh->previous_run = -1;
    fresh->partition =
        outbox->partitions == 0 ? -1 : wire_partition(source, strlen(source), outbox->partitions);
    fresh->is_current = true;
    if (link_previous(outbox, fresh, err) != FX_OK || keep_run(outbox, fresh, err) != FX_OK) {
        free(fresh);
        return err->code;
    }
    *run = fresh;
    return FX_OK;
}

enum fx_code outbox_take_run(struct outbox *outbox, const char *source, const char *region,
                             struct outbox_run **run, struct fx_err *err)
{
    fx_assert(outbox->is_begun);
    if (grow_sources(outbox, err) != FX_OK)
        return err->code;
    struct outbox_run **slot = find_source(outbox, source);
    if (*slot == NULL) {
        if (open_run(outbox, source, region, slot, err) != FX_OK)
            return err->code;
        outbox->sources_count++;
    }
    *run = *slot;
    if (!(*run)->is_stored)
        outbox_touch(outbox, *run);
    return FX_OK;
}

void outbox_touch(struct outbox *outbox, struct outbox_run *run)
{
    if (run->is_dirty || run == &outbox->guest)
        return;
    fx_assert(outbox->dirty_count < outbox->dirty_room);
    run->is_dirty = true;
    outbox->dirty[outbox->dirty_count++] = run;
}

void outbox_count_refused(struct outbox *outbox, struct outbox_run *run, int64_t lines)
{
    run->refused += lines;
    run->kept_refused += lines;
    outbox_touch(outbox, run);
}

/* is_ended is in an index: it is set when it is true, which it stays, and not with every commit. */
static enum sql_statement statement_for(const struct outbox_run *run)
{
    if (!run->is_stored)
        return SQL_ADD_RUN;
    return run->is_ended ? SQL_SET_ENDED : SQL_SET_RUN;
}

enum fx_code runs_write(struct outbox *outbox, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    for (int64_t i = 0; code == FX_OK && i < outbox->dirty_count; i++) {
        const struct outbox_run *run = outbox->dirty[i];
        enum sql_statement which = statement_for(run);
        sqlite3_stmt *statement = sql_use(outbox, which);
        sqlite3_bind_int64(statement, 1, run->id);
        if (!run->is_stored) {
            sql_bind_text(statement, 2, run->source);
            sqlite3_bind_int64(statement, 3, run->run);
            sql_bind_text(statement, 4, run->region);
            sqlite3_bind_int64(statement, 5, run->previous_run);
            sqlite3_bind_int64(statement, 6, run->previous_last_seq);
        }
        sqlite3_bind_int(statement, 7, run->partition);
        sqlite3_bind_int64(statement, 8, run->last_seq);
        sqlite3_bind_int64(statement, 9, run->last_at_ms);
        sqlite3_bind_int64(statement, 10, run->last_line_ms);
        sqlite3_bind_int64(statement, 11, run->refused);
        sqlite3_bind_int64(statement, 12, run->beats);
        if (which != SQL_SET_RUN) {
            sqlite3_bind_int(statement, 13, run->is_ended);
            sqlite3_bind_int64(statement, 14, run->ended_ms);
        }
        sqlite3_bind_int64(statement, 15, run->last_id);
        code = sql_run(outbox, statement, err);
    }
    return code;
}

/* What was pruned is gone, or is not. Runs need no write for it, so any may be concerned. */
static void settle_pruned(struct outbox *outbox, bool is_committed)
{
    for (int64_t i = 0; outbox->is_pruning && i < outbox->runs_count; i++) {
        struct outbox_run *run = outbox->runs[i];
        if (run != NULL && is_committed)
            run->committed_pruned_seq = run->pruned_seq;
        else if (run != NULL)
            run->pruned_seq = run->committed_pruned_seq;
    }
    outbox->is_pruning = false;
}

void runs_settle(struct outbox *outbox, bool is_committed)
{
    for (int64_t i = 0; i < outbox->dirty_count; i++) {
        struct outbox_run *run = outbox->dirty[i];
        run->is_dirty = false;
        if (is_committed) {
            run->is_stored = true;
            run->committed_seq = run->last_seq;
            run->committed_id = run->last_id;
            run->committed_mark_id = run->mark_id;
            run->committed_at_ms = run->last_at_ms;
            run->kept_refused = run->refused;
            run->stored_beats = run->beats;
        } else {
            run->last_seq = run->committed_seq;
            run->last_at_ms = run->committed_at_ms;
            run->last_id = run->committed_id;
            run->refused = run->kept_refused;
            run->mark_id = run->committed_mark_id;
        }
    }
    outbox->dirty_count = 0;
    settle_pruned(outbox, is_committed);
}

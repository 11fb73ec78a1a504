/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_sql - the outbox's inside: its one SQLite connection and the runs in memory.
 *
 * For outbox*.c alone. A statement is taken with sql_use (which resets it), bound with SQLite's
 * own calls, and stepped here, where SQLite's codes become ours.
 *
 * Marks: events lie in the order of their ids, which are gapless; no index leads from a run's
 * numbers to them. Instead some events are marked, at least so many that each lies less than
 * MARK_ROWS ids behind the last mark of its run at or before it. A number is looked for from that
 * mark on. Marks are pruned with their events: an event whose mark is gone lies less than MARK_ROWS
 * ids behind the oldest event.
 *
 * weighed: an index of (run, seq) / marks: with 700 sources a million events cost SQLite 9.1 s of
 * CPU with the index, whose pages are written over and over again, and 2.4 s with marks.
 */
#ifndef FX_OUTBOX_SQL_H
#define FX_OUTBOX_SQL_H

#include "outbox.h"
#include "outbox_statements.h"

#define MARK_ROWS 8192

#define HELD_ROWS 64 /* of ADD_EVENTS */
#define HELD_BYTES 16384

struct sqlite3;
struct sqlite3_stmt;

/* An appended row that SQLite does not have yet. */
struct held {
    int64_t run;
    int64_t seq;
    int64_t stored_at_ms;
    size_t at; /* of its bytes in held_bytes */
    size_t size;
};

enum sql_statement {
#define SQL_ENUM(name, text) SQL_##name,
    SQL_STATEMENTS(SQL_ENUM)
#undef SQL_ENUM
        SQL_COUNT
};

struct outbox {
    struct sqlite3 *db;
    struct sqlite3_stmt *statements[SQL_COUNT];
    struct outbox_options options;
    struct outbox_run **runs; /* by id - runs_base; NULL: ended before the opening */
    int64_t runs_base;
    int64_t runs_count;
    int64_t runs_room;
    struct outbox_run **sources; /* hash of the runs drawn since the opening */
    uint64_t sources_room;       /* a power of two */
    uint64_t sources_count;
    struct outbox_run **dirty; /* to be written with the next commit; room for all runs */
    int64_t dirty_count;
    int64_t dirty_room;
    struct held held[HELD_ROWS]; /* the last rows up to last_id, see held_write */
    int held_count;
    size_t held_used; /* of held_bytes */
    uint8_t held_bytes[HELD_BYTES];
    struct outbox_run guest; /* the one run looked at that is not in runs */
    int64_t last_id;
    int64_t committed_id;
    int64_t acked_id;
    int64_t opening_id;
    int64_t ahead_event; /* rows up to it may be stamped by a clock that was ahead, see find_old */
    int64_t ahead_line;
    int64_t page_size;
    int32_t partitions; /* of the topic, 0: not known yet */
    bool is_acked_dirty;
    bool is_pruning;    /* some run has a pruned_seq that is not settled yet */
    bool is_prune_due;  /* the last look may have left rows that are old enough */
    bool is_unassigned; /* some run in memory has no partition */
    bool is_begun;
};

/* ---- outbox_sql.c ---- */

FX_MUST_CHECK enum fx_code sql_open(struct outbox *outbox, struct fx_err *err);
void sql_close(struct outbox *outbox);

/* The statement, reset and unbound. */
struct sqlite3_stmt *sql_use(struct outbox *outbox, enum sql_statement which);

/* One step; resets the statement unless there is a row. */
FX_MUST_CHECK enum fx_code sql_step(struct outbox *outbox, struct sqlite3_stmt *statement,
                                    bool *has_row, struct fx_err *err);

/* Runs a statement that gives no rows. */
FX_MUST_CHECK enum fx_code sql_run(struct outbox *outbox, struct sqlite3_stmt *statement,
                                   struct fx_err *err);

/* The first column of the first row, 0 if there is no row; resets the statement. */
FX_MUST_CHECK enum fx_code sql_number(struct outbox *outbox, struct sqlite3_stmt *statement,
                                      int64_t *number, struct fx_err *err);

/* Borrows text until the statement is reset. */
void sql_bind_text(struct sqlite3_stmt *statement, int place, const char *text);

/* ---- outbox_held.c ---- */

/* Holds row last_id + 1, after it wrote those held before if there was no room. */
FX_MUST_CHECK enum fx_code held_add(struct outbox *outbox, const struct held *row,
                                    const uint8_t *bytes, struct fx_err *err);

/* Gives SQLite the rows held: before anything looks for an event, and at the commit. */
FX_MUST_CHECK enum fx_code held_write(struct outbox *outbox, struct fx_err *err);

/* ---- outbox_run.c ---- */

FX_MUST_CHECK enum fx_code runs_load(struct outbox *outbox, struct fx_err *err);
void runs_release(struct outbox *outbox);
FX_MUST_CHECK enum fx_code runs_write(struct outbox *outbox, struct fx_err *err);
void runs_settle(struct outbox *outbox, bool is_committed);

/* The run of a row's id, from memory or, as a guest until the next call, from the table. */
FX_MUST_CHECK enum fx_code runs_find(struct outbox *outbox, int64_t id, struct outbox_run **run,
                                     struct fx_err *err);

/* The run of a row's id, NULL if it is not in memory. */
struct outbox_run *runs_at(const struct outbox *outbox, int64_t id);

/* ---- outbox_mark.c ---- */

/* Notes that run's number seq is row id, if a mark is due. */
FX_MUST_CHECK enum fx_code marks_note(struct outbox *outbox, struct outbox_run *run, int64_t seq,
                                      int64_t id, struct fx_err *err);

/* If number seq of the run of row run_id is kept, it is one of the MARK_ROWS rows from *id on. */
FX_MUST_CHECK enum fx_code marks_find(struct outbox *outbox, int64_t run_id, int64_t seq,
                                      int64_t *id, struct fx_err *err);

/* The first mark behind number seq, which is kept; *id is 0 if there is none. */
FX_MUST_CHECK enum fx_code marks_next(struct outbox *outbox, int64_t run_id, int64_t seq,
                                      int64_t *id, struct fx_err *err);

/* Sets acked_seq of all runs in memory. */
FX_MUST_CHECK enum fx_code marks_find_acked(struct outbox *outbox, struct fx_err *err);

#endif

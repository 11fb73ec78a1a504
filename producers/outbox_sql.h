/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_sql - the outbox's inside: its one SQLite connection and the runs in memory.
 *
 * For outbox*.c alone. A statement is taken with sql_use (which resets it), bound with SQLite's
 * own calls, and stepped here, where SQLite's codes become ours.
 */
#ifndef FX_OUTBOX_SQL_H
#define FX_OUTBOX_SQL_H

#include "outbox.h"
#include "outbox_statements.h"

struct sqlite3;
struct sqlite3_stmt;

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
    struct outbox_run guest; /* the one run looked at that is not in runs */
    int64_t last_id;
    int64_t committed_id;
    int64_t acked_id;
    int64_t opening_id;
    int64_t page_size;
    int32_t partitions; /* of the topic, 0: not known yet */
    bool is_acked_dirty;
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

/* ---- outbox_run.c ---- */

FX_MUST_CHECK enum fx_code runs_load(struct outbox *outbox, struct fx_err *err);
void runs_release(struct outbox *outbox);
FX_MUST_CHECK enum fx_code runs_write(struct outbox *outbox, struct fx_err *err);
void runs_settle(struct outbox *outbox, bool is_committed);

/* The run of a row's id, from memory or, as a guest until the next call, from the table. */
FX_MUST_CHECK enum fx_code runs_find(struct outbox *outbox, int64_t id, struct outbox_run **run,
                                     struct fx_err *err);

/* The run of source drawn since the opening, NULL if there is none. */
struct outbox_run *runs_current(const struct outbox *outbox, const char *source);

#endif

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

struct sqlite3;
struct sqlite3_stmt;

/* X(name, text) */
#define SQL_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(SET_META, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")                       \
    X(ADD_RUN, "INSERT INTO run (id, source, run, region, previous_run, previous_last_seq,"        \
               " partition, last_seq, last_at, last_line, refused, beats, is_ended)"               \
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                 \
    X(SET_RUN, "UPDATE run SET partition = ?7, last_seq = ?8, last_at = ?9, last_line = ?10,"      \
               " refused = ?11, beats = ?12, is_ended = ?13 WHERE id = ?1")                        \
    X(LAST_RUN, "SELECT run, last_seq, last_at FROM run WHERE source = ?1"                         \
                " ORDER BY id DESC LIMIT 1")                                                       \
    X(FIND_RUN, "SELECT id FROM run WHERE source = ?1 AND run = ?2")                               \
    X(LOAD_RUN, "SELECT * FROM run WHERE id = ?1")                                                 \
    X(OPEN_RUNS, "SELECT * FROM run WHERE NOT is_ended ORDER BY id")                               \
    X(FORGET_RUNS, "DELETE FROM run WHERE is_ended"                                                \
                   " AND NOT EXISTS (SELECT 1 FROM event WHERE event.run = run.id)"                \
                   " AND EXISTS (SELECT 1 FROM run AS newer"                                       \
                   " WHERE newer.source = run.source AND newer.id > run.id)")                      \
    X(MAX_RUN, "SELECT max(id) FROM run")                                                          \
    X(MAX_SEQ, "SELECT max(seq) FROM event WHERE run = ?1")                                        \
    X(FIRST_UNACKED, "SELECT seq FROM event WHERE run = ?1 AND id > ?2 ORDER BY seq LIMIT 1")      \
    X(OLDEST_KEPT, "SELECT min(seq) FROM event WHERE run = ?1")                                    \
    X(ADD_EVENT, "INSERT INTO event (id, run, seq, stored_at, bytes) VALUES (?1, ?2, ?3, ?4, ?5)") \
    X(READ_EVENTS, "SELECT id, run, seq, bytes FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")     \
    X(READ_RANGE, "SELECT id, run, seq, bytes FROM event"                                          \
                  " WHERE run = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4")              \
    X(COUNT_RANGE, "SELECT count(*) FROM event WHERE run = ?1 AND seq BETWEEN ?2 AND ?3")          \
    X(COUNT_EVENTS, "SELECT count(*), sum(id > ?1) FROM event")                                    \
    X(OLDEST_UNSENT, "SELECT stored_at FROM event WHERE id > ?1 ORDER BY id LIMIT 1")              \
    X(COUNT_RUNS, "SELECT count(*) FROM run WHERE NOT is_ended")                                   \
    X(OLD_EVENTS, "SELECT id, stored_at FROM event WHERE id <= ?1 ORDER BY id LIMIT ?2")           \
    X(PRUNE_EVENTS, "DELETE FROM event WHERE id <= ?1")                                            \
    X(PRUNE_LINES, "DELETE FROM line WHERE event <= ?1")                                           \
    X(PRUNE_REVERSALS, "DELETE FROM reversal WHERE event <= ?1")                                   \
    X(FIND_LINE, "SELECT event.run, event.seq FROM line JOIN event ON event.id = line.event"       \
                 " WHERE line.source = ?1 AND line.line = ?2")                                     \
    X(ADD_LINE, "INSERT INTO line (source, line, event) VALUES (?1, ?2, ?3)")                      \
    X(FIND_EVENT, "SELECT event.id, event.bytes, reversal.event IS NOT NULL"                       \
                  " FROM run JOIN event ON event.run = run.id AND event.seq = ?3"                  \
                  " LEFT JOIN reversal ON reversal.event = event.id"                               \
                  " WHERE run.source = ?1 AND run.run = ?2")                                       \
    X(ADD_REVERSAL, "INSERT INTO reversal (event, run, seq, reason) VALUES (?1, ?2, ?3, ?4)")      \
    X(CENSUS, "SELECT persons FROM census WHERE source = ?1 AND cell = ?2")                        \
    X(ADD_CENSUS, "INSERT INTO census (source, cell, persons) VALUES (?1, ?2, ?3)"                 \
                  " ON CONFLICT (source, cell) DO UPDATE SET persons = persons + ?3")              \
    X(POSITION, "SELECT detail, device, inode, offset, crc, line_size, lines FROM position"        \
                " WHERE input = ?1")                                                               \
    X(SET_POSITION, "INSERT OR REPLACE INTO position"                                              \
                    " (input, detail, device, inode, offset, crc, line_size, lines)"               \
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                    \
    X(ADD_RESEND, "INSERT INTO resend (run, first, last) VALUES (?1, ?2, ?3)")                     \
    X(NEXT_RESEND, "SELECT resend.id, run.id, run.run, first, last FROM resend"                    \
                   " JOIN run ON run.id = resend.run ORDER BY resend.id LIMIT 1")                  \
    X(END_RESEND, "DELETE FROM resend WHERE id = ?1")                                              \
    X(PAGES, "PRAGMA page_count")                                                                  \
    X(FREE_PAGES, "PRAGMA freelist_count")

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

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_statements - every statement the outbox runs, each prepared once at the opening.
 *
 * For outbox*.c alone. The tables are in outbox_sql.c.
 */
#ifndef FX_OUTBOX_STATEMENTS_H
#define FX_OUTBOX_STATEMENTS_H

#define INSERT_EVENTS "INSERT INTO event (id, run, seq, stored_at, bytes) VALUES "
#define FOUR_ROWS "(?, ?, ?, ?, ?), (?, ?, ?, ?, ?), (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)"
#define SIXTEEN_ROWS FOUR_ROWS ", " FOUR_ROWS ", " FOUR_ROWS ", " FOUR_ROWS

/* X(name, text) */
#define SQL_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(SET_META, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")                       \
    X(ADD_RUN,                                                                                     \
      "INSERT INTO run (id, source, run, region, previous_run, previous_last_seq,"                 \
      " partition, last_seq, last_at, last_line, refused, beats, is_ended, ended_at, last_id)"     \
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")                \
    X(SET_RUN, "UPDATE run SET partition = ?7, last_seq = ?8, last_at = ?9, last_line = ?10,"      \
               " refused = ?11, beats = ?12, last_id = ?15 WHERE id = ?1")                         \
    X(SET_ENDED, "UPDATE run SET partition = ?7, last_seq = ?8, last_at = ?9, last_line = ?10,"    \
                 " refused = ?11, beats = ?12, is_ended = ?13, ended_at = ?14, last_id = ?15"      \
                 " WHERE id = ?1")                                                                 \
    X(LAST_RUN, "SELECT run, last_seq, last_at FROM run WHERE source = ?1"                         \
                " ORDER BY id DESC LIMIT 1")                                                       \
    X(FIND_RUN, "SELECT id FROM run WHERE source = ?1 AND run = ?2")                               \
    X(LOAD_RUN, "SELECT * FROM run WHERE id = ?1")                                                 \
    X(OPEN_RUNS, "SELECT * FROM run WHERE NOT is_ended ORDER BY id")                               \
    X(FORGET_RUNS, "DELETE FROM run WHERE is_ended AND NOT declares AND (ended_at < ?1 OR id <="   \
                   " (SELECT id FROM run WHERE is_ended ORDER BY id DESC LIMIT 1 OFFSET ?2))"      \
                   " AND last_id < ifnull((SELECT min(id) FROM event), 9223372036854775807)"       \
                   " AND EXISTS (SELECT 1 FROM run AS newer"                                       \
                   " WHERE newer.source = run.source AND newer.id > run.id)")                      \
    X(FORGET_RESENDS, "DELETE FROM resend WHERE run NOT IN (SELECT id FROM run)")                  \
    X(KNOWS_SOURCE, "SELECT 1 FROM run WHERE source = ?1 LIMIT 1")                                 \
    X(SET_BEATS, "UPDATE run SET beats = ?2 WHERE id = ?1")                                        \
    X(ADD_DECLARES, "UPDATE run SET declares = declares + 1 WHERE id = ?1")                        \
    X(END_DECLARES, "UPDATE run SET declares = max(declares - ?2, 0) WHERE id = ?1")               \
    X(NEXT_DECLARED,                                                                               \
      "SELECT id, declares FROM run WHERE declares AND id > ?1 ORDER BY id LIMIT 1")               \
    X(FIND_ASKED, "SELECT 1 FROM asked WHERE source = ?1"                                          \
                  " AND (asked_at > ?2 OR (asked_at = ?2 AND attempt >= ?3))")                     \
    X(SET_ASKED, "INSERT OR REPLACE INTO asked (source, asked_at, attempt) VALUES (?1, ?2, ?3)")   \
    X(ADD_ASKED, "INSERT INTO resend (run, first, last) SELECT ?1, ?2, ?3 WHERE NOT EXISTS"        \
                 " (SELECT 1 FROM resend WHERE run = ?1 AND first <= ?2 AND last >= ?3)")          \
    X(COUNT_RESENDS, "SELECT count(*) FROM resend")                                                \
    X(MAX_RUN, "SELECT max(id) FROM run")                                                          \
    X(MIN_EVENT, "SELECT min(id) FROM event")                                                      \
    X(EVENT_AT, "SELECT run, seq FROM event WHERE id = ?1")                                        \
    X(EVENTS_FROM, "SELECT run, seq FROM event WHERE id >= ?1 ORDER BY id LIMIT ?2")               \
    X(IS_FIRST_KEPT, "SELECT 1 FROM mark JOIN event ON event.id = mark.id"                         \
                     " WHERE mark.run = ?1 AND mark.seq = 1")                                      \
    X(FIRST_BETWEEN, "SELECT seq FROM event WHERE id >= ?1 AND id < ?2 AND run = ?3"               \
                     " ORDER BY id LIMIT 1")                                                       \
    X(ADD_MARK, "INSERT INTO mark (run, seq, id) VALUES (?1, ?2, ?3)")                             \
    X(FIND_MARK, "SELECT id FROM mark WHERE run = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1")     \
    X(NEXT_MARK, "SELECT id FROM mark WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT 1")           \
    X(MARK_FROM, "SELECT seq FROM mark WHERE run = ?1 AND id >= ?2 ORDER BY seq LIMIT 1")          \
    X(ADD_EVENT, INSERT_EVENTS "(?, ?, ?, ?, ?)")                                                  \
    X(ADD_EVENTS,                                                                                  \
      INSERT_EVENTS SIXTEEN_ROWS ", " SIXTEEN_ROWS ", " SIXTEEN_ROWS ", " SIXTEEN_ROWS)            \
    X(READ_EVENTS, "SELECT id, run, seq, bytes FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")     \
    X(READ_RANGE, "SELECT id, run, seq, bytes FROM event WHERE id >= ?1 AND id < ?2"               \
                  " AND run = ?3 AND seq > ?4 AND seq <= ?5 ORDER BY id LIMIT ?6")                 \
    X(MAX_EVENT, "SELECT max(id) FROM event")                                                      \
    X(OLDEST_UNSENT, "SELECT stored_at FROM event WHERE id > ?1 ORDER BY id LIMIT 1")              \
    X(COUNT_RUNS, "SELECT count(*) FROM run WHERE NOT is_ended")                                   \
    X(OLD_EVENTS, "SELECT id, stored_at, run, seq FROM event WHERE id <= ?1"                       \
                  " ORDER BY id LIMIT ?2")                                                         \
    X(PRUNE_MARKS, "DELETE FROM mark"                                                              \
                   " WHERE (run, seq) IN (SELECT run, seq FROM event WHERE id <= ?1)")             \
    X(PRUNE_EVENTS, "DELETE FROM event WHERE id <= ?1")                                            \
    X(EVENT_TIMES, "SELECT id, stored_at FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")           \
    X(LINE_TIMES, "SELECT event, stored_at FROM line WHERE event > ?1 AND event < ifnull((SELECT"  \
                  " min(id) FROM event), 9223372036854775807) ORDER BY event LIMIT ?2")            \
    X(PRUNE_LINES, "DELETE FROM line WHERE event <= ?1")                                           \
    X(PRUNE_REVERSALS, "DELETE FROM reversal WHERE event <= ?1")                                   \
    X(FIND_LINE, "SELECT run, seq FROM line WHERE source = ?1 AND line = ?2")                      \
    X(ADD_LINE, "INSERT INTO line (source, line, event, run, seq, stored_at)"                      \
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                \
    X(FIND_EVENT, "SELECT event.id, event.bytes, reversal.event IS NOT NULL"                       \
                  " FROM event LEFT JOIN reversal ON reversal.event = event.id"                    \
                  " WHERE event.id >= ?1 AND event.id < ?2 AND event.run = ?3 AND event.seq = ?4") \
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
                   " JOIN run ON run.id = resend.run WHERE resend.id > ?1"                         \
                   " ORDER BY resend.id LIMIT 1")                                                  \
    X(END_RESENDS, "DELETE FROM resend WHERE id <= ?1")                                            \
    X(PAGES, "PRAGMA page_count")                                                                  \
    X(FREE_PAGES, "PRAGMA freelist_count")

#endif

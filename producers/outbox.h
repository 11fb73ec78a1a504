/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox - the durable queue between the accepted line and Kafka: one SQLite file per kind.
 *
 * Numbers (run, seq) are given in the transaction that stores the event, so they are gapless
 * whatever crashes. A run is drawn at random for each source heard of after an opening; rows of
 * earlier runs keep theirs and are sent first. Whoever sent a row again did no harm: consumers
 * count a number once.
 *
 * One process, one connection, exclusive lock, WAL, synchronous=FULL (read back at opening). More
 * than one connection would meet SQLite's WAL-reset bug (3.7.0 to 3.51.2).
 *
 * Use: outbox_begin, any number of appends and notes, outbox_commit: one fsync for all of them.
 * After an error inside a transaction call outbox_rollback; the outbox is then as it was.
 *
 * Here: opening and input. What rules need to look up is in outbox_rules.h, the way out to Kafka in
 * outbox_send.h, with how long what is kept,
 * what the city asks for in outbox_asked.h. The row of a run stays
 * OUTBOX_RUN_KEEP_MS after its end, so that the city can be told what became of its numbers. Not
 * thread-safe: all outboxes of a process belong to one thread, whoever uses SQLite besides them
 * too. Pointers to runs stay valid until outbox_close.
 */
#ifndef FX_OUTBOX_H
#define FX_OUTBOX_H

#include "../common/err.h"
#include "../schemas/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_RUN_KEEP_MS (90 * INT64_C(86400000)) /* how long a run is known after its end */
#define OUTBOX_RUNS_MAX 16384                       /* ended runs without events, at most */
#define OUTBOX_BEATS_AHEAD 4 /* heartbeats of a run that goes on that need no write each */
#define OUTBOX_INPUT_MAX 512 /* bytes of an input's name or detail, with terminator */

struct outbox;

struct outbox_options {
    const char *path;
    const char *kind;
    int64_t bytes_max; /* beyond it outbox_has_room says no; 0: no bound */
    int64_t keep_ms;   /* acknowledged events stay so long after they were stored */
    int64_t pages_max; /* SQLite's max_page_count, for tests of a full disk; 0: none */
};

struct outbox_run {
    int64_t id;            /* of its row; ascending in order of opening */
    int64_t run;           /* random 48 bits */
    int64_t last_seq;      /* of the last event appended, 0: none */
    int64_t last_id;       /* of its row */
    int64_t mark_id;       /* of the last event that was marked, see outbox_sql.h */
    int64_t pruned_seq;    /* of the last event pruned since its opening, if it is current */
    int64_t committed_seq; /* last_seq, last_id, mark_id, pruned_seq as committed */
    int64_t committed_id;
    int64_t committed_mark_id;
    int64_t committed_pruned_seq;
    int64_t acked_seq;  /* every number up to it is acknowledged */
    int64_t last_at_ms; /* latest time of this source's rows, by which lines without one go on while
                           it is less than ten minutes ahead of the clock; 0: none */
    int64_t committed_at_ms;
    int64_t last_line_ms; /* when its last line came in, 0: none */
    int64_t refused;      /* lines of this run refused for want of room or sense */
    int64_t kept_refused; /* of them those that a rollback leaves */
    int64_t beats;        /* number of its next heartbeat */
    int64_t stored_beats; /* as its row says, or what the opening made of that */
    int64_t owed;         /* words owed to the city; as outbox_next_declared found it */
    int64_t ended_ms;     /* when its ENDED was acknowledged, 0: not yet */
    int64_t previous_run; /* -1: none */
    int64_t previous_last_seq;
    int32_t partition; /* -1: not chosen yet */
    bool is_current;   /* drawn since the opening */
    bool is_stored;    /* its row is committed */
    bool is_dirty;     /* changed in this transaction */
    bool is_opened;    /* its OPEN heartbeat is on its way */
    bool is_ended;     /* its ENDED heartbeat was acknowledged */
    char source[SCHEMA_SOURCE_MAX + 1];
    char region[SCHEMA_REGION_MAX + 1];
};

struct outbox_event {
    const uint8_t *bytes; /* of the message, run and seq inside */
    size_t size;
    int64_t occurred_at_ms;
    int64_t stored_at_ms; /* now */
    const char *id;       /* the line's, NULL: none */
};

/* Up to where an input was taken. name tells inputs apart: "simulation", a file's path. */
struct outbox_position {
    char detail[OUTBOX_INPUT_MAX]; /* what must not change between runs, e.g. options */
    int64_t device;
    int64_t inode;
    int64_t offset;    /* behind the last line taken */
    int64_t crc;       /* of the last line's bytes, newline included */
    int64_t line_size; /* of those bytes; 0: no line; -1: offset is within one that was too long */
    int64_t lines;     /* taken in all */
};

/*
 * Opens or makes the outbox.
 *
 * FX_ECONFIG  another process has it open, it is of another kind, or it is no outbox.
 * FX_EDISK    the file cannot be made, read or written.
 * FX_ESTATE   SQLite calls the file corrupt.
 */
FX_MUST_CHECK enum fx_code outbox_open(const struct outbox_options *options, struct outbox **outbox,
                                       struct fx_err *err);
void outbox_close(struct outbox *outbox);

/* ---- in: one transaction ---- */

FX_MUST_CHECK enum fx_code outbox_begin(struct outbox *outbox, struct fx_err *err);

/* FX_EDISK: nothing was kept and no number was used; call outbox_rollback. */
FX_MUST_CHECK enum fx_code outbox_commit(struct outbox *outbox, struct fx_err *err);
void outbox_rollback(struct outbox *outbox);

/* The run of source since this opening, drawn now if there is none. In a transaction. */
FX_MUST_CHECK enum fx_code outbox_take_run(struct outbox *outbox, const char *source,
                                           const char *region, struct outbox_run **run,
                                           struct fx_err *err);

/* The run of source since this opening, NULL: none was drawn. */
struct outbox_run *outbox_current_run(const struct outbox *outbox, const char *source);

/* Stores event as number run->last_seq + 1. FX_EDISK. */
FX_MUST_CHECK enum fx_code outbox_append(struct outbox *outbox, struct outbox_run *run,
                                         const struct outbox_event *event, struct fx_err *err);

/* Notes that run's row has to be written with this transaction (its counters changed). */
void outbox_touch(struct outbox *outbox, struct outbox_run *run);

/* So many lines of run were refused for want of room, whatever becomes of a transaction. */
void outbox_count_refused(struct outbox *outbox, struct outbox_run *run, int64_t lines);

/* *position is all zero if the input is new. */
FX_MUST_CHECK enum fx_code outbox_position(struct outbox *outbox, const char *input,
                                           struct outbox_position *position, struct fx_err *err);
FX_MUST_CHECK enum fx_code outbox_set_position(struct outbox *outbox, const char *input,
                                               const struct outbox_position *position,
                                               struct fx_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station_core - what the parts of a station share: its state, and how a line becomes an event.
 *
 * For station*.c alone. Lines are taken in batches: station_take opens one when needed, and
 * station_commit makes it durable and releases its answers.
 */
#ifndef FX_STATION_CORE_H
#define FX_STATION_CORE_H

#include "asked.h"
#include "heartbeat.h"
#include "outbox_rules.h"
#include "outbox_send.h"
#include "rejects.h"
#include "shipper.h"
#include "station_options.h"

/* Answers to one writer. What lies behind settled waits for the commit. */
struct answers {
    struct buf out;
    size_t settled;       /* bytes that may go out */
    int64_t pending;      /* lines of the open batch answered in out */
    struct answers *next; /* in the station's list of those with pending lines */
};

/* Where a line comes from. */
struct origin {
    int64_t number;          /* of the line in its input, from 1 */
    struct answers *answers; /* NULL: nobody waits for one */
};

struct station_counts {
    int64_t lines;      /* taken */
    int64_t stored;     /* as events */
    int64_t rejected;   /* wrong lines */
    int64_t repeated;   /* ids known already */
    int64_t refused;    /* for want of room, and of the writers that were told so */
    int64_t clock_back; /* times put right */
};

struct input;

struct station {
    const struct dialect *dialect;
    const struct station_options *options;
    char topic[KAFKA_TOPIC_MAX];
    char resend_topic[KAFKA_TOPIC_MAX];
    struct kind kind;
    struct kind heartbeat;
    struct record *record;
    struct outbox *outbox;
    struct shipper *shipper; /* NULL: nothing is sent */
    struct asked *asked;     /* NULL: what the city asks for is not heard */
    struct input *input;     /* NULL: none; its position goes with each batch */
    struct record_line line; /* the one at hand */
    struct rejects rejects;
    struct answers *pending; /* list of writers with lines in the open batch */
    int64_t batch_lines;     /* 0: no batch is open */
    int64_t batch_since_ms;  /* monotonic */
    int64_t now_ms;          /* wall clock, renewed every turn */
    bool is_full;            /* the outbox takes nothing at present */
    bool is_ending;          /* no more lines are taken: what there is is sent, and ENDED said */
    struct station_counts counts;
    struct station_counts counts_before; /* as they were when the open batch was begun */
};

/*
 * Takes one line. A wrong line is reported, counted, answered, and no error.
 *
 * FX_EDISK, FX_ESTATE, FX_EMEMORY  the batch has to be rolled back, which answers this line too:
 *                                  station_rollback.
 */
FX_MUST_CHECK enum fx_code station_take(struct station *station, const struct origin *origin,
                                        const char *text, size_t size, struct fx_err *err);

/* As station_take, for a line longer than LINES_MAX: a wrong one. */
FX_MUST_CHECK enum fx_code station_reject_long(struct station *station, const struct origin *origin,
                                               struct fx_err *err);

/* Answers a line that is not taken at present: there is no room, which is counted, or the station
 * is stopping. text NULL: it was longer than LINES_MAX. */
void station_turn_away(struct station *station, const struct origin *origin, const char *text,
                       size_t size);

/* Opens a batch unless one is open. */
FX_MUST_CHECK enum fx_code station_begin(struct station *station, struct fx_err *err);

/* Makes the batch durable, its refused lines too, and settles its answers. On error
 * station_rollback was called. */
FX_MUST_CHECK enum fx_code station_commit(struct station *station, struct fx_err *err);

/* Gives up the batch, if one is open; nothing of it is counted. Each line that waits for it is
 * answered with err's text, and counts as refused, by the post's own run. */
void station_rollback(struct station *station, const struct fx_err *err);

/* Stores the event in station->line, already checked, with the next number of its source. */
struct stored_event {
    const char *id;         /* the line's, NULL: none */
    struct outbox_run *run; /* out */
};
FX_MUST_CHECK enum fx_code station_store(struct station *station, struct stored_event *stored,
                                         struct fx_err *err);

/* Takes lines until the input ends or a signal comes, then drains. FX_ERETRY: not all was sent. */
FX_MUST_CHECK enum fx_code station_run(struct station *station, struct fx_err *err);

/* Sends what is in the outbox, without any input. */
FX_MUST_CHECK enum fx_code station_drain(struct station *station, struct fx_err *err);

/* {"ok":true,"run":"0123456789ab","seq":42} */
void answer_number(struct answers *answers, int64_t run, int64_t seq);

/* {"ok":false,"field":"vehicle","reason":"…"}; field "" is left out. */
void answer_refusal(struct answers *answers, const char *field, const char *reason);

/* What is in answers goes out whatever becomes of the batch. Not while lines are pending. */
void answer_settle(struct answers *answers);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipper_core - what the two halves of the shipper share: its state. For shipper*.c alone.
 */
#ifndef FX_SHIPPER_CORE_H
#define FX_SHIPPER_CORE_H

#include "../common/retry.h"
#include "outbox_asked.h"
#include "outbox_send.h"
#include "probe.h"
#include "shipper.h"

enum slot_kind { SLOT_ROW, SLOT_RESEND, SLOT_BEAT, SLOT_DECLARED };

/* A message on its way. */
struct slot {
    enum slot_kind kind;
    bool is_done;               /* acknowledged */
    enum heartbeat_state state; /* SLOT_BEAT */
    struct outbox_run *run;     /* SLOT_ROW, SLOT_BEAT */
    int64_t id;  /* of the row, SLOT_RESEND: of the request, SLOT_DECLARED: of the run's row */
    int64_t seq; /* SLOT_ROW; SLOT_DECLARED: how often its run had been asked for */
};

/* A walk over the runs in memory, one heartbeat each. */
struct sweep {
    int next; /* index of the next run */
    bool is_over;
};

struct shipper {
    struct shipper_options options;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    struct probe probe;
    int wake[2]; /* read end, write end */
    struct slot slots[SHIPPER_WINDOW];
    unsigned head; /* the oldest message on its way */
    unsigned count;
    int64_t cursor;      /* the last row handed over */
    struct sweep old;    /* ENDED for runs of earlier openings */
    struct sweep opened; /* OPEN for runs of this opening; never over */
    struct sweep alive;
    struct sweep ended;          /* ENDED for runs of this opening */
    int64_t alive_at_ms;         /* when the next ALIVE is due */
    struct outbox_resend resend; /* the one being handed over; id 0: none */
    int64_t resend_next;         /* its last number handed over */
    int64_t resend_sent;         /* requests up to this id are handed over, 0: none is on its way */
    int64_t resend_acked;        /* those up to this id are acknowledged too */
    unsigned resend_waiting;     /* SLOT_RESENDs on their way */
    int64_t declared_next;       /* the last run whose owed heartbeat was handed over */
    unsigned declared_waiting;   /* such heartbeats on their way */
    bool is_declared_noted;      /* some run may owe one */
    bool is_resend_noted;        /* some request may wait behind resend_sent */
    bool is_ending;
    bool is_broken;           /* the producer has to be made anew */
    bool is_away;             /* no broker answers */
    int32_t partitions;       /* 0: not known yet */
    int64_t partitions_at_ms; /* when to look again */
    int64_t retry_at_ms;
    struct retry retry;
    enum input_state input;
    struct fx_err trouble;
    struct shipper_counts counts;
};

/* ---- shipper_send.c ---- */

/* Hands over what fits, in order: old rows, ENDED of their runs, new rows, resends, heartbeats. */
FX_MUST_CHECK enum fx_code shipper_send(struct shipper *shipper, struct fx_err *err);

/* There is a row that may be handed over now. */
bool shipper_has_due(const struct shipper *shipper);

/* Nothing is on its way, and no row or resend waits. */
bool shipper_is_drained(const struct shipper *shipper);

/* ---- shipper.c ---- */

void shipper_note_trouble(struct shipper *shipper, enum fx_code code, const char *text);

#endif

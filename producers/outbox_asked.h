/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_asked - what the city asks this outbox for: numbers that it has not counted.
 *
 * What is still kept goes out again by the outbox's resends. What is not kept any more is declared:
 * another heartbeat of its run says from which number on events are kept, so that nobody waits for
 * the others. Both are noted in one transaction with the request itself, so that a request read
 * again (it stays in Kafka) is obeyed once, whatever crashes.
 *
 * A run that this outbox never had is left alone: the source's other device may hold it, and only
 * who numbered events can say that they are gone. So are numbers above the last one of a run.
 *
 * None of these functions may be called within a transaction.
 */
#ifndef FX_OUTBOX_ASKED_H
#define FX_OUTBOX_ASKED_H

#include "outbox.h"

struct outbox_span {
    int64_t run;
    int64_t first;
    int64_t last;
};

struct outbox_request {
    const char *source;
    int64_t asked_at_ms;
    int64_t attempt;
    const struct outbox_span *spans;
    int count;
};

struct outbox_obeyed {
    bool is_repeated; /* this request, or a later one, was obeyed before: nothing was done */
    int64_t numbers;  /* to be sent again */
    int gone;         /* spans of which some number is not kept any more */
    int unknown;      /* spans of runs that this outbox never had, or of numbers it never gave */
};

/* Does the outbox remember any run of source? */
FX_MUST_CHECK enum fx_code outbox_knows(struct outbox *outbox, const char *source, bool *is_known,
                                        struct fx_err *err);

/* Notes what request asks for. FX_EDISK: nothing is noted; call again. */
FX_MUST_CHECK enum fx_code outbox_obey(struct outbox *outbox, const struct outbox_request *request,
                                       struct outbox_obeyed *obeyed, struct fx_err *err);

/* Resends that wait or are at work. */
FX_MUST_CHECK enum fx_code outbox_count_resends(struct outbox *outbox, int64_t *count,
                                                struct fx_err *err);

/* The first run behind the one of row after that owes a heartbeat; *run is NULL if there is none,
 * else valid until the next call of any outbox function, and run->owed is set. */
FX_MUST_CHECK enum fx_code outbox_next_declared(struct outbox *outbox, int64_t after,
                                                struct outbox_run **run, struct fx_err *err);

/* Counts a heartbeat of run, which then has the number run->beats - 1. Of a run that ended it is
 * written at once, so that the number is not given twice; of others with the next flush. */
FX_MUST_CHECK enum fx_code outbox_count_beat(struct outbox *outbox, struct outbox_run *run,
                                             struct fx_err *err);

/* A heartbeat of the run of row id is acknowledged, which was sent when the run owed that many;
 * what was asked for since stays owed. */
FX_MUST_CHECK enum fx_code outbox_end_declared(struct outbox *outbox, int64_t id, int64_t owed,
                                               struct fx_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_rules - what is looked up in the outbox before a line is accepted, and noted with it.
 *
 * Repeated lines, reversals of own events, and running figures such as a quarantine place's
 * census. All within a transaction of outbox.h: a note is durable exactly when its event is.
 */
#ifndef FX_OUTBOX_RULES_H
#define FX_OUTBOX_RULES_H

#include "../schemas/wire.h"
#include "outbox.h"

struct outbox_number {
    int64_t run;
    int64_t seq; /* 0: none */
};

/* The number first given to source's line id; number->seq is 0 if it is new, or no longer known:
 * see OUTBOX_ID_KEEP_MS. */
FX_MUST_CHECK enum fx_code outbox_find_line(struct outbox *outbox, const char *source,
                                            const char *id, struct outbox_number *number,
                                            struct fx_err *err);

struct outbox_stored {
    uint8_t bytes[WIRE_EVENT_MAX];
    size_t size;      /* 0: not kept, or never there */
    int64_t id;       /* of its row */
    bool is_reversed; /* outbox_note_reversal was called for it */
};

/* The event (source, number) as it was stored. */
FX_MUST_CHECK enum fx_code outbox_find_event(struct outbox *outbox, const char *source,
                                             const struct outbox_number *number,
                                             struct outbox_stored *stored, struct fx_err *err);

/* The event of row id is reversed by the last event appended to by, for this reason. */
FX_MUST_CHECK enum fx_code outbox_note_reversal(struct outbox *outbox, int64_t id,
                                                const struct outbox_run *by, const char *reason,
                                                struct fx_err *err);

/* The running figure kept for (source, cell), 0 if there is none yet. */
FX_MUST_CHECK enum fx_code outbox_census(struct outbox *outbox, const char *source,
                                         const char *cell, int64_t *persons, struct fx_err *err);

/* Adds persons to it. */
FX_MUST_CHECK enum fx_code outbox_census_add(struct outbox *outbox, const char *source,
                                             const char *cell, int64_t persons, struct fx_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat - what a run says of itself, beside its events (schemas/heartbeat).
 */
#ifndef FX_HEARTBEAT_H
#define FX_HEARTBEAT_H

#include "../schemas/heartbeat_schema.h"

#include <stdint.h>

/* What a run's newest heartbeat says (schemas/heartbeat). */
struct ledger_heartbeat {
    int64_t n;
    enum heartbeat_state state;
    enum input_state input_state;
    int64_t last_seq;
    int64_t acked_seq;
    int64_t oldest_kept;
    int64_t refused;
    int64_t last_line_ms;      /* -1: none yet */
    int64_t previous_run;      /* -1: none */
    int64_t previous_last_seq; /* -1: none */
    int64_t at_ms;
    int64_t appended_ms;
    int64_t heard_ms; /* set by the ledger: of the first one, where ENDED is said again */
    char region[33];
};

/* Puts newer in the place of kept, as if both had been stored one after the other. */
void heartbeat_replace(struct ledger_heartbeat *kept, const struct ledger_heartbeat *newer);

/* What no run can have told whose highest number is high, by the limits of ledger.h; NULL: nothing
 * of the kind. */
const char *heartbeat_objection(const struct ledger_heartbeat *beat, int64_t high);

#endif

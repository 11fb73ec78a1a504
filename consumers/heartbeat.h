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
    char region[33];
};

#endif

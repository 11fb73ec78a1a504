/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat_schema - the fields and symbols of schemas/heartbeat/1.avsc, by which both sides know
 * them. schema_load_heartbeat refuses a file that says otherwise, so indexes can be relied on.
 */
#ifndef FX_HEARTBEAT_SCHEMA_H
#define FX_HEARTBEAT_SCHEMA_H

#include "schema.h"

enum heartbeat_field {
    HEARTBEAT_SOURCE,
    HEARTBEAT_RUN,
    HEARTBEAT_N,
    HEARTBEAT_STATE,
    HEARTBEAT_LAST_SEQ,
    HEARTBEAT_ACKED_SEQ,
    HEARTBEAT_OLDEST_KEPT,
    HEARTBEAT_REFUSED,
    HEARTBEAT_INPUT_STATE,
    HEARTBEAT_LAST_LINE_AT,
    HEARTBEAT_PREVIOUS_RUN,
    HEARTBEAT_PREVIOUS_LAST_SEQ,
    HEARTBEAT_REGION,
    HEARTBEAT_AT,
    HEARTBEAT_FIELD_COUNT
};

enum heartbeat_state { HEARTBEAT_OPEN, HEARTBEAT_ALIVE, HEARTBEAT_ENDED, HEARTBEAT_STATE_COUNT };

enum input_state {
    INPUT_OPEN,   /* attached and alive: no line means that nothing happened */
    INPUT_CLOSED, /* at its end */
    INPUT_STALE,  /* a followed file is missing, or the outbox takes no lines */
    INPUT_STATE_COUNT
};

extern const char *const heartbeat_states[HEARTBEAT_STATE_COUNT];
extern const char *const input_states[INPUT_STATE_COUNT];

/* FX_ECONFIG: not these fields and symbols in this order. */
FX_MUST_CHECK enum fx_code heartbeat_check(const struct schema *schema, struct fx_err *err);

#endif

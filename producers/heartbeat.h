/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat - a source's sign of life on the partition of its run.
 *
 * Turns silence into a zero report, and makes the loss of a source's last events visible: it says
 * up to which number the source has stored, and up to which it knows them acknowledged. Not an
 * event: it has no number and is not stored. See schemas/heartbeat.
 */
#ifndef FX_HEARTBEAT_H
#define FX_HEARTBEAT_H

#include "../common/err.h"
#include "../schemas/heartbeat_schema.h"
#include "../schemas/wire.h"
#include "outbox.h"

struct heartbeat {
    enum heartbeat_state state;
    enum input_state input_state;
    int64_t oldest_kept; /* 0: none */
    int64_t at_ms;
};

/* The message of run's next heartbeat into out. Pure. */
void heartbeat_encode(const struct schema *schema, const struct outbox_run *run,
                      const struct heartbeat *heartbeat, uint8_t out[WIRE_EVENT_MAX], size_t *size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat.h"

#include "event.h"

void heartbeat_encode(const struct schema *schema, const struct outbox_run *run,
                      const struct heartbeat *heartbeat, uint8_t out[WIRE_EVENT_MAX], size_t *size)
{
    struct event event;
    event_reset(&event, schema);
    event_set_text(&event, "source", run->source);
    event_set_number(&event, "run", run->run);
    event_set_number(&event, "n", run->beats);
    event_set_number(&event, "state", (int64_t)heartbeat->state);
    event_set_number(&event, "last_seq", run->committed_seq);
    event_set_number(&event, "acked_seq", run->acked_seq);
    event_set_number(&event, "oldest_kept", heartbeat->oldest_kept);
    event_set_number(&event, "refused", run->refused);
    event_set_number(&event, "input_state", (int64_t)heartbeat->input_state);
    if (run->last_line_ms != 0)
        event_set_number(&event, "last_line_at", run->last_line_ms);
    if (run->previous_run >= 0) {
        event_set_number(&event, "previous_run", run->previous_run);
        event_set_number(&event, "previous_last_seq", run->previous_last_seq);
    }
    event_set_text(&event, "region", run->region);
    event_set_number(&event, "at", heartbeat->at_ms);
    struct fx_err err = FX_ERR_INIT;
    fx_assert(event_encode(&event, out, size, &err) == FX_OK);
}

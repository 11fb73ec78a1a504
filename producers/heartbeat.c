/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat.h"

#include "event.h"

#include <string.h>

static const char *const states[] = {"OPEN", "ALIVE", "ENDED"};
static const char *const input_states[] = {"OPEN", "CLOSED", "STALE"};

enum fx_code heartbeat_check(const struct schema *schema, struct fx_err *err)
{
    static const char *const fields[] = {"source",
                                         "run",
                                         "n",
                                         "state",
                                         "last_seq",
                                         "acked_seq",
                                         "oldest_kept",
                                         "refused",
                                         "input_state",
                                         "last_line_at",
                                         "previous_run",
                                         "previous_last_seq",
                                         "region",
                                         "at"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (schema_field(schema, fields[i]) < 0)
            return fx_err_set(err, FX_ECONFIG, "the heartbeat's schema has no field %s", fields[i]);
    const struct field *state = &schema->fields[schema_field(schema, "state")];
    const struct field *input = &schema->fields[schema_field(schema, "input_state")];
    for (int i = 0; i < 3; i++)
        if (field_symbol(state, states[i], strlen(states[i])) != i ||
            field_symbol(input, input_states[i], strlen(input_states[i])) != i)
            return fx_err_set(err, FX_ECONFIG, "the heartbeat's states are not in our order");
    return FX_OK;
}

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

/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat_schema.h"

#include <string.h>

const char *const heartbeat_states[HEARTBEAT_STATE_COUNT] = {"OPEN", "ALIVE", "ENDED"};
const char *const input_states[INPUT_STATE_COUNT] = {"OPEN", "CLOSED", "STALE"};

static const char *const field_names[HEARTBEAT_FIELD_COUNT] = {
    [HEARTBEAT_SOURCE] = "source",
    [HEARTBEAT_RUN] = "run",
    [HEARTBEAT_N] = "n",
    [HEARTBEAT_STATE] = "state",
    [HEARTBEAT_LAST_SEQ] = "last_seq",
    [HEARTBEAT_ACKED_SEQ] = "acked_seq",
    [HEARTBEAT_OLDEST_KEPT] = "oldest_kept",
    [HEARTBEAT_REFUSED] = "refused",
    [HEARTBEAT_INPUT_STATE] = "input_state",
    [HEARTBEAT_LAST_LINE_AT] = "last_line_at",
    [HEARTBEAT_PREVIOUS_RUN] = "previous_run",
    [HEARTBEAT_PREVIOUS_LAST_SEQ] = "previous_last_seq",
    [HEARTBEAT_REGION] = "region",
    [HEARTBEAT_AT] = "at",
};

static bool has_symbols(const struct field *field, const char *const *symbols, int count)
{
    bool is_right = field->type == FIELD_ENUM && field->symbol_count == count;
    for (int i = 0; is_right && i < count; i++)
        is_right = strcmp(field->symbols[i], symbols[i]) == 0;
    return is_right;
}

enum fx_code heartbeat_check(const struct schema *schema, struct fx_err *err)
{
    bool is_right = schema->field_count == HEARTBEAT_FIELD_COUNT;
    for (int i = 0; is_right && i < HEARTBEAT_FIELD_COUNT; i++)
        is_right = strcmp(schema->fields[i].name, field_names[i]) == 0;
    is_right =
        is_right &&
        has_symbols(&schema->fields[HEARTBEAT_STATE], heartbeat_states, HEARTBEAT_STATE_COUNT) &&
        has_symbols(&schema->fields[HEARTBEAT_INPUT_STATE], input_states, INPUT_STATE_COUNT);
    if (!is_right)
        return fx_err_set(err, FX_ECONFIG,
                          "heartbeat/1.avsc: not the fields and states this program knows");
    return FX_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat.h"

#include "ledger.h"

void heartbeat_replace(struct ledger_heartbeat *kept, const struct ledger_heartbeat *newer)
{
    bool is_repeated = kept->state == HEARTBEAT_ENDED && newer->state == HEARTBEAT_ENDED;
    int64_t heard_ms = is_repeated ? kept->heard_ms : newer->appended_ms;
    *kept = *newer;
    kept->heard_ms = heard_ms;
}

const char *heartbeat_objection(const struct ledger_heartbeat *beat, int64_t high)
{
    int64_t known = beat->acked_seq > high ? beat->acked_seq : high;
    if (beat->acked_seq - high > LEDGER_JUMP_MAX)
        return "acked_seq opens a gap too long";
    if (beat->last_seq - known > LEDGER_JUMP_MAX || beat->oldest_kept - known > LEDGER_JUMP_MAX)
        return "last_seq or oldest_kept is too far above the run's highest number";
    if (beat->refused > LEDGER_TOLD_MAX || beat->previous_last_seq > LEDGER_TOLD_MAX)
        return "refused or previous_last_seq is more than a run can have";
    return NULL;
}

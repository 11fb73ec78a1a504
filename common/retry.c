/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

#include "err.h"

void retry_init(struct retry *retry, int64_t wait_min_ms, int64_t wait_max_ms)
{
    fx_assert(wait_min_ms >= 0 && wait_min_ms < wait_max_ms);
    retry->wait_min_ms = wait_min_ms;
    retry->wait_max_ms = wait_max_ms;
    retry_reset(retry);
}

void retry_reset(struct retry *retry)
{
    retry->ceiling_ms = retry->wait_min_ms < 1 ? 2 : retry->wait_min_ms * 2;
    retry->tries = 0;
}

int64_t retry_next_ms(struct retry *retry, uint64_t random)
{
    if (retry->ceiling_ms > retry->wait_max_ms)
        retry->ceiling_ms = retry->wait_max_ms;
    uint64_t span = (uint64_t)(retry->ceiling_ms - retry->wait_min_ms) + 1;
    int64_t wait_ms = retry->wait_min_ms + (int64_t)(random % span);
    retry->ceiling_ms *= 2;
    retry->tries++;
    return wait_ms;
}

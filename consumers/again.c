/* SPDX-License-Identifier: Apache-2.0 */
#include "again.h"

#include "../common/day.h"
#include "../common/digest.h"
#include "../common/log.h"

#include <time.h>

#define WAIT_MIN_MS 50
#define WAIT_MAX_MS 1000

struct again again_begin(void)
{
    struct again again = {.until_ms = day_monotonic_ms() + AGAIN_FOR_MS};
    retry_init(&again.retry, WAIT_MIN_MS, WAIT_MAX_MS);
    return again;
}

bool again_try(struct again *again, PGconn *conn, struct fx_err *err)
{
    if (err->code != FX_ECLAIM)
        return false;
    again->tries++;
    if (day_monotonic_ms() >= again->until_ms) {
        err->code = FX_ERETRY; /* nobody took over: others are busy */
        fx_err_wrap(err, "not within %d tries; nothing changed, try again", again->tries);
        return false;
    }
    char quoted[FX_ERR_TEXT_MAX];
    fx_log(again->tries == 1 ? FX_LOG_WARN : FX_LOG_DEBUG, "again", "try=%d msg=%s", again->tries,
           fx_log_quote(quoted, sizeof quoted, err->text));
    fx_err_clear(err);
    if (pg_run(conn, "ROLLBACK", err) != FX_OK)
        return false;
    int64_t wait_ms = retry_next_ms(&again->retry, digest_random());
    struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * again - a transaction that found somebody in its way, once more.
 *
 * For programs that decide, set up or read, and end (a worker has its claims, pipeline.h). What was
 * held is given back before the pause, so that two who are in each other's way get through.
 *
 *     struct again again = again_begin();
 *     while (attempt(…, err) != FX_OK && again_try(&again, conn, err)) {}
 *     return err->code;
 */
#ifndef FX_AGAIN_H
#define FX_AGAIN_H

#include "../common/retry.h"
#include "pg.h"

#include <stdbool.h>

/* No try begins later. A worker that stands still in a flush loses its locks well before. */
#define AGAIN_FOR_MS 40000

struct again {
    struct retry retry;
    int64_t until_ms; /* monotonic */
    int tries;        /* that failed */
};

/* Before the first attempt. */
struct again again_begin(void);

/*
 * After an attempt that failed. True: a lock did not come, a deadlock, a limit of time (FX_ECLAIM);
 * the transaction is rolled back, the pause over and *err empty. False: *err is for the caller;
 * FX_ERETRY stands for an FX_ECLAIM that did not end in time.
 */
bool again_try(struct again *again, PGconn *conn, struct fx_err *err);

#endif

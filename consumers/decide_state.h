/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_state - what decide.c (transaction), decide_ledger.c, decide_loss.c and decide_swap.c
 * share. Private to them.
 */
#ifndef FX_DECIDE_STATE_H
#define FX_DECIDE_STATE_H

#include "../common/buf.h"
#include "decide.h"
#include "pg.h"

/* A decision on its way: open transaction, advisory lock of fx-setup held, acting as the owner. */
struct decide {
    const struct decide_options *options;
    const struct decide_place *place;
    PGconn *conn;
    char record[64]; /* record schema */
    char prefix[256];
    bool is_rebuild;
    bool is_short;       /* done, but something is missing: the sentence says what */
    struct buf fields;   /* of the log line, "key=value key=value" */
    struct buf sentence; /* on stdout */
};

/* Takes the decision inside the transaction, which the caller commits; FX_ECLAIM: once more. */
typedef enum fx_code decide_action(struct decide *decide, struct fx_err *err);

decide_action decide_write_off;
decide_action decide_release;
decide_action decide_accept_loss;
decide_action decide_accept_cluster;
decide_action decide_cut_off;
decide_action decide_swap;

/* decide.c: runs sql, in which %s stands for the quoted record schema, with count values. */
FX_MUST_CHECK enum fx_code decide_record(struct decide *decide, const char *sql, int count,
                                         const char *const *values, struct fx_err *err);

#endif

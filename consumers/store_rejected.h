/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rejected - the rejected events of a store, read outside of any claim. What is done about
 * them is part of a flush: flush_settled.
 *
 * No third-party type in here: a simulator links another store.
 */
#ifndef FX_STORE_REJECTED_H
#define FX_STORE_REJECTED_H

#include "store.h"

/* Rows of rejected_event of one partition, in order. */
struct rejected_list {
    enum reason reason; /* in: REASON_COUNT: any */
    int topic;          /* in: those behind this topic, partition and offset; -1: the first ones */
    int32_t partition;
    int64_t offset;
    struct flush_rejected *rows; /* room for rows_max; details are empty */
    int rows_max;
    int count;          /* out, 0: there are no more */
    int64_t generation; /* out: token of the worker that owns the partition */
};

/* Reads rejected events outside of any claim. FX_ERETRY, FX_ECLAIM, FX_ECONFIG, FX_ESTATE. */
FX_MUST_CHECK enum fx_code store_list_rejected(struct store *store, struct rejected_list *list,
                                               struct fx_err *err);

/* How many rejected events there are, REASON_COUNT: for any reason. */
FX_MUST_CHECK enum fx_code store_count_rejected(struct store *store, enum reason reason,
                                                int64_t *count, struct fx_err *err);

#endif

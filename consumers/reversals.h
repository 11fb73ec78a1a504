/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reversals - which events are undone, each at most once.
 *
 * Pure. Like the ledger, a cache of a table (reversal): an event not in here is presumed not
 * reversed, and the flush finds out. Forgotten together with the ledger.
 */
#ifndef FX_REVERSALS_H
#define FX_REVERSALS_H

#include "../common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct reversal {
    char source[65];
    uint16_t topic;
    int64_t reversed_run;
    int64_t reversed_seq;
    int64_t run; /* of the reversal itself */
    int64_t seq;
    bool is_stored;
};

struct reversals {
    struct reversal *items;
    int count;
    int stored_count; /* the first so many are stored; those behind wait for the next flush */
    int room;
    uint32_t *index; /* item + 1, 0: free */
    uint32_t index_count;
    uint64_t seed;
};

void reversals_init(struct reversals *set, uint64_t seed);
void reversals_release(struct reversals *set);
void reversals_reset(struct reversals *set);

/* The reversal of the same event, NULL if there is none. Only topic, source, reversed_run and
 * reversed_seq of one are looked at. */
const struct reversal *reversals_find(const struct reversals *set, const struct reversal *one);

/* Adds a reversal that is not in the set. FX_EMEMORY: nothing changed. */
FX_MUST_CHECK enum fx_code reversals_add(struct reversals *set, const struct reversal *one,
                                         struct fx_err *err);

/* The flush took all that were not stored. */
void reversals_sent(struct reversals *set);

/* Forgets the stored ones if there are more than kept: the flush finds out if one is met again. */
void reversals_forget(struct reversals *set, int kept);

#endif

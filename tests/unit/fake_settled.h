/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_settled - when rejected events were taken again, so that a recount can do so in that order.
 *
 * A database that keeps none is recounted as if every cause had been mended from the beginning.
 */
#ifndef FX_FAKE_SETTLED_H
#define FX_FAKE_SETTLED_H

#include "../../consumers/flush.h"

#define WORLD_SETTLED_MAX 4096

/* In the order of commits. */
struct db_settled {
    int part;
    int64_t offset;
    int64_t next;       /* offsets of the partition below it were counted then */
    enum reason reason; /* it was rejected for until then */
    bool is_tallied;    /* in its run's rejected */
    enum settled outcome;
    bool knows_region; /* the last one, as all below: what was mended then */
    bool accepts_simulated;
    int commit; /* several of one transaction have the same */
};

#endif

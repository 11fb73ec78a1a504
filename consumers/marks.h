/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks - what is known of single events beside the figures: who undid one, and which counted at
 * another time than it says.
 *
 * Pure. Like the ledger, caches of tables (reversal, corrected_event): an event not in here is
 * presumed neither reversed nor corrected, and the flush finds out. Forgotten together with the
 * ledger.
 */
#ifndef FX_MARKS_H
#define FX_MARKS_H

#include "../common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define MARK_AS_SAID INT64_MIN /* counted when the event says */

struct mark {
    char source[65];
    uint16_t topic;
    int64_t run; /* of the marked event */
    int64_t seq;
    int64_t by_run; /* of the reversal that undoes it; 0 in a set of corrected events */
    int64_t by_seq;
    int64_t counted_ms; /* whose bucket the event counted in; of a reversed one as was presumed */
    int64_t undone_ms;  /* of a reversed one: the instant whose bucket the reversal counted in */
};

struct mark_set {
    struct mark *items;
    int count;
    int stored_count; /* the first so many are stored; those behind wait for the next flush */
    int room;
    uint32_t *index; /* item + 1, 0: free */
    uint32_t index_count;
    uint64_t seed;
};

struct marks {
    struct mark_set reversed;
    struct mark_set corrected;
    /* Originals of refused reversals: the refusal rests on their not being corrected, which the
     * next flush checks. Not remembered beyond it. */
    struct mark_set uncorrected;
};

void marks_init(struct marks *marks, uint64_t seed);
void marks_release(struct marks *marks);
void marks_reset(struct marks *marks);
void marks_sent(struct marks *marks); /* the flush took all that were not stored */
int marks_unsent(const struct marks *marks);

/* Forgets stored ones where there are more than kept: the flush finds out if one is met again. */
void marks_forget(struct marks *marks, int kept);

void mark_set_init(struct mark_set *set, uint64_t seed);
void mark_set_release(struct mark_set *set);
void mark_set_reset(struct mark_set *set);

/* The mark of the same event, NULL if there is none. Only topic, source, run and seq of one are
 * looked at. */
const struct mark *mark_set_find(const struct mark_set *set, const struct mark *one);

/* Adds a mark of an event that has none. FX_EMEMORY: nothing changed. */
FX_MUST_CHECK enum fx_code mark_set_add(struct mark_set *set, const struct mark *one,
                                        struct fx_err *err);
void mark_set_sent(struct mark_set *set); /* all in it are stored */
void mark_set_forget(struct mark_set *set, int kept);

#endif

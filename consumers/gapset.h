/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gapset - the numbers of one run that are not counted, as disjoint ranges in order.
 *
 * Pure. A range has a cause; only counting a number (gapset_take) removes it. The set also
 * remembers which ranges the database holds (is_stored) and which of those are gone since
 * (removed), so that a flush writes only what changed.
 *
 * Invariant: gaps ascend, do not touch one another unless their causes differ, first <= last.
 * Guarantee: on FX_EMEMORY nothing changed.
 */
#ifndef FX_GAPSET_H
#define FX_GAPSET_H

#include "../common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum gap_cause { GAP_MISSING, GAP_REJECTED, GAP_WRITTEN_OFF, GAP_BEFORE_BASE, GAP_CAUSE_COUNT };

struct gap {
    int64_t first;
    int64_t last;
    int64_t opened_ms; /* append time of the record that showed it; joined: its first part's, and
                          what is right of a number taken out keeps that */
    enum gap_cause cause;
    bool is_stored; /* the database holds a row with this first */
};

struct gapset {
    struct gap *gaps;
    int count;
    int room;
    int64_t *removed; /* firsts of rows the database still holds and must delete */
    int removed_count;
    int removed_room;
};

#define GAPSET_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0, NULL, 0, 0                                                                     \
    }

void gapset_release(struct gapset *set);

/* Index of the range that holds seq, -1 if none. */
int gapset_find(const struct gapset *set, int64_t seq);

/* Appends gap, which lies above all others; joins it to the last one if they touch and agree. */
FX_MUST_CHECK enum fx_code gapset_open(struct gapset *set, const struct gap *gap,
                                       struct fx_err *err);

/* Appends a row of the database as it is. */
FX_MUST_CHECK enum fx_code gapset_load(struct gapset *set, const struct gap *gap,
                                       struct fx_err *err);

/* seq, which lies in range index, is counted now: shrinks, splits or removes the range. */
FX_MUST_CHECK enum fx_code gapset_take(struct gapset *set, int index, int64_t seq,
                                       struct fx_err *err);

/* seq, which lies in range index, stays uncounted for another cause. */
FX_MUST_CHECK enum fx_code gapset_mark(struct gapset *set, int index, const struct gap *one,
                                       struct fx_err *err);

/* The database holds exactly this set now. */
void gapset_stored(struct gapset *set);

/* How many numbers are not counted. */
int64_t gapset_sum(const struct gapset *set);

const char *gap_cause_name(enum gap_cause cause);

/* GAP_CAUSE_COUNT if text is no cause. */
enum gap_cause gap_cause_parse(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_state - what take.c (what an event does) and take_time.c (when it counts, and which day its
 * number belongs to) share. Private to them.
 */
#ifndef FX_TAKE_STATE_H
#define FX_TAKE_STATE_H

#include "../common/text.h"
#include "pipeline_state.h"

/* One message on its way through the rules. */
struct taking {
    struct pipeline *pipeline;
    struct part *part;
    const struct intake_message *message;
    struct kind_state *kind;
    struct event event;
    int64_t append_ms;
    int64_t counted_ms;
    int entry; /* index in the ledger */
    int region;
    char detail[96];
};

/* The clock is too far ahead of the append time, or before this kind was ever counted. */
bool take_has_wrong_clock(const struct taking *taking, int64_t occurred_ms);

/* Numbers above the run's highest are about to be met: they belong to the day of instant_ms. */
void take_day(struct taking *taking, int64_t instant_ms);

/* The same for the event's own number, if it is above all others of its run. */
void take_date_number(struct taking *taking);

/* Where in time an event that is no reversal counts; is_corrected: not when it says. */
void take_decide_time(struct taking *taking, bool *is_corrected);

/* The event that a reversal undoes, and when it counted if not when it says. */
struct mark take_reversed(const struct taking *taking);

/* Where in time the reversal counts; false: nowhere (detail says why). */
bool take_decide_reversal(struct taking *taking, const struct mark *undone);

/* Notes what the figures alone would not tell: whom the event undoes, or that it counts at another
 * time. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code take_mark(struct taking *taking, bool is_corrected, struct fx_err *err);

/* A reversal is refused for its time only as long as its original counted when it says: the next
 * flush checks that. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code take_mark_refused(struct taking *taking, struct fx_err *err);

static inline void take_set_detail(struct taking *taking, const char *text)
{
    text_copy(taking->detail, sizeof taking->detail, text);
}

#endif

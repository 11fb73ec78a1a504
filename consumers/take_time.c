/* SPDX-License-Identifier: Apache-2.0 */
/* take_time - when an event counts, and which day its number belongs to. See pipeline.h. */
#include "take_state.h"

#include "../common/day.h"

#include <string.h>

#define CLOCK_AHEAD_MAX_MS INT64_C(600000)
#define REVERSAL_AHEAD_MAX_MS DAY_MS

bool take_has_wrong_clock(const struct taking *taking, int64_t occurred_ms)
{
    return occurred_ms > taking->append_ms + CLOCK_AHEAD_MAX_MS ||
           occurred_ms < taking->kind->not_before_ms;
}

void take_day(struct taking *taking, int64_t instant_ms)
{
    struct pipeline *pipeline = taking->pipeline;
    struct ledger_day closed;
    if (!ledger_date(pipeline->ledger, taking->entry, instant_ms, &closed))
        return;
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    pipeline->days[pipeline->day_count++] =
        (struct flush_day){entry->topic, entry->source, entry->run, closed, entry->high};
}

/* The event's number, if it is above all others of its run, gets its day; so do those left out
 * before it. A reversal is a copy of an older event and does not tell when it was numbered: it is
 * of the run's newest day, if there is one. */
void take_date_number(struct taking *taking)
{
    struct pipeline *pipeline = taking->pipeline;
    const struct decoded *fields = &taking->event.fields;
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    int64_t instant_ms = fields->numbers[ENVELOPE_OCCURRED_AT];
    bool is_reversal = fields->numbers[ENVELOPE_SIGN] < 0;
    if (taking->event.seq <= entry->high || (is_reversal && entry->day.end_ms != LEDGER_NO_DAY))
        return;
    if (is_reversal || take_has_wrong_clock(taking, instant_ms))
        instant_ms = taking->append_ms;
    take_day(taking, instant_ms);
}

/* The event of this number, for a look among the marks. */
static struct mark mark_of(const struct taking *taking, int64_t run, int64_t seq)
{
    struct mark one = {.topic = (uint16_t)taking->message->topic, .run = run, .seq = seq};
    memcpy(one.source, taking->event.source.bytes, taking->event.source.size);
    one.counted_ms = MARK_AS_SAID;
    return one;
}

/* The event that a reversal undoes, and when it counted if not when it says. */
struct mark take_reversed(const struct taking *taking)
{
    const struct decoded *fields = &taking->event.fields;
    struct mark one = mark_of(taking, fields->numbers[ENVELOPE_REVERSES_RUN],
                              fields->numbers[ENVELOPE_REVERSES_SEQ]);
    const struct mark *corrected = mark_set_find(&taking->pipeline->marks.corrected, &one);
    one.by_run = taking->event.run;
    one.by_seq = taking->event.seq;
    if (corrected != NULL)
        one.counted_ms = corrected->counted_ms;
    return one;
}

/* Where in time the reversal counts; false: nowhere (detail says why). */
bool take_decide_reversal(struct taking *taking, const struct mark *undone)
{
    const struct decoded *fields = &taking->event.fields;
    if (undone->counted_ms != MARK_AS_SAID)
        taking->counted_ms = undone->counted_ms;
    else if (!fields->is_null[ENVELOPE_COUNTED_AT])
        taking->counted_ms = fields->numbers[ENVELOPE_COUNTED_AT];
    else
        taking->counted_ms = fields->numbers[ENVELOPE_OCCURRED_AT];
    take_set_detail(taking, "a reversal of a time in which nothing can have been counted");
    return taking->counted_ms >= taking->kind->not_before_ms - DAY_MS &&
           taking->counted_ms <= taking->append_ms + REVERSAL_AHEAD_MAX_MS;
}

/* Where in time the event counts. One that was reversed before it came counts where its reversal
 * did, whatever its clock. */
void take_decide_time(struct taking *taking, bool *is_corrected)
{
    int64_t occurred_ms = taking->event.fields.numbers[ENVELOPE_OCCURRED_AT];
    taking->counted_ms = occurred_ms;
    *is_corrected = false;
    if (!take_has_wrong_clock(taking, occurred_ms))
        return;
    struct mark one = mark_of(taking, taking->event.run, taking->event.seq);
    const struct mark *reversed = mark_set_find(&taking->pipeline->marks.reversed, &one);
    *is_corrected = reversed == NULL;
    taking->counted_ms = reversed == NULL ? taking->append_ms : reversed->undone_ms;
}

/* Notes what the figures alone would not tell: whom it undoes, or that it counts at another time.
 */
enum fx_code take_mark(struct taking *taking, bool is_corrected, struct fx_err *err)
{
    struct marks *marks = &taking->pipeline->marks;
    if (taking->event.fields.numbers[ENVELOPE_SIGN] < 0) {
        struct mark undone = take_reversed(taking);
        undone.undone_ms = taking->counted_ms;
        return mark_set_add(&marks->reversed, &undone, err);
    }
    if (!is_corrected)
        return FX_OK;
    struct mark corrected = mark_of(taking, taking->event.run, taking->event.seq);
    corrected.counted_ms = taking->counted_ms;
    return mark_set_add(&marks->corrected, &corrected, err);
}

/* A reversal is refused for its time only as long as its original counted when it says. */
enum fx_code take_mark_refused(struct taking *taking, struct fx_err *err)
{
    struct marks *marks = &taking->pipeline->marks;
    struct mark undone = take_reversed(taking);
    if (undone.counted_ms != MARK_AS_SAID || mark_set_find(&marks->uncorrected, &undone) != NULL)
        return FX_OK;
    return mark_set_add(&marks->uncorrected, &undone, err);
}

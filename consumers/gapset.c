/* SPDX-License-Identifier: Apache-2.0 */
#include "gapset.h"

#include <stdlib.h>
#include <string.h>

void gapset_release(struct gapset *set)
{
    free(set->gaps);
    free(set->removed);
    *set = (struct gapset)GAPSET_INIT;
}

/* First range whose last is >= seq. */
static int lower_bound(const struct gapset *set, int64_t seq)
{
    int low = 0;
    int high = set->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (set->gaps[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int gapset_find(const struct gapset *set, int64_t seq)
{
    int index = lower_bound(set, seq);
    return index < set->count && set->gaps[index].first <= seq ? index : -1;
}

/* Rows that one change can touch: the range itself and, on joining, one on either side. */
#define TOUCHED_MAX 3

/* Room for `more` ranges and all removed rows, so that what follows cannot fail half-way. */
static enum fx_code reserve(struct gapset *set, int more, struct fx_err *err)
{
    if (set->count + more > set->room) {
        int room = set->room < 4 ? 4 : set->room * 2;
        struct gap *gaps = realloc(set->gaps, (size_t)room * sizeof *gaps);
        if (gaps == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d gaps", room);
        set->gaps = gaps;
        set->room = room;
    }
    if (set->removed_count + TOUCHED_MAX > set->removed_room) {
        int room = set->removed_room < 4 ? 4 : set->removed_room * 2;
        int64_t *removed = realloc(set->removed, (size_t)room * sizeof *removed);
        if (removed == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d removed gaps", room);
        set->removed = removed;
        set->removed_room = room;
    }
    return FX_OK;
}

/* The range at index is about to change: its row, if there is one, must go. */
static void touch(struct gapset *set, int index)
{
    struct gap *gap = &set->gaps[index];
    if (gap->is_stored)
        set->removed[set->removed_count++] = gap->first;
    gap->is_stored = false;
}

/* Replaces the range at index by count others, count 0 to 3. Room is reserved. */
static void replace(struct gapset *set, int index, const struct gap *with, int count)
{
    touch(set, index);
    memmove(&set->gaps[index + count], &set->gaps[index + 1],
            (size_t)(set->count - index - 1) * sizeof *with);
    if (count > 0)
        memcpy(&set->gaps[index], with, (size_t)count * sizeof *with);
    set->count += count - 1;
}

enum fx_code gapset_open(struct gapset *set, const struct gap *gap, struct fx_err *err)
{
    fx_assert(gap->first <= gap->last);
    fx_assert(set->count == 0 || set->gaps[set->count - 1].last < gap->first);
    if (reserve(set, 1, err) != FX_OK)
        return err->code;
    struct gap *tail = set->count == 0 ? NULL : &set->gaps[set->count - 1];
    if (tail != NULL && tail->last == gap->first - 1 && tail->cause == gap->cause) {
        touch(set, set->count - 1);
        tail->last = gap->last;
        return FX_OK;
    }
    set->gaps[set->count] = *gap;
    set->gaps[set->count++].is_stored = false;
    return FX_OK;
}

enum fx_code gapset_load(struct gapset *set, const struct gap *gap, struct fx_err *err)
{
    fx_assert(set->count == 0 || set->gaps[set->count - 1].last < gap->first);
    if (reserve(set, 1, err) != FX_OK)
        return err->code;
    set->gaps[set->count] = *gap;
    set->gaps[set->count++].is_stored = true;
    return FX_OK;
}

/* The parts of gap below and above seq, at to; returns how many. */
static int parts_around(const struct gap *gap, int64_t seq, const struct gap *middle,
                        struct gap to[3])
{
    int count = 0;
    if (gap->first < seq) {
        to[count] = *gap;
        to[count++].last = seq - 1;
    }
    if (middle != NULL)
        to[count++] = *middle;
    if (seq < gap->last) {
        to[count] = *gap;
        to[count++].first = seq + 1;
    }
    for (int i = 0; i < count; i++)
        to[i].is_stored = false;
    return count;
}

enum fx_code gapset_take(struct gapset *set, int index, int64_t seq, struct fx_err *err)
{
    fx_assert(index >= 0 && index < set->count);
    fx_assert(set->gaps[index].first <= seq && seq <= set->gaps[index].last);
    if (reserve(set, 1, err) != FX_OK)
        return err->code;
    struct gap parts[3];
    int count = parts_around(&set->gaps[index], seq, NULL, parts);
    replace(set, index, parts, count);
    return FX_OK;
}

/* Joins the range at index to the one before it if they touch and agree. Room is reserved. */
static void join_left(struct gapset *set, int index)
{
    if (index < 1 || index >= set->count)
        return;
    struct gap *left = &set->gaps[index - 1];
    const struct gap *right = &set->gaps[index];
    if (left->last != right->first - 1 || left->cause != right->cause)
        return;
    touch(set, index - 1);
    left->last = right->last;
    replace(set, index, NULL, 0);
}

enum fx_code gapset_mark(struct gapset *set, int index, const struct gap *one, struct fx_err *err)
{
    fx_assert(index >= 0 && index < set->count && one->first == one->last);
    if (set->gaps[index].cause == one->cause)
        return FX_OK;
    if (reserve(set, 2, err) != FX_OK)
        return err->code;
    struct gap parts[3];
    int count = parts_around(&set->gaps[index], one->first, one, parts);
    int at = set->gaps[index].first < one->first ? index + 1 : index;
    replace(set, index, parts, count);
    join_left(set, at + 1);
    join_left(set, at);
    return FX_OK;
}

void gapset_stored(struct gapset *set)
{
    for (int i = 0; i < set->count; i++)
        set->gaps[i].is_stored = true;
    set->removed_count = 0;
}

int64_t gapset_sum(const struct gapset *set)
{
    int64_t sum = 0;
    for (int i = 0; i < set->count; i++)
        sum += set->gaps[i].last - set->gaps[i].first + 1;
    return sum;
}

static const char *const cause_names[] = {"missing", "rejected", "written_off", "before_base"};
_Static_assert(sizeof cause_names / sizeof cause_names[0] == GAP_CAUSE_COUNT, "a name per cause");

const char *gap_cause_name(enum gap_cause cause)
{
    fx_assert(cause < GAP_CAUSE_COUNT);
    return cause_names[cause];
}

enum gap_cause gap_cause_parse(const char *text)
{
    int cause = 0;
    while (cause < GAP_CAUSE_COUNT && strcmp(text, cause_names[cause]) != 0)
        cause++;
    return (enum gap_cause)cause;
}

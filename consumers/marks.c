/* SPDX-License-Identifier: Apache-2.0 */
#include "marks.h"

#include "../common/hash.h"

#include <stdlib.h>
#include <string.h>

void mark_set_init(struct mark_set *set, uint64_t seed)
{
    memset(set, 0, sizeof *set);
    set->seed = seed;
}

void mark_set_release(struct mark_set *set)
{
    free(set->items);
    free(set->index);
    mark_set_init(set, set->seed);
}

void mark_set_reset(struct mark_set *set)
{
    set->count = set->stored_count = 0;
    if (set->index_count > 0)
        memset(set->index, 0, set->index_count * sizeof *set->index);
}

static bool is_same(const struct mark *a, const struct mark *b)
{
    return a->seq == b->seq && a->run == b->run && a->topic == b->topic &&
           strcmp(a->source, b->source) == 0;
}

static uint32_t find_place(const struct mark_set *set, const struct mark *one)
{
    uint32_t mask = set->index_count - 1;
    uint64_t hash = hash_u64((uint64_t)one->seq, set->seed ^ one->topic);
    hash = hash_u64((uint64_t)one->run, hash);
    uint32_t place = (uint32_t)hash_bytes(one->source, strlen(one->source), hash) & mask;
    while (set->index[place] != 0 && !is_same(&set->items[set->index[place] - 1], one))
        place = (place + 1) & mask;
    return place;
}

const struct mark *mark_set_find(const struct mark_set *set, const struct mark *one)
{
    if (set->index_count == 0)
        return NULL;
    uint32_t found = set->index[find_place(set, one)];
    return found == 0 ? NULL : &set->items[found - 1];
}

static enum fx_code grow(struct mark_set *set, struct fx_err *err)
{
    int room = set->room == 0 ? 16 : set->room * 2;
    struct mark *items = realloc(set->items, (size_t)room * sizeof *items);
    if (items != NULL)
        set->items = items;
    uint32_t *index = calloc((size_t)room * 4, sizeof *index);
    if (items == NULL || index == NULL) {
        free(index);
        return fx_err_set(err, FX_EMEMORY, "no memory for %d marks", room);
    }
    free(set->index);
    set->index = index;
    set->index_count = (uint32_t)room * 4;
    set->room = room;
    for (int i = 0; i < set->count; i++)
        index[find_place(set, &set->items[i])] = (uint32_t)i + 1;
    return FX_OK;
}

enum fx_code mark_set_add(struct mark_set *set, const struct mark *one, struct fx_err *err)
{
    if (set->count == set->room && grow(set, err) != FX_OK)
        return err->code;
    uint32_t place = find_place(set, one);
    fx_assert(set->index[place] == 0);
    set->items[set->count++] = *one;
    set->index[place] = (uint32_t)set->count;
    return FX_OK;
}

void mark_set_sent(struct mark_set *set)
{
    set->stored_count = set->count;
}

void mark_set_forget(struct mark_set *set, int kept)
{
    if (set->stored_count <= kept)
        return;
    set->count -= set->stored_count;
    memmove(set->items, set->items + set->stored_count, (size_t)set->count * sizeof *set->items);
    set->stored_count = 0;
    memset(set->index, 0, set->index_count * sizeof *set->index);
    for (int i = 0; i < set->count; i++)
        set->index[find_place(set, &set->items[i])] = (uint32_t)i + 1;
}

void marks_init(struct marks *marks, uint64_t seed)
{
    mark_set_init(&marks->reversed, seed);
    mark_set_init(&marks->corrected, seed);
    mark_set_init(&marks->uncorrected, seed);
}

void marks_release(struct marks *marks)
{
    mark_set_release(&marks->reversed);
    mark_set_release(&marks->corrected);
    mark_set_release(&marks->uncorrected);
}

void marks_reset(struct marks *marks)
{
    mark_set_reset(&marks->reversed);
    mark_set_reset(&marks->corrected);
    mark_set_reset(&marks->uncorrected);
}

int marks_unsent(const struct marks *marks)
{
    return marks->reversed.count - marks->reversed.stored_count + marks->corrected.count -
           marks->corrected.stored_count + marks->uncorrected.count;
}

void marks_sent(struct marks *marks)
{
    mark_set_sent(&marks->reversed);
    mark_set_sent(&marks->corrected);
    mark_set_reset(&marks->uncorrected);
}

void marks_forget(struct marks *marks, int kept)
{
    mark_set_forget(&marks->reversed, kept);
    mark_set_forget(&marks->corrected, kept);
}

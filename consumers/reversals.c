/* SPDX-License-Identifier: Apache-2.0 */
#include "reversals.h"

#include "../common/hash.h"

#include <stdlib.h>
#include <string.h>

void reversals_init(struct reversals *set, uint64_t seed)
{
    memset(set, 0, sizeof *set);
    set->seed = seed;
}

void reversals_release(struct reversals *set)
{
    free(set->items);
    free(set->index);
    reversals_init(set, set->seed);
}

void reversals_reset(struct reversals *set)
{
    set->count = set->stored_count = 0;
    if (set->index_count > 0)
        memset(set->index, 0, set->index_count * sizeof *set->index);
}

static bool is_same(const struct reversal *a, const struct reversal *b)
{
    return a->reversed_seq == b->reversed_seq && a->reversed_run == b->reversed_run &&
           a->topic == b->topic && strcmp(a->source, b->source) == 0;
}

static uint32_t find_place(const struct reversals *set, const struct reversal *one)
{
    uint32_t mask = set->index_count - 1;
    uint64_t hash = hash_u64((uint64_t)one->reversed_seq, set->seed ^ one->topic);
    hash = hash_u64((uint64_t)one->reversed_run, hash);
    uint32_t place = (uint32_t)hash_bytes(one->source, strlen(one->source), hash) & mask;
    while (set->index[place] != 0 && !is_same(&set->items[set->index[place] - 1], one))
        place = (place + 1) & mask;
    return place;
}

const struct reversal *reversals_find(const struct reversals *set, const struct reversal *one)
{
    if (set->index_count == 0)
        return NULL;
    uint32_t found = set->index[find_place(set, one)];
    return found == 0 ? NULL : &set->items[found - 1];
}

static enum fx_code grow(struct reversals *set, struct fx_err *err)
{
    int room = set->room == 0 ? 16 : set->room * 2;
    struct reversal *items = realloc(set->items, (size_t)room * sizeof *items);
    if (items != NULL)
        set->items = items;
    uint32_t *index = calloc((size_t)room * 4, sizeof *index);
    if (items == NULL || index == NULL) {
        free(index);
        return fx_err_set(err, FX_EMEMORY, "no memory for %d reversals", room);
    }
    free(set->index);
    set->index = index;
    set->index_count = (uint32_t)room * 4;
    set->room = room;
    for (int i = 0; i < set->count; i++)
        index[find_place(set, &set->items[i])] = (uint32_t)i + 1;
    return FX_OK;
}

enum fx_code reversals_add(struct reversals *set, const struct reversal *one, struct fx_err *err)
{
    if (set->count == set->room && grow(set, err) != FX_OK)
        return err->code;
    uint32_t place = find_place(set, one);
    fx_assert(set->index[place] == 0);
    fx_assert(!one->is_stored || set->stored_count == set->count);
    set->stored_count += one->is_stored;
    set->items[set->count++] = *one;
    set->index[place] = (uint32_t)set->count;
    return FX_OK;
}

void reversals_sent(struct reversals *set)
{
    for (int i = set->stored_count; i < set->count; i++)
        set->items[i].is_stored = true;
    set->stored_count = set->count;
}

void reversals_forget(struct reversals *set, int kept)
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

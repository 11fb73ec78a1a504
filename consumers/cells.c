/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include "../common/hash.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MIN 256
#define ROOM_KEPT 1024 /* cells; so many are never given back */
#define ROOM_SPARE 8   /* times what is needed is too much */
#define LAST_SLOTS 4

struct cells {
    const struct rollup *rollup;
    uint64_t seed;
    size_t cell_size;
    size_t bytes_max;
    uint8_t *bytes; /* count cells, one behind the other */
    int count;
    int room;
    int needed;           /* the most at a reset, an eighth less with each one since */
    uint32_t *index;      /* cell + 1, 0: free */
    uint32_t index_count; /* a power of two, at least twice room */
    int slot_count;
    int *column_slots; /* first slot of each column */
    int64_t *empty;    /* slots of a new cell */
};

static int slots_of(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_LAST ? LAST_SLOTS : 1;
}

/* Where each column begins, and what a cell holds before any event. */
static enum fx_code lay_out(struct cells *cells, struct fx_err *err)
{
    const struct rollup *rollup = cells->rollup;
    cells->column_slots = calloc((size_t)rollup->column_count, sizeof *cells->column_slots);
    cells->empty = calloc((size_t)rollup->column_count * LAST_SLOTS, sizeof *cells->empty);
    cells->index = calloc(INDEX_MIN, sizeof *cells->index);
    if (cells->column_slots == NULL || cells->empty == NULL || cells->index == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for cells of %s", rollup->name);
    for (int i = 0; i < rollup->column_count; i++) {
        enum aggregate aggregate = rollup->columns[i].aggregate;
        bool is_delta = aggregate == AGGREGATE_COUNT || aggregate == AGGREGATE_SUM;
        cells->column_slots[i] = cells->slot_count;
        cells->empty[cells->slot_count] = is_delta ? 0 : CELL_NONE;
        cells->slot_count += slots_of(&rollup->columns[i]);
    }
    cells->cell_size = sizeof(struct cell) + (size_t)cells->slot_count * sizeof(int64_t);
    cells->index_count = INDEX_MIN;
    return FX_OK;
}

enum fx_code cells_open(const struct rollup *rollup, size_t bytes_max, uint64_t seed,
                        struct cells **cells, struct fx_err *err)
{
    struct cells *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for cells of %s", rollup->name);
    fresh->rollup = rollup;
    fresh->seed = seed;
    fresh->bytes_max = bytes_max;
    if (lay_out(fresh, err) != FX_OK) {
        cells_close(fresh);
        return err->code;
    }
    *cells = fresh;
    return FX_OK;
}

void cells_close(struct cells *cells)
{
    if (cells == NULL)
        return;
    free(cells->bytes);
    free(cells->index);
    free(cells->column_slots);
    free(cells->empty);
    free(cells);
}

/* Back to what cells_open made, to grow anew; without memory for that all is kept. */
static void give_back(struct cells *cells)
{
    uint32_t *index = calloc(INDEX_MIN, sizeof *index);
    if (index == NULL)
        return;
    free(cells->index);
    free(cells->bytes);
    cells->index = index;
    cells->index_count = INDEX_MIN;
    cells->bytes = NULL;
    cells->room = 0;
}

void cells_reset(struct cells *cells)
{
    cells->needed -= cells->needed / 8;
    if (cells->needed < cells->count)
        cells->needed = cells->count;
    if (cells->count > 0)
        memset(cells->index, 0, cells->index_count * sizeof *cells->index);
    cells->count = 0;
    if (cells->room > ROOM_KEPT && cells->needed <= cells->room / ROOM_SPARE)
        give_back(cells);
}

struct cell *cells_at(const struct cells *cells, int index)
{
    return (struct cell *)(void *)(cells->bytes + (size_t)index * cells->cell_size);
}

static uint32_t find_place(const struct cells *cells, const struct cell_key *key)
{
    uint32_t mask = cells->index_count - 1;
    uint32_t place = (uint32_t)hash_bytes(key, sizeof *key, cells->seed) & mask;
    for (; cells->index[place] != 0; place = (place + 1) & mask) {
        const struct cell *cell = cells_at(cells, (int)cells->index[place] - 1);
        if (memcmp(&cell->key, key, sizeof *key) == 0)
            break;
    }
    return place;
}

static size_t bytes_for(const struct cells *cells, int room)
{
    return (size_t)room * (cells->cell_size + 4 * sizeof *cells->index);
}

/* The room after the next growth; room itself: there is none. */
static int next_room(const struct cells *cells, int room)
{
    if (room == 0)
        return INDEX_MIN / 4;
    bool has_next = room <= INT_MAX / 8 && bytes_for(cells, room * 2) <= cells->bytes_max;
    return has_next ? room * 2 : room;
}

int64_t cells_room(const struct cells *cells)
{
    int room = cells->room;
    for (int next = next_room(cells, room); next > room; next = next_room(cells, room))
        room = next;
    return room - cells->count;
}

static enum fx_code grow(struct cells *cells, struct fx_err *err)
{
    int room = next_room(cells, cells->room);
    if (room == cells->room)
        return fx_err_set(err, FX_EFULL, "cells of %s are full", cells->rollup->name);
    uint8_t *bytes = realloc(cells->bytes, (size_t)room * cells->cell_size);
    if (bytes == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d cells of %s", room,
                          cells->rollup->name);
    cells->bytes = bytes;
    uint32_t index_count = (uint32_t)room * 4;
    uint32_t *index = calloc(index_count, sizeof *index);
    if (index == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d cells of %s", room,
                          cells->rollup->name);
    free(cells->index);
    cells->index = index;
    cells->index_count = index_count;
    cells->room = room;
    for (int i = 0; i < cells->count; i++)
        index[find_place(cells, &cells_at(cells, i)->key)] = (uint32_t)i + 1;
    return FX_OK;
}

enum fx_code cells_find(struct cells *cells, const struct cell_key *key, struct cell **cell,
                        struct fx_err *err)
{
    uint32_t place = find_place(cells, key);
    if (cells->index[place] == 0) {
        if (cells->count == cells->room) {
            if (grow(cells, err) != FX_OK)
                return err->code;
            place = find_place(cells, key);
        }
        struct cell *fresh = cells_at(cells, cells->count);
        fresh->key = *key;
        memcpy(fresh->slots, cells->empty, (size_t)cells->slot_count * sizeof(int64_t));
        cells->index[place] = (uint32_t)++cells->count;
    }
    *cell = cells_at(cells, (int)cells->index[place] - 1);
    return FX_OK;
}

int cells_count(const struct cells *cells)
{
    return cells->count;
}

int cells_slot(const struct cells *cells, int column)
{
    return cells->column_slots[column];
}

/* Whether a's (counted ms, run, seq) comes after b's. */
static bool is_newer(const int64_t *a, const int64_t *b)
{
    for (int i = 1; i < LAST_SLOTS; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return false;
}

void cells_merge(const struct cells *cells, struct cell *to, const struct cell *from)
{
    for (int i = 0; i < cells->rollup->column_count; i++) {
        int64_t *a = &to->slots[cells->column_slots[i]];
        const int64_t *b = &from->slots[cells->column_slots[i]];
        switch (cells->rollup->columns[i].aggregate) {
        case AGGREGATE_COUNT:
        case AGGREGATE_SUM:
            *a += *b;
            break;
        case AGGREGATE_MIN:
            if (*b != CELL_NONE && (*a == CELL_NONE || *b < *a))
                *a = *b;
            break;
        case AGGREGATE_MAX:
            if (*b != CELL_NONE && (*a == CELL_NONE || *b > *a))
                *a = *b;
            break;
        case AGGREGATE_LAST:
            if (*b != CELL_NONE && (*a == CELL_NONE || is_newer(b, a)))
                memcpy(a, b, LAST_SLOTS * sizeof *a);
            break;
        }
    }
}

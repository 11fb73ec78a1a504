/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "../common/hash.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536
#define SLOTS_MIN 256

struct block {
    struct block *next;
    size_t used;
    char bytes[BLOCK_SIZE];
};

struct names {
    uint64_t seed;
    uint32_t *slots;     /* id + 1, 0: free */
    uint32_t slot_count; /* a power of two, at least twice count */
    const char **texts;
    uint8_t *sizes;
    uint32_t count;
    uint32_t room;
    struct block *blocks; /* texts live here and never move */
};

enum fx_code names_open(uint64_t seed, struct names **names, struct fx_err *err)
{
    struct names *fresh = calloc(1, sizeof *fresh);
    if (fresh != NULL)
        fresh->slots = calloc(SLOTS_MIN, sizeof *fresh->slots);
    if (fresh == NULL || fresh->slots == NULL) {
        free(fresh);
        return fx_err_set(err, FX_EMEMORY, "no memory for a name table");
    }
    fresh->seed = seed;
    fresh->slot_count = SLOTS_MIN;
    *names = fresh;
    return FX_OK;
}

void names_reset(struct names *names)
{
    while (names->blocks != NULL) {
        struct block *block = names->blocks;
        names->blocks = block->next;
        free(block);
    }
    names->count = 0;
    memset(names->slots, 0, names->slot_count * sizeof *names->slots);
}

void names_close(struct names *names)
{
    if (names == NULL)
        return;
    names_reset(names);
    free(names->slots);
    free(names->texts);
    free(names->sizes);
    free(names);
}

static uint32_t find_slot(const struct names *names, const char *bytes, size_t size)
{
    uint32_t mask = names->slot_count - 1;
    uint32_t slot = (uint32_t)hash_bytes(bytes, size, names->seed) & mask;
    while (names->slots[slot] != 0) {
        uint32_t id = names->slots[slot] - 1;
        if (names->sizes[id] == size && memcmp(names->texts[id], bytes, size) == 0)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static enum fx_code grow_slots(struct names *names, struct fx_err *err)
{
    uint32_t *old = names->slots;
    uint32_t *fresh = calloc((size_t)names->slot_count * 2, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %u names", names->count);
    names->slots = fresh;
    names->slot_count *= 2;
    for (uint32_t id = 0; id < names->count; id++)
        names->slots[find_slot(names, names->texts[id], names->sizes[id])] = id + 1;
    free(old);
    return FX_OK;
}

static enum fx_code grow_ids(struct names *names, struct fx_err *err)
{
    uint32_t room = names->room == 0 ? 64 : names->room * 2;
    const char **texts = realloc(names->texts, room * sizeof *texts);
    if (texts != NULL)
        names->texts = texts;
    uint8_t *sizes = realloc(names->sizes, room);
    if (sizes != NULL)
        names->sizes = sizes;
    if (texts == NULL || sizes == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %u names", room);
    names->room = room;
    return FX_OK;
}

/* A terminated copy of bytes; NULL when there is no memory. */
static const char *keep(struct names *names, const char *bytes, size_t size)
{
    struct block *block = names->blocks;
    if (block == NULL || BLOCK_SIZE - block->used < size + 1) {
        block = malloc(sizeof *block);
        if (block == NULL)
            return NULL;
        block->used = 0;
        block->next = names->blocks;
        names->blocks = block;
    }
    char *text = block->bytes + block->used;
    memcpy(text, bytes, size);
    text[size] = '\0';
    block->used += size + 1;
    return text;
}

enum fx_code names_intern(struct names *names, const char *bytes, size_t size, uint32_t *id,
                          struct fx_err *err)
{
    fx_assert(size < 256);
    uint32_t slot = find_slot(names, bytes, size);
    if (names->slots[slot] != 0) {
        *id = names->slots[slot] - 1;
        return FX_OK;
    }
    if (names->count == NAMES_MAX)
        return fx_err_set(err, FX_EFULL, "more than %u names", NAMES_MAX);
    if (names->count == names->room && grow_ids(names, err) != FX_OK)
        return err->code;
    if ((names->count + 1) * 2 > names->slot_count) {
        if (grow_slots(names, err) != FX_OK)
            return err->code;
        slot = find_slot(names, bytes, size);
    }
    const char *text = keep(names, bytes, size);
    if (text == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a name");
    names->texts[names->count] = text;
    names->sizes[names->count] = (uint8_t)size;
    names->slots[slot] = ++names->count;
    *id = names->count - 1;
    return FX_OK;
}

const char *names_text(const struct names *names, uint32_t id)
{
    fx_assert(id < names->count);
    return names->texts[id];
}

uint32_t names_count(const struct names *names)
{
    return names->count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "../common/err.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

/* What a guarded call was given. What it gives back is freed when it ends, not before: freed once,
 * however it ends. */
struct guard {
    bool is_on;
    void **given;
    void **returned; /* as much room as given: giving back never fails */
    size_t given_count;
    size_t returned_count;
    size_t room;
    jmp_buf escape;
};

static _Thread_local struct guard guard;
static _Thread_local bool is_memory_short;

/* As they were before ours, such as a test's that fail. */
static json_malloc_t allocate_inner = malloc;
static json_free_t release_inner = free;

static bool make_room(void)
{
    size_t room = guard.room == 0 ? ROOM_FIRST : guard.room * 2;
    void **given = realloc(guard.given, room * sizeof *given);
    if (given != NULL)
        guard.given = given;
    void **returned = realloc(guard.returned, room * sizeof *returned);
    if (returned != NULL)
        guard.returned = returned;
    if (given == NULL || returned == NULL)
        return false;
    guard.room = room;
    return true;
}

static void *allocate(size_t size)
{
    void *memory = NULL;
    if (!guard.is_on || guard.given_count < guard.room || make_room())
        memory = allocate_inner(size);
    if (memory == NULL)
        is_memory_short = true;
    if (memory == NULL && guard.is_on)
        longjmp(guard.escape, 1);
    if (guard.is_on)
        guard.given[guard.given_count++] = memory;
    return memory;
}

static void release(void *memory)
{
    if (!guard.is_on) {
        release_inner(memory);
    } else if (memory != NULL) {
        fx_assert(guard.returned_count < guard.given_count);
        guard.returned[guard.returned_count++] = memory;
    }
}

void guard_watch(void)
{
    json_malloc_t current = NULL;
    json_free_t current_release = NULL;
    json_get_alloc_funcs(&current, &current_release);
    if (current != allocate) {
        allocate_inner = current;
        release_inner = current_release;
        json_set_alloc_funcs(allocate, release);
    }
    is_memory_short = false;
}

bool guard_was_short(void)
{
    return is_memory_short;
}

static void free_all(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        release_inner(blocks[i]);
}

void guard_call(void (*call)(void *context), void *context)
{
    fx_assert(!guard.is_on);
    guard_watch();
    guard.is_on = true;
    if (setjmp(guard.escape) == 0) {
        call(context);
        free_all(guard.returned, guard.returned_count);
    } else {
        free_all(guard.given, guard.given_count);
    }
    free(guard.given);
    free(guard.returned);
    memset(&guard, 0, sizeof guard);
}

struct loading {
    const char *text;
    size_t size;
    size_t flags;
    json_error_t *failed;
    json_t *root;
};

static void load(void *context)
{
    struct loading *loading = context;
    loading->root = json_loadb(loading->text, loading->size, loading->flags, loading->failed);
}

json_t *guard_load(const char *text, size_t size, size_t flags, json_error_t *failed)
{
    struct loading loading = {text, size, flags, failed, NULL};
    guard_call(load, &loading);
    return loading.root;
}

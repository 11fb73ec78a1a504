/* SPDX-License-Identifier: Apache-2.0 */
/* sim_alloc - memory that fails. The linker sends production's calls here (--wrap); the sim's own
 * code is compiled to call the real functions. */
#include "sim.h"

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
    if (sim.running < 0 || sim.alloc_every == 0 || ++sim.alloc_count % sim.alloc_every != 0)
        return false;
    sim.events[SIM_failed_allocations]++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

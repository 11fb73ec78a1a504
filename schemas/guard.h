/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - jansson's parser, when memory is short.
 *
 * jansson 2.14's lexer takes no notice when its buffer could not grow: a text loses a byte, or, if
 * that byte was its closing quote, is read and written past its end; in a number it aborts. So a
 * parse is given up as a whole at the first allocation that fails: the allocator leaves it by a
 * jump, and all it was given is freed.
 *
 * Leads jansson's allocations of the whole program, from the first call on and for good: putting
 * others back would race with other threads. Each thread has its own guard; guards do not nest.
 */
#ifndef FX_GUARD_H
#define FX_GUARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* From here on guard_was_short tells whether jansson had no memory, on this thread. */
void guard_watch(void);
bool guard_was_short(void);

/*
 * Watches, and calls call(context), which may parse with jansson. It is left in the middle if
 * memory is short (guard_was_short): it may hold nothing then that jansson's memory is not.
 */
void guard_call(void (*call)(void *context), void *context);

/* json_loadb; failed may be NULL. Watches; NULL with guard_was_short: memory was short, and *failed
 * says nothing. */
json_t *guard_load(const char *text, size_t size, size_t flags, json_error_t *failed);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_make - messages made up by schema: whole events, and changes that know where fields lie.
 *
 * Both need fuzz_open (fuzz_check.h). What they make is a function of the dice alone.
 */
#ifndef FX_FUZZ_MAKE_H
#define FX_FUZZ_MAKE_H

#include "fuzz_check.h"

/* A random message, most often one that counts. Returns its size. */
size_t fuzz_make(struct dice *dice, uint8_t bytes[static FUZZ_ROOM]);

/* Changes one thing of a message of this size, within room bytes; returns the new size. */
size_t fuzz_change(struct dice *dice, uint8_t *bytes, size_t size, size_t room);

#endif

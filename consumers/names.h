/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - short strings as small numbers.
 *
 * Pure. An id is good until names_reset. Texts are terminated and keep their address.
 * Limit: NAMES_MAX strings of at most 255 bytes.
 */
#ifndef FX_NAMES_H
#define FX_NAMES_H

#include "../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define NAMES_MAX (1u << 22)

struct names;

FX_MUST_CHECK enum fx_code names_open(uint64_t seed, struct names **names, struct fx_err *err);
void names_close(struct names *names);

/* Forgets all strings and gives most memory back. */
void names_reset(struct names *names);

/* The id of bytes, new if unknown. FX_EMEMORY, FX_EFULL: nothing changed. */
FX_MUST_CHECK enum fx_code names_intern(struct names *names, const char *bytes, size_t size,
                                        uint32_t *id, struct fx_err *err);

const char *names_text(const struct names *names, uint32_t id);
uint32_t names_count(const struct names *names);

#endif

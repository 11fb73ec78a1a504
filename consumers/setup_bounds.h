/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_bounds - what the fields of a schema may hold, as text that can be stored and compared.
 *
 * A line per field: name, type, min, max, max_length and symbols, apart by a space; then
 * "(not_before)" and the sums in the same form. Pure.
 */
#ifndef FX_SETUP_BOUNDS_H
#define FX_SETUP_BOUNDS_H

#include "../common/buf.h"
#include "../schemas/schema.h"

void bounds_append(struct buf *out, const struct schema *schema);

/* FX_ECONFIG: events that were valid by was might not be so, or might mean something else, by is.
 * err names the first such field. */
FX_MUST_CHECK enum fx_code bounds_compare(const char *was, const char *is, struct fx_err *err);

#endif

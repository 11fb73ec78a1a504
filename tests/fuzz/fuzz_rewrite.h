/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rewrite - a loaded rollup as the text of a definition: plain columns, without each.
 *
 * The last condition of a column is written as a within of one edge where its field has the same
 * comparison already, since an object cannot hold it twice.
 */
#ifndef FX_FUZZ_REWRITE_H
#define FX_FUZZ_REWRITE_H

#include "../unit/fake_base.h"

#include "../../schemas/rolldef.h"

/* The caller frees it. */
char *fuzz_rewrite(const struct schema *schema, const struct rollup *rollup);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rolldef_derived - the "derived" columns of a rollup's views, and which of them make stocks. The
 * header is private to rolldef.c.
 */
#ifndef FX_ROLLDEF_DERIVED_H
#define FX_ROLLDEF_DERIVED_H

#include "rolldef.h"

#include <jansson.h>

/* Fills derived from the list entries (NULL: none). Also on error rollup may be released. */
FX_MUST_CHECK enum fx_code derived_parse(const json_t *entries, struct rollup *rollup,
                                         struct fx_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canonical - Avro's Parsing Canonical Form of a schema that schema_parse accepted.
 *
 * Fullnames, the keys name, type, fields, symbols in this order, nothing else, no white space
 * (Avro 1.11 specification, "Transforming into Parsing Canonical Form"). Strings need no escapes:
 * names are ASCII by then. Arrays, maps and fixed have no place here: the loader refuses them.
 */
#ifndef FX_CANONICAL_H
#define FX_CANONICAL_H

#include "../common/buf.h"

#include <jansson.h>

/* Appends the canonical form of record; check with buf_check. */
void canonical_append(struct buf *out, const json_t *record);

#endif

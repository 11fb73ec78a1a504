/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_parse - one N.avsc as JSON -> struct schema. Private to schema.c.
 *
 * schema_check - what one schema, and the versions of one kind together, have to hold.
 */
#ifndef FX_SCHEMA_PARSE_H
#define FX_SCHEMA_PARSE_H

#include "schema.h"

#include <jansson.h>

/*
 * Fills fields, sums, doc and not_before_ms of schema from root. Also on error schema holds only
 * what schema_release may free. FX_ECONFIG, FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code schema_parse(const json_t *root, const char *kind, struct schema *schema,
                                        struct fx_err *err);
void schema_release(struct schema *schema);

/* The envelope is there, in order; its fields get the envelope's bounds. FX_ECONFIG. */
FX_MUST_CHECK enum fx_code schema_check_envelope(struct schema *schema, struct fx_err *err);

/* The record is the heartbeat, field by field. FX_ECONFIG. */
FX_MUST_CHECK enum fx_code schema_check_heartbeat(struct schema *schema, struct fx_err *err);

/* Every version follows from those before it. FX_ECONFIG names the newer file. */
FX_MUST_CHECK enum fx_code schema_check_versions(const struct kind *kind, struct fx_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rolldef_column - the "columns" of a rollup definition. Private to rolldef.c.
 *
 * An entry of the file becomes one column, or with "each" or "within" several.
 */
#ifndef FX_ROLLDEF_COLUMN_H
#define FX_ROLLDEF_COLUMN_H

#include "rolldef.h"

#include <jansson.h>

/*
 * Appends the columns of the list entries to rollup, whose columns have room for
 * ROLLUP_COLUMNS_MAX. Also on error rollup holds only what column_release may free.
 */
FX_MUST_CHECK enum fx_code columns_parse(const json_t *entries, const struct schema *schema,
                                         struct rollup *rollup, struct fx_err *err);
void column_release(struct rollup_column *column);

/* Appends the conditions of where (an object, or NULL: none) to column. */
FX_MUST_CHECK enum fx_code conditions_parse(const json_t *where, const struct schema *schema,
                                            struct rollup_column *column, struct fx_err *err);

/* Appends field <= edge. */
FX_MUST_CHECK enum fx_code condition_add_edge(int field, int64_t edge, struct rollup_column *column,
                                              struct fx_err *err);

/*
 * Index of the field called name: one of the kind's own, or of the envelope source or region.
 * FX_ECONFIG with a hint.
 */
FX_MUST_CHECK enum fx_code rolldef_find_field(const struct schema *schema, const char *name,
                                              int *index, struct fx_err *err);

/* An int or long that is no time. */
bool rolldef_is_number(const struct field *field);

/* The unit name ends in, with "_max" or "_min" in *extreme ("" if neither); NULL if none. */
const char *rolldef_find_unit(const char *name, const char **extreme);

#endif

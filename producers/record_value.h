/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_value - one value of a line, checked by its field's type and bounds. For record*.c alone.
 */
#ifndef FX_RECORD_VALUE_H
#define FX_RECORD_VALUE_H

#include "flat.h"
#include "record.h"

/* FX_EINPUT. A text of *value lives as long as the one given. */
FX_MUST_CHECK enum fx_code value_read(const struct field *field, const struct flat_value *given,
                                      struct event_value *value, struct record_line *line,
                                      struct fx_err *err);

/* FX_EINPUT: number is not between the field's min and max. */
FX_MUST_CHECK enum fx_code value_check_bounds(const struct field *field, int64_t number,
                                              struct record_line *line, struct fx_err *err);

/* "a text", for messages. */
const char *value_type_name(const struct flat_value *given);

#endif

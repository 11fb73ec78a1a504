/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_event - what the targets that read producers' events compare. */
#ifndef FX_FUZZ_EVENT_H
#define FX_FUZZ_EVENT_H

#include "fuzz_target.h"

#include "../../producers/event.h"

static inline void fuzz_same_value(const struct field *field, const struct event_value *wanted,
                                   const struct event_value *found)
{
    bool is_same = wanted->is_null == found->is_null;
    if (is_same && !wanted->is_null)
        is_same = field->type == FIELD_STRING
                      ? wanted->size == found->size &&
                            memcmp(wanted->text, found->text, (size_t)wanted->size) == 0
                      : wanted->number == found->number;
    if (!is_same)
        fail_msg("field %s is not what it was", field->name);
}

#endif

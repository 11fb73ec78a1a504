/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_audit - rows of a report, written down in a test.
 */
#ifndef FX_FAKE_AUDIT_H
#define FX_FAKE_AUDIT_H

#include "../../consumers/audit_rows.h"
#include "fake_base.h"

/* "kind+n" declares a number, "flag?" a boolean, anything else text. */
static inline void columns(struct audit_rows *rows, const char *names)
{
    char copy[400];
    snprintf(copy, sizeof copy, "%s", names);
    for (char *at = copy, *end; *at != '\0'; at = end) {
        end = at + strcspn(at, " ");
        if (*end != '\0')
            *end++ = '\0';
        char *last = at + strlen(at) - 1;
        enum audit_type type = *last == '+'   ? AUDIT_NUMBER
                               : *last == '?' ? AUDIT_BOOLEAN
                                              : AUDIT_TEXT;
        if (type != AUDIT_TEXT)
            *last = '\0';
        audit_rows_column(rows, at, type);
    }
}

#define ADD(rows, ...)                                                                             \
    do {                                                                                           \
        const char *cells[] = {__VA_ARGS__};                                                       \
        assert_int_equal(sizeof cells / sizeof cells[0], (size_t)(rows)->column_count);            \
        assert_ok(audit_rows_add(rows, cells, &err));                                              \
    } while (0)

#endif

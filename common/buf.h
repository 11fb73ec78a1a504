/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - the one growable run of bytes.
 *
 * A failed allocation is remembered in is_failed and later appends do nothing, so a caller may
 * append many times and check once with buf_check. data may move at any append.
 */
#ifndef FX_BUF_H
#define FX_BUF_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data;  /* NULL until something is appended */
    size_t size;    /* bytes used */
    size_t room;    /* bytes allocated */
    bool is_failed; /* an allocation failed; the content is not whole */
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0, false                                                                          \
    }

void buf_reset(struct buf *buf);   /* empty, memory kept */
void buf_release(struct buf *buf); /* empty, memory given back */

/* Room for size more bytes at the end; NULL when there is no memory. Does not count them used. */
uint8_t *buf_reserve(struct buf *buf, size_t size);
void buf_append(struct buf *buf, const void *bytes, size_t size);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_format(struct buf *buf, const char *format, ...) FX_PRINTF(2, 3);

/* The content as a C string, borrowed until the next append. "" when empty or failed: it asks for
 * no memory, so what buf_check has passed is whole. */
const char *buf_text(struct buf *buf);

/* FX_EMEMORY if any append since the last reset had no memory. */
FX_MUST_CHECK enum fx_code buf_check(const struct buf *buf, struct fx_err *err);

#endif

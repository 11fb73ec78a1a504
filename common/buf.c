/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_reset(struct buf *buf)
{
    buf->size = 0;
    buf->is_failed = false;
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf)BUF_INIT;
}

uint8_t *buf_reserve(struct buf *buf, size_t size)
{
    if (buf->is_failed)
        return NULL;
    if (buf->room - buf->size > size)
        return buf->data + buf->size;
    size_t room = buf->room < 64 ? 64 : buf->room;
    while (room - buf->size <= size) /* one more: the end of buf_text */
        room *= 2;
    uint8_t *data = realloc(buf->data, room);
    if (data == NULL) {
        buf->is_failed = true;
        return NULL;
    }
    buf->data = data;
    buf->room = room;
    return data + buf->size;
}

void buf_append(struct buf *buf, const void *bytes, size_t size)
{
    uint8_t *to = size == 0 ? NULL : buf_reserve(buf, size);
    if (to == NULL)
        return;
    memcpy(to, bytes, size);
    buf->size += size;
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    buf_append(buf, &byte, 1);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_append_format(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) /* memory for a wide field, of all that could fail here */
        buf->is_failed = true;
    if (length < 0 || buf_reserve(buf, (size_t)length) == NULL)
        return;
    va_start(args, format);
    vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, args);
    va_end(args);
    buf->size += (size_t)length;
}

const char *buf_text(struct buf *buf)
{
    if (buf->data == NULL || buf->is_failed)
        return "";
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}

enum fx_code buf_check(const struct buf *buf, struct fx_err *err)
{
    return buf->is_failed ? fx_err_set(err, FX_EMEMORY, "no memory for a buffer") : FX_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void lines_init(struct lines *lines, size_t chunk)
{
    *lines = (struct lines){.buf = BUF_INIT, .chunk = chunk};
}

void lines_release(struct lines *lines)
{
    buf_release(&lines->buf);
}

void lines_reset(struct lines *lines)
{
    buf_reset(&lines->buf);
    lines->at = 0;
    lines->is_skipping = false;
}

static void compact(struct lines *lines)
{
    if (lines->at == 0)
        return;
    memmove(lines->buf.data, lines->buf.data + lines->at, lines->buf.size - lines->at);
    lines->buf.size -= lines->at;
    lines->at = 0;
}

enum fx_code lines_read(struct lines *lines, int file, long *count, struct fx_err *err)
{
    compact(lines);
    uint8_t *room = buf_reserve(&lines->buf, lines->chunk);
    if (room == NULL) {
        lines->buf.is_failed = false; /* nothing is lost: it may be tried again */
        return fx_err_set(err, FX_EMEMORY, "no memory for input");
    }
    ssize_t got = read(file, room, lines->chunk);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return fx_err_set(err, FX_EDISK, "read input: %s", strerror(errno));
    if (got > 0)
        lines->buf.size += (size_t)got;
    *count = got < 0 ? -1 : (long)got;
    return FX_OK;
}

/* Drops the rest of a line that is too long, as far as it was read. */
static bool skip(struct lines *lines)
{
    const uint8_t *begin = lines->buf.data + lines->at;
    const uint8_t *end = memchr(begin, '\n', lines->buf.size - lines->at);
    size_t size = end != NULL ? (size_t)(end - begin) + 1 : lines->buf.size - lines->at;
    lines->at += size;
    lines->taken += (int64_t)size;
    lines->is_skipping = end == NULL;
    return !lines->is_skipping;
}

enum lines_found lines_next(struct lines *lines, const char **text, size_t *size)
{
    size_t left = lines->buf.size - lines->at;
    if (left == 0 || (lines->is_skipping && !skip(lines)))
        return LINES_NONE;
    left = lines->buf.size - lines->at;
    const uint8_t *begin = lines->buf.data + lines->at;
    const uint8_t *end = left == 0 ? NULL : memchr(begin, '\n', left);
    size_t length = end != NULL ? (size_t)(end - begin) : left;
    if (length > LINES_MAX) {
        lines->is_skipping = true;
        skip(lines);
        return LINES_TOO_LONG;
    }
    if (end == NULL)
        return LINES_NONE;
    *text = (const char *)begin;
    *size = length;
    lines->at += length + 1;
    lines->taken += (int64_t)length + 1;
    return LINES_LINE;
}

enum lines_found lines_last(struct lines *lines, const char **text, size_t *size)
{
    size_t left = lines->buf.size - lines->at;
    if (left == 0 || lines->is_skipping)
        return LINES_NONE;
    *text = (const char *)lines->buf.data + lines->at;
    *size = left;
    lines->at += left;
    lines->taken += (int64_t)left;
    return LINES_LINE;
}

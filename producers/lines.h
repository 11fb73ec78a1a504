/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines - cuts a stream of bytes into lines, in bounded memory.
 *
 * A line longer than LINES_MAX is told once as LINES_TOO_LONG and skipped up to its newline.
 */
#ifndef FX_LINES_H
#define FX_LINES_H

#include "../common/buf.h"
#include "record.h"

#define LINES_MAX RECORD_LINE_MAX

enum lines_found { LINES_NONE, LINES_LINE, LINES_TOO_LONG };

struct lines {
    struct buf buf;   /* what was read and not yet given back; at most LINES_MAX + chunk bytes */
    size_t at;        /* begin of the next line in it */
    size_t chunk;     /* bytes to read at once */
    bool is_skipping; /* within a line that is too long */
    int64_t taken;    /* bytes given back as lines, newlines and skipped ones included */
};

void lines_init(struct lines *lines, size_t chunk);
void lines_release(struct lines *lines);
void lines_reset(struct lines *lines); /* forget what was read; memory kept */

/*
 * Reads once from file. *count: bytes, 0 at its end, -1 if there is nothing at present.
 * FX_EDISK: read failed. FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code lines_read(struct lines *lines, int file, long *count,
                                      struct fx_err *err);

/* The next whole line without its newline, borrowed until the next lines_read. */
enum lines_found lines_next(struct lines *lines, const char **text, size_t *size);

/* What stands behind the last newline, when the stream is at its end. */
enum lines_found lines_last(struct lines *lines, const char **text, size_t *size);

#endif

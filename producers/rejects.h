/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rejects - the file of refused lines, --rejects.
 *
 *   {"line":12,"field":"vehicle","reason":"…","text":"…"}
 *
 * rejects_sync brings all of them to the disk; a station calls it before the commit that moves its
 * position past them, so none is lost. A batch that is taken again after a crash or on a full disk
 * appends its refused lines again: at least once. Where a full disk cut a line short, the next one
 * begins on a line of its own. The file is only ever appended to, so stations may share it.
 */
#ifndef FX_REJECTS_H
#define FX_REJECTS_H

#include "../common/buf.h"

struct rejects {
    int file;       /* -1: not kept */
    struct buf out; /* not written yet */
    bool is_dirty;  /* written, but not known to be on the disk */
    bool is_torn;   /* the last line in the file may have no end */
    int failed;     /* errno of a write since the last rejects_sync, 0: none */
};

/* Appends to path; NULL: keeps nothing. FX_EDISK. */
FX_MUST_CHECK enum fx_code rejects_open(struct rejects *rejects, const char *path,
                                        struct fx_err *err);

struct reject {
    int64_t line;      /* its number in the input */
    const char *field; /* "": the line as a whole */
    const char *reason;
    const char *text;
    size_t size; /* of text */
};
void rejects_add(struct rejects *rejects, const struct reject *reject);

/* FX_EDISK: not all is on the disk. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code rejects_sync(struct rejects *rejects, struct fx_err *err);

/* Forgets what is not written and what failed: the batch is given up. */
void rejects_drop(struct rejects *rejects);

void rejects_close(struct rejects *rejects);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow - the lines of a file that grows, across rotations.
 *
 * A line without its newline is not taken. When another file appears under the path, the old one
 * is finished first, and left when the other one has its first bytes: its writer has gone over to
 * it then. If files were rotated more than once meanwhile, the old one is BASE.3, say, and BASE.2
 * and BASE.1 come before the path (logrotate; newsyslog counts down to 0). Under other names, with
 * dates or packed, what may be in between is not read, but named in the log: follow_skipped.
 *
 * A position is believed only if the last line in front of it still has its checksum, at opening
 * and whenever more is read: in a file that was truncated, whatever its size is by then
 * (copytruncate), reading begins again at 0. A position within a line that is too long is known as
 * such, and that line is told once whatever crashes. If the file of a position was rotated away
 * while nobody followed, it is looked for by its inode in the same directory; if it is gone, but
 * the file under the path holds the same line at the same place, that one is taken for a copy of
 * it. If there is neither, reading begins at 0 of the path, and the log says so: follow_lost, and
 * follow_skipped for each file beside it, since which of them were taken is not known.
 *
 * Limits: two writers, of which one is still in the old file when the other one has gone over. What
 * is written between the last look and a truncation. Lines that do not differ, by a time or an id:
 * a file of them that was truncated or replaced looks as before.
 *
 * Whoever writes the file need not sync it: follow_sync does, before a position becomes durable
 * that a power cut would otherwise leave behind the file's end, where nothing believes it. Nor need
 * whoever rotates it: a name that a power cut takes back would take the position's file along.
 */
#ifndef FX_FOLLOW_H
#define FX_FOLLOW_H

#include "lines.h"
#include "outbox.h"

struct follow {
    const char *path; /* borrowed */
    int file;         /* -1: not there at present */
    struct lines lines;
    struct outbox_position at;
    bool is_stale;       /* the file is missing */
    bool is_at_end;      /* all that is written was read */
    bool is_name_synced; /* of the file at hand */
};

/* Opens path at position. FX_EDISK: it is there but cannot be read, or cannot be looked for;
 * FX_EMEMORY. */
FX_MUST_CHECK enum fx_code follow_open(struct follow *follow, const char *path,
                                       const struct outbox_position *position, struct fx_err *err);

/* The next line; LINES_NONE: none at present. Moves at behind it. FX_EDISK, FX_EMEMORY: call again.
 */
FX_MUST_CHECK enum fx_code follow_next(struct follow *follow, enum lines_found *found,
                                       const char **text, size_t *size, struct fx_err *err);

/* Brings what was read of the file at hand, and its name, to the disk. FX_EDISK. */
FX_MUST_CHECK enum fx_code follow_sync(struct follow *follow, struct fx_err *err);

void follow_close(struct follow *follow);

#endif

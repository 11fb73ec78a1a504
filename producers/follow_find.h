/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow_find - which file the lines of a followed path are in, and whether it still holds them.
 *
 * For follow.c alone. Files are looked for in the directory of the path, by inode; none is changed.
 * Only regular ones are followed.
 */
#ifndef FX_FOLLOW_FIND_H
#define FX_FOLLOW_FIND_H

#include "outbox.h"

#include <sys/stat.h>

#define FIND_DIRECTORY_SIZE 1024

struct found_file {
    int file;           /* -1: there is none; else the caller's to close */
    struct stat status; /* as it was opened */
};

/* The directory of path; false: it has no name that could be one. */
bool find_directory(const char *path, char directory[FIND_DIRECTORY_SIZE]);

/* Opens the file under path. FX_EDISK: it is there, but cannot be opened; FX_EMEMORY; FX_ECONFIG:
 * it is no file that could be followed. */
FX_MUST_CHECK enum fx_code find_path(const char *path, struct found_file *found,
                                     struct fx_err *err);

/* Does file hold, in front of the position, the line that was taken last? FX_EDISK: it cannot be
 * read, which says neither yes nor no. */
FX_MUST_CHECK enum fx_code find_believes(int file, const struct outbox_position *at,
                                         bool *is_believed, struct fx_err *err);

/*
 * Opens the file of the position, renamed perhaps; if there is none any more, the one under the
 * path, where that is a copy: it holds the last line at the same place. FX_EDISK, FX_EMEMORY: it
 * cannot be looked for, which does not mean that it is gone: its lines would be taken twice.
 */
FX_MUST_CHECK enum fx_code find_position(const char *path, const struct outbox_position *at,
                                         struct found_file *found, struct fx_err *err);

/*
 * Opens the file in which the lines go on behind the finished one. If that is called BASE.K by now,
 * BASE the path's own name, it is BASE.(K-1), unless there is none or it was written earlier; else
 * it is the path, and find_skipped tells what may be in between. next->file is -1 if there is none
 * at present. FX_EDISK, FX_EMEMORY, FX_ECONFIG as above.
 */
FX_MUST_CHECK enum fx_code find_next(const char *path, const struct stat *finished,
                                     struct found_file *next, struct fx_err *err);

/*
 * Logs the name of each file BASE.* and BASE-* that was written later than the finished one, but
 * for that of next_inode. They are not read, since one may be a copy or packed, but nobody shall
 * lose lines without being told.
 */
void find_skipped(const char *path, const struct stat *finished, int64_t next_inode);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "follow_find.h"

#include "../common/log.h"
#include "../schemas/wire.h"
#include "lines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE 256
#define TRIES 2 /* a file that is renamed while the directory is read may be missed */

bool find_directory(const char *path, char directory[FIND_DIRECTORY_SIZE])
{
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? snprintf(directory, FIND_DIRECTORY_SIZE, ".")
                               : snprintf(directory, FIND_DIRECTORY_SIZE, "%.*s",
                                          (int)(slash - path + 1), path);
    return length > 0 && length < FIND_DIRECTORY_SIZE;
}

/* What errno says of a call: a file that is not there, or no longer, is no error. */
static enum fx_code judge(const char *name, struct fx_err *err)
{
    if (errno == ENOENT)
        return FX_OK;
    return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_EDISK, "%s: %s", name,
                      strerror(errno));
}

static void drop(struct found_file *found)
{
    if (found->file >= 0)
        close(found->file);
    found->file = -1;
}

/* A FIFO is not waited for: it would be until somebody writes to it. */
static enum fx_code open_at(int directory, const char *name, struct found_file *found,
                            struct fx_err *err)
{
    found->file = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (found->file < 0)
        return judge(name, err);
    if (fstat(found->file, &found->status) == 0)
        return FX_OK;
    fx_err_set(err, FX_EDISK, "%s: %s", name, strerror(errno));
    drop(found);
    return err->code;
}

enum fx_code find_path(const char *path, struct found_file *found, struct fx_err *err)
{
    if (open_at(AT_FDCWD, path, found, err) != FX_OK || found->file < 0 ||
        S_ISREG(found->status.st_mode))
        return err->code;
    drop(found);
    return fx_err_set(err, FX_ECONFIG, "%s is no file that could be followed", path);
}

/* ---- the file of a position ---- */

/* By its inode alone: the number of a device is another one after a reboot or a mount (btrfs, NFS,
 * overlay). Where that is some other file, the checksum says so. */
static bool is_file_of(const struct stat *status, const struct outbox_position *at)
{
    return (int64_t)status->st_ino == at->inode;
}

/* Opens name if it is the file of the position. */
static enum fx_code open_own(int directory, const char *name, const struct outbox_position *at,
                             struct found_file *found, struct fx_err *err)
{
    struct stat status;
    found->file = -1;
    if (fstatat(directory, name, &status, 0) != 0)
        return judge(name, err);
    if (is_file_of(&status, at) && open_at(directory, name, found, err) == FX_OK &&
        found->file >= 0 && !is_file_of(&found->status, at))
        drop(found);
    return err->code;
}

static enum fx_code open_directory(const char *path, DIR **entries, struct fx_err *err)
{
    char directory[FIND_DIRECTORY_SIZE];
    *entries = NULL;
    if (!find_directory(path, directory))
        return FX_OK;
    *entries = opendir(directory);
    return *entries == NULL ? judge(directory, err) : FX_OK;
}

/* The name that the file of inode has in the directory; "": none. */
static enum fx_code find_name(DIR *entries, int64_t inode, char name[NAME_SIZE], struct fx_err *err)
{
    const struct dirent *entry;
    name[0] = '\0';
    rewinddir(entries);
    for (errno = 0; (entry = readdir(entries)) != NULL; errno = 0)
        if ((int64_t)entry->d_ino == inode) {
            snprintf(name, NAME_SIZE, "%s", entry->d_name);
            return FX_OK;
        }
    return errno == 0 ? FX_OK : judge("a followed file's directory", err);
}

enum fx_code find_believes(int file, const struct outbox_position *at, bool *is_believed,
                           struct fx_err *err)
{
    uint8_t bytes[LINES_MAX + 1];
    struct stat status;
    *is_believed = false;
    if (fstat(file, &status) != 0)
        return fx_err_set(err, FX_EDISK, "read input: %s", strerror(errno));
    if (status.st_size < at->offset)
        return FX_OK;
    if (at->line_size < 1 || at->line_size > (int64_t)sizeof bytes) {
        *is_believed = true; /* at or within a line too long to be taken: no checksum was kept */
        return FX_OK;
    }
    ssize_t got = pread(file, bytes, (size_t)at->line_size, at->offset - at->line_size);
    if (got < 0)
        return fx_err_set(err, FX_EDISK, "read input: %s", strerror(errno));
    *is_believed = got == at->line_size &&
                   wire_fingerprint((const char *)bytes, (size_t)got) == (uint64_t)at->crc;
    return FX_OK;
}

/* The file under the path, if it holds the last line where the position says: one that was copied
 * back. A position without a line is in any file. */
static enum fx_code find_copy(const char *path, const struct outbox_position *at,
                              struct found_file *found, struct fx_err *err)
{
    bool is_copy = false;
    if (at->line_size < 1 || find_path(path, found, err) != FX_OK || found->file < 0)
        return err->code;
    enum fx_code code = find_believes(found->file, at, &is_copy, err);
    if (!is_copy)
        drop(found);
    else
        fx_log(FX_LOG_WARN, "follow_copied", "offset=%lld effect=goes_on", (long long)at->offset);
    return code;
}

enum fx_code find_position(const char *path, const struct outbox_position *at,
                           struct found_file *found, struct fx_err *err)
{
    DIR *entries;
    char name[NAME_SIZE];
    enum fx_code code = open_own(AT_FDCWD, path, at, found, err);
    if (code != FX_OK || found->file >= 0)
        return code;
    code = open_directory(path, &entries, err);
    for (int i = 0; code == FX_OK && entries != NULL && found->file < 0 && i < TRIES; i++) {
        code = find_name(entries, at->inode, name, err);
        if (code == FX_OK && name[0] != '\0')
            code = open_own(dirfd(entries), name, at, found, err);
    }
    if (entries != NULL)
        closedir(entries);
    return code == FX_OK && found->file < 0 ? find_copy(path, at, found, err) : code;
}

/* ---- the file behind a finished one ---- */

#define NO_NUMBER (-1)

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* K of BASE.K, which logrotate counts from 1 on and newsyslog from 0 on. */
static long number_of(const char *name, const char *base)
{
    size_t length = strlen(base);
    if (strncmp(name, base, length) != 0 || name[length] != '.')
        return NO_NUMBER;
    const char *digits = name + length + 1;
    size_t count = strspn(digits, "0123456789");
    return count > 0 && count < 10 && digits[count] == '\0' ? strtol(digits, NULL, 10) : NO_NUMBER;
}

static bool is_later(const struct stat *one, const struct stat *other)
{
    const struct timespec *a = &one->st_mtim;
    const struct timespec *b = &other->st_mtim;
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Opens name, which should come behind the finished file. One that was written earlier does not:
 * the numbers are days then, or somebody's own. */
static enum fx_code open_numbered(DIR *entries, const char *name, const struct stat *finished,
                                  struct found_file *next, struct fx_err *err)
{
    if (open_at(dirfd(entries), name, next, err) != FX_OK || next->file < 0)
        return err->code;
    if (!S_ISREG(next->status.st_mode) || is_later(finished, &next->status))
        drop(next);
    return FX_OK;
}

static bool is_named_like(const char *name, const char *base)
{
    size_t length = strlen(base);
    return strncmp(name, base, length) == 0 && (name[length] == '.' || name[length] == '-');
}

void find_skipped(const char *path, const struct stat *finished, int64_t next_inode)
{
    char directory[FIND_DIRECTORY_SIZE];
    char quoted[FX_ERR_TEXT_MAX];
    const struct dirent *entry;
    struct stat status;
    DIR *entries = find_directory(path, directory) ? opendir(directory) : NULL;
    if (entries == NULL) {
        fx_log(FX_LOG_ERROR, "follow_unsearched", "effect=files_between_are_not_named");
        return;
    }
    while ((entry = readdir(entries)) != NULL)
        if (is_named_like(entry->d_name, base_of(path)) &&
            fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_size > 0 && status.st_ino != finished->st_ino &&
            (int64_t)status.st_ino != next_inode && is_later(&status, finished))
            fx_log(FX_LOG_ERROR, "follow_skipped", "name=%s effect=not_read",
                   fx_log_quote(quoted, sizeof quoted, entry->d_name));
    closedir(entries);
}

/* Has the file that was called name another one now, since files were rotated once more? */
static bool is_renamed(DIR *entries, const char *name, const struct stat *finished)
{
    struct stat status;
    return name[0] != '\0' &&
           (fstatat(dirfd(entries), name, &status, 0) != 0 || status.st_ino != finished->st_ino);
}

static enum fx_code find_behind(DIR *entries, const char *path, const struct stat *finished,
                                struct found_file *next, struct fx_err *err)
{
    char name[NAME_SIZE];
    char before[NAME_SIZE + 16];
    if (find_name(entries, (int64_t)finished->st_ino, name, err) != FX_OK)
        return err->code;
    long number = number_of(name, base_of(path));
    snprintf(before, sizeof before, "%s.%ld", base_of(path), number - 1);
    if (number > 0 && open_numbered(entries, before, finished, next, err) != FX_OK)
        return err->code;
    bool is_path = next->file < 0;
    if (is_path && find_path(path, next, err) != FX_OK)
        return err->code;
    if (is_renamed(entries, name, finished))
        drop(next);
    else if (is_path && next->file >= 0 && number != 0 && number != 1)
        find_skipped(path, finished, (int64_t)next->status.st_ino);
    return FX_OK;
}

/* A directory that may be searched, but not read, is no error of the disk. */
static bool may_read(const char *directory)
{
    return faccessat(AT_FDCWD, directory, R_OK, AT_EACCESS) == 0 || errno != EACCES;
}

enum fx_code find_next(const char *path, const struct stat *finished, struct found_file *next,
                       struct fx_err *err)
{
    char directory[FIND_DIRECTORY_SIZE];
    DIR *entries = NULL;
    next->file = -1;
    if (find_directory(path, directory) && may_read(directory) &&
        open_directory(path, &entries, err) != FX_OK)
        return err->code;
    enum fx_code code = FX_OK;
    if (entries != NULL) {
        code = find_behind(entries, path, finished, next, err);
        closedir(entries);
    } else {
        code = find_path(path, next, err);
        if (next->file >= 0)
            find_skipped(path, finished, (int64_t)next->status.st_ino);
    }
    return code;
}

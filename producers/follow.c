/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include "../common/log.h"
#include "../schemas/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define DIRECTORY_SIZE 1024
#define FOLLOW_WITHIN (-1) /* line_size: offset lies within a line that was told as too long */

static bool is_file_of(const struct stat *status, const struct outbox_position *at)
{
    return (int64_t)status->st_ino == at->inode && (int64_t)status->st_dev == at->device;
}

/* Does the file still hold, in front of the position, the line that was taken last? */
static bool is_believable(int file, const struct outbox_position *at)
{
    uint8_t bytes[LINES_MAX + 1];
    struct stat status;
    if (at->offset == 0)
        return true;
    if (fstat(file, &status) != 0 || status.st_size < at->offset)
        return false;
    if (at->line_size < 1 || at->line_size > (int64_t)sizeof bytes)
        return true; /* at or within a line too long to be taken: no checksum was kept */
    ssize_t got = pread(file, bytes, (size_t)at->line_size, at->offset - at->line_size);
    return got == at->line_size &&
           wire_fingerprint((const char *)bytes, (size_t)got) == (uint64_t)at->crc;
}

static void restart_at(struct follow *follow, const struct stat *status)
{
    int64_t lines = follow->at.lines;
    follow->at = (struct outbox_position){
        .device = (int64_t)status->st_dev, .inode = (int64_t)status->st_ino, .lines = lines};
    lines_reset(&follow->lines);
}

/* The file under the path, from its begin. A missing one is no error. */
static enum fx_code open_path(struct follow *follow, struct fx_err *err)
{
    struct stat status;
    follow->file = open(follow->path, O_RDONLY | O_CLOEXEC);
    follow->is_name_synced = false;
    follow->is_stale = follow->file < 0;
    if (follow->file < 0 && errno != ENOENT)
        return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    if (follow->file < 0)
        return FX_OK;
    if (fstat(follow->file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(follow->file);
        follow->file = -1;
        return fx_err_set(err, FX_ECONFIG, "%s is no file that could be followed", follow->path);
    }
    restart_at(follow, &status);
    return FX_OK;
}

/* The directory of path; false: it has no name that could be one. */
static bool name_directory(const struct follow *follow, char directory[DIRECTORY_SIZE])
{
    const char *slash = strrchr(follow->path, '/');
    int length = slash == NULL ? snprintf(directory, DIRECTORY_SIZE, ".")
                               : snprintf(directory, DIRECTORY_SIZE, "%.*s",
                                          (int)(slash - follow->path + 1), follow->path);
    return length > 0 && length < DIRECTORY_SIZE;
}

/* What errno says of a call: a file that is not there, or no longer, is no error. */
static enum fx_code judge(const struct follow *follow, struct fx_err *err)
{
    if (errno == ENOENT)
        return FX_OK;
    return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_EDISK, "%s: %s", follow->path,
                      strerror(errno));
}

/* Keeps what was opened if it is the file of the position. */
static void keep_own(struct follow *follow, int opened)
{
    struct stat status;
    if (fstat(opened, &status) == 0 && is_file_of(&status, &follow->at))
        follow->file = opened;
    else
        close(opened);
}

/* Opens the file of the position, renamed meanwhile, in the directory of path; none if it is gone.
 * That it could not be looked for does not mean that: its lines would be taken twice. */
static enum fx_code find_rotated(struct follow *follow, struct fx_err *err)
{
    char directory[DIRECTORY_SIZE];
    int named = open(follow->path, O_RDONLY | O_CLOEXEC);
    if (named >= 0)
        keep_own(follow, named);
    else if (judge(follow, err) != FX_OK)
        return err->code;
    if (follow->file >= 0 || !name_directory(follow, directory))
        return FX_OK;
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return judge(follow, err);
    enum fx_code code = FX_OK;
    const struct dirent *entry;
    while (code == FX_OK && follow->file < 0 && (entry = readdir(entries)) != NULL) {
        if ((int64_t)entry->d_ino != follow->at.inode)
            continue;
        int opened = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC);
        if (opened >= 0)
            keep_own(follow, opened);
        else
            code = judge(follow, err);
    }
    closedir(entries);
    return code;
}

enum fx_code follow_open(struct follow *follow, const char *path,
                         const struct outbox_position *position, struct fx_err *err)
{
    *follow = (struct follow){.path = path, .file = -1, .at = *position};
    lines_init(&follow->lines, CHUNK);
    if (position->inode == 0)
        return open_path(follow, err);
    if (find_rotated(follow, err) != FX_OK)
        return err->code;
    if (follow->file >= 0 && is_believable(follow->file, position)) {
        follow->lines.is_skipping = position->line_size == FOLLOW_WITHIN;
        if (lseek(follow->file, position->offset, SEEK_SET) == position->offset)
            return FX_OK;
        return fx_err_set(err, FX_EDISK, "%s: %s", path, strerror(errno));
    }
    fx_log(FX_LOG_WARN, "follow_lost", "offset=%lld reason=%s effect=begins_at_0",
           (long long)position->offset, follow->file < 0 ? "file_gone" : "file_rewritten");
    if (follow->file >= 0)
        close(follow->file);
    return open_path(follow, err);
}

/* At the end of what is written: was the file truncated, or another one put in its place? */
static enum fx_code look_around(struct follow *follow, bool *has_changed, struct fx_err *err)
{
    struct stat here;
    struct stat there;
    *has_changed = false;
    if (fstat(follow->file, &here) != 0)
        return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    int64_t read_to = (int64_t)lseek(follow->file, 0, SEEK_CUR);
    if (here.st_size < read_to) {
        fx_log(FX_LOG_WARN, "follow_truncated", "offset=%lld size=%lld", (long long)read_to,
               (long long)here.st_size);
        *has_changed = true;
        restart_at(follow, &here);
        if (lseek(follow->file, 0, SEEK_SET) != 0)
            return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
        return FX_OK;
    }
    follow->is_stale = stat(follow->path, &there) != 0;
    if (follow->is_stale || here.st_size > read_to ||
        (there.st_ino == here.st_ino && there.st_dev == here.st_dev))
        return FX_OK;
    if (follow->lines.buf.size > follow->lines.at)
        fx_log(FX_LOG_WARN, "follow_half_line", "bytes=%zu effect=not_taken",
               follow->lines.buf.size - follow->lines.at);
    fx_log(FX_LOG_INFO, "follow_rotated", "offset=%lld", (long long)read_to);
    close(follow->file);
    follow->file = -1;
    *has_changed = true;
    return open_path(follow, err);
}

static enum fx_code read_more(struct follow *follow, bool *is_worth, struct fx_err *err)
{
    long count = 0;
    *is_worth = false;
    if (follow->file < 0) {
        if (open_path(follow, err) != FX_OK || follow->file < 0)
            return err->code;
    }
    if (lines_read(&follow->lines, follow->file, &count, err) != FX_OK)
        return err->code;
    *is_worth = count > 0;
    return count == 0 ? look_around(follow, is_worth, err) : FX_OK;
}

enum fx_code follow_next(struct follow *follow, enum lines_found *found, const char **text,
                         size_t *size, struct fx_err *err)
{
    int64_t before = follow->lines.taken;
    bool is_worth = true;
    while ((*found = lines_next(&follow->lines, text, size)) == LINES_NONE && is_worth) {
        follow->at.offset += follow->lines.taken - before;
        before = follow->lines.taken;
        if (read_more(follow, &is_worth, err) != FX_OK)
            return err->code;
        before = follow->lines.taken;
    }
    follow->at.offset += follow->lines.taken - before;
    follow->is_at_end = *found == LINES_NONE;
    if (*found == LINES_LINE) {
        follow->at.line_size = (int64_t)*size + 1;
        follow->at.crc = (int64_t)wire_fingerprint(*text, *size + 1);
    } else if (*found == LINES_TOO_LONG || follow->at.line_size == FOLLOW_WITHIN) {
        follow->at.line_size = follow->lines.is_skipping ? FOLLOW_WITHIN : 0;
    }
    if (*found != LINES_NONE)
        follow->at.lines++;
    return FX_OK;
}

/* Some file systems cannot sync, or need not: read-only ones. */
static bool is_synced(int result)
{
    return result == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

enum fx_code follow_sync(struct follow *follow, struct fx_err *err)
{
    if (follow->file < 0)
        return FX_OK;
    if (!is_synced(fdatasync(follow->file)))
        return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    if (follow->is_name_synced)
        return FX_OK;
    char name[DIRECTORY_SIZE];
    int directory = -1; /* one that may not be read cannot be synced either */
    if (name_directory(follow, name))
        directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_failed = directory >= 0 && !is_synced(fsync(directory));
    if (is_failed)
        fx_err_set(err, FX_EDISK, "directory of %s: %s", follow->path, strerror(errno));
    if (directory >= 0)
        close(directory);
    follow->is_name_synced = !is_failed;
    return is_failed ? FX_EDISK : FX_OK;
}

void follow_close(struct follow *follow)
{
    if (follow->file >= 0)
        close(follow->file);
    lines_release(&follow->lines);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include "../common/log.h"
#include "../schemas/wire.h"
#include "follow_find.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define FOLLOW_WITHIN (-1) /* line_size: offset lies within a line that was told as too long */

/* Takes found for the file at hand, from its begin. */
static void begin_in(struct follow *follow, const struct found_file *found)
{
    if (follow->file >= 0)
        close(follow->file);
    follow->file = found->file;
    follow->is_name_synced = false;
    follow->at = (struct outbox_position){.device = (int64_t)found->status.st_dev,
                                          .inode = (int64_t)found->status.st_ino,
                                          .lines = follow->at.lines};
    lines_reset(&follow->lines);
}

/* The file under the path, from its begin. A missing one is no error. */
static enum fx_code open_path(struct follow *follow, struct fx_err *err)
{
    struct found_file found;
    enum fx_code code = find_path(follow->path, &found, err);
    follow->is_stale = found.file < 0;
    if (found.file >= 0)
        begin_in(follow, &found);
    return code;
}

/* Opens the file of the position there, if it is there and to be believed. */
static enum fx_code open_position(struct follow *follow, struct fx_err *err)
{
    struct found_file found;
    bool is_believed = false;
    enum fx_code code = find_position(follow->path, &follow->at, &found, err);
    if (code != FX_OK)
        return code;
    if (found.file >= 0)
        code = find_believes(found.file, &follow->at, &is_believed, err);
    if (code == FX_OK && is_believed &&
        lseek(found.file, follow->at.offset, SEEK_SET) != follow->at.offset)
        code = fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    if (code == FX_OK && is_believed) {
        follow->file = found.file;
        follow->at.device = (int64_t)found.status.st_dev;
        follow->at.inode = (int64_t)found.status.st_ino;
        follow->lines.is_skipping = follow->at.line_size == FOLLOW_WITHIN;
        return FX_OK;
    }
    if (code == FX_OK)
        fx_log(FX_LOG_WARN, "follow_lost", "offset=%lld reason=%s effect=begins_at_0",
               (long long)follow->at.offset, found.file < 0 ? "file_gone" : "file_rewritten");
    if (found.file >= 0)
        close(found.file);
    return code;
}

enum fx_code follow_open(struct follow *follow, const char *path,
                         const struct outbox_position *position, struct fx_err *err)
{
    const struct stat unknown = {0}; /* of a file that is lost: all may be later */
    *follow = (struct follow){.path = path, .file = -1, .at = *position};
    lines_init(&follow->lines, CHUNK);
    if (position->inode == 0)
        return open_path(follow, err);
    if (open_position(follow, err) != FX_OK || follow->file >= 0)
        return err->code;
    if (open_path(follow, err) == FX_OK)
        find_skipped(path, &unknown, follow->at.inode);
    return err->code;
}

/* What was read behind the position: a line without its end. */
static size_t half_size(const struct follow *follow)
{
    return follow->lines.buf.size - follow->lines.at;
}

/* Does the file still hold what was read of it: the last line, and the half one behind it? */
static enum fx_code check_read(const struct follow *follow, bool *has_line, bool *has_all,
                               struct fx_err *err)
{
    size_t half = half_size(follow);
    *has_all = false;
    if (find_believes(follow->file, &follow->at, has_line, err) != FX_OK || !*has_line)
        return err->code;
    *has_all = half == 0;
    if (*has_all)
        return FX_OK;
    const char *text = (const char *)follow->lines.buf.data + follow->lines.at;
    const struct outbox_position behind = {.offset = follow->at.offset + (int64_t)half,
                                           .line_size = (int64_t)half,
                                           .crc = (int64_t)wire_fingerprint(text, half)};
    return find_believes(follow->file, &behind, has_all, err);
}

/* Before more of the file is read: its size alone does not tell of a file that was truncated and
 * has grown beyond the position since. Begins at 0 then; where only the half line was taken back,
 * behind the last whole one. */
static enum fx_code look_back(struct follow *follow, struct fx_err *err)
{
    bool has_line;
    bool has_all;
    if (check_read(follow, &has_line, &has_all, err) != FX_OK || has_all)
        return err->code;
    int64_t begin = has_line ? follow->at.offset : 0;
    if (lseek(follow->file, begin, SEEK_SET) != begin)
        return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    fx_log(FX_LOG_WARN, "follow_truncated", "offset=%lld begins_at=%lld",
           (long long)follow->at.offset, (long long)begin);
    if (!has_line)
        follow->at = (struct outbox_position){
            .device = follow->at.device, .inode = follow->at.inode, .lines = follow->at.lines};
    lines_reset(&follow->lines);
    return FX_OK;
}

/* At the end of what is written: did the writer go over to another file? It has when that one has
 * its first bytes: logrotate makes an empty one and tells the writer afterwards. That is asked
 * before this one's size: whatever was written to it before is seen then. */
static enum fx_code look_around(struct follow *follow, bool *has_changed, struct fx_err *err)
{
    struct stat here;
    struct stat there;
    follow->is_stale = stat(follow->path, &there) != 0;
    if (fstat(follow->file, &here) != 0)
        return fx_err_set(err, FX_EDISK, "%s: %s", follow->path, strerror(errno));
    int64_t read_to = follow->at.offset + (int64_t)half_size(follow);
    if (follow->is_stale || there.st_size == 0 || here.st_size != read_to ||
        (there.st_ino == here.st_ino && there.st_dev == here.st_dev))
        return FX_OK;
    struct found_file next;
    if (find_next(follow->path, &here, &next, err) != FX_OK || next.file < 0)
        return err->code;
    if (half_size(follow) > 0)
        fx_log(FX_LOG_WARN, "follow_half_line", "bytes=%zu effect=not_taken", half_size(follow));
    fx_log(FX_LOG_INFO, "follow_rotated", "offset=%lld", (long long)read_to);
    begin_in(follow, &next);
    *has_changed = true;
    return FX_OK;
}

static enum fx_code read_more(struct follow *follow, bool *is_worth, struct fx_err *err)
{
    long count = 0;
    *is_worth = false;
    if (follow->file < 0) {
        if (open_path(follow, err) != FX_OK || follow->file < 0)
            return err->code;
    }
    if (look_back(follow, err) != FX_OK ||
        lines_read(&follow->lines, follow->file, &count, err) != FX_OK)
        return err->code;
    *is_worth = count > 0;
    return count == 0 ? look_around(follow, is_worth, err) : FX_OK;
}

/* Moves the position behind what was taken since before. */
static void move_on(struct follow *follow, int64_t before)
{
    follow->at.offset += follow->lines.taken - before;
    if (follow->at.line_size == FOLLOW_WITHIN && !follow->lines.is_skipping)
        follow->at.line_size = 0;
}

enum fx_code follow_next(struct follow *follow, enum lines_found *found, const char **text,
                         size_t *size, struct fx_err *err)
{
    int64_t before = follow->lines.taken;
    bool is_worth = true;
    while ((*found = lines_next(&follow->lines, text, size)) == LINES_NONE && is_worth) {
        move_on(follow, before);
        before = follow->lines.taken;
        if (read_more(follow, &is_worth, err) != FX_OK)
            return err->code;
    }
    move_on(follow, before);
    follow->is_at_end = *found == LINES_NONE;
    if (*found == LINES_LINE) {
        follow->at.line_size = (int64_t)*size + 1;
        follow->at.crc = (int64_t)wire_fingerprint(*text, *size + 1);
    } else if (*found == LINES_TOO_LONG) {
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
    char name[FIND_DIRECTORY_SIZE];
    if (!find_directory(follow->path, name))
        return FX_OK;
    int directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* one that may not be read cannot be synced either, nor one that is gone */
    bool is_failed =
        directory >= 0 ? !is_synced(fsync(directory)) : errno != EACCES && errno != ENOENT;
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "rejects.h"

#include "event.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES 65536 /* bounds what waits in memory, to this and one line more */

enum fx_code rejects_open(struct rejects *rejects, const char *path, struct fx_err *err)
{
    *rejects = (struct rejects){.file = -1, .out = BUF_INIT};
    if (path == NULL)
        return FX_OK;
    rejects->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (rejects->file < 0)
        return fx_err_set(err, FX_EDISK, "--rejects %s: %s", path, strerror(errno));
    return FX_OK;
}

/* Writes all that waits, or notes why not. */
static void write_out(struct rejects *rejects)
{
    size_t done = 0;
    while (rejects->failed == 0 && done < rejects->out.size) {
        ssize_t written = write(rejects->file, rejects->out.data + done, rejects->out.size - done);
        if (written > 0)
            done += (size_t)written;
        else if (written == 0 || errno != EINTR)
            rejects->failed = written == 0 ? ENOSPC : errno;
    }
    rejects->is_dirty |= done > 0;
    if (done > 0)
        rejects->is_torn = rejects->out.data[done - 1] != '\n';
    buf_reset(&rejects->out);
}

void rejects_add(struct rejects *rejects, const struct reject *reject)
{
    struct buf *out = &rejects->out;
    if (rejects->file < 0 || rejects->failed != 0)
        return;
    if (rejects->is_torn && out->size == 0)
        buf_append_byte(out, '\n');
    buf_append_format(out, "{\"line\":%" PRId64 ",\"field\":", reject->line);
    event_append_text(out, reject->field, strlen(reject->field));
    buf_append_text(out, ",\"reason\":");
    event_append_text(out, reject->reason, strlen(reject->reason));
    buf_append_text(out, ",\"text\":");
    event_append_text(out, reject->text, reject->size);
    buf_append_text(out, "}\n");
    if (out->size >= WRITE_BYTES && !out->is_failed)
        write_out(rejects);
}

enum fx_code rejects_sync(struct rejects *rejects, struct fx_err *err)
{
    if (rejects->file < 0 || buf_check(&rejects->out, err) != FX_OK)
        return err->code;
    write_out(rejects);
    /* A pipe or a terminal cannot be synced, and need not be. */
    if (rejects->failed == 0 && rejects->is_dirty && fdatasync(rejects->file) != 0 &&
        errno != EINVAL && errno != ENOTSUP && errno != EROFS)
        rejects->failed = errno;
    if (rejects->failed != 0)
        return fx_err_set(err, FX_EDISK, "--rejects: %s", strerror(rejects->failed));
    rejects->is_dirty = false;
    return FX_OK;
}

void rejects_drop(struct rejects *rejects)
{
    buf_reset(&rejects->out);
    rejects->failed = 0;
}

void rejects_close(struct rejects *rejects)
{
    if (rejects->file >= 0)
        close(rejects->file);
    rejects->file = -1;
    buf_release(&rejects->out);
}

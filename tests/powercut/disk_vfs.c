/* SPDX-License-Identifier: Apache-2.0 */
/* disk_vfs - what SQLite calls. Nothing here fails: that is the simulator's part (tests/sim). */
#include "disk_vfs.h"

struct handle {
    sqlite3_file base;
    enum disk_name name;
    bool must_sync_folder; /* as unix' VFS: with the first sync of a file it made */
};

static struct disk_file *file_of(const struct handle *handle)
{
    return &disk_used->now.files[handle->name];
}

static void note(enum disk_op_kind kind, enum disk_name name)
{
    const struct disk_op op = {.kind = kind, .file = name};
    disk_note(disk_used, &op, NULL);
}

static int file_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    return disk_read(&file_of((const struct handle *)base)->bytes, out, size, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    const struct handle *handle = (const struct handle *)base;
    const struct disk_op op = {
        .kind = OP_WRITE, .file = handle->name, .offset = (size_t)offset, .size = (size_t)size};
    disk_note(disk_used, &op, bytes);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    const struct handle *handle = (const struct handle *)base;
    const struct disk_op op = {.kind = OP_TRUNCATE, .file = handle->name, .offset = (size_t)size};
    disk_note(disk_used, &op, NULL);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct handle *handle = (struct handle *)base;
    (void)flags;
    note(OP_SYNC, handle->name);
    if (handle->must_sync_folder)
        note(OP_SYNC_FOLDER, handle->name);
    handle->must_sync_folder = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)file_of((const struct handle *)base)->bytes.size;
    return SQLITE_OK;
}

/* ---- the file system ---- */

static enum disk_name name_of(const char *path)
{
    const char *dash = strrchr(path, '-');
    const char *slash = strrchr(path, '/');
    if (dash == NULL || (slash != NULL && dash < slash))
        return DISK_DATABASE;
    if (strcmp(dash, "-wal") == 0)
        return DISK_WAL;
    assert_string_equal(dash, "-journal");
    return DISK_JOURNAL;
}

static int system_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                       int *flags_out)
{
    static const sqlite3_io_methods methods = {MEMORY_FILE_METHODS,  .xRead = file_read,
                                               .xWrite = file_write, .xTruncate = file_truncate,
                                               .xSync = file_sync,   .xFileSize = file_size};
    struct handle *handle = (struct handle *)base;
    (void)vfs;
    base->pMethods = NULL;
    if (path == NULL)
        return SQLITE_CANTOPEN; /* nothing temporary is to go to a disk */
    handle->name = name_of(path);
    handle->must_sync_folder = (flags & SQLITE_OPEN_CREATE) != 0 &&
                               (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    bool is_there = file_of(handle)->is_there;
    /* The outbox makes the database's file itself, on a real disk; here it is made now. */
    if (!is_there && handle->name != DISK_DATABASE && (flags & SQLITE_OPEN_CREATE) == 0)
        return SQLITE_CANTOPEN;
    if (!is_there)
        note(OP_CREATE, handle->name);
    base->pMethods = &methods;
    if (flags_out != NULL)
        *flags_out = flags;
    return SQLITE_OK;
}

static int system_delete(sqlite3_vfs *vfs, const char *path, int is_synced)
{
    enum disk_name name = name_of(path);
    (void)vfs;
    if (!disk_used->now.files[name].is_there)
        return SQLITE_IOERR_DELETE_NOENT;
    note(OP_DELETE, name);
    if (is_synced)
        note(OP_SYNC_FOLDER, name);
    return SQLITE_OK;
}

/* An empty file counts as none, as with unix' VFS. */
static int system_access(sqlite3_vfs *vfs, const char *path, int flags, int *is_there)
{
    const struct disk_file *file = &disk_used->now.files[name_of(path)];
    (void)vfs;
    *is_there = file->is_there && (flags != SQLITE_ACCESS_EXISTS || file->bytes.size > 0);
    return SQLITE_OK;
}

static int system_random(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        out[i] = (char)dice_below(&disk_used->dice, 256);
    return size;
}

static int system_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2459600.5;
    return SQLITE_OK;
}

void disk_register(void)
{
    static sqlite3_vfs vfs = {.szOsFile = sizeof(struct handle),
                              .mxPathname = DISK_PATH_MAX,
                              .zName = "powercut",
                              .xOpen = system_open,
                              .xDelete = system_delete,
                              .xAccess = system_access,
                              .xRandomness = system_random,
                              .xCurrentTime = system_time};
    memory_system_register(&vfs);
}

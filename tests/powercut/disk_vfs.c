/* SPDX-License-Identifier: Apache-2.0 */
/* disk_vfs - what SQLite calls. Nothing here fails: that is the simulator's part (tests/sim). */
#include "disk_vfs.h"

#include <sqlite3.h>

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

static int file_close(sqlite3_file *base)
{
    (void)base;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    const struct disk_bytes *now = &file_of((const struct handle *)base)->bytes;
    size_t there = (size_t)offset >= now->size ? 0 : now->size - (size_t)offset;
    size_t wanted = (size_t)size;
    if (there > wanted)
        there = wanted;
    if (there > 0)
        memcpy(out, now->data + offset, there);
    memset((uint8_t *)out + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
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

static int file_lock(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *is_reserved)
{
    (void)base;
    *is_reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int what, void *argument)
{
    (void)base;
    (void)what;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096; /* as unix' VFS says */
}

static int file_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as unix' VFS says */
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
    static const sqlite3_io_methods methods = {.iVersion = 1,
                                               .xClose = file_close,
                                               .xRead = file_read,
                                               .xWrite = file_write,
                                               .xTruncate = file_truncate,
                                               .xSync = file_sync,
                                               .xFileSize = file_size,
                                               .xLock = file_lock,
                                               .xUnlock = file_lock,
                                               .xCheckReservedLock = file_is_reserved,
                                               .xFileControl = file_control,
                                               .xSectorSize = file_sector_size,
                                               .xDeviceCharacteristics = file_characteristics};
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

static int system_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static int system_random(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        out[i] = (char)dice_below(&disk_used->dice, 256);
    return size;
}

static int system_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int system_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2459600.5;
    return SQLITE_OK;
}

void disk_register(void)
{
    static sqlite3_vfs vfs = {.iVersion = 1,
                              .szOsFile = sizeof(struct handle),
                              .mxPathname = DISK_PATH_MAX,
                              .zName = "powercut",
                              .xOpen = system_open,
                              .xDelete = system_delete,
                              .xAccess = system_access,
                              .xFullPathname = system_full_path,
                              .xRandomness = system_random,
                              .xSleep = system_sleep,
                              .xCurrentTime = system_time};
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

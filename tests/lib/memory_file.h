/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_file - what disks in memory have in common, as SQLite's file system (VFS): contents that
 * grow, and the calls that a disk which only one process uses answers alike.
 *
 * tests/sim makes calls fail and cuts the power now and then; tests/powercut cuts it behind every
 * call. Each has its own reads, writes, syncs and names on top of this.
 */
#ifndef FX_MEMORY_FILE_H
#define FX_MEMORY_FILE_H

#include "../unit/fake_base.h"

#include <sqlite3.h>

struct disk_bytes {
    uint8_t *data;
    size_t size;
    size_t room;
};

/* What lies between the old end and offset reads as zero. */
static inline void disk_put(struct disk_bytes *to, size_t offset, const void *from, size_t size)
{
    size_t end = offset + size;
    if (size == 0)
        return;
    if (end > to->room) {
        to->room = end * 2 < 65536 ? 65536 : end * 2;
        to->data = realloc(to->data, to->room);
        assert_non_null(to->data);
    }
    if (offset > to->size)
        memset(to->data + to->size, 0, offset - to->size);
    memcpy(to->data + offset, from, size);
    if (to->size < end)
        to->size = end;
}

static inline void disk_copy_bytes(struct disk_bytes *to, const struct disk_bytes *from)
{
    to->size = 0;
    disk_put(to, 0, from->data, from->size);
}

/* xRead: zeros where there is nothing, and SQLite is told. */
static inline int disk_read(const struct disk_bytes *from, void *out, int size, sqlite3_int64 at)
{
    size_t there = (size_t)at >= from->size ? 0 : from->size - (size_t)at;
    size_t wanted = (size_t)size;
    if (there > wanted)
        there = wanted;
    if (there > 0)
        memcpy(out, from->data + at, there);
    memset((uint8_t *)out + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static inline int memory_file_close(sqlite3_file *base)
{
    (void)base;
    return SQLITE_OK;
}

static inline int memory_file_lock(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static inline int memory_file_is_reserved(sqlite3_file *base, int *is_reserved)
{
    (void)base;
    *is_reserved = 0;
    return SQLITE_OK;
}

static inline int memory_file_control(sqlite3_file *base, int what, void *argument)
{
    (void)base;
    (void)what;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static inline int memory_file_sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096; /* as unix' VFS says */
}

static inline int memory_file_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as unix' VFS says */
}

/* Initializers of sqlite3_io_methods: all but xRead, xWrite, xTruncate, xSync and xFileSize. */
#define MEMORY_FILE_METHODS                                                                        \
    .iVersion = 1, .xClose = memory_file_close, .xLock = memory_file_lock,                         \
    .xUnlock = memory_file_lock, .xCheckReservedLock = memory_file_is_reserved,                    \
    .xFileControl = memory_file_control, .xSectorSize = memory_file_sector_size,                   \
    .xDeviceCharacteristics = memory_file_characteristics

static inline int memory_system_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static inline int memory_system_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

/* Makes it SQLite's default; once, before SQLite is used. It wants its name, szOsFile, mxPathname,
 * xOpen, xDelete, xAccess, xRandomness and xCurrentTime. */
static inline void memory_system_register(sqlite3_vfs *vfs)
{
    vfs->iVersion = 1;
    vfs->xFullPathname = memory_system_full_path;
    vfs->xSleep = memory_system_sleep;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(vfs, 1), SQLITE_OK);
}

#endif

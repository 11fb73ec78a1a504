/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_disk.h"

#include "sim_post.h"

#define SECTOR 512

struct handle {
    sqlite3_file base;
    struct disk *disk;
    struct disk_file *file;
};

struct disk disks[DISKS];

/* ---- calls since the last fsync ---- */

static void note(struct disk_file *file, enum disk_op_kind kind, size_t offset, size_t size)
{
    if (file->op_count == file->op_room) {
        file->op_room = file->op_room == 0 ? 64 : file->op_room * 2;
        file->ops = realloc(file->ops, (size_t)file->op_room * sizeof *file->ops);
        assert_non_null(file->ops);
    }
    file->ops[file->op_count++] = (struct disk_op){kind, offset, size, file->pending.size};
}

static void forget_ops(struct disk_file *file)
{
    file->op_count = 0;
    file->pending.size = 0;
}

static void apply(struct disk_file *file, const struct disk_op *op)
{
    if (op->kind == DISK_WRITE)
        disk_put(&file->synced, op->offset, file->pending.data + op->at, op->size);
    else if (op->kind == DISK_TRUNCATE && op->offset < file->synced.size)
        file->synced.size = op->offset;
    else if (op->kind != DISK_TRUNCATE)
        file->synced.size = 0;
    if (op->kind == DISK_CREATE || op->kind == DISK_DELETE)
        file->is_durable = op->kind == DISK_CREATE;
}

/* Some sectors of a write, or its beginning. */
static void tear(struct disk_file *file, const struct disk_op *op)
{
    struct disk_op part = *op;
    sim.events[SIM_torn_writes]++;
    if (dice_chance(&posts.dice, 30)) {
        part.size = (size_t)dice_below(&posts.dice, (int)op->size);
        apply(file, &part);
        return;
    }
    for (size_t done = 0; done < op->size; done += part.size) {
        size_t rest = SECTOR - (op->offset + done) % SECTOR;
        part.offset = op->offset + done;
        part.at = op->at + done;
        part.size = rest < op->size - done ? rest : op->size - done;
        if (dice_chance(&posts.dice, 50))
            apply(file, &part);
    }
}

static bool is_name(const struct disk_op *op)
{
    return op->kind == DISK_CREATE || op->kind == DISK_DELETE;
}

/* The folder was synced: names are as they are. What was written to a new file stays open. */
static void settle_names(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        struct disk_file *file = &disk->files[i];
        int done = 0;
        for (int op = 0; op < file->op_count; op++)
            if (is_name(&file->ops[op]))
                done = op + 1;
        if (done == 0)
            continue; /* there may be no memory for calls yet */
        apply(file, &file->ops[done - 1]);
        file->op_count -= done;
        memmove(file->ops, file->ops + done, (size_t)file->op_count * sizeof *file->ops);
    }
}

/* What the disk has of the calls since the last fsync; percent of them are whole. */
static void settle(struct disk_file *file, int percent)
{
    for (int i = 0; i < file->op_count; i++) {
        const struct disk_op *op = &file->ops[i];
        if (dice_chance(&posts.dice, percent))
            apply(file, op);
        else if (is_name(op))
            break;
        else if (op->kind == DISK_WRITE && percent > 0 && dice_chance(&posts.dice, 40))
            tear(file, op);
    }
    forget_ops(file);
}

static void cut_power(struct disk_file *file)
{
    static const int percents[] = {0, 0, 100, 50, 85};
    settle(file, percents[dice_below(&posts.dice, 5)]);
    if (!file->is_durable)
        file->synced.size = 0;
    file->is_there = file->is_durable;
    disk_copy_bytes(&file->now, &file->synced);
}

void disk_reset(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        struct disk_file *file = &disk->files[i];
        forget_ops(file);
        file->now.size = file->synced.size = 0;
        file->is_there = file->is_durable = i == DISK_DATABASE; /* the outbox makes it */
    }
    disk->is_dead = disk->is_in_doubt = false;
    disk->dies_in = disk->fault_permille = 0;
    disk->bytes_max = 0;
}

void disk_crash(struct disk *disk, bool is_power_cut)
{
    for (int i = 0; is_power_cut && i < DISK_FILES; i++)
        cut_power(&disk->files[i]);
    disk->is_dead = false;
    disk->dies_in = 0;
}

void disk_copy(struct disk *to, const struct disk *from, bool is_power_cut)
{
    disk_reset(to);
    for (int i = 0; i < DISK_FILES; i++) {
        struct disk_file *copy = &to->files[i];
        const struct disk_file *file = &from->files[i];
        disk_copy_bytes(&copy->now, &file->now);
        disk_copy_bytes(&copy->synced, is_power_cut ? &file->synced : &file->now);
        copy->is_there = file->is_there;
        copy->is_durable = is_power_cut ? file->is_durable : file->is_there;
        if (!is_power_cut)
            continue;
        disk_copy_bytes(&copy->pending, &file->pending);
        for (int op = 0; op < file->op_count; op++) {
            note(copy, DISK_WRITE, 0, 0);
            copy->ops[op] = file->ops[op];
        }
        cut_power(copy);
    }
}

/* ---- faults ---- */

bool disk_dies(struct disk *disk)
{
    if (disk->dies_in > 0 && --disk->dies_in == 0) {
        disk->is_dead = disk->is_in_doubt = true;
        sim.events[SIM_deaths_in_calls]++;
    }
    return disk->is_dead;
}

static bool fails(struct disk *disk, enum sim_event event)
{
    if (dice_below(&posts.dice, 1000) >= disk->fault_permille)
        return false;
    sim.events[event]++;
    return true;
}

static size_t used(const struct disk *disk)
{
    size_t size = 0;
    for (int i = 0; i < DISK_FILES; i++)
        size += disk->files[i].is_there ? disk->files[i].now.size : 0;
    return size;
}

/* ---- a file ---- */

static int file_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    const struct handle *handle = (const struct handle *)base;
    if (handle->disk->is_dead || fails(handle->disk, SIM_failed_reads))
        return SQLITE_IOERR_READ;
    return disk_read(&handle->file->now, out, size, offset);
}

static void write_some(struct disk_file *file, const uint8_t *bytes, size_t offset, size_t size)
{
    if (size == 0)
        return;
    disk_put(&file->now, offset, bytes, size);
    note(file, DISK_WRITE, offset, size);
    disk_put(&file->pending, file->pending.size, bytes, size);
}

static int file_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    const struct handle *handle = (const struct handle *)base;
    struct disk *disk = handle->disk;
    struct disk_file *file = handle->file;
    size_t end = (size_t)offset + (size_t)size;
    if (disk->is_dead)
        return SQLITE_IOERR_WRITE;
    if (disk->bytes_max > 0 && end > file->now.size &&
        used(disk) + end - file->now.size > disk->bytes_max) {
        sim.events[SIM_full_disks]++;
        disk->is_in_doubt = true;
        return SQLITE_FULL;
    }
    bool is_cut = disk_dies(disk) || fails(disk, SIM_failed_writes);
    write_some(file, bytes, (size_t)offset,
               (size_t)(is_cut ? dice_below(&posts.dice, size + 1) : size));
    disk->is_in_doubt |= is_cut;
    return is_cut ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    const struct handle *handle = (const struct handle *)base;
    struct disk_file *file = handle->file;
    if (handle->disk->is_dead || disk_dies(handle->disk))
        return SQLITE_IOERR_TRUNCATE;
    if ((size_t)size < file->now.size)
        file->now.size = (size_t)size;
    note(file, DISK_TRUNCATE, (size_t)size, 0);
    return SQLITE_OK;
}

static bool has_new_name(const struct disk_file *file)
{
    for (int i = 0; i < file->op_count; i++)
        if (file->ops[i].kind == DISK_CREATE)
            return true;
    return false;
}

/* The first fsync of a new file makes its name durable too, as unix' VFS does for a WAL. */
static int file_sync(sqlite3_file *base, int flags)
{
    const struct handle *handle = (const struct handle *)base;
    struct disk *disk = handle->disk;
    (void)flags;
    if (disk->is_dead)
        return SQLITE_IOERR_FSYNC;
    bool is_last = disk_dies(disk);
    bool is_failed = !is_last && fails(disk, SIM_failed_syncs);
    if (is_last && dice_chance(&posts.dice, 50))
        return SQLITE_IOERR_FSYNC;
    disk->is_in_doubt |= is_failed;
    if (is_failed || is_last)
        sim_trace("disk=%d file=%d sync failed=%d last=%d", (int)(disk - disks),
                  (int)(handle->file - disk->files), is_failed, is_last);
    if (has_new_name(handle->file))
        settle_names(disk);
    settle(handle->file, is_failed ? 50 : 100);
    return is_last || is_failed ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)((const struct handle *)base)->file->now.size;
    return SQLITE_OK;
}

/* ---- the file system ---- */

/* ".../post-2-wal" */
static struct disk_file *find_file(const char *path, struct disk **disk)
{
    const char *name = strstr(path, "/post-");
    assert_non_null(name);
    const char *suffix = name + strlen("/post-") + 1;
    int number = suffix[-1] - '0';
    assert_in_range(number, 0, DISKS - 1);
    *disk = &disks[number];
    enum disk_file_kind kind = suffix[0] == '\0'             ? DISK_DATABASE
                               : strcmp(suffix, "-wal") == 0 ? DISK_WAL
                                                             : DISK_JOURNAL;
    assert_true(kind != DISK_JOURNAL || strcmp(suffix, "-journal") == 0);
    return &(*disk)->files[kind];
}

const char *disk_path(const struct disk *disk, char out[DISK_PATH_MAX])
{
    snprintf(out, DISK_PATH_MAX, "%s/post-%d", sim.folder, (int)(disk - disks));
    return out;
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
    handle->file = find_file(path, &handle->disk);
    bool is_new = !handle->file->is_there;
    if (handle->disk->is_dead || (is_new && (flags & SQLITE_OPEN_CREATE) == 0))
        return SQLITE_CANTOPEN;
    if (is_new && disk_dies(handle->disk))
        return SQLITE_CANTOPEN;
    if (is_new) {
        handle->file->is_there = true;
        handle->file->now.size = 0;
        note(handle->file, DISK_CREATE, 0, 0);
    }
    base->pMethods = &methods;
    if (flags_out != NULL)
        *flags_out = flags;
    return SQLITE_OK;
}

static int system_delete(sqlite3_vfs *vfs, const char *path, int is_synced)
{
    struct disk *disk;
    struct disk_file *file = find_file(path, &disk);
    (void)vfs;
    if (disk->is_dead || disk_dies(disk))
        return SQLITE_IOERR_DELETE;
    if (!file->is_there)
        return SQLITE_IOERR_DELETE_NOENT;
    file->is_there = false;
    file->now.size = 0;
    note(file, DISK_DELETE, 0, 0);
    if (is_synced)
        settle_names(disk);
    return SQLITE_OK;
}

/* An empty file counts as none, as with unix' VFS. */
static int system_access(sqlite3_vfs *vfs, const char *path, int flags, int *is_there)
{
    struct disk *disk;
    const struct disk_file *file = find_file(path, &disk);
    (void)vfs;
    *is_there = file->is_there && (flags != SQLITE_ACCESS_EXISTS || file->now.size > 0);
    return SQLITE_OK;
}

static int system_random(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        out[i] = (char)dice_below(&posts.dice, 256);
    return size;
}

static int system_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2440587.5 + (double)sim.world.now_ms / 86400000.0;
    return SQLITE_OK;
}

void disk_register(void)
{
    static sqlite3_vfs vfs = {.szOsFile = sizeof(struct handle),
                              .mxPathname = DISK_PATH_MAX,
                              .zName = "sim",
                              .xOpen = system_open,
                              .xDelete = system_delete,
                              .xAccess = system_access,
                              .xRandomness = system_random,
                              .xCurrentTime = system_time};
    memory_system_register(&vfs);
}

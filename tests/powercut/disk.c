/* SPDX-License-Identifier: Apache-2.0 */
/* disk - the calls, and what a power cut leaves of them. The VFS itself is in disk_vfs.c. */
#include "disk_vfs.h"

#define UNCERTAIN_MAX 4096 /* calls of one file between two syncs */

struct disk *disk_used;
int64_t disk_now_ms;
struct disk_counts disk_counts;
bool disk_is_tracing;

void disk_copy_image(struct disk_image *to, const struct disk_image *from)
{
    for (int i = 0; i < DISK_FILES; i++) {
        to->files[i].is_there = from->files[i].is_there;
        disk_copy_bytes(&to->files[i].bytes, &from->files[i].bytes);
    }
}

void disk_start(struct disk *disk, const struct disk_image *image)
{
    disk_copy_image(&disk->base, image);
    disk_copy_image(&disk->now, image);
    disk->op_count = 0;
    disk->written.size = 0;
    disk->began_ms = disk_now_ms;
}

int64_t disk_at_ms(const struct disk *disk, int op_count)
{
    return op_count == 0 ? disk->began_ms : disk->ops[op_count - 1].at_ms;
}

size_t disk_sectors(const struct disk_op *op)
{
    return (op->offset % DISK_SECTOR + op->size + DISK_SECTOR - 1) / DISK_SECTOR;
}

static void apply(const struct disk *disk, const struct disk_op *op, struct disk_file *file)
{
    if (op->kind == OP_WRITE)
        disk_put(&file->bytes, op->offset, disk->written.data + op->at, op->size);
    else if (op->kind == OP_TRUNCATE && op->offset < file->bytes.size)
        file->bytes.size = op->offset;
    if (op->kind == OP_CREATE || op->kind == OP_DELETE) {
        file->bytes.size = 0;
        file->is_there = op->kind == OP_CREATE;
    }
}

void disk_note(struct disk *disk, const struct disk_op *op, const void *bytes)
{
    static const char *const kinds[] = {"create", "delete", "write", "truncate", "sync", "folder"};
    static const char *const files[] = {"database", "wal", "journal", "input", "next"};
    if (disk->op_count == disk->op_room) {
        disk->op_room = disk->op_room == 0 ? 1024 : disk->op_room * 2;
        disk->ops = realloc(disk->ops, (size_t)disk->op_room * sizeof *disk->ops);
        assert_non_null(disk->ops);
    }
    struct disk_op *fresh = &disk->ops[disk->op_count++];
    *fresh = *op;
    fresh->at = disk->written.size;
    fresh->at_ms = disk_now_ms;
    if (op->kind == OP_WRITE)
        disk_put(&disk->written, fresh->at, bytes, op->size);
    apply(disk, fresh, &disk->now.files[op->file]);
    if (disk_is_tracing)
        printf("call %d %s %s offset=%zu size=%zu\n", disk->op_count, kinds[op->kind],
               files[op->file], op->offset, op->size);
}

void disk_note_input(struct disk *disk, enum disk_name file, enum disk_op_kind kind,
                     const void *bytes, size_t size)
{
    const struct disk_op op = {
        .kind = kind, .file = file, .offset = disk->now.files[file].bytes.size, .size = size};
    disk_note(disk, &op, bytes);
}

/* ---- what is certain ---- */

/* Calls on one file that are not certain as a whole: it takes those behind a name along. */
struct open_calls {
    int ops[UNCERTAIN_MAX];
    bool is_synced[UNCERTAIN_MAX]; /* but hangs on a name that is not */
    int count;
};

static bool is_name(const struct disk_op *op)
{
    return op->kind == OP_CREATE || op->kind == OP_DELETE;
}

/* The file was synced: its contents are certain, its name is not. */
static void settle_contents(const struct disk *disk, struct open_calls *open,
                            struct disk_file *file)
{
    int names = 0;
    for (int i = 0; i < open->count; i++) {
        names += is_name(&disk->ops[open->ops[i]]);
        open->is_synced[i] = !is_name(&disk->ops[open->ops[i]]);
    }
    for (int i = 0; names == 0 && i < open->count; i++)
        apply(disk, &disk->ops[open->ops[i]], file);
    if (names == 0)
        open->count = 0;
}

/* The folder was synced: names are as they are, and so is what was synced behind them. */
static void settle_names(const struct disk *disk, struct open_calls *open, struct disk_file *file)
{
    int last = -1;
    int left = 0;
    for (int i = 0; i < open->count; i++)
        if (is_name(&disk->ops[open->ops[i]]))
            last = i;
    if (last >= 0)
        apply(disk, &disk->ops[open->ops[last]], file);
    for (int i = last + 1; last >= 0 && i < open->count; i++) {
        open->ops[left] = open->ops[i];
        open->is_synced[left++] = open->is_synced[i];
    }
    if (last >= 0)
        open->count = left;
    /* Contents are synced in order: those that are come first. */
    int done = 0;
    while (last >= 0 && done < open->count && open->is_synced[done])
        apply(disk, &disk->ops[open->ops[done++]], file);
    open->count -= done;
    memmove(open->ops, open->ops + done, (size_t)open->count * sizeof open->ops[0]);
    memmove(open->is_synced, open->is_synced + done, (size_t)open->count);
}

static bool is_input(enum disk_name file)
{
    return file == DISK_INPUT || file == DISK_NEXT_INPUT;
}

/* The folder of file was synced. */
static void settle_folder(const struct disk *disk, enum disk_name file, struct disk_image *image,
                          struct open_calls *open)
{
    for (int f = 0; f < DISK_FILES; f++)
        if (is_input(f) == is_input(file))
            settle_names(disk, &open[f], &image->files[f]);
}

/* What is certain behind op_count calls goes to image (NULL: not wanted), the rest to open. */
static void find_open(const struct disk *disk, int op_count, struct disk_image *image,
                      struct open_calls *open)
{
    disk_copy_image(image, &disk->base);
    for (int i = 0; i < DISK_FILES; i++)
        open[i].count = 0;
    for (int i = 0; i < op_count; i++) {
        const struct disk_op *op = &disk->ops[i];
        struct open_calls *calls = &open[op->file];
        if (op->kind == OP_SYNC) {
            settle_contents(disk, calls, &image->files[op->file]);
        } else if (op->kind == OP_SYNC_FOLDER) {
            settle_folder(disk, op->file, image, open);
        } else {
            assert_true(calls->count < UNCERTAIN_MAX);
            calls->is_synced[calls->count] = false;
            calls->ops[calls->count++] = i;
        }
    }
}

static struct open_calls open_calls[DISK_FILES];

int disk_uncertain(const struct disk *disk, int op_count, const int **ops)
{
    static struct disk_image unused;
    static int uncertain[DISK_FILES * UNCERTAIN_MAX];
    int count = 0;
    find_open(disk, op_count, &unused, open_calls);
    for (int f = 0; f < DISK_FILES; f++)
        for (int i = 0; i < open_calls[f].count; i++)
            if (!open_calls[f].is_synced[i])
                uncertain[count++] = open_calls[f].ops[i];
    *ops = uncertain;
    return count;
}

/* ---- the cut ---- */

/* How a cut goes on, call by call. */
struct cutting {
    const struct disk *disk;
    const struct disk_cut *cut;
    struct dice dice;
    int percent;    /* CUT_RANDOM: of calls that are whole */
    size_t certain; /* bytes of the file at hand that were there for certain */
    int index;      /* of the next uncertain call */
    bool has_dropped;
};

/* One sector of a torn write. */
static void tear_sector(struct cutting *cutting, const struct disk_op *part, struct disk_file *file)
{
    struct disk_op some = *part;
    int kind = dice_below(&cutting->dice, 100);
    if (kind < 45)
        return;
    if (kind < 90) {
        apply(cutting->disk, part, file);
        return;
    }
    /* Where there was nothing certain, anything may lie; else the sector's begin is written. */
    if (part->offset >= cutting->certain) {
        uint8_t garbage[DISK_SECTOR];
        for (size_t i = 0; i < part->size; i++)
            garbage[i] = (uint8_t)dice_u64(&cutting->dice);
        disk_put(&file->bytes, part->offset, garbage, part->size);
        return;
    }
    some.size = (size_t)dice_below(&cutting->dice, (int)part->size);
    apply(cutting->disk, &some, file);
}

/* Some sectors of op; CUT_TORN: the first ones. */
static void tear(struct cutting *cutting, const struct disk_op *op, struct disk_file *file)
{
    struct disk_op part = *op;
    disk_counts.torn++;
    for (size_t done = 0, sector = 0; done < op->size; done += part.size, sector++) {
        size_t rest = DISK_SECTOR - (op->offset + done) % DISK_SECTOR;
        part.offset = op->offset + done;
        part.at = op->at + done;
        part.size = rest < op->size - done ? rest : op->size - done;
        if (cutting->cut->kind != CUT_TORN)
            tear_sector(cutting, &part, file);
        else if (sector < cutting->cut->choice % DISK_TORN)
            apply(cutting->disk, &part, file);
    }
}

enum fate { FATE_DROPPED, FATE_TORN, FATE_KEPT };

static enum fate draw_fate(struct cutting *cutting, const struct disk_op *op, int index)
{
    switch (cutting->cut->kind) {
    case CUT_NONE:
    case CUT_KEEP:
        return FATE_KEPT;
    case CUT_CHOSEN:
        return index < 64 && (cutting->cut->choice >> index & 1) != 0 ? FATE_KEPT : FATE_DROPPED;
    case CUT_TORN:
        return (uint64_t)index == cutting->cut->choice / DISK_TORN ? FATE_TORN : FATE_KEPT;
    case CUT_RANDOM:
        if (dice_chance(&cutting->dice, cutting->percent))
            return FATE_KEPT;
        return op->kind == OP_WRITE && dice_chance(&cutting->dice, 40) ? FATE_TORN : FATE_DROPPED;
    case CUT_DROP:
    case CUT_KINDS:
        break;
    }
    return FATE_DROPPED;
}

/* What becomes of the open calls of one file. */
static void cut_file(struct cutting *cutting, const struct open_calls *calls,
                     struct disk_file *file)
{
    static const int percents[] = {0, 100, 50, 85, 15};
    cutting->percent = percents[dice_below(&cutting->dice, 5)];
    cutting->certain = file->bytes.size;
    for (int i = 0; i < calls->count; i++) {
        const struct disk_op *op = &cutting->disk->ops[calls->ops[i]];
        enum fate fate = FATE_KEPT;
        if (!calls->is_synced[i])
            fate = draw_fate(cutting, op, cutting->index++);
        disk_counts.dropped += fate == FATE_DROPPED;
        if (fate == FATE_KEPT) {
            apply(cutting->disk, op, file);
            disk_counts.kept_behind_a_dropped_one += cutting->has_dropped && op->kind == OP_WRITE;
        } else if (is_name(op)) {
            disk_counts.names_lost++;
            for (i++; i < calls->count; i++) /* they keep their indices */
                cutting->index += !calls->is_synced[i];
            return;
        } else if (fate == FATE_TORN) {
            tear(cutting, op, file);
        }
        cutting->has_dropped |= fate == FATE_DROPPED;
    }
}

void disk_cut(const struct disk *disk, const struct disk_cut *cut, struct disk_image *image)
{
    struct cutting cutting = {.disk = disk, .cut = cut, .dice = {cut->choice ^ 0x63757473}};
    find_open(disk, cut->op_count, image, open_calls);
    for (int f = 0; f < DISK_FILES; f++)
        cut_file(&cutting, &open_calls[f], &image->files[f]);
}

void disk_kill(struct disk *disk, int op_count)
{
    const struct disk_cut cut = {.kind = CUT_NONE, .op_count = op_count};
    disk_cut(disk, &cut, &disk->now);
    disk->op_count = op_count;
}

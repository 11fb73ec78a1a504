/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk - a disk that writes down every call, as SQLite's default file system (VFS).
 *
 * The calls that change something are kept in order. From them disk_cut makes what a power cut
 * behind any of them may leave: what was synced is there; of what was not, each call is there, is
 * not, or is there in some of its sectors, in any order and whatever became of the others.
 *
 *   a write, a truncation   certain once its file was synced
 *   a new or deleted name   certain once the folder was synced, which unix' VFS does at the first
 *                           sync of a WAL or journal it made, and at some deletions; a name that
 *                           is lost takes along what was written behind it, synced or not
 *   sectors                 of 512 bytes; one that was being written may be old, new, or new up to
 *                           a byte of it (what SQLite calls linear); one that is new to the file
 *                           may hold anything. Bytes beside those written stay as they are
 *                           (SQLITE_IOCAP_POWERSAFE_OVERWRITE, as unix' VFS says)
 *
 * The files that are followed (DISK_INPUT, DISK_NEXT_INPUT) are real ones, since follow.c reads
 * them itself; the calls on them are noted here, too. They have a folder of their own. One process,
 * one disk: locks are not simulated.
 */
#ifndef FX_POWERCUT_DISK_H
#define FX_POWERCUT_DISK_H

#include "../lib/memory_file.h"

#define DISK_SECTOR 512
#define DISK_PATH_MAX 256
#define DISK_TORN 65536

enum disk_name {
    DISK_DATABASE,
    DISK_WAL,
    DISK_JOURNAL,
    DISK_INPUT,
    DISK_NEXT_INPUT, /* there once it was put in the place of DISK_INPUT, which is renamed */
    DISK_FILES
};

enum disk_op_kind { OP_CREATE, OP_DELETE, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_SYNC_FOLDER };

struct disk_op {
    enum disk_op_kind kind;
    enum disk_name file;
    size_t offset; /* OP_TRUNCATE: the size left */
    size_t size;
    size_t at;     /* of its bytes in written */
    int64_t at_ms; /* when it was made */
};

struct disk_file {
    bool is_there;
    struct disk_bytes bytes;
};

struct disk_image {
    struct disk_file files[DISK_FILES];
};

struct disk {
    struct disk_image base; /* certain, before the first call */
    struct disk_image now;  /* as the process sees it */
    struct disk_op *ops;
    int op_count;
    int op_room;
    struct disk_bytes written; /* bytes of ops */
    int64_t began_ms;          /* when there was no call yet */
    struct dice dice;          /* SQLite's chance */
};

enum disk_cut_kind {
    CUT_NONE,   /* no power cut: the process was killed, all calls reach the disk some day */
    CUT_DROP,   /* nothing uncertain is there */
    CUT_KEEP,   /* all of it is */
    CUT_CHOSEN, /* call i of the uncertain ones is there if bit i of choice is set */
    CUT_TORN,   /* all but call i; of that the first sectors: choice is i * DISK_TORN + sectors */
    CUT_RANDOM, /* choice is a seed */
    CUT_KINDS
};

struct disk_cut {
    enum disk_cut_kind kind;
    int op_count; /* calls that came before it */
    uint64_t choice;
};

/* The disk that SQLite sees. */
extern struct disk *disk_used;

/* The time now, by which calls are noted. */
extern int64_t disk_now_ms;

/* Each call is printed. */
extern bool disk_is_tracing;

/* Makes it SQLite's default; once, before SQLite is used. */
void disk_register(void);

/* No calls yet, on what image holds. */
void disk_start(struct disk *disk, const struct disk_image *image);

/* How many calls are uncertain at the cut; ops: which, in the order of a choice's bits; borrowed
 * until the next call. */
int disk_uncertain(const struct disk *disk, int op_count, const int **ops);

/* How many sectors a write touches. */
size_t disk_sectors(const struct disk_op *op);

/* The time of the last of op_count calls. */
int64_t disk_at_ms(const struct disk *disk, int op_count);

/* What the cut leaves. */
void disk_cut(const struct disk *disk, const struct disk_cut *cut, struct disk_image *image);

/* The process was killed behind op_count calls: the rest never was; what was uncertain stays so. */
void disk_kill(struct disk *disk, int op_count);

/* A call on a file that is followed; what is written is appended. */
void disk_note_input(struct disk *disk, enum disk_name file, enum disk_op_kind kind,
                     const void *bytes, size_t size);

void disk_copy_image(struct disk_image *to, const struct disk_image *from);

/* What a cut did, over all of them. */
struct disk_counts {
    long dropped; /* calls */
    long torn;
    long kept_behind_a_dropped_one;
    long names_lost;
};
extern struct disk_counts disk_counts;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_disk - disks of posts in memory, as SQLite's default file system (VFS).
 *
 * A file has two contents: what the process reads, and what a power cut leaves for certain. In
 * between lie the calls since the last fsync, in order; a power cut keeps, tears (by sectors of
 * 512 bytes, or at any byte) or drops each of them. New and deleted names are such calls too; a
 * name that is lost takes what came behind it along. A failed fsync leaves of each write that it
 * reached the disk, or that it never will unless it is written again: the process goes on reading
 * it (Linux marks such pages clean).
 *
 * A process that died in the middle of a call is buried by its own hand: each later call fails and
 * changes nothing, so that the outbox can be closed as usual and gives its memory back.
 *
 * One process per disk: locks are not simulated.
 */
#ifndef FX_SIM_DISK_H
#define FX_SIM_DISK_H

#include "../lib/memory_file.h"
#include "sim.h"

#define DISKS 3
#define DISK_PATH_MAX 128

enum disk_file_kind { DISK_DATABASE, DISK_WAL, DISK_JOURNAL, DISK_FILES };

enum disk_op_kind { DISK_CREATE, DISK_DELETE, DISK_WRITE, DISK_TRUNCATE };

/* A call since the last fsync. */
struct disk_op {
    enum disk_op_kind kind;
    size_t offset; /* DISK_TRUNCATE: the size left */
    size_t size;
    size_t at; /* of its bytes in pending */
};

struct disk_file {
    bool is_there;   /* as the process sees it */
    bool is_durable; /* its name outlives a power cut */
    struct disk_bytes now;
    struct disk_bytes synced;
    struct disk_bytes pending; /* bytes of ops */
    struct disk_op *ops;
    int op_count;
    int op_room;
};

struct disk {
    struct disk_file files[DISK_FILES];
    bool is_dead;       /* the process is no more */
    int dies_in;        /* calls that change something until then, 0: it lives on */
    int fault_permille; /* of calls that fail */
    size_t bytes_max;   /* 0: there is room */
    bool is_in_doubt;   /* set with each fault: what was written may be found some day */
};

extern struct disk disks[DISKS];

/* Makes it SQLite's default; once, before SQLite is used. */
void disk_register(void);

/* The database's path; only the last part matters here, but the outbox makes the file itself. */
const char *disk_path(const struct disk *disk, char out[DISK_PATH_MAX]);

/* An empty disk. */
void disk_reset(struct disk *disk);

/* The process is gone, or the power: what stays. The next process may use the disk. */
void disk_crash(struct disk *disk, bool is_power_cut);

/* A copy, as a power cut would leave it or as the process sees it. */
void disk_copy(struct disk *to, const struct disk *from, bool is_power_cut);

/* Counts down to the end of the process; true: it is dead, the call does nothing more. */
bool disk_dies(struct disk *disk);

#endif

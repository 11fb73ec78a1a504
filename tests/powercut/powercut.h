/* SPDX-License-Identifier: Apache-2.0 */
/* powercut - what the parts of tests/powercut share; its design is at the head of main.c. */
#ifndef FX_POWERCUT_H
#define FX_POWERCUT_H

#include "disk.h"

#include "../../producers/station_input.h"

#define SERIALS_MAX 64               /* lines of a world */
#define FACTS_MAX 2048               /* of each sort */
#define AT_MS INT64_C(1644451200000) /* line 0's time, by which its event is recognised */

/* How lines come in. */
enum mode {
    MODE_IDS,    /* a writer that repeats what was not answered, by id */
    MODE_FOLLOW, /* a file whose writer syncs each line */
    MODE_LAZY,   /* a file whose writer never syncs */
    MODE_BARE,   /* a writer that repeats what was not answered, without ids */
    MODES
};

struct number {
    int64_t run;
    int64_t seq;
};

/* Somebody outside knows it, since the disk had seen so many calls. */
struct fact {
    int op_count;
    int serial;
    struct number number;
};

/* What the world outside knows, whatever becomes of the post. */
struct journal {
    struct fact answered[FACTS_MAX];
    int answered_count;
    struct fact sent[FACTS_MAX]; /* to Kafka; each event once */
    int sent_count;
    int appended[SERIALS_MAX]; /* calls before line i was written to the file */
    int appended_count;
};

/* Kinds of what must not be. */
/* clang-format off */
#define VIOLATIONS                                                                                 \
    X(answered_lost) X(numbers_reused) X(gaps) X(lines_skipped) X(lines_repeated)                  \
    X(ids_renumbered) X(not_opened) X(stuck)
/* clang-format on */
#define X(name) VIOLATION_##name,
enum violation { VIOLATIONS VIOLATION_COUNT };
#undef X

struct world {
    enum mode mode;
    uint64_t seed;
    int lines;            /* in all */
    int checkpoint_pages; /* SQLite's wal_autocheckpoint */
    struct dice dice;
    struct disk *disk;
    struct journal journal;
    int64_t now_ms;
    const char *folder; /* on a real disk */
    char input_path[DISK_PATH_MAX];
    char outbox_path[DISK_PATH_MAX];
    int input_file;         /* the file that is followed; one inode for good */
    struct disk_cut cut;    /* the last one, for the report */
    struct station station; /* the process; its outbox is NULL if there is none */
    struct station_options options;
    struct answers answers;
    int asked[FACTS_MAX]; /* serials whose answers are awaited, in order */
    int asked_count;
};

extern struct world world;

struct counts {
    long lives;
    long openings;
    long answered;
    long repeated_ids;
    long sent;
    long followed;
    long rollbacks;
    long violations[VIOLATION_COUNT];
};
extern struct counts counts;

/* ---- life.c ---- */

void world_open(const char *folder);
void world_close(void);

/* A world of mode and seed, its disk empty. */
void world_start(enum mode mode, uint64_t seed, int lines);

/* A process from its opening until every line is taken, answered and sent, and its close. */
void life_play(void);

/* The text of line serial, with newline. */
size_t life_line(int serial, char out[512]);

/* ---- oracle.c ---- */

/* Facts behind the cut never were; the others hold for good. */
void journal_cut(struct journal *journal, int op_count);

void journal_note(struct fact *facts, int *count, int serial, const struct number *number);

/* The first answer of serial, NULL: none yet. */
const struct fact *journal_answer(int serial);

/* After each opening: nothing answered is lost, no number means two things. */
void check_kept(void);

/* At the end: every line is at Kafka, once. */
void check_end(void);

/* Gives this cut up, counts and tells why; does not return. */
_Noreturn void violate(enum violation violation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

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
    int64_t id;        /* of its row; 0: an answer does not say it */
    int64_t stored_ms; /* when it was stored; of what was acknowledged only */
};

struct facts {
    struct fact items[FACTS_MAX]; /* each event once */
    int count;
};

/* What the world outside knows, whatever becomes of the post. */
struct journal {
    struct facts answered;     /* to who wrote the line */
    struct facts sent;         /* handed out, on its way to Kafka */
    struct facts acked;        /* of them: Kafka has it, and the post was told so */
    int appended[SERIALS_MAX]; /* calls before line i was written to the file */
    int appended_count;
    int first_of_next; /* the first line that was to go to DISK_NEXT_INPUT */
};

/* Kinds of what must not be. */
/* clang-format off */
#define VIOLATIONS                                                                                 \
    X(answered_lost) X(numbers_reused) X(gaps) X(lines_skipped) X(lines_repeated)                  \
    X(ids_renumbered) X(unacked_lost) X(mark_ahead) X(given_up_early) X(not_opened) X(stuck)
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
    int64_t keep_ms; /* the outbox's */
    char input_path[DISK_PATH_MAX];
    char outbox_path[DISK_PATH_MAX];
    int input_files[2];     /* those that are followed; one inode each for good */
    struct disk_cut cut;    /* the last one, for the report */
    struct station station; /* the process; its outbox is NULL if there is none */
    struct station_options options;
    struct answers answers;
    int asked[FACTS_MAX]; /* serials whose answers are awaited, in order */
    int asked_count;
    struct fact on_way[FACTS_MAX]; /* handed out by this process and not acknowledged, in order */
    int on_way_count;
    int64_t cursor; /* the last row that this process handed out, or its mark */
};

extern struct world world;

struct counts {
    long lives;
    long openings;
    long answered;
    long repeated_ids;
    long sent;
    long acked;
    long sent_again; /* behind a cut or kill, what was sent before it */
    long given_up;   /* rows acknowledged and pruned, at the end of lives */
    long followed;
    long rotations;
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

/* Notes what became known. NULL, or the fact as it was known before. */
const struct fact *journal_note(struct facts *facts, const struct fact *fact);

/* The first answer of serial, NULL: none yet. */
const struct fact *journal_answer(int serial);

/* Kafka has the first count rows on their way: told to the journal, which is before the outbox. */
void journal_ack(int count);

/* After each opening and flush: what must hold at any time, see main.c. */
void check_kept(void);

/* At the end: every line is at Kafka, once. */
void check_end(void);

/* Gives this cut up, counts and tells why; does not return. */
_Noreturn void violate(enum violation violation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

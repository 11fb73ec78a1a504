/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_post - posts: the real outbox on a disk of sim_disk, the real shipper on a fake librdkafka.
 *
 * Lines are taken as station.c and station_line.c take them. What was answered stands in a journal;
 * what reaches the logs is compared with it, and the pipelines count it like anything else there.
 *
 *   sim_post        a post's life: opening, turns, crashes, copies of its disk
 *   sim_post_line   how it takes lines: with ids, from a file with a position, or plainly
 *   sim_post_check  the journal, and what must hold of logs, heartbeats and figures
 *   sim_kafka       librdkafka and probe.h: one broker for all posts
 */
#ifndef FX_SIM_POST_H
#define FX_SIM_POST_H

#include "sim_disk.h"

#include "../../producers/outbox_rules.h"
#include "../../producers/outbox_send.h"

#define POSTS DISKS
#define POST_SOURCES 2
#define POST_LINES_MAX 300
#define POST_ENTRIES_MAX 1600
#define POST_SLOTS 1024

enum entry_state {
    ENTRY_OPEN,     /* in a transaction that goes on */
    ENTRY_GONE,     /* rolled back: nobody may ever see it */
    ENTRY_UNKNOWN,  /* the commit failed, or the process died: there or not */
    ENTRY_ANSWERED, /* committed: it must be counted */
};

/* An event that was given a number. */
struct entry {
    int post;
    int line;     /* of the post, -1: a reversal */
    int previous; /* entry of the same line, -1: none */
    int next;     /* entry in the same slot, -1: none */
    struct saying saying;
    struct saying_bytes bytes;
    enum entry_state state;
    int64_t stored_ms;
    int undone;    /* the entry that it reverses, -1: none */
    int records;   /* in the logs */
    int wanted_of; /* post that is to send it again, -1: none */
    bool is_acked; /* Kafka said so to a living process */
    bool is_lost;  /* and lied */
};

struct last_beat { /* of a run */
    int64_t run;
    int64_t n;
    int state; /* enum heartbeat_state */
};

struct post_line {
    int entry, answer; /* the last one, and the one that was answered, -1: none */
    int source;
    bool may_repeat; /* was offered again when its id was old enough to be forgotten */
};

enum post_mode { POST_IDS, POST_FOLLOW, POST_PLAIN, POST_MODES };

struct shipper;

struct post {
    enum post_mode mode;
    int topic;
    const char *sources[POST_SOURCES];
    struct disk *disk;
    struct outbox *outbox; /* NULL: it is down */
    struct shipper *shipper;
    int64_t keep_ms;
    int64_t room_max;      /* --outbox-max-bytes, 0: none */
    int64_t clock_ms;      /* its clock is ahead by this */
    int64_t pruned_ms;     /* the latest time by that clock at which it could forget anything */
    int64_t full_until_ms; /* takes no lines until then */
    bool has_failed;       /* a commit failed since the opening */
    struct post_line lines[POST_LINES_MAX];
    int line_count;
    int64_t position; /* POST_FOLLOW: lines taken */
    int unacked;      /* entries before it need no look */
};

struct posts {
    struct dice dice;
    struct post items[POSTS];
    int count;            /* 0: a world without */
    struct post *current; /* whose code runs */
    struct entry entries[POST_ENTRIES_MAX];
    int entry_count;
    struct last_beat beats[POST_ENTRIES_MAX];
    int beat_count;
    int slots[POST_SLOTS];
    int openings;
    int32_t partitions; /* of each topic, as the broker says */
    int64_t away_until_ms;
    int loss_permille;    /* of records: acknowledged, then lost by the broker */
    int trouble_permille; /* of records: not delivered, or the end of the producer */
    int queue_max;
    bool is_calm;
};

extern struct posts posts;

/* ---- sim_post.c ---- */
void posts_open(uint64_t seed);
void posts_play(void); /* some turns of each */
void posts_rest(void); /* all crashes are over: until everything is acknowledged */
void posts_close(void);

/* Ends the test unless code is FX_OK, a fault of the disk, or the last word of a dead process. */
bool post_goes_on(struct post *post, enum fx_code code, const struct fx_err *err);

/* ---- sim_post_line.c ---- */

void post_take_lines(struct post *post);
void post_reverse(struct post *post);
bool post_has_lines(const struct post *post); /* that are to be answered yet */
void post_make_line(struct post *post);
/* FX_EDISK: the post is not to take lines. */
FX_MUST_CHECK enum fx_code post_read_position(struct post *post, struct fx_err *err);

/* ---- sim_post_check.c ---- */

int64_t post_now_ms(const struct post *post);
void post_note_pruning(struct post *post); /* of what is old enough by its clock */

/* Gives the saying bytes and a place in the journal; its index. */
int journal_add(struct post *post, const struct saying *saying, int line);
int journal_find(const uint8_t *bytes, size_t size);
/* Whether the outbox holds the event as it was given to it. */
FX_MUST_CHECK enum fx_code post_keeps(struct post *post, int entry, bool *is_kept,
                                      struct fx_err *err);

/* A message as it is handed over, and as it comes into a log. */
void check_handed_over(const struct post *post, const uint8_t *bytes, size_t size);
void log_append(int topic, int32_t partition, const uint8_t *bytes, size_t size);

void check_kept(struct post *post);
void check_resent(void); /* what was asked for again is in a log, unless it is no longer kept */
void posts_check(void);

/* ---- sim_kafka.c ---- */

void kafka_reset(void);
void kafka_serve(void);

#endif

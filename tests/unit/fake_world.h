/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_world - Kafka, PostgreSQL and time in memory, for tests of the pipeline.
 *
 * fake_intake.c and fake_store.c define all of intake.h and store.h: a test that includes them
 * links none of the real ones. fake_check.c recounts naively what the database must hold.
 */
#ifndef FX_FAKE_WORLD_H
#define FX_FAKE_WORLD_H

#include "fake_days.h"
#include "fake_encode.h"
#include "fake_regions.h"

#include "../../consumers/pipeline.h"

#ifndef WORLD_WORKERS
#define WORLD_WORKERS 2
#endif
#define WORLD_BEGIN_MS INT64_C(1644451200000)
#define WORLD_POISON 777777 /* persons that the database refuses */
#define WORLD_ALL_PARTS ((1u << WORLD_PARTS) - 1)

enum flaw { FLAW_NONE, FLAW_BYTES, FLAW_KEY, FLAW_SUMS };

struct record {
    int64_t offset;
    int64_t append_ms;
    struct saying saying;
    enum flaw flaw;
    struct saying_bytes value;
    bool is_lost; /* gone before it was counted */
};

/* One partition of a topic. */
struct log {
    struct record *records;
    int count;
    int room;
    int64_t low;
    int64_t end;
};

/* What becomes of a flush. */
enum fate {
    FATE_COMMIT,
    FATE_LOST_APPLIED, /* committed, but the answer does not come */
    FATE_LOST,         /* not committed, and the answer does not come */
    FATE_LATE,         /* no answer; it tries to commit some time later */
    FATE_LOCKED,       /* a lock did not come */
    FATE_UNSENT,
    FATE_COUNT
};

struct intake {
    struct world *world;
    bool is_subscribed;
    enum intake_change change;
    struct intake_partition list[WORLD_PARTS];
    int list_count;
    struct intake_partition assigned[WORLD_PARTS]; /* offset: the next to deliver */
    bool has_delivered[WORLD_PARTS];               /* since it was assigned or sought */
    int64_t sought[WORLD_PARTS];                   /* what was sought comes before any other */
    int64_t told_end[WORLD_PARTS];                 /* the end that was told of last, -1: none */
    int assigned_count;
    int turn;
    int seeks;
};

struct store {
    struct world *world;
    bool is_connected;
    bool is_in_flight;
    enum fate fate;
    int polls_left;
    enum store_conflict conflict;
    struct transaction flight; /* last, see world_open */
};

struct worker {
    struct intake intake;
    struct store store;
    struct pipeline *pipeline; /* NULL: not there */
};

struct world {
    struct dice dice;
    const struct catalog *catalog;
    int64_t now_ms;
    struct log logs[WORLD_PARTS]; /* topic * WORLD_PARTITIONS + partition */
    bool is_late;

    /* what a test turns */
    int tick_ms;
    int burst; /* messages in one poll */
    int polls; /* that a flush takes */
    int events_max;
    int runs_max;
    size_t bytes_max;
    bool until_end;
    int region_count;
    int64_t region_from[WORLD_PARTS]; /* offset from which the last region is known */
    bool is_redefined;                /* the definitions are others than the worker's */
    bool accept_simulated, is_producer_time;
    const char *cluster; /* what Kafka calls itself */
    enum fate fates[8];  /* of the next flushes */
    int fate_count;
    int fault_percent; /* of random faults at each call */
    int claim_failures, ask_failures, assign_failures;
    int overlap;         /* messages that come again after a seek */
    unsigned leaderless; /* parts that have no leader, by bit */
    int skips;           /* times that a delivery leaves a message out */
    enum fx_code code;   /* of the last step */
    char text[FX_ERR_TEXT_MAX];
    struct db_homes homes;

    /* megabytes of room: world_open clears only what counts what is in it */
    struct database db;
    struct transaction late; /* of FATE_LATE */
    struct worker workers[WORLD_WORKERS];
};

void store_settle_late(struct world *world); /* tries to commit what FATE_LATE left */
void store_abandon(struct store *store);     /* the flush in flight may be committed or not */

/* fake_world.c */
void world_open(struct world *world, const struct catalog *catalog, uint64_t seed);
void world_close(struct world *world);
/* Appends a message to a partition of its topic. */
struct record *world_append(struct world *world, int32_t partition, const struct saying *saying,
                            enum flaw flaw);
void world_skip_offsets(struct world *world, int part, int64_t size); /* which hold nothing */
/* Retention: everything below offset is gone. */
void world_trim(struct world *world, int part, int64_t offset);
void world_accept(struct world *world, const struct db_acceptance *acceptance);
bool world_roll(struct world *world); /* a random fault happens */
void worker_open(struct world *world, int worker);
void worker_close(struct world *world, int worker); /* as kill -9 does */
void worker_assign(struct world *world, int worker, unsigned parts);
void worker_change(struct world *world, int worker, enum intake_change change);
enum fx_code worker_step(struct world *world, int worker);
/* Steps all workers until everything in the logs is committed. */
void world_run(struct world *world);
bool world_is_counted(const struct world *world);
/* Steps the worker until a step fails; fails the test if none does. */
void worker_run_to_stop(struct world *world, int worker, enum fx_code expected);
/* fake_check.c: the database holds what a naive recount of the logs gives. */
void world_check(const struct world *world);

#endif

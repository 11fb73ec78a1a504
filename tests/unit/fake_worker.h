/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_worker - one worker that has every partition of a fake_world, and one run of one source.
 *
 * The fixture of the pipeline's tests; includes the world whole, so once per program.
 */
#ifndef FX_FAKE_WORKER_H
#define FX_FAKE_WORKER_H

#include "fake_check.c"
#include "fake_intake.c"
#include "fake_store.c"
#include "fake_world.c"

#include "../../common/day.h"
#include "../../common/log.h"

#define GATE_0 (TOPIC_GATE * WORLD_PARTITIONS)
#define RUN 77

static struct scratch scratch;
static struct catalog catalog;
static struct world world;

static inline int load_catalog(void **state)
{
    (void)state;
    fx_log_open("pipeline_test", FX_LOG_ERROR);
    kinds_open(&scratch, &catalog);
    return 0;
}

static inline int release_catalog(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    return 0;
}

static inline int open_world(void **state)
{
    (void)state;
    world_open(&world, &catalog, 1);
    return 0;
}

static inline int close_world(void **state)
{
    (void)state;
    world_close(&world);
    return 0;
}

/* Worker 0 with every partition. */
static inline void start(void)
{
    worker_open(&world, 0);
    worker_assign(&world, 0, WORLD_ALL_PARTS);
}

static inline void crash(void)
{
    worker_close(&world, 0);
    start();
}

/* Numbers first to last of CP-1's run, in partition 0 of the gate. */
static inline void append(int64_t first, int64_t last)
{
    for (int64_t seq = first; seq <= last; seq++) {
        struct saying saying = saying_of("CP-1", RUN, seq);
        saying.persons = 1 + seq % 9;
        saying.post = (int)(seq % 3);
        saying.wait_s = seq % 4 == 0 ? SAYING_NEVER : seq % 100;
        saying.origin = seq % 5 == 0 ? NULL : seq % 5 == 1 ? "C2-T1" : "ELSEWHERE";
        world_append(&world, 0, &saying, FLAW_NONE);
        world.now_ms += 1000;
    }
}

static inline void heartbeat(int64_t n, int64_t acked_seq)
{
    struct saying beat = saying_of("CP-1", RUN, n);
    beat.is_heartbeat = true;
    beat.occurred_ms = world.now_ms;
    beat.acked_seq = beat.last_seq = acked_seq;
    world_append(&world, 0, &beat, FLAW_NONE);
}

static inline void run_and_check(void)
{
    world_run(&world);
    world_check(&world);
}

static inline const struct pipeline_stats *stats(void)
{
    return pipeline_stats(world.workers[0].pipeline);
}

static inline const struct db_run *the_run(void)
{
    int index = db_find_run(&world.db, TOPIC_GATE, "CP-1", RUN);
    assert_true(index >= 0);
    return &world.db.runs[index];
}

/* Reasons of rejected events, in the order of their commits: "undecodable simulated". */
static inline const char *reasons(void)
{
    static char text[512];
    text[0] = '\0';
    for (int i = 0; i < world.db.rejected_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i == 0 ? "" : " ",
                 reason_name(world.db.rejected[i].reason));
    return text;
}

#endif

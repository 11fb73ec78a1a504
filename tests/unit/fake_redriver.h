/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_redriver - fx-rollup --redrive in a fake_world, with a consumer and a connection of its own.
 */
#ifndef FX_FAKE_REDRIVER_H
#define FX_FAKE_REDRIVER_H

#include "fake_worker.h"

#include "fake_redrive.c"

#include "../../consumers/redrive.h"

struct redriver {
    struct intake intake;
    struct store store;
    struct redrive *redrive; /* NULL: not there */
};

static inline void redriver_open(struct redriver *one, enum reason reason)
{
    memset(&one->intake, 0, sizeof one->intake);
    memset(&one->store, 0, sizeof one->store);
    one->intake.world = one->store.world = &world;
    static const char *const topics[TOPICS] = {"t.0", "t.1"};
    struct redrive_options options = {.catalog = world.catalog,
                                      .topics = topics,
                                      .intake = &one->intake,
                                      .store = &one->store,
                                      .seed = dice_u64(&world.dice),
                                      .bytes_max = world.bytes_max,
                                      .reason = reason};
    assert_ok(redrive_open(&options, &one->redrive, &err));
}

/* As kill -9 does. */
static inline void redriver_close(struct redriver *one)
{
    if (one->redrive == NULL)
        return;
    store_abandon(&one->store);
    redrive_close(one->redrive);
    one->redrive = NULL;
    transaction_release(&one->store.flight);
}

static inline enum fx_code redriver_step(struct redriver *one)
{
    struct fx_err err = FX_ERR_INIT;
    world.now_ms += world.tick_ms;
    enum fx_code code = redrive_step(one->redrive, world.now_ms, 100, &err);
    memcpy(world.text, err.text, sizeof world.text);
    return code;
}

/* Steps it, and the worker if there is one, to its end. */
static inline void redriver_run(struct redriver *one)
{
    for (int step = 0; !redrive_is_done(one->redrive); step++) {
        if (step == 20000)
            fail_msg("not done after %d steps: %s", step, redrive_trouble(one->redrive));
        if (redriver_step(one) != FX_OK)
            fail_msg("it stopped: %s", world.text);
        if (world.workers[0].pipeline != NULL && worker_step(&world, 0) != FX_OK)
            fail_msg("the worker stopped: %s", world.text);
    }
}

/* All of one run: what it did. */
static inline struct redrive_stats redrive_reason(enum reason reason)
{
    static struct redriver one;
    redriver_open(&one, reason);
    redriver_run(&one);
    struct redrive_stats stats = *redrive_stats(one.redrive);
    redriver_close(&one);
    return stats;
}

#endif

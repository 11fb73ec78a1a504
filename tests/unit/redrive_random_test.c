/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds in which events are rejected, causes are mended, and rejected events are taken again while
 * workers count and everything goes wrong at random: in the end the figures are those of a recount
 * under the mended definitions.
 *
 * A number always says the same, and copies come within the hour: a recount then does not depend
 * on which copy came first. FX_SEED=N runs one world only and says more about it.
 */
#include "fake_redriver.h"
#include "fake_worlds.h"

#ifndef WORLDS
#define WORLDS 300
#endif
#define SOURCES 6
#define ROUNDS 50
#define NEW_REGION (KINDS_REGIONS - 1)

struct source {
    char name[16];
    int topic;
    int32_t partition;
    int64_t seq;
    int64_t beats;
};

static struct source sources[SOURCES];
static struct redriver redrivers[2];

static void open_sources(void)
{
    for (int i = 0; i < SOURCES; i++) {
        struct source *source = &sources[i];
        memset(source, 0, sizeof *source);
        snprintf(source->name, sizeof source->name, "%s-%d", i % 3 == 2 ? "SIM" : "CP", i);
        source->topic = i % TOPICS;
        source->partition = i / TOPICS % WORLD_PARTITIONS;
    }
}

static void append_event(struct source *source)
{
    struct dice *dice = &world.dice;
    struct saying saying = saying_of(source->name, 1, ++source->seq);
    enum flaw flaw = FLAW_NONE;
    saying.topic = source->topic;
    saying.occurred_ms = world.now_ms - (dice_chance(dice, 10) ? 9000000 : 60000);
    saying.region = kinds_regions[dice_chance(dice, 25) ? NEW_REGION : 4][0];
    saying.persons = dice_between(dice, 1, 9);
    saying.post = dice_below(dice, 3);
    saying.wait_s = dice_chance(dice, 30) ? SAYING_NEVER : dice_between(dice, 0, 400);
    if (source->topic == TOPIC_GATE && dice_chance(dice, 6))
        flaw = FLAW_SUMS;
    else if (source->topic == TOPIC_GATE && dice_chance(dice, 3))
        saying.persons = WORLD_POISON;
    else if (dice_chance(dice, 3))
        flaw = dice_chance(dice, 50) ? FLAW_BYTES : FLAW_KEY;
    if (dice_chance(dice, 8)) {
        saying.sign = -1;
        saying.persons = 4; /* an extreme, which would be refused, ignores reversals */
        saying.reverses_run = 1;
        saying.reverses_seq = dice_between(dice, 1, source->seq);
    }
    world_append(&world, source->partition, &saying, flaw);
}

static void append_copy(const struct source *source)
{
    const struct log *log = &world.logs[part_index(source->topic, source->partition)];
    if (log->count == 0)
        return;
    const struct record *old = &log->records[dice_below(&world.dice, log->count)];
    struct saying saying = old->saying;
    world_append(&world, source->partition, &saying, old->flaw);
}

static void append_heartbeat(struct source *source)
{
    struct saying beat = saying_of(source->name, 1, ++source->beats);
    beat.topic = source->topic;
    beat.is_heartbeat = true;
    beat.occurred_ms = world.now_ms;
    beat.acked_seq = beat.last_seq = source->seq;
    world_append(&world, source->partition, &beat, FLAW_NONE);
}

static void append_some(void)
{
    for (int count = dice_below(&world.dice, 12); count > 0; count--) {
        struct source *source = &sources[dice_below(&world.dice, SOURCES)];
        int kind = dice_below(&world.dice, 100);
        if (kind < 5)
            append_heartbeat(source);
        else if (kind < 20)
            append_copy(source);
        else if (kind < 23)
            source->seq++; /* never sent */
        else
            append_event(source);
        world.now_ms += dice_below(&world.dice, 2000);
    }
}

static void step_somebody(void)
{
    int who = dice_below(&world.dice, WORLD_WORKERS + 2);
    struct redriver *one = &redrivers[who % 2];
    if (who < WORLD_WORKERS) {
        if (worker_step(&world, who) != FX_OK && world.code != FX_ERETRY)
            fail_msg("a worker stopped: %s", world.text);
    } else if (one->redrive != NULL && !redrive_is_done(one->redrive)) {
        if (redriver_step(one) != FX_OK)
            fail_msg("a re-drive stopped: %s", world.text);
    }
}

static void crash_worker(int worker)
{
    unsigned half = WORLD_ALL_PARTS / 2;
    worker_close(&world, worker);
    worker_open(&world, worker);
    worker_assign(&world, worker, worker == 0 ? half : WORLD_ALL_PARTS & ~half);
}

static void disturb(void)
{
    int kind = dice_below(&world.dice, 100);
    struct redriver *one = &redrivers[kind % 2];
    if (kind < 6) {
        crash_worker(kind % WORLD_WORKERS);
    } else if (kind < 30) {
        redriver_close(one); /* done or not */
        redriver_open(one, dice_chance(&world.dice, 60)
                               ? REASON_COUNT
                               : (enum reason)dice_below(&world.dice, REASON_COUNT));
    } else if (kind < 36) {
        world.skips++;
    } else if (kind < 50) {
        store_settle_late(&world);
    }
}

/* As fx-setup does, which fences every worker. */
static void mend(void)
{
    world.region_count = KINDS_REGIONS;
    world.accept_simulated = true;
    for (int i = 0; i < WORLD_PARTS; i++)
        world.db.positions[i].generation++;
}

static void play_world(uint64_t seed)
{
    world_open(&world, &catalog, seed);
    world.burst = 1 + dice_below(&world.dice, 40);
    world.polls = dice_below(&world.dice, 4);
    world.fault_percent = dice_below(&world.dice, 10);
    world.tick_ms = 1 + dice_below(&world.dice, 100);
    world.region_count = KINDS_REGIONS - 1;
    int mended = dice_below(&world.dice, ROUNDS);
    open_sources();
    for (int i = 0; i < WORLD_WORKERS; i++)
        crash_worker(i);
    for (int round = 0; round < ROUNDS; round++) {
        append_some();
        if (round == mended)
            mend();
        for (int i = dice_below(&world.dice, 20); i > 0; i--)
            step_somebody();
        disturb();
    }
    world.fault_percent = world.skips = 0;
    world_run(&world);
    store_settle_late(&world);
    for (int i = 0; i < 2; i++)
        redriver_close(&redrivers[i]);
    store_settle_late(&world);
    (void)redrive_reason(REASON_COUNT);
    world_check(&world);
    (void)redrive_reason(REASON_COUNT); /* again: nothing more */
    world_check(&world);
    world_close(&world);
}

static void figures_are_those_of_a_recount(void **state)
{
    (void)state;
    if (getenv("FX_SEED") != NULL)
        fx_log_open("redrive_random_test", FX_LOG_DEBUG);
    play_worlds(WORLDS, play_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(figures_are_those_of_a_recount, name_failing_world),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}

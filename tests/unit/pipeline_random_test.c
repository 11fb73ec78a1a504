/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds in which everything goes wrong at random: the figures are those of a recount.
 *
 * FX_SEED=N runs one world only and says more about it.
 */
#include "fake_check.c"
#include "fake_intake.c"
#include "fake_store.c"
#include "fake_world.c"
#include "fake_worlds.h"

#include "../../common/log.h"

#ifndef WORLDS
#define WORLDS 400
#endif
#define SOURCES 6
#define ROUNDS 60

static struct scratch scratch;
static struct catalog catalog;

/* A source's run as its outbox knows it: numbers are sent in order, some again, some never. */
struct source {
    char name[16];
    int topic;
    int32_t partition;
    int64_t run;
    int64_t seq;
    int64_t beats;
};

/* Who has which partitions; the group gives each to one member, but dead members do not know. */
struct play {
    struct world world;
    struct source sources[SOURCES];
    unsigned parts[WORLD_WORKERS];
};

static int load_catalog(void **state)
{
    (void)state;
    fx_log_open("pipeline_random_test", getenv("FX_SEED") ? FX_LOG_DEBUG : FX_LOG_ERROR);
    kinds_open(&scratch, &catalog);
    return 0;
}

static int release_catalog(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    return 0;
}

static void open_sources(struct play *play)
{
    for (int i = 0; i < SOURCES; i++) {
        struct source *source = &play->sources[i];
        bool is_simulated = i == SOURCES - 1;
        memset(source, 0, sizeof *source);
        snprintf(source->name, sizeof source->name, "%s-%d", is_simulated ? "SIM" : "CP", i);
        source->topic = i % TOPICS;
        source->partition = i / TOPICS % WORLD_PARTITIONS;
        source->run = 1;
    }
}

static struct saying random_saying(struct play *play, struct source *source, int64_t seq)
{
    struct dice *dice = &play->world.dice;
    struct saying saying = saying_of(source->name, source->run, seq);
    saying.topic = source->topic;
    saying.region = kinds_regions[dice_below(dice, KINDS_REGIONS)][0];
    saying_draw(&saying, dice);
    saying.occurred_ms = play->world.now_ms - dice_below(dice, 4000000);
    if (dice_chance(dice, 3))
        saying.occurred_ms += dice_chance(dice, 50) ? 86400000 : -INT64_C(99999999999);
    if (dice_chance(dice, 3))
        saying.region = "NOWHERE";
    if (dice_chance(dice, 2) && source->topic == TOPIC_GATE)
        saying.persons = WORLD_POISON;
    if (dice_chance(dice, 8)) {
        saying.sign = -1;
        saying.persons = 4; /* an extreme, which would be refused, ignores reversals */
        saying.reverses_run = source->run;
        saying.reverses_seq = dice_between(dice, 1, seq);
        saying.counted_ms = dice_chance(dice, 50) ? SAYING_NEVER : play->world.now_ms;
        if (saying.occurred_ms < WORLD_BEGIN_MS || saying.occurred_ms > play->world.now_ms)
            saying.occurred_ms = play->world.now_ms;
    }
    return saying;
}

static void append_heartbeat(struct play *play, struct source *source)
{
    struct saying beat = saying_of(source->name, source->run, ++source->beats);
    beat.topic = source->topic;
    beat.is_heartbeat = true;
    beat.occurred_ms = play->world.now_ms;
    beat.acked_seq = beat.last_seq = source->seq;
    world_append(&play->world, source->partition, &beat, FLAW_NONE);
}

/* Sends an old message of the source again, byte by byte. */
static void append_copy(struct play *play, const struct source *source)
{
    const struct log *log = &play->world.logs[part_index(source->topic, source->partition)];
    if (log->count == 0)
        return;
    const struct record *old = &log->records[dice_below(&play->world.dice, log->count)];
    struct saying saying = old->saying;
    world_append(&play->world, source->partition, &saying, old->flaw);
}

static void append_event(struct play *play, struct source *source)
{
    struct dice *dice = &play->world.dice;
    static const enum flaw flaws[] = {FLAW_BYTES, FLAW_KEY, FLAW_SUMS};
    enum flaw flaw = dice_chance(dice, 4) ? flaws[dice_below(dice, 3)] : FLAW_NONE;
    if (flaw == FLAW_SUMS && source->topic != TOPIC_GATE)
        flaw = FLAW_NONE;
    source->seq += dice_chance(dice, 95) ? 1 : dice_between(dice, 2, 5);
    int64_t seq = source->seq;
    if (dice_chance(dice, 5)) /* comes late, and may have been counted */
        seq = dice_between(dice, 1, source->seq);
    struct saying saying = random_saying(play, source, seq);
    world_append(&play->world, source->partition, &saying, flaw);
}

static void append_some(struct play *play)
{
    struct world *world = &play->world;
    for (int count = dice_below(&world->dice, 12); count > 0; count--) {
        struct source *source = &play->sources[dice_below(&world->dice, SOURCES)];
        int kind = dice_below(&world->dice, 100);
        if (kind < 5)
            append_heartbeat(play, source);
        else if (kind < 15)
            append_copy(play, source);
        else
            append_event(play, source);
        if (kind == 99) {
            source->run++;
            source->seq = source->beats = 0;
        }
        if (kind == 98)
            world_skip_offsets(world, part_index(source->topic, source->partition), 3);
        world->now_ms += dice_below(&world->dice, 2000);
    }
}

/* The worker's partitions go to another, which need not wait for it when it is lost. */
static void rebalance(struct play *play)
{
    struct world *world = &play->world;
    bool is_lost = dice_chance(&world->dice, 40);
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (world->workers[i].pipeline == NULL)
            continue;
        bool was_answered = world->workers[i].intake.change == INTAKE_NONE;
        if (was_answered && play->parts[i] != 0)
            worker_change(world, i, is_lost ? INTAKE_LOST : INTAKE_REVOKE);
        if (was_answered && !(is_lost && dice_chance(&world->dice, 50)))
            (void)worker_step(world, i); /* else it hears of it later */
    }
    unsigned share = (unsigned)dice_below(&world->dice, WORLD_ALL_PARTS + 1);
    for (int i = 0; i < WORLD_WORKERS; i++) {
        play->parts[i] = i == 0 ? share : WORLD_ALL_PARTS & ~share;
        if (world->workers[i].pipeline == NULL)
            worker_open(world, i);
        while (world->workers[i].intake.change == INTAKE_REVOKE ||
               world->workers[i].intake.change == INTAKE_LOST)
            (void)worker_step(world, i);
        worker_assign(world, i, play->parts[i]);
    }
}

/* kill -9, and a new process that gets the same partitions at once. */
static void crash(struct play *play, int worker)
{
    worker_close(&play->world, worker);
    worker_open(&play->world, worker);
    worker_assign(&play->world, worker, play->parts[worker]);
}

/* The group gives all to one worker while the other still believes it has its own. */
static void split_brain(struct play *play)
{
    struct world *world = &play->world;
    int survivor = dice_below(&world->dice, WORLD_WORKERS);
    int dead = 1 - survivor;
    worker_close(world, survivor);
    worker_open(world, survivor);
    worker_assign(world, survivor, WORLD_ALL_PARTS);
    for (int i = dice_below(&world->dice, 30); i > 0; i--)
        assert_true(worker_step(world, i % WORLD_WORKERS) == FX_OK || world->code == FX_ERETRY);
    worker_change(world, dead, INTAKE_LOST);
    while (world->workers[dead].intake.change == INTAKE_LOST)
        (void)worker_step(world, dead);
    play->parts[survivor] = WORLD_ALL_PARTS;
    play->parts[dead] = 0;
}

static void disturb(struct play *play)
{
    struct world *world = &play->world;
    int kind = dice_below(&world->dice, 100);
    if (kind < 5)
        rebalance(play);
    else if (kind < 10)
        crash(play, dice_below(&world->dice, WORLD_WORKERS));
    else if (kind < 13)
        split_brain(play);
    else if (kind < 18)
        world->skips++;
    else if (kind < 30)
        store_settle_late(world);
}

static void draw_limits(struct world *world)
{
    struct dice *dice = &world->dice;
    world->burst = 1 + dice_below(dice, 40);
    world->polls = dice_below(dice, 4);
    world->events_max = 1 + dice_below(dice, 200);
    world->runs_max = dice_chance(dice, 30) ? 12 + dice_below(dice, 8) : 1000;
    world->bytes_max = dice_chance(dice, 30) ? 20000 : 1 << 20;
    world->fault_percent = dice_below(dice, 12);
    world->accept_simulated = dice_chance(dice, 50);
    world->tick_ms = 1 + dice_below(dice, 100);
}

static void play_world(uint64_t seed)
{
    static struct play play;
    struct world *world = &play.world;
    world_open(world, &catalog, seed);
    draw_limits(world);
    open_sources(&play);
    for (int i = 0; i < WORLD_WORKERS; i++) {
        play.parts[i] = i == 0 ? WORLD_ALL_PARTS / 2 : WORLD_ALL_PARTS & ~(WORLD_ALL_PARTS / 2);
        worker_open(world, i);
        worker_assign(world, i, play.parts[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        append_some(&play);
        for (int i = dice_below(&world->dice, 10); i > 0; i--)
            if (worker_step(world, i % WORLD_WORKERS) != FX_OK && world->code != FX_ERETRY)
                fail_msg("a worker stopped: %s", world->text);
        disturb(&play);
        if (round % 10 == 9)
            world_check(world); /* what is committed is right at any moment */
    }
    world->fault_percent = 0;
    world_run(world);
    store_settle_late(world);
    world_check(world);
    world_close(world);
}

static void figures_are_right_whatever_happens(void **state)
{
    (void)state;
    play_worlds(WORLDS, play_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(figures_are_right_whatever_happens, name_failing_world),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}

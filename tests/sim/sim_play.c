/* SPDX-License-Identifier: Apache-2.0 */
/* sim_play - one seed's world from its beginning to its check. */
#include "sim_post.h"
#include "sim_redrive.h"

#include "../unit/fake_check.c"
#include "../unit/fake_world.c"

#include <stdarg.h>

#define CALM_ROUNDS_MAX 20000

struct sim sim;

/* The text costs a sixth of a world's time: it is only made where somebody reads it. */
void sim_trace(const char *format, ...)
{
    char line[256];
    if (!sim.is_tracing)
        return;
    va_list arguments;
    va_start(arguments, format);
    int used = snprintf(line, sizeof line, "%" PRId64 " ", sim.world.now_ms);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    printf("%s\n", line);
}

static void draw_limits(void)
{
    struct world *world = &sim.world;
    struct dice *dice = &world->dice;
    world->burst = 1 + dice_below(dice, 40);
    world->polls = dice_below(dice, 4);
    world->events_max = 1 + dice_below(dice, 200);
    world->runs_max = dice_chance(dice, 30) ? 12 + dice_below(dice, 8) : 1000;
    world->bytes_max = dice_chance(dice, 30) ? 20000 : 1 << 20;
    world->fault_percent = dice_below(dice, 12);
    world->accept_simulated = dice_chance(dice, 50);
    world->tick_ms = 1 + dice_below(dice, 100);
    world->overlap = 0;
    world->region_count = KINDS_REGIONS - dice_chance(dice, 50);
    sim.worker_count = 2 + dice_below(dice, SIM_WORKERS - 2);
    sim.rebuilder = dice_chance(dice, 15) ? SIM_WORKERS - 1 : -1;
    if (sim.rebuilder >= 0) /* the regions of both schemas are the same all the time */
        world->region_count = KINDS_REGIONS;
    sim.freeze_permille = dice_chance(dice, 70) ? dice_below(dice, 30) : 0;
    sim.alloc_every = dice_chance(dice, 40) ? 20 + dice_below(dice, 400) : 0;
}

static void open_sim(const struct catalog *catalog, uint64_t seed)
{
    sim.running = -1;
    sim.is_calm = false;
    sim.alloc_count = sim.broker_shift_ms = 0;
    sim.rebuilder = -1;
    sim.has_redrives = redrive_happens(seed);
    sim.is_rebuilt_late = rebuild_waits(seed);
    database_reset(&sim.next, &sim.world.homes);
    memset(sim.parts, 0, sizeof sim.parts);
    for (int i = 0; i < SIM_BACKENDS; i++)
        sim.backends[i].is_used = sim.backends[i].is_open = false;
    world_open(&sim.world, catalog, seed);
    sim_name_schemas();
    for (int i = 0; i < SIM_BACKENDS; i++)
        sim.backends[i].owner = -1;
    draw_limits();
    feed_open();
    posts_open(seed);
    sim_sync_replica();
    for (int i = 0; i < sim.worker_count; i++)
        sim_start(i);
    sim_rebalance();
    if (sim.rebuilder >= 0)
        sim_rebuild();
}

static void close_sim(void)
{
    sim.events[SIM_rejected] += sim.world.db.rejected_count;
    for (int i = 0; i < sim.world.db.run_count; i++)
        sim.events[SIM_duplicates] += sim.world.db.runs[i].sums.duplicates;
    for (int i = 0; i < WORLD_WORKERS; i++)
        if (sim.world.workers[i].pipeline != NULL)
            sim_kill(i);
    redrive_kill();
    for (int i = 0; i < SIM_BACKENDS; i++) {
        transaction_release(&sim.backends[i].flight);
    }
    posts_close();
    sim_release_replica();
    world_close(&sim.world);
}

/* kill -9; a new process of the same instance has the same partitions at once, or nobody has. */
static void crash(int worker)
{
    sim.events[SIM_crashes]++;
    sim_kill(worker);
    if (dice_chance(&sim.world.dice, 60) && sim.turns[worker].loses_in == 0) {
        sim_start(worker);
        worker_assign(&sim.world, worker, sim.parts[worker]);
    } else {
        sim.parts[worker] = 0;
    }
    sim_trace("crash=%d", worker);
}

/* The broker's clock, or a worker's, is set forward or back. */
static void jump_clock(int worker)
{
    static const int64_t jumps_ms[] = {0, 0, 3600000, -7200000, 90000000, -90000000};
    int64_t jump_ms = jumps_ms[dice_below(&sim.world.dice, 6)];
    if (dice_chance(&sim.world.dice, 50))
        sim.broker_shift_ms = jump_ms;
    else
        sim.turns[worker].clock_ms = jump_ms;
    sim.events[SIM_clock_jumps]++;
}

/* A partition loses its leader, or finds one. */
static void change_leader(void)
{
    unsigned part = 1u << dice_below(&sim.world.dice, WORLD_PARTS);
    sim.events[SIM_leaderless] += (sim.world.leaderless & part) == 0;
    sim.world.leaderless ^= part;
}

static void disturb(void)
{
    struct dice *dice = &sim.world.dice;
    int kind = dice_below(dice, 100);
    int worker = dice_below(dice, sim.worker_count);
    if (kind < 8)
        sim_rebalance();
    else if (kind < 14)
        crash(worker);
    else if (kind < 19)
        sim.world.skips++;
    else if (kind < 26)
        sim_sync_replica();
    else if (kind < 28)
        sim_failover();
    else if (kind < 30)
        sim_add_region();
    else if (kind < 32)
        sim.world.overlap = dice_below(dice, 4);
    else if (kind < 34)
        jump_clock(worker);
    else if (kind < 38)
        sim_write_off();
    else if (kind < 42)
        sim_swap();
    else if (kind < 44 && sim.has_redrives)
        sim_accept_simulated();
    else if (kind < 56 && sim.has_redrives)
        redrive_disturb();
    else if (kind >= 94)
        change_leader();
}

static void check_turn(int worker)
{
    enum fx_code code = sim.turns[worker].code;
    if (code != FX_OK && code != FX_ERETRY)
        fail_msg("worker %d stopped: %s", worker, sim.turns[worker].err.text);
}

static void play_round(void)
{
    struct dice *dice = &sim.world.dice;
    for (int i = dice_below(dice, 10); i > 0; i--) {
        int worker = dice_below(dice, sim.worker_count);
        if (sim_is_up(worker)) {
            (void)sim_turn(worker);
            check_turn(worker);
        }
        sim_serve();
        if (sim.has_redrives)
            redrive_some();
        if (sim.rebuilder >= 0 && dice_chance(dice, 40))
            sim_rebuild();
    }
    for (int i = 0; i < sim.worker_count; i++) {
        if (sim.world.workers[i].pipeline == NULL && dice_chance(dice, 10))
            sim_start(i);
        sim.turns[i].frozen -= sim.turns[i].frozen > 0;
    }
}

/* Nothing goes wrong any more: all must be counted in a bounded number of rounds. */
static void calm_down(void)
{
    sim.is_calm = true;
    sim.alloc_every = 0;
    sim.world.fault_percent = 0;
    sim.world.skips = 0;
    sim.world.leaderless = 0;
    sim.world.tick_ms += 50; /* no wait takes many rounds */
    redrive_kill();
    feed_rest();
    posts_rest();
    sim_settle_group();
    for (int round = 0; !world_is_counted(&sim.world); round++) {
        if (round == CALM_ROUNDS_MAX)
            fail_msg("not counted after %d calm rounds", round);
        for (int i = 0; i < sim.worker_count; i++) {
            (void)sim_turn(i);
            check_turn(i);
        }
        sim_serve();
    }
    for (int round = 0; round < 50; round++)
        sim_serve();
    if (sim.has_redrives)
        redrive_rest();
}

/* Another topic of the same name, as long: every worker that begins must refuse to go on. */
static void recreate(void)
{
    int part = dice_below(&sim.world.dice, WORLD_PARTS);
    struct log *log = &sim.world.logs[part];
    int64_t next = sim.world.db.positions[part].next;
    if (log->count == 0 || !sim.world.db.positions[part].has_bookmark)
        return; /* nothing to know it by: it ends in a hole */
    for (int i = 0; i < log->count; i++)
        log->records[i].append_ms += 12345;
    struct saying saying = log->records[0].saying;
    saying.seq = 4000;
    world_append(&sim.world, part % WORLD_PARTITIONS, &saying, FLAW_NONE);
    sim.events[SIM_recreated]++;
    for (int i = 0; i < sim.worker_count; i++)
        sim_kill(i);
    for (int i = 0; i < 50; i++)
        sim_serve();
    sim_start(0);
    worker_assign(&sim.world, 0, 1u << part);
    int step = 0;
    while (sim_turn(0) != FX_ESTATE)
        if (step++ == 500 || sim.world.db.positions[part].next != next)
            fail_msg("topic of part %d was made anew: nobody noticed", part);
    assert_int_equal(sim.world.db.positions[part].next, next);
}

void sim_play(const struct catalog *catalog, uint64_t seed, int rounds)
{
    open_sim(catalog, seed);
    for (int round = 0; round < rounds; round++) {
        feed_some();
        posts_play();
        play_round();
        disturb();
        if (round % 20 == 19)
            world_check(&sim.world); /* what is committed is right at any moment */
    }
    calm_down();
    world_check(&sim.world);
    if (sim.rebuilder >= 0)
        sim_rebuild_end();
    posts_check();
    if (dice_chance(&sim.world.dice, 10))
        recreate();
    close_sim();
}

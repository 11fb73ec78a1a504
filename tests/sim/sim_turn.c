/* SPDX-License-Identifier: Apache-2.0 */
/* sim_turn - a worker's step on a stack of its own, so that it can stop in the middle. */
#include "sim_redrive.h"

#define STACK_SIZE (512 * 1024)

void sim_point(int worker)
{
    struct turn *turn = &sim.turns[worker];
    if (sim.running != worker || sim.is_calm ||
        dice_below(&sim.world.dice, 1000) >= sim.freeze_permille)
        return;
    turn->frozen = 1 + dice_below(&sim.world.dice, dice_chance(&sim.world.dice, 70) ? 4 : 25);
    turn->is_inside = true;
    sim.events[SIM_freezes]++;
    swapcontext(&turn->context, &sim.scheduler);
}

static void run_step(int worker)
{
    struct turn *turn = &sim.turns[worker];
    fx_err_clear(&turn->err);
    int64_t now_ms = sim.world.now_ms + turn->clock_ms;
    if (worker < SIM_WORKERS)
        turn->code = pipeline_step(sim.world.workers[worker].pipeline, now_ms, 100, &turn->err);
    else
        turn->code = redrive_turn(worker, now_ms, &turn->err);
    turn->is_inside = false;
}

bool sim_is_up(int worker)
{
    return sim.world.workers[worker].pipeline != NULL && sim.turns[worker].frozen == 0;
}

/* A zombie's connection to the group notices some time after it woke. */
static void hear_of_loss(int worker)
{
    struct turn *turn = &sim.turns[worker];
    if (turn->loses_in == 0 || --turn->loses_in > 0)
        return;
    worker_change(&sim.world, worker, INTAKE_LOST);
    sim.events[SIM_lost_assignments]++;
}

enum fx_code sim_turn(int worker)
{
    struct turn *turn = &sim.turns[worker];
    sim.world.now_ms += sim.world.tick_ms;
    if (!turn->is_inside) {
        hear_of_loss(worker);
        getcontext(&turn->context);
        turn->context.uc_stack.ss_sp = turn->stack;
        turn->context.uc_stack.ss_size = STACK_SIZE;
        turn->context.uc_link = &sim.scheduler;
        makecontext(&turn->context, (void (*)(void))run_step, 1, worker);
    }
    turn->is_inside = false;
    turn->code = FX_OK;
    sim.running = worker;
    swapcontext(&sim.scheduler, &turn->context);
    sim.running = -1;
    sim.events[SIM_steps]++;
    sim_trace("turn=%d code=%s frozen=%d change=%d", worker, fx_code_name(turn->code), turn->frozen,
              (int)sim.world.workers[worker].intake.change);
    return turn->code;
}

/* An opening that runs out of memory says so; the next one succeeds. */
static void try_opening(int worker)
{
    struct fx_err err = FX_ERR_INIT;
    struct worker *one = &sim.world.workers[worker];
    struct pipeline_options options = {.catalog = sim.world.catalog,
                                       .intake = &one->intake,
                                       .store = &one->store,
                                       .bytes_max = sim.world.bytes_max,
                                       .runs_max = sim.world.runs_max,
                                       .events_max = sim.world.events_max};
    int64_t every = sim.alloc_every;
    sim.alloc_every = 1 + dice_below(&sim.world.dice, 60);
    sim.running = worker;
    enum fx_code code = pipeline_open(&options, &one->pipeline, &err);
    sim.running = -1;
    sim.alloc_every = every;
    if (code == FX_OK)
        pipeline_close(one->pipeline);
    else
        assert_int_equal(code, FX_EMEMORY);
    sim.events[SIM_unopened] += code != FX_OK;
    one->pipeline = NULL;
}

void sim_reset_turn(int worker)
{
    struct turn *turn = &sim.turns[worker];
    char *stack = turn->stack == NULL ? malloc(STACK_SIZE) : turn->stack;
    assert_non_null(stack);
    memset(turn, 0, sizeof *turn);
    turn->stack = stack;
}

void sim_start(int worker)
{
    sim_reset_turn(worker);
    if (!sim.is_calm && dice_chance(&sim.world.dice, 2))
        try_opening(worker);
    worker_open(&sim.world, worker);
}

void sim_kill(int worker)
{
    sim_hang_up(worker);
    worker_close(&sim.world, worker);
    sim.turns[worker].frozen = 0;
    sim.turns[worker].is_inside = false;
}

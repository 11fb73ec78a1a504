/* SPDX-License-Identifier: Apache-2.0 */
/* sim_group - the group's coordinator: it gives each partition to one member that it hears. */
#include "sim.h"

/* Who is frozen is not heard: it loses its partitions, and hears of that after it woke. */
static void declare_lost(int worker)
{
    if (sim.parts[worker] != 0 && sim.turns[worker].loses_in == 0)
        sim.turns[worker].loses_in = 1 + dice_below(&sim.world.dice, 6);
    sim.parts[worker] = 0;
}

static bool has_change(int worker)
{
    enum intake_change change = sim.world.workers[worker].intake.change;
    return change == INTAKE_REVOKE || change == INTAKE_LOST;
}

/* Eager: everybody gives up what it has before anybody gets anything. */
static void take_back(int worker)
{
    bool is_lost = dice_chance(&sim.world.dice, 30);
    if (sim.turns[worker].loses_in > 0)
        return;
    if (!has_change(worker) && sim.parts[worker] != 0)
        worker_change(&sim.world, worker, is_lost ? INTAKE_LOST : INTAKE_REVOKE);
    while (sim_is_up(worker) && !sim.turns[worker].is_inside && has_change(worker)) {
        enum fx_code code = sim_turn(worker);
        if (code != FX_OK && code != FX_ERETRY)
            fail_msg("worker %d stopped: %s", worker, sim.turns[worker].err.text);
    }
}

static bool is_member(int worker)
{
    return sim_is_up(worker) && !sim.turns[worker].is_inside && sim.turns[worker].loses_in == 0 &&
           !has_change(worker);
}

void sim_rebalance(void)
{
    int members[WORLD_WORKERS];
    int count = 0;
    sim.events[SIM_rebalances]++;
    for (int i = 0; i < sim.worker_count; i++)
        if (sim_is_up(i) && !sim.turns[i].is_inside)
            take_back(i);
    for (int i = 0; i < sim.worker_count; i++) {
        if (is_member(i))
            members[count++] = i;
        else
            declare_lost(i);
        sim.parts[i] = 0;
    }
    if (count == 0)
        return;
    for (int part = 0; part < WORLD_PARTS; part++)
        sim.parts[members[dice_below(&sim.world.dice, count)]] |= 1u << part;
    for (int i = 0; i < count; i++)
        worker_assign(&sim.world, members[i], sim.parts[members[i]]);
    sim_trace("rebalance members=%d parts=%x,%x,%x", count, sim.parts[0], sim.parts[1],
              sim.parts[2]);
}

void sim_settle_group(void)
{
    for (int i = 0; i < sim.worker_count; i++) {
        if (sim.world.workers[i].pipeline == NULL)
            sim_start(i);
        sim.turns[i].frozen = 0;
        while (sim.turns[i].is_inside || sim.turns[i].loses_in > 0)
            (void)sim_turn(i);
    }
    sim_rebalance();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sim_replica - a failover to a replica that lacks the last transactions; and fx-setup. */
#include "sim.h"

static struct db_homes replica_homes; /* of the record schema, as the replica has it */

static void copy_table(struct table *to, const struct table *from)
{
    table_release(to);
    *to = *from;
    if (from->room == 0)
        return;
    to->rows = malloc((size_t)from->room * sizeof *to->rows);
    to->slots = malloc((size_t)from->room * 2 * sizeof *to->slots);
    assert_true(to->rows != NULL && to->slots != NULL);
    memcpy(to->rows, from->rows, (size_t)from->count * sizeof *to->rows);
    memcpy(to->slots, from->slots, (size_t)from->room * 2 * sizeof *to->slots);
}

#define COPY(array, size) memcpy(to->array, from->array, (size_t)(size) * sizeof from->array[0])

static void copy_database(struct database *to, const struct database *from)
{
    COPY(positions, WORLD_PARTS);
    COPY(runs, to->run_count = from->run_count);
    COPY(gaps, to->gap_count = from->gap_count);
    COPY(rejected, to->rejected_count = from->rejected_count);
    COPY(reversals, to->reversal_count = from->reversal_count);
    COPY(corrected, to->corrected_count = from->corrected_count);
    COPY(holes, to->hole_count = from->hole_count);
    COPY(write_offs, to->write_off_count = from->write_off_count);
    COPY(settled, to->settled_count = from->settled_count);
    COPY(simulated_from, WORLD_PARTS);
    COPY(acceptances, to->acceptance_count = from->acceptance_count);
    to->cluster = from->cluster;
    copy_table(&to->rollups, &from->rollups);
    copy_table(&to->hours, &from->hours);
    copy_table(&to->days, &from->days);
    copy_table(&to->tallies, &from->tallies);
    to->commits = from->commits;
}

void sim_sync_replica(void)
{
    copy_database(&sim.replica, &sim.world.db);
    replica_homes = sim.world.homes;
    if (sim.rebuilder >= 0)
        copy_database(&sim.replica_next, &sim.next);
}

void sim_release_replica(void)
{
    database_release_tables(&sim.replica);
    database_release_tables(&sim.replica_next);
    database_release_tables(&sim.next);
}

/* Every connection breaks; what had not reached the replica never happened. */
void sim_failover(void)
{
    sim.events[SIM_failovers]++;
    sim.events[SIM_commits_rolled_back] += sim.world.db.commits - sim.replica.commits;
    copy_database(&sim.world.db, &sim.replica);
    sim.world.homes = replica_homes;
    if (sim.rebuilder >= 0)
        copy_database(&sim.next, &sim.replica_next);
    for (int i = 0; i < SIM_BACKENDS; i++)
        sim.backends[i].is_used = false;
    for (int i = 0; i < WORLD_WORKERS; i++)
        sim.world.workers[i].store.is_connected = false;
    sim_trace("failover");
}

/* fx-setup would wait for the positions that it locks. */
static bool would_wait(void)
{
    for (int i = 0; i < SIM_BACKENDS; i++)
        if (sim.backends[i].is_used && sim.backends[i].is_open)
            return true;
    return false;
}

/* fx-setup adds the last region: it locks the positions and gives each a new generation, so that
 * no worker of the old tree commits any more. */
void sim_add_region(void)
{
    if (sim.world.region_count == KINDS_REGIONS || would_wait())
        return;
    sim.world.region_count = KINDS_REGIONS;
    for (int i = 0; i < WORLD_PARTS; i++) {
        struct db_position *at = &sim.world.db.positions[i];
        sim.world.region_from[i] = at->is_there ? at->next : 0;
        at->generation = (int64_t)dice_u64(&sim.world.dice);
    }
    sim_sync_replica(); /* a person waits until the replica has it */
    sim_trace("region added");
}

static void accept_simulated(struct database *db)
{
    for (int i = 0; i < WORLD_PARTS; i++) {
        struct db_position *at = &db->positions[i];
        db->simulated_from[i] = at->is_there ? at->next : 0;
        at->generation = (int64_t)dice_u64(&sim.world.dice);
    }
}

/* From now on simulated sources count, in both schemas. */
void sim_accept_simulated(void)
{
    if (sim.world.accept_simulated || would_wait())
        return;
    sim.world.accept_simulated = true;
    accept_simulated(&sim.world.db);
    if (sim.rebuilder >= 0)
        accept_simulated(&sim.next);
    sim_sync_replica();
    sim_trace("simulated accepted");
}

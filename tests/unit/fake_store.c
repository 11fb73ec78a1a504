/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store - store.h over tables in memory; a transaction is applied whole or not at all. */
#include "fake_apply.c"
#include "fake_claim.c"

static enum fate next_fate(struct world *world)
{
    if (world->fate_count > 0) {
        enum fate fate = world->fates[0];
        memmove(world->fates, world->fates + 1, sizeof world->fates - sizeof world->fates[0]);
        world->fate_count--;
        return fate;
    }
    return world_roll(world) ? (enum fate)dice_below(&world->dice, FATE_COUNT) : FATE_COMMIT;
}

enum fx_code store_send(struct store *store, const struct flush *flush, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (!store->is_connected)
        return fx_err_set(err, FX_ECLAIM, "flush: no connection");
    store->fate = next_fate(store->world);
    store->conflict = STORE_FENCED;
    if (store->fate == FATE_UNSENT) {
        store->is_connected = false;
        return fx_err_set(err, FX_ECLAIM, "flush: not sent");
    }
    copy_flush(&store->flight, flush);
    store->is_in_flight = true;
    store->polls_left = store->world->polls;
    return FX_OK;
}

/* Keeps the flight for later; one that waits already is given up. */
static void keep_late(struct store *store)
{
    struct world *world = store->world;
    struct transaction *late = &world->late;
    transaction_release(late);
    *late = store->flight;
    memset(&store->flight.rollups, 0, sizeof store->flight.rollups);
    memset(&store->flight.hours, 0, sizeof store->flight.hours);
    memset(&store->flight.days, 0, sizeof store->flight.days);
    memset(&store->flight.tallies, 0, sizeof store->flight.tallies);
    world->is_late = true;
}

void store_settle_late(struct world *world)
{
    if (world->is_late)
        (void)db_apply(&world->db, &world->late);
    world->is_late = false;
}

void store_abandon(struct store *store)
{
    if (!store->is_in_flight)
        return;
    int outcome = dice_below(&store->world->dice, 3);
    if (store->is_in_flight && store->fate != FATE_LOST && store->fate != FATE_LOCKED) {
        if (outcome == 0)
            (void)db_apply(&store->world->db, &store->flight);
        if (outcome == 1)
            keep_late(store);
    }
    store->is_in_flight = store->is_connected = false;
}

static enum fx_code answer(struct store *store, enum verdict verdict, bool *is_done,
                           struct fx_err *err)
{
    bool is_heard = store->fate == FATE_COMMIT;
    store->conflict = verdict == REFUSED_RUNS        ? STORE_RUNS
                      : verdict == REFUSED_REVERSALS ? STORE_MARKS
                                                     : STORE_FENCED;
    if (verdict == APPLIED && is_heard) {
        *is_done = true;
        return FX_OK;
    }
    store->is_connected = false;
    if (verdict == REFUSED_VALUE)
        return fx_err_set(err, FX_EREFUSED, "flush: a value is refused");
    return fx_err_set(err, FX_ECLAIM, "flush: not committed, or in doubt");
}

enum fx_code store_poll(struct store *store, int timeout_ms, bool *is_done, struct fx_err *err)
{
    assert_true(store->is_in_flight);
    if (timeout_ms == 0 && store->polls_left-- > 0)
        return FX_OK;
    store->is_in_flight = false;
    switch (store->fate) {
    case FATE_COMMIT:
    case FATE_LOST_APPLIED:
        return answer(store, db_apply(&store->world->db, &store->flight), is_done, err);
    case FATE_LATE:
        keep_late(store);
        break;
    case FATE_LOST:
    case FATE_LOCKED:
    case FATE_UNSENT:
    case FATE_COUNT:
        break;
    }
    store->fate = FATE_LOST;
    return answer(store, REFUSED_FENCED, is_done, err);
}

enum store_conflict store_conflict(const struct store *store)
{
    return store->conflict;
}

enum fx_code store_claim(struct store *store, struct claim *claim, struct ledger *ledger,
                         struct marks *marks, struct fx_err *err)
{
    struct world *world = store->world;
    struct database *db = &world->db;
    if (store->is_in_flight)
        store_abandon(store);
    assert_int_equal(ledger_count_entries(ledger), 0);
    assert_int_equal(marks->reversed.count + marks->corrected.count, 0);
    if (world->claim_failures > 0 || world_roll(world)) {
        world->claim_failures -= world->claim_failures > 0;
        store->is_connected = false;
        return fx_err_set(err, FX_ERETRY, "claim: no connection");
    }
    if (world->is_redefined)
        return fx_err_set(err, FX_ECONFIG, "the definitions are not the same");
    if (is_other_cluster(db, claim))
        return fx_err_set(err, FX_ESTATE, "another cluster");
    store->is_connected = true;
    lock_positions(db, claim);
    claim->accept_simulated = world->accept_simulated;
    return load_claimed(db, claim, ledger, marks, err);
}

enum fx_code store_load_regions(struct store *store, struct region_tree *tree, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (world_roll(store->world))
        return fx_err_set(err, FX_ERETRY, "regions: no connection");
    for (int i = 0; i < store->world->region_count; i++)
        kinds_add_region(tree, kinds_regions[i]);
    return FX_OK;
}

enum fx_code store_reached(struct store *store, const struct intake_range *ends, int count,
                           bool *is_reached, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (world_roll(store->world)) {
        store->is_connected = false;
        return fx_err_set(err, FX_ERETRY, "reached: no connection");
    }
    *is_reached = true;
    for (int i = 0; i < count; i++) {
        const struct db_position *at =
            &store->world->db.positions[part_index(ends[i].topic, ends[i].partition)];
        *is_reached &= ends[i].high <= (at->is_there ? at->next : 0);
    }
    return FX_OK;
}

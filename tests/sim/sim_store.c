/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_store - store.h over a server with backends, row locks on positions, and a replica.
 *
 * A flush is a transaction of its backend: sent, opened (positions compared and locked until it
 * ends), then judged and committed whole or not at all. The server does so by itself, also when
 * the client froze, died or thinks the flush lost. Who wants a locked row waits for the end of the
 * other transaction, or in vain.
 */
#include "sim_redrive.h"

#include "../unit/fake_apply.c"
#include "../unit/fake_claim.c"

#define LOCK_TIMEOUT_MS 5000
#define STOPPED_AFTER_MS 10000
#define PATIENCE_POLLS 3

static int worker_of(const struct store *store)
{
    for (int i = 0; i < WORLD_WORKERS; i++)
        if (&sim.world.workers[i].store == store)
            return i;
    fail_msg("a store of no worker");
    return -1;
}

static struct backend *backend_of(int worker)
{
    for (int i = 0; i < SIM_BACKENDS; i++)
        if (sim.backends[i].is_used && sim.backends[i].owner == worker)
            return &sim.backends[i];
    return NULL;
}

struct database *sim_database(bool is_next)
{
    return is_next ? &sim.next : &sim.world.db;
}

static bool has_position(const struct backend *backend, int topic, int32_t partition)
{
    for (int i = 0; i < backend->flight.position_count; i++)
        if (backend->flight.positions[i].topic == topic &&
            backend->flight.positions[i].partition == partition)
            return true;
    return false;
}

/* Another transaction that holds one of the rows this one wants. */
static bool is_waiting(const struct backend *backend)
{
    for (int i = 0; i < SIM_BACKENDS; i++) {
        const struct backend *other = &sim.backends[i];
        if (other == backend || !other->is_used || !other->is_open ||
            other->is_next != backend->is_next)
            continue;
        for (int p = 0; p < backend->flight.position_count; p++)
            if (has_position(other, backend->flight.positions[p].topic,
                             backend->flight.positions[p].partition))
                return true;
    }
    return false;
}

/* Planted bugs make the old values look right. */
static void bend_positions(struct backend *backend)
{
    for (int i = 0; i < backend->flight.position_count; i++) {
        struct flush_position *to = &backend->flight.positions[i];
        const struct db_position *at =
            &sim_database(backend->is_next)->positions[part_index(to->topic, to->partition)];
        if (sim.flaw == FLAW_OF_no_compare_and_set || sim.flaw == FLAW_OF_no_generation)
            to->generation = at->generation;
        if (sim.flaw == FLAW_OF_no_compare_and_set)
            to->old_next = at->next;
    }
}

/* Planted bug: rows that another settled are not missed. */
static void bend_settled(struct backend *backend)
{
    const struct database *db = sim_database(backend->is_next);
    struct transaction *flight = &backend->flight;
    int count = 0;
    for (int i = 0; i < flight->settled_count; i++) {
        if (row_of(db, &flight->settled[i]) < 0)
            continue;
        flight->settled[count] = flight->settled[i];
        flight->outcomes[count++] = flight->outcomes[i];
    }
    flight->settled_count = count;
}

/* Rows that a re-driver settled, or could not. */
static void tell_redriven(const struct backend *backend, enum verdict verdict)
{
    bool is_redrive = backend->flight.settled_count > 0;
    sim.events[SIM_redrive_fenced] +=
        is_redrive && verdict == REFUSED_FENCED && !backend->is_doomed;
    if (is_redrive && verdict == APPLIED)
        redrive_note(sim_database(backend->is_next), &backend->flight);
}

static void end(struct backend *backend)
{
    backend->is_used = false;
    backend->owner = -1;
}

/* A rebuild that counted a run first where it does not live. */
static void tell_home(const struct backend *backend, enum verdict verdict)
{
    const struct transaction *flight = &backend->flight;
    bool is_kept = false;
    for (int i = 0; i < flight->run_count && verdict == REFUSED_RUNS && backend->is_next; i++) {
        const struct db_home *home = home_of_run(&sim.next, &flight->runs[i]);
        is_kept |=
            !flight->is_known[i] && home != NULL && home->partition != flight->runs[i].partition;
    }
    sim.events[SIM_homes_kept] += is_kept;
}

/* The transaction to its end, whose locks are free. */
static enum verdict finish(struct backend *backend)
{
    bend_positions(backend);
    if (sim.flaw == FLAW_OF_settled_row_not_checked)
        bend_settled(backend);
    if (backend->is_torn) /* its first statement took effect elsewhere */
        backend->flight.position_count = 0;
    enum verdict verdict = backend->is_doomed
                               ? REFUSED_FENCED
                               : db_apply(sim_database(backend->is_next), &backend->flight);
    tell_redriven(backend, verdict);
    tell_home(backend, verdict);
    sim.events[SIM_commits] += verdict == APPLIED;
    sim.events[SIM_late_commits] += verdict == APPLIED && backend->owner < 0;
    sim_trace("end=%d owner=%d verdict=%d", (int)(backend - sim.backends), backend->owner,
              (int)verdict);
    end(backend);
    return verdict;
}

/* The first statement: compare and lock the positions. */
static bool open_it(struct backend *backend)
{
    bend_positions(backend);
    for (int i = 0; i < backend->flight.position_count; i++) {
        const struct flush_position *to = &backend->flight.positions[i];
        const struct db_position *at =
            &sim_database(backend->is_next)->positions[part_index(to->topic, to->partition)];
        if (!at->is_there || at->next != to->old_next || at->generation != to->generation)
            return false;
    }
    backend->is_open = true;
    sim.events[SIM_held_locks]++;
    return true;
}

void sim_serve(void)
{
    for (int i = 0; i < SIM_BACKENDS; i++) {
        struct backend *backend = &sim.backends[i];
        if (!backend->is_used || !dice_chance(&sim.world.dice, 35))
            continue;
        if (!backend->is_open && !is_waiting(backend) && !open_it(backend)) {
            if (backend->owner < 0)
                end(backend);
        } else if (backend->is_open && backend->owner < 0) {
            (void)finish(backend);
        }
    }
}

static struct backend *free_backend(void)
{
    for (int i = 0; i < SIM_BACKENDS; i++)
        if (!sim.backends[i].is_used)
            return &sim.backends[i];
    for (int i = 0; i < SIM_BACKENDS; i++)
        if (sim.backends[i].owner < 0) {
            end(&sim.backends[i]); /* the server runs out of connections */
            return &sim.backends[i];
        }
    fail_msg("no backend is free");
    return NULL;
}

enum fx_code store_send(struct store *store, const struct flush *flush, struct fx_err *err)
{
    int worker = worker_of(store);
    struct world *world = &sim.world;
    sim_point(worker);
    assert_false(store->is_in_flight);
    if (sim.turns[worker].has_heard)
        fail_msg("worker %d flushes though it knows that its assignment is lost", worker);
    store->conflict = STORE_FENCED;
    store->fate = world_roll(world) ? (enum fate)dice_below(&world->dice, FATE_COUNT) : FATE_COMMIT;
    if (!store->is_connected || store->fate == FATE_UNSENT) {
        store->is_connected = false;
        return fx_err_set(err, FX_ECLAIM, "flush: not sent");
    }
    sim.events[SIM_zombie_sends] += sim.turns[worker].loses_in > 0;
    store->is_in_flight = true;
    store->polls_left = world->polls;
    if (store->fate != FATE_LOST) {
        struct backend *backend = free_backend();
        copy_flush(&backend->flight, flush);
        if (flush->settled_count > 0 && sim.flaw == FLAW_OF_redrive_without_claim)
            backend->flight.position_count = 0;
        backend->is_used = true;
        backend->is_open = false;
        backend->is_doomed = false;
        backend->is_torn = false;
        backend->is_next = worker == sim.rebuilder;
        backend->is_half = dice_chance(&world->dice, 30);
        backend->owner = worker;
        backend->sent_ms = world->now_ms;
    }
    sim_trace("send=%d fate=%d positions=%d", worker, (int)store->fate, flush->position_count);
    sim_point(worker);
    return FX_OK;
}

/* Nobody waits for the answer any more; the server may not know yet. */
static void let_go(struct backend *backend)
{
    if (backend->is_half && !backend->is_open) {
        end(backend);
        return;
    }
    backend->is_doomed = backend->is_half || dice_chance(&sim.world.dice, 30);
    backend->owner = -1;
}

static enum fx_code lose(struct store *store, const char *why, struct fx_err *err)
{
    struct backend *backend = backend_of(worker_of(store));
    if (backend != NULL)
        let_go(backend);
    store->is_in_flight = store->is_connected = false;
    return fx_err_set(err, FX_ECLAIM, "flush: %s", why);
}

static enum fx_code conclude(struct store *store, enum verdict verdict, bool *is_done,
                             struct fx_err *err)
{
    store->conflict = verdict == REFUSED_RUNS        ? STORE_RUNS
                      : verdict == REFUSED_REVERSALS ? STORE_MARKS
                                                     : STORE_FENCED;
    if ((verdict == APPLIED && store->fate == FATE_COMMIT) || sim.flaw == FLAW_OF_no_commit_tag) {
        store->is_in_flight = false;
        *is_done = true;
        return FX_OK;
    }
    sim.events[SIM_lost_answers] += verdict == APPLIED;
    (void)lose(store, "not committed, or in doubt", err);
    if (verdict == REFUSED_VALUE)
        err->code = FX_EREFUSED;
    return err->code;
}

enum fx_code store_poll(struct store *store, int timeout_ms, bool *is_done, struct fx_err *err)
{
    int worker = worker_of(store);
    assert_true(store->is_in_flight);
    sim_point(worker);
    struct backend *backend = backend_of(worker);
    if (backend == NULL || store->fate == FATE_LATE)
        return lose(store, "the connection is gone", err);
    backend->is_half = false;
    if (timeout_ms == 0 && store->polls_left-- > 0)
        return FX_OK;
    if (!backend->is_open && is_waiting(backend)) {
        if (store->polls_left > -PATIENCE_POLLS)
            return FX_OK;
        end(backend);
        sim.turns[worker].is_blocked = true;
        sim.events[SIM_lock_timeouts]++;
        return lose(store, "a lock did not come", err);
    }
    backend->is_doomed = store->fate == FATE_LOCKED;
    enum verdict verdict = finish(backend);
    sim_point(worker);
    return conclude(store, verdict, is_done, err);
}

void store_abandon(struct store *store)
{
    if (store->is_in_flight) {
        struct fx_err err = FX_ERR_INIT;
        (void)lose(store, "abandoned", &err);
    }
}

void sim_hang_up(int worker)
{
    store_abandon(&sim.world.workers[worker].store);
}

enum store_conflict store_conflict(const struct store *store)
{
    return store->conflict;
}

/* Ends transactions whose clients have stopped in the middle. */
static void terminate_stopped(int worker)
{
    for (int i = 0; i < SIM_BACKENDS && sim.turns[worker].is_blocked; i++) {
        struct backend *backend = &sim.backends[i];
        if (backend->is_used && (backend->is_half || backend->owner < 0) &&
            sim.world.now_ms - backend->sent_ms > STOPPED_AFTER_MS) {
            end(backend);
            sim.events[SIM_terminations]++;
        }
    }
    sim.turns[worker].is_blocked = false;
}

/* Waits until no other transaction holds a row of the claim; false: in vain. */
static bool wait_for_locks(int worker, const struct claim *claim)
{
    for (int i = 0; i < SIM_BACKENDS; i++) {
        struct backend *backend = &sim.backends[i];
        bool is_held = false;
        bool is_same = backend->is_next == (worker == sim.rebuilder);
        for (int p = 0; p < claim->count && backend->is_used && backend->is_open && is_same; p++)
            is_held |=
                has_position(backend, claim->partitions[p].topic, claim->partitions[p].partition);
        if (!is_held)
            continue;
        /* the server has all of it and ends it by itself; whoever sent it may not hear of that */
        if (backend->is_half || dice_chance(&sim.world.dice, backend->owner >= 0 ? 60 : 30)) {
            sim.world.now_ms += LOCK_TIMEOUT_MS;
            sim.turns[worker].is_blocked = true;
            sim.events[SIM_lock_timeouts]++;
            return false;
        }
        (void)finish(backend);
        sim.events[SIM_lock_waits]++;
    }
    return true;
}

/* Planted bug: nothing is known of where runs live. */
static enum fx_code load_all(struct database *db, struct claim *claim, struct ledger *ledger,
                             struct marks *marks, struct fx_err *err)
{
    static struct db_homes none;
    if (sim.flaw == FLAW_OF_run_home_not_loaded)
        db->homes = &none;
    enum fx_code code = load_claimed(db, claim, ledger, marks, err);
    db->homes = &sim.world.homes;
    return code;
}

static enum fx_code claim_all(int worker, struct claim *claim, struct ledger *ledger,
                              struct marks *marks, struct fx_err *err)
{
    struct database *db = sim_database(worker == sim.rebuilder);
    bool is_early = sim.flaw == FLAW_OF_no_claim_lock;
    bool is_tame = worker >= SIM_WORKERS && sim.flaw == FLAW_OF_redrive_without_claim;
    terminate_stopped(worker);
    if (is_early && load_all(db, claim, ledger, marks, err) != FX_OK)
        return err->code;
    if (!is_tame && !wait_for_locks(worker, claim))
        return fx_err_set(err, FX_ECLAIM, "claim: a lock did not come");
    if (is_other_cluster(db, claim))
        return fx_err_set(err, FX_ESTATE, "another cluster");
    struct db_position *first =
        &db->positions[part_index(claim->partitions[0].topic, claim->partitions[0].partition)];
    int64_t generation = first->generation;
    lock_positions(db, claim);
    if (is_tame)
        first->generation = generation;
    claim->accept_simulated = sim.world.accept_simulated;
    if (!is_early && load_all(db, claim, ledger, marks, err) != FX_OK)
        return err->code;
    sim.events[SIM_claims]++;
    return FX_OK;
}

enum fx_code store_claim(struct store *store, struct claim *claim, struct ledger *ledger,
                         struct marks *marks, struct fx_err *err)
{
    int worker = worker_of(store);
    sim_point(worker);
    store_abandon(store);
    assert_int_equal(ledger_count_entries(ledger), 0);
    assert_int_equal(marks->reversed.count + marks->corrected.count, 0);
    store->is_connected = false;
    if (world_roll(&sim.world))
        return fx_err_set(err, FX_ERETRY, "claim: no connection");
    if (claim_all(worker, claim, ledger, marks, err) != FX_OK)
        return err->code;
    store->is_connected = true;
    sim_trace("claim=%d partitions=%d", worker, claim->count);
    sim_point(worker);
    return FX_OK;
}

enum fx_code store_load_regions(struct store *store, struct region_tree *tree, struct fx_err *err)
{
    sim_point(worker_of(store));
    if (world_roll(&sim.world))
        return fx_err_set(err, FX_ERETRY, "regions: no connection");
    for (int i = 0; i < sim.world.region_count && err->code == FX_OK; i++) {
        struct region node = {.level = kinds_regions[i][1][0] == 't'   ? REGION_TOWN
                                       : kinds_regions[i][1][1] == 'o' ? REGION_COUNTY
                                                                       : REGION_CITY};
        snprintf(node.code, sizeof node.code, "%s", kinds_regions[i][0]);
        snprintf(node.name, sizeof node.name, "%s", kinds_regions[i][0]);
        (void)(region_tree_add(tree, &node, kinds_regions[i][2], err) == FX_OK);
    }
    return err->code;
}

enum fx_code store_reached(struct store *store, const struct intake_range *ends, int count,
                           bool *is_reached, struct fx_err *err)
{
    (void)store;
    (void)ends;
    (void)count;
    (void)is_reached;
    return fx_err_set(err, FX_ERETRY, "reached: not simulated");
}

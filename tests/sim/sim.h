/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim - worlds of several real workers that share a broker and a database which both misbehave.
 *
 * All of pipeline, plan, ledger, cells and levels is the real code. Kafka, PostgreSQL, time,
 * chance and memory are made here, from one seed: a seed gives the same trace byte for byte.
 *
 *   sim_play   one seed's world, round by round, and its check
 *   sim_turn   one step of a worker, which may freeze at any call of intake.h or store.h
 *   sim_group  who has which partition, and who only believes it
 *   sim_feed   the producers: outboxes that send in order, late, twice, never
 *   sim_decide what a person decides meanwhile: write-offs, a rebuild, a swap
 *   sim_redrive  rejected events taken again, in some worlds (sim_redrive.h)
 *   sim_store, sim_intake, sim_alloc   the seams
 *   sim_post   some worlds: real outboxes and shippers that feed the same logs (sim_post.h)
 */
#ifndef FX_SIM_H
#define FX_SIM_H

#include "../unit/fake_world.h"

#include <ucontext.h>

#define SIM_BACKENDS 8
#define SIM_REDRIVERS 2 /* the last of WORLD_WORKERS */
#define SIM_WORKERS (WORLD_WORKERS - SIM_REDRIVERS)

/* What happened, so that a suite can tell that it did. */
/* clang-format off */
#define SIM_EVENTS                                                                                 \
    X(steps) X(claims) X(commits) X(crashes) X(freezes) X(rebalances) X(lost_assignments)          \
    X(zombie_sends) X(lost_answers) X(late_commits) X(held_locks) X(lock_timeouts) X(lock_waits)   \
    X(terminations) X(failovers) X(commits_rolled_back) X(failed_allocations) X(unopened)          \
    X(records) X(resent) X(held_back) X(moved) X(reversed) X(rejected) X(duplicates)               \
    X(recreated) X(clock_jumps) X(write_offs) X(swaps) X(swap_waits) X(rebuilt)                    \
    X(post_worlds) X(post_events) X(post_counted) X(post_crashes) X(power_cuts) X(deaths_in_calls) \
    X(torn_writes) X(failed_reads) X(failed_writes) X(failed_syncs) X(full_disks) X(disk_errors)   \
    X(full_outboxes) X(rollbacks) X(repeated_ids) X(post_reversed) X(post_resends) X(beats)        \
    X(producers) X(failed_deliveries) X(fatal_errors) X(full_queues) X(broker_away)                \
    X(late_records) X(lost_records) X(lost_named) X(added_partitions) X(cloned_posts)              \
    X(restored_images) X(redrives) X(redriven) X(redrive_fenced) X(homes_kept) X(leaderless)
/* clang-format on */

#define X(name) SIM_##name,
enum sim_event { SIM_EVENTS SIM_EVENT_COUNT };
#undef X

/* Bugs that lie in the database's part of the protocol, which production writes as SQL. */
/* clang-format off */
#define SIM_FLAWS                                                                                  \
    X(none) X(no_compare_and_set) X(no_generation) X(no_commit_tag) X(no_claim_lock)               \
    X(write_off_without_claim) X(swap_without_lock) X(swap_behind) X(redrive_without_claim)        \
    X(settled_row_not_checked) X(run_home_not_loaded) X(run_home_not_noted)
/* clang-format on */
#define X(name) FLAW_OF_##name,
enum sim_flaw { SIM_FLAWS SIM_FLAW_COUNT };
#undef X

/* A transaction on its way; the server goes on with it whatever becomes of the client. */
struct backend {
    bool is_used;
    bool is_open;   /* the positions are compared and locked */
    bool is_half;   /* the client has not sent the rest yet */
    bool is_doomed; /* will not commit */
    bool is_next;   /* of the schema "next" */
    bool is_torn;   /* a swap came between its first statement and the others */
    int owner;      /* worker that waits for the answer, -1: nobody does */
    int64_t sent_ms;
    struct transaction flight;
};

/* A worker's thread of control. */
struct turn {
    ucontext_t context;
    char *stack;
    bool is_inside;   /* frozen within a step */
    int frozen;       /* rounds to go */
    int64_t clock_ms; /* its clock is ahead by this */
    int loses_in;     /* turns until it hears that its assignment is lost, 0: nothing to hear */
    bool has_heard;   /* it knows: from now on it sends nothing */
    bool is_blocked;  /* waited for a lock in vain */
    enum fx_code code;
    struct fx_err err;
};

struct sim {
    struct world world;
    struct database replica; /* what a failover goes back to */
    struct database next;    /* the schema "next", counted anew by the rebuilder */
    struct database replica_next;
    int rebuilder;        /* worker that counts into next, -1: nobody */
    bool is_rebuilt_late; /* it begins when the live schema has counted everything */
    bool has_redrives;
    struct backend backends[SIM_BACKENDS];
    struct turn turns[WORLD_WORKERS];
    unsigned parts[WORLD_WORKERS]; /* as the group sees it */
    int worker_count;
    int running; /* worker whose step runs, -1: none */
    ucontext_t scheduler;
    enum sim_flaw flaw;
    int freeze_permille;     /* of calls */
    int64_t broker_shift_ms; /* the broker's clock is ahead by this */
    int64_t alloc_every;     /* every so manieth allocation of a step fails, 0: none */
    int64_t alloc_count;
    const char *folder; /* on a real disk */
    bool is_tracing;
    bool is_calm; /* no more faults */
    int64_t events[SIM_EVENT_COUNT];
};

extern struct sim sim;

/* sim_play.c */
void sim_play(const struct catalog *catalog, uint64_t seed, int rounds);
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sim_turn.c */
void sim_point(int worker); /* a call of a seam: the worker may freeze here */
enum fx_code sim_turn(int worker);
void sim_start(int worker);
void sim_reset_turn(int worker);
void sim_kill(int worker);
bool sim_is_up(int worker); /* there, and not frozen */

/* sim_group.c */
void sim_rebalance(void);
void sim_settle_group(void); /* a last, orderly rebalance */

/* sim_feed.c */
void feed_open(void);
void feed_some(void);
void feed_rest(void); /* sends what was held back, in half of the worlds */

/* sim_store.c */
void sim_serve(void); /* the server goes on by itself */
void sim_hang_up(int worker);
void sim_sync_replica(void);
void sim_failover(void);
void sim_release_replica(void);
void sim_add_region(void);
void sim_accept_simulated(void);
struct database *sim_database(bool is_next); /* by the name of its schema */

/* sim_decide.c: what a person decides, while workers count */
void sim_write_off(void);
void sim_swap(void);
void sim_rebuild(void);     /* a rebuilder's turn, if there is one */
void sim_rebuild_end(void); /* it counts all there is; both schemas are checked */

#endif

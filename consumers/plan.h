/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - an event's bytes into rollup deltas: one kind's schemas and rollups, compiled.
 *
 * plan_read turns a message's value into a struct event, or names the reason why not.
 * plan_apply adds a read event to the kind's cells: which region, bucket and dimensions, which
 * columns. Both are straight walks over tables made at plan_open; neither allocates, except that
 * cells may grow and a new string dimension gets a name.
 *
 * Pure: no I/O, no clock. Not the place for dedupe (ledger.h) or for time rules (pipeline.h).
 * Invariant: after any return of plan_apply but FX_OK no figure has changed; an empty cell may be
 * new. Limits: PLAN_PREDICATES_MAX different conditions per rollup (checked at plan_open).
 */
#ifndef FX_PLAN_H
#define FX_PLAN_H

#include "../schemas/heartbeat_schema.h"
#include "../schemas/region.h"
#include "catalog.h"
#include "cells.h"
#include "decode.h"
#include "ledger.h"
#include "reason.h"

#define PLAN_PREDICATES_MAX 64

/* A read event. Texts point into the message and into the plan. */
struct event {
    struct decoded fields;  /* by the kind's current schema */
    bool is_envelope_valid; /* source, run and seq may be believed */
    bool is_heartbeat;      /* fields are the heartbeat's; see enum heartbeat_field */
    struct decoded_text source;
    int64_t run;
    int64_t seq;
};

/* An event, and what the caller decided about it before it counts. */
struct plan_target {
    const struct event *event;
    int64_t counted_ms; /* the instant whose bucket it counts in */
    int sign;           /* 1 or -1 */
    uint32_t source;    /* id in the ledger's names */
    int region;         /* index of the envelope's region */
    const struct region_tree *regions;
    struct cells *const *cells; /* one table per rollup of the kind */
};

struct plan;

/*
 * Compiles kinds[kind] of catalog, whose other kinds are known as wrong ones. Borrows catalog.
 * FX_ECONFIG: more conditions than PLAN_PREDICATES_MAX, a wrong heartbeat schema; FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code plan_open(const struct catalog *catalog, int kind, uint64_t seed,
                                     struct plan **plan, struct fx_err *err);
void plan_close(struct plan *plan);

/* How many rollups the kind has, and the definition of each. */
int plan_rollup_count(const struct plan *plan);
const struct rollup *plan_rollup(const struct plan *plan, int rollup);

/* Whether events of the current schema are read and counted by code made for them when the program
 * was built. If not, as after a change of the kind, the tables are walked: the same, but slower. */
bool plan_is_straight(const struct plan *plan);

/* REASON_COUNT: event is filled. Another reason: why not; detail (ours, ASCII) says more, and
 * is_envelope_valid whether source, run and seq are filled all the same. */
enum reason plan_read(const struct plan *plan, const uint8_t *bytes, size_t size,
                      struct event *event, char detail[static 96]);

/*
 * Adds target->event to target->cells[rollup] of each of the kind's rollups.
 * FX_EFULL: some cells are full; FX_EMEMORY. No figure changed then.
 */
FX_MUST_CHECK enum fx_code plan_apply(struct plan *plan, const struct plan_target *target,
                                      struct fx_err *err);

/* How many more events may bring strings as dimensions; if none: flush, then plan_forget, as it is
 * done at a claim. */
int64_t plan_room(const struct plan *plan);

/* Forgets the strings met as dimensions; no cell may refer to one any more. */
void plan_forget(struct plan *plan);

/* The text of dimension index of a cell of rollup: a symbol or a kept string. */
const char *plan_dimension_text(const struct plan *plan, const struct rollup *rollup, int dimension,
                                uint32_t id);

#endif

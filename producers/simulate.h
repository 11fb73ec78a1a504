/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate - a city's day as device lines, from a seed.
 *
 * Makes the NDJSON lines that real devices of one kind would write: rush hours, towns of very
 * different sizes (86:1, as the census of Haifeng's towns), queues that build up and drain, rare
 * fevers and yellow codes, admissions and releases that balance, posts that fall silent, a few
 * posts that belong to a county or to the city itself. Every line names its own source
 * ("SIM-…") and region and carries its time, so one station can play all posts of a kind.
 *
 * All kinds tell one story of the same people: runs of the same seed, span and region tree fit
 * together, whatever their events and sources. What is told, and what holds across kinds, stands in
 * simulate_story.h. screening, contact, duty and service are that story alone.
 *
 * Deterministic: the same options give the same lines on every machine, and the first n lines of
 * a run are the lines 1 to n of any other, so that a killed simulation resumes by skipping what
 * its outbox already holds. Only integer arithmetic decides.
 *
 * Pure but for simulation_write_sources. Not a load generator: see tests/bench for that.
 */
#ifndef FX_SIMULATE_H
#define FX_SIMULATE_H

#include "../common/buf.h"
#include "../common/err.h"
#include "../schemas/region.h"

#include <stdint.h>
#include <stdio.h>

#define SIMULATION_SOURCES_MAX 200000
#define SIMULATION_MODEL 2 /* goes up when the same options come to give other lines */

struct simulation;

struct simulation_options {
    const char *kind; /* "checkpoint", "test_site", "quarantine", "screening", "contact", "duty",
                         "service" */
    int64_t events;   /* lines to make, >= 1; of the last four at most, they end with the story */
    int64_t sources;  /* posts, 1 to SIMULATION_SOURCES_MAX, beside those of the story */
    int64_t from_ms;  /* first instant; times ascend up to to_ms */
    int64_t to_ms;
    uint64_t seed;
    const struct region_tree *regions; /* borrowed while the simulation is open */
};

/* FX_ECONFIG: no model for the kind, an empty time span, no towns; FX_EMEMORY. */
FX_MUST_CHECK enum fx_code simulation_open(const struct simulation_options *options,
                                           struct simulation **simulation, struct fx_err *err);

/* Puts the next line, without newline, into line (emptied first). *is_done: there is none. */
FX_MUST_CHECK enum fx_code simulation_next(struct simulation *simulation, struct buf *line,
                                           bool *is_done, struct fx_err *err);

/* Goes behind the next count lines without writing them out. */
FX_MUST_CHECK enum fx_code simulation_skip(struct simulation *simulation, int64_t count,
                                           struct fx_err *err);

/* The posts as rows of sources.csv (no header): source,kind,name,region,valid_from,valid_to. */
FX_MUST_CHECK enum fx_code simulation_write_sources(const struct simulation *simulation, FILE *out,
                                                    struct fx_err *err);

void simulation_close(struct simulation *simulation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - events of one kind for benchmarks, made faster than anything counts them.
 *
 * What the events say comes from the producers' own simulation (simulate.h) through their record
 * and encoder; POOL_EVENTS of them are made once and dealt out again with source, run, seq, time
 * and region replaced. Every source says what one simulated post said, so that it is of one type,
 * and stands at one place: a town, one in a hundred at a county's or the city's own node. It
 * numbers its events without a gap.
 *
 * Ownership: a pool owns all of it until the process ends.
 */
#ifndef FX_POOL_H
#define FX_POOL_H

#include "../../schemas/region.h"
#include "../../schemas/schema.h"
#include "../../schemas/wire.h"

#define POOL_EVENTS 20000

struct pool_source {
    char name[SCHEMA_SOURCE_MAX + 1];
    size_t name_size;
    int region;
    int64_t run;
};

struct pool_options {
    const char *schemas; /* directory */
    const char *kind;
    int64_t events; /* how many will be asked for: they are spread over spread_ms */
    int64_t sources;
    int64_t first; /* number of each source's first event */
    int64_t from_ms;
    int64_t spread_ms;
};

struct pool; /* opaque: the producers' struct event is another than the consumers' */

FX_MUST_CHECK enum fx_code pool_open(const struct pool_options *options, struct pool **pool,
                                     struct fx_err *err);

const struct region_tree *pool_regions(const struct pool *pool);
const struct pool_source *pool_sources(const struct pool *pool);

struct pool_message {
    const struct pool_source *source;
    size_t size;
    uint8_t bytes[WIRE_EVENT_MAX];
};

/* Event number (0 <= number < events) as it lies in Kafka. */
FX_MUST_CHECK enum fx_code pool_event(struct pool *pool, int64_t number,
                                      struct pool_message *message, struct fx_err *err);

#endif

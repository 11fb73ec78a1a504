/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_model - what the files simulate*.c share; nobody else includes it.
 *
 * simulate.c owns the clock and the choice of a post, simulate_city.c the posts and their towns,
 * simulate_<kind>.c what a post writes down. See simulate_kind.h for what a kind is.
 *
 * All randomness is drawn from one sequence (simulate_dice.h) in the order of the lines, written
 * out or skipped alike; but for the common story (simulate_story.h), which has short ones of its
 * own.
 */
#ifndef FX_SIMULATE_MODEL_H
#define FX_SIMULATE_MODEL_H

#include "../common/day.h"
#include "simulate_kind.h"
#include "simulate_story.h"

#define SIM_TRANSFERS_MAX 64
#define SIM_NOBODY UINT32_MAX

struct sim_transfer {
    int64_t out_ms;
    int64_t from; /* index of a post */
    uint16_t persons;
    uint8_t tier;
};

/* The instants: equal shares of the span's weight, each at a random place within its share. */
struct sim_clock {
    int64_t slot_from_ms; /* a slot is what lies in the span of one local hour */
    int64_t slot_to_ms;
    int64_t slot_base; /* weight before it */
    int64_t weight;    /* of one millisecond in it */
    int64_t position;  /* weight before the next line */
    int64_t step;      /* total / events */
    int64_t rest;      /* total % events */
    int64_t carried;
    int64_t total;
};

struct sim_offline {
    uint32_t post; /* SIM_NOBODY */
    int64_t until_ms;
};

struct simulation {
    struct simulation_options options;
    const struct sim_kind *kind;
    struct sim_post *posts;
    uint32_t post_count;
    uint32_t *thresholds; /* Walker's alias table over posts */
    uint32_t *aliases;
    struct sim_offline *offline;
    uint32_t offline_count;
    int32_t year;
    int64_t made;       /* lines */
    int64_t total;      /* to make */
    int64_t background; /* of them, those that are not the story's */
    int64_t background_made;
    bool is_ticked; /* now_ms is the instant of the next line of the background */
    uint64_t random;
    int64_t now_ms;
    int64_t load_permille; /* of the mean over the span, now */
    struct sim_clock clock;
    struct sim_transfer transfers[SIM_TRANSFERS_MAX]; /* on the road, a ring */
    uint32_t transfer_first;
    uint32_t transfer_count;
    bool is_claimed; /* the post of this line was chosen by the kind */
    struct story story;
};

static inline uint64_t sim_draw(struct simulation *simulation)
{
    return dice_draw(&simulation->random);
}

/* 0 to limit - 1, limit >= 1 */
static inline int32_t sim_below(struct simulation *simulation, int32_t limit)
{
    return (int32_t)(((sim_draw(simulation) >> 32) * (uint64_t)limit) >> 32);
}

/* from to to, both possible */
static inline int32_t sim_between(struct simulation *simulation, int32_t from, int32_t to)
{
    return from + sim_below(simulation, to - from + 1);
}

static inline int32_t sim_smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* FNV-1a */
static inline uint64_t sim_hash(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

/* The values of a line before anything is stated. */
static inline void sim_clear(const struct sim_kind *kind, int32_t *values)
{
    for (int i = 0; i < kind->field_count; i++) {
        enum sim_type type = kind->fields[i].type;
        values[i] = type == SIM_COUNT || type == SIM_FLAG ? 0 : SIM_ABSENT;
    }
}

static inline int32_t sim_seconds(const struct simulation *simulation, int64_t at_ms)
{
    return (int32_t)((at_ms - simulation->options.from_ms) / 1000);
}

static inline int32_t sim_local_hour(int64_t at_ms)
{
    return (int32_t)((at_ms + DAY_ZONE_OFFSET_MS) / DAY_HOUR_MS % 24);
}

/* Index of one of count weights that sum to 100. */
int32_t sim_choose(struct simulation *simulation, const uint8_t *weights, int count);

/* Silent for a power cut, or its lines come late: not to be chosen now. */
bool sim_is_away(const struct simulation *simulation, const struct sim_post *post);

/* Length of the post's queue at at_ms; peak is about its length when the load is twice the mean. */
int32_t sim_queue(struct simulation *simulation, struct sim_post *post, int64_t at_ms,
                  int32_t peak);

/* Places the posts and fills posts, thresholds and aliases (simulate_city.c). */
FX_MUST_CHECK enum fx_code sim_city_open(struct simulation *simulation, struct fx_err *err);

/* Index of a post, by its share of the lines. */
uint32_t sim_city_draw(struct simulation *simulation);

/* Fills residents, one for each node of tree: those of towns, 0 for others. */
FX_MUST_CHECK enum fx_code sim_city_residents(const struct region_tree *tree, int32_t *residents,
                                              struct fx_err *err);

#endif

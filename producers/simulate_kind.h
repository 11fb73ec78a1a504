/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_kind - what a simulated post is and keeps in mind, and a kind of posts: a table.
 *
 * A field is written by its type, so the model of a kind (simulate_<kind>.c) only fills in
 * numbers. Shared by the files simulate*.c alone.
 */
#ifndef FX_SIMULATE_KIND_H
#define FX_SIMULATE_KIND_H

#include "simulate.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_FIELDS_MAX 32
#define SIM_ROLES_MAX 6
#define SIM_TRIPS_MAX 8
#define SIM_TIERS 6

/* Values of a field that are no numbers. */
#define SIM_ABSENT INT32_MIN
#define SIM_NULL (INT32_MIN + 1)

enum sim_type {
    SIM_COUNT,  /* left out when 0 */
    SIM_NUMBER, /* left out when SIM_ABSENT */
    SIM_FLAG,   /* true; left out when 0 */
    SIM_SYMBOL, /* index into symbols */
    SIM_REGION, /* node of the tree; -1, -2, ...: a place outside; SIM_NULL */
    SIM_ROUND   /* "2022-R1"; "" when 0 */
};

struct sim_field {
    const char *key; /* as it stands in a line: ,"persons": */
    uint8_t key_size;
    enum sim_type type;
    const char *const *symbols;
};

#define SIM_KEY(name) ",\"" name "\":", sizeof(",\"" name "\":") - 1

struct sim_line {
    int64_t at_ms;
    int32_t values[SIM_FIELDS_MAX]; /* in the order of the kind's fields */
};

/* What a courier took to the laboratory in one go; times in seconds since from_ms. */
struct sim_trip {
    int32_t sampled_s; /* its first tube */
    int32_t due_s;     /* arrival, then result */
    uint32_t tubes;
    uint32_t persons;
    uint16_t round;
    bool is_received;
};

struct sim_test_site {
    struct sim_trip trips[SIM_TRIPS_MAX]; /* a ring, oldest first */
    uint8_t first;
    uint8_t count;
    uint16_t filled_round; /* of the tubes that wait to be sealed */
    uint32_t filled_tubes;
    uint32_t filled_persons;
    int32_t filled_since_s;
    int32_t status_s;
};

struct sim_quarantine {
    uint16_t persons[SIM_TIERS];    /* the census */
    uint16_t households[SIM_TIERS]; /* HOME: never more than persons, 0 together */
    int32_t origins[SIM_TIERS];     /* see simulate_quarantine.c */
    uint16_t rooms;                 /* CENTRAL: rooms, HOME: persons the group can look after */
    uint8_t main_tier;
    uint8_t status_tier; /* the next to report */
    uint8_t seen_tiers;  /* bits: ever admitted */
    int32_t status_s;
};

struct sim_post {
    int64_t last_ms;
    int32_t node;       /* of the region tree */
    int32_t number;     /* within the node, from 1 */
    int32_t cut_from_s; /* a power cut: no lines from here */
    int32_t cut_to_s;   /* to here; seconds since from_ms */
    int32_t queue_milli;
    uint8_t role;
    bool is_offline; /* its lines come late */
    union {
        struct sim_test_site test_site;
        struct sim_quarantine quarantine;
    };
};

/* What a post can be. The shares of a level sum to 100; they and weight are the background's. */
struct sim_role {
    const char *prefix; /* of its name */
    const char *word;   /* in its Chinese name */
    uint8_t weight;     /* lines, against other roles of the same town */
    uint8_t shares[REGION_LEVEL_COUNT];
};

struct story_group;

/*
 * A kind has a random background (step, and what stands with it), a part in the city's common story
 * (see simulate_story.h), or both.
 */
struct sim_kind {
    const char *name;
    const struct sim_role *roles;
    int role_count;
    const struct sim_field *fields;
    int field_count;
    uint8_t hours[24]; /* lines per local hour, relative; >= 1; of the background */
    void (*open_post)(struct simulation *simulation, struct sim_post *post); /* or NULL */
    int64_t (*claim)(struct simulation *simulation);                         /* or NULL */
    void (*step)(struct simulation *simulation, struct sim_post *post, struct sim_line *line);
    uint8_t story_levels[SIM_ROLES_MAX]; /* a bit per level: its places have a post of this role */
    /* Tells the lines of one group, or of one place and day (story_tell); or NULL. */
    void (*tell_group)(struct simulation *simulation, const struct story_group *group);
    void (*tell_day)(struct simulation *simulation, int32_t node, int64_t day_ms);
    /* Completes a line of the story by what the post has in mind, when its time comes; or NULL. */
    void (*settle)(struct simulation *simulation, struct sim_post *post, struct sim_line *line);
};

#define SIM_TOWNS (1 << REGION_TOWN)
#define SIM_EVERYWHERE (1 << REGION_TOWN | 1 << REGION_COUNTY | 1 << REGION_CITY)

extern const struct sim_kind sim_checkpoint_kind;
extern const struct sim_kind sim_test_site_kind;
extern const struct sim_kind sim_quarantine_kind;
extern const struct sim_kind sim_screening_kind;
extern const struct sim_kind sim_contact_kind;
extern const struct sim_kind sim_duty_kind;
extern const struct sim_kind sim_service_kind;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_story - what all simulated kinds tell of the same people: the city's common story.
 *
 * Each town screens its residents. Whom it finds is a group of 1 to 8 persons of one tier; its
 * course is a pure function of (seed, town, day, number of the group), cut off at the end of the
 * span, and each kind writes down its own steps of it:
 *
 *   FOUND        screening  *_found; sent_to_quarantine of close and secondary contacts
 *   LISTED       contact    from here on minutes_since_listed
 *   LOCATED      contact
 *   HANDED_OFF   contact    some live elsewhere: the end
 *   CONTROLLED   contact
 *   PASSED       checkpoint an ambulance with them passes the town's trunk road (CENTRAL)
 *   ADMITTED     quarantine close and secondary contacts CENTRAL, companions at HOME
 *                service    at HOME: DOOR_VISIT, then SUPPLY until they are released
 *   SWABBED      test_site  SAMPLED, scheme QUARANTINE, a tube each
 *   SAMPLED      contact
 *   SEALED, RECEIVED, RESULTED  test_site
 *   TOLD         contact    NEGATIVE, and POSITIVE of the infected
 *   LEFT         quarantine BECAME_CASE of the infected; BECAME_CASE of contact follows
 *   RELEASED     quarantine companions and those cleared hours after TOLD, others after 14 or 7
 *                           days; CLOSED of contact follows
 *
 * Beside it the places tell their day: rounds of screening that find nobody, services to the frail
 * and to the staff, headcounts, and duty: POSTED once a day, three shifts of SIGN_ON and SIGN_OFF.
 *
 * Groups depend on seed, span and region tree alone, not on events and sources, so runs of all
 * kinds with the same three fit together. Steps that two kinds tell are told both or, where the
 * second lies behind the span, neither. At the end of every run that told its story whole, per
 * town:
 *
 *   by tier   found (screening) = LISTED (contact) >= LOCATED >= HANDED_OFF + CONTROLLED
 *             CONTROLLED (contact) = ADMITTED (quarantine), 15 to 85 minutes later
 *             BECAME_CASE (contact) = BECAME_CASE (quarantine); CLOSED = RELEASED
 *   in all    to_quarantine of ambulances (checkpoint) = ADMITTED CENTRAL <= sent_to_quarantine
 *             SAMPLED (contact) = persons SAMPLED (test_site) <= ADMITTED
 *             NEGATIVE = persons RESULTED NEGATIVE, POSITIVE = those PRESUMPTIVE_POSITIVE
 *             households of first SUPPLY <= households ADMITTED at HOME, at any time
 *   always    no step's persons exceed those of the step before it
 *   duty      by place, role and unit: a SIGN_OFF ends one SIGN_ON, with person_minutes = its
 *             persons * minutes since; CADREs signing on <= POSTED of that day
 *
 * checkpoint, test_site and quarantine have a random background, too. The story is told by posts
 * of its own, number 000 in each town, in addition to the sources asked for, and its lines are
 * among the events asked for; a run of fewer events than the story has leaves it out whole. The
 * other four kinds are the story alone: one post in each of their places whatever sources says,
 * and no more events than it has; with fewer they break off.
 *
 * Lines are made a day ahead, so memory is that of the steps of about 15 days. Nothing here draws
 * from the run's own random sequence.
 */
#ifndef FX_SIMULATE_STORY_H
#define FX_SIMULATE_STORY_H

#include "simulate_dice.h"
#include "simulate_kind.h"

#include <stddef.h>

#define STORY_NEVER INT64_MAX
#define STORY_MINUTE_MS INT64_C(60000)

enum story_tier { STORY_CLOSE, STORY_SECONDARY, STORY_COMPANION, STORY_TIERS };

/* In the order of time. */
enum story_step {
    STORY_FOUND,
    STORY_LISTED,
    STORY_LOCATED,
    STORY_HANDED_OFF,
    STORY_CONTROLLED,
    STORY_PASSED,
    STORY_ADMITTED,
    STORY_SWABBED,
    STORY_SAMPLED,
    STORY_SEALED,
    STORY_RECEIVED,
    STORY_RESULTED,
    STORY_TOLD,
    STORY_LEFT,
    STORY_BECAME_CASE,
    STORY_RELEASED,
    STORY_CLOSED,
    STORY_STEPS
};

struct story_group {
    int32_t node; /* the town */
    enum story_tier tier;
    bool is_home;       /* else central */
    bool is_handed_off; /* lives elsewhere */
    int32_t persons;
    int32_t households;         /* 0 unless at home */
    int32_t cases;              /* of the persons, infected: 0 or 1 */
    int64_t at_ms[STORY_STEPS]; /* STORY_NEVER: not within the span */
    uint64_t dice;              /* for what a kind alone tells */
};

/* A line of the story that waits for its time. */
struct story_line {
    int64_t at_ms;
    uint64_t order; /* among lines of one instant */
    size_t post;
    int32_t values[SIM_FIELDS_MAX];
};

struct story {
    bool is_told;
    bool is_failed;         /* no memory */
    struct sim_post *posts; /* of node n and role r: [n * role_count + r] */
    int32_t *residents;     /* by node; 0 but for towns */
    struct story_line *lines;
    size_t room;
    size_t first; /* lines[first .. count) wait, by time */
    size_t count;
    struct story_line outside; /* takes what lies outside the span */
    uint64_t order;
    int64_t next_day_ms; /* the first day that is not made yet */
    int64_t total;       /* lines of the whole story */
};

/* A sequence that belongs to a place, a day and a purpose. */
uint64_t story_dice(const struct simulation *simulation, int32_t node, int64_t day_ms,
                    uint64_t purpose);

/*
 * Adds a line of the story's post of role at node; the caller sets its values, which are 0 or
 * SIM_ABSENT by their fields. A line outside the span is forgotten.
 */
int32_t *story_tell(struct simulation *simulation, int64_t at_ms, int32_t node, int32_t role);

/* Whether kind has a post of the story of role at places of level. */
bool story_has_post(const struct sim_kind *kind, int32_t role, enum region_level level);

FX_MUST_CHECK enum fx_code story_open(struct simulation *simulation, struct fx_err *err);

/* *next: the next line in time, valid until story_take; NULL: no more. */
FX_MUST_CHECK enum fx_code story_peek(struct simulation *simulation, const struct story_line **next,
                                      struct fx_err *err);
void story_take(struct simulation *simulation);
void story_close(struct simulation *simulation);

#endif

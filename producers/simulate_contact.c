/* SPDX-License-Identifier: Apache-2.0 */
/* 三张名单: each town's team keeps the lists of those whom its screening found. */
#include "simulate_model.h"

enum step {
    LISTED,
    LOCATED,
    HANDED_OFF,
    CONTROLLED,
    SAMPLED,
    NEGATIVE,
    POSITIVE,
    BECAME_CASE,
    CLOSED
};

static const char *const tiers[] = {"CLOSE", "SECONDARY", "COMPANION"};
static const char *const steps[] = {"LISTED",   "LOCATED",  "HANDED_OFF",  "CONTROLLED", "SAMPLED",
                                    "NEGATIVE", "POSITIVE", "BECAME_CASE", "CLOSED"};

static const struct sim_role roles[] = {{.prefix = "SIM-CT-", .word = "名单管理组"}};

enum contact_field { TIER, STEP, PERSONS, MINUTES_SINCE_LISTED, CONTACT_FIELDS };

static const struct sim_field fields[CONTACT_FIELDS] = {
    [TIER] = {SIM_KEY("tier"), SIM_SYMBOL, tiers},
    [STEP] = {SIM_KEY("step"), SIM_SYMBOL, steps},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [MINUTES_SINCE_LISTED] = {SIM_KEY("minutes_since_listed"), SIM_NUMBER, NULL},
};
_Static_assert(CONTACT_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");

static void tell_step(struct simulation *simulation, const struct story_group *group,
                      enum story_step at, enum step step, int32_t persons)
{
    int64_t at_ms = group->at_ms[at];
    if (persons == 0 || at_ms == STORY_NEVER)
        return;
    int32_t *values = story_tell(simulation, at_ms, group->node, 0);
    values[TIER] = (int32_t)group->tier;
    values[STEP] = (int32_t)step;
    values[PERSONS] = persons;
    if (step != LISTED)
        values[MINUTES_SINCE_LISTED] =
            (int32_t)((at_ms - group->at_ms[STORY_LISTED]) / STORY_MINUTE_MS);
}

static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    int32_t all = group->persons;
    int32_t sound = all - group->cases;
    tell_step(simulation, group, STORY_LISTED, LISTED, all);
    tell_step(simulation, group, STORY_LOCATED, LOCATED, all);
    tell_step(simulation, group, STORY_HANDED_OFF, HANDED_OFF, all);
    tell_step(simulation, group, STORY_CONTROLLED, CONTROLLED, all);
    tell_step(simulation, group, STORY_SAMPLED, SAMPLED, all);
    tell_step(simulation, group, STORY_TOLD, NEGATIVE, sound);
    tell_step(simulation, group, STORY_TOLD, POSITIVE, group->cases);
    tell_step(simulation, group, STORY_BECAME_CASE, BECAME_CASE, group->cases);
    tell_step(simulation, group, STORY_CLOSED, CLOSED, sound);
}

const struct sim_kind sim_contact_kind = {
    .name = "contact",
    .roles = roles,
    .role_count = 1,
    .fields = fields,
    .field_count = CONTACT_FIELDS,
    .story_levels = {SIM_TOWNS},
    .tell_group = tell_group,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 排查: rounds from door to door, calls, lists that were pushed; most find nobody.
 *
 * Haicheng screened 2,727 person-times of 163,989 residents in a day and found 55 contacts.
 */
#include "simulate_model.h"

enum method { DOOR, PHONE, DATA_PUSH, METHODS };

static const char *const methods[] = {"DOOR", "PHONE", "DATA_PUSH"};

static const struct sim_role roles[] = {{.prefix = "SIM-SCR-", .word = "排查组"}};

/* By method: shares of the groups found, and rounds of a day that find nobody. */
static const int32_t found_percent[METHODS] = {50, 30, 20};
static const int32_t rounds[METHODS] = {6, 3, 0};

/* A round screens one of so many residents, more or less. */
#define RESIDENTS_A_ROUND 550
#define PURPOSE_ROUNDS (UINT64_C(3) << 40)

enum screening_field {
    METHOD,
    SCREENED,
    HOUSEHOLDS_VISITED,
    CLOSE_FOUND,
    SECONDARY_FOUND,
    COMPANION_FOUND,
    SENT_TO_QUARANTINE,
    SCREENING_FIELDS
};

static const struct sim_field fields[SCREENING_FIELDS] = {
    [METHOD] = {SIM_KEY("method"), SIM_SYMBOL, methods},
    [SCREENED] = {SIM_KEY("screened"), SIM_COUNT, NULL},
    [HOUSEHOLDS_VISITED] = {SIM_KEY("households_visited"), SIM_COUNT, NULL},
    [CLOSE_FOUND] = {SIM_KEY("close_found"), SIM_COUNT, NULL},
    [SECONDARY_FOUND] = {SIM_KEY("secondary_found"), SIM_COUNT, NULL},
    [COMPANION_FOUND] = {SIM_KEY("companion_found"), SIM_COUNT, NULL},
    [SENT_TO_QUARANTINE] = {SIM_KEY("sent_to_quarantine"), SIM_COUNT, NULL},
};
_Static_assert(SCREENING_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");

/* One round of method screens so many persons; households only from door to door. */
static int32_t *tell_round(struct simulation *simulation, int64_t at_ms, int32_t node,
                           enum method method, int32_t screened)
{
    int32_t *values = story_tell(simulation, at_ms, node, 0);
    values[METHOD] = (int32_t)method;
    values[SCREENED] = screened;
    values[HOUSEHOLDS_VISITED] = method == DOOR ? (screened + 2) / 3 : 0;
    return values;
}

static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    uint64_t dice = group->dice;
    int32_t draw = dice_between(&dice, 0, 99);
    enum method method = draw < found_percent[DOOR]                          ? DOOR
                         : draw < found_percent[DOOR] + found_percent[PHONE] ? PHONE
                                                                             : DATA_PUSH;
    int32_t screened = group->persons + dice_between(&dice, 0, 12);
    int32_t *values =
        tell_round(simulation, group->at_ms[STORY_FOUND], group->node, method, screened);
    values[CLOSE_FOUND + (int)group->tier] = group->persons;
    if (!group->is_home && !group->is_handed_off)
        values[SENT_TO_QUARANTINE] = group->persons;
}

/* A county, and the city, push what they know of travellers; a town sends its people round. */
static void tell_day(struct simulation *simulation, int32_t node, int64_t day_ms)
{
    uint64_t dice = story_dice(simulation, node, day_ms, PURPOSE_ROUNDS);
    if (simulation->options.regions->nodes[node].level != REGION_TOWN) {
        int64_t at_ms = dice_after_ms(&dice, day_ms, 540, 660);
        tell_round(simulation, at_ms, node, DATA_PUSH, dice_between(&dice, 20, 200));
        return;
    }
    int32_t residents = simulation->story.residents[node];
    for (int32_t method = 0; method < METHODS; method++) {
        for (int32_t i = 0; i < rounds[method]; i++) {
            int32_t percent = dice_between(&dice, 60, 140);
            int32_t screened = 1 + residents / RESIDENTS_A_ROUND * percent / 100;
            int64_t at_ms = dice_after_ms(&dice, day_ms, 480, 1230);
            tell_round(simulation, at_ms, node, (enum method)method, screened);
        }
    }
}

const struct sim_kind sim_screening_kind = {
    .name = "screening",
    .roles = roles,
    .role_count = 1,
    .fields = fields,
    .field_count = SCREENING_FIELDS,
    .story_levels = {SIM_EVERYWHERE},
    .tell_group = tell_group,
    .tell_day = tell_day,
};

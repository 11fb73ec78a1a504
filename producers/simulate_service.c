/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 4+1 服务: supplies and visits for those in home observation, and for the frail and the staff.
 *
 * A household under observation is visited soon, gets its supplies within three hours, and from
 * the next day on each evening until it is released.
 */
#include "simulate_model.h"

enum service { DOOR_VISIT, PUBLIC_ORDER, SUPPLY, FRAIL_SUPPORT, STAFF_CARE };

static const char *const services[] = {"DOOR_VISIT", "PUBLIC_ORDER", "SUPPLY", "FRAIL_SUPPORT",
                                       "STAFF_CARE"};

static const struct sim_role roles[] = {{.prefix = "SIM-SV-", .word = "服务队"}};

#define EVENING_MIN 1020
#define FRAIL_RESIDENTS 15000 /* a round a day for so many residents */
#define ORDER_RESIDENTS 40000
#define PURPOSE_ROUNDS (UINT64_C(5) << 40)

enum service_field { SERVICE, VISITS, PERSONS, HOUSEHOLDS, FIRST_VISIT, SERVICE_FIELDS };

static const struct sim_field fields[SERVICE_FIELDS] = {
    [SERVICE] = {SIM_KEY("service"), SIM_SYMBOL, services},
    [VISITS] = {SIM_KEY("visits"), SIM_NUMBER, NULL},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [HOUSEHOLDS] = {SIM_KEY("households"), SIM_COUNT, NULL},
    [FIRST_VISIT] = {SIM_KEY("first_visit"), SIM_FLAG, NULL},
};
_Static_assert(SERVICE_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");

static int32_t *tell_service(struct simulation *simulation, int64_t at_ms, int32_t node,
                             enum service service)
{
    int32_t *values = story_tell(simulation, at_ms, node, 0);
    values[SERVICE] = (int32_t)service;
    values[VISITS] = 1;
    return values;
}

static void tell_household(struct simulation *simulation, const struct story_group *group,
                           int64_t at_ms, enum service service, bool is_first)
{
    int32_t *values = tell_service(simulation, at_ms, group->node, service);
    values[VISITS] = group->households;
    values[PERSONS] = group->persons;
    values[HOUSEHOLDS] = group->households;
    values[FIRST_VISIT] = is_first;
}

static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    int64_t admitted_ms = group->at_ms[STORY_ADMITTED];
    if (!group->is_home || admitted_ms == STORY_NEVER)
        return;
    uint64_t dice = group->dice;
    int64_t to_ms = simulation->options.to_ms;
    int64_t released_ms = group->at_ms[STORY_RELEASED];
    int64_t end_ms = released_ms < to_ms ? released_ms : to_ms;
    int64_t evening_ms = day_local_start_ms(admitted_ms) + DAY_MS + EVENING_MIN * STORY_MINUTE_MS;
    int64_t visit_ms = dice_after_ms(&dice, admitted_ms, 10, 50);
    int64_t supply_ms = dice_after_ms(&dice, admitted_ms, 60, 180);
    if (visit_ms < end_ms)
        tell_household(simulation, group, visit_ms, DOOR_VISIT, true);
    for (bool is_first = true; supply_ms < end_ms; is_first = false) {
        tell_household(simulation, group, supply_ms, SUPPLY, is_first);
        supply_ms = dice_after_ms(&dice, evening_ms, 0, 180);
        evening_ms += DAY_MS;
    }
}

/* To the old and weak of a town, whom nobody has locked in. */
static void tell_frail(struct simulation *simulation, int32_t node, int64_t day_ms, uint64_t *dice)
{
    int32_t households = dice_between(dice, 2, 9);
    int64_t at_ms = dice_after_ms(dice, day_ms, 510, 1080);
    int32_t *values = tell_service(simulation, at_ms, node, FRAIL_SUPPORT);
    values[VISITS] = households;
    values[HOUSEHOLDS] = households;
    values[PERSONS] = households + dice_between(dice, 0, households);
    values[FIRST_VISIT] = dice_between(dice, 0, 3) == 0;
}

static void tell_day(struct simulation *simulation, int32_t node, int64_t day_ms)
{
    uint64_t dice = story_dice(simulation, node, day_ms, PURPOSE_ROUNDS);
    int32_t residents = simulation->story.residents[node];
    int64_t noon_ms = dice_after_ms(&dice, day_ms, 690, 780);
    tell_service(simulation, noon_ms, node, STAFF_CARE)[PERSONS] = dice_between(&dice, 5, 30);
    if (simulation->options.regions->nodes[node].level != REGION_TOWN)
        return;
    for (int32_t i = 0; i <= residents / FRAIL_RESIDENTS; i++)
        tell_frail(simulation, node, day_ms, &dice);
    for (int32_t i = 0; i <= residents / ORDER_RESIDENTS; i++) {
        int64_t at_ms = dice_after_ms(&dice, day_ms, 480, 1320);
        tell_service(simulation, at_ms, node, PUBLIC_ORDER)[VISITS] = dice_between(&dice, 1, 4);
    }
}

const struct sim_kind sim_service_kind = {
    .name = "service",
    .roles = roles,
    .role_count = 1,
    .fields = fields,
    .field_count = SERVICE_FIELDS,
    .story_levels = {SIM_EVERYWHERE},
    .tell_group = tell_group,
    .tell_day = tell_day,
};

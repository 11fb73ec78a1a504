/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 值守 and 下沉: who keeps the posts of a place, in three shifts of eight hours.
 *
 * A town's posts are kept by cadres whom county and city send, by the county's medics and police,
 * and by its own grid workers and volunteers. Counties and city keep a post of their own.
 */
#include "simulate_model.h"

enum step { POSTED, SIGN_ON, SIGN_OFF };
enum role { CADRE, MEDIC, POLICE, GRID_WORKER, VOLUNTEER, OTHER };

static const char *const steps[] = {"POSTED", "SIGN_ON", "SIGN_OFF"};
static const char *const role_names[] = {"CADRE",       "MEDIC",     "POLICE",
                                         "GRID_WORKER", "VOLUNTEER", "OTHER"};

static const struct sim_role roles[] = {{.prefix = "SIM-DU-", .word = "值守点"}};

#define SHIFTS 3
#define SHIFT_MS (8 * DAY_HOUR_MS)
#define SHIFT_MIN 480
#define LATE_MAX_MIN 15 /* the first are on duty 3 minutes after the hour */
#define PURPOSE_CREWS (UINT64_C(4) << 40)

enum duty_field { STEP, ROLE, UNIT, PERSONS, PERSON_MINUTES, DUTY_FIELDS };

static const struct sim_field fields[DUTY_FIELDS] = {
    [STEP] = {SIM_KEY("step"), SIM_SYMBOL, steps},
    [ROLE] = {SIM_KEY("role"), SIM_SYMBOL, role_names},
    [UNIT] = {SIM_KEY("unit"), SIM_REGION, NULL},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [PERSON_MINUTES] = {SIM_KEY("person_minutes"), SIM_COUNT, NULL},
};
_Static_assert(DUTY_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");

/* Those of one role and unit at one place, so many in each shift. */
struct crew {
    int32_t node;
    enum role role;
    int32_t unit;
    int32_t persons;
};

static int32_t *tell_step(struct simulation *simulation, const struct crew *crew, int64_t at_ms,
                          enum step step)
{
    int32_t *values = story_tell(simulation, at_ms, crew->node, 0);
    values[STEP] = (int32_t)step;
    values[ROLE] = (int32_t)crew->role;
    values[UNIT] = crew->unit;
    values[PERSONS] = crew->persons;
    return values;
}

/* A shift that began before the span is not told, nor who comes home from it. */
static void tell_shift(struct simulation *simulation, const struct crew *crew, int64_t start_ms,
                       uint64_t *dice)
{
    int64_t on_ms = dice_after_ms(dice, start_ms, 3, LATE_MAX_MIN);
    int64_t off_ms = dice_after_ms(dice, start_ms, SHIFT_MIN - LATE_MAX_MIN, SHIFT_MIN - 1);
    if (on_ms < simulation->options.from_ms)
        return;
    int32_t minutes = (int32_t)((off_ms - on_ms) / STORY_MINUTE_MS);
    tell_step(simulation, crew, on_ms, SIGN_ON);
    tell_step(simulation, crew, off_ms, SIGN_OFF)[PERSON_MINUTES] = crew->persons * minutes;
}

/* Cadres are posted for the day before its first shift: three shifts of them, by their unit. */
static void tell_crew(struct simulation *simulation, const struct crew *crew, int64_t day_ms,
                      uint64_t *dice)
{
    if (crew->persons == 0)
        return;
    if (crew->role == CADRE) {
        int64_t from_ms = simulation->options.from_ms;
        int64_t at_ms = day_ms > from_ms ? day_ms : from_ms;
        tell_step(simulation, crew, at_ms, POSTED)[PERSONS] = SHIFTS * crew->persons;
    }
    for (int shift = 0; shift < SHIFTS; shift++)
        tell_shift(simulation, crew, day_ms + shift * SHIFT_MS, dice);
}

static void tell_day(struct simulation *simulation, int32_t node, int64_t day_ms)
{
    const struct region *nodes = simulation->options.regions->nodes;
    uint64_t dice = story_dice(simulation, node, day_ms, PURPOSE_CREWS);
    int32_t county = nodes[node].level == REGION_TOWN ? nodes[node].parent : node;
    county = county < 0 ? node : county;
    int32_t city = nodes[county].parent < 0 ? county : nodes[county].parent;
    int32_t residents = simulation->story.residents[node];
    bool is_town = nodes[node].level == REGION_TOWN;
    const struct crew crews[] = {
        {node, CADRE, county, is_town ? 1 + residents / 60000 : 3},
        {node, CADRE, city, is_town && city != county ? dice_between(&dice, 0, 1) : 0},
        {node, MEDIC, county, is_town ? 1 + residents / 50000 : 1},
        {node, POLICE, county, is_town ? 1 + residents / 80000 : 0},
        {node, GRID_WORKER, node, is_town ? 1 + residents / 20000 : 0},
        {node, VOLUNTEER, node, is_town ? dice_between(&dice, 0, 2 + residents / 12000) : 0},
    };
    for (size_t i = 0; i < sizeof(crews) / sizeof(crews[0]); i++)
        tell_crew(simulation, &crews[i], day_ms, &dice);
}

const struct sim_kind sim_duty_kind = {
    .name = "duty",
    .roles = roles,
    .role_count = 1,
    .fields = fields,
    .field_count = DUTY_FIELDS,
    .story_levels = {SIM_EVERYWHERE},
    .tell_day = tell_day,
};

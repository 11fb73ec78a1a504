/* SPDX-License-Identifier: Apache-2.0 */
/* 卡点: one line per vehicle or walk-up group. */
#include "simulate_model.h"

enum post_type { EXPRESSWAY, TRUNK_ROAD, VILLAGE, COMMUNITY, STATION, PORT, POST_TYPES };
enum vehicle { ON_FOOT, CAR, BUS, TRUCK, MOTORCYCLE, AMBULANCE, SUPPLY, VEHICLES };
enum plate { NO_PLATE, IN_CITY, IN_PROVINCE, OUT_PROVINCE };
enum direction { IN, OUT };

static const char *const directions[] = {"IN", "OUT"};
static const char *const post_types[] = {"EXPRESSWAY", "TRUNK_ROAD", "VILLAGE",
                                         "COMMUNITY",  "STATION",    "PORT"};
static const char *const vehicles[] = {"ON_FOOT",    "CAR",       "BUS",   "TRUCK",
                                       "MOTORCYCLE", "AMBULANCE", "SUPPLY"};
static const char *const plates[] = {"NO_PLATE", "IN_CITY", "IN_PROVINCE", "OUT_PROVINCE"};

/*
 * The busiest posts are on the expressways, which the city and the counties run themselves
 * (Bozhou, February 2020: 33,000 vehicles and 78,000 persons a day at three types of posts).
 */
static const struct sim_role roles[POST_TYPES] = {
    [EXPRESSWAY] = {"SIM-CP-", "高速卡点", 30, {60, 40, 4}},
    [TRUNK_ROAD] = {"SIM-CP-", "国省道卡点", 12, {10, 60, 16}},
    [VILLAGE] = {"SIM-CP-", "村口卡点", 2, {0, 0, 45}},
    [COMMUNITY] = {"SIM-CP-", "小区卡点", 4, {0, 0, 30}},
    [STATION] = {"SIM-CP-", "车站卡点", 10, {20, 0, 4}},
    [PORT] = {"SIM-CP-", "港口卡点", 4, {10, 0, 1}},
};

/* What a post of each type is like. Rows of percentages sum to 100. */
static const struct {
    uint8_t vehicle_percent[VEHICLES];
    uint8_t plate_percent[3]; /* from IN_CITY on */
    uint8_t queue_peak;       /* vehicles */
    uint8_t lanes;
    uint8_t measures_percent;  /* lines that state queue and wait */
    uint8_t itinerary_percent; /* lines with the itinerary card (行程卡) checked */
} habits[POST_TYPES] = {
    [EXPRESSWAY] = {{0, 68, 6, 20, 0, 1, 5}, {30, 52, 18}, 30, 4, 95, 100},
    [TRUNK_ROAD] = {{2, 58, 4, 18, 12, 1, 5}, {62, 33, 5}, 18, 2, 85, 98},
    [VILLAGE] = {{22, 32, 1, 6, 36, 0, 3}, {92, 7, 1}, 2, 1, 15, 60},
    [COMMUNITY] = {{48, 30, 0, 3, 15, 1, 3}, {95, 4, 1}, 4, 1, 20, 55},
    [STATION] = {{74, 12, 12, 0, 0, 1, 1}, {60, 30, 10}, 25, 3, 70, 100},
    [PORT] = {{30, 20, 10, 30, 5, 0, 5}, {50, 35, 15}, 6, 1, 60, 100},
};

/* Persons per vehicle: eight cases, each as likely as the next. */
static const uint8_t persons_of[VEHICLES][8] = {
    [ON_FOOT] = {1, 1, 1, 1, 2, 2, 3, 4},    [CAR] = {1, 1, 1, 2, 2, 3, 4, 5},
    [BUS] = {6, 9, 12, 18, 24, 31, 38, 45},  [TRUCK] = {1, 1, 1, 1, 1, 2, 2, 2},
    [MOTORCYCLE] = {1, 1, 1, 1, 1, 2, 2, 2}, [AMBULANCE] = {2, 2, 3, 3, 3, 4, 4, 5},
    [SUPPLY] = {1, 1, 1, 1, 2, 2, 2, 3},
};

/* Of 60,000 persons: red 3, yellow 120, without a code 1,200 (the old), unchecked 600 (infants). */
#define CODE_CASES 60000
/* Of 6,000: from a risk area 2, a star (a city with a risk area) 180, no card 180. */
#define ITINERARY_CASES 6000
#define FEVER_ONE_OF 3000
#define FEVER_DECICELSIUS 373

enum checkpoint_field {
    DIRECTION,
    POST_TYPE,
    VEHICLE,
    PLATE_SCOPE,
    PERSONS,
    CODE_GREEN,
    CODE_YELLOW,
    CODE_RED,
    CODE_NONE,
    ITINERARY_CLEAR,
    ITINERARY_STAR,
    ITINERARY_RISK,
    ITINERARY_NONE,
    TEMPERATURE_TAKEN,
    TEMPERATURE_HIGH,
    TEMPERATURE_MAX,
    PASSED,
    PASSED_AFTER_SAMPLE,
    TURNED_BACK,
    HELD_FEVER,
    TO_QUARANTINE,
    QUEUE_VEHICLES,
    WAIT_S,
    CHECKPOINT_FIELDS,
    UNSTATED = -1 /* code_unchecked, itinerary_unchecked: the rest, left out of a line */
};

static const struct sim_field fields[CHECKPOINT_FIELDS] = {
    [DIRECTION] = {SIM_KEY("direction"), SIM_SYMBOL, directions},
    [POST_TYPE] = {SIM_KEY("post_type"), SIM_SYMBOL, post_types},
    [VEHICLE] = {SIM_KEY("vehicle"), SIM_SYMBOL, vehicles},
    [PLATE_SCOPE] = {SIM_KEY("plate_scope"), SIM_SYMBOL, plates},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [CODE_GREEN] = {SIM_KEY("code_green"), SIM_COUNT, NULL},
    [CODE_YELLOW] = {SIM_KEY("code_yellow"), SIM_COUNT, NULL},
    [CODE_RED] = {SIM_KEY("code_red"), SIM_COUNT, NULL},
    [CODE_NONE] = {SIM_KEY("code_none"), SIM_COUNT, NULL},
    [ITINERARY_CLEAR] = {SIM_KEY("itinerary_clear"), SIM_COUNT, NULL},
    [ITINERARY_STAR] = {SIM_KEY("itinerary_star"), SIM_COUNT, NULL},
    [ITINERARY_RISK] = {SIM_KEY("itinerary_risk"), SIM_COUNT, NULL},
    [ITINERARY_NONE] = {SIM_KEY("itinerary_none"), SIM_COUNT, NULL},
    [TEMPERATURE_TAKEN] = {SIM_KEY("temperature_taken"), SIM_COUNT, NULL},
    [TEMPERATURE_HIGH] = {SIM_KEY("temperature_high"), SIM_COUNT, NULL},
    [TEMPERATURE_MAX] = {SIM_KEY("temperature_max_decicelsius"), SIM_NUMBER, NULL},
    [PASSED] = {SIM_KEY("passed"), SIM_COUNT, NULL},
    [PASSED_AFTER_SAMPLE] = {SIM_KEY("passed_after_sample"), SIM_COUNT, NULL},
    [TURNED_BACK] = {SIM_KEY("turned_back"), SIM_COUNT, NULL},
    [HELD_FEVER] = {SIM_KEY("held_fever"), SIM_COUNT, NULL},
    [TO_QUARANTINE] = {SIM_KEY("to_quarantine"), SIM_COUNT, NULL},
    [QUEUE_VEHICLES] = {SIM_KEY("queue_vehicles"), SIM_NUMBER, NULL},
    [WAIT_S] = {SIM_KEY("wait_s"), SIM_NUMBER, NULL},
};
_Static_assert(CHECKPOINT_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");
_Static_assert(POST_TYPES <= SIM_ROLES_MAX, "every post type is a role");

/* What is checked of everybody in one vehicle. */
struct check {
    bool is_itinerary;
    bool is_temperature;
    bool is_entering;
    int32_t untested_percent; /* without a negative test of the last 48 hours */
};

static int draw_code(struct simulation *simulation)
{
    int32_t draw = sim_below(simulation, CODE_CASES);
    if (draw >= 3 + 120 + 1200 + 600)
        return CODE_GREEN;
    return draw < 3                ? CODE_RED
           : draw < 3 + 120        ? CODE_YELLOW
           : draw < 3 + 120 + 1200 ? CODE_NONE
                                   : UNSTATED;
}

static int draw_itinerary(struct simulation *simulation)
{
    int32_t draw = sim_below(simulation, ITINERARY_CASES);
    if (draw >= 2 + 180 + 180)
        return ITINERARY_CLEAR;
    return draw < 2 ? ITINERARY_RISK : draw < 2 + 180 ? ITINERARY_STAR : ITINERARY_NONE;
}

/* The rule of the posts: who is red or from a risk area goes to quarantine, a fever is held for a
 * second reading, yellow or untested is sampled on the spot or turned back, the others pass. */
static int decide(struct simulation *simulation, const struct check *check, int code, int itinerary,
                  bool is_fever)
{
    if (code == CODE_RED || itinerary == ITINERARY_RISK)
        return TO_QUARANTINE;
    if (is_fever)
        return HELD_FEVER;
    int32_t draw = sim_below(simulation, 1000);
    if (code == CODE_YELLOW)
        return draw < 500 ? TURNED_BACK : PASSED_AFTER_SAMPLE;
    if (!check->is_entering || draw >= 10 * check->untested_percent)
        return PASSED;
    return draw < 4 * check->untested_percent ? TURNED_BACK : PASSED_AFTER_SAMPLE;
}

static void check_person(struct simulation *simulation, const struct check *check, int32_t *values)
{
    int code = draw_code(simulation);
    int itinerary = check->is_itinerary ? draw_itinerary(simulation) : UNSTATED;
    bool is_fever = check->is_temperature && sim_below(simulation, FEVER_ONE_OF) == 0;
    if (code != UNSTATED)
        values[code]++;
    if (itinerary != UNSTATED)
        values[itinerary]++;
    values[TEMPERATURE_TAKEN] += check->is_temperature;
    values[TEMPERATURE_HIGH] += is_fever;
    values[decide(simulation, check, code, itinerary, is_fever)]++;
}

/* Nobody leaves a car behind: if one is turned back, all turn back who are not held. A bus goes on
 * without the passenger, and a walk-up group parts. */
static void turn_vehicle(int32_t *values)
{
    int32_t vehicle = values[VEHICLE];
    if (values[TURNED_BACK] == 0 || vehicle == ON_FOOT || vehicle == BUS || vehicle == AMBULANCE)
        return;
    values[TURNED_BACK] += values[PASSED] + values[PASSED_AFTER_SAMPLE];
    values[PASSED] = 0;
    values[PASSED_AFTER_SAMPLE] = 0;
}

static void state_queue(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    int32_t queue = sim_queue(simulation, post, line->at_ms, habits[post->role].queue_peak);
    int32_t handling_s = sim_between(simulation, 15, 35);
    if (sim_below(simulation, 100) >= habits[post->role].measures_percent)
        return;
    line->values[QUEUE_VEHICLES] = queue;
    line->values[WAIT_S] = queue * handling_s / habits[post->role].lanes + handling_s / 3;
}

static void step_checkpoint(struct simulation *simulation, struct sim_post *post,
                            struct sim_line *line)
{
    int32_t *values = line->values;
    int role = post->role;
    bool is_morning = sim_local_hour(line->at_ms) < 12;
    int32_t vehicle = sim_choose(simulation, habits[role].vehicle_percent, VEHICLES);
    int32_t plate = IN_CITY + sim_choose(simulation, habits[role].plate_percent, 3);
    values[DIRECTION] = sim_below(simulation, 100) < (is_morning ? 58 : 46) ? IN : OUT;
    values[POST_TYPE] = role;
    values[VEHICLE] = vehicle;
    values[PLATE_SCOPE] = vehicle == ON_FOOT ? NO_PLATE : plate;
    values[PERSONS] = persons_of[vehicle][sim_below(simulation, 8)];
    struct check check = {
        .is_itinerary = sim_below(simulation, 100) < habits[role].itinerary_percent,
        .is_temperature = sim_below(simulation, 100) < 97,
        .is_entering = values[DIRECTION] == IN,
        .untested_percent = values[PLATE_SCOPE] == OUT_PROVINCE ? 10 : 3,
    };
    for (int32_t i = 0; i < values[PERSONS]; i++)
        check_person(simulation, &check, values);
    turn_vehicle(values);
    int32_t warmth = sim_below(simulation, 14);
    if (values[TEMPERATURE_HIGH] > 0)
        values[TEMPERATURE_MAX] = FEVER_DECICELSIUS + warmth;
    else if (check.is_temperature)
        values[TEMPERATURE_MAX] = 358 + warmth;
    state_queue(simulation, post, line);
}

/* The ambulance that takes a group to a central place passes the town's post on the trunk road. */
static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    int32_t *values = story_tell(simulation, group->at_ms[STORY_PASSED], group->node, TRUNK_ROAD);
    values[DIRECTION] = IN;
    values[POST_TYPE] = TRUNK_ROAD;
    values[VEHICLE] = AMBULANCE;
    values[PLATE_SCOPE] = IN_CITY;
    values[PERSONS] = group->persons;
    values[CODE_YELLOW] = group->persons;
    values[ITINERARY_RISK] = group->persons;
    values[TO_QUARANTINE] = group->persons;
}

const struct sim_kind sim_checkpoint_kind = {
    .name = "checkpoint",
    .roles = roles,
    .role_count = POST_TYPES,
    .fields = fields,
    .field_count = CHECKPOINT_FIELDS,
    /* rush hours 7 to 9 and 17 to 19 */
    .hours = {6,  4,  3,  3,  5,  14,  42, 100, 96, 58, 50, 48,
              44, 44, 48, 52, 64, 104, 98, 62,  46, 34, 20, 11},
    .open_post = NULL,
    .claim = NULL,
    .step = step_checkpoint,
    .story_levels = {[TRUNK_ROAD] = SIM_TOWNS},
    .tell_group = tell_group,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 采样点: tubes are filled, sealed, taken away by a courier, received and resulted.
 *
 * A site keeps its last eight courier trips in mind, so that no step counts a tube that the step
 * before has not counted, and a result knows how long ago the first swab of its trip was taken.
 */
#include "simulate_model.h"

enum scheme { MASS, KEY_GROUP, VOLUNTARY, QUARANTINE, RETEST, GATE, SCHEMES };
enum step { SAMPLED, SEALED, RECEIVED, REJECTED, RESULTED, STATUS };
enum lane { NORMAL, GREEN, YELLOW_CODE, HOME_VISIT, LANES };
enum result { NEGATIVE, PRESUMPTIVE_POSITIVE, INCONCLUSIVE, INVALID };

static const char *const schemes[] = {"MASS",       "KEY_GROUP", "VOLUNTARY",
                                      "QUARANTINE", "RETEST",    "GATE"};
static const char *const steps[] = {"SAMPLED",  "SEALED",   "RECEIVED",
                                    "REJECTED", "RESULTED", "STATUS"};
static const char *const lanes[] = {"NORMAL", "GREEN", "YELLOW_CODE", "HOME_VISIT"};
static const char *const results[] = {"NEGATIVE", "PRESUMPTIVE_POSITIVE", "INCONCLUSIVE",
                                      "INVALID"};

static const struct sim_role roles[SCHEMES] = {
    [MASS] = {"SIM-TS-", "采样点", 10, {20, 30, 72}},
    [KEY_GROUP] = {"SIM-TS-", "重点人群采样点", 4, {20, 20, 9}},
    [VOLUNTARY] = {"SIM-TS-", "便民采样点", 5, {40, 30, 12}},
    [QUARANTINE] = {"SIM-TS-", "隔离人员采样组", 2, {5, 10, 3}},
    [RETEST] = {"SIM-TS-", "复采组", 1, {10, 5, 1}},
    [GATE] = {"SIM-TS-", "关口采样点", 4, {5, 5, 3}},
};

/* By scheme. A pooled tube takes ten, in quarantine and for a retest everyone has his own. */
static const struct {
    uint8_t pool_size;
    uint8_t lane_percent[LANES];
    uint8_t queue_peak; /* persons */
    uint8_t desks;      /* open when the load is at its mean */
    int32_t odd_one_of; /* lines of results with one that is not negative */
} habits[SCHEMES] = {
    [MASS] = {10, {84, 10, 2, 4}, 90, 3, 400},     [KEY_GROUP] = {10, {90, 4, 2, 4}, 25, 2, 400},
    [VOLUNTARY] = {10, {92, 8, 0, 0}, 50, 2, 500}, [QUARANTINE] = {1, {0, 0, 20, 80}, 0, 1, 60},
    [RETEST] = {1, {0, 0, 30, 70}, 0, 1, 15},      [GATE] = {10, {88, 6, 6, 0}, 20, 1, 400},
};

#define TRIP_OPEN_S 3600     /* a courier comes about once an hour */
#define SEAL_TUBES 20        /* a full box of tubes */
#define SEAL_AFTER_S 1200    /* a box that is not full goes after 20 minutes */
#define TRIP_TUBES_MAX 900   /* a line states at most 10,000 persons */
#define FILLED_TUBES_MAX 400 /* the laboratory is behind: no more swabs */
#define STATUS_EVERY_S 1800
#define RESULT_TUBES_MAX 48 /* half a plate of 96 */
#define ROUND_DAYS 2        /* guide of September 2021: cities below five million, two days */
#define REJECTED_ONE_OF 400

enum test_site_field {
    STEP,
    SCHEME,
    ROUND,
    LANE,
    POOL_SIZE,
    PERSONS,
    TUBES,
    RESULT,
    MINUTES_SINCE_SAMPLING,
    QUEUE_PERSONS,
    DESKS_OPEN,
    WAIT_S,
    TEST_SITE_FIELDS
};

static const struct sim_field fields[TEST_SITE_FIELDS] = {
    [STEP] = {SIM_KEY("step"), SIM_SYMBOL, steps},
    [SCHEME] = {SIM_KEY("scheme"), SIM_SYMBOL, schemes},
    [ROUND] = {SIM_KEY("round"), SIM_ROUND, NULL},
    [LANE] = {SIM_KEY("lane"), SIM_SYMBOL, lanes},
    [POOL_SIZE] = {SIM_KEY("pool_size"), SIM_NUMBER, NULL},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [TUBES] = {SIM_KEY("tubes"), SIM_COUNT, NULL},
    [RESULT] = {SIM_KEY("result"), SIM_SYMBOL, results},
    [MINUTES_SINCE_SAMPLING] = {SIM_KEY("minutes_since_sampling"), SIM_NUMBER, NULL},
    [QUEUE_PERSONS] = {SIM_KEY("queue_persons"), SIM_NUMBER, NULL},
    [DESKS_OPEN] = {SIM_KEY("desks_open"), SIM_NUMBER, NULL},
    [WAIT_S] = {SIM_KEY("wait_s"), SIM_NUMBER, NULL},
};
_Static_assert(TEST_SITE_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");
_Static_assert(SCHEMES <= SIM_ROLES_MAX, "every scheme is a role");

static uint16_t round_at(const struct simulation *simulation, const struct sim_post *post,
                         int64_t at_ms)
{
    if (post->role != MASS)
        return 0;
    int64_t since_ms = at_ms - day_local_start_ms(simulation->options.from_ms);
    return (uint16_t)(1 + since_ms / (ROUND_DAYS * DAY_MS));
}

static struct sim_trip *trip_at(struct sim_test_site *site, int index)
{
    return &site->trips[(site->first + index) % SIM_TRIPS_MAX];
}

/* Eight trips on the way and tubes piling up: courier and laboratory work without a break. */
static bool is_crowded(const struct sim_test_site *site)
{
    return site->count == SIM_TRIPS_MAX && site->filled_tubes >= SEAL_TUBES;
}

/* A trip that still takes tubes of the filled ones' round; NULL: none, and no room for another. */
static struct sim_trip *find_open_trip(struct simulation *simulation, struct sim_test_site *site,
                                       int32_t at_s)
{
    if (site->count > 0) {
        struct sim_trip *last = trip_at(site, site->count - 1);
        if (!last->is_received && at_s < last->due_s - TRIP_OPEN_S / 2 &&
            last->round == site->filled_round && last->tubes + site->filled_tubes <= TRIP_TUBES_MAX)
            return last;
    }
    if (site->count == SIM_TRIPS_MAX)
        return NULL;
    struct sim_trip *trip = trip_at(site, site->count++);
    *trip = (struct sim_trip){
        .sampled_s = site->filled_since_s,
        .due_s = at_s + TRIP_OPEN_S + sim_below(simulation, TRIP_OPEN_S),
        .round = site->filled_round,
    };
    return trip;
}

static bool seal(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    struct sim_test_site *site = &post->test_site;
    int32_t at_s = sim_seconds(simulation, line->at_ms);
    bool is_ripe =
        site->filled_tubes >= SEAL_TUBES ||
        (site->filled_tubes > 0 && (at_s - site->filled_since_s >= SEAL_AFTER_S ||
                                    site->filled_round != round_at(simulation, post, line->at_ms)));
    struct sim_trip *trip = is_ripe ? find_open_trip(simulation, site, at_s) : NULL;
    if (trip == NULL)
        return false;
    line->values[STEP] = SEALED;
    line->values[ROUND] = site->filled_round;
    line->values[TUBES] = (int32_t)site->filled_tubes;
    line->values[PERSONS] = (int32_t)site->filled_persons;
    trip->tubes += site->filled_tubes;
    trip->persons += site->filled_persons;
    site->filled_tubes = 0;
    site->filled_persons = 0;
    return true;
}

static bool receive(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    struct sim_test_site *site = &post->test_site;
    int32_t at_s = sim_seconds(simulation, line->at_ms);
    int index = 0;
    while (index < site->count && trip_at(site, index)->is_received)
        index++;
    if (index == site->count || (at_s < trip_at(site, index)->due_s && !is_crowded(site)))
        return false;
    struct sim_trip *trip = trip_at(site, index);
    trip->is_received = true;
    trip->due_s = at_s + sim_between(simulation, 3600, 5 * 3600);
    line->values[STEP] = RECEIVED;
    line->values[ROUND] = trip->round;
    line->values[TUBES] = (int32_t)trip->tubes;
    line->values[PERSONS] = (int32_t)trip->persons;
    return true;
}

/* Takes tubes with their share of the persons out of the oldest trip and states both. */
static void take_tubes(struct sim_test_site *site, uint32_t tubes, struct sim_line *line)
{
    struct sim_trip *trip = trip_at(site, 0);
    /* Rounded down, which leaves one to pool_size persons a tube on either side. */
    uint32_t persons = (uint32_t)((uint64_t)trip->persons * tubes / trip->tubes);
    line->values[ROUND] = trip->round;
    line->values[TUBES] = (int32_t)tubes;
    line->values[PERSONS] = (int32_t)persons;
    trip->tubes -= tubes;
    trip->persons -= persons;
    if (trip->tubes > 0)
        return;
    site->first = (uint8_t)((site->first + 1) % SIM_TRIPS_MAX);
    site->count--;
}

/* Leaking, unlabelled or miscounted tubes. */
static bool reject(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    struct sim_test_site *site = &post->test_site;
    if (sim_below(simulation, REJECTED_ONE_OF) != 0 || site->count == 0 ||
        !trip_at(site, 0)->is_received)
        return false;
    line->values[STEP] = REJECTED;
    int32_t tubes = sim_smaller(sim_between(simulation, 1, 3), (int32_t)trip_at(site, 0)->tubes);
    take_tubes(site, (uint32_t)tubes, line);
    return true;
}

static bool result(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    struct sim_test_site *site = &post->test_site;
    int32_t at_s = sim_seconds(simulation, line->at_ms);
    if (site->count == 0 || !trip_at(site, 0)->is_received)
        return false;
    const struct sim_trip *trip = trip_at(site, 0);
    if (at_s < trip->due_s && !is_crowded(site))
        return false;
    int32_t tubes = sim_smaller(sim_between(simulation, 8, RESULT_TUBES_MAX), (int32_t)trip->tubes);
    line->values[STEP] = RESULTED;
    line->values[MINUTES_SINCE_SAMPLING] = (at_s - trip->sampled_s) / 60;
    line->values[RESULT] = NEGATIVE;
    if (sim_below(simulation, habits[post->role].odd_one_of) == 0) {
        static const uint8_t odd_percent[] = {0, 40, 35, 25};
        line->values[RESULT] = sim_choose(simulation, odd_percent, 4);
        tubes = 1;
    }
    take_tubes(site, (uint32_t)tubes, line);
    return true;
}

static int32_t open_desks(const struct simulation *simulation, const struct sim_post *post)
{
    int64_t desks = habits[post->role].desks * simulation->load_permille / 1000;
    return desks < 1 ? 1 : (int32_t)desks;
}

static void state_status(struct simulation *simulation, struct sim_post *post,
                         struct sim_line *line, int32_t queue)
{
    line->values[STEP] = STATUS;
    line->values[ROUND] = round_at(simulation, post, line->at_ms);
    line->values[QUEUE_PERSONS] = queue;
    line->values[DESKS_OPEN] = open_desks(simulation, post);
    post->test_site.status_s = sim_seconds(simulation, line->at_ms);
}

/* One tube of swabs. */
static void sample(struct simulation *simulation, struct sim_post *post, struct sim_line *line,
                   int32_t queue)
{
    struct sim_test_site *site = &post->test_site;
    int32_t *values = line->values;
    values[STEP] = SAMPLED;
    values[LANE] = sim_choose(simulation, habits[post->role].lane_percent, LANES);
    if (values[LANE] == YELLOW_CODE)
        values[POOL_SIZE] = 1;
    int32_t missing = sim_below(simulation, 10) < 7 ? 0 : sim_below(simulation, 5);
    int32_t persons = values[LANE] == HOME_VISIT ? sim_between(simulation, 1, 5) : 10 - missing;
    values[PERSONS] = sim_smaller(persons, values[POOL_SIZE]);
    values[TUBES] = 1;
    if (values[LANE] != HOME_VISIT)
        values[WAIT_S] = queue * sim_between(simulation, 18, 30) / open_desks(simulation, post) +
                         sim_below(simulation, 60);
    if (values[LANE] == GREEN)
        values[WAIT_S] /= 5;
    if (site->filled_tubes == 0) {
        site->filled_since_s = sim_seconds(simulation, line->at_ms);
        site->filled_round = round_at(simulation, post, line->at_ms);
    }
    values[ROUND] = site->filled_round;
    site->filled_tubes++;
    site->filled_persons += (uint32_t)values[PERSONS];
}

static void step_test_site(struct simulation *simulation, struct sim_post *post,
                           struct sim_line *line)
{
    struct sim_test_site *site = &post->test_site;
    int32_t queue = sim_queue(simulation, post, line->at_ms, habits[post->role].queue_peak);
    int32_t status_age_s = sim_seconds(simulation, line->at_ms) - site->status_s;
    int32_t draw = sim_below(simulation, 6);
    line->values[SCHEME] = post->role;
    line->values[LANE] = NORMAL;
    line->values[POOL_SIZE] = habits[post->role].pool_size;
    bool is_status_due = draw < 2 && status_age_s >= STATUS_EVERY_S;
    if (!is_status_due &&
        (receive(simulation, post, line) || reject(simulation, post, line) ||
         (draw >= 3 && result(simulation, post, line)) || seal(simulation, post, line)))
        return;
    if (is_status_due || site->filled_tubes >= FILLED_TUBES_MAX)
        state_status(simulation, post, line, queue);
    else
        sample(simulation, post, line, queue);
}

static int32_t *tell_step(struct simulation *simulation, const struct story_group *group,
                          enum story_step at, enum step step)
{
    int32_t *values = story_tell(simulation, group->at_ms[at], group->node, QUARANTINE);
    values[STEP] = (int32_t)step;
    values[SCHEME] = QUARANTINE;
    values[ROUND] = 0;
    values[LANE] = step == SAMPLED ? HOME_VISIT : NORMAL;
    values[POOL_SIZE] = 1;
    values[PERSONS] = group->persons;
    values[TUBES] = group->persons;
    return values;
}

static void tell_result(struct simulation *simulation, const struct story_group *group,
                        enum result result, int32_t persons)
{
    if (persons == 0 || group->at_ms[STORY_RESULTED] == STORY_NEVER)
        return;
    int64_t passed_ms = group->at_ms[STORY_RESULTED] - group->at_ms[STORY_SWABBED];
    int32_t *values = tell_step(simulation, group, STORY_RESULTED, RESULTED);
    values[RESULT] = (int32_t)result;
    values[PERSONS] = persons;
    values[TUBES] = persons;
    values[MINUTES_SINCE_SAMPLING] = (int32_t)(passed_ms / STORY_MINUTE_MS);
}

/* Everybody of a group in quarantine is sampled once, with a tube of his own. */
static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    tell_step(simulation, group, STORY_SWABBED, SAMPLED);
    tell_step(simulation, group, STORY_SEALED, SEALED);
    tell_step(simulation, group, STORY_RECEIVED, RECEIVED);
    tell_result(simulation, group, NEGATIVE, group->persons - group->cases);
    tell_result(simulation, group, PRESUMPTIVE_POSITIVE, group->cases);
}

const struct sim_kind sim_test_site_kind = {
    .name = "test_site",
    .roles = roles,
    .role_count = SCHEMES,
    .fields = fields,
    .field_count = TEST_SITE_FIELDS,
    /* 8 to 12, 14 to 17 and the evening peak */
    .hours = {2,  1,  1,  1,  1,  2,  18, 52,  96, 100, 94, 80,
              34, 38, 82, 86, 78, 54, 84, 104, 88, 46,  16, 5},
    .open_post = NULL,
    .claim = NULL,
    .step = step_test_site,
    .story_levels = {[QUARANTINE] = SIM_TOWNS},
    .tell_group = tell_group,
};

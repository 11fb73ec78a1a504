/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 隔离点 and 居家观察: admissions, releases, transfers, headcounts.
 *
 * A post starts empty and keeps its own census by tier, as the producer does that will refuse a
 * release above it. All persons of one tier at one post come from one origin, so that the figures
 * by origin balance too, save for transfers, which the figures by origin leave out. The story's
 * posts take the contacts their own town found.
 */
#include "simulate_model.h"

enum place { CENTRAL, HOME, PLACES };
enum tier { CLOSE, SECONDARY, COMPANION, RISK_AREA, FROM_ABROAD, OTHER, TIERS };
enum step {
    ADMITTED,
    TRANSFERRED_IN,
    TRANSFERRED_OUT,
    RELEASED,
    HOSPITAL,
    BECAME_CASE,
    ABSCONDED,
    STATUS
};

static const char *const places[] = {"CENTRAL", "HOME"};
static const char *const tiers[] = {"CLOSE",     "SECONDARY",   "COMPANION",
                                    "RISK_AREA", "FROM_ABROAD", "OTHER"};
static const char *const steps[] = {"ADMITTED", "TRANSFERRED_IN", "TRANSFERRED_OUT", "RELEASED",
                                    "HOSPITAL", "BECAME_CASE",    "ABSCONDED",       "STATUS"};

static const struct sim_role roles[PLACES] = {
    [CENTRAL] = {"SIM-QP-", "集中隔离点", 10, {100, 100, 45}},
    [HOME] = {"SIM-HB-", "居家观察组", 7, {0, 0, 55}},
};

/* Close and secondary contacts fill the central places, companions and returners stay at home. */
static const uint8_t tier_percent[PLACES][TIERS] = {
    [CENTRAL] = {38, 30, 6, 12, 10, 4},
    [HOME] = {4, 22, 38, 26, 2, 8},
};

/* Of 10,000 lines; the rest are admissions and releases. */
static const struct {
    enum step step;
    int32_t cases;
} exits[] = {
    {HOSPITAL, 30},
    {BECAME_CASE, 15},
    {ABSCONDED, 4},
    {TRANSFERRED_OUT, 200},
};
#define EXIT_CASES 10000

#define ROOMS_MIN 24
#define ROOMS_MAX 180
#define STATUS_EVERY_S 3600
#define OFF_BY_ONE_ONE_OF 200
#define TRANSFER_MS (20 * INT64_C(60000))

/* The story's central place of a town: a room for 50 residents, and 40. */
#define STORY_ROOMS_MIN 40
#define STORY_RESIDENTS 50
#define PURPOSE_HEADCOUNT (UINT64_C(2) << 40)

enum quarantine_field {
    PLACE,
    TIER,
    STEP,
    PERSONS,
    HOUSEHOLDS,
    ORIGIN,
    REPORTED_PERSONS,
    ROOMS_TOTAL,
    ROOMS_IN_USE,
    QUARANTINE_FIELDS
};

static const struct sim_field fields[QUARANTINE_FIELDS] = {
    [PLACE] = {SIM_KEY("place"), SIM_SYMBOL, places},
    [TIER] = {SIM_KEY("tier"), SIM_SYMBOL, tiers},
    [STEP] = {SIM_KEY("step"), SIM_SYMBOL, steps},
    [PERSONS] = {SIM_KEY("persons"), SIM_COUNT, NULL},
    [HOUSEHOLDS] = {SIM_KEY("households"), SIM_COUNT, NULL},
    [ORIGIN] = {SIM_KEY("origin"), SIM_REGION, NULL},
    [REPORTED_PERSONS] = {SIM_KEY("reported_persons"), SIM_NUMBER, NULL},
    [ROOMS_TOTAL] = {SIM_KEY("rooms_total"), SIM_NUMBER, NULL},
    [ROOMS_IN_USE] = {SIM_KEY("rooms_in_use"), SIM_NUMBER, NULL},
};
_Static_assert(QUARANTINE_FIELDS <= SIM_FIELDS_MAX, "a line has room for every field");
_Static_assert(TIERS == SIM_TIERS, "a census per tier");

/* Home observation is the town's own; a central place takes people from all over the city, from
 * the places they travelled to, and from abroad, where no code says from which. */
static int32_t draw_origin(struct simulation *simulation, const struct sim_post *post, int tier)
{
    int32_t outside = -1 - sim_below(simulation, 4);
    int32_t town = simulation->posts[sim_city_draw(simulation)].node;
    if (tier == FROM_ABROAD)
        return SIM_NULL;
    if (tier == RISK_AREA)
        return outside;
    return post->role == HOME ? post->node : town;
}

static void open_quarantine(struct simulation *simulation, struct sim_post *post)
{
    struct sim_quarantine *state = &post->quarantine;
    state->rooms = (uint16_t)sim_between(simulation, ROOMS_MIN, ROOMS_MAX);
    state->main_tier = (uint8_t)sim_choose(simulation, tier_percent[post->role], TIERS);
    state->status_tier = state->main_tier;
    for (int i = 0; i < TIERS; i++)
        state->origins[i] = draw_origin(simulation, post, i);
}

static int32_t census(const struct sim_quarantine *state)
{
    int32_t persons = 0;
    for (int i = 0; i < TIERS; i++)
        persons += state->persons[i];
    return persons;
}

/* Puts persons of households into the post's census and states the step. */
static void enter(struct sim_quarantine *state, struct sim_line *line, int32_t persons,
                  int32_t households)
{
    int32_t tier = line->values[TIER];
    state->persons[tier] = (uint16_t)(state->persons[tier] + persons);
    state->households[tier] = (uint16_t)(state->households[tier] + households);
    state->seen_tiers = (uint8_t)(state->seen_tiers | 1U << tier);
    line->values[PERSONS] = persons;
    line->values[HOUSEHOLDS] = households;
    line->values[ORIGIN] = state->origins[tier];
}

/*
 * Takes persons <= the census out of it. As many households end as it takes for those who stay to
 * be no fewer than theirs; nobody left ends them all.
 */
static void leave(struct sim_quarantine *state, struct sim_line *line, int32_t persons)
{
    int32_t tier = line->values[TIER];
    int32_t stay = state->persons[tier] - persons;
    int32_t homes = state->households[tier];
    int32_t held = stay + persons;
    /* Rounded up: who stays has a household. */
    int32_t homes_stay = persons == 1 ? sim_smaller(homes, stay) : (homes * stay + held - 1) / held;
    fx_assert(stay >= 0 && homes_stay <= stay);
    state->persons[tier] = (uint16_t)stay;
    state->households[tier] = (uint16_t)homes_stay;
    line->values[PERSONS] = persons;
    line->values[HOUSEHOLDS] = homes - homes_stay;
    line->values[ORIGIN] = state->origins[tier];
}

static void admit(struct simulation *simulation, struct sim_post *post, struct sim_line *line,
                  int32_t room)
{
    line->values[STEP] = ADMITTED;
    if (post->role == HOME) {
        int32_t persons = sim_smaller(sim_between(simulation, 1, 5), room);
        enter(&post->quarantine, line, persons, 1);
        return;
    }
    /* One in ten comes in a bus. */
    bool is_bus = sim_below(simulation, 10) == 0;
    int32_t persons = is_bus ? sim_between(simulation, 8, 32) : sim_between(simulation, 1, 4);
    enter(&post->quarantine, line, sim_smaller(persons, room), 0);
}

static void release(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    int32_t held = post->quarantine.persons[line->values[TIER]];
    bool is_group = post->role == CENTRAL && sim_below(simulation, 10) == 0;
    int32_t persons = is_group ? sim_between(simulation, 8, 32) : sim_between(simulation, 1, 5);
    line->values[STEP] = RELEASED;
    leave(&post->quarantine, line, sim_smaller(persons, held));
}

/* To hospital, among the cases, gone, or off to another place. false: none of these today. */
static bool leave_early(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    int32_t draw = sim_below(simulation, EXIT_CASES);
    int32_t tier = line->values[TIER];
    int32_t held = post->quarantine.persons[tier];
    size_t i = 0;
    while (i < sizeof(exits) / sizeof(exits[0]) && draw >= exits[i].cases)
        draw -= exits[i++].cases;
    if (i == sizeof(exits) / sizeof(exits[0]) || held == 0)
        return false;
    int32_t persons = 1;
    if (exits[i].step == TRANSFERRED_OUT) {
        if (post->role != CENTRAL || simulation->transfer_count == SIM_TRANSFERS_MAX ||
            simulation->post_count < 8)
            return false;
        persons = sim_smaller(held, sim_between(simulation, 1, 6));
        uint32_t next = simulation->transfer_first + simulation->transfer_count++;
        simulation->transfers[next % SIM_TRANSFERS_MAX] = (struct sim_transfer){
            .out_ms = line->at_ms,
            .from = post - simulation->posts,
            .persons = (uint16_t)persons,
            .tier = (uint8_t)tier,
        };
    }
    line->values[STEP] = (int32_t)exits[i].step;
    leave(&post->quarantine, line, persons);
    return true;
}

/* The place where the persons longest on the road arrive now; -1: nobody arrives. */
static int64_t claim_transfer(struct simulation *simulation)
{
    const struct sim_transfer *transfer = &simulation->transfers[simulation->transfer_first];
    if (simulation->transfer_count == 0 || simulation->now_ms < transfer->out_ms + TRANSFER_MS)
        return -1;
    for (int tries = 0; tries < 8; tries++) {
        uint32_t i = sim_city_draw(simulation);
        const struct sim_post *post = &simulation->posts[i];
        if (i != transfer->from && post->role == CENTRAL && !sim_is_away(simulation, post) &&
            census(&post->quarantine) + transfer->persons <= post->quarantine.rooms)
            return i;
    }
    return -1;
}

static void arrive(struct simulation *simulation, struct sim_post *post, struct sim_line *line)
{
    const struct sim_transfer *transfer = &simulation->transfers[simulation->transfer_first];
    line->values[STEP] = TRANSFERRED_IN;
    line->values[TIER] = transfer->tier;
    enter(&post->quarantine, line, transfer->persons, 0);
    simulation->transfer_first = (simulation->transfer_first + 1) % SIM_TRANSFERS_MAX;
    simulation->transfer_count--;
}

/* The headcount of one tier after the other. Rooms are the whole place's and stand with its main
 * tier only, or the sum over tiers would count them often. */
static void state_status(struct simulation *simulation, struct sim_post *post,
                         struct sim_line *line)
{
    struct sim_quarantine *state = &post->quarantine;
    int32_t tier = state->status_tier;
    int32_t persons = state->persons[tier];
    if (sim_below(simulation, OFF_BY_ONE_ONE_OF) == 0)
        persons += persons > 0 && sim_below(simulation, 2) == 0 ? -1 : 1;
    line->values[STEP] = STATUS;
    line->values[TIER] = tier;
    line->values[REPORTED_PERSONS] = persons;
    if (tier == state->main_tier && post->role == CENTRAL) {
        line->values[ROOMS_TOTAL] = state->rooms;
        line->values[ROOMS_IN_USE] = (census(state) * 9 + 9) / 10; /* some families share */
    }
    do
        tier = (tier + 1) % TIERS;
    while (tier != state->main_tier && (state->seen_tiers >> tier & 1) == 0);
    state->status_tier = (uint8_t)tier;
    /* After a full turn the next waits for the hour. */
    if (tier == state->main_tier)
        state->status_s = sim_seconds(simulation, line->at_ms);
}

/* The first tier from tier on with somebody in it; the census is not 0. */
static int32_t held_tier(const struct sim_quarantine *state, int32_t tier)
{
    while (state->persons[tier] == 0)
        tier = (tier + 1) % TIERS;
    return tier;
}

static void step_quarantine(struct simulation *simulation, struct sim_post *post,
                            struct sim_line *line)
{
    struct sim_quarantine *state = &post->quarantine;
    line->values[PLACE] = post->role;
    if (simulation->is_claimed) {
        arrive(simulation, post, line);
        return;
    }
    int32_t status_age_s = sim_seconds(simulation, line->at_ms) - state->status_s;
    if (status_age_s >= STATUS_EVERY_S && sim_below(simulation, 2) == 0) {
        state_status(simulation, post, line);
        return;
    }
    int32_t drawn_tier = sim_choose(simulation, tier_percent[post->role], TIERS);
    bool is_main = sim_below(simulation, 100) < 60;
    line->values[TIER] = is_main ? state->main_tier : drawn_tier;
    if (leave_early(simulation, post, line))
        return;
    /* A place fills up quickly to a third, then comes and goes; people enter and leave in groups
     * of the same size, so the balance is that of the lines. */
    int32_t held = census(state);
    int32_t room = state->rooms - held;
    int32_t admit_percent = held * 3 < state->rooms ? 85 : held * 3 < 2 * state->rooms ? 55 : 30;
    bool is_entering = sim_below(simulation, 100) < admit_percent;
    if (held == 0 || (room > 0 && is_entering)) {
        admit(simulation, post, line, room);
        return;
    }
    line->values[TIER] = held_tier(state, line->values[TIER]);
    release(simulation, post, line);
}

static int32_t *tell_step(struct simulation *simulation, const struct story_group *group,
                          enum story_step at, enum step step)
{
    enum place place = group->is_home ? HOME : CENTRAL;
    int32_t *values = story_tell(simulation, group->at_ms[at], group->node, (int32_t)place);
    values[PLACE] = (int32_t)place;
    values[TIER] = (int32_t)group->tier;
    values[STEP] = (int32_t)step;
    values[PERSONS] = group->persons;
    values[HOUSEHOLDS] = group->households;
    values[ORIGIN] = group->node;
    return values;
}

static void tell_group(struct simulation *simulation, const struct story_group *group)
{
    tell_step(simulation, group, STORY_ADMITTED, ADMITTED);
    tell_step(simulation, group, STORY_LEFT, BECAME_CASE)[PERSONS] = group->cases;
    tell_step(simulation, group, STORY_RELEASED, RELEASED)[PERSONS] = group->persons - group->cases;
}

/* The headcount of the evening. */
static void tell_day(struct simulation *simulation, int32_t node, int64_t day_ms)
{
    static const uint8_t tiers_of[PLACES][STORY_TIERS] = {
        [CENTRAL] = {1, 1, 0}, [HOME] = {0, 0, 1}};
    if (simulation->options.regions->nodes[node].level != REGION_TOWN)
        return;
    uint64_t dice = story_dice(simulation, node, day_ms, PURPOSE_HEADCOUNT);
    for (int32_t place = 0; place < PLACES; place++) {
        int64_t at_ms = dice_after_ms(&dice, day_ms + 20 * DAY_HOUR_MS, 0, 30);
        for (int32_t tier = 0; tier < STORY_TIERS; tier++) {
            if (tiers_of[place][tier] == 0)
                continue;
            int32_t *values = story_tell(simulation, at_ms, node, place);
            values[PLACE] = place;
            values[TIER] = tier;
            values[STEP] = STATUS;
        }
    }
}

/* Keeps the census of a post of the story, and states it. */
static void settle_quarantine(struct simulation *simulation, struct sim_post *post,
                              struct sim_line *line)
{
    struct sim_quarantine *state = &post->quarantine;
    int32_t *values = line->values;
    int32_t tier = values[TIER];
    if (values[STEP] != STATUS) {
        int32_t direction = values[STEP] == ADMITTED ? 1 : -1;
        int32_t persons = state->persons[tier] + direction * values[PERSONS];
        int32_t households = state->households[tier] + direction * values[HOUSEHOLDS];
        fx_assert(persons >= 0 && persons <= UINT16_MAX && households >= 0);
        state->persons[tier] = (uint16_t)persons;
        state->households[tier] = (uint16_t)households;
        return;
    }
    values[REPORTED_PERSONS] = state->persons[tier];
    if (post->role == CENTRAL && tier == STORY_CLOSE) {
        int32_t rooms = STORY_ROOMS_MIN + simulation->story.residents[post->node] / STORY_RESIDENTS;
        values[ROOMS_TOTAL] = rooms;
        values[ROOMS_IN_USE] = sim_smaller(census(state), rooms);
    }
}

const struct sim_kind sim_quarantine_kind = {
    .name = "quarantine",
    .roles = roles,
    .role_count = PLACES,
    .fields = fields,
    .field_count = QUARANTINE_FIELDS,
    /* daytime; at night an ambulance now and then */
    .hours = {6,  4,  3,  3,  3,  4,  10, 28, 62, 88, 100, 92,
              56, 60, 88, 94, 86, 70, 52, 40, 34, 26, 16,  10},
    .open_post = open_quarantine,
    .claim = claim_transfer,
    .step = step_quarantine,
    .story_levels = {[CENTRAL] = SIM_TOWNS, [HOME] = SIM_TOWNS},
    .tell_group = tell_group,
    .tell_day = tell_day,
    .settle = settle_quarantine,
};

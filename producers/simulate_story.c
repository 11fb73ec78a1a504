/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate_story.h"

#include "simulate_model.h"

#include <stdlib.h>
#include <string.h>

/* A town finds a group for every 10,000 residents a day, between 7:00 and 21:00. */
#define GROUP_RESIDENTS 10000
#define FOUND_FROM_MIN 420
#define FOUND_TO_MIN 1260

/* A dice of its own for the number of groups. */
#define PURPOSE_COUNT (UINT64_C(1) << 40)

#define SECONDARY_CLEARED_PERCENT 15
#define HANDED_OFF_PERCENT 4
#define INFECTED_ONE_OF 5 /* close groups with one person infected */

/* Close, secondary, companion: shares of the groups, days until they are released. */
static const int32_t tier_percent[STORY_TIERS] = {12, 63, 25};
static const int64_t release_days[STORY_TIERS] = {14, 7, 0};

/* Steps up to and including these are told together or not at all. */
static const bool is_end[STORY_STEPS] = {
    [STORY_LISTED] = true,   [STORY_LOCATED] = true, [STORY_HANDED_OFF] = true,
    [STORY_ADMITTED] = true, [STORY_SAMPLED] = true, [STORY_SEALED] = true,
    [STORY_RECEIVED] = true, [STORY_TOLD] = true,    [STORY_BECAME_CASE] = true,
    [STORY_CLOSED] = true,
};

/* ---- a group ---- */

uint64_t story_dice(const struct simulation *simulation, int32_t node, int64_t day_ms,
                    uint64_t purpose)
{
    uint64_t dice = simulation->options.seed;
    dice = dice_draw(&dice) ^ sim_hash(simulation->options.regions->nodes[node].code);
    dice = dice_draw(&dice) ^ (uint64_t)(day_ms / DAY_MS);
    dice = dice_draw(&dice) ^ purpose;
    return dice;
}

static void draw_people(struct story_group *group, uint64_t *dice)
{
    int32_t draw = dice_between(dice, 0, 99);
    group->tier = draw < tier_percent[STORY_CLOSE] ? STORY_CLOSE
                  : draw < tier_percent[STORY_CLOSE] + tier_percent[STORY_SECONDARY]
                      ? STORY_SECONDARY
                      : STORY_COMPANION;
    int32_t most = dice_between(dice, 0, 9) == 0 ? 8 : 4;
    group->persons = dice_between(dice, 1, most);
    group->is_home = group->tier == STORY_COMPANION;
    group->households = group->is_home ? (group->persons + 3) / 4 : 0;
    bool is_infected = dice_between(dice, 1, INFECTED_ONE_OF) == 1;
    group->cases = group->tier == STORY_CLOSE && is_infected;
    bool is_elsewhere = dice_between(dice, 0, 99) < HANDED_OFF_PERCENT;
    group->is_handed_off = group->tier != STORY_CLOSE && is_elsewhere;
}

/* Until they are admitted. */
static void draw_way_in(struct story_group *group, uint64_t *dice)
{
    int64_t *at_ms = group->at_ms;
    at_ms[STORY_LISTED] = dice_after_ms(dice, at_ms[STORY_FOUND], 5, 30);
    at_ms[STORY_LOCATED] = dice_after_ms(dice, at_ms[STORY_LISTED], 10, 120);
    if (group->is_handed_off) {
        at_ms[STORY_HANDED_OFF] = dice_after_ms(dice, at_ms[STORY_LOCATED], 20, 90);
        return;
    }
    at_ms[STORY_CONTROLLED] = dice_after_ms(dice, at_ms[STORY_LOCATED], 20, 150);
    int64_t passed_ms = dice_after_ms(dice, at_ms[STORY_CONTROLLED], 5, 25);
    if (!group->is_home)
        at_ms[STORY_PASSED] = passed_ms;
    at_ms[STORY_ADMITTED] = dice_after_ms(dice, passed_ms, 10, 60);
}

/* From the admission on. */
static void draw_way_out(struct story_group *group, uint64_t *dice)
{
    int64_t *at_ms = group->at_ms;
    at_ms[STORY_SWABBED] = dice_after_ms(dice, at_ms[STORY_ADMITTED], 30, 120);
    at_ms[STORY_SAMPLED] = dice_after_ms(dice, at_ms[STORY_SWABBED], 1, 5);
    at_ms[STORY_SEALED] = dice_after_ms(dice, at_ms[STORY_SAMPLED], 15, 30);
    at_ms[STORY_RECEIVED] = dice_after_ms(dice, at_ms[STORY_SEALED], 30, 100);
    at_ms[STORY_RESULTED] = dice_after_ms(dice, at_ms[STORY_RECEIVED], 90, 240);
    at_ms[STORY_TOLD] = dice_after_ms(dice, at_ms[STORY_RESULTED], 1, 15);
    if (group->cases > 0) {
        at_ms[STORY_LEFT] = dice_after_ms(dice, at_ms[STORY_TOLD], 60, 180);
        at_ms[STORY_BECAME_CASE] = dice_after_ms(dice, at_ms[STORY_LEFT], 1, 10);
    }
    int64_t cleared_ms = dice_after_ms(dice, at_ms[STORY_TOLD], 60, 240);
    int64_t morning_ms = day_local_start_ms(at_ms[STORY_ADMITTED]) +
                         release_days[group->tier] * DAY_MS + 9 * DAY_HOUR_MS;
    int64_t served_ms = dice_after_ms(dice, morning_ms, 0, 240);
    bool is_cleared = dice_between(dice, 0, 99) < SECONDARY_CLEARED_PERCENT;
    is_cleared = group->is_home || (group->tier == STORY_SECONDARY && is_cleared);
    if (group->persons == group->cases)
        return; /* nobody is left to be released */
    at_ms[STORY_RELEASED] = is_cleared ? cleared_ms : served_ms;
    at_ms[STORY_CLOSED] = dice_after_ms(dice, at_ms[STORY_RELEASED], 1, 30);
}

/* Forgets what lies behind the span, and whatever is told together with it or after it. */
static void cut_off(struct story_group *group, int64_t to_ms)
{
    int start = 0;
    for (int i = 0; i < STORY_STEPS; i++) {
        if (!is_end[i])
            continue;
        if (group->at_ms[i] != STORY_NEVER && group->at_ms[i] >= to_ms)
            break;
        start = i + 1;
    }
    for (int i = start; i < STORY_STEPS; i++)
        group->at_ms[i] = STORY_NEVER;
}

/* false: it is not found within the span. */
static bool make_group(const struct simulation *simulation, int32_t node, int64_t day_ms,
                       uint64_t number, struct story_group *group)
{
    uint64_t dice = story_dice(simulation, node, day_ms, number);
    *group = (struct story_group){.node = node};
    for (int i = 0; i < STORY_STEPS; i++)
        group->at_ms[i] = STORY_NEVER;
    draw_people(group, &dice);
    group->at_ms[STORY_FOUND] = dice_after_ms(&dice, day_ms, FOUND_FROM_MIN, FOUND_TO_MIN);
    draw_way_in(group, &dice);
    if (!group->is_handed_off)
        draw_way_out(group, &dice);
    if (group->at_ms[STORY_FOUND] < simulation->options.from_ms)
        return false;
    cut_off(group, simulation->options.to_ms);
    group->dice = dice_draw(&dice);
    return group->at_ms[STORY_FOUND] != STORY_NEVER;
}

/* ---- lines ---- */

bool story_has_post(const struct sim_kind *kind, int32_t role, enum region_level level)
{
    return (kind->story_levels[role] >> level & 1) != 0;
}

static void grow(struct story *story)
{
    size_t room = story->room == 0 ? 1024 : 2 * story->room;
    struct story_line *lines = realloc(story->lines, room * sizeof(*lines));
    if (lines == NULL) {
        story->is_failed = true;
        return;
    }
    story->lines = lines;
    story->room = room;
}

int32_t *story_tell(struct simulation *simulation, int64_t at_ms, int32_t node, int32_t role)
{
    const struct sim_kind *kind = simulation->kind;
    struct story *story = &simulation->story;
    struct story_line *line = &story->outside;
    fx_assert(story_has_post(kind, role, simulation->options.regions->nodes[node].level));
    if (at_ms >= simulation->options.from_ms && at_ms < simulation->options.to_ms) {
        if (story->count == story->room)
            grow(story);
        if (!story->is_failed)
            line = &story->lines[story->count++];
    }
    line->at_ms = at_ms;
    line->order = story->order++;
    line->post = (size_t)node * (size_t)kind->role_count + (size_t)role;
    sim_clear(kind, line->values);
    return line->values;
}

static int compare_lines(const void *a, const void *b)
{
    const struct story_line *left = a;
    const struct story_line *right = b;
    if (left->at_ms != right->at_ms)
        return left->at_ms < right->at_ms ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static void tell_groups(struct simulation *simulation, int32_t node, int64_t day_ms)
{
    uint64_t dice = story_dice(simulation, node, day_ms, PURPOSE_COUNT);
    int32_t residents = simulation->story.residents[node];
    int32_t count = residents / GROUP_RESIDENTS;
    count += dice_between(&dice, 0, GROUP_RESIDENTS - 1) < residents % GROUP_RESIDENTS;
    for (int32_t i = 0; i < count; i++) {
        struct story_group group;
        if (make_group(simulation, node, day_ms, (uint64_t)i, &group))
            simulation->kind->tell_group(simulation, &group);
    }
}

/* Makes the lines of the next day; those that waited keep their places in time. */
static void tell_next_day(struct simulation *simulation)
{
    struct story *story = &simulation->story;
    const struct region_tree *tree = simulation->options.regions;
    size_t waiting = story->count - story->first;
    if (waiting > 0)
        memmove(story->lines, story->lines + story->first, waiting * sizeof(*story->lines));
    story->first = 0;
    story->count = waiting;
    for (int32_t node = REGION_OUTSIDE + 1; node < tree->count; node++) {
        if (simulation->kind->tell_group != NULL && story->residents[node] > 0)
            tell_groups(simulation, node, story->next_day_ms);
        if (simulation->kind->tell_day != NULL)
            simulation->kind->tell_day(simulation, node, story->next_day_ms);
    }
    if (story->count > 0)
        qsort(story->lines, story->count, sizeof(*story->lines), compare_lines);
    story->next_day_ms += DAY_MS;
}

static enum fx_code check_memory(const struct story *story, struct fx_err *err)
{
    return story->is_failed ? fx_err_set(err, FX_EMEMORY, "no memory for a simulated story")
                            : FX_OK;
}

/* ---- open ---- */

static void rewind_story(struct simulation *simulation)
{
    struct story *story = &simulation->story;
    story->first = 0;
    story->count = 0;
    story->order = 0;
    story->next_day_ms = day_local_start_ms(simulation->options.from_ms);
}

/* Counts its lines; no further than events where a longer one is not told anyway. */
static void count_lines(struct simulation *simulation)
{
    struct story *story = &simulation->story;
    const struct simulation_options *options = &simulation->options;
    bool has_background = simulation->kind->step != NULL;
    rewind_story(simulation);
    while (story->next_day_ms < options->to_ms && !story->is_failed &&
           (!has_background || story->total <= options->events)) {
        tell_next_day(simulation);
        story->total += (int64_t)story->count;
        story->count = 0;
    }
    rewind_story(simulation);
    story->is_told = !has_background || story->total <= options->events;
}

enum fx_code story_open(struct simulation *simulation, struct fx_err *err)
{
    struct story *story = &simulation->story;
    const struct sim_kind *kind = simulation->kind;
    const struct region_tree *tree = simulation->options.regions;
    size_t roles = (size_t)kind->role_count;
    size_t nodes = (size_t)tree->count;
    story->posts = calloc(nodes * roles, sizeof(*story->posts));
    story->residents = calloc(nodes, sizeof(*story->residents));
    if (story->posts == NULL || story->residents == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a simulated story");
    if (sim_city_residents(tree, story->residents, err) != FX_OK)
        return err->code;
    for (size_t i = 0; i < nodes * roles; i++) {
        story->posts[i].node = (int32_t)(i / roles);
        story->posts[i].role = (uint8_t)(i % roles);
        story->posts[i].number = kind->step == NULL; /* the background's begin at 1 */
    }
    count_lines(simulation);
    return check_memory(story, err);
}

enum fx_code story_peek(struct simulation *simulation, const struct story_line **next,
                        struct fx_err *err)
{
    struct story *story = &simulation->story;
    *next = NULL;
    if (!story->is_told)
        return FX_OK;
    /* Lines of a day never lie before it. */
    while (story->next_day_ms < simulation->options.to_ms && !story->is_failed &&
           (story->first == story->count || story->lines[story->first].at_ms >= story->next_day_ms))
        tell_next_day(simulation);
    if (story->first < story->count)
        *next = &story->lines[story->first];
    return check_memory(story, err);
}

void story_take(struct simulation *simulation)
{
    fx_assert(simulation->story.first < simulation->story.count);
    simulation->story.first++;
}

void story_close(struct simulation *simulation)
{
    free(simulation->story.lines);
    free(simulation->story.residents);
    free(simulation->story.posts);
}

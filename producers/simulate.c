/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate_model.h"

#include <stdlib.h>
#include <string.h>

/* A line is shorter: source, region and time take 170 bytes, a field below 60. */
#define LINE_MAX_BYTES (256 + 60 * SIM_FIELDS_MAX)

#define SPAN_MAX_MS (3660 * DAY_MS)
#define TO_MAX_MS INT64_C(4102444800000) /* 2100-01-01T00:00Z */

/* One line of 200 comes late, from a post whose network is down: one of 64, one to five hours. */
#define LATE_ONE_OF 200
#define OFFLINE_ONE_OF 64
#define LATE_MIN_MS INT64_C(120000)
#define LATE_MAX_MS (6 * DAY_HOUR_MS)

/* Three posts of 100 have a power cut, one of three of these for the rest of the day. */
#define CUT_PERCENT 3

/* Below this the silent posts would be felt as a city gone dark. */
#define OUTAGE_SOURCES_MIN 8

/* How fast a queue follows the load. */
#define QUEUE_SETTLE_MS (15 * INT64_C(60000))

static const struct sim_kind *const kinds[] = {
    &sim_checkpoint_kind, &sim_test_site_kind, &sim_quarantine_kind, &sim_screening_kind,
    &sim_contact_kind,    &sim_duty_kind,      &sim_service_kind};

static const struct sim_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

static enum fx_code check_options(const struct simulation_options *options, struct fx_err *err)
{
    if (find_kind(options->kind) == NULL)
        return fx_err_set(err, FX_ECONFIG,
                          "no simulation of kind '%.40s': checkpoint, test_site, quarantine, "
                          "screening, contact, duty or service",
                          options->kind);
    if (options->events < 1 || options->sources < 1 || options->sources > SIMULATION_SOURCES_MAX)
        return fx_err_set(err, FX_ECONFIG, "a simulation has >= 1 events and 1 to %d sources",
                          SIMULATION_SOURCES_MAX);
    if (options->from_ms < DAY_2020_MS || options->to_ms > TO_MAX_MS)
        return fx_err_set(err, FX_ECONFIG, "a simulation's time lies in 2020 to 2099");
    if (options->to_ms <= options->from_ms || options->to_ms - options->from_ms > SPAN_MAX_MS)
        return fx_err_set(err, FX_ECONFIG, "a simulation's time span is empty or above ten years");
    return FX_OK;
}

/* ---- the clock ---- */

static void enter_slot(struct simulation *simulation, int64_t from_ms)
{
    struct sim_clock *clock = &simulation->clock;
    int64_t hour_end_ms = day_bucket_ms(from_ms, DAY_HOUR_MS) + DAY_HOUR_MS;
    clock->slot_from_ms = from_ms;
    clock->slot_to_ms =
        hour_end_ms < simulation->options.to_ms ? hour_end_ms : simulation->options.to_ms;
    clock->weight = simulation->kind->hours[sim_local_hour(from_ms)];
}

static int64_t slot_total(const struct sim_clock *clock)
{
    return (clock->slot_to_ms - clock->slot_from_ms) * clock->weight;
}

static void open_clock(struct simulation *simulation)
{
    const struct simulation_options *options = &simulation->options;
    struct sim_clock *clock = &simulation->clock;
    for (int64_t at = options->from_ms; at < options->to_ms; at = clock->slot_to_ms) {
        enter_slot(simulation, at);
        clock->total += slot_total(clock);
    }
    clock->step = clock->total / simulation->background;
    clock->rest = clock->total % simulation->background;
    enter_slot(simulation, options->from_ms);
}

/* Moves now_ms on to the next line's instant. */
static void tick(struct simulation *simulation)
{
    struct sim_clock *clock = &simulation->clock;
    int64_t target = clock->position;
    if (clock->step > 0)
        target += (int64_t)(sim_draw(simulation) % (uint64_t)clock->step);
    clock->position += clock->step;
    clock->carried += clock->rest;
    if (clock->carried >= simulation->background) {
        clock->carried -= simulation->background;
        clock->position++;
    }
    while (target >= clock->slot_base + slot_total(clock)) {
        clock->slot_base += slot_total(clock);
        enter_slot(simulation, clock->slot_to_ms);
    }
    int64_t span_ms = simulation->options.to_ms - simulation->options.from_ms;
    simulation->now_ms = clock->slot_from_ms + (target - clock->slot_base) / clock->weight;
    simulation->load_permille = clock->weight * span_ms * 1000 / clock->total;
}

/* ---- which post ---- */

int32_t sim_choose(struct simulation *simulation, const uint8_t *weights, int count)
{
    int32_t draw = sim_below(simulation, 100);
    int32_t i = 0;
    while (i < count - 1 && draw >= weights[i])
        draw -= weights[i++];
    return i;
}

bool sim_is_away(const struct simulation *simulation, const struct sim_post *post)
{
    int32_t now_s = sim_seconds(simulation, simulation->now_ms);
    return post->is_offline || (now_s >= post->cut_from_s && now_s < post->cut_to_s);
}

int32_t sim_queue(struct simulation *simulation, struct sim_post *post, int64_t at_ms, int32_t peak)
{
    int64_t above = simulation->load_permille > 900 ? simulation->load_permille - 900 : 0;
    int64_t target_milli = above * peak * sim_between(simulation, 50, 150) / 100;
    int64_t passed_ms = at_ms - post->last_ms;
    if (passed_ms > QUEUE_SETTLE_MS)
        passed_ms = QUEUE_SETTLE_MS;
    if (target_milli > 1000000)
        target_milli = 1000000;
    post->queue_milli +=
        (int32_t)((target_milli - post->queue_milli) * passed_ms / QUEUE_SETTLE_MS);
    return post->queue_milli / 1000;
}

/* A post with a gap in [last line, now): the instant of a late line within it. false: no room. */
static bool find_late_ms(struct simulation *simulation, const struct sim_post *post, int64_t *at_ms)
{
    int64_t from_ms = post->last_ms + 1;
    if (from_ms < simulation->now_ms - LATE_MAX_MS)
        from_ms = simulation->now_ms - LATE_MAX_MS;
    int64_t room_ms = simulation->now_ms - LATE_MIN_MS - from_ms;
    if (room_ms <= 0)
        return false;
    /* Near the gap's start, so that there is room for the lines that follow. */
    *at_ms = from_ms + sim_below(simulation, (int32_t)(room_ms / 4) + 1);
    return true;
}

/* A post whose network is down, with the time of its line; -1: none has anything to tell. */
static int64_t draw_late(struct simulation *simulation, int64_t *at_ms)
{
    for (int tries = 0; tries < 4; tries++) {
        struct sim_offline *offline =
            &simulation->offline[sim_below(simulation, (int32_t)simulation->offline_count)];
        if (offline->post != SIM_NOBODY && simulation->now_ms >= offline->until_ms) {
            simulation->posts[offline->post].is_offline = false;
            offline->post = SIM_NOBODY;
        }
        if (offline->post == SIM_NOBODY) {
            uint32_t next = sim_city_draw(simulation);
            /* Post 0 always answers, so that there is one. */
            if (next == 0 || sim_is_away(simulation, &simulation->posts[next]))
                continue;
            simulation->posts[next].is_offline = true;
            offline->post = next;
            offline->until_ms =
                simulation->now_ms + sim_between(simulation, 60, 300) * INT64_C(60000);
        }
        if (find_late_ms(simulation, &simulation->posts[offline->post], at_ms))
            return offline->post;
    }
    return -1;
}

static struct sim_post *draw_post(struct simulation *simulation, int64_t *at_ms)
{
    simulation->is_claimed = false;
    *at_ms = simulation->now_ms;
    int64_t drawn = -1;
    if (simulation->offline_count > 0 && sim_below(simulation, LATE_ONE_OF) == 0)
        drawn = draw_late(simulation, at_ms);
    if (drawn < 0 && simulation->kind->claim != NULL) {
        drawn = simulation->kind->claim(simulation);
        simulation->is_claimed = drawn >= 0;
    }
    if (drawn >= 0)
        return &simulation->posts[drawn];
    uint32_t i = sim_city_draw(simulation);
    while (sim_is_away(simulation, &simulation->posts[i]))
        i = (i + 1) % simulation->post_count; /* its neighbour has the more to do */
    return &simulation->posts[i];
}

/* ---- open ---- */

static void open_outages(struct simulation *simulation)
{
    const struct simulation_options *options = &simulation->options;
    int32_t span_s = sim_seconds(simulation, options->to_ms);
    for (uint32_t i = 1; i < simulation->post_count && span_s > 0; i++) {
        bool is_cut = sim_below(simulation, 100) < CUT_PERCENT || i == simulation->post_count / 2;
        int32_t from_s = sim_below(simulation, span_s);
        int32_t length_s = sim_between(simulation, 3600, 18000);
        bool is_whole_day = sim_below(simulation, 3) == 0;
        if (!is_cut || simulation->post_count < OUTAGE_SOURCES_MIN)
            continue;
        int64_t from_ms = options->from_ms + INT64_C(1000) * from_s;
        int64_t day_end_ms = day_local_start_ms(from_ms) + DAY_MS;
        simulation->posts[i].cut_from_s = from_s;
        simulation->posts[i].cut_to_s =
            is_whole_day ? sim_seconds(simulation, day_end_ms) : from_s + length_s;
    }
    for (uint32_t i = 0; i < simulation->offline_count; i++)
        simulation->offline[i].post = SIM_NOBODY;
}

static enum fx_code allocate(struct simulation *simulation, struct fx_err *err)
{
    size_t count = simulation->post_count;
    fx_assert(count > 0);
    if (count >= OUTAGE_SOURCES_MIN)
        simulation->offline_count = (uint32_t)(count + OFFLINE_ONE_OF - 1) / OFFLINE_ONE_OF;
    simulation->posts = calloc(count, sizeof(*simulation->posts));
    simulation->thresholds = calloc(count, sizeof(*simulation->thresholds));
    simulation->aliases = calloc(count, sizeof(*simulation->aliases));
    simulation->offline = calloc(simulation->offline_count + 1, sizeof(*simulation->offline));
    if (simulation->posts == NULL || simulation->thresholds == NULL ||
        simulation->aliases == NULL || simulation->offline == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %zu simulated posts", count);
    return FX_OK;
}

/* The posts that have a random life of their own, beside the story. */
static enum fx_code open_background(struct simulation *simulation, struct fx_err *err)
{
    const struct sim_kind *kind = simulation->kind;
    simulation->post_count = (uint32_t)simulation->options.sources;
    if (allocate(simulation, err) != FX_OK || sim_city_open(simulation, err) != FX_OK)
        return err->code;
    open_outages(simulation);
    for (uint32_t i = 0; i < simulation->post_count; i++) {
        simulation->posts[i].last_ms = simulation->options.from_ms - 1;
        if (kind->open_post != NULL)
            kind->open_post(simulation, &simulation->posts[i]);
    }
    if (simulation->background > 0)
        open_clock(simulation);
    return FX_OK;
}

static enum fx_code open_parts(struct simulation *simulation, struct fx_err *err)
{
    int64_t events = simulation->options.events;
    if (story_open(simulation, err) != FX_OK)
        return err->code;
    int64_t told = simulation->story.is_told ? simulation->story.total : 0;
    bool has_background = simulation->kind->step != NULL;
    simulation->background = has_background ? events - told : 0;
    simulation->total = has_background || events < told ? events : told;
    return has_background ? open_background(simulation, err) : FX_OK;
}

enum fx_code simulation_open(const struct simulation_options *options,
                             struct simulation **simulation, struct fx_err *err)
{
    fx_assert(options->kind != NULL && options->regions != NULL);
    if (check_options(options, err) != FX_OK)
        return err->code;
    struct simulation *opened = calloc(1, sizeof(*opened));
    if (opened == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a simulation");
    opened->options = *options;
    opened->kind = find_kind(options->kind);
    opened->options.kind = opened->kind->name;
    opened->random = options->seed;
    opened->now_ms = options->from_ms;
    char day[DAY_TEXT_SIZE];
    opened->year = (int32_t)strtol(day_format(options->from_ms, day), NULL, 10);
    if (open_parts(opened, err) != FX_OK) {
        simulation_close(opened);
        return err->code;
    }
    *simulation = opened;
    return FX_OK;
}

void simulation_close(struct simulation *simulation)
{
    if (simulation == NULL)
        return;
    story_close(simulation);
    free(simulation->offline);
    free(simulation->aliases);
    free(simulation->thresholds);
    free(simulation->posts);
    free(simulation);
}

/* ---- lines ---- */

static struct sim_post *step_background(struct simulation *simulation, struct sim_line *line)
{
    struct sim_post *post = draw_post(simulation, &line->at_ms);
    sim_clear(simulation->kind, line->values);
    fx_assert(line->at_ms >= post->last_ms);
    simulation->kind->step(simulation, post, line);
    simulation->background_made++;
    simulation->is_ticked = false;
    return post;
}

static struct sim_post *step_story(struct simulation *simulation, const struct story_line *told,
                                   struct sim_line *line)
{
    struct sim_post *post = &simulation->story.posts[told->post];
    line->at_ms = told->at_ms;
    memcpy(line->values, told->values, sizeof(line->values));
    story_take(simulation);
    fx_assert(line->at_ms >= post->last_ms);
    if (simulation->kind->settle != NULL)
        simulation->kind->settle(simulation, post, line);
    return post;
}

/*
 * Makes the next line's numbers; true to the seed only if every line is made, in order. The story
 * goes before the background of the same instant.
 */
static enum fx_code advance(struct simulation *simulation, const struct sim_post **from,
                            struct sim_line *line, struct fx_err *err)
{
    const struct story_line *told = NULL;
    if (story_peek(simulation, &told, err) != FX_OK)
        return err->code;
    bool has_background = simulation->background_made < simulation->background;
    if (has_background && !simulation->is_ticked) {
        tick(simulation);
        simulation->is_ticked = true;
    }
    bool is_story = told != NULL && (!has_background || told->at_ms <= simulation->now_ms);
    struct sim_post *post =
        is_story ? step_story(simulation, told, line) : step_background(simulation, line);
    post->last_ms = line->at_ms;
    simulation->made++;
    *from = post;
    return FX_OK;
}

static char *put_bytes(char *to, const char *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

static char *put_text(char *to, const char *text)
{
    return put_bytes(to, text, strlen(text));
}

/* At least digits_min digits of number >= 0. */
static char *put_number(char *to, int64_t number, int digits_min)
{
    char digits[24];
    int at = (int)sizeof(digits);
    for (uint64_t rest = (uint64_t)number; rest > 0 || digits_min > 0; rest /= 10, digits_min--)
        digits[--at] = (char)('0' + rest % 10);
    return put_bytes(to, digits + at, sizeof(digits) - (size_t)at);
}

static char *put_quoted(char *to, const char *text)
{
    *to++ = '"';
    to = put_text(to, text);
    *to++ = '"';
    return to;
}

/* Places that are in no tree of ours: Shanghai Huangpu, Shenzhen Luohu, Hong Kong, Quanzhou. */
static const char *const outside[] = {"310101", "440303", "810000", "350500"};

static char *put_region(const struct simulation *simulation, char *to, int32_t value)
{
    if (value == SIM_NULL)
        return put_text(to, "null");
    if (value < 0) {
        size_t count = sizeof(outside) / sizeof(outside[0]);
        return put_quoted(to, outside[(size_t)(-1 - value) % count]);
    }
    return put_quoted(to, simulation->options.regions->nodes[value].code);
}

static char *put_value(const struct simulation *simulation, char *to, const struct sim_field *field,
                       int32_t value)
{
    if (field->type == SIM_SYMBOL)
        return put_quoted(to, field->symbols[value]);
    if (field->type == SIM_FLAG)
        return put_text(to, "true");
    if (field->type == SIM_REGION)
        return put_region(simulation, to, value);
    if (field->type != SIM_ROUND)
        return put_number(to, value, 1);
    *to++ = '"';
    if (value > 0) {
        to = put_number(to, simulation->year, 4);
        to = put_bytes(to, "-R", 2);
        to = put_number(to, value, 1);
    }
    *to++ = '"';
    return to;
}

static char *put_line(const struct simulation *simulation, const struct sim_post *post,
                      const struct sim_line *line, char *to)
{
    const struct sim_kind *kind = simulation->kind;
    const char *region = simulation->options.regions->nodes[post->node].code;
    to = put_text(to, "{\"source\":\"");
    to = put_text(to, kind->roles[post->role].prefix);
    to = put_text(to, region);
    *to++ = '-';
    to = put_number(to, post->number, 3);
    to = put_text(to, "\",\"region\":\"");
    to = put_text(to, region);
    to = put_text(to, "\",\"at\":");
    to = put_number(to, line->at_ms, 1);
    for (int i = 0; i < kind->field_count; i++) {
        const struct sim_field *field = &kind->fields[i];
        int32_t value = line->values[i];
        bool is_left_out = value == 0 && (field->type == SIM_COUNT || field->type == SIM_FLAG);
        if (value == SIM_ABSENT || is_left_out)
            continue;
        to = put_bytes(to, field->key, field->key_size);
        to = put_value(simulation, to, field, value);
    }
    *to++ = '}';
    return to;
}

enum fx_code simulation_next(struct simulation *simulation, struct buf *line, bool *is_done,
                             struct fx_err *err)
{
    buf_reset(line);
    *is_done = simulation->made == simulation->total;
    if (*is_done)
        return FX_OK;
    char *start = (char *)buf_reserve(line, LINE_MAX_BYTES); /* first: a failure skips nothing */
    if (start == NULL)
        return buf_check(line, err);
    struct sim_line values;
    const struct sim_post *post = NULL;
    if (advance(simulation, &post, &values, err) != FX_OK)
        return err->code;
    line->size = (size_t)(put_line(simulation, post, &values, start) - start);
    fx_assert(line->size <= LINE_MAX_BYTES);
    return FX_OK;
}

enum fx_code simulation_skip(struct simulation *simulation, int64_t count, struct fx_err *err)
{
    int64_t left = simulation->total - simulation->made;
    if (count < 0 || count > left)
        return fx_err_set(err, FX_ECONFIG,
                          "cannot skip %lld simulated lines, %lld are left: other options?",
                          (long long)count, (long long)left);
    struct sim_line values;
    const struct sim_post *post = NULL;
    while (count-- > 0)
        if (advance(simulation, &post, &values, err) != FX_OK)
            return err->code;
    return FX_OK;
}

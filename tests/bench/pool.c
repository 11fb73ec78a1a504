/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "../../common/day.h"
#include "../../producers/record.h"
#include "../../producers/simulate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIMULATED_SOURCES 500

struct pool {
    struct pool_options options;
    struct kind kind;
    struct region_tree regions;
    int *places; /* regions where posts stand */
    int place_count;
    struct event *events; /* those of one simulated post are neighbours */
    int *posts;           /* the first event of each simulated post; a last entry ends them */
    int post_count;
    struct pool_source *sources;
};

/* An event as the simulation gave it, and whose it was. */
struct simulated {
    struct event event;
    char source[SCHEMA_SOURCE_MAX + 1];
    int number;
};

/* Texts of the kind's own fields live no longer than the line they came from. */
static void keep_texts(struct event *event)
{
    for (int f = ENVELOPE_COUNT; f < event->schema->field_count; f++) {
        struct event_value *value = &event->values[f];
        if (event->schema->fields[f].type == FIELD_STRING && value->text != NULL)
            value->text = strndup(value->text, (size_t)value->size);
    }
}

static int compare_simulated(const void *left, const void *right)
{
    const struct simulated *a = left;
    const struct simulated *b = right;
    int order = strcmp(a->source, b->source);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static void keep_event(struct simulated *simulated, const struct event *event, int number)
{
    const struct event_value *source = &event->values[ENVELOPE_SOURCE];
    simulated->event = *event;
    simulated->number = number;
    snprintf(simulated->source, sizeof simulated->source, "%.*s", (int)source->size, source->text);
    keep_texts(&simulated->event);
}

/* A post has its own constants, as its type: they stay together. */
static enum fx_code group_events(struct pool *pool, struct simulated *simulated, struct fx_err *err)
{
    qsort(simulated, POOL_EVENTS, sizeof *simulated, compare_simulated);
    pool->events = calloc(POOL_EVENTS, sizeof *pool->events);
    pool->posts = calloc(POOL_EVENTS + 1, sizeof *pool->posts); /* at most one each */
    if (pool->events == NULL || pool->posts == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for events");
    for (int i = 0; i < POOL_EVENTS; i++) {
        pool->events[i] = simulated[i].event;
        if (i == 0 || strcmp(simulated[i].source, simulated[i - 1].source) != 0)
            pool->posts[pool->post_count++] = i;
    }
    pool->posts[pool->post_count] = POOL_EVENTS;
    return FX_OK;
}

static enum fx_code read_lines(struct pool *pool, struct simulation *simulation,
                               struct record *record, struct fx_err *err)
{
    struct simulated *simulated = calloc(POOL_EVENTS, sizeof *simulated);
    if (simulated == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for events");
    struct buf line = BUF_INIT;
    bool is_done = false;
    for (int i = 0; i < POOL_EVENTS && err->code == FX_OK; i++) {
        struct record_line one = {.now_ms = pool->options.from_ms};
        if (simulation_next(simulation, &line, &is_done, err) != FX_OK ||
            record_read(record, buf_text(&line), line.size, &one, err) != FX_OK)
            break;
        keep_event(&simulated[i], &one.event, i);
    }
    if (err->code == FX_OK)
        (void)(group_events(pool, simulated, err) == FX_OK);
    free(simulated);
    buf_release(&line);
    return err->code;
}

static enum fx_code make_events(struct pool *pool, struct fx_err *err)
{
    struct simulation *simulation = NULL;
    struct record *record = NULL;
    const struct fx_list none = {.count = 0};
    const struct simulation_options simulated = {pool->kind.name,
                                                 POOL_EVENTS,
                                                 SIMULATED_SOURCES,
                                                 pool->options.from_ms,
                                                 pool->options.from_ms + DAY_MS,
                                                 1,
                                                 &pool->regions};
    const struct record_options recorded = {&pool->kind, NULL, NULL, &none, NULL};
    if (simulation_open(&simulated, &simulation, err) == FX_OK &&
        record_open(&recorded, &record, err) == FX_OK)
        (void)(read_lines(pool, simulation, record, err) == FX_OK);
    if (record != NULL)
        record_close(record);
    if (simulation != NULL)
        simulation_close(simulation);
    return err->code;
}

static enum fx_code list_places(struct pool *pool, struct fx_err *err)
{
    pool->places = calloc((size_t)pool->regions.count, sizeof *pool->places);
    if (pool->places == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for places");
    for (int i = 0; i < pool->regions.count; i++)
        if (pool->regions.nodes[i].level == REGION_TOWN)
            pool->places[pool->place_count++] = i;
    return pool->place_count > 0 ? FX_OK : fx_err_set(err, FX_ECONFIG, "no towns");
}

static int place_of(const struct pool *pool, int64_t source)
{
    int place = pool->places[source % pool->place_count];
    if (source % 100 == 99)
        return pool->regions.nodes[place].parent;
    return place;
}

static enum fx_code make_sources(struct pool *pool, struct fx_err *err)
{
    int64_t count = pool->options.sources;
    pool->sources = calloc((size_t)count, sizeof *pool->sources);
    if (pool->sources == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %" PRId64 " sources", count);
    for (int64_t i = 0; i < count; i++) {
        struct pool_source *source = &pool->sources[i];
        source->region = place_of(pool, i);
        source->run = (int64_t)((uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
        source->name_size = (size_t)snprintf(source->name, sizeof source->name, "CP-%s-%06" PRId64,
                                             pool->regions.nodes[source->region].code, i);
    }
    return FX_OK;
}

enum fx_code pool_open(const struct pool_options *options, struct pool **pool, struct fx_err *err)
{
    char path[4096];
    struct pool *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a pool");
    fresh->options = *options;
    *pool = fresh;
    snprintf(path, sizeof path, "%s/regions.csv", options->schemas);
    if (kind_load(options->schemas, options->kind, &fresh->kind, err) != FX_OK ||
        region_tree_init(&fresh->regions, err) != FX_OK ||
        region_tree_load(&fresh->regions, path, err) != FX_OK || make_events(fresh, err) != FX_OK ||
        list_places(fresh, err) != FX_OK)
        return err->code;
    return make_sources(fresh, err);
}

const struct region_tree *pool_regions(const struct pool *pool)
{
    return &pool->regions;
}

const struct pool_source *pool_sources(const struct pool *pool)
{
    return pool->sources;
}

static void set_text(struct event_value *value, const char *text)
{
    value->text = text;
    value->size = (int)strlen(text);
}

enum fx_code pool_event(struct pool *pool, int64_t number, struct pool_message *message,
                        struct fx_err *err)
{
    const struct pool_options *options = &pool->options;
    /* one after the other, in an order that no cache likes better than the real one */
    int64_t round = number / options->sources;
    int64_t index = number % options->sources * 7919 % options->sources;
    const struct pool_source *source = &pool->sources[index];
    const int *post = &pool->posts[index % pool->post_count];
    struct event *event = &pool->events[post[0] + (round * 31 + index) % (post[1] - post[0])];
    double share = (double)number / (double)options->events;
    message->source = source;
    set_text(&event->values[ENVELOPE_SOURCE], source->name);
    set_text(&event->values[ENVELOPE_REGION], pool->regions.nodes[source->region].code);
    event->values[ENVELOPE_RUN].number = source->run;
    event->values[ENVELOPE_SEQ].number = options->first + round;
    event->values[ENVELOPE_OCCURRED_AT].number =
        options->from_ms + (int64_t)(share * (double)options->spread_ms);
    return event_encode(event, message->bytes, &message->size, err);
}

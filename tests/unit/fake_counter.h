/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_counter - one kind's plan, cells and levels, as a worker has them, without a worker.
 */
#ifndef FX_FAKE_COUNTER_H
#define FX_FAKE_COUNTER_H

#include "fake_recount.h"

#include "../../consumers/plan.h"

struct counter {
    const struct schema *schema;
    struct plan *plan;
    struct cells *cells[ROLLUP_PER_KIND_MAX];
    struct levels *levels[ROLLUP_PER_KIND_MAX];
    struct names *sources;
    struct region_tree regions;
};

static inline void counter_open(struct counter *counter, const struct catalog *catalog, int kind,
                                size_t bytes_max)
{
    memset(counter, 0, sizeof *counter);
    counter->schema = kind_current(&catalog->kinds[kind].kind);
    assert_ok(plan_open(catalog, kind, 21, &counter->plan, &err));
    assert_ok(names_open(22, &counter->sources, &err));
    assert_ok(region_tree_init(&counter->regions, &err));
    for (int i = 0; i < plan_rollup_count(counter->plan); i++) {
        assert_ok(
            cells_open(plan_rollup(counter->plan, i), bytes_max, 23, &counter->cells[i], &err));
        assert_ok(levels_open(counter->plan, i, 24, &counter->levels[i], &err));
    }
}

static inline void counter_close(struct counter *counter)
{
    for (int i = 0; i < plan_rollup_count(counter->plan); i++) {
        cells_close(counter->cells[i]);
        levels_close(counter->levels[i]);
    }
    plan_close(counter->plan);
    names_close(counter->sources);
    region_tree_release(&counter->regions);
}

/* Applies one event, as take.c would. */
static inline enum fx_code counter_apply(struct counter *counter, const struct recount_event *from,
                                         struct fx_err *err)
{
    struct event event = {.fields = from->fields};
    const struct decoded_text *region = &event.fields.texts[ENVELOPE_REGION];
    event.source = event.fields.texts[ENVELOPE_SOURCE];
    event.run = event.fields.numbers[ENVELOPE_RUN];
    event.seq = event.fields.numbers[ENVELOPE_SEQ];
    struct plan_target target = {.event = &event,
                                 .counted_ms = from->counted_ms,
                                 .sign = (int)event.fields.numbers[ENVELOPE_SIGN],
                                 .regions = &counter->regions,
                                 .cells = counter->cells};
    target.region = region_tree_find(&counter->regions, region->bytes, region->size);
    assert_true(target.region >= 0);
    if (names_intern(counter->sources, event.source.bytes, event.source.size, &target.source,
                     err) != FX_OK)
        return err->code;
    return plan_apply(counter->plan, &target, err);
}

/* The head of a row's key, as the database compares it. */
static inline const char *counter_head(const struct counter *counter,
                                       const struct level_table *table, int row)
{
    const struct cell_key *key = &table->rows[row]->key;
    return table->level == LEVEL_SOURCE ? names_text(counter->sources, key->source)
                                        : counter->regions.nodes[key->region].code;
}

/* Rows ascend by head, bucket and dimensions. */
static inline void counter_check_order(const struct counter *counter,
                                       const struct level_table *table)
{
    for (int r = 1; r < table->count; r++) {
        const struct cell_key *a = &table->rows[r - 1]->key;
        const struct cell_key *b = &table->rows[r]->key;
        int order = strcmp(counter_head(counter, table, r - 1), counter_head(counter, table, r));
        if (order == 0 && a->bucket_ms != b->bucket_ms)
            order = a->bucket_ms < b->bucket_ms ? -1 : 1;
        for (int d = 0; order == 0 && d < table->rollup->dimension_count; d++)
            order = strcmp(plan_dimension_text(counter->plan, table->rollup, d, a->dimensions[d]),
                           plan_dimension_text(counter->plan, table->rollup, d, b->dimensions[d]));
        assert_true(order < 0);
    }
}

/* All tables of the kind as they are now, into table. */
static inline void counter_collect(struct counter *counter, struct table *table)
{
    struct level_names names = {&counter->regions, counter->sources};
    for (int i = 0; i < plan_rollup_count(counter->plan); i++)
        for (int level = 0; level < LEVEL_COUNT; level++) {
            struct level_table derived = {.level = level};
            if (!levels_has(plan_rollup(counter->plan, i), level))
                continue;
            assert_ok(levels_derive(counter->levels[i], counter->cells[i], &names, &derived, &err));
            counter_check_order(counter, &derived);
            recount_collect(table, &derived, &names);
        }
}

/* A random event of the counter's kind at one of a few places, in one of a few hours. */
static inline struct recount_event counter_random(const struct counter *counter, struct dice *dice)
{
    static const char *const texts[] = {"", "A", "AB", "B", "卡口", "Z"};
    static const char *const sources[] = {"CP-10", "CP-2", "cp-2", "CP-2.", "Q"};
    struct recount_event event;
    memset(&event, 0, sizeof event);
    for (int i = 0; i < counter->schema->field_count; i++) {
        const struct field *field = &counter->schema->fields[i];
        const char *text = texts[dice_below(dice, 6)];
        if (field->type == FIELD_STRING && field->max_length == SCHEMA_REGION_MAX &&
            dice_chance(dice, 90))
            text = counter->regions.nodes[1 + dice_below(dice, counter->regions.count - 1)].code;
        event.fields.is_null[i] = field->is_nullable && dice_chance(dice, 40);
        int64_t highest =
            field->max > field->min + 5 && dice_chance(dice, 80) ? field->min + 5 : field->max;
        if (field->type == FIELD_STRING)
            event.fields.texts[i] = (struct decoded_text){text, (uint32_t)strlen(text)};
        else if (!event.fields.is_null[i])
            event.fields.numbers[i] = dice_between(dice, field->min, highest);
    }
    const char *source = sources[dice_below(dice, 5)];
    event.fields.texts[ENVELOPE_SOURCE] = (struct decoded_text){source, (uint32_t)strlen(source)};
    const char *code =
        counter->regions.nodes[1 + dice_below(dice, counter->regions.count - 1)].code;
    event.fields.texts[ENVELOPE_REGION] = (struct decoded_text){code, (uint32_t)strlen(code)};
    event.fields.numbers[ENVELOPE_RUN] = dice_below(dice, 3);
    event.fields.numbers[ENVELOPE_SEQ] = dice_between(dice, 1, 1000000);
    event.fields.numbers[ENVELOPE_SIGN] = dice_chance(dice, 20) ? -1 : 1;
    event.counted_ms = dice_between(dice, -4, 4) * 1800000 + dice_below(dice, 3) * 7;
    return event;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_recount - the figures an event must make at every level, counted naively.
 */
#ifndef FX_FAKE_RECOUNT_H
#define FX_FAKE_RECOUNT_H

#include "fake_rule.h"
#include "fake_table.h"

#include "../../consumers/levels.h"

/* "gate_town|C1-T1|1644451200000|ROAD|A" */
static inline void recount_key(char key[TABLE_KEY_MAX], const struct rollup *rollup, int level,
                               const char *head, int64_t bucket_ms)
{
    snprintf(key, TABLE_KEY_MAX, "%s_%s|%s|%" PRId64, rollup->name, levels_suffix(level), head,
             bucket_ms);
}

static inline void recount_append(char key[TABLE_KEY_MAX], const char *dimension, int size)
{
    size_t used = strlen(key);
    snprintf(key + used, TABLE_KEY_MAX - used, "|%.*s", size, dimension);
}

/* Which row of which level: a region's code or a source. */
struct recount_head {
    int level;
    const char *text;
};

static inline void recount_row(struct table *table, const struct schema *schema,
                               const struct rollup *rollup, const struct recount_event *event,
                               struct recount_head head)
{
    char key[TABLE_KEY_MAX];
    int64_t width_ms = rollup->bucket_ms;
    int64_t into_ms = ((event->counted_ms % width_ms) + width_ms) % width_ms;
    recount_key(key, rollup, head.level, head.text, event->counted_ms - into_ms);
    for (int i = 0; i < rollup->dimension_count; i++) {
        int field = rollup->dimensions[i];
        const struct decoded_text *text = &event->fields.texts[field];
        if (schema->fields[field].type == FIELD_STRING)
            recount_append(key, text->bytes, (int)text->size);
        else
            recount_append(key, schema->fields[field].symbols[event->fields.numbers[field]], 80);
    }
    struct row *row = table_row(table, key, rollup);
    for (int i = 0, at = 0; i < rollup->column_count; i++) {
        int64_t value[4];
        if (recount_value(&rollup->columns[i], event, value))
            table_add(rollup->columns[i].aggregate, &row->values[at], value);
        at += rollup->columns[i].aggregate == AGGREGATE_LAST ? 4 : 1;
    }
}

/* Adds event to the rows of its source, its place and every ancestor of it. */
static inline void recount_add(struct table *table, const struct schema *schema,
                               const struct rollup *rollup, const struct region_tree *regions,
                               const struct recount_event *event)
{
    const struct decoded *fields = &event->fields;
    const struct decoded_text *code = &fields->texts[rollup->region_field];
    const struct decoded_text *source = &fields->texts[ENVELOPE_SOURCE];
    char head[SCHEMA_SOURCE_MAX + 1];
    if (fields->is_null[rollup->region_field])
        return;
    snprintf(head, sizeof head, "%.*s", (int)source->size, source->bytes);
    if (rollup->by_source)
        recount_row(table, schema, rollup, event, (struct recount_head){LEVEL_SOURCE, head});
    int at = REGION_OUTSIDE;
    for (int i = 0; i < regions->count; i++)
        if (recount_is_text(code, regions->nodes[i].code))
            at = i;
    for (; rollup->by_region && at >= 0; at = regions->nodes[at].parent)
        recount_row(table, schema, rollup, event,
                    (struct recount_head){(int)regions->nodes[at].level, regions->nodes[at].code});
}

/* A derived table's rows with the keys recount_add gives them. */
static inline void recount_collect(struct table *table, const struct level_table *from,
                                   const struct level_names *names)
{
    int width = table_width(from->rollup);
    for (int r = 0; r < from->count; r++) {
        const struct cell *cell = from->rows[r];
        char key[TABLE_KEY_MAX];
        recount_key(key, from->rollup, from->level,
                    from->level == LEVEL_SOURCE ? names_text(names->sources, cell->key.source)
                                                : names->regions->nodes[cell->key.region].code,
                    cell->key.bucket_ms);
        for (int d = 0; d < from->rollup->dimension_count; d++)
            recount_append(
                key, plan_dimension_text(from->plan, from->rollup, d, cell->key.dimensions[d]), 80);
        assert_null(table_find(table, key));
        memcpy(table_row(table, key, from->rollup)->values, cell->slots,
               (size_t)width * sizeof(int64_t));
    }
}

/* Fails, naming row and value, unless both tables hold the same rows. */
static inline void assert_same_tables(const struct table *actual, const struct table *expected)
{
    for (int i = 0; i < expected->count; i++) {
        const struct row *wanted = &expected->rows[i];
        const struct row *found = table_find(actual, wanted->key);
        if (found == NULL)
            fail_msg("no row %s", wanted->key);
        int width = wanted->rollup == NULL ? 1 : table_width(wanted->rollup);
        for (int v = 0; v < width; v++)
            if (found->values[v] != wanted->values[v])
                fail_msg("row %s, value %d: %" PRId64 " for %" PRId64, wanted->key, v,
                         found->values[v], wanted->values[v]);
    }
    for (int i = 0; i < actual->count; i++)
        if (table_find(expected, actual->rows[i].key) == NULL)
            fail_msg("a row too many: %s", actual->rows[i].key);
}

#endif

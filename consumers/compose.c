/* SPDX-License-Identifier: Apache-2.0 */
/* compose - all that waits in memory, as one flush. */
#include "pipeline_state.h"

#include <stdlib.h>
#include <string.h>

static void list_positions(struct pipeline *pipeline, struct flush *flush)
{
    for (int i = 0; i < pipeline->part_count; i++) {
        struct part *part = &pipeline->parts[i];
        bool is_moved = part->next != part->sent_next;
        if (!is_moved && part->caught_up_ms <= part->sent_caught_up_ms)
            continue;
        /* records lie in the order of their append times: whatever was appended before the last
         * one taken is taken too */
        if (is_moved && part->append_high_ms > part->caught_up_ms)
            part->caught_up_ms = part->append_high_ms;
        pipeline->positions[flush->position_count++] = (struct flush_position){
            .topic = part->topic,
            .partition = part->partition,
            .generation = part->generation,
            .old_next = part->sent_next,
            .new_next = part->next,
            .append_high_ms = part->append_high_ms,
            .has_bookmark = part->has_bookmark,
            .bookmark = arrive_bookmark(part),
            .caught_up_ms = part->caught_up_ms,
        };
    }
    flush->positions = pipeline->positions;
}

/* Source tables first: only this worker writes them. The city's rows, which all workers share,
 * come last and so are locked for the shortest time. */
static enum fx_code derive_tables(struct pipeline *pipeline, struct flush *flush,
                                  struct fx_err *err)
{
    static const int order[LEVEL_COUNT] = {LEVEL_SOURCE, REGION_TOWN, REGION_COUNTY, REGION_CITY};
    struct level_names names = {&pipeline->regions, ledger_names(pipeline->ledger)};
    int units = pipeline->options.catalog->kind_count * ROLLUP_PER_KIND_MAX;
    for (int at = 0; at < LEVEL_COUNT * units; at++) {
        struct kind_state *kind = &pipeline->kinds[at % units / ROLLUP_PER_KIND_MAX];
        int i = at % ROLLUP_PER_KIND_MAX;
        struct level_table *table = &pipeline->tables[flush->table_count];
        table->level = order[at / units];
        if (kind->cells[i] == NULL || cells_count(kind->cells[i]) == 0 ||
            !levels_has(plan_rollup(kind->plan, i), table->level))
            continue;
        if (levels_derive(kind->levels[i], kind->cells[i], &names, table, err) != FX_OK)
            return err->code;
        pipeline->stats.flush_rows += table->count;
        flush->table_count += table->count > 0;
    }
    flush->tables = pipeline->tables;
    return FX_OK;
}

static enum fx_code add_wanted(struct pipeline *pipeline, const struct claim_wanted *wanted,
                               struct fx_err *err)
{
    if (pipeline->presumed_count == pipeline->presumed_room) {
        int room = pipeline->presumed_room == 0 ? 64 : pipeline->presumed_room * 2;
        struct claim_wanted *more = realloc(pipeline->presumed, (size_t)room * sizeof *more);
        if (more == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d presumed runs", room);
        pipeline->presumed = more;
        pipeline->presumed_room = room;
    }
    pipeline->presumed[pipeline->presumed_count++] = *wanted;
    return FX_OK;
}

static enum fx_code add_marked(struct pipeline *pipeline, const struct mark_set *set,
                               struct fx_err *err)
{
    for (int i = set->stored_count; i < set->count; i++) {
        const struct mark *one = &set->items[i];
        struct claim_wanted wanted = {.topic = one->topic, .run = one->run, .seq = one->seq};
        memcpy(wanted.source, one->source, sizeof wanted.source);
        if (add_wanted(pipeline, &wanted, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* What this flush presumes new: to be looked up if the database knows better. */
static enum fx_code list_presumed(struct pipeline *pipeline, struct fx_err *err)
{
    int count;
    const int *dirty = ledger_dirty(pipeline->ledger, &count);
    pipeline->presumed_count = 0;
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(pipeline->ledger, dirty[i]);
        if (entry->is_known)
            continue;
        struct claim_wanted wanted = {.topic = entry->topic, .run = entry->run};
        memcpy(wanted.source, entry->source_text, entry->source_size);
        if (add_wanted(pipeline, &wanted, err) != FX_OK)
            return err->code;
    }
    if (add_marked(pipeline, &pipeline->marks.reversed, err) != FX_OK)
        return err->code;
    if (add_marked(pipeline, &pipeline->marks.corrected, err) != FX_OK)
        return err->code;
    return add_marked(pipeline, &pipeline->marks.uncorrected, err);
}

enum fx_code compose_flush(struct pipeline *pipeline, struct flush *flush, struct fx_err *err)
{
    *flush = (struct flush){
        .ledger = pipeline->ledger,
        .marks = &pipeline->marks,
        .rejected = pipeline->rejected,
        .rejected_count = pipeline->rejected_count,
        .hours = pipeline->hours,
        .hour_count = pipeline->hour_count,
        .holes = pipeline->holes,
        .hole_count = pipeline->hole_count,
        .days = pipeline->days,
        .day_count = pipeline->day_count,
        .tallies = pipeline->tallies,
        .tally_count = pipeline->tally_count,
        .regions = &pipeline->regions,
        .reported_until_ms = pipeline->reported_until_ms,
    };
    list_positions(pipeline, flush);
    if (derive_tables(pipeline, flush, err) != FX_OK)
        return err->code;
    return list_presumed(pipeline, err);
}

void compose_reset(struct pipeline *pipeline)
{
    for (int k = 0; k < pipeline->options.catalog->kind_count; k++)
        for (int i = 0; i < plan_rollup_count(pipeline->kinds[k].plan); i++) {
            cells_reset(pipeline->kinds[k].cells[i]);
            levels_reset(pipeline->kinds[k].levels[i]);
        }
}

void compose_sent(struct pipeline *pipeline)
{
    compose_reset(pipeline);
    ledger_sent(pipeline->ledger);
    marks_sent(&pipeline->marks);
    for (int i = 0; i < pipeline->part_count; i++) {
        pipeline->parts[i].sent_next = pipeline->parts[i].next;
        pipeline->parts[i].sent_caught_up_ms = pipeline->parts[i].caught_up_ms;
    }
    pipeline->rejected_count = pipeline->hour_count = pipeline->hole_count = 0;
    pipeline->day_count = pipeline->tally_count = 0;
    pipeline->flight_events = pipeline->pending;
    pipeline->flight_latest = pipeline->latest;
    pipeline->pending = 0;
}

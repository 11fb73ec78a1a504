/* SPDX-License-Identifier: Apache-2.0 */
/* store_note - what a flush notes beside the figures: homes, marks, days, tallies, corrections. */
#include "store_state.h"

#include <inttypes.h>

static void add_event(struct store *store, int at, const struct mark *row)
{
    struct array *a = &store->arrays[at];
    array_add_text(&a[0], store->options.topics[row->topic]);
    array_add_text(&a[1], row->source);
    array_add_int8(&a[2], row->run);
    array_add_int8(&a[3], row->seq);
}

static enum fx_code send_reversals(struct store *store, const struct mark_set *set,
                                   struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT,        ARRAY_TEXT,       ARRAY_INT8,
                                            ARRAY_INT8,        ARRAY_INT8,       ARRAY_INT8,
                                            ARRAY_TIMESTAMPTZ, ARRAY_TIMESTAMPTZ};
    struct array *a = store->arrays;
    store_begin_arrays(store, types, 8);
    for (int i = set->stored_count; i < set->count; i++) {
        const struct mark *row = &set->items[i];
        add_event(store, 0, row);
        array_add_int8(&a[4], row->by_run);
        array_add_int8(&a[5], row->by_seq);
        if (row->counted_ms == MARK_AS_SAID)
            array_add_null(&a[6]);
        else
            array_add_instant(&a[6], row->counted_ms);
        array_add_instant(&a[7], row->undone_ms);
    }
    return a[0].count == 0 ? FX_OK : store_send_arrays(store, "reversals", 8, err);
}

static enum fx_code send_corrected(struct store *store, const struct mark_set *set,
                                   struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT8,
                                            ARRAY_TIMESTAMPTZ};
    store_begin_arrays(store, types, 5);
    for (int i = set->stored_count; i < set->count; i++) {
        add_event(store, 0, &set->items[i]);
        array_add_instant(&store->arrays[4], set->items[i].counted_ms);
    }
    return store->arrays[0].count == 0 ? FX_OK : store_send_arrays(store, "corrected", 5, err);
}

static enum fx_code send_uncorrected(struct store *store, const struct mark_set *set,
                                     struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT8};
    store_begin_arrays(store, types, 4);
    for (int i = 0; i < set->count; i++)
        add_event(store, 0, &set->items[i]);
    return set->count == 0 ? FX_OK : store_send_arrays(store, "uncorrected", 4, err);
}

/* A reversal and its original, in two partitions and so in two transactions, look for one another:
 * one of them has to come second. */
static enum fx_code send_mark_locks(struct store *store, const struct marks *marks,
                                    struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT};
    store_begin_arrays(store, types, 1);
    for (int i = marks->corrected.stored_count; i < marks->corrected.count; i++)
        array_add_text(&store->arrays[0], marks->corrected.items[i].source);
    for (int i = marks->reversed.stored_count; i < marks->reversed.count; i++)
        array_add_text(&store->arrays[0], marks->reversed.items[i].source);
    return store->arrays[0].count == 0 ? FX_OK : store_send_arrays(store, "mark_locks", 1, err);
}

/* In this order: a refusal was right if nothing committed says otherwise, whatever this flush adds;
 * a corrected event meets only earlier reversals, which took it to have counted when it says; a
 * reversal finds the corrected event of its own flush. */
enum fx_code store_send_marks(struct store *store, const struct flush *flush, struct fx_err *err)
{
    if (send_mark_locks(store, flush->marks, err) != FX_OK ||
        send_uncorrected(store, &flush->marks->uncorrected, err) != FX_OK ||
        send_corrected(store, &flush->marks->corrected, err) != FX_OK)
        return err->code;
    return send_reversals(store, &flush->marks->reversed, err);
}

/* The record knows where a run lives that the live schema met in several partitions: whoever counts
 * it first elsewhere looks again. Between this and the commit the live schema may find out about
 * one more; fx-setup --swap names it. */
static const char homes_kept_sql[] =
    "SELECT must(NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[]) "
    "AS d(topic, source, run, partition) JOIN %s.run_home h USING (topic, source, run) "
    "WHERE h.partition <> d.partition), 'FX002', 'a run lives in another partition')";

/* The row of the run is that of this flush, or an older one. */
static const char homes_found_sql[] =
    "INSERT INTO %s.run_home (topic, source, run, partition) SELECT DISTINCT l.topic, l.source, "
    "l.run, l.partition FROM unnest($1::text[], $2::text[], $3::bigint[]) AS d(topic, source, run) "
    "JOIN source_ledger l USING (topic, source, run) WHERE NOT (SELECT is_rebuild FROM definition) "
    "ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING";

static enum fx_code send_homes_sql(struct store *store, const char *text, int count,
                                   struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    if (store->arrays[0].count == 0)
        return FX_OK;
    store_record_sql(store, text, &sql);
    if (buf_check(&sql, err) == FX_OK)
        (void)(store_send_arrays_sql(store, buf_text(&sql), count, err) == FX_OK);
    buf_release(&sql);
    return err->code;
}

/* Runs that are presumed new: no other one changes its partition. */
static enum fx_code send_homes_kept(struct store *store, const struct flush *flush,
                                    struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT4};
    struct array *a = store->arrays;
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    store_begin_arrays(store, types, 4);
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        if (entry->is_known)
            continue;
        array_add_text(&a[0], store->options.topics[entry->topic]);
        array_add_bytes(&a[1], entry->source_text, entry->source_size);
        array_add_int8(&a[2], entry->run);
        array_add_int4(&a[3], entry->partition);
    }
    return send_homes_sql(store, homes_kept_sql, 4, err);
}

enum fx_code store_send_homes(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8};
    struct array *a = store->arrays;
    if (send_homes_kept(store, flush, err) != FX_OK)
        return err->code;
    store_begin_arrays(store, types, 3);
    for (int i = 0; i < flush->rejected_count; i++) {
        const struct flush_rejected *row = &flush->rejected[i];
        if (row->reason != REASON_MOVED_PARTITION)
            continue;
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_text(&a[1], row->source);
        array_add_int8(&a[2], row->run);
    }
    return send_homes_sql(store, homes_found_sql, 3, err);
}

enum fx_code store_send_days(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8,
                                            ARRAY_DATE, ARRAY_INT8, ARRAY_INT8};
    struct array *a = store->arrays;
    store_begin_arrays(store, types, 6);
    for (int i = 0; i < flush->day_count; i++) {
        const struct flush_day *row = &flush->days[i];
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_text(&a[1], names_text(ledger_names(flush->ledger), row->source));
        array_add_int8(&a[2], row->run);
        array_add_day(&a[3], row->day.end_ms);
        array_add_int8(&a[4], row->day.first);
        array_add_int8(&a[5], row->last);
    }
    return flush->day_count == 0 ? FX_OK : store_send_arrays(store, "days", 6, err);
}

static void add_tally(struct array *a, const char *topic, const char *source,
                      const struct ledger_tally *tally)
{
    array_add_text(&a[0], topic);
    array_add_text(&a[1], source);
    array_add_day(&a[2], tally->day_end_ms);
    array_add_int8(&a[3], tally->duplicates);
    array_add_int8(&a[4], tally->late);
    array_add_int8(&a[5], tally->clock_corrected);
}

enum fx_code store_send_tallies(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_TEXT, ARRAY_DATE,
                                            ARRAY_INT8, ARRAY_INT8, ARRAY_INT8};
    const char *const *topics = store->options.topics;
    const struct names *names = ledger_names(flush->ledger);
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    store_begin_arrays(store, types, 6);
    for (int i = 0; i < flush->tally_count; i++) {
        const struct flush_tally *row = &flush->tallies[i];
        add_tally(store->arrays, topics[row->topic], names_text(names, row->source), &row->tally);
    }
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        const struct ledger_tally *tally = &entry->tally;
        if (tally->duplicates > 0 || tally->late > 0 || tally->clock_corrected > 0)
            add_tally(store->arrays, topics[entry->topic], names_text(names, entry->source), tally);
    }
    return store->arrays[0].count == 0 ? FX_OK : store_send_arrays(store, "tallies", 6, err);
}

/* {"checked_groups":1,"checked_person_times":-3}: what a row's counts and sums gain. Names of
 * columns are plain identifiers. false: nothing. */
static bool write_changes(const struct level_table *table, const struct cell *cell, struct buf *out)
{
    buf_reset(out);
    for (int i = 0; i < table->rollup->column_count; i++) {
        const struct rollup_column *column = &table->rollup->columns[i];
        int64_t delta = cell->slots[cells_slot(table->cells, i)];
        bool is_sum = column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM;
        if (is_sum && delta != 0)
            buf_append_format(out, "%c\"%s\":%" PRId64, out->size == 0 ? '{' : ',', column->name,
                              delta);
    }
    if (out->size > 0)
        buf_append_byte(out, '}');
    return out->size > 0 || out->is_failed;
}

/* ["ROAD","A"]: symbols and short texts; what JSON does not take as it is becomes \u00xx. */
static void write_dimensions(const struct level_table *table, const struct cell *cell,
                             struct buf *out)
{
    buf_reset(out);
    buf_append_byte(out, '[');
    for (int d = 0; d < table->rollup->dimension_count; d++) {
        const char *text =
            plan_dimension_text(table->plan, table->rollup, d, cell->key.dimensions[d]);
        buf_append_text(out, d == 0 ? "\"" : ",\"");
        for (; *text != '\0'; text++) {
            unsigned char byte = (unsigned char)*text;
            if (byte < 0x20 || byte == '"' || byte == '\\')
                buf_append_format(out, "\\u%04x", byte);
            else
                buf_append_byte(out, byte);
        }
        buf_append_byte(out, '"');
    }
    buf_append_byte(out, ']');
}

struct texts {
    struct buf changes;
    struct buf dimensions;
};

static enum fx_code add_corrections(struct store *store, const struct flush *flush,
                                    const struct level_table *table, struct texts *texts,
                                    struct fx_err *err)
{
    struct array *a = store->arrays;
    for (int r = 0; r < table->count; r++) {
        const struct cell *cell = table->rows[r];
        if (cell->key.bucket_ms + table->rollup->bucket_ms > flush->reported_until_ms ||
            !write_changes(table, cell, &texts->changes))
            continue;
        write_dimensions(table, cell, &texts->dimensions);
        if (buf_check(&texts->changes, err) != FX_OK || buf_check(&texts->dimensions, err) != FX_OK)
            return err->code;
        array_add_text(&a[0], table->rollup->name);
        array_add_text(&a[1], levels_suffix(table->level));
        array_add_text(&a[2], flush->regions->nodes[cell->key.region].code);
        array_add_instant(&a[3], cell->key.bucket_ms);
        array_add_text(&a[4], buf_text(&texts->dimensions));
        array_add_text(&a[5], buf_text(&texts->changes));
        array_add_instant(&a[6], flush->reported_until_ms);
    }
    return FX_OK;
}

enum fx_code store_send_corrections(struct store *store, const struct flush *flush,
                                    struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT,        ARRAY_TEXT, ARRAY_TEXT,
                                            ARRAY_TIMESTAMPTZ, ARRAY_TEXT, ARRAY_TEXT,
                                            ARRAY_TIMESTAMPTZ};
    struct texts texts = {BUF_INIT, BUF_INIT};
    if (flush->reported_until_ms == INT64_MIN)
        return FX_OK;
    store_begin_arrays(store, types, 7);
    for (int i = 0; i < flush->table_count && err->code == FX_OK; i++)
        if (flush->tables[i].level != LEVEL_SOURCE)
            (void)(add_corrections(store, flush, &flush->tables[i], &texts, err) == FX_OK);
    buf_release(&texts.changes);
    buf_release(&texts.dimensions);
    if (err->code != FX_OK || store->arrays[0].count == 0)
        return err->code;
    return store_send_arrays(store, "corrections", 7, err);
}

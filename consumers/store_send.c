/* SPDX-License-Identifier: Apache-2.0 */
/* store_send - a flush as one pipeline: BEGIN, what changed, COMMIT, one Sync. */
#include "store_state.h"

#include "../common/day.h"

#include <string.h>

void store_begin_arrays(struct store *store, const enum array_type *types, int count)
{
    fx_assert(count <= STORE_ARRAYS_MAX);
    for (int i = 0; i < count; i++)
        array_begin(&store->arrays[i], types[i]);
}

static enum fx_code send_arrays(struct store *store, const char *name, const char *sql, int count,
                                struct fx_err *err)
{
    const char *values[STORE_ARRAYS_MAX];
    int lengths[STORE_ARRAYS_MAX];
    int formats[STORE_ARRAYS_MAX];
    for (int i = 0; i < count; i++) {
        struct array *array = &store->arrays[i];
        array_end(array);
        if (buf_check(&array->buf, err) != FX_OK)
            return err->code;
        values[i] = (const char *)array->buf.data;
        lengths[i] = (int)array->buf.size;
        formats[i] = 1;
    }
    PGconn *conn = store->conn;
    int is_sent = name != NULL
                      ? PQsendQueryPrepared(conn, name, count, values, lengths, formats, 0)
                      : PQsendQueryParams(conn, sql, count, NULL, values, lengths, formats, 0);
    return is_sent == 0 ? pg_failed(conn, NULL, err) : FX_OK;
}

enum fx_code store_send_arrays(struct store *store, const char *name, int count, struct fx_err *err)
{
    return send_arrays(store, name, NULL, count, err);
}

enum fx_code store_send_arrays_sql(struct store *store, const char *sql, int count,
                                   struct fx_err *err)
{
    return send_arrays(store, NULL, sql, count, err);
}

/* A prepared statement and its parameters. A flush may hold more rows than arrays should: it is
 * sent as often as needed. */
struct shape {
    const char *name;
    int count;
    enum array_type types[20];
};

static void begin_rows(struct store *store, const struct shape *shape)
{
    store_begin_arrays(store, shape->types, shape->count);
}

/* There is room for a row more: what is full goes. */
static enum fx_code make_room(struct store *store, const struct shape *shape, struct fx_err *err)
{
    if (store->arrays[0].count < STORE_ROWS_MAX)
        return FX_OK;
    if (store_send_arrays(store, shape->name, shape->count, err) != FX_OK)
        return err->code;
    store_drain(store);
    begin_rows(store, shape);
    return FX_OK;
}

static enum fx_code end_rows(struct store *store, const struct shape *shape, struct fx_err *err)
{
    return store->arrays[0].count == 0 ? FX_OK
                                       : store_send_arrays(store, shape->name, shape->count, err);
}

static void add_nullable(struct array *array, int64_t value, bool is_null)
{
    if (is_null)
        array_add_null(array);
    else
        array_add_int8(array, value);
}

static void add_instant_or_null(struct array *array, int64_t instant_ms, bool is_null)
{
    if (is_null)
        array_add_null(array);
    else
        array_add_instant(array, instant_ms);
}

static enum fx_code send_positions(struct store *store, const struct flush *flush,
                                   struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_INT4, ARRAY_INT8, ARRAY_INT8,
                                            ARRAY_INT8, ARRAY_INT8, ARRAY_INT8, ARRAY_TIMESTAMPTZ};
    struct array *a = store->arrays;
    store_begin_arrays(store, types, 8);
    for (int i = 0; i < flush->position_count; i++) {
        const struct flush_position *row = &flush->positions[i];
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_int4(&a[1], row->partition);
        array_add_int8(&a[2], row->generation);
        array_add_int8(&a[3], row->old_next);
        array_add_int8(&a[4], row->new_next);
        array_add_int8(&a[5], row->append_high_ms);
        add_nullable(&a[6], row->bookmark, !row->has_bookmark);
        add_instant_or_null(&a[7], row->caught_up_ms, row->caught_up_ms == 0);
    }
    return store_send_arrays(store, "positions", 8, err);
}

/* topic, source, run: the head of every statement about runs. */
static void add_run_key(struct store *store, const struct ledger_entry *entry)
{
    array_add_text(&store->arrays[0], store->options.topics[entry->topic]);
    array_add_bytes(&store->arrays[1], entry->source_text, entry->source_size);
    array_add_int8(&store->arrays[2], entry->run);
}

static void add_run(struct store *store, const struct flush *flush,
                    const struct ledger_entry *entry)
{
    struct array *a = store->arrays;
    add_run_key(store, entry);
    array_add_int4(&a[3], entry->partition);
    array_add_bool(&a[4], entry->is_known);
    array_add_int8(&a[5], entry->sent_high);
    array_add_int8(&a[6], entry->high);
    array_add_int8(&a[7], entry->delta.counted);
    array_add_int8(&a[8], entry->delta.duplicates);
    array_add_int8(&a[9], entry->delta.late);
    array_add_int8(&a[10], entry->delta.clock_corrected);
    array_add_int8(&a[11], entry->delta.rejected);
    array_add_int4(&a[12], entry->gaps.count);
    array_add_bool(&a[13], entry->is_quarantined);
    add_instant_or_null(&a[14], entry->last_occurred_ms, entry->last_occurred_ms == 0);
    add_instant_or_null(&a[15], entry->last_appended_ms, entry->last_appended_ms == 0);
    if (entry->region < 0)
        array_add_null(&a[16]);
    else
        array_add_text(&a[16], flush->regions->nodes[entry->region].code);
    add_instant_or_null(&a[17], entry->opened_ms, entry->opened_ms == 0);
    if (entry->day.end_ms == LEDGER_NO_DAY)
        array_add_null(&a[18]);
    else
        array_add_day(&a[18], entry->day.end_ms);
    add_nullable(&a[19], entry->day.first, entry->day.end_ms == LEDGER_NO_DAY);
}

static enum fx_code send_runs(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const struct shape runs = {
        "runs", 20, {ARRAY_TEXT, ARRAY_TEXT,        ARRAY_INT8,        ARRAY_INT4,
                     ARRAY_BOOL, ARRAY_INT8,        ARRAY_INT8,        ARRAY_INT8,
                     ARRAY_INT8, ARRAY_INT8,        ARRAY_INT8,        ARRAY_INT8,
                     ARRAY_INT4, ARRAY_BOOL,        ARRAY_TIMESTAMPTZ, ARRAY_TIMESTAMPTZ,
                     ARRAY_TEXT, ARRAY_TIMESTAMPTZ, ARRAY_DATE,        ARRAY_INT8}};
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    begin_rows(store, &runs);
    for (int i = 0; i < count; i++) {
        if (make_room(store, &runs, err) != FX_OK)
            return err->code;
        add_run(store, flush, ledger_entry(flush->ledger, dirty[i]));
    }
    return end_rows(store, &runs, err);
}

static void add_heartbeat(struct store *store, const struct ledger_heartbeat *beat)
{
    struct array *a = store->arrays;
    array_add_int8(&a[3], beat->n);
    array_add_text(&a[4], heartbeat_states[beat->state]);
    array_add_instant(&a[5], beat->heard_ms);
    array_add_int8(&a[6], beat->last_seq);
    array_add_int8(&a[7], beat->acked_seq);
    array_add_int8(&a[8], beat->oldest_kept);
    array_add_int8(&a[9], beat->refused);
    array_add_text(&a[10], input_states[beat->input_state]);
    add_instant_or_null(&a[11], beat->last_line_ms, beat->last_line_ms < 0);
    add_nullable(&a[12], beat->previous_run, beat->previous_run < 0);
    add_nullable(&a[13], beat->previous_last_seq, beat->previous_last_seq < 0);
    array_add_text(&a[14], beat->region);
    array_add_int8(&a[15], beat->appended_ms - beat->at_ms);
}

static enum fx_code send_heartbeats(struct store *store, const struct flush *flush,
                                    struct fx_err *err)
{
    static const struct shape heartbeats = {"heartbeats",
                                            16,
                                            {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT8,
                                             ARRAY_TEXT, ARRAY_TIMESTAMPTZ, ARRAY_INT8, ARRAY_INT8,
                                             ARRAY_INT8, ARRAY_INT8, ARRAY_TEXT, ARRAY_TIMESTAMPTZ,
                                             ARRAY_INT8, ARRAY_INT8, ARRAY_TEXT, ARRAY_INT8}};
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    begin_rows(store, &heartbeats);
    for (int i = 0; i < count; i++) {
        const struct ledger_heartbeat *beat = ledger_pending_heartbeat(flush->ledger, dirty[i]);
        if (beat == NULL)
            continue;
        if (make_room(store, &heartbeats, err) != FX_OK)
            return err->code;
        add_run_key(store, ledger_entry(flush->ledger, dirty[i]));
        add_heartbeat(store, beat);
    }
    return end_rows(store, &heartbeats, err);
}

static enum fx_code send_gaps_gone(struct store *store, const struct flush *flush,
                                   struct fx_err *err)
{
    static const struct shape gaps_gone = {
        "gaps_gone", 4, {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT8}};
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    begin_rows(store, &gaps_gone);
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        for (int g = 0; g < entry->gaps.removed_count; g++) {
            if (make_room(store, &gaps_gone, err) != FX_OK)
                return err->code;
            add_run_key(store, entry);
            array_add_int8(&store->arrays[3], entry->gaps.removed[g]);
        }
    }
    return end_rows(store, &gaps_gone, err);
}

static void add_gap(struct store *store, const struct ledger_entry *entry, const struct gap *gap)
{
    struct array *a = store->arrays;
    add_run_key(store, entry);
    array_add_int8(&a[3], gap->first);
    array_add_int8(&a[4], gap->last);
    array_add_text(&a[5], gap_cause_name(gap->cause));
    array_add_instant(&a[6], gap->opened_ms);
}

static enum fx_code send_gaps(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const struct shape gaps = {"gaps",
                                      7,
                                      {ARRAY_TEXT, ARRAY_TEXT, ARRAY_INT8, ARRAY_INT8, ARRAY_INT8,
                                       ARRAY_TEXT, ARRAY_TIMESTAMPTZ}};
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    begin_rows(store, &gaps);
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        for (int g = 0; g < entry->gaps.count; g++) {
            if (entry->gaps.gaps[g].is_stored)
                continue;
            if (make_room(store, &gaps, err) != FX_OK)
                return err->code;
            add_gap(store, entry, &entry->gaps.gaps[g]);
        }
    }
    return end_rows(store, &gaps, err);
}

/* Whether no rejected message of the partition lies between row i and the one before it. A flush in
 * order holds all there are; one that settles may leave some where they are. */
static bool follows(const struct flush *flush, int i)
{
    const struct flush_rejected *row = &flush->rejected[i];
    return flush->settled_count == 0 || (i > 0 && row->offset == row[-1].offset + 1);
}

static enum fx_code send_rejected(struct store *store, const struct flush *flush,
                                  struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_INT4,  ARRAY_INT8,        ARRAY_TEXT,
                                            ARRAY_TEXT, ARRAY_TEXT,  ARRAY_INT8,        ARRAY_INT8,
                                            ARRAY_INT4, ARRAY_BYTEA, ARRAY_TIMESTAMPTZ, ARRAY_BOOL};
    struct array *a = store->arrays;
    store_begin_arrays(store, types, 12);
    for (int i = 0; i < flush->rejected_count; i++) {
        const struct flush_rejected *row = &flush->rejected[i];
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_int4(&a[1], row->partition);
        array_add_int8(&a[2], row->offset);
        array_add_text(&a[3], reason_name(row->reason));
        array_add_text(&a[4], row->detail);
        if (row->has_envelope)
            array_add_text(&a[5], row->source);
        else
            array_add_null(&a[5]);
        add_nullable(&a[6], row->run, !row->has_envelope);
        add_nullable(&a[7], row->seq, !row->has_envelope);
        array_add_int4(&a[8], (int32_t)row->length);
        array_add_bytes(&a[9], row->sha256, sizeof row->sha256);
        array_add_instant(&a[10], row->append_ms);
        array_add_bool(&a[11], follows(flush, i));
    }
    return flush->rejected_count == 0 ? FX_OK : store_send_arrays(store, "rejected", 12, err);
}

static enum fx_code send_hours(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const struct shape hours = {
        "hours", 4, {ARRAY_TEXT, ARRAY_TEXT, ARRAY_TIMESTAMPTZ, ARRAY_INT4}};
    struct array *a = store->arrays;
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    begin_rows(store, &hours);
    for (int i = 0; i < flush->hour_count; i++) {
        const struct flush_hour *row = &flush->hours[i];
        if (make_room(store, &hours, err) != FX_OK)
            return err->code;
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_text(&a[1], names_text(ledger_names(flush->ledger), row->source));
        array_add_instant(&a[2], row->hour_ms);
        array_add_int4(&a[3], (int32_t)row->slots);
    }
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        if (entry->slots == 0)
            continue;
        if (make_room(store, &hours, err) != FX_OK)
            return err->code;
        array_add_text(&a[0], store->options.topics[entry->topic]);
        array_add_bytes(&a[1], entry->source_text, entry->source_size);
        array_add_instant(&a[2], entry->hour_ms);
        array_add_int4(&a[3], (int32_t)entry->slots);
    }
    return end_rows(store, &hours, err);
}

static enum fx_code send_holes(struct store *store, const struct flush *flush, struct fx_err *err)
{
    static const enum array_type types[] = {ARRAY_TEXT, ARRAY_INT4, ARRAY_INT8, ARRAY_INT8};
    struct array *a = store->arrays;
    store_begin_arrays(store, types, 4);
    for (int i = 0; i < flush->hole_count; i++) {
        const struct flush_hole *row = &flush->holes[i];
        array_add_text(&a[0], store->options.topics[row->topic]);
        array_add_int4(&a[1], row->partition);
        array_add_int8(&a[2], row->first_offset);
        array_add_int8(&a[3], row->last_offset);
    }
    return flush->hole_count == 0 ? FX_OK : store_send_arrays(store, "holes", 4, err);
}

/* Slots slot to slot + width - 1 of every row, one array each. */
static void add_column(struct array *to, const struct level_table *table, int slot, int width)
{
    for (int w = 0; w < width; w++)
        array_begin(&to[w], ARRAY_INT8);
    for (int r = 0; r < table->count; r++) {
        const int64_t *slots = &table->rows[r]->slots[slot];
        for (int w = 0; w < width; w++)
            add_nullable(&to[w], slots[w], slots[0] == CELL_NONE);
    }
}

/* How many arrays: see store_sql.c. */
static int add_sums(struct array *to, const struct level_table *table)
{
    int slots[ROLLUP_COLUMNS_MAX];
    int count = 0;
    for (int i = 0; i < table->rollup->column_count; i++)
        if (store_is_sum(&table->rollup->columns[i]))
            slots[count++] = cells_slot(table->cells, i);
    if (count == 0)
        return 0;
    array_begin(to, ARRAY_INT8);
    for (int r = 0; r < table->count; r++)
        for (int i = 0; i < count; i++)
            array_add_int8(to, table->rows[r]->slots[slots[i]]);
    return 1;
}

void store_add_key(struct store *store, const struct flush *flush, const struct level_table *table,
                   const struct cell_key *key)
{
    struct array *a = store->arrays;
    array_add_text(&a[0], table->level == LEVEL_SOURCE
                              ? names_text(ledger_names(flush->ledger), key->source)
                              : flush->regions->nodes[key->region].code);
    array_add_instant(&a[1], key->bucket_ms);
    for (int d = 0; d < table->rollup->dimension_count; d++)
        array_add_text(&a[2 + d],
                       plan_dimension_text(table->plan, table->rollup, d, key->dimensions[d]));
}

static enum fx_code send_rows(struct store *store, const struct flush *flush,
                              const struct level_table *table, struct fx_err *err)
{
    static const enum array_type types[2 + ROLLUP_DIMENSIONS_MAX] = {
        ARRAY_TEXT, ARRAY_TIMESTAMPTZ, ARRAY_TEXT, ARRAY_TEXT, ARRAY_TEXT, ARRAY_TEXT};
    const struct rollup *rollup = table->rollup;
    int count = 2 + rollup->dimension_count;
    store_begin_arrays(store, types, count);
    for (int r = 0; r < table->count; r++)
        store_add_key(store, flush, table, &table->rows[r]->key);
    count += add_sums(&store->arrays[count], table);
    for (int i = 0; i < rollup->column_count; i++) {
        bool is_last = rollup->columns[i].aggregate == AGGREGATE_LAST;
        int width = is_last ? 4 : 1;
        if (store_is_sum(&rollup->columns[i]) || (is_last && table->level != LEVEL_SOURCE))
            continue;
        add_column(&store->arrays[count], table, cells_slot(table->cells, i), width);
        count += width;
    }
    char name[STORE_NAME_MAX];
    store_rollup_name(store->options.catalog, rollup, table->level, name);
    if (store_send_arrays(store, name, count, err) != FX_OK)
        return fx_err_wrap(err, "%s_%s", rollup->name, levels_suffix(table->level));
    return FX_OK;
}

static enum fx_code send_table(struct store *store, const struct flush *flush,
                               const struct level_table *table, struct fx_err *err)
{
    struct level_table part = *table;
    for (int first = 0; first < table->count && err->code == FX_OK; first += STORE_ROWS_MAX) {
        if (first > 0)
            store_drain(store);
        part.rows = table->rows + first;
        part.count = table->count - first;
        if (part.count > STORE_ROWS_MAX)
            part.count = STORE_ROWS_MAX;
        (void)(send_rows(store, flush, &part, err) == FX_OK);
    }
    return err->code;
}

static enum fx_code send_simple(struct store *store, const char *sql, struct fx_err *err)
{
    if (PQsendQueryParams(store->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 0)
        return pg_failed(store->conn, NULL, err);
    return FX_OK;
}

static enum fx_code send_all(struct store *store, const struct flush *flush, struct fx_err *err)
{
    typedef enum fx_code send_part(struct store *, const struct flush *, struct fx_err *);
    static send_part *const parts[] = {
        send_positions,     send_runs,     send_heartbeats,  send_gaps_gone,   send_gaps,
        store_send_settled, send_rejected, store_send_homes, store_send_marks, store_send_days,
        store_send_tallies, send_hours,    send_holes};
    enum fx_code code = send_simple(store, "BEGIN ISOLATION LEVEL READ COMMITTED", err);
    for (size_t i = 0; code == FX_OK && i < sizeof parts / sizeof parts[0]; i++)
        code = parts[i](store, flush, err);
    for (int i = 0; code == FX_OK && i < flush->table_count; i++)
        code = send_table(store, flush, &flush->tables[i], err);
    for (int i = 0; code == FX_OK && i < flush->table_count; i++)
        code = store_send_totals(store, flush, &flush->tables[i], err);
    if (code == FX_OK)
        code = store_send_corrections(store, flush, err);
    if (code == FX_OK)
        code = send_simple(store, "COMMIT", err);
    if (code == FX_OK && PQpipelineSync(store->conn) == 0)
        code = pg_failed(store->conn, NULL, err);
    return code;
}

enum fx_code store_send(struct store *store, const struct flush *flush, struct fx_err *err)
{
    fx_assert(!store->is_in_flight && flush->position_count > 0);
    if (store->conn == NULL)
        return fx_err_set(err, FX_ECLAIM, "flush: no connection");
    fx_err_clear(&store->failure);
    store->is_commit_tagged = false;
    store->conflict = STORE_FENCED;
    store->sent_ms = day_monotonic_ms();
    store->is_in_flight = true; /* from here on, only a new connection is sure */
    if (PQsetnonblocking(store->conn, 1) != 0 || PQenterPipelineMode(store->conn) == 0)
        pg_failed(store->conn, NULL, err);
    else if (send_all(store, flush, err) == FX_OK && PQflush(store->conn) < 0)
        pg_failed(store->conn, NULL, err);
    if (err->code == FX_OK)
        return FX_OK;
    store_disconnect(store);
    if (err->code == FX_ERETRY)
        err->code = FX_ECLAIM;
    return fx_err_wrap(err, "flush");
}

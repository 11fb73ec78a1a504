/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit/fake_avro.c"
#include "../unit/fake_counter.h"

#include "../../schemas/wire.h"
#include "fuzz_check.h"

#define TIME_MIN_MS INT64_C(1577836800000) /* 2020: what a worker would count by its own clock */
#define TIME_MAX_MS INT64_C(4102444800000) /* 2100 */
#define APPEND_MS INT64_C(1644451200000)   /* 2022-02-10: where it counts then */

/* What an input has to be, by avro-c's reading of it. */
struct judgement {
    enum reason reason;
    bool is_envelope_valid;
    bool is_heartbeat;
    const struct schema *schema; /* of fields; NULL: there are none */
    const char *named;           /* the field that the detail has to name, NULL: none */
    struct decoded fields;
};

struct reader {
    const struct catalog *catalog;
    const struct kind *kind;
    struct counter counter;
    struct table expected; /* of the batch */
};

static struct catalog catalogs[2]; /* schemas, tests/fuzz/schemas */
static struct reader readers[FUZZ_KINDS_MAX];
static int reader_count;
static struct fuzz_writer writers[FUZZ_WRITERS_MAX];
static struct oracle *oracles[FUZZ_WRITERS_MAX];
static int writer_count;
static struct table actual_rows;
static uint8_t *kept; /* the input, in a block of its size */
static int batch_size;
static int batch_used;
static struct fuzz_tally tally;

static void add_writers(const struct kind *kind)
{
    for (int i = 0; i < kind->version_count; i++) {
        assert_in_range(writer_count, 0, FUZZ_WRITERS_MAX - 1);
        writers[writer_count] = (struct fuzz_writer){&kind->versions[i], kind};
        oracles[writer_count] = calloc(1, sizeof *oracles[0]);
        assert_non_null(oracles[writer_count]);
        oracle_open(oracles[writer_count++], &kind->versions[i]);
    }
}

static void open_catalog(struct catalog *catalog, const char *directory)
{
    assert_ok(catalog_load(directory, catalog, &err));
    for (int k = 0; k < catalog->kind_count; k++) {
        assert_in_range(reader_count, 0, FUZZ_KINDS_MAX - 1);
        struct reader *reader = &readers[reader_count++];
        reader->catalog = catalog;
        reader->kind = &catalog->kinds[k].kind;
        counter_open(&reader->counter, catalog, k, SIZE_MAX);
        assert_ok(region_tree_load(&reader->counter.regions, FX_SCHEMAS_DIR "/regions.csv", &err));
        add_writers(reader->kind);
    }
}

void fuzz_open(int batch)
{
    batch_size = batch;
    open_catalog(&catalogs[0], FX_SCHEMAS_DIR);
    open_catalog(&catalogs[1], FX_TESTS_DIR "/fuzz/schemas");
    add_writers(&catalogs[0].heartbeat);
}

void fuzz_close(void)
{
    for (int i = 0; i < writer_count; i++) {
        oracle_close(oracles[i]);
        free(oracles[i]);
    }
    for (int i = 0; i < reader_count; i++) {
        counter_close(&readers[i].counter);
        table_release(&readers[i].expected);
    }
    table_release(&actual_rows);
    catalog_release(&catalogs[0]);
    catalog_release(&catalogs[1]);
    free(kept);
}

/* ---- what it has to be ----------------------------------------------------------------------- */

int fuzz_find_writer(const uint8_t *bytes, size_t size)
{
    static const uint8_t marker[] = {0xc3, 0x01};
    uint64_t fingerprint = 0;
    if (size < 10 || memcmp(bytes, marker, sizeof marker) != 0)
        return -1;
    for (int i = 9; i >= 2; i--)
        fingerprint = fingerprint << 8 | bytes[i];
    for (int i = 0; i < writer_count; i++)
        if (writers[i].schema->fingerprint == fingerprint)
            return i;
    return -1;
}

/* Whether reader knows the writer's schema at all. */
static bool is_known(const struct reader *reader, const struct fuzz_writer *writer)
{
    bool is_there = writer->kind == &catalogs[0].heartbeat;
    for (int k = 0; k < reader->catalog->kind_count; k++)
        is_there |= writer->kind == &reader->catalog->kinds[k].kind;
    return is_there;
}

/* "reverses_run, reverses_seq: both set exactly when sign = -1; counted_at only on a reversal". */
static bool is_envelope_whole(const struct decoded *fields)
{
    bool is_reversal = fields->numbers[ENVELOPE_SIGN] == -1;
    if (!is_reversal && fields->numbers[ENVELOPE_SIGN] != 1)
        return false;
    return fields->is_null[ENVELOPE_REVERSES_RUN] == !is_reversal &&
           fields->is_null[ENVELOPE_REVERSES_SEQ] == !is_reversal &&
           (is_reversal || fields->is_null[ENVELOPE_COUNTED_AT]);
}

/* Of a heartbeat, too: its third field, n, is no less than 0. */
static bool is_believed(const struct judgement *judgement)
{
    const struct decoded *fields = &judgement->fields;
    const struct decoded_text *source = &fields->texts[ENVELOPE_SOURCE];
    int64_t lowest = judgement->is_heartbeat ? 0 : 1;
    return is_source(source->bytes, source->size) && fields->numbers[ENVELOPE_RUN] >= 0 &&
           fields->numbers[ENVELOPE_RUN] < SCHEMA_RUN_LIMIT &&
           fields->numbers[ENVELOPE_SEQ] >= lowest;
}

static void judge_fields(struct judgement *judgement)
{
    const struct schema *schema = judgement->schema;
    const struct decoded *fields = &judgement->fields;
    judgement->is_envelope_valid = is_believed(judgement);
    judgement->reason = REASON_COUNT;
    if (fields->invalid_field >= 0) {
        judgement->reason = REASON_INVALID_FIELD;
        judgement->named = schema->fields[fields->invalid_field].name;
    } else if (!judgement->is_heartbeat && !is_envelope_whole(fields)) {
        judgement->reason = REASON_INVALID_FIELD;
    } else if (fields->mismatched_sum >= 0) {
        judgement->reason = REASON_SUMS_MISMATCH;
        judgement->named = schema->fields[schema->sums[fields->mismatched_sum].total].name;
    }
}

static void judge(const struct reader *reader, const uint8_t *bytes, size_t size,
                  struct judgement *judgement)
{
    int found = fuzz_find_writer(bytes, size);
    memset(judgement, 0, sizeof *judgement);
    judgement->reason = REASON_UNDECODABLE;
    if (size > WIRE_EVENT_MAX || size < 10 || bytes[0] != 0xc3 || bytes[1] != 0x01)
        return;
    if (found < 0 || !is_known(reader, &writers[found])) {
        judgement->reason = REASON_UNKNOWN_SCHEMA;
        return;
    }
    judgement->is_heartbeat = writers[found].kind == &catalogs[0].heartbeat;
    if (!judgement->is_heartbeat && writers[found].kind != reader->kind) {
        judgement->reason = REASON_WRONG_KIND;
        return;
    }
    if (!oracle_read(oracles[found], bytes + 10, size - 10))
        return;
    judgement->schema = kind_current(writers[found].kind);
    oracle_decoded(oracles[found], judgement->schema, &judgement->fields);
    judge_fields(judgement);
}

/* ---- what it is ------------------------------------------------------------------------------ */

static void compare_events(const struct judgement *expected, const struct event *event)
{
    const struct decoded_text *source = &expected->fields.texts[ENVELOPE_SOURCE];
    assert_int_equal(event->is_heartbeat, expected->is_heartbeat);
    assert_same_decoded(expected->schema, &event->fields, &expected->fields);
    if (!event->is_envelope_valid)
        return;
    assert_int_equal(event->source.size, source->size);
    assert_memory_equal(event->source.bytes, source->bytes, source->size);
    assert_int_equal(event->run, expected->fields.numbers[ENVELOPE_RUN]);
    assert_int_equal(event->seq,
                     expected->is_heartbeat ? 0 : expected->fields.numbers[ENVELOPE_SEQ]);
}

static int64_t time_of(const struct decoded *fields)
{
    int64_t time_ms = fields->is_null[ENVELOPE_COUNTED_AT] ? fields->numbers[ENVELOPE_OCCURRED_AT]
                                                           : fields->numbers[ENVELOPE_COUNTED_AT];
    return time_ms < TIME_MIN_MS || time_ms > TIME_MAX_MS ? APPEND_MS : time_ms;
}

static void settle_reader(struct reader *reader)
{
    struct counter *counter = &reader->counter;
    table_reset(&actual_rows);
    counter_collect(counter, &actual_rows);
    assert_same_tables(&actual_rows, &reader->expected);
    for (int i = 0; i < actual_rows.count; i++)
        tally.values += table_width(actual_rows.rows[i].rollup);
    table_reset(&reader->expected);
    for (int i = 0; i < plan_rollup_count(counter->plan); i++)
        cells_reset(counter->cells[i]);
    plan_forget(counter->plan);
    names_reset(counter->sources);
}

void fuzz_settle(void)
{
    for (int i = 0; batch_used > 0 && i < reader_count; i++)
        settle_reader(&readers[i]);
    batch_used = 0;
}

/* An event whose place is unknown counts nowhere: a worker rejects it before. */
static bool is_placed(const struct reader *reader, const struct decoded *fields)
{
    const struct decoded_text *region = &fields->texts[ENVELOPE_REGION];
    int naive = -1;
    for (int i = 1; i < reader->counter.regions.count; i++)
        if (recount_is_text(region, reader->counter.regions.nodes[i].code))
            naive = i;
    int found = region_tree_find(&reader->counter.regions, region->bytes, region->size);
    assert_int_equal(found > REGION_OUTSIDE ? found : -1, naive);
    return naive > 0;
}

static void count_event(struct reader *reader, const struct judgement *expected,
                        struct fuzz_reading *reading)
{
    struct recount_event mine = {expected->fields, time_of(&expected->fields)};
    struct recount_event theirs = {reading->event.fields, mine.counted_ms};
    struct counter *counter = &reader->counter;
    if (!is_placed(reader, &expected->fields))
        return;
    assert_ok(counter_apply(counter, &theirs, &err));
    for (int i = 0; i < plan_rollup_count(counter->plan); i++)
        recount_add(&reader->expected, counter->schema, plan_rollup(counter->plan, i),
                    &counter->regions, &mine);
    batch_used++;
    if (batch_size == 1) {
        settle_reader(reader);
        reading->table = &actual_rows;
        batch_used = 0;
    } else if (batch_used >= batch_size) {
        fuzz_settle();
    }
}

static void check_reader(int index, size_t size, struct fuzz_reading *reading)
{
    struct reader *reader = &readers[index];
    struct judgement expected;
    struct event event;
    char detail[96] = "";
    judge(reader, kept, size, &expected);
    enum reason reason = plan_read(reader->counter.plan, kept, size, &event, detail);
    if (reason != expected.reason)
        fail_msg("kind %s: the plan says %s (%s), avro-c and the rules say %s", reader->kind->name,
                 reason == REASON_COUNT ? "ok" : reason_name(reason), detail,
                 expected.reason == REASON_COUNT ? "ok" : reason_name(expected.reason));
    assert_int_equal(event.is_envelope_valid, expected.is_envelope_valid);
    reading->reasons[index] = reason;
    if (expected.schema == NULL)
        return;
    compare_events(&expected, &event);
    if (expected.named != NULL)
        assert_holds(detail, expected.named);
    if (reading->reader >= 0)
        return; /* a heartbeat, which every plan reads */
    reading->reader = index;
    reading->schema = expected.schema;
    reading->event = event;
    if (reason == REASON_COUNT && !expected.is_heartbeat)
        count_event(reader, &expected, reading);
}

/* The kind that bytes are written for; the first if it is none's, or everybody's. */
static int addressee(const uint8_t *bytes, size_t size)
{
    int writer = fuzz_find_writer(bytes, size);
    for (int i = 0; writer >= 0 && i < reader_count; i++)
        if (readers[i].kind == writers[writer].kind)
            return i;
    return 0;
}

void fuzz_check(const uint8_t *bytes, size_t size, struct fuzz_reading *reading)
{
    free(kept);
    /* in a block of exactly this size, so that a sanitizer sees any step beyond it */
    kept = malloc(size == 0 ? 1 : size);
    assert_non_null(kept);
    if (size > 0)
        memcpy(kept, bytes, size);
    *reading = (struct fuzz_reading){.reader = -1};
    for (int i = 0; i < reader_count; i++)
        check_reader(i, size, reading);
    enum reason reason = reading->reasons[addressee(bytes, size)];
    tally.inputs++;
    tally.accepted += reason == REASON_COUNT;
    if (reason != REASON_COUNT)
        tally.reasons[reason]++;
}

const struct fuzz_tally *fuzz_tally(void)
{
    return &tally;
}

int fuzz_kind_count(void)
{
    return reader_count;
}

const char *fuzz_kind_name(int kind)
{
    return readers[kind].kind->name;
}

int fuzz_writer_count(void)
{
    return writer_count;
}

const struct fuzz_writer *fuzz_writer(int writer)
{
    return &writers[writer];
}

const struct region_tree *fuzz_regions(void)
{
    return &readers[0].counter.regions;
}

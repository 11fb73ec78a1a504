/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader_fuzz - a kind's folder: up to three schemas, and what the loader makes of them.
 *
 * The head names the folder (gate, if it is no name for one); lines of "---" part the files 1.avsc,
 * 2.avsc and 3.avsc. Promised:
 *   - a refusal names the folder and, but for what is wrong with the listing, the file; nothing is
 *     filled then;
 *   - the canonical form is its own canonical form, and to avro-c the same schema as the file;
 *   - keys in another order and other blanks change nothing, the fingerprint least of all;
 *   - bounds, defaults, symbols and sums keep what schema.h says;
 *   - an event with every number at a bound, every text as long as may be, comes back from its
 *     bytes with the same values, by the producers' decoder and the consumers'.
 */
#include "fuzz_event.h"

#include "../../common/text.h"
#include "../../consumers/decode.h"
#include "../../schemas/canonical.h"

#include <avro.h>
#include <jansson.h>

#define VERSIONS_MAX 3
#define SEPARATOR "\n---\n"

static char folder[SCHEMA_NAME_MAX]; /* whose files lie there at present */
static int file_count;

/* The files of the input before must not be among those of this one. */
static void clear_folder(void)
{
    char name[32];
    for (; file_count > 0; file_count--) {
        snprintf(name, sizeof name, "%d.avsc", file_count);
        fuzz_remove(folder, name);
    }
}

static void put_file(const char *bytes, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "%d.avsc", ++file_count);
    fuzz_write(folder, name, bytes, size);
}

static void put_files(const struct fuzz_text *text)
{
    const char *at = text->body;
    size_t left = text->size;
    const char *name = text_is_identifier(text->head) && text->head[0] != '_' ? text->head : "gate";
    clear_folder();
    if (folder[0] != '\0' && strcmp(folder, name) != 0)
        fuzz_remove(folder, NULL);
    text_copy(folder, sizeof folder, name);
    while (file_count < VERSIONS_MAX - 1) {
        const char *end = left == 0 ? NULL : memmem(at, left, SEPARATOR, strlen(SEPARATOR));
        if (end == NULL)
            break;
        put_file(at, (size_t)(end - at));
        left -= (size_t)(end - at) + strlen(SEPARATOR);
        at = end + strlen(SEPARATOR);
    }
    put_file(at, left);
}

static enum fx_code load(struct kind *kind, struct fx_err *err)
{
    return strcmp(folder, "heartbeat") == 0 ? schema_load_heartbeat(fuzz_folder(), kind, err)
                                            : kind_load(fuzz_folder(), folder, kind, err);
}

/* ---- one schema ------------------------------------------------------------------------------ */

static void check_field(const struct field *field)
{
    assert_true(text_is_identifier(field->name));
    assert_non_null(field->doc);
    assert_true(field->min <= field->max || field->type == FIELD_STRING);
    assert_true(field->type != FIELD_INT || (field->min >= INT32_MIN && field->max <= INT32_MAX));
    assert_true(field->type != FIELD_STRING ||
                (field->max_length >= 1 && field->max_length <= 1024));
    assert_true(!field->is_time || field->type == FIELD_LONG);
    for (int i = 0; i < field->symbol_count; i++)
        assert_int_equal(field_symbol(field, field->symbols[i], strlen(field->symbols[i])), i);
    if (field->type == FIELD_ENUM)
        assert_int_equal(field->max, field->symbol_count - 1);
    if (!field->has_default || field->is_default_null) {
        assert_true(!field->is_default_null || field->is_nullable);
        return;
    }
    if (field->type == FIELD_STRING)
        assert_in_range(strlen(field->default_text), 0, (size_t)field->max_length);
    else
        assert_true(field->default_number >= field->min && field->default_number <= field->max);
}

static void check_sum(const struct schema *schema, const struct sum *sum)
{
    bool is_part = sum->rest < 0;
    assert_true(sum->part_count >= 2);
    for (int i = -1; i < sum->part_count; i++) {
        const struct field *field = &schema->fields[i < 0 ? sum->total : sum->parts[i]];
        assert_true(field->type == FIELD_INT || field->type == FIELD_LONG);
        assert_true(!field->is_nullable && field->min >= 0 && field->max <= 1000000000);
        is_part |= i >= 0 && sum->parts[i] == sum->rest;
    }
    assert_true(is_part);
}

static avro_schema_t read_by_avro(const char *json)
{
    avro_schema_t schema = NULL;
    if (avro_schema_from_json_length(json, strlen(json), &schema) != 0)
        fail_msg("%s: %s", avro_strerror(), json);
    return schema;
}

static void check_canonical(const struct schema *schema)
{
    struct buf again = BUF_INIT;
    json_error_t error;
    json_t *root = json_loads(schema->canonical, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s: %s", error.text, schema->canonical);
    canonical_append(&again, root);
    assert_string_equal(buf_text(&again), schema->canonical);
    assert_null(strpbrk(schema->canonical, " \t\r\n\\"));
    assert_true(schema->fingerprint ==
                wire_fingerprint(schema->canonical, strlen(schema->canonical)));
    avro_schema_t file = read_by_avro(schema->json);
    avro_schema_t canonical = read_by_avro(schema->canonical);
    if (!avro_schema_equal(file, canonical))
        fail_msg("to avro-c another schema: %s", schema->canonical);
    avro_schema_decref(file);
    avro_schema_decref(canonical);
    json_decref(root);
    buf_release(&again);
}

/* ---- events of it ---------------------------------------------------------------------------- */

static struct event_value edge_value(const struct field *field, int edge)
{
    static char letters[1024];
    struct event_value value = {edge % 2 == 0 ? field->min : field->max, "", 0, false};
    memset(letters, 'x', sizeof letters);
    value.is_null = field->is_nullable && edge >= 2;
    if (field->type == FIELD_STRING)
        value = (struct event_value){0, letters, edge % 2 == 0 ? 0 : field->max_length,
                                     field->is_nullable && edge >= 2};
    if (field->type == FIELD_STRING && strcmp(field->name, "source") == 0)
        value.size = SCHEMA_SOURCE_MAX;
    return value;
}

/* Symbols keep their indexes in all versions, so values can be compared as they are. */
static void compare_event(const struct schema *writer, const struct event *wanted,
                          const struct event *found, const struct decoded *decoded)
{
    for (int i = 0; i < writer->field_count; i++) {
        const struct field *field = &writer->fields[i];
        int to = schema_field(found->schema, field->name);
        if (to < 0)
            continue;
        const struct event_value other = {decoded->numbers[to], decoded->texts[to].bytes,
                                          (int)decoded->texts[to].size, decoded->is_null[to]};
        fuzz_same_value(field, &wanted->values[i], &found->values[to]);
        fuzz_same_value(field, &wanted->values[i], &other);
    }
}

static void check_events(const struct kind *kind, const struct schema *writer)
{
    static struct event made;
    static struct event found;
    static struct decoded decoded;
    uint8_t bytes[WIRE_EVENT_MAX];
    struct decoder *decoder = NULL;
    assert_ok(decoder_open(writer, kind_current(kind), &decoder, &err));
    for (int edge = 0; edge < 4; edge++) {
        struct fx_err failed = FX_ERR_INIT;
        size_t size = 0;
        made.schema = writer;
        for (int i = 0; i < writer->field_count; i++)
            made.values[i] = edge_value(&writer->fields[i], edge);
        if (event_encode(&made, bytes, &size, &failed) != FX_OK)
            continue;
        assert_ok(event_decode(kind, bytes, size, &found, &err));
        assert_true(
            decoder_run(decoder, bytes + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &decoded));
        compare_event(writer, &made, &found, &decoded);
        if (writer == kind_current(kind) && decoded.invalid_field >= 0)
            fail_msg("field %s at its bound is invalid",
                     writer->fields[decoded.invalid_field].name);
    }
    decoder_close(decoder);
}

/* ---- the same in other words ----------------------------------------------------------------- */

static void rewrite_files(const struct kind *kind)
{
    int count = file_count;
    file_count = 0;
    for (int i = 0; i < count; i++) {
        json_t *root = json_loads(kind->versions[i].json, 0, NULL);
        char *text = json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(3));
        assert_non_null(text);
        put_file(text, strlen(text));
        free(text);
        json_decref(root);
    }
}

static void compare_schemas(const struct schema *a, const struct schema *b)
{
    assert_true(a->fingerprint == b->fingerprint);
    assert_string_equal(a->canonical, b->canonical);
    assert_int_equal(a->field_count, b->field_count);
    assert_int_equal(a->sum_count, b->sum_count);
    assert_true(a->not_before_ms == b->not_before_ms);
    for (int i = 0; i < a->field_count; i++) {
        const struct field *left = &a->fields[i];
        const struct field *right = &b->fields[i];
        assert_true(left->min == right->min && left->max == right->max);
        assert_int_equal(left->max_length, right->max_length);
        assert_int_equal(left->has_default, right->has_default);
        assert_true(left->default_number == right->default_number);
        assert_string_equal(left->doc, right->doc);
    }
    for (int i = 0; i < a->sum_count; i++)
        assert_memory_equal(&a->sums[i], &b->sums[i], sizeof a->sums[i]);
}

static void check_kind(const struct kind *kind)
{
    struct kind again = {0};
    assert_int_equal(kind->version_count, file_count);
    assert_string_equal(kind->name, folder);
    for (int v = 0; v < kind->version_count; v++) {
        const struct schema *schema = &kind->versions[v];
        assert_int_equal(schema->version, v + 1);
        for (int i = 0; i < schema->field_count; i++) {
            check_field(&schema->fields[i]);
            assert_int_equal(schema_field(schema, schema->fields[i].name), i);
        }
        for (int i = 0; i < schema->sum_count; i++)
            check_sum(schema, &schema->sums[i]);
        check_canonical(schema);
        check_events(kind, schema);
    }
    rewrite_files(kind);
    assert_ok(load(&again, &err));
    for (int v = 0; v < kind->version_count; v++)
        compare_schemas(&kind->versions[v], &again.versions[v]);
    kind_release(&again);
}

static void open_target(void)
{
    fuzz_folder();
}

static bool check(const uint8_t *bytes, size_t size)
{
    struct fuzz_text text;
    struct kind kind = {.version_count = 77};
    struct fx_err err = FX_ERR_INIT;
    fuzz_split(bytes, size, &text);
    put_files(&text);
    if (load(&kind, &err) != FX_OK) {
        const char *const names[] = {folder, ".avsc", NULL};
        fuzz_check_refusal(&err, FX_ECONFIG, names);
        assert_true(kind.version_count == 77 || strcmp(folder, "heartbeat") == 0);
        return false;
    }
    check_kind(&kind);
    kind_release(&kind);
    return true;
}

const struct fuzz_target fuzz_target = {open_target, check};

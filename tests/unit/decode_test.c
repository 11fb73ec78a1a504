/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_avro.c"
#include "fake_kinds.h"
#include "real_catalog.h"

#include "../../consumers/decode_ops.h"
#include "../../schemas/wire.h"

#define RECORDS 12500 /* of each kind, read both ways */
#define MUTATIONS 4   /* of each record */

static struct decoder *open_decoder(const struct schema *writer, const struct schema *current)
{
    struct decoder *decoder = NULL;
    assert_ok(decoder_open(writer, current, &decoder, &err));
    return decoder;
}

static int64_t random_number(struct dice *dice, const struct field *field)
{
    int kind = dice_below(dice, 100);
    int64_t lowest = field->type == FIELD_INT ? INT32_MIN : INT64_MIN;
    int64_t highest = field->type == FIELD_INT ? INT32_MAX : INT64_MAX;
    if (kind < 2)
        return dice_between(dice, lowest, highest);
    if (kind < 6)
        return kind % 2 ? field->min : field->max;
    if (kind < 50 && field->max - 9 >= field->min)
        return field->min < 0 && field->max > 9 ? dice_below(dice, 9)
                                                : field->min + dice_below(dice, 9);
    return dice_between(dice, field->min, field->max);
}

static void random_text(struct dice *dice, const struct field *field, char text[512])
{
    static const char *const palette[] = {"a", "Z", "0", "-", "é", "卡", "口", "\xf0\x9f\x98\x80"};
    int limit = dice_chance(dice, 95) ? field->max_length : field->max_length + 1;
    int length = dice_chance(dice, 5) ? limit : dice_below(dice, limit < 12 ? limit : 12);
    bool is_plain = dice_chance(dice, 60) || strcmp(field->name, "source") == 0;
    int used = 0;
    text[0] = '\0';
    while (used < length && used < 500) {
        const char *piece = palette[dice_below(dice, is_plain ? 4 : 8)];
        if (used + (int)strlen(piece) > length)
            piece = "b";
        memcpy(text + used, piece, strlen(piece) + 1);
        used += (int)strlen(piece);
    }
}

static void set_random(struct dice *dice, const struct field *field, avro_value_t *value)
{
    char text[512];
    switch (field->type) {
    case FIELD_INT:
        assert_int_equal(avro_value_set_int(value, (int32_t)random_number(dice, field)), 0);
        break;
    case FIELD_LONG:
        assert_int_equal(avro_value_set_long(value, random_number(dice, field)), 0);
        break;
    case FIELD_ENUM:
        assert_int_equal(avro_value_set_enum(value, dice_below(dice, field->symbol_count)), 0);
        break;
    case FIELD_BOOLEAN:
        assert_int_equal(avro_value_set_boolean(value, dice_chance(dice, 50)), 0);
        break;
    case FIELD_STRING:
        random_text(dice, field, text);
        assert_int_equal(avro_value_set_string(value, text), 0);
        break;
    }
}

/* Fills oracle's value and bytes with a random record. */
static void oracle_random(struct oracle *oracle, struct dice *dice)
{
    for (int i = 0; i < oracle->schema->field_count; i++) {
        const struct field *field = &oracle->schema->fields[i];
        avro_value_t value = {0};
        assert_int_equal(avro_value_get_by_index(&oracle->value, (size_t)i, &value, NULL), 0);
        bool is_null = field->is_nullable && dice_chance(dice, 50);
        if (field->is_nullable) {
            avro_value_t branch = {0};
            int index = is_null ? field->null_branch : 1 - field->null_branch;
            assert_int_equal(avro_value_set_branch(&value, index, &branch), 0);
            value = branch;
        }
        if (is_null)
            assert_int_equal(avro_value_set_null(&value), 0);
        else
            set_random(dice, field, &value);
    }
    oracle_write(oracle, &oracle->value, oracle->bytes, &oracle->size);
}

/* Changes one to three places of bytes; returns the new size. */
static size_t mutate(struct dice *dice, uint8_t *bytes, size_t size)
{
    for (int times = 1 + dice_below(dice, 3); times > 0 && size > 0; times--) {
        size_t at = (size_t)dice_below(dice, (int)size);
        switch (dice_below(dice, 6)) {
        case 0:
            size = at;
            break;
        case 1:
            memmove(bytes + at + 1, bytes + at, size - at);
            bytes[at] = (uint8_t)dice_u64(dice);
            size++;
            break;
        case 2:
            memmove(bytes + at, bytes + at + 1, size - at - 1);
            size--;
            break;
        case 3:
            bytes[at] = (uint8_t)dice_u64(dice);
            break;
        default:
            bytes[at] ^= (uint8_t)(1u << dice_below(dice, 8));
        }
    }
    return size;
}

/* Runs in a buffer of exactly this size, so that a sanitizer sees any step beyond it. */
static bool run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                struct decoded *out, uint8_t **kept)
{
    *kept = malloc(size == 0 ? 1 : size);
    assert_non_null(*kept);
    memcpy(*kept, bytes, size);
    return decoder_run(decoder, *kept, size, out);
}

/* Whether bytes are read: by both or by neither, and as the same record. */
static bool check_run(struct oracle *oracle, const struct decoder *decoder, const uint8_t *bytes,
                      size_t size)
{
    struct decoded out;
    struct decoded expected;
    uint8_t *kept = NULL;
    bool is_read = run(decoder, bytes, size, &out, &kept);
    assert_int_equal(is_read, oracle_read(oracle, kept, size));
    if (is_read) {
        oracle_decoded(oracle, oracle->schema, &expected);
        assert_same_decoded(oracle->schema, &out, &expected);
    }
    free(kept);
    return is_read;
}

static void check_mutations(struct oracle *oracle, const struct decoder *decoder, struct dice *dice,
                            int *accepted)
{
    static uint8_t bytes[RECORD_SIZE_MAX + 8];
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(bytes, oracle->bytes, oracle->size);
        size_t size = mutate(dice, bytes, oracle->size);
        if (check_run(oracle, decoder, bytes, size))
            ++*accepted;
    }
}

/* is_walked: as a kind is read that was added after the build. */
static void check_schema(const struct schema *schema, uint64_t seed, bool is_walked)
{
    static struct oracle oracle;
    struct dice dice = {seed};
    struct decoder *decoder = open_decoder(schema, schema);
    int accepted = 0;
    assert_non_null(decoder->straight); /* made when the tree was built */
    if (is_walked)
        decoder->straight = NULL;
    oracle_open(&oracle, schema);
    for (int i = 0; i < RECORDS; i++) {
        oracle_random(&oracle, &dice);
        assert_true(check_run(&oracle, decoder, oracle.bytes, oracle.size));
        check_mutations(&oracle, decoder, &dice, &accepted);
    }
    assert_in_range(accepted, RECORDS / 10, RECORDS * MUTATIONS * 9 / 10);
    oracle_close(&oracle);
    decoder_close(decoder);
}

static void records_of_every_kind_are_read_as_avro_reads_them(void **state)
{
    (void)state;
    assert_true(catalog.kind_count >= 3);
    for (int k = 0; k < catalog.kind_count; k++) {
        const struct kind *kind = &catalog.kinds[k].kind;
        for (int i = 0; i < kind->version_count * 2; i++)
            check_schema(&kind->versions[i / 2], (uint64_t)(k * 10 + i / 2), i % 2 == 1);
    }
    check_schema(kind_current(&catalog.heartbeat), 99, false);
    check_schema(kind_current(&catalog.heartbeat), 99, true);
}

/* A kind that has had two versions; every type of field was added with a default. */
#define HEAD                                                                                       \
    "{'type': 'record', 'name': 'gate', 'namespace': 'fangxian', 'doc': 'd', 'fields': "           \
    "[" KINDS_ENVELOPE

static const char first_version[] =
    HEAD ",{'name': 'lane', 'type': {'type': 'enum', 'name': 'gate_lane',"
         " 'symbols': ['LEFT', 'RIGHT']}, 'doc': 'd'},"
         "{'name': 'persons', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'},"
         "{'name': 'note', 'type': 'string', 'doc': 'd'}]}";
static const char second_version[] =
    HEAD ",{'name': 'persons', 'type': 'int', 'min': 0, 'max': 99, 'doc': 'd'},"
         "{'name': 'lane', 'type': {'type': 'enum', 'name': 'gate_lane',"
         " 'symbols': ['LEFT', 'RIGHT', 'MIDDLE']}, 'doc': 'd'},"
         "{'name': 'text', 'type': 'string', 'default': '没有', 'doc': 'd'},"
         "{'name': 'number', 'type': 'long', 'default': -5, 'doc': 'd'},"
         "{'name': 'first', 'type': 'boolean', 'default': true, 'doc': 'd'},"
         "{'name': 'wait_s', 'type': ['null', 'int'], 'default': null, 'doc': 'd'},"
         "{'name': 'side', 'type': {'type': 'enum', 'name': 'gate_side',"
         " 'symbols': ['IN', 'OUT']}, 'default': 'OUT', 'doc': 'd'}]}";
static const char turned_version[] =
    HEAD ",{'name': 'lane', 'type': {'type': 'enum', 'name': 'gate_lane',"
         " 'symbols': ['RIGHT', 'LEFT']}, 'doc': 'd'},"
         "{'name': 'persons', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'}]}";

static const char summed_version[] =
    HEAD ",{'name': 'grams', 'type': 'long', 'min': 0, 'max': 1000000000, 'doc': 'd'},"
         "{'name': 'goods_grams', 'type': 'long', 'min': 0, 'max': 1000000000, 'doc': 'd'},"
         "{'name': 'other_grams', 'type': 'long', 'min': 0, 'max': 1000000000, 'doc': 'd'}],"
         "'sums': [{'total': 'grams', 'parts': ['goods_grams', 'other_grams']}]}";

static const char far_version[] =
    HEAD ",{'name': 'far', 'type': 'long', 'doc': 'd'},"
         "{'name': 'one', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'},"
         "{'name': 'two', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'}]}";
static const char near_version[] =
    HEAD ",{'name': 'one', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'},"
         "{'name': 'two', 'type': 'int', 'min': 0, 'max': 9, 'doc': 'd'},"
         "{'name': 'three', 'type': 'int', 'default': 7, 'doc': 'd'},"
         "{'name': 'far', 'type': 'long', 'doc': 'd'}]}";

static void load_kind(struct scratch *scratch, const char *const *versions, int count,
                      struct kind *kind)
{
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "gate/%d.avsc", i + 1);
        kinds_write(scratch, name, versions[i]);
    }
    assert_ok(kind_load(scratch->root, "gate", kind, &err));
}

/* A kind of these versions, read by the newest of them as the first one wrote it. */
struct reader {
    struct scratch scratch;
    struct kind kind;
    const struct schema *current;
    struct decoder *decoder;
};

static void open_reader(struct reader *reader, const char *const *versions, int count)
{
    scratch_open(&reader->scratch);
    load_kind(&reader->scratch, versions, count, &reader->kind);
    reader->current = kind_current(&reader->kind);
    reader->decoder = open_decoder(&reader->kind.versions[0], reader->current);
}

static void close_reader(struct reader *reader)
{
    decoder_close(reader->decoder);
    kind_release(&reader->kind);
    scratch_close(&reader->scratch);
}

static size_t put_text(uint8_t *out, const char *text)
{
    size_t size = wire_write_long(out, (int64_t)strlen(text));
    memcpy(out + size, text, strlen(text));
    return size + strlen(text);
}

static size_t put_envelope(uint8_t *out)
{
    size_t size = put_text(out, "CP-1");
    size += wire_write_long(out + size, 77);
    size += wire_write_long(out + size, 5);
    size += wire_write_long(out + size, INT64_C(1644451200000));
    size += put_text(out + size, "441521");
    size += wire_write_long(out + size, 1);
    memset(out + size, 0, 3); /* three nulls */
    return size + 3;
}

static int64_t number(const struct schema *schema, const struct decoded *out, const char *name)
{
    return out->numbers[schema_field(schema, name)];
}

static void an_older_version_is_read_with_the_newest_defaults(void **state)
{
    (void)state;
    static const char *const versions[] = {first_version, second_version};
    struct reader reader;
    struct decoded out;
    uint8_t bytes[256];
    open_reader(&reader, versions, 2);
    size_t size = put_envelope(bytes);
    size += wire_write_long(bytes + size, 1);
    size += wire_write_long(bytes + size, 42); /* beyond the first version's bound */
    size += put_text(bytes + size, "dropped");
    assert_true(decoder_run(reader.decoder, bytes, size, &out));
    assert_int_equal(out.invalid_field, -1); /* bounds are the newest */
    assert_int_equal(number(reader.current, &out, "seq"), 5);
    assert_int_equal(number(reader.current, &out, "lane"), 1);
    assert_int_equal(number(reader.current, &out, "persons"), 42);
    assert_int_equal(number(reader.current, &out, "number"), -5);
    assert_int_equal(number(reader.current, &out, "first"), 1);
    assert_int_equal(number(reader.current, &out, "side"), 1);
    assert_true(out.is_null[schema_field(reader.current, "wait_s")]);
    const struct decoded_text *text = &out.texts[schema_field(reader.current, "text")];
    assert_int_equal(text->size, strlen("没有"));
    assert_memory_equal(text->bytes, "没有", text->size);
    bytes[size - strlen("dropped") - 3] = 4; /* symbol 2, which this writer does not have */
    assert_false(decoder_run(reader.decoder, bytes, size, &out));
    close_reader(&reader);
}

static void symbols_are_translated_by_name(void **state)
{
    (void)state;
    static const char *const turned[] = {turned_version};
    static const char *const plain[] = {second_version};
    struct scratch there;
    struct scratch here;
    struct kind writer;
    struct kind reader;
    struct decoded out;
    uint8_t bytes[256];
    scratch_open(&there);
    scratch_open(&here);
    load_kind(&there, turned, 1, &writer);
    load_kind(&here, plain, 1, &reader);
    const struct schema *current = kind_current(&reader);
    struct decoder *decoder = open_decoder(kind_current(&writer), current);
    for (int64_t lane = 0; lane < 3; lane++) {
        size_t size = put_envelope(bytes);
        size += wire_write_long(bytes + size, lane);
        size += wire_write_long(bytes + size, 4);
        assert_int_equal(decoder_run(decoder, bytes, size, &out), lane < 2);
        if (lane < 2)
            assert_int_equal(number(current, &out, "lane"), 1 - lane);
    }
    decoder_close(decoder);
    kind_release(&writer);
    kind_release(&reader);
    scratch_close(&there);
    scratch_close(&here);
}

/* Two small numbers side by side are written as eight: not over what was read before. */
static void a_word_spares_a_field_that_came_before(void **state)
{
    (void)state;
    static const char *const versions[] = {far_version, near_version};
    struct reader reader;
    struct decoded out;
    uint8_t bytes[256];
    open_reader(&reader, versions, 2);
    size_t size = put_envelope(bytes);
    size += wire_write_long(bytes + size, 5000);
    size += wire_write_long(bytes + size, 1);
    size += wire_write_long(bytes + size, 2);
    assert_true(decoder_run(reader.decoder, bytes, size, &out));
    assert_int_equal(number(reader.current, &out, "one"), 1);
    assert_int_equal(number(reader.current, &out, "two"), 2);
    assert_int_equal(number(reader.current, &out, "three"), 7);
    assert_int_equal(number(reader.current, &out, "far"), 5000);
    close_reader(&reader);
}

static void what_avro_lets_pass_but_we_do_not(void **state)
{
    (void)state;
    static const char *const versions[] = {second_version};
    static const struct {
        const char *what;
        const char
            *tail; /* behind the envelope: persons, lane, text, number, first, wait_s, side */
        size_t size;
        bool is_read;
    } cases[] = {
        {"good", "\x02\x04\x02x\x02\x01\x00\x02", 8, true},
        {"trailing byte", "\x02\x04\x02x\x02\x01\x00\x02\x00", 9, false},
        {"truncated", "\x02\x04\x02x\x02\x01\x00", 7, false},
        {"long varint", "\x82\x00\x04\x02x\x02\x01\x00\x02", 9, false},
        {"boolean 2", "\x02\x04\x02x\x02\x02\x00\x02", 8, false},
        {"symbol 3", "\x02\x06\x02x\x02\x01\x00\x02", 8, false},
        {"symbol -1", "\x02\x01\x02x\x02\x01\x00\x02", 8, false},
        {"branch 2", "\x02\x04\x02x\x02\x01\x04\x02", 8, false},
        {"text beyond the end", "\x02\x04\x7ex\x02\x01\x00\x02", 8, false},
        {"negative size", "\x02\x04\x01x\x02\x01\x00\x02", 8, false},
        {"int beyond 32 bits", "\x80\x80\x80\x80\x10\x04\x02x\x02\x01\x00\x02", 12, false},
    };
    struct reader reader;
    struct decoded out;
    uint8_t bytes[256];
    open_reader(&reader, versions, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = put_envelope(bytes);
        memcpy(bytes + size, cases[i].tail, cases[i].size);
        if (decoder_run(reader.decoder, bytes, size + cases[i].size, &out) != cases[i].is_read)
            fail_msg("%s", cases[i].what);
    }
    size_t size = put_envelope(bytes);
    memcpy(bytes + size, "\x02\x04\x02\x00\x02\x01\x00\x02", 8); /* a text of one NUL */
    assert_true(decoder_run(reader.decoder, bytes, size + 8, &out));
    assert_int_equal(out.invalid_field, schema_field(reader.current, "text"));
    close_reader(&reader);
}

/* Parts of 2^63 - 1 would overflow: a sum is looked at only where its parts are in bounds. */
static void parts_out_of_bounds_are_not_added(void **state)
{
    (void)state;
    static const char *const versions[] = {summed_version};
    static const struct {
        int64_t grams[3];
        int invalid; /* which of them, -1: none */
        int sum;
    } cases[] = {
        {{5, 2, 3}, -1, -1},
        {{5, 2, 2}, -1, 0},
        {{5, INT64_MAX, INT64_MAX}, 1, -1},
        {{5, 2, INT64_MIN}, 2, -1},
    };
    struct reader reader;
    struct decoded out;
    uint8_t bytes[256];
    open_reader(&reader, versions, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = put_envelope(bytes);
        for (int k = 0; k < 3; k++)
            size += wire_write_long(bytes + size, cases[i].grams[k]);
        assert_true(decoder_run(reader.decoder, bytes, size, &out));
        assert_int_equal(out.invalid_field,
                         cases[i].invalid < 0 ? -1 : ENVELOPE_COUNT + cases[i].invalid);
        assert_int_equal(out.mismatched_sum, cases[i].sum);
    }
    close_reader(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_every_kind_are_read_as_avro_reads_them),
        cmocka_unit_test(an_older_version_is_read_with_the_newest_defaults),
        cmocka_unit_test(symbols_are_translated_by_name),
        cmocka_unit_test(a_word_spares_a_field_that_came_before),
        cmocka_unit_test(what_avro_lets_pass_but_we_do_not),
        cmocka_unit_test(parts_out_of_bounds_are_not_added),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}

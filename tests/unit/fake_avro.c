/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_avro - avro-c's generic values as the oracle for what decode.c reads.
 *
 * Writes random records of any schema of ours, and compares a decoded record with what avro-c
 * reads from the same bytes. A test includes it whole, once.
 */
#include "fake_base.h"

#include "../../consumers/decode.h"

#include <avro.h>

#define RECORD_SIZE_MAX 8192

/* A writer's schema as avro-c knows it, with a value to write and one to read into. */
struct oracle {
    const struct schema *schema;
    avro_schema_t avro;
    avro_value_iface_t *iface;
    avro_value_t value;
    avro_reader_t reader;
    avro_writer_t writer;
    uint8_t bytes[RECORD_SIZE_MAX];
    size_t size;
};

static void oracle_open(struct oracle *oracle, const struct schema *schema)
{
    oracle->schema = schema;
    if (avro_schema_from_json_length(schema->json, strlen(schema->json), &oracle->avro) != 0)
        fail_msg("%s", avro_strerror());
    oracle->iface = avro_generic_class_from_schema(oracle->avro);
    assert_non_null(oracle->iface);
    assert_int_equal(avro_generic_value_new(oracle->iface, &oracle->value), 0);
    oracle->reader = avro_reader_memory((const char *)oracle->bytes, 0);
    oracle->writer = avro_writer_memory((const char *)oracle->bytes, RECORD_SIZE_MAX);
}

static void oracle_close(struct oracle *oracle)
{
    avro_value_decref(&oracle->value);
    avro_value_iface_decref(oracle->iface);
    avro_schema_decref(oracle->avro);
    avro_reader_free(oracle->reader);
    avro_writer_free(oracle->writer);
}

static void oracle_write(struct oracle *oracle, uint8_t *bytes, size_t *size)
{
    avro_writer_memory_set_dest(oracle->writer, (const char *)bytes, RECORD_SIZE_MAX);
    if (avro_value_write(oracle->writer, &oracle->value) != 0)
        fail_msg("%s", avro_strerror());
    *size = (size_t)avro_writer_tell(oracle->writer);
}

/* The value within a union, the value itself elsewhere; false: it is null. */
static bool unwrap(const struct field *field, avro_value_t *value)
{
    int branch = 0;
    if (!field->is_nullable)
        return true;
    assert_int_equal(avro_value_get_discriminant(value, &branch), 0);
    avro_value_t inner = {0};
    assert_int_equal(avro_value_get_current_branch(value, &inner), 0);
    *value = inner;
    return branch != field->null_branch;
}

static int64_t number_of(const struct field *field, const avro_value_t *value)
{
    int32_t narrow = 0;
    int64_t wide = 0;
    int other = 0;
    switch (field->type) {
    case FIELD_INT:
        assert_int_equal(avro_value_get_int(value, &narrow), 0);
        return narrow;
    case FIELD_LONG:
        assert_int_equal(avro_value_get_long(value, &wide), 0);
        return wide;
    case FIELD_ENUM:
        assert_int_equal(avro_value_get_enum(value, &other), 0);
        return other;
    case FIELD_BOOLEAN:
        assert_int_equal(avro_value_get_boolean(value, &other), 0);
        return other;
    case FIELD_STRING:
        break;
    }
    return 0;
}

/* Well-formed UTF-8 without NUL, by decoding each code point. */
static bool is_text(const uint8_t *bytes, size_t size)
{
    static const uint32_t lowest[] = {1, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < size;) {
        uint8_t lead = bytes[i++];
        size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
        if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8 || more > size - i)
            return false;
        for (size_t k = 0; k < more; k++, i++) {
            if (bytes[i] >> 6 != 2)
                return false;
            point = point << 6 | (bytes[i] & 0x3f);
        }
        if (point < lowest[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
    }
    return true;
}

static bool is_source(const char *bytes, size_t size)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return size >= 1 && size <= SCHEMA_SOURCE_MAX && strspn(bytes, allowed) == size;
}

/* Compares field index of out with avro-c's value; false: it is out of bounds. */
static bool compare_field(const struct field *field, int index, avro_value_t value,
                          const struct decoded *out)
{
    bool is_there = unwrap(field, &value);
    assert_int_equal(out->is_null[index], !is_there);
    if (!is_there)
        return true;
    if (field->type != FIELD_STRING) {
        int64_t number = number_of(field, &value);
        assert_int_equal(out->numbers[index], number);
        bool has_bounds = field->type == FIELD_INT || field->type == FIELD_LONG;
        return !has_bounds || (number >= field->min && number <= field->max);
    }
    const char *text = NULL;
    size_t size = 0;
    assert_int_equal(avro_value_get_string(&value, &text, &size), 0);
    assert_int_equal(out->texts[index].size + 1, size);
    assert_memory_equal(out->texts[index].bytes, text, size - 1);
    return index == ENVELOPE_SOURCE
               ? is_source(text, size - 1)
               : size - 1 <= (size_t)field->max_length && is_text((const uint8_t *)text, size - 1);
}

/* Compares every field, bounds and sums of out with oracle's value. */
static void oracle_compare(struct oracle *oracle, const struct decoded *out)
{
    const struct schema *schema = oracle->schema;
    int invalid = -1;
    for (int i = 0; i < schema->field_count; i++) {
        avro_value_t value = {0};
        assert_int_equal(avro_value_get_by_index(&oracle->value, (size_t)i, &value, NULL), 0);
        if (!compare_field(&schema->fields[i], i, value, out) && invalid < 0)
            invalid = i;
    }
    assert_int_equal(out->invalid_field, invalid);
    int mismatched = -1;
    for (int i = schema->sum_count - 1; i >= 0; i--) {
        int64_t rest = out->numbers[schema->sums[i].total];
        for (int k = 0; k < schema->sums[i].part_count; k++)
            rest -= out->numbers[schema->sums[i].parts[k]];
        if (rest != 0)
            mismatched = i;
    }
    assert_int_equal(out->mismatched_sum, mismatched);
}

/* What avro-c reads from bytes, and writes again as the same bytes. */
static void oracle_read(struct oracle *oracle, const uint8_t *bytes, size_t size)
{
    static uint8_t again[RECORD_SIZE_MAX];
    size_t again_size = 0;
    avro_reader_memory_set_source(oracle->reader, (const char *)bytes, (int64_t)size);
    avro_value_reset(&oracle->value);
    if (avro_value_read(oracle->reader, &oracle->value) != 0)
        fail_msg("accepted, but avro-c says: %s", avro_strerror());
    oracle_write(oracle, again, &again_size);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, bytes, size);
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
    oracle_write(oracle, oracle->bytes, &oracle->size);
}

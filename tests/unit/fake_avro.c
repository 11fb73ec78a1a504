/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_avro - avro-c's generic values as the oracle for what decode.c reads.
 *
 * Says what a body is: whether it is a value of a writer's schema, which one, and which of our
 * rules it breaks. A test includes it whole, once.
 *
 * avro-c takes more than the specification and we do: varints that are too long or overflow,
 * trailing bytes, any index of an enum, any byte as a boolean. So a body counts as read only if
 * avro-c writes the value again as the same bytes, and indexes and booleans are in their range.
 */
#include "fake_base.h"

#include "../../consumers/decode.h"

#include <avro.h>

#define RECORD_SIZE_MAX 8192
#define BLOCK_SIZE_MAX 65536

/*
 * avro-c allocates what a string's length says before it looks whether the bytes are there, and
 * loses the block when they are not. This allocator refuses what no record of ours needs, and
 * takes back what a read has lost.
 */
struct block {
    struct block *next; /* allocated before it */
    struct block *previous;
    uint64_t number;
    _Alignas(max_align_t) uint8_t bytes[];
};

static struct block blocks = {.next = &blocks, .previous = &blocks};
static uint64_t block_count;

static void block_free(struct block *block)
{
    block->next->previous = block->previous;
    block->previous->next = block->next;
    free(block);
}

static void *block_new(size_t size)
{
    struct block *block = size > BLOCK_SIZE_MAX ? NULL : malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->number = ++block_count;
    block->next = blocks.next;
    block->previous = &blocks;
    block->next->previous = block;
    blocks.next = block;
    return block->bytes;
}

static void *block_allocate(void *user, void *bytes, size_t old_size, size_t size)
{
    (void)user;
    struct block *old = NULL;
    if (bytes != NULL)
        old = (struct block *)((uint8_t *)bytes - offsetof(struct block, bytes));
    void *fresh = size == 0 ? NULL : block_new(size);
    if (fresh != NULL && old != NULL)
        memcpy(fresh, bytes, old_size < size ? old_size : size);
    if (old != NULL && (size == 0 || fresh != NULL))
        block_free(old);
    return fresh;
}

static void blocks_sweep(uint64_t mark)
{
    while (blocks.next != &blocks && blocks.next->number > mark)
        block_free(blocks.next);
}

/* Before main: what one allocator gave, another must not free. */
__attribute__((constructor)) static void contain_avro(void)
{
    avro_set_allocator(block_allocate, NULL);
}

/* A writer's schema as avro-c knows it. */
struct oracle {
    const struct schema *schema;
    avro_schema_t avro;
    avro_value_iface_t *iface;
    avro_value_t value; /* for a test to fill and write */
    avro_reader_t reader;
    avro_writer_t writer;
    uint8_t bytes[RECORD_SIZE_MAX]; /* of value */
    size_t size;
    struct decoded read; /* what was read last, by schema; its texts lie in texts */
    char texts[RECORD_SIZE_MAX + SCHEMA_FIELDS_MAX];
    size_t texts_size;
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

static void oracle_write(struct oracle *oracle, avro_value_t *value, uint8_t *bytes, size_t *size)
{
    avro_writer_memory_set_dest(oracle->writer, (const char *)bytes, RECORD_SIZE_MAX);
    if (avro_value_write(oracle->writer, value) != 0)
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

static void keep_text(struct oracle *oracle, const avro_value_t *value, struct decoded_text *text)
{
    const char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(avro_value_get_string(value, &bytes, &size), 0);
    assert_true(size <= sizeof oracle->texts - oracle->texts_size);
    text->bytes = memcpy(oracle->texts + oracle->texts_size, bytes, size);
    text->size = (uint32_t)size - 1; /* avro-c counts the terminator, and so keeps it */
    oracle->texts_size += size;
}

/* Keeps field index of value; false: it is none of its symbols or of true and false. */
static bool keep_field(struct oracle *oracle, int index, avro_value_t value)
{
    const struct field *field = &oracle->schema->fields[index];
    struct decoded *read = &oracle->read;
    read->is_null[index] = !unwrap(field, &value);
    read->numbers[index] = 0;
    read->texts[index] = (struct decoded_text){"", 0};
    if (read->is_null[index])
        return true;
    if (field->type == FIELD_STRING)
        keep_text(oracle, &value, &read->texts[index]);
    else
        read->numbers[index] = number_of(field, &value);
    bool is_index = field->type == FIELD_ENUM || field->type == FIELD_BOOLEAN;
    int count = field->type == FIELD_ENUM ? field->symbol_count : 2;
    return !is_index || (read->numbers[index] >= 0 && read->numbers[index] < count);
}

static bool keep_fields(struct oracle *oracle, const avro_value_t *record)
{
    bool is_good = true;
    oracle->texts_size = 0;
    for (int i = 0; i < oracle->schema->field_count; i++) {
        avro_value_t value = {0};
        assert_int_equal(avro_value_get_by_index(record, (size_t)i, &value, NULL), 0);
        is_good &= keep_field(oracle, i, value);
    }
    return is_good;
}

/* Whether bytes are a value of the schema in the one form that the specification allows; what
 * they say is in oracle->read then. */
static bool oracle_read(struct oracle *oracle, const uint8_t *bytes, size_t size)
{
    static uint8_t again[RECORD_SIZE_MAX];
    size_t again_size = 0;
    uint64_t mark = block_count;
    avro_value_t value = {0};
    assert_int_equal(avro_generic_value_new(oracle->iface, &value), 0);
    avro_reader_memory_set_source(oracle->reader, (const char *)bytes, (int64_t)size);
    bool is_read = avro_value_read(oracle->reader, &value) == 0;
    if (is_read) {
        oracle_write(oracle, &value, again, &again_size);
        is_read = again_size == size && memcmp(again, bytes, size) == 0;
    }
    is_read = is_read && keep_fields(oracle, &value);
    avro_value_decref(&value);
    blocks_sweep(mark);
    return is_read;
}

/* A field's value by our own rules, of which Avro knows nothing. */
static bool is_in_bounds(const struct field *field, int index, const struct decoded *fields)
{
    const struct decoded_text *text = &fields->texts[index];
    int64_t number = fields->numbers[index];
    if (fields->is_null[index] || field->type == FIELD_ENUM || field->type == FIELD_BOOLEAN)
        return true;
    if (field->type != FIELD_STRING)
        return number >= field->min && number <= field->max;
    return index == ENVELOPE_SOURCE ? is_source(text->bytes, text->size)
                                    : text->size <= (size_t)field->max_length &&
                                          is_text((const uint8_t *)text->bytes, text->size);
}

/* Field to of out: what the writer said of it, or the default. */
static void translate_field(const struct oracle *oracle, const struct field *field, int to,
                            struct decoded *out)
{
    int from = schema_field(oracle->schema, field->name);
    out->is_null[to] = from < 0 ? field->is_default_null : oracle->read.is_null[from];
    out->numbers[to] = from < 0 ? field->default_number : oracle->read.numbers[from];
    out->texts[to] = (struct decoded_text){"", 0};
    if (from >= 0)
        out->texts[to] = oracle->read.texts[from];
    else if (field->default_text != NULL)
        out->texts[to] =
            (struct decoded_text){field->default_text, (uint32_t)strlen(field->default_text)};
    if (from >= 0 && field->type == FIELD_ENUM && !out->is_null[to]) {
        const char *symbol = oracle->schema->fields[from].symbols[out->numbers[to]];
        out->numbers[to] = field_symbol(field, symbol, strlen(symbol));
    }
}

/* What was read last, as the schema current sees it, and what is wrong with it. */
static void oracle_decoded(const struct oracle *oracle, const struct schema *current,
                           struct decoded *out)
{
    out->invalid_field = -1;
    out->mismatched_sum = -1;
    for (int i = 0; i < current->field_count; i++)
        translate_field(oracle, &current->fields[i], i, out);
    for (int i = oracle->schema->field_count - 1; i >= 0; i--) {
        int to = schema_field(current, oracle->schema->fields[i].name);
        if (to >= 0 && !is_in_bounds(&current->fields[to], to, out))
            out->invalid_field = to;
    }
    for (int i = current->sum_count - 1; out->invalid_field < 0 && i >= 0; i--) {
        int64_t rest = out->numbers[current->sums[i].total];
        for (int k = 0; k < current->sums[i].part_count; k++)
            rest -= out->numbers[current->sums[i].parts[k]];
        if (rest != 0)
            out->mismatched_sum = i;
    }
}

/* Fails, naming the field, unless both say the same of every field of schema. */
static void assert_same_decoded(const struct schema *schema, const struct decoded *actual,
                                const struct decoded *expected)
{
    for (int i = 0; i < schema->field_count; i++) {
        const struct decoded_text *text = &actual->texts[i];
        bool is_same = actual->is_null[i] == expected->is_null[i];
        if (is_same && !expected->is_null[i])
            is_same = schema->fields[i].type == FIELD_STRING
                          ? text->size == expected->texts[i].size &&
                                memcmp(text->bytes, expected->texts[i].bytes, text->size) == 0
                          : actual->numbers[i] == expected->numbers[i];
        if (!is_same)
            fail_msg("field %s is not what avro-c reads", schema->fields[i].name);
    }
    assert_int_equal(actual->invalid_field, expected->invalid_field);
    assert_int_equal(actual->mismatched_sum, expected->mismatched_sum);
}

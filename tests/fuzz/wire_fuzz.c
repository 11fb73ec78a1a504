/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_fuzz - bytes as a header, as numbers, as a key, and as an event that an outbox stored.
 *
 * An input that begins with a single-object header is taken as it is; else its first byte chooses
 * the schema that the rest was written with. Promised:
 *   - header, numbers and partition are what a reading by the letter of their definitions finds;
 *     a number that is read is written as the same bytes; nothing is read beyond the end;
 *   - what the consumers' decoder takes the producers' event_decode takes, too, with the same
 *     values; what that takes is written again as the same bytes (in the newest version: as an
 *     event of the same values), and as JSON that can be read.
 */
#include "fuzz_event.h"

#include "../../consumers/decode.h"

#include <jansson.h>

#define KINDS_MAX 16
#define WRITERS_MAX 32

struct writer {
    const struct kind *kind;
    const struct schema *schema;
    struct decoder *decoder;
};

static struct kind kinds[KINDS_MAX];
static int kind_count;
static struct writer writers[WRITERS_MAX];
static int writer_count;

static void add_kind(void)
{
    const struct kind *kind = &kinds[kind_count++];
    for (int i = 0; i < kind->version_count; i++) {
        assert_in_range(writer_count, 0, WRITERS_MAX - 1);
        struct writer *writer = &writers[writer_count++];
        *writer = (struct writer){kind, &kind->versions[i], NULL};
        assert_ok(decoder_open(writer->schema, kind_current(kind), &writer->decoder, &err));
    }
}

static void open_all(void)
{
    char names[KINDS_MAX][SCHEMA_NAME_MAX];
    int count = 0;
    assert_ok(kind_list(FX_SCHEMAS_DIR, names, KINDS_MAX - 2, &count, &err));
    for (int i = 0; i < count; i++) {
        assert_ok(kind_load(FX_SCHEMAS_DIR, names[i], &kinds[kind_count], &err));
        add_kind();
    }
    assert_ok(kind_load(FX_TESTS_DIR "/fuzz/schemas", "gate", &kinds[kind_count], &err));
    add_kind();
    assert_ok(schema_load_heartbeat(FX_SCHEMAS_DIR, &kinds[kind_count], &err));
    add_kind();
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* By the letter: groups of seven bits, least first, no more than 64 in all, none that could be
 * left out. Returns the bytes it takes, 0: it is none. */
static size_t read_naively(const uint8_t *bytes, size_t size, int64_t *value)
{
    unsigned __int128 bits = 0;
    for (size_t i = 0; i < size && i < 10; i++) {
        bits |= (unsigned __int128)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] >= 0x80)
            continue;
        if ((i > 0 && bytes[i] == 0) || bits > UINT64_MAX)
            return 0;
        uint64_t folded = (uint64_t)bits;
        *value = folded % 2 == 0 ? (int64_t)(folded / 2) : -(int64_t)(folded / 2) - 1;
        return i + 1;
    }
    return 0;
}

static void check_word(const uint8_t *bytes, size_t naive_size, int64_t naive)
{
    uint64_t word = 0;
    int64_t value = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | bytes[i];
    size_t size = wire_read_word(word, &value);
    assert_int_equal(size, naive_size > 8 ? 0 : naive_size);
    if (size > 0)
        assert_true(value == naive);
}

static void check_numbers(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = bytes + size;
    for (const uint8_t *at = bytes; at < end;) {
        int64_t naive = 0;
        int64_t value = 0;
        uint8_t again[10];
        const uint8_t *behind = at;
        size_t naive_size = read_naively(at, (size_t)(end - at), &naive);
        bool is_read = wire_read_long(&behind, end, &value);
        assert_int_equal(is_read, naive_size > 0);
        assert_int_equal(behind - at, naive_size);
        if (end - at >= 8)
            check_word(at, naive_size, naive);
        if (is_read) {
            assert_true(value == naive);
            assert_int_equal(wire_write_long(again, value), naive_size);
            assert_memory_equal(again, at, naive_size);
        }
        at += is_read ? naive_size : 1;
    }
}

/* ---- header and key -------------------------------------------------------------------------- */

static void check_header(const uint8_t *bytes, size_t size)
{
    uint64_t fingerprint = 0;
    uint64_t naive = 0;
    uint8_t again[WIRE_HEADER_SIZE];
    bool is_header = size >= 10 && bytes[0] == 0xc3 && bytes[1] == 0x01;
    assert_int_equal(wire_read_header(bytes, size, &fingerprint), is_header);
    if (!is_header)
        return;
    for (int i = 9; i >= 2; i--)
        naive = naive << 8 | bytes[i];
    assert_true(fingerprint == naive);
    wire_write_header(again, fingerprint);
    assert_memory_equal(again, bytes, sizeof again);
}

/* org.apache.kafka.common.utils.Utils.murmur2, line by line. */
static int32_t murmur2(const uint8_t *data, int length)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28cu ^ (uint32_t)length;
    for (int i = 0; i < length / 4; i++) {
        const uint8_t *at = data + i * 4;
        uint32_t k = at[0] + ((uint32_t)at[1] << 8) + ((uint32_t)at[2] << 16);
        k = (k + ((uint32_t)at[3] << 24)) * m;
        k = (k ^ k >> 24) * m;
        h = h * m ^ k;
    }
    const uint8_t *tail = data + (length & ~3);
    if (length % 4 == 3)
        h ^= (uint32_t)tail[2] << 16;
    if (length % 4 >= 2)
        h ^= (uint32_t)tail[1] << 8;
    if (length % 4 >= 1)
        h = (h ^ tail[0]) * m;
    h = (h ^ h >> 13) * m;
    return (int32_t)(h ^ h >> 15);
}

static void check_partition(const uint8_t *bytes, size_t size)
{
    int32_t positive = murmur2(bytes, (int)size) & INT32_MAX;
    for (int32_t count = 1; count <= 65536; count = count * 3 + 1)
        assert_int_equal(wire_partition((const char *)bytes, size, count), positive % count);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void check_again(const struct writer *writer, const uint8_t *bytes, size_t size,
                        const struct event *event)
{
    uint8_t again[WIRE_EVENT_MAX];
    size_t again_size = 0;
    struct event twice;
    struct fx_err failed = FX_ERR_INIT;
    static const char *const names[] = {"longer than 4096 bytes", NULL};
    if (event_encode(event, again, &again_size, &failed) != FX_OK) {
        fuzz_check_refusal(&failed, FX_EINPUT, names);
        assert_true(size + (size_t)event->schema->field_count * 20 > WIRE_EVENT_MAX);
        return;
    }
    if (writer->schema == event->schema) {
        assert_int_equal(again_size, size);
        assert_memory_equal(again, bytes, size);
    }
    assert_ok(event_decode(writer->kind, again, again_size, &twice, &err));
    for (int i = 0; i < event->schema->field_count; i++)
        fuzz_same_value(&event->schema->fields[i], &event->values[i], &twice.values[i]);
}

static void check_json(const struct event *event)
{
    struct buf out = BUF_INIT;
    json_error_t error;
    event_append_json(event, &out);
    json_t *json =
        json_loadb((char *)out.data, out.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json == NULL)
        fail_msg("no JSON, by column %d: %s", error.column, error.text);
    assert_int_equal(json_object_size(json), event->schema->field_count);
    json_decref(json);
    buf_release(&out);
}

/* What the consumers read is what the producers read. */
static void compare_decoders(const struct decoded *decoded, const struct event *event)
{
    for (int i = 0; i < event->schema->field_count; i++) {
        const struct decoded_text *text = &decoded->texts[i];
        const struct event_value other = {decoded->numbers[i], text->bytes, (int)text->size,
                                          decoded->is_null[i]};
        fuzz_same_value(&event->schema->fields[i], &event->values[i], &other);
    }
}

static bool check_event(const struct writer *writer, const uint8_t *bytes, size_t size)
{
    static struct decoded decoded;
    static struct event event;
    struct fx_err failed = FX_ERR_INIT;
    const char *const names[] = {"a stored event", writer->kind->name, NULL};
    bool is_decoded =
        decoder_run(writer->decoder, bytes + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &decoded);
    if (event_decode(writer->kind, bytes, size, &event, &failed) != FX_OK) {
        fuzz_check_refusal(&failed, FX_ESTATE, names);
        assert_false(is_decoded);
        return false;
    }
    assert_ptr_equal(event.schema, kind_current(writer->kind));
    if (is_decoded)
        compare_decoders(&decoded, &event);
    check_again(writer, bytes, size, &event);
    check_json(&event);
    return true;
}

/* bytes belong to no schema of kind: never an event of it. */
static void check_foreign(const struct kind *kind, const uint8_t *bytes, size_t size)
{
    static struct event event;
    struct fx_err failed = FX_ERR_INIT;
    const char *const names[] = {"no known version", kind->name, NULL};
    assert_int_equal(event_decode(kind, bytes, size, &event, &failed), FX_ESTATE);
    fuzz_check_refusal(&failed, FX_ESTATE, names);
}

static bool check_as_event(const uint8_t *bytes, size_t size)
{
    uint64_t fingerprint = 0;
    bool is_taken = false;
    bool has_header = wire_read_header(bytes, size, &fingerprint);
    for (int i = 0; i < writer_count; i++)
        if (has_header && writers[i].schema->fingerprint == fingerprint)
            is_taken |= check_event(&writers[i], bytes, size);
    for (int k = 0; k < kind_count; k++) {
        bool is_known = false;
        for (int i = 0; has_header && i < kinds[k].version_count; i++)
            is_known |= kinds[k].versions[i].fingerprint == fingerprint;
        if (!is_known)
            check_foreign(&kinds[k], bytes, size);
    }
    return is_taken;
}

static bool check(const uint8_t *bytes, size_t size)
{
    check_header(bytes, size);
    check_numbers(bytes, size);
    check_partition(bytes, size);
    if (size == 0 || bytes[0] == 0xc3)
        return check_as_event(bytes, size);
    size_t made_size = WIRE_HEADER_SIZE + size - 1;
    uint8_t *made = malloc(made_size);
    assert_non_null(made);
    wire_write_header(made, writers[bytes[0] % writer_count].schema->fingerprint);
    memcpy(made + WIRE_HEADER_SIZE, bytes + 1, size - 1);
    bool is_taken = check_as_event(made, made_size);
    free(made);
    return is_taken;
}

const struct fuzz_target fuzz_target = {open_all, check};

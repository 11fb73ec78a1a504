/* SPDX-License-Identifier: Apache-2.0 */
#include "../../schemas/wire.h"
#include "scratch.h"

/* Avro's own examples: the fingerprints of "int" and "null", quotes included. */
static void fingerprint_is_crc_64_avro(void **state)
{
    (void)state;
    assert_true(wire_fingerprint("\"int\"", 5) == UINT64_C(0x7275d51a3f395c8f));
    assert_true(wire_fingerprint("\"null\"", 6) == UINT64_C(0x63dd24e7cc258f8a));
    assert_true(wire_fingerprint("", 0) == UINT64_C(0xc15d213aa4d7a795));
}

static void header_is_single_object_encoding(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xc3, 0x01, 0x8f, 0x5c, 0x39, 0x3f, 0x1a, 0xd5, 0x75, 0x72};
    uint8_t bytes[WIRE_HEADER_SIZE];
    uint64_t fingerprint = 0;
    wire_write_header(bytes, UINT64_C(0x7275d51a3f395c8f));
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_true(wire_read_header(bytes, sizeof bytes, &fingerprint));
    assert_true(fingerprint == UINT64_C(0x7275d51a3f395c8f));
    fingerprint = 7;
    assert_false(wire_read_header(bytes, sizeof bytes - 1, &fingerprint));
    bytes[1] = 0x02;
    assert_false(wire_read_header(bytes, sizeof bytes, &fingerprint));
    bytes[0] = 0x00;
    bytes[1] = 0x01;
    assert_false(wire_read_header(bytes, sizeof bytes, &fingerprint));
    assert_true(fingerprint == 7);
}

/*
 * The vectors of Kafka's UtilsTest. With INT32_MAX partitions the partition is the hash without
 * its sign bit, which the partitioner drops, too.
 */
static void partition_is_kafkas_murmur2(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = strlen(cases[i].key);
        int32_t positive = cases[i].hash & INT32_MAX;
        assert_int_equal(wire_partition(cases[i].key, size, INT32_MAX), positive);
        assert_int_equal(wire_partition(cases[i].key, size, 12), positive % 12);
        assert_int_equal(wire_partition(cases[i].key, size, 1), 0);
    }
}

static void varint_has_known_bytes(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        uint8_t bytes[10];
        size_t size;
    } cases[] = {
        {0, {0x00}, 1},
        {-1, {0x01}, 1},
        {1, {0x02}, 1},
        {-64, {0x7f}, 1},
        {64, {0x80, 0x01}, 2},
        {8192, {0x80, 0x80, 0x01}, 3},
        {INT64_MAX, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10},
        {INT64_MIN, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[10];
        assert_int_equal(wire_write_long(out, cases[i].value), cases[i].size);
        assert_memory_equal(out, cases[i].bytes, cases[i].size);
    }
}

static void varint_reads_what_it_wrote(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252U;
    for (int i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t value = (int64_t)random >> (i % 64);
        uint8_t bytes[11];
        size_t size = wire_write_long(bytes, value);
        bytes[size] = 0xff;
        const uint8_t *at = bytes;
        int64_t read = 0;
        assert_true(wire_read_long(&at, bytes + sizeof bytes, &read));
        assert_true(read == value);
        assert_ptr_equal(at, bytes + size);
        at = bytes;
        assert_false(wire_read_long(&at, bytes + size - 1, &read));
        assert_ptr_equal(at, bytes);
    }
}

static void varint_refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[11];
        size_t size;
    } cases[] = {
        {{0}, 0},
        {{0x80}, 1},
        {{0x80, 0x00}, 2},
        {{0x82, 0x80, 0x00}, 3},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 10},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00}, 11},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *at = cases[i].bytes;
        int64_t value = 7;
        if (wire_read_long(&at, at + cases[i].size, &value) || value != 7)
            fail_msg("case %zu was taken", i);
        assert_ptr_equal(at, cases[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprint_is_crc_64_avro),
        cmocka_unit_test(header_is_single_object_encoding),
        cmocka_unit_test(partition_is_kafkas_murmur2),
        cmocka_unit_test(varint_has_known_bytes),
        cmocka_unit_test(varint_reads_what_it_wrote),
        cmocka_unit_test(varint_refuses_what_is_not_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

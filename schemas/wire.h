/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - how an event lies in a Kafka message.
 *
 *   C3 01 | fingerprint, 8 bytes little-endian | Avro binary body      key = source
 *   ^ Avro single-object encoding              ^ the writer's schema says what follows
 *
 * The partition is chosen once per (source, run): murmur2 of the key over the partition count,
 * as Kafka's Java client does by default; it is kept in the outbox, so that adding partitions
 * never splits a run.
 *
 * Sources: Avro 1.11 specification, "Single-object encoding", "Schema Fingerprints" and "Binary
 * Encoding"; org.apache.kafka.common.utils.Utils.murmur2.
 */
#ifndef FX_WIRE_H
#define FX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_SIZE 10
#define WIRE_EVENT_MAX                                                                             \
    4096 /* bytes of one message's value; producers and consumers refuse more                      \
          */

/* CRC-64-AVRO of bytes: the fingerprint of a canonical schema. */
uint64_t wire_fingerprint(const char *bytes, size_t size);

void wire_write_header(uint8_t out[WIRE_HEADER_SIZE], uint64_t fingerprint);

/* false: too short, or not single-object encoding. */
bool wire_read_header(const uint8_t *bytes, size_t size, uint64_t *fingerprint);

/* 0 <= partition < partitions, for partitions >= 1. */
int32_t wire_partition(const char *key, size_t size, int32_t partitions);

/* Zigzag varint of value into out (10 bytes of room). Returns the bytes written. */
size_t wire_write_long(uint8_t *out, int64_t value);

/* 0, 1, 2, 3 stand for 0, -1, 1, -2. */
static inline int64_t wire_unzigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
}

/*
 * A zigzag varint of at most eight bytes, all of them in one little-endian word: seven bits of each
 * are moved together in three steps, without a loop. Returns its size; 0: it is longer, or not in
 * its shortest form.
 */
static inline size_t wire_read_word(uint64_t word, int64_t *value)
{
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);
    if (ends == 0)
        return 0;
    int last = __builtin_ctzll(ends); /* the high bit of the last byte */
    word &= UINT64_MAX >> (63 - last);
    if (last > 7 && word >> (last - 7) == 0)
        return 0;
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    word = (word & UINT64_C(0x0fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    *value = wire_unzigzag(word);
    return (size_t)(last + 1) / 8;
}

/* wire_read_long for a varint of several bytes, or none. */
bool wire_read_long_varint(const uint8_t **at, const uint8_t *end, int64_t *value);

/*
 * Reads a zigzag varint in its shortest form at *at, not beyond end; moves *at behind it.
 * false: it runs past end, has more than 10 bytes, overflows, or is not the shortest form.
 */
static inline bool wire_read_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    const uint8_t *from = *at; /* a copy: at may then live in a register */
    if (from != end && *from < 0x80) {
        *value = wire_unzigzag(*from);
        *at = from + 1;
        return true;
    }
    bool is_read = wire_read_long_varint(&from, end, value);
    *at = from;
    return is_read;
}

#endif

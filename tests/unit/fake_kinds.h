/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kinds - two small kinds of event made up for tests, as files and as a catalog.
 *
 *   bell  one number; fewer fields than a heartbeat
 *   gate  every type of field; a rollup of its own place, and one of the place of origin
 */
#ifndef FX_FAKE_KINDS_H
#define FX_FAKE_KINDS_H

#include "fake_base.h"

#include "../../consumers/catalog.h"

enum { TOPIC_BELL, TOPIC_GATE, TOPICS };

/* Fields behind the envelope. */
enum { BELL_RINGS = ENVELOPE_COUNT };
enum {
    GATE_POST = ENVELOPE_COUNT,
    GATE_LANE,
    GATE_FIRST,
    GATE_PERSONS,
    GATE_ADULTS,
    GATE_CHILDREN,
    GATE_WAIT_S,
    GATE_ORIGIN,
    GATE_FIELDS
};

/* JSON with ' for ", so that it can be read; kinds_write puts the " back. */
#define KINDS_ENVELOPE                                                                             \
    "{'name': 'source', 'type': 'string', 'max_length': 64, 'doc': '数'},"                        \
    "{'name': 'run', 'type': 'long', 'min': 0, 'max': 281474976710655, 'doc': '数'},"             \
    "{'name': 'seq', 'type': 'long', 'min': 1, 'doc': '数'},"                                     \
    "{'name': 'occurred_at', 'type': {'type': 'long', 'logicalType': 'timestamp-millis'},"         \
    " 'doc': '数'},"                                                                              \
    "{'name': 'region', 'type': 'string', 'max_length': 32, 'doc': '数'},"                        \
    "{'name': 'sign', 'type': 'int', 'default': 1, 'min': -1, 'max': 1, 'doc': '数'},"            \
    "{'name': 'reverses_run', 'type': ['null', 'long'], 'default': null, 'min': 0,"                \
    " 'max': 281474976710655, 'doc': '数'},"                                                      \
    "{'name': 'reverses_seq', 'type': ['null', 'long'], 'default': null, 'min': 1, 'doc': '数'}," \
    "{'name': 'counted_at', 'type': ['null', {'type': 'long', 'logicalType': "                     \
    "'timestamp-millis'}],"                                                                        \
    " 'default': null, 'doc': '数'}"

#define KINDS_DOC "'doc': '一种编造的事件 made up for tests'"

static const char kinds_bell[] =
    "{'type': 'record', 'name': 'bell', 'namespace': 'fangxian', " KINDS_DOC ", 'fields': "
    "[" KINDS_ENVELOPE ","
    "{'name': 'rings', 'type': 'int', 'min': 0, 'max': 1000000, 'doc': '数'}]}";

static const char kinds_bell_rollup[] =
    "{'rollup': 'bell', 'by': ['source', 'region'], 'bucket': '1h', 'doc': '数', 'columns': ["
    "{'name': 'rung_times', 'sum': 'rings', 'doc': '数'}]}";

static const char kinds_gate[] =
    "{'type': 'record', 'name': 'gate', 'namespace': 'fangxian', " KINDS_DOC ","
    " 'sums': [{'total': 'persons', 'parts': ['adults', 'children']}], 'fields': [" KINDS_ENVELOPE
    ","
    "{'name': 'post', 'type': {'type': 'enum', 'name': 'gate_post',"
    " 'symbols': ['ROAD', 'VILLAGE', 'STATION']}, 'doc': '数'},"
    "{'name': 'lane', 'type': 'string', 'max_length': 8, 'doc': '数'},"
    "{'name': 'first', 'type': 'boolean', 'doc': '数'},"
    "{'name': 'persons', 'type': 'int', 'min': 0, 'max': 1000000, 'doc': '数'},"
    "{'name': 'adults', 'type': 'int', 'min': 0, 'max': 1000000, 'doc': '数'},"
    "{'name': 'children', 'type': 'int', 'min': 0, 'max': 1000000, 'doc': '数'},"
    "{'name': 'wait_s', 'type': ['null', 'int'], 'default': null, 'min': 0, 'max': 86400,"
    " 'doc': '数'},"
    "{'name': 'origin', 'type': ['null', 'string'], 'default': null, 'max_length': 32,"
    " 'doc': '数'}]}";

static const char kinds_gate_rollup[] =
    "{'rollup': 'gate', 'by': ['source', 'region'], 'bucket': '1h', 'doc': '数',"
    " 'dimensions': ['post', 'lane'], 'columns': ["
    "{'name': 'passed_groups', 'count': true, 'doc': '数'},"
    "{'name': 'passed_persons', 'sum': 'persons', 'doc': '数'},"
    "{'name': 'group_persons_max', 'max': 'persons', 'doc': '数'},"
    "{'name': 'first_groups', 'count': true, 'where': {'first': true}, 'doc': '数'},"
    "{'name': 'wait_s_min', 'min': 'wait_s', 'doc': '数'},"
    "{'name': 'wait_total_s', 'sum': 'wait_s', 'doc': '数'},"
    "{'name': 'unmeasured_groups', 'count': true, 'where': {'wait_s': null}, 'doc': '数'},"
    "{'name': 'fast_groups', 'count': true, 'where': {'lane': ['A', 'AB']}, 'doc': '数'},"
    "{'name': 'slow_groups', 'count': true, 'where': {'lane': {'not': 'A'}}, 'doc': '数'},"
    "{'name': 'local_groups', 'count': true, 'where': {'origin': {'not': 'C2'}}, 'doc': '数'},"
    "{'name': 'small_groups', 'count': true,"
    " 'where': {'persons': [1, 2], 'post': {'not': ['ROAD', 'STATION']}}, 'doc': '数'},"
    "{'name': 'odd_groups', 'count': true, 'where': {'persons': {'not': [2, 4]}}, 'doc': '数'},"
    "{'name': 'middle_groups', 'count': true, 'where': {'wait_s': {'gt': 10, 'lt': 60}},"
    " 'doc': '数'},"
    "{'name': 'within_{}_groups', 'count': true,"
    " 'within': {'wait_s': {'1min': 60, '5min': 300}}, 'doc': '数'},"
    "{'name': 'headcount_persons', 'last': 'adults', 'where': {'post': 'STATION'}, 'doc': '数'}]}";

static const char kinds_origin_rollup[] =
    "{'rollup': 'gate_origin', 'by': ['region'], 'region': 'origin', 'bucket': '15min',"
    " 'doc': '数', 'columns': [{'name': 'passed_persons', 'sum': 'persons', 'doc': '数'}]}";

/* Writes a file of JSON in which ' stands for ". */
static inline void kinds_write(struct scratch *scratch, const char *name, const char *text)
{
    char json[8192];
    snprintf(json, sizeof json, "%s", text);
    for (char *at = json; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    scratch_write(scratch, name, json);
}

/* Writes both kinds and the real heartbeat to a scratch folder and loads it. */
static inline void kinds_open(struct scratch *scratch, struct catalog *catalog)
{
    char text[8192];
    FILE *file = fopen(FX_SCHEMAS_DIR "/heartbeat/1.avsc", "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    scratch_open(scratch);
    scratch_write(scratch, "heartbeat/1.avsc", text);
    kinds_write(scratch, "bell/1.avsc", kinds_bell);
    kinds_write(scratch, "bell/bell.rollup.json", kinds_bell_rollup);
    kinds_write(scratch, "gate/1.avsc", kinds_gate);
    kinds_write(scratch, "gate/gate.rollup.json", kinds_gate_rollup);
    kinds_write(scratch, "gate/gate_origin.rollup.json", kinds_origin_rollup);
    assert_ok(catalog_load(scratch->root, catalog, &err));
    assert_int_equal(catalog->kind_count, TOPICS);
    assert_int_equal(kind_current(&catalog->kinds[TOPIC_GATE].kind)->field_count, GATE_FIELDS);
}

static inline void kinds_close(struct scratch *scratch, struct catalog *catalog)
{
    catalog_release(catalog);
    scratch_close(scratch);
}

#endif

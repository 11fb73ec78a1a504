/* SPDX-License-Identifier: Apache-2.0 */
/*
 * straight_make SCHEMAS - a program of the build: writes C for the kinds in SCHEMAS to stdout. See
 * straight.h. Exit codes as fx-rollup's.
 */
#include "catalog.h"
#include "straight.h"

#include "../common/log.h"

#include <inttypes.h>
#include <stdio.h>

#define DECODERS_MAX 256

/* It looks for functions as fx-rollup does, and finds none. */
const struct straight_decoder straight_decoders[] = {{.run = NULL}};
const struct straight_measure straight_measures[] = {{.run = NULL}};

struct made {
    int decoder_counts[DECODERS_MAX][3];
    int decoder_count;
    int measure_counts[CATALOG_KINDS_MAX * ROLLUP_PER_KIND_MAX][3];
    int measure_count;
};

/* No literal is as low as the lowest number. */
static void put_number(const char *name, int64_t number)
{
    if (number == INT64_MIN)
        printf(".%s = INT64_MIN, ", name);
    else
        printf(".%s = INT64_C(%" PRId64 "), ", name, number);
}

static void put_bits(const char *name, uint64_t bits)
{
    printf(".%s = UINT64_C(0x%" PRIx64 "), ", name, bits);
}

static void put_op(const struct op *op)
{
    printf("    {.kind = %d, .first = %d, .count = %d, .to = %d, .is_name = %d, ", (int)op->kind,
           op->first, op->count, op->to, op->is_name);
    put_number("min", op->min);
    put_number("max", op->max);
    put_bits("mask", op->mask);
    put_bits("limits", op->limits);
    printf("},\n");
}

static void put_decode_function(const struct decoder *decoder, int id)
{
    bool has_rows = true;
    printf("static bool decode_%d(const struct decoder *decoder, const uint8_t *bytes, size_t size,"
           " struct decoded *out)\n{\n    struct reading reading = {bytes, bytes + size};\n"
           "    memcpy(out->is_null, decoder->is_null, %d);\n    if (",
           id, decoder->current->field_count);
    for (int i = 0; i < decoder->op_count; i++)
        printf("%s!decode_op(decoder, &ops_%d[%d], &reading, out)", i == 0 ? "" : " ||\n        ",
               id, i);
    printf(" ||\n        reading.at != reading.end)\n        return false;\n");
    printf("    if (decoder->default_count > 0)\n        decode_fill_defaults(decoder, out);\n");
    for (int i = 0; i < decoder->current->sum_count; i++)
        has_rows &= decoder->sums[i].count > 0;
    if (decoder->current->sum_count > 0)
        printf("    if (out->invalid_field >= 0)\n        return true;\n");
    if (!has_rows)
        printf("    decode_check_sums(decoder, out);\n");
    for (int i = decoder->current->sum_count - 1; has_rows && i >= 0; i--)
        printf("    check_row(&sums_%d[%d], out);\n", id, i);
    printf("    return true;\n}\n\n");
}

static void put_decoder(const struct decoder *decoder, struct made *made)
{
    int id = made->decoder_count++;
    int *counts = made->decoder_counts[id];
    counts[0] = decoder->op_count;
    counts[1] = decoder->current->sum_count;
    counts[2] = decoder->current->field_count;
    printf("static const struct op ops_%d[] = {\n", id);
    for (int i = 0; i < decoder->op_count; i++)
        put_op(&decoder->ops[i]);
    printf("};\nstatic const struct sum_row sums_%d[] = {\n", id);
    for (int i = 0; i < decoder->current->sum_count; i++) {
        const struct sum_row *sum = &decoder->sums[i];
        printf("    {%d, %d, %d, %d},\n", sum->sum, sum->total, sum->first, sum->count);
    }
    printf("    {0, 0, 0, 0},\n};\n\n");
    put_decode_function(decoder, id);
}

static const char *test_name(enum test test)
{
    switch (test) {
    case TEST_SYMBOLS:
        return "test_symbols";
    case TEST_RANGE:
        return "test_range";
    case TEST_IS_NULL:
    case TEST_IS_NOT_NULL:
        return "test_presence";
    case TEST_LIST:
    case TEST_TEXTS:
        break;
    }
    return NULL; /* it needs the condition's values */
}

static void put_measure_function(const struct measure *measure, int id)
{
    printf("static void add_%d(const struct measure *measure, const struct plan_target *target,"
           " struct cell *cell)\n{\n"
           "    const struct decoded *fields = &target->event->fields;\n"
           "    int64_t *slots = cell->slots;\n    int64_t sign = target->sign;\n"
           "    uint64_t missing = UINT64_MAX;\n"
           "    (void)measure, (void)fields, (void)sign;\n",
           id);
    for (int i = 0; i < measure->predicate_count; i++) {
        const char *test = test_name(measure->predicates[i].test);
        if (test != NULL)
            printf("    missing ^= %s(&predicates_%d[%d], fields);\n", test, id, i);
        else
            printf("    missing ^= measure_test(&measure->predicates[%d], fields);\n", i);
    }
    for (int i = 0; i < measure->row_count; i++)
        printf("    add_row(&rows_%d[%d], fields->numbers, sign, slots);\n", id, i);
    for (int i = 0; i < measure->operation_count; i++) {
        if (i < measure->count_count)
            printf("    add_count(&operations_%d[%d], missing, sign, slots);\n", id, i);
        else if (i < measure->count_count + measure->sum_count)
            printf("    add_sum(&operations_%d[%d], missing, sign, fields->numbers, slots);\n", id,
                   i);
        else
            printf("    keep(&operations_%d[%d], missing, target, slots);\n", id, i);
    }
    printf("    (void)missing;\n");
    printf("}\n\n");
}

static void put_measure(const struct measure *measure, struct made *made)
{
    int id = made->measure_count++;
    int *counts = made->measure_counts[id];
    counts[0] = measure->predicate_count;
    counts[1] = measure->row_count;
    counts[2] = measure->operation_count;
    printf("static const struct predicate predicates_%d[] = {\n", id);
    for (int i = 0; i < measure->predicate_count; i++) {
        const struct predicate *one = &measure->predicates[i];
        printf("    {.test = %d, .bit = %d, .is_negated = %d, .field = %d, ", (int)one->test,
               one->bit, one->is_negated, one->field);
        put_bits("mask", one->mask);
        put_number("low", one->low);
        put_number("high", one->high);
        printf("},\n");
    }
    printf("    {.field = 0},\n};\nstatic const struct row rows_%d[] = {\n", id);
    for (int i = 0; i < measure->row_count; i++)
        printf("    {%d, %d, %d},\n", measure->rows[i].field, measure->rows[i].slot,
               measure->rows[i].count);
    printf("    {0, 0, 0},\n};\nstatic const struct operation operations_%d[] = {\n", id);
    for (int i = 0; i < measure->operation_count; i++) {
        const struct operation *one = &measure->operations[i];
        printf("    {.aggregate = %d, .field = %d, .slot = %d, ", (int)one->aggregate, one->field,
               one->slot);
        put_bits("needs", one->needs);
        printf("},\n");
    }
    printf("    {.field = 0},\n};\n\n");
    put_measure_function(measure, id);
}

static enum fx_code make_decoders(const struct kind *kind, struct made *made, struct fx_err *err)
{
    for (int i = 0; i < kind->version_count; i++) {
        struct decoder *decoder;
        if (made->decoder_count == DECODERS_MAX) /* the oldest of so many are walked */
            return FX_OK;
        if (decoder_open(&kind->versions[i], kind_current(kind), &decoder, err) != FX_OK)
            return err->code;
        printf("/* %s, version %d */\n", kind->name, kind->versions[i].version);
        put_decoder(decoder, made);
        decoder_close(decoder);
    }
    return FX_OK;
}

static enum fx_code make_measures(const struct catalog_kind *kind, struct made *made,
                                  struct fx_err *err)
{
    for (int i = 0; i < kind->rollups.count; i++) {
        const struct rollup *rollup = &kind->rollups.rollups[i];
        struct measure *measure;
        if (measure_open(kind_current(&kind->kind), rollup, &measure, err) != FX_OK)
            return err->code;
        printf("/* rollup %s */\n", rollup->name);
        put_measure(measure, made);
        measure_close(measure);
    }
    return FX_OK;
}

static void put_lists(const struct made *made)
{
    printf("const struct straight_decoder straight_decoders[] = {\n");
    for (int i = 0; i < made->decoder_count; i++) {
        const int *counts = made->decoder_counts[i];
        printf("    {ops_%d, %d, sums_%d, %d, %d, decode_%d},\n", i, counts[0], i, counts[1],
               counts[2], i);
    }
    printf("    {.run = NULL},\n};\n\nconst struct straight_measure straight_measures[] = {\n");
    for (int i = 0; i < made->measure_count; i++) {
        const int *counts = made->measure_counts[i];
        printf("    {predicates_%d, %d, rows_%d, %d, operations_%d, %d, add_%d},\n", i, counts[0],
               i, counts[1], i, counts[2], i);
    }
    printf("    {.run = NULL},\n};\n");
}

int main(int argc, char **argv)
{
    static struct catalog catalog;
    static struct made made;
    struct fx_err err = FX_ERR_INIT;
    if (argc != 2)
        fx_err_set(&err, FX_ECONFIG, "one argument is wanted: the folder of schemas");
    else if (catalog_load(argv[1], &catalog, &err) == FX_OK) {
        printf("/* Made by straight_make; see consumers/straight.h. */\n"
               "#include \"decode_walk.h\"\n#include \"straight.h\"\n\n");
        (void)make_decoders(&catalog.heartbeat, &made, &err);
        for (int k = 0; k < catalog.kind_count && err.code == FX_OK; k++)
            if (make_decoders(&catalog.kinds[k].kind, &made, &err) == FX_OK)
                (void)make_measures(&catalog.kinds[k], &made, &err);
        put_lists(&made);
    }
    if (err.code != FX_OK)
        fx_log_err("straight", &err);
    return fx_code_exit_status(err.code);
}

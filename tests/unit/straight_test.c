/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the code made at build time is, and that a measure adds the same without it; decode_test
 * has the same of decoders. */
#include "real_catalog.h"

#include "../../consumers/cells.h"
#include "../../consumers/straight.h"

#define EVENTS 5000 /* of each rollup */
#define NEAR 1000

static void every_rollup_has_code_of_its_own(void **state)
{
    (void)state;
    for (int k = 0; k < catalog.kind_count; k++) {
        const struct catalog_kind *kind = &catalog.kinds[k];
        for (int i = 0; i < kind->rollups.count; i++) {
            struct measure *measure;
            assert_ok(
                measure_open(kind_current(&kind->kind), &kind->rollups.rollups[i], &measure, &err));
            assert_non_null(measure->straight);
            measure_close(measure);
        }
    }
}

/* Any values at all of an event's fields. */
static void draw(const struct schema *schema, struct dice *dice, struct decoded *out)
{
    static const char *const texts[] = {"", "A", "441500", "HOME", "阴性"};
    memset(out, 0, sizeof *out);
    for (int i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        const char *text = field->type == FIELD_STRING ? texts[dice_below(dice, 5)] : "";
        out->texts[i] = (struct decoded_text){text, (uint32_t)strlen(text)};
        out->is_null[i] = field->is_nullable && dice_chance(dice, 30);
        int64_t low = field->min < -NEAR ? -NEAR : field->min;
        int64_t high = field->max > low + NEAR ? low + NEAR : field->max;
        if (field->type != FIELD_STRING && !out->is_null[i])
            out->numbers[i] = dice_between(dice, low, high);
    }
}

static struct cell *open_cell(const struct rollup *rollup, struct cells **cells)
{
    const struct cell_key key = {.region = 0};
    struct cell *cell = NULL;
    assert_ok(cells_open(rollup, 1 << 20, 1, cells, &err));
    assert_ok(cells_find(*cells, &key, &cell, &err));
    return cell;
}

static int slots_of(const struct cells *cells, const struct rollup *rollup)
{
    int last = rollup->column_count - 1;
    return cells_slot(cells, last) + (rollup->columns[last].aggregate == AGGREGATE_LAST ? 4 : 1);
}

static void check_rollup(const struct schema *schema, const struct rollup *rollup)
{
    struct dice dice = {(uint64_t)rollup->column_count};
    struct cells *cells[2];
    struct cell *straight = open_cell(rollup, &cells[0]);
    struct cell *walked = open_cell(rollup, &cells[1]);
    struct measure *measure;
    struct event event = {.run = 7};
    struct plan_target target = {.event = &event};
    assert_ok(measure_open(schema, rollup, &measure, &err));
    straight_measure_add *code = measure->straight;
    size_t size = (size_t)slots_of(cells[0], rollup) * sizeof straight->slots[0];
    for (int i = 0; i < EVENTS; i++) {
        draw(schema, &dice, &event.fields);
        event.seq = i + 1;
        target.counted_ms = dice_below(&dice, 50);
        target.sign = dice_chance(&dice, 80) ? 1 : -1;
        measure->straight = code;
        measure_add(measure, &target, straight);
        measure->straight = NULL;
        measure_add(measure, &target, walked);
        assert_memory_equal(straight->slots, walked->slots, size);
    }
    measure_close(measure);
    cells_close(cells[0]);
    cells_close(cells[1]);
}

static void a_measure_adds_the_same_without_code_of_its_own(void **state)
{
    (void)state;
    for (int k = 0; k < catalog.kind_count; k++) {
        const struct catalog_kind *kind = &catalog.kinds[k];
        for (int i = 0; i < kind->rollups.count; i++)
            check_rollup(kind_current(&kind->kind), &kind->rollups.rollups[i]);
    }
}

/* Tables that differ in anything an op does not walk by itself get no code made for others. */
static void code_of_another_table_is_not_taken(void **state)
{
    (void)state;
    const struct schema *schema = kind_current(&catalog.kinds[0].kind);
    struct decoder *decoder;
    assert_ok(decoder_open(schema, schema, &decoder, &err));
    assert_ptr_equal(straight_find_decode(decoder), decoder->straight);
    decoder->ops[decoder->op_count - 1].max++;
    assert_null(straight_find_decode(decoder));
    decoder->ops[decoder->op_count-- - 1].max--;
    assert_null(straight_find_decode(decoder));
    decoder->op_count++;
    struct schema wider = *schema;
    wider.field_count++;
    decoder->current = &wider;
    assert_null(straight_find_decode(decoder));
    decoder_close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rollup_has_code_of_its_own),
        cmocka_unit_test(a_measure_adds_the_same_without_code_of_its_own),
        cmocka_unit_test(code_of_another_table_is_not_taken),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}

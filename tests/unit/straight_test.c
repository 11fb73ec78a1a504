/* SPDX-License-Identifier: Apache-2.0 */
/* What the code made at build time does is decode_test's and plan_test's; here is whose it is. */
#include "real_catalog.h"

#include "../../consumers/straight.h"

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
        cmocka_unit_test(code_of_another_table_is_not_taken),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}

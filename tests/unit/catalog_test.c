/* SPDX-License-Identifier: Apache-2.0 */
#include "../../consumers/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/fx-catalog-XXXXXX";

static void run(const char *format, ...) FX_PRINTF(1, 2);
static void run(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

/* A fresh copy of the definitions, in which a test edits one file. */
static int copy_schemas(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fx-catalog-XXXXXX");
    assert_non_null(mkdtemp(directory));
    run("cp -r '%s'/. '%s'", FX_SCHEMAS_DIR, directory);
    return 0;
}

static int remove_schemas(void **state)
{
    (void)state;
    run("rm -rf '%s'", directory);
    return 0;
}

static void load(struct catalog *catalog)
{
    struct fx_err err = FX_ERR_INIT;
    if (catalog_load(directory, catalog, &err) != FX_OK)
        fail_msg("%s", err.text);
}

/* The hash after the file was edited with sed. */
static bool changes_hash(const char *file, const char *edit)
{
    struct catalog before;
    struct catalog after;
    load(&before);
    run("sed -i '%s' '%s/%s'", edit, directory, file);
    load(&after);
    bool is_changed = strcmp(before.hash, after.hash) != 0;
    catalog_release(&before);
    catalog_release(&after);
    return is_changed;
}

static void loads_all_kinds_sorted(void **state)
{
    (void)state;
    struct catalog catalog;
    load(&catalog);
    assert_true(catalog.kind_count >= 3);
    for (int i = 1; i < catalog.kind_count; i++)
        assert_true(strcmp(catalog.kinds[i - 1].kind.name, catalog.kinds[i].kind.name) < 0);
    assert_string_equal(catalog.kinds[0].kind.name, "checkpoint");
    assert_int_equal(catalog.kinds[0].rollups.count, 1);
    assert_string_equal(catalog.heartbeat.name, "heartbeat");
    catalog_release(&catalog);
}

static void hash_is_32_hex_digits_and_stable(void **state)
{
    (void)state;
    struct catalog catalog;
    struct catalog again;
    load(&catalog);
    load(&again);
    assert_int_equal(strlen(catalog.hash), 32);
    assert_int_equal(strspn(catalog.hash, "0123456789abcdef"), 32);
    assert_string_equal(catalog.hash, again.hash);
    catalog_release(&catalog);
    catalog_release(&again);
}

static void hash_covers_what_decides_a_figure(void **state)
{
    (void)state;
    assert_true(changes_hash("checkpoint/checkpoint.rollup.json", "s/\"IN\"/\"OUT\"/"));
    assert_true(changes_hash("checkpoint/checkpoint.rollup.json", "s/\"1h\"/\"15min\"/"));
}

static void hash_covers_whether_there_are_totals(void **state)
{
    (void)state;
    assert_false(changes_hash("contact/contact.rollup.json", "s/active_change_/net_change_/"));
    assert_true(changes_hash("contact/contact.rollup.json", "s/net_change_/net_growth_/"));
}

static void hash_leaves_out_docs_and_regions(void **state)
{
    (void)state;
    assert_false(changes_hash("checkpoint/checkpoint.rollup.json", "s/查验批次/批次/"));
    assert_false(changes_hash("regions.csv", "s/汕尾市/汕尾/"));
    assert_false(changes_hash("checkpoint/checkpoint.rollup.json", "s/100.0 \\*/200.0 */"));
}

static void refuses_one_rollup_name_in_two_kinds(void **state)
{
    (void)state;
    run("sed 's/\"rollup\": \"quarantine_origin\"/\"rollup\": \"test_site\"/' "
        "'%s/quarantine/quarantine_origin.rollup.json' > '%s/quarantine/test_site.rollup.json'",
        directory, directory);
    run("rm '%s/quarantine/quarantine_origin.rollup.json'", directory);
    struct catalog catalog;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(catalog_load(directory, &catalog, &err), FX_ECONFIG);
    assert_non_null(strstr(err.text, "test_site"));
    assert_non_null(strstr(err.text, "quarantine"));
}

static void refuses_a_directory_without_kinds(void **state)
{
    (void)state;
    run("rm -rf '%s'/*", directory);
    struct catalog catalog;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(catalog_load(directory, &catalog, &err), FX_ECONFIG);
    assert_non_null(strstr(err.text, directory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_all_kinds_sorted, copy_schemas, remove_schemas),
        cmocka_unit_test_setup_teardown(hash_is_32_hex_digits_and_stable, copy_schemas,
                                        remove_schemas),
        cmocka_unit_test_setup_teardown(hash_covers_what_decides_a_figure, copy_schemas,
                                        remove_schemas),
        cmocka_unit_test_setup_teardown(hash_covers_whether_there_are_totals, copy_schemas,
                                        remove_schemas),
        cmocka_unit_test_setup_teardown(hash_leaves_out_docs_and_regions, copy_schemas,
                                        remove_schemas),
        cmocka_unit_test_setup_teardown(refuses_one_rollup_name_in_two_kinds, copy_schemas,
                                        remove_schemas),
        cmocka_unit_test_setup_teardown(refuses_a_directory_without_kinds, copy_schemas,
                                        remove_schemas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_views.h"

static void a_change_names_its_stock(void **state)
{
    static const struct {
        const char *derived;
        const char *stock; /* NULL: none */
    } cases[] = {
        {"net_change_persons", "census_persons"},
        {"active_change_persons", "active_persons"},
        {"net_change_household_times", "census_household_times"},
        {"turned_back_percent", NULL},
        {"_change_persons", NULL},
        {"net_change_", NULL},
        {"exchange_persons", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[ROLLUP_NAME_MAX] = "";
        bool is_stock = rollup_stock_name(name, cases[i].derived);
        assert_int_equal(is_stock, cases[i].stock != NULL);
        if (is_stock)
            assert_string_equal(name, cases[i].stock);
    }
}

static void stocks_have_a_function(void **state)
{
    (void)state;
    char *text = views_text("quarantine", "quarantine", NULL, false);
    assert_has(text, "CREATE OR REPLACE FUNCTION \"quarantine_stock_at\"(at timestamptz)");
    assert_has(text, "\"census_persons\" bigint, \"headcount_persons\" bigint");
    assert_has(text, "FROM \"quarantine_total_before\"($1) t WHERE t.level <> 'source' GROUP BY");
    assert_has(text, "FROM \"quarantine_last_before\"($1) x JOIN status s ON s.source = x.source");
    assert_has(text, "(s.expected > 0 OR NOT s.is_registered)");
    assert_has(text, "(SELECT bucket_edge('quarantine', $1) AS at OFFSET 0) e CROSS JOIN LATERAL "
                     "stock_status('quarantine', 'p.kind', false, e.at) s)");
    assert_has(text, "WHERE c.source IS NULL AND (n.region IS NOT NULL OR l.ancestor IS NOT NULL)");
    assert_has(text, "CREATE OR REPLACE VIEW \"quarantine_stock\" AS SELECT s.* FROM kind_clock k");
    assert_has(text, "\"quarantine_stock\".\"census_persons\" IS 'stock: running sum of "
                     "net_change_persons 存量(人)'");
    assert_has(text, "COMMENT ON COLUMN \"quarantine_stock\".\"headcount_persons_oldest\" IS");
    assert_has(text, "\"quarantine_stock_at\"(bucket_end('quarantine', coalesce(k.judged_at");
    assert_null(strstr(text, "rooms"));
    free(text);
    text = views_text("quarantine", "quarantine_place", NULL, false);
    assert_has(text, "CREATE OR REPLACE FUNCTION \"quarantine_place_stock_at\"(at timestamptz)");
    assert_has(text, "WHERE x.\"total_rooms\" IS NOT NULL OR x.\"used_rooms\" IS NOT NULL GROUP");
    assert_null(strstr(text, "total_before"));
    free(text);
}

static void a_total_before_is_all_less_what_came_after(void **state)
{
    (void)state;
    char *text = views_text("quarantine", "quarantine", NULL, false);
    assert_has(text, "RETURNS TABLE (level text, region text, source text, \"place\" text, "
                     "\"tier\" text, \"admitted_persons\" bigint, ");
    assert_has(text,
               "SELECT 'town'::text AS level, t.region, NULL::text AS source, t.\"place\", "
               "t.\"tier\", t.first_bucket, t.\"admitted_persons\" AS \"admitted_persons\", ");
    assert_has(text, " FROM \"quarantine_town_total\" t UNION ALL SELECT 'town'::text AS level, ");
    assert_has(text, ", NULL, -t.\"admitted_persons\" AS \"admitted_persons\", ");
    assert_has(text, " FROM \"quarantine_source\" t WHERE t.bucket_start >= (SELECT "
                     "bucket_edge('quarantine', $1)) AND t.bucket_start < 'infinity') t GROUP BY "
                     "t.level, t.region, t.source, t.\"place\", t.\"tier\" HAVING "
                     "min(t.first_bucket) < (SELECT bucket_edge('quarantine', $1)); END");
    free(text);
    text = views_text("quarantine", "quarantine", NULL, true);
    assert_null(strstr(text, "_town_total"));
    assert_has(text, "CASE WHEN count(t.\"admitted_persons\") = count(*) THEN ");
    assert_has(text, " FROM \"quarantine_town\" t WHERE (t.bucket_start < (SELECT "
                     "bucket_edge('quarantine', $1))) IS TRUE UNION ALL ");
    free(text);
    text = views_text("contact", "contact", NULL, false);
    assert_has(text, "SELECT 'town'::text AS level, t.region, t.\"tier\", t.first_bucket, ");
    assert_has(text, ") t GROUP BY t.level, t.region, t.\"tier\" HAVING");
    free(text);
}

static void a_last_value_is_found_where_the_total_says(void **state)
{
    (void)state;
    char *text = views_text("quarantine", "quarantine_place", NULL, false);
    assert_has(text, "SELECT n.source, n.\"place\", l0.value, l0.bucket_start, l1.value, "
                     "l1.bucket_start FROM \"quarantine_place_source_total\" n");
    assert_has(text, "t.\"total_rooms\" IS NOT NULL AND t.bucket_start <= n.\"total_rooms_at\" AND "
                     "t.bucket_start < (SELECT bucket_edge('quarantine_place', $1)) ORDER BY");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_names_its_stock),
        cmocka_unit_test(stocks_have_a_function),
        cmocka_unit_test(a_total_before_is_all_less_what_came_after),
        cmocka_unit_test(a_last_value_is_found_where_the_total_says),
    };
    return cmocka_run_group_tests(tests, load, release);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fake_views - the generated views of the definitions, as text. */
#ifndef FX_FAKE_VIEWS_H
#define FX_FAKE_VIEWS_H

#include "../../consumers/catalog.h"
#include "../../consumers/setup_views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct catalog catalog;

static inline int load(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    if (catalog_load(FX_SCHEMAS_DIR, &catalog, &err) != FX_OK)
        fail_msg("%s", err.text);
    return 0;
}

static inline int release(void **state)
{
    (void)state;
    catalog_release(&catalog);
    return 0;
}

static inline const struct catalog_kind *find_kind(const char *name)
{
    for (int i = 0; i < catalog.kind_count; i++)
        if (strcmp(catalog.kinds[i].kind.name, name) == 0)
            return &catalog.kinds[i];
    fail_msg("no kind %s", name);
    return NULL;
}

static inline const struct rollup *find_rollup(const struct catalog_kind *entry, const char *name)
{
    for (int i = 0; i < entry->rollups.count; i++)
        if (strcmp(entry->rollups.rollups[i].name, name) == 0)
            return &entry->rollups.rollups[i];
    fail_msg("no rollup %s", name);
    return NULL;
}

/* The views of a rollup as one text, statements ended by newlines; the caller frees it. */
static inline char *views_text(const char *kind, const char *rollup, const char *since,
                               bool is_added)
{
    static bool added[ROLLUP_COLUMNS_MAX];
    static int order[VIEWS_COLUMNS_MAX];
    const struct catalog_kind *entry = find_kind(kind);
    memset(added, 0, sizeof added);
    added[0] = is_added;
    for (int i = 0; i < VIEWS_COLUMNS_MAX; i++)
        order[i] = i;
    if (is_added) { /* the first column came last, behind the derived ones */
        const struct rollup *shown = find_rollup(entry, rollup);
        int count = shown->column_count + shown->derived_count;
        for (int i = 0; i < count; i++)
            order[i] = (i + 1) % count;
    }
    struct views_target target = {.schema_name = "s_next",
                                  .topic = "p.kind",
                                  .kind = kind,
                                  .schema = kind_current(&entry->kind),
                                  .rollup = find_rollup(entry, rollup),
                                  .is_added = added,
                                  .order = order,
                                  .since = since};
    struct buf out = BUF_INIT;
    views_append(&out, &target);
    assert_false(out.is_failed);
    for (size_t i = 0; i < out.size; i++)
        if (out.data[i] == '\0')
            out.data[i] = '\n';
    char *text = strdup(buf_text(&out));
    buf_release(&out);
    return text;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in the views", part);
}

#endif

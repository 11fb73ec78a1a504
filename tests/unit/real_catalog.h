/* SPDX-License-Identifier: Apache-2.0 */
/* real_catalog - the kinds of schemas/, for a group of tests. */
#ifndef FX_REAL_CATALOG_H
#define FX_REAL_CATALOG_H

#include "fake_base.h"

#include "../../consumers/catalog.h"

static struct catalog catalog;

static int load_catalog(void **state)
{
    (void)state;
    assert_ok(catalog_load(FX_SCHEMAS_DIR, &catalog, &err));
    return 0;
}

static int release_catalog(void **state)
{
    (void)state;
    catalog_release(&catalog);
    return 0;
}

#endif

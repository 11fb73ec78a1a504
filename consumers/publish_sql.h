/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_sql - a rollup's published tables and what fills them, as SQL text. Pure.
 *
 * It is made from rollup_definition and rollup_column of the schema that counts, so that what is
 * published is what is counted there, whatever definitions lie on the disk of who publishes.
 */
#ifndef FX_PUBLISH_SQL_H
#define FX_PUBLISH_SQL_H

#include "../common/buf.h"
#include "../common/day.h"
#include "setup_views.h"

#define PUBLISH_DENOMINATOR_MIN 8

enum publish_rule { PUBLISH_NOT, PUBLISH_PERSONS, PUBLISH_THINGS, PUBLISH_RATIO };
enum publish_source {
    PUBLISH_SUM,
    PUBLISH_MIN,
    PUBLISH_MAX,
    PUBLISH_STOCK,  /* a column of <rollup>_stock_at */
    PUBLISH_DERIVED /* an expression over the others */
};

struct publish_column {
    char name[ROLLUP_NAME_MAX];
    enum publish_rule rule;
    enum publish_source source;
    const char *sql; /* PUBLISH_DERIVED */
    const char *doc;
    const char *gloss; /* of its unit; set by publish_add_column */
};

/* Texts are borrowed. Columns that are not published are listed too: a ratio may name them. */
struct publish_rollup {
    const char *name;
    const char *doc;
    const char *kind;
    const char *topic;
    const char *dimensions[ROLLUP_DIMENSIONS_MAX]; /* the enums of them */
    const char *dimension_docs[ROLLUP_DIMENSIONS_MAX];
    const char *dimension_symbols[ROLLUP_DIMENSIONS_MAX]; /* "A,B": all that there are */
    int dimension_count;
    bool is_by_region;
    bool is_role;      /* its region is not the source's place */
    bool proves_zeros; /* counted since before the day began */
    struct publish_column columns[VIEWS_COLUMNS_MAX];
    int column_count;
};

struct publish_place {
    const char *schema_name; /* of what was counted */
    const char *published;
    char cut_off[DAY_TEXT_SIZE];
    char starts[DAY_TEXT_SIZE]; /* its day, the beginning of it */
    char day[DAY_TEXT_SIZE];
};

/* What the unit of a column, as rollup_column has it, makes of it. */
enum publish_rule publish_rule_of(const char *unit);

/* Adds the column to those of the rollup. aggregate is rollup_column's; a derived one may add a
 * stock, a ratio or nothing. Ratios come after what they are computed from. false: too many. */
bool publish_add_column(struct publish_rollup *rollup, const struct publish_column *column,
                        const char *aggregate, const char *unit);

/* Whether there is a row per node at all, and one per values of dimensions. */
bool publish_has_totals(const struct publish_rollup *rollup);
bool publish_has_detail(const struct publish_rollup *rollup);

/* The table's name, is_detail: of the one by dimensions. */
void publish_table_name(char out[ROLLUP_NAME_MAX + 8], const struct publish_rollup *rollup,
                        bool is_detail);
bool publish_is_shown(const struct publish_column *column, bool is_detail);

/* CREATE TABLE without its figures, with comments; figures are added with publish_append_column.
 * Statements of a list (setup_sql.h), with the published schema first on search_path. */
void publish_append_table(struct buf *out, const struct publish_rollup *rollup, bool is_detail);
void publish_append_column(struct buf *out, const struct publish_rollup *rollup, bool is_detail,
                           const struct publish_column *column);

/* The column's comment: it ends in its unit. */
void publish_append_doc(struct buf *out, const struct publish_column *column);

/* One statement that writes the rows and answers with (rows, figures withheld). */
void publish_append_insert(struct buf *out, const struct publish_rollup *rollup, bool is_detail,
                           const struct publish_place *place);

#endif

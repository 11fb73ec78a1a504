/* SPDX-License-Identifier: Apache-2.0 */
/* fake_redrive - store_list_rejected over tables in memory. */
#include "fake_world.h"

#include "../../consumers/store_rejected.h"

static int64_t rejected_key(int topic, int32_t partition)
{
    return (int64_t)topic * WORLD_PARTITIONS + partition;
}

/* Whether the row comes behind topic, partition and offset. */
static bool is_behind(const struct flush_rejected *row, int topic, int32_t partition,
                      int64_t offset)
{
    int64_t key = rejected_key(row->topic, row->partition);
    int64_t than = topic < 0 ? -1 : rejected_key(topic, partition);
    return key != than ? key > than : row->offset > offset;
}

/* The first row that list asks for and that lies behind a place; NULL: there is none. */
static const struct flush_rejected *next_rejected(const struct database *db,
                                                  const struct rejected_list *list,
                                                  const struct flush_rejected *after)
{
    const struct flush_rejected *next = NULL;
    int topic = after == NULL ? list->topic : after->topic;
    int32_t partition = after == NULL ? list->partition : after->partition;
    int64_t offset = after == NULL ? list->offset : after->offset;
    for (int i = 0; i < db->rejected_count; i++) {
        const struct flush_rejected *row = &db->rejected[i];
        bool is_asked = (list->reason == REASON_COUNT || row->reason == list->reason) &&
                        row->offset >= 0; /* of a log that is no more */
        if (is_asked && is_behind(row, topic, partition, offset) &&
            (next == NULL || is_behind(next, row->topic, row->partition, row->offset)))
            next = row;
    }
    return next;
}

enum fx_code store_list_rejected(struct store *store, struct rejected_list *list,
                                 struct fx_err *err)
{
    const struct database *db = &store->world->db;
    const struct flush_rejected *row = NULL;
    assert_false(store->is_in_flight);
    list->count = 0;
    if (world_roll(store->world))
        return fx_err_set(err, FX_ERETRY, "rejected: no connection");
    while (list->count < list->rows_max && (row = next_rejected(db, list, row)) != NULL) {
        const struct flush_rejected *first = list->count == 0 ? row : &list->rows[0];
        if (row->topic != first->topic || row->partition != first->partition)
            break;
        const struct db_position *at = &db->positions[part_index(row->topic, row->partition)];
        list->rows[list->count++] = *row;
        list->generation = at->generation;
    }
    return FX_OK;
}

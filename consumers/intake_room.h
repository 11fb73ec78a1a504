/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_room - when a fetcher that may have found its queue full is to be told that there is room.
 *
 * It stops once the queue holds bytes_max of values or messages_max messages, and then sleeps until
 * it is told (intake_wake.h). Whoever takes sees how many messages are left, not their bytes, nor
 * whether the fetcher sleeps. It is told:
 *
 * - when what is left falls below half of what the queue may hold, counted in messages as large as
 *   those just taken: early enough for the next fetch to be there in time;
 * - when nothing is left and half of what it may hold was taken since. Where sizes differ the first
 *   may go wrong; this does not: what the fetcher found full was all taken after it was last told.
 *
 * No call fails, none allocates; a struct belongs to one thread.
 */
#ifndef FX_INTAKE_ROOM_H
#define FX_INTAKE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct intake_room {
    uint64_t messages_max; /* at least 1, as the next */
    uint64_t bytes_max;
    uint64_t half;           /* of what it may hold, in messages of the last size */
    uint64_t taken_messages; /* since it was last told */
    uint64_t taken_bytes;
    bool was_long; /* more than half was left, since then */
};

/* Messages were taken; bytes: of their values. */
void intake_room_take(struct intake_room *room, uint64_t messages, uint64_t bytes);

/* Messages may leave the queue unseen: at the next look it counts as having been long. */
void intake_room_doubt(struct intake_room *room);

/* With so many left, is the fetcher to be told? Then that counts as done. */
bool intake_room_is_due(struct intake_room *room, uint64_t left);

#endif

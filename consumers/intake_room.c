/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_room.h"

#include "../common/err.h"

void intake_room_take(struct intake_room *room, uint64_t messages, uint64_t bytes)
{
    fx_assert(room->messages_max > 0 && room->bytes_max > 0 && messages > 0);
    uint64_t full = room->bytes_max * messages / (bytes > 0 ? bytes : 1);
    room->half = (full < room->messages_max ? full : room->messages_max) / 2;
    room->taken_messages += messages;
    room->taken_bytes += bytes;
}

void intake_room_doubt(struct intake_room *room)
{
    room->was_long = true;
}

bool intake_room_is_due(struct intake_room *room, uint64_t left)
{
    bool was_full =
        room->taken_messages >= room->messages_max / 2 || room->taken_bytes >= room->bytes_max / 2;
    if (left > room->half)
        room->was_long = true;
    else if (room->was_long || (left == 0 && was_full)) {
        room->was_long = false;
        room->taken_messages = room->taken_bytes = 0;
        return true;
    }
    return false;
}

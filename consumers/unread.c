/* SPDX-License-Identifier: Apache-2.0 */
#include "unread.h"

#include "../common/err.h"

/* Asks for the end of a stride from next on, or for the last offset there is. */
static void ask(struct unread *unread, int64_t next, int64_t end)
{
    if (end <= next) {
        *unread = (struct unread){.probe = next}; /* what comes there is another batch */
        return;
    }
    if (unread->stride > end - next)
        unread->stride = end - next;
    unread->probe = next + unread->stride - 1;
}

static void shrink(struct unread *unread)
{
    unread->is_shrinking = unread->stride > 1;
    unread->stride = unread->stride > 1 ? unread->stride / 2 : 1;
}

int64_t unread_failed(struct unread *unread, int64_t next, int64_t base, int64_t end)
{
    fx_assert(next >= 0);
    if (unread->probe < next) /* of earlier trouble: messages came since */
        *unread = (struct unread){0};
    if (unread->stride == 0) {
        unread->stride = 1;
        unread->probe = next;
    }
    if (unread->tries < UNREAD_TRIES && ++unread->tries < UNREAD_TRIES)
        return next - 1;
    if (base > next && unread->probe > next) { /* another batch: what lies before it may be good */
        shrink(unread);
        ask(unread, next, end);
        return next - 1;
    }
    int64_t last = unread->probe;
    if (unread->is_shrinking)
        shrink(unread);
    else
        unread->stride *= 2;
    ask(unread, last + 1, end);
    return last;
}

bool unread_went_too_far(struct unread *unread, int64_t next)
{
    if (unread->stride < 2 || unread->probe <= next)
        return false;
    shrink(unread);
    unread->probe = next + unread->stride - 1;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "decide_state.h"
enum fx_code decide_swap(struct decide *decide, struct fx_err *err)
{
    (void)decide;
    return fx_err_set(err, FX_ECONFIG, "not yet");
}

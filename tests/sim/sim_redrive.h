/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_redrive - rejected events are taken again while workers count.
 *
 * In some worlds causes are mended, and one or two real re-drivers of the live schema run now and
 * then: each is one more thread of control that freezes, is killed and begins again.
 */
#ifndef FX_SIM_REDRIVE_H
#define FX_SIM_REDRIVE_H

#include "sim.h"

bool redrive_happens(uint64_t seed);
bool rebuild_waits(uint64_t seed); /* sim_decide.c: it begins when all else has ended */
void sim_name_schemas(void);       /* sim_decide.c: which is the live one, which a rebuild */

/* A turn of those that are there; perhaps. */
void redrive_some(void);

/* Something else happens to one: it is started, or killed and started again. */
void redrive_disturb(void);

/* kill -9 of all. */
void redrive_kill(void);

/* All is mended and taken again to the end: what is good must have counted then. */
void redrive_rest(void);

/* For sim_turn: the step of the re-driver in that place. */
enum fx_code redrive_turn(int worker, int64_t now_ms, struct fx_err *err);

/* For sim_store: what a transaction settled, for the recount. */
void redrive_note(struct database *db, const struct transaction *flight);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-checkpoint - checks at posts on roads, at stations and at village entrances 卡点查验.
 *
 * The schema says all there is to check: sums of codes, itineraries and outcomes must equal the
 * persons. A post's constants come from options: --set post_type=EXPRESSWAY.
 */
#include "station.h"

int main(int argc, char **argv)
{
    static const struct dialect dialect = {
        .program = "fx-checkpoint",
        .kind = "checkpoint",
        .summary = "Takes a checkpoint's lines, one per vehicle or group on foot, stores each\n"
                   "durably, and sends it to Kafka until it is acknowledged."};
    return station_main(&dialect, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-emit - the producer of any kind, by its schema alone.
 */
#include "station.h"

int main(int argc, char **argv)
{
    static const struct dialect dialect = {
        .program = "fx-emit",
        .summary = "Takes lines of any KIND that has a folder among the schemas, stores each\n"
                   "durably, and sends it to Kafka until it is acknowledged."};
    return station_main(&dialect, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* device - who writes the file that is followed, and rotates it. */
#ifndef FX_POWERCUT_DEVICE_H
#define FX_POWERCUT_DEVICE_H

/* Makes the files and a folder for them under root; sets their part of world. Once. */
void device_open(const char *root);
void device_close(void);

/* The files become what world's disk has now. */
void device_restore(void);

/* The device goes on with the next count lines, now and then in a new file. */
void device_append(int count);

#endif

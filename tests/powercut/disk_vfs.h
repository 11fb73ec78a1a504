/* SPDX-License-Identifier: Apache-2.0 */
/* disk_vfs - the inside of disk.c, for disk_vfs.c alone. */
#ifndef FX_POWERCUT_DISK_VFS_H
#define FX_POWERCUT_DISK_VFS_H

#include "disk.h"

void disk_note(struct disk *disk, const struct disk_op *op, const void *bytes);

#endif

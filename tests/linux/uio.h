/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What <linux/uio_driver.h> has, and the program that opens /dev/uio0: there is one device. As in
 * the kernel, the file outlives the device: then its calls return errors.
 */
#ifndef TESTS_LINUX_UIO_H
#define TESTS_LINUX_UIO_H

#include "tests/linux/host.h"

#define MAX_UIO_MAPS	5
#define UIO_IRQ_NONE	0
#define UIO_IRQ_CUSTOM	-1
#define UIO_MEM_LOGICAL 2
#define UIO_MEM_VIRTUAL 3
typedef int32_t s32;

struct inode;
struct uio_mem {
	const char *name;
	phys_addr_t addr;
	u64 size;
	int memtype;
};
struct uio_info {
	struct uio_device *uio_dev;
	const char *name, *version;
	struct uio_mem mem[MAX_UIO_MAPS];
	long irq;
	int (*open)(struct uio_info *info, struct inode *inode);
	int (*release)(struct uio_info *info, struct inode *inode);
	int (*irqcontrol)(struct uio_info *info, s32 on);
};
int uio_register_device(struct device *parent, struct uio_info *info);
void uio_unregister_device(struct uio_info *info);
void uio_event_notify(struct uio_info *info);

/* ---- the program ---- */

/* What was registered and not unregistered, or NULL. */
struct uio_info *uio_there(void);
/* An open file, or NULL, with *rc = what open(2) returns. */
struct uio_device *uio_open(int *rc);
void uio_close(struct uio_device *file);
/* Waits for an event that this program has not read. Returns 0 or -EIO. */
int uio_read(struct uio_device *file);
bool uio_has_event(struct uio_device *file);
int uio_write(struct uio_device *file, s32 on);
/* The page that an access to a mapping finds; NULL: SIGBUS. */
u8 *uio_fault(struct uio_device *file, u32 map, u64 offset);

#endif

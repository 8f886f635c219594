// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel's layer for user-space I/O, as far as a driver and a program meet there. */
#include "tests/linux/uio.h"

struct uio_device {
	struct uio_info *info; /* NULL: the device has gone */
	struct mutex lock; /* a driver's functions are called with it */
	wait_queue_head_t wait;
	u32 events, seen, holders;
};
static struct uio_device *device;

static void put(struct uio_device *d)
{
	shim_release(d);
	if (__atomic_sub_fetch(&d->holders, 1, __ATOMIC_RELAXED))
		return;
	shim_acquire(d);
	free(d);
}

int uio_register_device(struct device *parent, struct uio_info *info)
{
	struct uio_device *d = calloc(1, sizeof(*d));

	if (device)
		shim_bug("two devices");
	mutex_init(&d->lock);
	init_waitqueue_head(&d->wait);
	d->info = info;
	d->holders = 1;
	info->uio_dev = d;
	device = d;
	return 0;
}

void uio_unregister_device(struct uio_info *info)
{
	struct uio_device *d = info->uio_dev;

	mutex_lock(&d->lock);
	d->info = NULL;
	device = NULL;
	mutex_unlock(&d->lock);
	wake_up_all(&d->wait);
	put(d);
}

void uio_event_notify(struct uio_info *info)
{
	__atomic_fetch_add(&info->uio_dev->events, 1, __ATOMIC_SEQ_CST);
	wake_up_all(&info->uio_dev->wait);
}

struct uio_info *uio_there(void)
{
	return device ? device->info : NULL;
}

struct uio_device *uio_open(int *rc)
{
	struct uio_device *d = device;

	*rc = -ENODEV;
	if (!d)
		return NULL;
	__atomic_fetch_add(&d->holders, 1, __ATOMIC_RELAXED);
	mutex_lock(&d->lock);
	if (d->info)
		*rc = d->info->open(d->info, NULL);
	d->seen = d->events;
	mutex_unlock(&d->lock);
	if (!*rc)
		return d;
	put(d);
	return NULL;
}

void uio_close(struct uio_device *d)
{
	mutex_lock(&d->lock);
	if (d->info)
		d->info->release(d->info, NULL);
	mutex_unlock(&d->lock);
	put(d);
}

bool uio_has_event(struct uio_device *d)
{
	return READ_ONCE(d->events) != d->seen;
}

static bool is_dead(struct uio_device *d)
{
	bool dead;

	mutex_lock(&d->lock);
	dead = !d->info || READ_ONCE(d->info->irq) == UIO_IRQ_NONE;
	mutex_unlock(&d->lock);
	return dead;
}

int uio_read(struct uio_device *d)
{
	while (!is_dead(d)) {
		if (uio_has_event(d)) {
			d->seen = READ_ONCE(d->events);
			return 0;
		}
		wait_event(d->wait, uio_has_event(d) || !READ_ONCE(d->info));
	}
	return -EIO;
}

int uio_write(struct uio_device *d, s32 on)
{
	int rc = -EIO;

	mutex_lock(&d->lock);
	if (d->info && READ_ONCE(d->info->irq) != UIO_IRQ_NONE)
		rc = d->info->irqcontrol(d->info, on);
	mutex_unlock(&d->lock);
	return rc;
}

static bool is_freed(const u8 *page)
{
	u32 i = 0;

	while (i < PAGE_SIZE && page[i] == HOST_FREED)
		i++;
	return i == PAGE_SIZE;
}

u8 *uio_fault(struct uio_device *d, u32 map, u64 offset)
{
	u8 *at = NULL;

	mutex_lock(&d->lock);
	if (d->info && offset < d->info->mem[map].size)
		at = (u8 *)(uintptr_t)(d->info->mem[map].addr + offset);
	if (at && is_freed(at))
		shim_bug("a mapping of memory that was freed");
	mutex_unlock(&d->lock);
	return at;
}

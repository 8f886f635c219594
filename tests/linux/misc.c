// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Character devices, by name, for the tests of ports/linux/services*.c. */
#include "tests/linux/misc.h"

static struct miscdevice *devices;

int misc_register(struct miscdevice *misc)
{
	for (struct miscdevice *at = devices; at; at = at->next)
		if (strcmp(at->name, misc->name) == 0)
			return -EEXIST;
	misc->next = devices;
	devices = misc;
	return 0;
}

void misc_deregister(struct miscdevice *misc)
{
	struct miscdevice **at = &devices;

	while (*at != misc)
		at = &(*at)->next;
	*at = misc->next;
}

struct file *misc_open(const char *name)
{
	struct miscdevice *at = devices;
	struct inode inode = { 0 };
	struct file *f;

	while (at && strcmp(at->name, name) != 0)
		at = at->next;
	if (!at)
		return NULL;
	f = calloc(1, sizeof(*f));
	f->private_data = at;
	f->ops = at->fops;
	if (at->fops->open(&inode, f) == 0)
		return f;
	free(f);
	return NULL;
}

ssize_t misc_write(struct file *f, const void *from, size_t len)
{
	loff_t offset = 0;

	return f->ops->write(f, from, len, &offset);
}

ssize_t misc_read(struct file *f, void *to, size_t room)
{
	loff_t offset = 0;

	return f->ops->read(f, to, room, &offset);
}

__poll_t misc_poll(struct file *f)
{
	return f->ops->poll(f, NULL);
}

void misc_close(struct file *f)
{
	struct inode inode = { 0 };

	f->ops->release(&inode, f);
	free(f);
}

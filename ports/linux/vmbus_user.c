// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel whose rings a program has mapped: it writes and reads them itself, and the kernel only
 * carries the doorbells. This file gives such a driver the memory, and the channel's folder in
 * sysfs the file "ring", by which sub-channels are mapped.
 */
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include "ports/linux/vmbus_internal.h"

/* ---- memory ---- */

void *vmb_channel_memory(const struct vmb_channel *ch)
{
	return ch->ring_memory;
}
EXPORT_SYMBOL_GPL(vmb_channel_memory);

void *vmb_bus_interrupt_page(void)
{
	return vmbus.interrupt_page;
}
EXPORT_SYMBOL_GPL(vmb_bus_interrupt_page);

void *vmb_bus_monitor_page(void)
{
	return vmbus.monitor_pages[1];
}
EXPORT_SYMBOL_GPL(vmb_bus_monitor_page);

/* ---- the file "ring" ---- */

/* The mapping holds its pages, so it may outlast the channel. */
static int map_pages(struct vm_area_struct *vma, u8 *memory, unsigned long count)
{
	unsigned long i;
	int rc = 0;

	for (i = 0; i < count && !rc; i++)
		rc = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				    vmalloc_to_page(memory + i * PAGE_SIZE));
	return rc;
}

static int map_rings(struct vmb_channel *ch, struct vm_area_struct *vma)
{
	unsigned long count = vma_pages(vma), most;

	if (!ch->rings)
		return -ENODEV;
	most = ch->rings->page_count;
	if (vma->vm_pgoff >= most || count > most - vma->vm_pgoff)
		return -EINVAL;
	return map_pages(vma, ch->ring_memory + vma->vm_pgoff * PAGE_SIZE, count);
}

static int map_file(struct file *file, struct kobject *kobj, RING_ATTRIBUTE *attr,
		    struct vm_area_struct *vma)
{
	struct vmb_channel *ch = container_of(kobj, struct vmb_channel, kobj);
	int rc;

	mutex_lock(&ch->mutex);
	rc = map_rings(ch, vma);
	mutex_unlock(&ch->mutex);
	return rc;
}

/* Where the folder is not there yet, who makes it calls this again. */
void vmbus_user_show_ring(struct vmb_channel *ch)
{
	mutex_lock(&ch->mutex);
	if (ch->ring_file.size && !ch->ring_shown && ch->kobj.state_in_sysfs)
		ch->ring_shown = !sysfs_create_bin_file(&ch->kobj, &ch->ring_file);
	mutex_unlock(&ch->mutex);
}

void vmb_channel_show_ring(struct vmb_channel *ch, u32 ring_len)
{
	mutex_lock(&ch->mutex);
	sysfs_bin_attr_init(&ch->ring_file);
	ch->ring_file.attr.name = "ring";
	ch->ring_file.attr.mode = 0600;
	ch->ring_file.size = 2 * (size_t)ring_len;
	ch->ring_file.mmap = map_file;
	mutex_unlock(&ch->mutex);
	vmbus_user_show_ring(ch);
}
EXPORT_SYMBOL_GPL(vmb_channel_show_ring);

/* Without the mutex: this waits for whoever is in map_file(). */
void vmb_channel_hide_ring(struct vmb_channel *ch)
{
	bool shown;

	mutex_lock(&ch->mutex);
	shown = ch->ring_shown;
	ch->ring_shown = false;
	ch->ring_file.size = 0;
	mutex_unlock(&ch->mutex);
	if (shown)
		sysfs_remove_bin_file(&ch->kobj, &ch->ring_file);
}
EXPORT_SYMBOL_GPL(vmb_channel_hide_ring);

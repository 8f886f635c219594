// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvuio.ko: gives a device of the bus to a program, by the ABI of the kernel's own uio_hv_generic:
 * docs/protocol/uio.md. It knows no class of devices; the user names one (new_id), or a device
 * (driver_override). A network card then gets two buffers that the host is told about, for DPDK.
 *
 *   probe         buffers, shared with the host; /dev/uioN
 *   first open    the channel is opened; its rings can be mapped
 *   last close    the channel is closed. A mapping keeps the file open
 *   remove        also under a program that has it open: the file returns errors from then on, and
 *                 what is mapped stays the program's memory, which the host has let go of
 */
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uio_driver.h>
#include <linux/vmalloc.h>
#include "ports/linux/vmbus.h"

#define RING_LEN    (2u << 20)
#define RECEIVE_LEN (31u << 20)
#define SEND_LEN    (16u << 20)

/* The program knows the maps by these numbers. */
enum { RINGS, INTERRUPT_PAGE, MONITOR_PAGE, RECEIVE_BUFFER, SEND_BUFFER };

struct buffer {
	void *memory;
	u32 len;
	struct vmb_share *share;
	char name[24]; /* of the map; it has the GPADL's id, which the program tells the host */
};

struct hvuio {
	struct uio_info info;
	struct vmb_device *device;
	struct mutex lock; /* also while the host is asked */
	u32 opens;
	bool gone; /* info is about to end: nobody is told any more */
	struct work_struct notify;
	struct buffer receive, send;
};

static unsigned int ring_size = RING_LEN;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "bytes of each of a channel's two rings (default: 2 MiB)");

static unsigned int receive_size = RECEIVE_LEN;
module_param(receive_size, uint, 0444);
MODULE_PARM_DESC(receive_size, "bytes of a card's receive buffer (default: 31 MiB)");

static unsigned int send_size = SEND_LEN;
module_param(send_size, uint, 0444);
MODULE_PARM_DESC(send_size, "bytes of a card's send buffer (default: 16 MiB)");

/* ---- doorbells ---- */

/* Not in the doorbell, which may be a hard interrupt: with PREEMPT_RT waking sleeps there. */
static void notify(struct work_struct *work)
{
	struct hvuio *uio = container_of(work, struct hvuio, notify);

	mutex_lock(&uio->lock);
	if (!uio->gone)
		uio_event_notify(&uio->info);
	mutex_unlock(&uio->lock);
}

static void doorbell(struct vmb_channel *ch)
{
	struct hvuio *uio = vmb_channel_context(ch);

	vmb_channel_hush(ch);
	schedule_work(&uio->notify);
}

/* ---- channels ---- */

static void sub_channel(struct vmb_channel *primary, struct vmb_channel *sub);

static const struct vmb_channel_ops channel_ops = {
	.doorbell = doorbell,
	.sub_channel = sub_channel,
};

/* Until the program asks for them there are no interrupts. */
static int open_channel(struct hvuio *uio, struct vmb_channel *ch)
{
	int rc = vmb_channel_open(ch, ring_size, &channel_ops, uio);

	if (!rc)
		vmb_channel_hush(ch);
	return rc;
}

/* Takes no lock: who closes the primary waits for this, with ours. */
static void sub_channel(struct vmb_channel *primary, struct vmb_channel *sub)
{
	struct hvuio *uio = vmb_channel_context(primary);
	int rc = open_channel(uio, sub);

	if (!rc)
		vmb_channel_show_ring(sub, ring_size);
	else
		dev_warn(&uio->device->dev, "sub-channel %u does not open: error %d\n",
			 vmb_channel_index(sub), rc);
}

/* ---- the file ---- */

static struct hvuio *hvuio_of(struct uio_info *info)
{
	return container_of(info, struct hvuio, info);
}

static int open_first(struct hvuio *uio)
{
	int rc = open_channel(uio, uio->device->channel);

	if (!rc)
		uio->info.mem[RINGS].addr = (uintptr_t)vmb_channel_memory(uio->device->channel);
	return rc;
}

static int open_file(struct uio_info *info, struct inode *inode)
{
	struct hvuio *uio = hvuio_of(info);
	int rc;

	mutex_lock(&uio->lock);
	rc = uio->opens ? 0 : open_first(uio);
	uio->opens += !rc;
	mutex_unlock(&uio->lock);
	return rc;
}

/* Nobody has the rings mapped from /dev/uioN any more. */
static int close_file(struct uio_info *info, struct inode *inode)
{
	struct hvuio *uio = hvuio_of(info);

	mutex_lock(&uio->lock);
	if (!--uio->opens) {
		uio->info.mem[RINGS].addr = 0;
		vmb_channel_close(uio->device->channel);
	}
	mutex_unlock(&uio->lock);
	return 0;
}

/*
 * The program wants to hear of packets. Without a monitor id it could not signal the host for what
 * it has written: that is done here, too.
 */
static void listen(struct hvuio *uio, struct vmb_channel *ch)
{
	if (vmb_channel_listen(ch))
		schedule_work(&uio->notify);
	if (!vmb_channel_monitored(ch))
		vmb_channel_signal(ch);
}

/* Who has the file open calls this, so the channel is open. */
static int control(struct uio_info *info, s32 on)
{
	struct hvuio *uio = hvuio_of(info);

	if (on)
		listen(uio, uio->device->channel);
	else
		vmb_channel_hush(uio->device->channel);
	return 0;
}

/* ---- buffers ---- */

static int make_buffer(struct hvuio *uio, struct buffer *b, u32 len, const char *name)
{
	int rc;

	b->len = len;
	b->memory = vzalloc(len);
	if (!b->memory)
		return -ENOMEM;
	rc = vmb_channel_share(uio->device->channel, b->memory, len, &b->share);
	if (rc) {
		if (rc != -ETIMEDOUT)
			vfree(b->memory);
		b->memory = NULL;
		return rc;
	}
	snprintf(b->name, sizeof(b->name), "%s:%u", name, vmb_share_id(b->share));
	return 0;
}

static bool is_card(const struct vmb_device *device)
{
	static const struct vmb_guid card = VMB_GUID_NETWORK;

	return vmb_guid_equal(&device->type_id, &card);
}

static int make_buffers(struct hvuio *uio)
{
	int rc;

	if (!is_card(uio->device))
		return 0;
	rc = make_buffer(uio, &uio->receive, receive_size, "recv");
	if (!rc)
		rc = make_buffer(uio, &uio->send, send_size, "send");
	return rc;
}

/* What the host keeps is lost, because it may write to it. */
static void free_buffer(struct buffer *b, bool closed)
{
	int rc = vmb_channel_unshare(b->share);

	if (!rc && closed)
		vfree(b->memory);
}

/* Hosts before 4.0 must be asked before the channel goes, and answer when it has gone. */
static void end_channel(struct hvuio *uio)
{
	struct vmb_channel *ch = uio->device->channel;
	bool closed;

	if (vmb_bus_version() < VMB_VERSION_4_0) {
		vmb_channel_unshare_begin(uio->receive.share);
		vmb_channel_unshare_begin(uio->send.share);
	}
	closed = !vmb_channel_close(ch);
	free_buffer(&uio->receive, closed);
	free_buffer(&uio->send, closed);
}

/* ---- life ---- */

static void describe(struct uio_mem *mem, const char *name, const void *at, u32 len, int kind)
{
	mem->name = name;
	mem->addr = (uintptr_t)at;
	mem->size = len;
	mem->memtype = kind;
}

static void describe_all(struct hvuio *uio)
{
	struct uio_mem *mem = uio->info.mem;

	uio->info.name = "uio_hv_generic"; /* programs ask for it */
	uio->info.version = "1";
	uio->info.irq = UIO_IRQ_CUSTOM;
	uio->info.open = open_file;
	uio->info.release = close_file;
	uio->info.irqcontrol = control;
	describe(&mem[RINGS], "txrx_rings", NULL, 2 * ring_size, UIO_MEM_VIRTUAL);
	describe(&mem[INTERRUPT_PAGE], "int_page", vmb_bus_interrupt_page(), VMB_PAGE_LEN,
		 UIO_MEM_LOGICAL);
	describe(&mem[MONITOR_PAGE], "monitor_page", vmb_bus_monitor_page(), VMB_PAGE_LEN,
		 UIO_MEM_LOGICAL);
	if (!uio->send.memory)
		return;
	describe(&mem[RECEIVE_BUFFER], uio->receive.name, uio->receive.memory, uio->receive.len,
		 UIO_MEM_VIRTUAL);
	describe(&mem[SEND_BUFFER], uio->send.name, uio->send.memory, uio->send.len,
		 UIO_MEM_VIRTUAL);
}

static int start(struct hvuio *uio)
{
	int rc = make_buffers(uio);

	if (!rc) {
		describe_all(uio);
		rc = uio_register_device(&uio->device->dev, &uio->info);
	}
	if (rc)
		end_channel(uio);
	else
		vmb_channel_show_ring(uio->device->channel, ring_size);
	return rc;
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct hvuio *uio = kzalloc(sizeof(*uio), GFP_KERNEL);
	int rc;

	if (!uio)
		return -ENOMEM;
	uio->device = device;
	mutex_init(&uio->lock);
	INIT_WORK(&uio->notify, notify);
	rc = start(uio);
	if (rc)
		kfree(uio);
	else
		device->data = uio;
	return rc;
}

/*
 * The file first: until that has ended, a program finds the pages of its mappings through info, and
 * may open and close the channel. A doorbell that still comes tells nobody.
 */
static void remove(struct vmb_device *device)
{
	struct hvuio *uio = device->data;

	mutex_lock(&uio->lock);
	uio->gone = true;
	mutex_unlock(&uio->lock);
	vmb_channel_hide_ring(device->channel);
	uio_unregister_device(&uio->info);
	end_channel(uio);
	cancel_work_sync(&uio->notify);
	kfree(uio);
}

/* A program has the rings, so it cannot be made to stop: hibernation fails. */
static const struct hv_vmbus_device_id ids[] = { {} };

static struct vmb_driver hvuio_driver = {
	.id_table = ids,
	.probe = probe,
	.remove = remove,
};

/* Programs and their manuals know the kernel's own by its name. */
static char *name = "hvuio";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "the driver's name in sysfs: hvuio (default) or uio_hv_generic");

static bool size_is_good(const char *parameter, unsigned int size, unsigned int most)
{
	bool good = size >= 2 * VMB_PAGE_LEN && size % VMB_PAGE_LEN == 0 && size <= most;

	if (!good)
		pr_err("hvuio: %s=%u: give a multiple of %u, from %u to %u\n", parameter, size,
		       VMB_PAGE_LEN, 2 * VMB_PAGE_LEN, most);
	return good;
}

static int __init hvuio_init(void)
{
	if (strcmp(name, "hvuio") && strcmp(name, "uio_hv_generic")) {
		pr_err("hvuio: name=%s: there are hvuio and uio_hv_generic\n", name);
		return -EINVAL;
	}
	if (!size_is_good("ring_size", ring_size, VMB_SHARE_LEN_MAX / 2) ||
	    !size_is_good("receive_size", receive_size, VMB_SHARE_LEN_MAX) ||
	    !size_is_good("send_size", send_size, VMB_SHARE_LEN_MAX))
		return -EINVAL;
	hvuio_driver.driver.name = name;
	return vmb_driver_register(&hvuio_driver);
}

static void __exit hvuio_exit(void)
{
	vmb_driver_unregister(&hvuio_driver);
}

module_init(hvuio_init);
module_exit(hvuio_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V devices for programs, as DPDK");

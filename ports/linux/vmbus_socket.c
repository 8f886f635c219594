// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections (hv_sock) between the message engine and their driver. They are channels without a
 * device: thousands may come and go, and sysfs need not see them.
 */
#include "ports/linux/vmbus_internal.h"

static const struct vmb_socket_ops *driver; /* vmbus.lock */

/* Its end: nobody has it, and the host has taken it back. vmbus.lock */
static void end(struct vmb_channel *ch)
{
	if (ch->taken || ch->removing || !ch->core.rescinded)
		return;
	ch->removing = true;
	/* Not device work, which may wait for a disk. */
	queue_work(vmbus.sub_queue, &ch->remove_work);
}

void vmbus_socket_offered(struct vmb_channel *ch, const struct vmb_guest_event *event)
{
	struct vmb_guest_socket about;

	ch->socket = true;
	/* Without a driver nobody dials, so there is no dial to be answered. */
	ch->taken = driver && vmb_guest_socket_read(&event->offer, &about) &&
		    driver->offered(ch, &about, event->dial);
}

void vmbus_socket_rescinded(struct vmb_channel *ch)
{
	end(ch);
}

void vmbus_socket_refused(const struct vmb_guest_event *event)
{
	driver->refused(event->dial);
}

bool vmbus_socket_any(void)
{
	const struct vmb_channel *ch;

	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->socket)
			return true;
	return false;
}

int vmb_socket_register(const struct vmb_socket_ops *ops)
{
	int rc = -EBUSY;

	mutex_lock(&vmbus.lock);
	if (!driver) {
		driver = ops;
		rc = 0;
	}
	mutex_unlock(&vmbus.lock);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_socket_register);

void vmb_socket_unregister(void)
{
	mutex_lock(&vmbus.lock);
	driver = NULL;
	mutex_unlock(&vmbus.lock);
}
EXPORT_SYMBOL_GPL(vmb_socket_unregister);

int vmb_socket_dial(struct vmb_guest_dial *dial)
{
	int rc;

	mutex_lock(&vmbus.lock);
	rc = vmb_guest_socket_dial(&vmbus.connect, dial);
	mutex_unlock(&vmbus.lock);
	if (!rc)
		vmbus_connect_send();
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_socket_dial);

bool vmb_socket_hang_up(struct vmb_guest_dial *dial)
{
	bool waited;

	mutex_lock(&vmbus.lock);
	waited = vmb_guest_socket_hang_up(&vmbus.connect, dial);
	mutex_unlock(&vmbus.lock);
	return waited;
}
EXPORT_SYMBOL_GPL(vmb_socket_hang_up);

void vmb_socket_release(struct vmb_channel *ch)
{
	vmb_channel_close(ch);
	mutex_lock(&vmbus.lock);
	ch->taken = false;
	end(ch);
	mutex_unlock(&vmbus.lock);
}
EXPORT_SYMBOL_GPL(vmb_socket_release);

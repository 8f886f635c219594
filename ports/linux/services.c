// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvutils.ko: the integration services of a guest. This file has what they share, their channels
 * and negotiations, and the two that need no more: heartbeat and shutdown.
 */
#include <linux/moduleparam.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include "ports/linux/services.h"

#define RING_LEN (5 * VMB_PAGE_LEN) /* each way: a control page, and room for two messages */

static bool shutdown = true;
module_param(shutdown, bool, 0644);
MODULE_PARM_DESC(shutdown, "Power off or restart when the host asks for it (Y)");

static bool heartbeat = true;
module_param(heartbeat, bool, 0644);
MODULE_PARM_DESC(heartbeat, "Tell the host that this guest is alive (Y)");

/* ---- shutdown ---- */

/* User space has its say; if it has no program for that, the kernel does it. */
static void end_system(struct work_struct *work)
{
	struct service *s = container_of(work, struct service, work);

	if (READ_ONCE(s->wish) == VMB_IC_SHUTDOWN_RESTART)
		orderly_reboot();
	else
		orderly_poweroff(true);
}

static int start_shutdown(struct service *s)
{
	INIT_WORK(&s->work, end_system);
	return 0;
}

static int take_shutdown(struct service *s, struct vmb_guest_ic_request *request, u32 *status)
{
	int wish = vmb_guest_ic_shutdown(request);

	if (wish == VMB_EPROTO)
		return wish;
	if (wish != VMB_IC_SHUTDOWN_OFF && wish != VMB_IC_SHUTDOWN_RESTART)
		wish = -EOPNOTSUPP; /* there is no hibernation */
	WRITE_ONCE(s->wish, wish);
	*status = wish < 0 ? VMB_IC_FAIL : VMB_IC_OK;
	return 0;
}

/* The host must have its answer before the channels go. */
static void shutdown_answered(struct service *s)
{
	if (s->wish < 0)
		return;
	pr_info("the host asks for a %s\n",
		s->wish == VMB_IC_SHUTDOWN_RESTART ? "restart" : "power-off");
	schedule_work(&s->work);
}

const struct service_kind service_shutdown = {
	.type = VMB_IC_SHUTDOWN,
	.enabled = &shutdown,
	.start = start_shutdown,
	.take = take_shutdown,
	.answered = shutdown_answered,
};

/* ---- heartbeat ---- */

static int take_heartbeat(struct service *s, struct vmb_guest_ic_request *request, u32 *status)
{
	*status = VMB_IC_OK;
	return vmb_guest_ic_beat(request);
}

const struct service_kind service_heartbeat = {
	.type = VMB_IC_HEARTBEAT,
	.enabled = &heartbeat,
	.take = take_heartbeat,
};

/* ---- what they share ---- */

static void send_answer(struct service *s)
{
	const struct vmb_ring_part part = { s->packet, s->len };
	const struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND,
		.transaction_id = s->transaction_id,
		.payload = &part,
		.payload_count = 1,
	};

	/* No room: a host that asks again before it reads answers gets none. */
	vmb_channel_send(s->device->channel, &packet);
}

void service_answer(struct service *s, u32 status)
{
	spin_lock_bh(&s->lock);
	if (s->pending) {
		vmb_guest_ic_answer(s->packet, status);
		send_answer(s);
	}
	s->pending = false;
	spin_unlock_bh(&s->lock);
}

/* A service that was switched off since refuses what it is asked. */
static void take_request(struct service *s)
{
	bool enabled = READ_ONCE(*s->kind->enabled);
	u32 status = VMB_IC_FAIL;
	int rc = enabled ? s->kind->take(s, &s->request, &status) : 0;

	s->pending = rc == SERVICE_LATER;
	if (rc)
		return;
	vmb_guest_ic_answer(s->packet, status);
	send_answer(s);
	if (enabled && s->kind->answered)
		s->kind->answered(s);
}

static void take_packet(struct service *s, const struct vmb_ring_received *received)
{
	u32 at = sizeof(struct vmb_pkt_desc) + received->header_len;
	int step;

	if (s->pending || received->type != VMB_PKT_INBAND ||
	    received->payload_len > sizeof(s->packet) ||
	    !vmb_channel_copy(s->device->channel, received, at, s->packet, received->payload_len))
		return;
	s->len = received->payload_len;
	s->transaction_id = received->transaction_id;
	step = vmb_guest_ic_input(&s->ic, s->packet, s->len, &s->request);
	if (step == VMB_GUEST_IC_REPLY)
		send_answer(s);
	else if (step == VMB_GUEST_IC_REQUEST)
		take_request(s);
}

static void on_packet(struct vmb_channel *ch, const struct vmb_ring_received *received)
{
	struct service *s = vmb_channel_context(ch);

	spin_lock_bh(&s->lock);
	take_packet(s, received);
	spin_unlock_bh(&s->lock);
}

static const struct vmb_channel_ops channel_ops = { .packet = on_packet };

static int open_channel(struct service *s)
{
	vmb_guest_ic_init(&s->ic, s->kind->type);
	return vmb_channel_open(s->device->channel, RING_LEN, &channel_ops, s);
}

static int begin(struct service *s)
{
	int rc = s->kind->start ? s->kind->start(s) : 0;

	if (rc)
		return rc;
	rc = open_channel(s);
	if (rc && s->kind->stop)
		s->kind->stop(s);
	return rc;
}

static void do_nothing(struct work_struct *work)
{
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	const struct service_kind *kind = id ? (const void *)id->driver_data : NULL;
	struct service *s;
	int rc;

	if (!kind || !*kind->enabled)
		return -ENODEV;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->device = device;
	INIT_WORK(&s->work, do_nothing);
	spin_lock_init(&s->lock);
	device->data = s;
	rc = begin(s);
	if (rc)
		kfree(s);
	return rc;
}

/* The channel first: nothing schedules the work any more. */
static void remove(struct vmb_device *device)
{
	struct service *s = device->data;

	vmb_channel_close(device->channel);
	cancel_work_sync(&s->work);
	if (s->kind->stop)
		s->kind->stop(s);
	kfree(s);
}

/* What the host asked before is forgotten: it asks again. */
static int suspend(struct vmb_device *device)
{
	struct service *s = device->data;

	vmb_channel_close(device->channel);
	if (s->kind->daemon)
		daemon_forget_request(s);
	spin_lock_bh(&s->lock);
	s->pending = false;
	spin_unlock_bh(&s->lock);
	return 0;
}

static int resume(struct vmb_device *device)
{
	return open_channel(device->data);
}

/* What a service is called here and in the protocol. */
#define SERVICE(kind, type)                                            \
	{                                                              \
		.guid = type, .driver_data = (kernel_ulong_t) & (kind) \
	}

static const struct hv_vmbus_device_id ids[] = {
	SERVICE(service_shutdown, VMB_GUID_SHUTDOWN),
	SERVICE(service_time, VMB_GUID_TIME),
	SERVICE(service_heartbeat, VMB_GUID_HEARTBEAT),
	SERVICE(service_kvp, VMB_GUID_KVP),
	SERVICE(service_backup, VMB_GUID_BACKUP),
	SERVICE(service_copy, VMB_GUID_COPY),
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver hvutils_driver = {
	.driver = {
		.name = "hvutils",
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
};

static int __init hvutils_init(void)
{
	return vmb_driver_register(&hvutils_driver);
}

static void __exit hvutils_exit(void)
{
	vmb_driver_unregister(&hvutils_driver);
}

module_init(hvutils_init);
module_exit(hvutils_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V integration services");

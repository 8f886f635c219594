// SPDX-License-Identifier: GPL-2.0-only
/*
 * The message engine's surroundings: its lock, its sender, and what its events mean here.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>
#include "ports/linux/vmbus_internal.h"
#include "ports/linux/vmbus_trace.h"

#define DELAY_MIN_US	100
#define DELAY_MAX_US	100000
#define UNLOAD_WAIT_OLD (5 * HZ)

struct vmbus vmbus = {
	.lock = __MUTEX_INITIALIZER(vmbus.lock),
	.channels = LIST_HEAD_INIT(vmbus.channels),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(vmbus.wait),
};

/* for the send work only; a whole page, so that it does not cross a page boundary */
static struct vmb_synic_post *post;
static bool stop_sending;

void vmbus_connect_send(void)
{
	queue_work(vmbus.send_queue, &vmbus.send_work);
}

static bool next_post(void)
{
	const struct vmb_guest_connect_output *out;

	mutex_lock(&vmbus.lock);
	out = vmb_guest_connect_output(&vmbus.connect);
	if (out) {
		memset(post, 0, sizeof(*post));
		post->connection_id = out->connection_id;
		post->type = VMB_SYNIC_MESSAGE_VMBUS;
		post->payload_len = out->len;
		memcpy(post->payload, out->payload, out->len);
	}
	mutex_unlock(&vmbus.lock);
	return out;
}

/* Posts one message; -EAGAIN: the host has no room now. */
static int post_once(void)
{
	u32 status = vmbus_synic_post(post);
	int rc = 0;

	trace_vmbus_message_sent(post->payload, post->payload_len, status);
	mutex_lock(&vmbus.lock);
	if (status == VMB_HV_SUCCESS)
		vmb_guest_connect_output_done(&vmbus.connect);
	else
		rc = vmb_guest_connect_output_refused(&vmbus.connect, status);
	mutex_unlock(&vmbus.lock);
	if (rc == -EIO)
		pr_err("the hypervisor refused message %u with status %#x\n",
		       ((struct vmb_msg_header *)post->payload)->type, status);
	return rc;
}

/*
 * The block is filled again for each attempt. Whoever waits for an answer has a timeout of its
 * own, so this goes on as long as the host has no room.
 */
static void send_work(struct work_struct *work)
{
	u32 delay = DELAY_MIN_US;

	while (!READ_ONCE(stop_sending) && next_post()) {
		if (post_once() != -EAGAIN) {
			delay = DELAY_MIN_US;
			continue;
		}
		usleep_range(delay, 2 * delay);
		delay = min_t(u32, 2 * delay, DELAY_MAX_US);
	}
	wake_up_all(&vmbus.wait);
}

static void on_nothing(const struct vmb_guest_event *event)
{
}

static void on_offer(const struct vmb_guest_event *event)
{
	struct vmb_channel *ch, *primary = NULL;

	if (vmbus.stopping)
		return;
	ch = vmbus_sleep_find(&event->offer);
	if (ch) {
		vmbus_sleep_wake(ch, &event->offer);
		return;
	}
	if (event->offer.sub_channel_index) {
		primary = vmbus_sub_primary(&event->offer);
		if (!primary)
			return;
	}
	ch = vmbus_channel_new(&event->offer, primary);
	if (!ch)
		return;
	if (vmb_guest_channel_add(&vmbus.connect, &ch->core, &event->offer))
		vmbus_channel_free(ch);
	else if (primary)
		vmbus_sub_offered(ch);
	else if (vmb_socket_is_offer(event->offer.flags))
		vmbus_socket_offered(ch, event);
	else
		queue_work(vmbus.device_queue, &ch->add_work);
}

static void on_rescind(const struct vmb_guest_event *event)
{
	struct vmb_channel *ch = event->channel->port;

	if (ch->ops && ch->ops->rescinded)
		ch->ops->rescinded(ch);
	if (ch->primary)
		vmbus_sub_check(ch);
	if (ch->socket)
		vmbus_socket_rescinded(ch);
	if (ch->primary || ch->socket || ch->removing)
		return;
	ch->removing = true;
	queue_work(vmbus.device_queue, &ch->remove_work);
}

static void on_open_result(const struct vmb_guest_event *event)
{
	struct vmb_channel *ch = event->channel->port;

	ch->open_status = event->status;
	smp_store_release(&ch->opened, true);
}

static void on_modify_result(const struct vmb_guest_event *event)
{
	struct vmb_channel *ch = event->channel->port;

	ch->modify_status = event->status;
	smp_store_release(&ch->modified, true);
}

static void on_gpadl_created(const struct vmb_guest_event *event)
{
	struct vmb_share *share = event->gpadl->port;

	share->status = event->status;
	smp_store_release(&share->created, true);
}

static void on_gpadl_torndown(const struct vmb_guest_event *event)
{
	struct vmb_share *share = event->gpadl->port;

	smp_store_release(&share->torn, true);
}

static void (*const handlers[])(const struct vmb_guest_event *event) = {
	[VMB_GUEST_EVENT_NOTHING] = on_nothing,
	[VMB_GUEST_EVENT_CONNECTED] = on_nothing,
	[VMB_GUEST_EVENT_REFUSED] = on_nothing,
	[VMB_GUEST_EVENT_OFFER] = on_offer,
	[VMB_GUEST_EVENT_OFFERS_DELIVERED] = on_nothing,
	[VMB_GUEST_EVENT_RESCIND] = on_rescind,
	[VMB_GUEST_EVENT_OPEN_RESULT] = on_open_result,
	[VMB_GUEST_EVENT_GPADL_CREATED] = on_gpadl_created,
	[VMB_GUEST_EVENT_GPADL_TORNDOWN] = on_gpadl_torndown,
	[VMB_GUEST_EVENT_MODIFY_RESULT] = on_modify_result,
	[VMB_GUEST_EVENT_UNLOADED] = on_nothing,
	[VMB_GUEST_EVENT_DIAL_REFUSED] = vmbus_socket_refused,
};

void vmbus_connect_message(const struct vmb_synic_message *message)
{
	struct vmb_guest_event event = {};
	int rc;

	trace_vmbus_message_received(message->payload, message->payload_len, 0);
	mutex_lock(&vmbus.lock);
	rc = vmb_guest_connect_input(&vmbus.connect, message->payload,
				     min_t(u32, message->payload_len, VMB_SYNIC_PAYLOAD_MAX),
				     &event);
	if (!rc && event.type < ARRAY_SIZE(handlers))
		handlers[event.type](&event);
	mutex_unlock(&vmbus.lock);
	if (rc)
		pr_warn_ratelimited("bad message from the host, %u bytes\n", message->payload_len);
	wake_up_all(&vmbus.wait);
	vmbus_connect_send();
}

static enum vmb_guest_connect_state state(void)
{
	return READ_ONCE(vmbus.connect.state);
}

u32 vmb_bus_version(void)
{
	return vmbus.connect.version;
}
EXPORT_SYMBOL_GPL(vmb_bus_version);

/*
 * Messages come to VP 0 whatever is asked for below 3.0, and so do interrupts below 2.4. Where its
 * CPU is not there, such versions are not proposed.
 */
static u32 pick_connect_cpu(u32 *version_min)
{
	u32 cpu;

	for_each_cpu(cpu, &vmbus.cpus)
		if (!hv_vp_index[cpu])
			return cpu;
	*version_min = VMB_VERSION_3_0;
	return cpumask_first(&vmbus.cpus);
}

static int negotiate(u32 version_max)
{
	struct vmb_guest_connect_config config = {
		.interrupt_page_gpa = virt_to_phys(vmbus.interrupt_page),
		.monitor_gpa = { virt_to_phys(vmbus.monitor_pages[0]),
				 virt_to_phys(vmbus.monitor_pages[1]) },
		.version_max = version_max,
	};
	int rc;

	/* Otherwise the CPU could go offline between these two lines. */
	cpus_read_lock();
	vmbus.connect_cpu = pick_connect_cpu(&config.version_min);
	vmbus.connected = true;
	cpus_read_unlock();
	config.target_vp = hv_vp_index[vmbus.connect_cpu];
	mutex_lock(&vmbus.lock);
	vmbus.stopping = false;
	rc = vmb_guest_connect_init(&vmbus.connect, &config);
	if (!rc)
		rc = vmb_guest_connect_start(&vmbus.connect);
	mutex_unlock(&vmbus.lock);
	if (rc) {
		pr_err("max_version: versions below 3.0 need the CPU with VP 0 online\n");
		return rc;
	}
	vmbus_connect_send();
	if (!wait_event_timeout(vmbus.wait, state() != VMB_GUEST_CONTACTING, VMBUS_WAIT)) {
		pr_err("the host does not answer\n");
		return -ETIMEDOUT;
	}
	if (state() == VMB_GUEST_CONNECTED)
		return 0;
	pr_err("the host accepts none of our versions\n");
	return -EPROTO;
}

/*
 * The host has not confirmed that it released the pages, and it writes to the monitor page. Leak
 * all three that it knows, so that no one else gets them.
 */
static void lose_pages(void)
{
	vmbus.interrupt_page = NULL;
	WRITE_ONCE(vmbus.monitor_pages[0], NULL);
	WRITE_ONCE(vmbus.monitor_pages[1], NULL);
}

static void stop_sender(void)
{
	WRITE_ONCE(stop_sending, true);
	cancel_work_sync(&vmbus.send_work);
	vmbus.connected = false;
}

int vmbus_connect_start(u32 version_max)
{
	int rc;

	stop_sending = false;
	rc = negotiate(version_max);

	if (rc) {
		stop_sender();
		if (rc == -ETIMEDOUT)
			lose_pages();
		return rc;
	}
	pr_info("connected, version %u.%u\n", vmbus.connect.version >> 16,
		vmbus.connect.version & 0xffff);
	mutex_lock(&vmbus.lock);
	vmb_guest_connect_request_offers(&vmbus.connect);
	mutex_unlock(&vmbus.lock);
	vmbus_connect_send();
	if (!wait_event_timeout(vmbus.wait, READ_ONCE(vmbus.connect.offers_delivered), VMBUS_WAIT))
		pr_warn("the host did not finish its list of devices\n");
	return 0;
}

/* Before 3.0 UNLOAD may do nothing: such a host keeps its pages, but nobody waits long for it. */
static unsigned long unload_wait(void)
{
	return vmbus.connect.version < VMB_VERSION_3_0 ? UNLOAD_WAIT_OLD : VMBUS_WAIT;
}

/* No channel is left. Afterwards the host touches none of our pages. */
void vmbus_connect_stop(void)
{
	int rc;

	mutex_lock(&vmbus.lock);
	rc = vmb_guest_connect_unload(&vmbus.connect);
	mutex_unlock(&vmbus.lock);
	if (!rc) {
		vmbus_connect_send();
		if (!wait_event_timeout(vmbus.wait, state() == VMB_GUEST_IDLE, unload_wait())) {
			pr_warn("the host did not confirm the unload\n");
			lose_pages();
		} else if (vmbus.connect.version < VMB_VERSION_1_1) {
			lose_pages(); /* it never does */
		}
	}
	stop_sender();
}

int vmbus_connect_remake_pages(void)
{
	int i;

	if (!vmbus.interrupt_page)
		vmbus.interrupt_page = (void *)get_zeroed_page(GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(vmbus.monitor_pages); i++) {
		if (!vmbus.monitor_pages[i])
			vmbus.monitor_pages[i] = (void *)get_zeroed_page(GFP_KERNEL);
		if (!vmbus.monitor_pages[i])
			return -ENOMEM;
	}
	return vmbus.interrupt_page ? 0 : -ENOMEM;
}

static int make_pages(void)
{
	post = (void *)get_zeroed_page(GFP_KERNEL);
	vmbus.cpu_load = kcalloc(nr_cpu_ids, sizeof(*vmbus.cpu_load), GFP_KERNEL);
	return post && vmbus.cpu_load ? vmbus_connect_remake_pages() : -ENOMEM;
}

static int make_queues(void)
{
	INIT_WORK(&vmbus.send_work, send_work);
	vmbus.message_queue =
		alloc_workqueue("vmbus_message", WQ_PERCPU | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	vmbus.send_queue = alloc_ordered_workqueue("vmbus_send", WQ_MEM_RECLAIM);
	vmbus.device_queue = alloc_ordered_workqueue("vmbus_device", 0);
	vmbus.sub_queue = alloc_workqueue("vmbus_sub", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!vmbus.message_queue || !vmbus.send_queue || !vmbus.device_queue || !vmbus.sub_queue)
		return -ENOMEM;
	return 0;
}

int vmbus_connect_init(void)
{
	int rc = make_pages();

	if (!rc)
		rc = make_queues();
	if (rc)
		vmbus_connect_exit();
	return rc;
}

static void destroy_queue(struct workqueue_struct *queue)
{
	if (queue)
		destroy_workqueue(queue);
}

void vmbus_connect_exit(void)
{
	destroy_queue(vmbus.sub_queue);
	destroy_queue(vmbus.device_queue);
	destroy_queue(vmbus.send_queue);
	destroy_queue(vmbus.message_queue);
	free_page((unsigned long)vmbus.monitor_pages[0]);
	free_page((unsigned long)vmbus.monitor_pages[1]);
	free_page((unsigned long)vmbus.interrupt_page);
	free_page((unsigned long)post);
	kfree(vmbus.cpu_load);
}

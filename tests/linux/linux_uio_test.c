// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/uio.c and vmbus_user.c, with the real bus below and the real host behind it:
 * the test is the program that has a card, as DPDK is.
 */
#include "tests/linux/bed.h"
#include "tests/linux/uio.h"
#include "wire/network.h"
#include "wire/ring.h"
#include "ports/linux/vmbus_internal.h"

#define RING_LEN   (32u << 10)
#define BUFFER_LEN (128u << 10)

static struct uio_device *file;
static struct {
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
} rings;
static u8 answer[64];

static void start(bool monitored)
{
	*shim_uint("hvuio", "ring_size") = RING_LEN;
	*shim_uint("hvuio", "receive_size") = BUFFER_LEN;
	*shim_uint("hvuio", "send_size") = BUFFER_LEN;
	host.monitored = monitored;
	host_start();
	claim_same(shim_module_load("hvuio"), 0);
	/* There are no ids before the user names some: he binds it. */
	claim(!uio_there());
	claim_same(host_bind(), 0);
	claim(uio_there());
}

static void stop(void)
{
	host_stop();
	shim_module_unload("hvuio");
	claim_same(host.ring_files, 0);
}

static void map_rings(u8 *at)
{
	u32 data_len = RING_LEN - VMB_PAGE_LEN;

	claim_same(vmb_ring_writer_init(&rings.tx, at, at + VMB_PAGE_LEN, data_len, false), 0);
	at += RING_LEN;
	claim_same(vmb_ring_reader_init(&rings.rx, at, at + VMB_PAGE_LEN, data_len, false), 0);
}

static void open_card(void)
{
	int rc;

	file = uio_open(&rc);
	claim_same(rc, 0);
	map_rings(uio_fault(file, 0, 0));
}

static bool put(const void *message, u32 len, u16 flags)
{
	u8 body[VMB_NET_MESSAGE_LEN_6_1] = {};
	struct vmb_ring_part part = { .base = body, .len = sizeof(body) };
	struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND, .flags = flags, .payload = &part, .payload_count = 1
	};

	memcpy(body, message, len);
	claim_same(vmb_ring_write(&rings.tx, &packet), 0);
	return vmb_ring_commit(&rings.tx);
}

static bool take(void)
{
	struct vmb_ring_received packet;

	if (vmb_ring_read(&rings.rx, &packet))
		return false;
	claim(vmb_ring_copy(&rings.rx, &packet, (u32)sizeof(struct vmb_pkt_desc), answer,
			    min(packet.payload_len, (u32)sizeof(answer))));
	vmb_ring_next(&rings.rx, &packet);
	vmb_ring_release(&rings.rx);
	return true;
}

static u32 word(u32 index)
{
	u32 value;

	memcpy(&value, answer + 4 * index, 4);
	return value;
}

/*
 * Asks, and is told of the answer. Each event ends the listening: one of an answer that was taken
 * before it came may be read here, so the program must listen again before it waits again.
 */
static void ask(const void *message, u32 len, u32 type)
{
	put(message, len, VMB_PKT_FLAG_COMPLETION_REQUESTED);
	claim_same(uio_write(file, 1), 0);
	while (!take()) {
		claim_same(uio_read(file), 0);
		claim_same(uio_write(file, 1), 0);
	}
	claim_same(word(0), type);
}

static void say_version(void)
{
	struct vmb_net_init init = { VMB_NET_INIT, VMB_NET_VERSION_6_1, VMB_NET_VERSION_6_1 };

	ask(&init, sizeof(init), VMB_NET_INIT_COMPLETE);
	claim_same(word(3), VMB_NET_STATUS_SUCCESS);
}

/* The number behind the colon in a map's name. */
static u32 gpadl_of(u32 map)
{
	return (u32)atoi(strchr(uio_there()->mem[map].name, ':') + 1);
}

static void say_buffers(void)
{
	struct vmb_net_ndis_version ndis = { VMB_NET_SEND_NDIS_VERSION, 6, 30 };
	struct vmb_net_buffer receive = { VMB_NET_SEND_RECEIVE_BUFFER, gpadl_of(3),
					  VMB_NET_RECEIVE_BUFFER_ID };
	struct vmb_net_buffer send = { VMB_NET_SEND_SEND_BUFFER, gpadl_of(4),
				       VMB_NET_SEND_BUFFER_ID };

	put(&ndis, sizeof(ndis), 0);
	ask(&receive, sizeof(receive), VMB_NET_SEND_RECEIVE_BUFFER_COMPLETE);
	claim_same(word(1), VMB_NET_STATUS_SUCCESS);
	ask(&send, sizeof(send), VMB_NET_SEND_SEND_BUFFER_COMPLETE);
	claim_same(word(1), VMB_NET_STATUS_SUCCESS);
}

static void a_program_has_the_card(void)
{
	static const char *const names[] = { "txrx_rings", "int_page", "monitor_page",
					     "recv:", "send:" };
	u32 i;

	start(false);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		claim(!strncmp(uio_there()->mem[i].name, names[i], strlen(names[i])));
	claim_same(uio_there()->mem[0].size, 2 * RING_LEN);
	claim_same(uio_there()->mem[3].size, BUFFER_LEN);
	claim_same(host.ring_files, 1);
	open_card();
	say_version();
	say_buffers();
	uio_close(file);
	stop();
}

/* Without a monitor id the kernel signals when the program listens, with one it does not. */
static void a_program_with_a_monitor_id_signals_itself(void)
{
	struct vmb_net_init init = { VMB_NET_INIT, VMB_NET_VERSION_5, VMB_NET_VERSION_5 };
	u32 relid, id, signals;

	start(true);
	open_card();
	signals = host.signals;
	put(&init, sizeof(init), VMB_PKT_FLAG_COMPLETION_REQUESTED);
	claim_same(uio_write(file, 1), 0);
	msleep(1000);
	claim_same(host.signals, signals);
	relid = host_device()->channel->core.relid;
	id = host_device()->channel->core.offer.monitor_id;
	uio_fault(file, 1, 0)[2048 + relid / 8] |= (u8)(1 << relid % 8);
	uio_fault(file, 2, 0)[8 + id / 32 * 8 + id % 32 / 8] |= (u8)(1 << id % 8);
	host_wake();
	claim_same(uio_read(file), 0);
	claim(take());
	claim_same(word(0), VMB_NET_INIT_COMPLETE);
	claim_same(host.signals, signals);
	uio_close(file);
	stop();
}

/* No event before the program asks, and one for what came meanwhile. */
static void what_came_unheard_is_told_when_the_program_listens(void)
{
	struct vmb_net_init init = { VMB_NET_INIT, 7, 7 }; /* is refused */

	start(true);
	open_card();
	put(&init, sizeof(init), VMB_PKT_FLAG_COMPLETION_REQUESTED);
	vmb_channel_signal(host_device()->channel);
	msleep(1000);
	claim(!uio_has_event(file));
	claim_same(uio_write(file, 1), 0);
	claim_same(uio_read(file), 0);
	claim(take());
	claim_same(rings.rx.control->interrupt_mask, 0);
	put(&init, sizeof(init), VMB_PKT_FLAG_COMPLETION_REQUESTED);
	vmb_channel_signal(host_device()->channel);
	claim_same(uio_read(file), 0);
	claim_same(rings.rx.control->interrupt_mask, 1);
	claim_same(uio_write(file, 1), 0);
	claim_same(rings.rx.control->interrupt_mask, 0);
	claim_same(uio_write(file, 0), 0);
	claim_same(rings.rx.control->interrupt_mask, 1);
	uio_close(file);
	stop();
}

/* ---- sub-channels ---- */

static struct vmb_channel *sub_of(struct vmb_channel *ch)
{
	return container_of(ch->subs.next, struct vmb_channel, sub_link);
}

static void ask_sub_channels(u32 count)
{
	u32 ask_them[3] = { VMB_NET_SUBCHANNEL, VMB_NET_SUBCHANNEL_ALLOCATE, count };

	say_version();
	say_buffers();
	ask(ask_them, sizeof(ask_them), VMB_NET_SUBCHANNEL);
	claim_same(word(1), VMB_NET_STATUS_SUCCESS);
	while (host.ring_files < 1 + count)
		msleep(20);
}

static void sub_channels_have_rings_to_map(void)
{
	struct vm_area_struct vma = { .count = 2 * RING_LEN / PAGE_SIZE };
	struct vmb_channel *primary, *sub;

	start(false);
	primary = host_device()->channel;
	claim_same(host_map_ring(primary, &vma), -ENODEV); /* not open */
	open_card();
	ask_sub_channels(3);
	sub = sub_of(primary);
	claim_same(host_map_ring(sub, &vma), 0);
	claim(vma.pages[0] == vmb_channel_memory(sub));
	claim(vma.pages[7] == vma.pages[0] + 7 * PAGE_SIZE);
	vma.vm_pgoff = 1;
	claim_same(host_map_ring(sub, &vma), -EINVAL);
	vma.count = 1;
	claim_same(host_map_ring(sub, &vma), 0);
	claim(vma.pages[0] == (u8 *)vmb_channel_memory(sub) + PAGE_SIZE);
	vma.vm_pgoff = 2 * RING_LEN / PAGE_SIZE;
	claim_same(host_map_ring(sub, &vma), -EINVAL);
	uio_close(file);
	stop();
}

/* ---- ends ---- */

/* The last one closes it; the next program finds it as the first one did. */
static void a_card_is_opened_again(void)
{
	struct uio_device *other;
	int rc;
	u32 i;

	start(false);
	for (i = 0; i < 3; i++) {
		open_card();
		other = uio_open(&rc);
		claim_same(rc, 0);
		uio_close(other);
		ask_sub_channels(2);
		uio_close(file);
		claim_same(host.ring_files, 1);
		claim(!host_device()->channel->rings);
	}
	stop();
}

static void read_on(void *unused)
{
	while (!uio_read(file))
		;
}

/* A program that waits is woken, and what it has mapped is there until the device goes. */
static void a_rescind_ends_the_wait_of_a_program(void)
{
	struct bed_thread reader;
	int rc;

	start(false);
	open_card();
	ask_sub_channels(2);
	bed_start(&reader, "reader", read_on, NULL);
	host_rescind();
	bed_join(&reader);
	host_await_released();
	claim(!uio_fault(file, 0, 0) && !uio_fault(file, 3, 0));
	claim_same(uio_write(file, 1), -EIO);
	claim(!uio_open(&rc));
	claim_same(rc, -ENODEV);
	uio_close(file);
	claim_same(host.ring_files, 0);
	host_offer();
	msleep(1000);
	claim_same(host_bind(), 0);
	open_card();
	say_version();
	uio_close(file);
	stop();
}

static void unbinding_under_a_program(void)
{
	start(false);
	open_card();
	ask_sub_channels(2);
	host_unbind();
	claim(!uio_there() && !uio_fault(file, 0, 0));
	claim_same(uio_read(file), -EIO);
	uio_close(file);
	claim_same(host_bind(), 0);
	open_card();
	say_version();
	uio_close(file);
	stop();
}

static u32 countdown; /* to the step at which the host takes the card away; 0: never */

static void count_down(void)
{
	if (countdown && !--countdown)
		host_rescind();
}

static void open_and_close(void *unused)
{
	int rc;

	if (host_bind())
		return;
	file = uio_open(&rc);
	if (!file)
		return;
	uio_write(file, 1);
	uio_close(file);
}

/* At each message and at each doorbell that the guest sends meanwhile. */
static void a_rescind_at_each_step(void)
{
	struct bed_thread t;
	u64 before;
	u32 step;

	start(false);
	host_unbind();
	host.posted = host.signalled = count_down;
	for (step = 1;; step++) {
		countdown = step;
		before = sched_now();
		bed_start(&t, "program", open_and_close, NULL);
		bed_join(&t);
		claim(sched_now() - before <= 20 * HZ);
		if (countdown)
			break;
		host_await_released();
		host_offer();
		msleep(1000);
	}
	claim(step > 4);
	countdown = 0;
	stop();
}

/* Within one tick as a rule, so that what happens in it is met. */
static void go_on(void)
{
	if (sched_random(40))
		sched_step();
	else
		msleep(4);
}

static void touch_on(void *unused)
{
	while (uio_fault(file, 0, 0) && uio_fault(file, 3, 0))
		go_on();
}

static void open_on(void *unused)
{
	struct uio_device *other;
	int rc;

	while (uio_there()) {
		other = uio_open(&rc);
		if (other)
			uio_close(other);
		go_on();
	}
}

/* A page that is looked for is there or the device has gone; uio_fault() sees one that was freed. */
static void a_mapping_is_touched_while_the_device_goes(void)
{
	struct bed_thread toucher, opener;

	start(false);
	open_card();
	say_version();
	bed_start(&toucher, "toucher", touch_on, NULL);
	bed_start(&opener, "opener", open_on, NULL);
	msleep(sched_random(10) * 4);
	host_unbind();
	bed_join(&toucher);
	bed_join(&opener);
	uio_close(file);
	stop();
}

static struct {
	bool over;
	u32 mapped;
} others;

static void map_again_and_again(void *unused)
{
	struct vm_area_struct vma = { .count = 1 };
	struct vmb_device *device;

	while (!others.over) {
		device = host_device();
		if (device && device->channel->ring_shown)
			others.mapped += !host_map_ring(device->channel, &vma);
		go_on();
	}
}

static void knock(void *unused)
{
	while (!others.over) {
		if (host_device())
			vmb_channel_poke(host_device()->channel);
		go_on();
	}
}

/* Doorbells and another program's mappings come while it opens, closes, and is unbound. */
static void ends_meet_doorbells_and_mappings(void)
{
	struct bed_thread mapper, knocker;
	u32 i;

	start(false);
	bed_start(&mapper, "mapper", map_again_and_again, NULL);
	bed_start(&knocker, "knocker", knock, NULL);
	for (i = 0; i < 6; i++) {
		open_card();
		say_version();
		if (i % 2) {
			host_unbind();
			uio_close(file);
			claim_same(host_bind(), 0);
		} else {
			uio_close(file);
		}
	}
	others.over = true;
	bed_join(&mapper);
	bed_join(&knocker);
	stop();
}

static void keep_first(const struct work_struct *work)
{
	if (!shim_kept)
		shim_kept = work;
}

/* No worker has come to it when the driver goes. The sanitizers see one that takes it afterwards. */
static void a_doorbell_that_waits_is_forgotten_with_the_device(void)
{
	start(false);
	open_card();
	shim_queueing = keep_first;
	vmb_channel_poke(host_device()->channel);
	shim_queueing = NULL;
	claim(shim_kept);
	host_unbind();
	uio_close(file);
	shim_kept = NULL;
	sched_wake(system_wq);
	msleep(1000);
	stop();
}

/* Memory that the host keeps is not used again: host_stop() sees what is written to it. */
static void a_host_that_keeps_memory_keeps_it(void)
{
	u8 *kept[3];
	u32 i;

	start(false);
	open_card();
	say_version();
	say_buffers();
	kept[0] = uio_fault(file, 0, 0);
	kept[1] = uio_fault(file, 3, 0);
	kept[2] = uio_fault(file, 4, 0);
	host.stalled = true;
	uio_close(file);
	host_unbind();
	claim_same(shim_log_count("they are lost"), 3);
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		claim(kept[i][PAGE_SIZE - 1] != HOST_FREED);
	host.stalled = false;
	host_wake();
	msleep(1000);
	stop();
}

static void sizes_that_cannot_be_are_refused(void)
{
	static const char *const names[] = { "ring_size", "receive_size", "send_size" };
	u32 i, good;

	host_start();
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		good = *shim_uint("hvuio", names[i]);
		*shim_uint("hvuio", names[i]) = 5000;
		claim_same(shim_module_load("hvuio"), -EINVAL);
		*shim_uint("hvuio", names[i]) = 33 << 20;
		claim_same(shim_module_load("hvuio"), -EINVAL);
		*shim_uint("hvuio", names[i]) = good;
	}
	claim_same(shim_log_count("give a multiple of 4096, from 8192"), 6);
	host_stop();
}

/* What follows are macros that make functions. */
/* clang-format off */
bed_test(a_program_has_the_card)
bed_test(a_program_with_a_monitor_id_signals_itself)
bed_test(what_came_unheard_is_told_when_the_program_listens)
bed_test(sub_channels_have_rings_to_map)
bed_test(a_card_is_opened_again)
bed_test_seeds(a_rescind_ends_the_wait_of_a_program, 8)
bed_test(unbinding_under_a_program)
bed_test_seeds(a_mapping_is_touched_while_the_device_goes, 12)
bed_test(a_rescind_at_each_step)
bed_test_seeds(ends_meet_doorbells_and_mappings, 8)
bed_test(a_doorbell_that_waits_is_forgotten_with_the_device)
bed_test(a_host_that_keeps_memory_keeps_it)
bed_test(sizes_that_cannot_be_are_refused)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_has_the_card),
		cmocka_unit_test(test_a_program_with_a_monitor_id_signals_itself),
		cmocka_unit_test(test_what_came_unheard_is_told_when_the_program_listens),
		cmocka_unit_test(test_sub_channels_have_rings_to_map),
		cmocka_unit_test(test_a_card_is_opened_again),
		cmocka_unit_test(test_a_rescind_ends_the_wait_of_a_program),
		cmocka_unit_test(test_unbinding_under_a_program),
		cmocka_unit_test(test_a_mapping_is_touched_while_the_device_goes),
		cmocka_unit_test(test_a_rescind_at_each_step),
		cmocka_unit_test(test_ends_meet_doorbells_and_mappings),
		cmocka_unit_test(test_a_doorbell_that_waits_is_forgotten_with_the_device),
		cmocka_unit_test(test_a_host_that_keeps_memory_keeps_it),
		cmocka_unit_test(test_sizes_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

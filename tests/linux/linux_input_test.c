// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/input*.c: a host that types and points, that breaks the protocol, that has no
 * room, and that goes at any time. The channel is a queue here, and the input and HID layers are
 * records of what they were given.
 */
#include "ports/linux/input.h"
#include "tests/linux/bed.h"
#include "tests/linux/hid.h"
#include "tests/linux/queue.h"

#define KEY_COUNT 512u

static u32 room; /* messages that the host takes */

/* what the guest said */
static u32 requests, acks, lights_count;
static u16 lights;

/* what the system has */
static struct input_dev *keyboard;
static struct hid_device *mouse;
static u32 allocated, presses, syncs, resets;
static int scan, key, value;
static u8 descriptor[64], report[64];
static u32 descriptor_len, report_len, report_count;
static int add_result;

/* ---- the bus ---- */

static void hear_keyboard(const u8 *bytes, u32 len)
{
	claim_same(len, 8);
	if (bytes[0] == VMB_KEYBOARD_REQUEST) {
		requests++;
		return;
	}
	claim_same(bytes[0], VMB_KEYBOARD_LEDS);
	lights = bytes[4];
	lights_count++;
}

static void hear_mouse(const u8 *bytes, u32 len)
{
	claim_same(len, bytes[8] == VMB_MOUSE_REQUEST ? 20 : 17);
	requests += bytes[8] == VMB_MOUSE_REQUEST;
	acks += bytes[8] == VMB_MOUSE_INFO_ACK;
}

static bool is_mouse(void)
{
	static const struct vmb_guid id = VMB_GUID_MOUSE;

	return vmb_guid_equal(&channel.device.type_id, &id);
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	sched_step();
	claim(packet->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED);
	if (!ch->open)
		return -ENODEV;
	if (!room)
		return -EAGAIN;
	room--;
	if (is_mouse())
		hear_mouse(packet->payload[0].base, packet->payload[0].len);
	else
		hear_keyboard(packet->payload[0].base, packet->payload[0].len);
	return 0;
}

/* ---- the input layer ---- */

struct input_dev *input_allocate_device(void)
{
	allocated++;
	return calloc(1, sizeof(struct input_dev));
}

void input_free_device(struct input_dev *dev)
{
	allocated -= dev != NULL;
	free(dev);
}

int input_register_device(struct input_dev *dev)
{
	claim(!keyboard);
	if (add_result)
		return add_result;
	keyboard = dev;
	shim_release(&keyboard); /* as the layer's lock does */
	return 0;
}

void input_unregister_device(struct input_dev *dev)
{
	claim(keyboard == dev);
	keyboard = NULL;
	input_free_device(dev);
}

void input_event(struct input_dev *dev, unsigned int type, unsigned int code, int v)
{
	claim(keyboard == dev);
	if (type == EV_MSC)
		scan = v;
	syncs += type == EV_SYN;
	if (type != EV_KEY)
		return;
	claim(code < KEY_COUNT);
	claim(code == KEY_PAUSE || test_bit(code, dev->keybit));
	key = (int)code;
	value = v;
	presses++;
}

void input_reset_device(struct input_dev *dev)
{
	claim(keyboard == dev);
	resets++;
}

void input_set_capability(struct input_dev *dev, unsigned int type, unsigned int code)
{
	__set_bit(type, dev->evbit);
	if (type == EV_KEY)
		__set_bit(code, dev->keybit);
}

/* ---- the HID layer ---- */

struct hid_device *hid_allocate_device(void)
{
	allocated++;
	return calloc(1, sizeof(struct hid_device));
}

int hid_parse_report(struct hid_device *hid, u8 *start, unsigned int len)
{
	claim(len <= sizeof(descriptor));
	memcpy(descriptor, start, len);
	descriptor_len = len;
	return 0;
}

int hid_add_device(struct hid_device *hid)
{
	claim(hid->ll_driver->raw_request);
	claim_same(hid->ll_driver->parse(hid), 0);
	if (add_result)
		return add_result;
	mouse = hid;
	return 0;
}

void hid_destroy_device(struct hid_device *hid)
{
	claim(!mouse || mouse == hid);
	mouse = NULL;
	allocated--;
	free(hid);
}

/* It fills up what is too short, as the kernel does. */
int hid_input_report(struct hid_device *hid, enum hid_report_type type, u8 *data, u32 len,
		     int interrupt)
{
	claim(mouse == hid);
	memcpy(report, data, len);
	report_len = len;
	report_count++;
	memset(data + len, 0, HID_MAX_BUFFER_SIZE - len);
	return 0;
}

/* ---- the host ---- */

static void type_key(u16 code, u32 flags)
{
	const struct vmb_keyboard_event event = { VMB_KEYBOARD_EVENT, code, 0, flags };

	queue_say(&event, sizeof(event));
	msleep(10);
}

static void answer_keyboard(u32 status)
{
	const struct vmb_keyboard_response response = { VMB_KEYBOARD_RESPONSE, status };

	queue_say(&response, sizeof(response));
	msleep(10);
}

static void say_mouse(u32 type, const void *body, u32 len)
{
	u8 message[256];
	const struct vmb_mouse_packet head = { { VMB_PIPE_DATA, len + 8 }, type, len };

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), body, len);
	queue_say(message, sizeof(head) + len);
	msleep(10);
}

static void answer_mouse(void)
{
	static const struct vmb_mouse_response yes = { VMB_MOUSE_VERSION, 1 };
	static const struct {
		struct vmb_mouse_info info;
		u8 bytes[3];
	} VMB_PACKED info = { { .attributes_len = 32,
				.vendor = 7,
				.product = 8,
				.hid_len = 9,
				.descriptor_len = 3 },
			      { 1, 2, 3 } };

	say_mouse(VMB_MOUSE_RESPONSE, &yes, sizeof(yes));
	say_mouse(VMB_MOUSE_INFO, &info, sizeof(info));
}

static void load(bool with_mouse)
{
	const struct vmb_guid ids[] = { VMB_GUID_KEYBOARD, VMB_GUID_MOUSE };

	room = 1000;
	channel.device.channel = &channel;
	channel.device.type_id = ids[with_mouse];
	claim_same(shim_module_load("hvinput"), 0);
	claim_same(driver->probe(&channel.device, driver->id_table), 0);
	claim_same(queue_ring_len, 10 * 4096);
	msleep(10);
}

static void end(void)
{
	driver->remove(&channel.device);
	shim_module_unload("hvinput");
	claim(!keyboard && !mouse);
	claim_same(allocated, 0);
}

/* ---- the cases ---- */

static void a_keyboard_appears_when_the_host_agrees(void)
{
	load(false);
	claim_same(requests, 1);
	claim(!keyboard);
	type_key(0x1E, 0); /* too early */
	answer_keyboard(1);
	claim(keyboard);
	claim_same(presses, 0);
	claim_same(keyboard->keycodemax, 256);
	end();
}

static void a_keyboard_that_is_refused_does_not_appear(void)
{
	load(false);
	answer_keyboard(0);
	type_key(0x1E, 0);
	claim(!keyboard);
	end();
}

static void expect_key(u16 code, u32 flags, int expected)
{
	u32 before = syncs;

	type_key(code, flags);
	claim_same(syncs, before + 1);
	claim_same(key, expected);
	claim_same(value, !(flags & VMB_KEYBOARD_BREAK));
}

static void codes_are_keys(void)
{
	load(false);
	answer_keyboard(1);
	expect_key(0x1E, 0, KEY_A);
	claim_same(scan, 0x1E);
	expect_key(0x1E, VMB_KEYBOARD_BREAK, KEY_A);
	expect_key(0x53, 0, KEY_KPDOT);
	expect_key(0x53, VMB_KEYBOARD_E0, KEY_DELETE);
	claim_same(scan, 0xD3);
	expect_key(0x1D, VMB_KEYBOARD_E0 | VMB_KEYBOARD_BREAK, KEY_RIGHTCTRL);
	expect_key(0x58, 0, KEY_F12);
	expect_key(0x5D, VMB_KEYBOARD_E0, KEY_COMPOSE);
	expect_key(0x45, 0, KEY_NUMLOCK);
	end();
}

static void pause_is_one_key(void)
{
	load(false);
	answer_keyboard(1);
	type_key(0x1D, VMB_KEYBOARD_E1);
	claim_same(presses, 0);
	expect_key(0x45, 0, KEY_PAUSE);
	type_key(0x1D, VMB_KEYBOARD_E1 | VMB_KEYBOARD_BREAK);
	expect_key(0x45, VMB_KEYBOARD_BREAK, KEY_PAUSE);
	expect_key(0x45, 0, KEY_NUMLOCK);
	claim_same(presses, 3);
	end();
}

static void a_code_without_a_key_presses_nothing(void)
{
	load(false);
	answer_keyboard(1);
	type_key(0x2A, VMB_KEYBOARD_E0);
	claim_same(scan, 0xAA);
	claim_same(presses, 0);
	end();
}

/* The system wants these lights. */
static int light(unsigned int type, unsigned long leds)
{
	shim_acquire(&keyboard);
	keyboard->led[0] = leds;
	return keyboard->event(keyboard, type, LED_CAPSL, 1);
}

static void lights_are_told(void)
{
	load(false);
	answer_keyboard(1);
	claim_same(light(EV_LED, 1u << LED_CAPSL | 1u << LED_NUML), 0);
	msleep(10);
	claim_same(lights, VMB_KEYBOARD_LED_CAPS | VMB_KEYBOARD_LED_NUM);
	light(EV_LED, 1u << LED_CAPSL | 1u << LED_NUML); /* nothing new */
	msleep(10);
	claim_same(lights_count, 1);
	claim(light(EV_MSC, 0) < 0);
	end();
}

static void what_found_no_room_is_told_later(void)
{
	load(false);
	answer_keyboard(1);
	room = 0;
	light(EV_LED, 1u << LED_SCROLLL);
	msleep(10);
	claim_same(lights_count, 0);
	room = 10;
	type_key(0x1E, 0);
	claim_same(lights_count, 1);
	claim_same(lights, VMB_KEYBOARD_LED_SCROLL);
	end();
}

static void a_mouse_appears_when_it_is_described(void)
{
	static const u8 bytes[7] = { 1, 2, 3, 4, 5, 6, 7 };

	load(true);
	claim_same(requests, 1);
	answer_mouse();
	claim(mouse);
	claim_same(acks, 1);
	claim_same(mouse->vendor, 7);
	claim_same(mouse->product, 8);
	claim_same(descriptor_len, 3);
	claim_same(descriptor[2], 3);
	say_mouse(VMB_MOUSE_REPORT, bytes, sizeof(bytes));
	claim_same(report_len, 7);
	claim_same(report[6], 7);
	say_mouse(VMB_MOUSE_REPORT, bytes, 1); /* shorter than described */
	claim_same(report_count, 2);
	end();
}

static void a_system_that_takes_no_device_is_no_fault(void)
{
	static const u8 bytes[7];

	add_result = -ENOMEM;
	load(true);
	answer_mouse();
	say_mouse(VMB_MOUSE_REPORT, bytes, sizeof(bytes));
	claim_same(report_count, 0);
	end();
	load(false);
	answer_keyboard(1);
	type_key(0x1E, 0);
	claim_same(presses, 0);
	end();
}

static void nonsense_is_dropped(void)
{
	static u8 nonsense[VMB_MOUSE_PACKET_LEN_MAX];

	shim_quiet = true;
	for (u32 i = 0; i < 2; i++) {
		load(i);
		for (u32 len = 0; len < 40; len++) {
			memset(nonsense, (int)len, sizeof(nonsense));
			queue_say(nonsense, len);
			msleep(10);
		}
		queue_say(nonsense, sizeof(nonsense));
		msleep(10);
		if (i)
			answer_mouse();
		else
			answer_keyboard(1);
		claim(i ? mouse != NULL : keyboard != NULL);
		claim(shim_log_count("no sense") > 40);
		end();
	}
}

static void it_goes_on_after_hibernation(void)
{
	load(false);
	answer_keyboard(1);
	type_key(0x1E, 0);
	claim_same(driver->suspend(&channel.device), 0);
	claim_same(resets, 1); /* nothing stays down */
	claim(keyboard);
	claim_same(driver->resume(&channel.device), 0);
	msleep(10);
	claim_same(requests, 2);
	answer_keyboard(1);
	expect_key(0x1F, 0, KEY_S);
	end();
}

/* The host types while the driver goes. */
static void keep_typing(void *unused)
{
	for (u32 i = 0; i < 20 && channel.open; i++) {
		const struct vmb_keyboard_event event = { VMB_KEYBOARD_EVENT, 0x1E, 0,
							  i & 1 ? 2 : 0 };

		queue_say(&event, sizeof(event));
		sched_step();
	}
}

/* Nobody rings for what comes while the ring is masked. */
static void no_key_is_lost(void)
{
	const struct vmb_keyboard_event down = { VMB_KEYBOARD_EVENT, 0x1e, 0, 0 };

	load(false);
	answer_keyboard(1);
	for (u32 i = 1; i <= 40; i++) {
		queue_say(&down, sizeof(down));
		for (u32 steps = sched_random(8); steps; steps--)
			sched_step();
		if (sched_random(2))
			continue;
		msleep(1000);
		claim_same(presses, i);
	}
	msleep(1000);
	claim_same(presses, 40);
	end();
}

static void it_goes_at_any_time(void)
{
	struct bed_thread typist = {};

	load(false);
	answer_keyboard(1);
	bed_start(&typist, "typist", keep_typing, NULL);
	sched_step();
	channel.ops->rescinded(&channel);
	bed_join(&typist);
	end();
}

bed_test(a_keyboard_appears_when_the_host_agrees)
	bed_test(a_keyboard_that_is_refused_does_not_appear) bed_test(codes_are_keys)
		bed_test(pause_is_one_key) bed_test(a_code_without_a_key_presses_nothing)
			bed_test(lights_are_told) bed_test(what_found_no_room_is_told_later)
				bed_test(a_mouse_appears_when_it_is_described)
					bed_test(a_system_that_takes_no_device_is_no_fault)
						bed_test(nonsense_is_dropped) bed_test(
							it_goes_on_after_hibernation)
							bed_test_seeds(no_key_is_lost, 50)
								bed_test_seeds(it_goes_at_any_time,
									       50)

									int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_keyboard_appears_when_the_host_agrees),
		cmocka_unit_test(test_a_keyboard_that_is_refused_does_not_appear),
		cmocka_unit_test(test_codes_are_keys),
		cmocka_unit_test(test_pause_is_one_key),
		cmocka_unit_test(test_a_code_without_a_key_presses_nothing),
		cmocka_unit_test(test_lights_are_told),
		cmocka_unit_test(test_what_found_no_room_is_told_later),
		cmocka_unit_test(test_a_mouse_appears_when_it_is_described),
		cmocka_unit_test(test_a_system_that_takes_no_device_is_no_fault),
		cmocka_unit_test(test_nonsense_is_dropped),
		cmocka_unit_test(test_it_goes_on_after_hibernation),
		cmocka_unit_test(test_no_key_is_lost),
		cmocka_unit_test(test_it_goes_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

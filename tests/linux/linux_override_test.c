// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/vmbus_override.c: the driver that a user chooses for a device, also while
 * drivers are registered, for which the kernel matches devices without their lock.
 */
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"
#include "tests/linux/bed.h"

static struct vmb_device device;
static const struct device_driver ours = { .name = "hvuio" }, other = { .name = "netvsc" };

static struct device_attribute *attribute(void)
{
	struct attribute *attr = vmbus_override_group.attrs[0];

	claim(!strcmp(attr->name, "driver_override") && !vmbus_override_group.attrs[1]);
	return container_of(attr, struct device_attribute, attr);
}

static ssize_t choose(const char *text)
{
	return attribute()->store(&device.dev, attribute(), text, strlen(text));
}

static void shows(const char *text)
{
	static char page[PAGE_SIZE];

	claim_same(attribute()->show(&device.dev, attribute(), page), strlen(text));
	claim(!strcmp(page, text));
}

static void a_chosen_driver_is_the_only_one(void)
{
	claim_same(vmbus_override_match(&device.dev, &ours), -1);
	claim_same(choose("hvuio\n"), 6);
	shows("hvuio\n");
	claim_same(vmbus_override_match(&device.dev, &ours), 1);
	claim_same(vmbus_override_match(&device.dev, &other), 0);
	claim_same(choose("\n"), 1);
	claim_same(vmbus_override_match(&device.dev, &other), -1);
	vmbus_override_free(&device.dev);
}

static void a_name_that_is_too_long_changes_nothing(void)
{
	static char text[PAGE_SIZE];

	claim_same(choose("hvuio"), 5);
	memset(text, 'x', sizeof(text) - 1);
	claim_same(choose(text), -EINVAL);
	shows("hvuio\n");
	vmbus_override_free(&device.dev);
}

static void match_on(void *unused)
{
	for (u32 i = 0; i < 20; i++) {
		claim(vmbus_override_match(&device.dev, &ours) >= 0);
		sched_step();
	}
}

static void show_on(void *unused)
{
	char page[PAGE_SIZE];

	for (u32 i = 0; i < 20; i++) {
		attribute()->show(&device.dev, attribute(), page);
		claim(!strcmp(page, "hvuio\n") || !strcmp(page, "iodriv\n"));
	}
}

static void a_name_changes_while_drivers_register(void)
{
	struct bed_thread matching = { 0 }, showing = { 0 };

	shim_names_change = true;
	choose("hvuio");
	bed_start(&matching, "match", match_on, NULL);
	bed_start(&showing, "show", show_on, NULL);
	for (u32 i = 0; i < 20; i++) {
		choose(i % 2 ? "hvuio" : "iodriv");
		sched_step();
	}
	bed_join(&matching);
	bed_join(&showing);
	vmbus_override_free(&device.dev);
}

bed_test(a_chosen_driver_is_the_only_one);
bed_test(a_name_that_is_too_long_changes_nothing);
bed_test_seeds(a_name_changes_while_drivers_register, 50);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chosen_driver_is_the_only_one),
		cmocka_unit_test(test_a_name_that_is_too_long_changes_nothing),
		cmocka_unit_test(test_a_name_changes_while_drivers_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

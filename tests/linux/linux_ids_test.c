// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/vmbus_ids.c: new_id and remove_id as a user writes them, also while devices
 * are matched.
 */
#include "ports/linux/vmbus_ids.h"
#include "tests/linux/bed.h"

#define SCSI_TEXT "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define CARD_TEXT "f8615163-df3e-46c5-913f-f2d2f965ed0e"

static const struct vmb_guid scsi = VMB_GUID_SCSI, card = VMB_GUID_NETWORK;
static const struct hv_vmbus_device_id ids[] = {
	{ .guid = GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc,
			    0x7f),
	  .driver_data = 5 },
	{ .driver_data = 0 },
};
static struct vmb_driver driver = { .id_table = ids };
static u32 attached;

int driver_attach(struct device_driver *d)
{
	claim(d == &driver.driver);
	attached++;
	return 0;
}

static ssize_t write_to(const char *name, const char *text)
{
	struct attribute **at = vmbus_driver_groups[0]->attrs;

	while (strcmp((*at)->name, name))
		at++;
	return container_of(*at, struct driver_attribute, attr)
		->store(&driver.driver, text, strlen(text));
}

static void a_driver_takes_its_own_classes(void)
{
	struct hv_vmbus_device_id id;

	claim(vmbus_ids_find(&driver, &scsi, &id));
	claim_same(id.driver_data, 5);
	claim(!vmbus_ids_find(&driver, &card, &id));
}

static void a_class_is_added_and_taken_back(void)
{
	struct hv_vmbus_device_id id;

	claim_same(write_to("new_id", CARD_TEXT "\n"), sizeof(CARD_TEXT));
	claim_same(attached, 1);
	claim(vmbus_ids_find(&driver, &card, &id));
	claim_same(id.driver_data, 0);
	claim(!memcmp(&id.guid, &card, sizeof(card)));
	claim_same(write_to("new_id", CARD_TEXT), -EEXIST);
	claim_same(attached, 1);
	claim_same(write_to("remove_id", CARD_TEXT), sizeof(CARD_TEXT) - 1);
	claim(!vmbus_ids_find(&driver, &card, &id));
	claim_same(write_to("remove_id", CARD_TEXT), -ENODEV);
	claim_same(write_to("remove_id", SCSI_TEXT), -ENODEV); /* its own stays */
	claim(vmbus_ids_find(&driver, &scsi, &id));
}

static void what_is_no_class_is_refused(void)
{
	claim_same(write_to("new_id", "5"), -EINVAL);
	claim_same(write_to("new_id", "00000000-0000-0000-0000-000000000000"), -EINVAL);
	claim_same(write_to("remove_id", "{" CARD_TEXT "}"), -EINVAL);
	claim_same(attached, 0);
}

static void what_was_added_is_freed_with_the_driver(void)
{
	claim_same(write_to("new_id", CARD_TEXT), sizeof(CARD_TEXT) - 1);
	claim_same(write_to("new_id", "00000001-0000-0000-0000-000000000000"), 36);
	vmbus_ids_free(&driver);
}

static void look(void *unused)
{
	struct hv_vmbus_device_id id;

	for (u32 i = 0; i < 20; i++) {
		claim(vmbus_ids_find(&driver, &scsi, &id));
		if (vmbus_ids_find(&driver, &card, &id))
			claim(!memcmp(&id.guid, &card, sizeof(card)));
	}
}

static void ids_come_and_go_while_devices_are_matched(void)
{
	struct bed_thread thread = { 0 };

	bed_start(&thread, "match", look, NULL);
	for (u32 i = 0; i < 10; i++) {
		write_to("new_id", CARD_TEXT);
		write_to("remove_id", CARD_TEXT);
	}
	bed_join(&thread);
}

bed_test(a_driver_takes_its_own_classes);
bed_test(a_class_is_added_and_taken_back);
bed_test(what_is_no_class_is_refused);
bed_test(what_was_added_is_freed_with_the_driver);
bed_test_seeds(ids_come_and_go_while_devices_are_matched, 50);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_driver_takes_its_own_classes),
		cmocka_unit_test(test_a_class_is_added_and_taken_back),
		cmocka_unit_test(test_what_is_no_class_is_refused),
		cmocka_unit_test(test_what_was_added_is_freed_with_the_driver),
		cmocka_unit_test(test_ids_come_and_go_while_devices_are_matched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

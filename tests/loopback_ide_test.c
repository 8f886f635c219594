// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * IDE units end to end: every storage version with a disk and with a DVD, all places at once, and
 * what an address may be.
 */
#include "tests/loopback_bed.h"

#define DVD_BLOCK_LEN 2048u

static const uint16_t versions[] = { VMB_STOR_VERSION_2_0, VMB_STOR_VERSION_4_2,
				     VMB_STOR_VERSION_5_1, VMB_STOR_VERSION_6_0,
				     VMB_STOR_VERSION_6_2 };

/* One unit, and no SCSI controller beside it. */
static struct loop *ide_new(uint32_t place, uint32_t block_len,
			    struct vmb_user_loopback_config config)
{
	struct loop *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->random = 0x9E3779B97F4A7C15ull;
	config.ides[place] = (struct vmb_dev_disk_option){ .path = LOOP_DISK, .ide = true };
	if (block_len == DVD_BLOCK_LEN)
		config.ides[place] = (struct vmb_dev_disk_option){
			.path = "ram:64M", .ide = true, .dvd = true, .read_only = true
		};
	assert_int_equal(vmb_user_loopback_init(&b->l, &config), 0);
	return b;
}

static struct vmb_guest_storage_event ask(struct loop *b, struct vmb_user_device *d,
					  const void *cdb, uint8_t cdb_len, void *data,
					  uint32_t len)
{
	struct vmb_guest_storage_event event;

	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 0, cdb, cdb_len,
						len ? VMB_STOR_READ : VMB_STOR_NO_DATA, data, len,
						&event),
			 0);
	return event;
}

static void expect_sense(const struct vmb_guest_storage_event *event, uint8_t key, uint8_t code,
			 uint8_t qualifier)
{
	assert_int_equal(event->scsi_status, 2);
	assert_true(event->sense_len >= 14);
	assert_int_equal(event->sense[2] & 0xF, key);
	assert_int_equal(event->sense[12], code);
	assert_int_equal(event->sense[13], qualifier);
}

/* What kind of device it says it is, and how many blocks it has. */
static void expect_identity(struct loop *b, struct vmb_user_device *d, uint8_t type)
{
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36 }, capacity[10] = { 0x25 };
	struct vmb_guest_storage_event event;
	uint8_t data[36];

	event = ask(b, d, inquiry, 6, data, 36);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(data[0], type);
	event = ask(b, d, capacity, 10, data, 8);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(data[2] << 8 | data[3], LOOP_BLOCK_COUNT - 1);
	assert_int_equal(data[6] << 8 | data[7],
			 vmb_user_loopback_first(&b->l)->units[0].block_len);
}

/* What was agreed, and that each end has the other where it is. */
static void expect_agreement(struct loop *b, struct vmb_user_device *d, uint16_t version,
			     uint32_t place)
{
	bool old = version < VMB_STOR_VERSION_5_1;

	assert_int_equal(d->storage.version, version);
	assert_int_equal(d->storage.packet_len, old ? 48 : 64);
	assert_int_equal(d->storage.srb_len, old ? 0x24 : 0x34);
	assert_int_equal(d->storage.max_sub_channel_count, 0);
	assert_int_equal(d->storage.path_id, old ? place / 2 : 0);
	assert_int_equal(d->storage.target_id, old ? place % 2 : 0);
	assert_int_equal(d->address.path_id, place / 2);
	assert_int_equal(d->address.target_id, place % 2);
	assert_int_equal(vmb_user_loopback_first(&b->l)->host.version, version);
	assert_null(d->next); /* nothing else was offered */
}

static void test_disk_works_with_every_version_at_every_place(void **state)
{
	static const uint8_t flush[10] = { 0x35 };
	struct vmb_user_loopback_config config = { 0 };
	struct vmb_user_device *d;
	uint32_t i, place;
	struct loop *b;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		for (place = 0; place < 4; place++) {
			config.storage_version_max = versions[i];
			b = ide_new(place, LOOP_BLOCK_LEN, config);
			d = loop_open(b);
			expect_agreement(b, d, versions[i], place);
			expect_identity(b, d, 0);
			loop_verify(b, d, 100 + place, 65536);
			assert_int_equal(ask(b, d, flush, 10, NULL, 0).srb_status, VMB_SRB_SUCCESS);
			assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
			loop_expect_nothing_held(b);
			loop_free(b);
		}
	}
}

static void test_guest_may_be_older_than_the_host(void **state)
{
	struct vmb_user_loopback_config config = { 0 };
	struct loop *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		config.guest.storage_version_max = versions[i];
		b = ide_new(1, LOOP_BLOCK_LEN, config);
		expect_agreement(b, loop_open(b), versions[i], 1);
		loop_verify(b, b->l.guest.devices, 5, 4096);
		loop_free(b);
	}
}

static void expect_dvd_reads(struct loop *b, struct vmb_user_device *d)
{
	uint8_t data[2 * DVD_BLOCK_LEN] = { 0 }, cdb[10];
	struct vmb_guest_storage_event event;
	uint32_t i;

	for (i = 0; i < sizeof(data); i++)
		loop_medium(b)[7 * DVD_BLOCK_LEN + i] = (uint8_t)loop_random(b, 256);
	loop_cdb(cdb, LOOP_READ, 7, 2);
	event = ask(b, d, cdb, 10, data, sizeof(data));
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(event.data_len, sizeof(data));
	assert_memory_equal(data, loop_medium(b) + 7 * DVD_BLOCK_LEN, sizeof(data));
	loop_cdb(cdb, LOOP_WRITE, 7, 2);
	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 0, cdb, 10, VMB_STOR_WRITE, data,
						sizeof(data), &event),
			 0);
	expect_sense(&event, 5, 0x20, 0);
}

static void expect_tray_moves(struct loop *b, struct vmb_user_device *d)
{
	static const uint8_t eject[6] = { 0x1B, 0, 0, 0, 2 }, load[6] = { 0x1B, 0, 0, 0, 3 };
	static const uint8_t ready[6] = { 0 };
	struct vmb_guest_storage_event event;

	assert_int_equal(ask(b, d, eject, 6, NULL, 0).srb_status, VMB_SRB_SUCCESS);
	event = ask(b, d, ready, 6, NULL, 0);
	expect_sense(&event, 2, 0x3A, 2);
	assert_int_equal(ask(b, d, load, 6, NULL, 0).srb_status, VMB_SRB_SUCCESS);
	event = ask(b, d, ready, 6, NULL, 0);
	expect_sense(&event, 6, 0x28, 0);
	assert_int_equal(ask(b, d, ready, 6, NULL, 0).srb_status, VMB_SRB_SUCCESS);
}

static void test_dvd_works_with_every_version(void **state)
{
	struct vmb_user_loopback_config config = { 0 };
	struct vmb_user_device *d;
	struct loop *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		config.storage_version_max = versions[i];
		b = ide_new(2, DVD_BLOCK_LEN, config);
		d = loop_open(b);
		expect_agreement(b, d, versions[i], 2);
		expect_identity(b, d, 5);
		expect_dvd_reads(b, d);
		expect_tray_moves(b, d);
		loop_free(b);
	}
}

static void test_whole_life_leaves_nothing_behind(void **state)
{
	struct loop *b;
	int threads, round;

	for (threads = 0; threads < 2; threads++) {
		b = ide_new(3, LOOP_BLOCK_LEN,
			    (struct vmb_user_loopback_config){ .threads = threads });
		for (round = 0; round < 10; round++)
			loop_expect_whole_life(b);
		loop_free(b);
	}
}

/* Guests get the path wrong, and some scan several targets; another target or LUN is nobody. */
static void test_any_path_means_the_unit_and_only_its_target(void **state)
{
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36 }, capacity[10] = { 0x25 };
	struct loop *b = ide_new(3, LOOP_BLOCK_LEN, (struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = loop_open(b);
	struct vmb_guest_storage_event event;
	uint8_t data[36];

	d->address.path_id = 0xA5;
	loop_verify(b, d, 9, 4096);
	d->address.path_id = 0;
	loop_verify(b, d, 10, 4096);
	d->address.target_id = 0;
	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 0, capacity, 10, VMB_STOR_READ, data, 8,
						&event),
			 0);
	assert_int_equal(event.srb_status, VMB_SRB_INVALID_LUN);
	d->address.target_id = 1;
	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 1, capacity, 10, VMB_STOR_READ, data, 8,
						&event),
			 0);
	assert_int_equal(event.srb_status, VMB_SRB_INVALID_LUN);
	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 1, inquiry, 6, VMB_STOR_READ, data, 36,
						&event),
			 0);
	assert_int_equal(data[0], 0x7F);
	loop_free(b);
}

/* REPORT LUNS names LUN 0 alone. */
static void test_unit_is_lun_0_alone(void **state)
{
	static const uint8_t report[12] = { 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64 };
	static const uint8_t expected[16] = { 0, 0, 0, 8 };
	struct loop *b = ide_new(2, LOOP_BLOCK_LEN, (struct vmb_user_loopback_config){ 0 });
	struct vmb_guest_storage_event event;
	uint8_t data[64];

	event = ask(b, loop_open(b), report, 12, data, sizeof(data));
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(event.data_len, sizeof(expected));
	assert_memory_equal(data, expected, sizeof(expected));
	loop_free(b);
}

static void write_mark(struct loop *b, struct vmb_user_device *d, uint32_t block, uint8_t mark)
{
	struct vmb_guest_storage_event event;
	uint8_t data[LOOP_BLOCK_LEN];

	memset(data, mark, sizeof(data));
	assert_int_equal(loop_move(b, d, LOOP_WRITE, block, data, sizeof(data), &event), 0);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
}

static void test_four_units_and_a_controller_keep_apart(void **state)
{
	struct vmb_user_loopback_config config = { 0 };
	struct vmb_user_machine_device *at;
	struct vmb_user_device *d, *all[4];
	uint8_t *media[5]; /* the controller's last */
	struct loop *b;
	uint32_t i;

	for (i = 0; i < 4; i++)
		config.ides[i] = (struct vmb_dev_disk_option){ .path = "ram:512000", .ide = true };
	b = loop_new(config);
	/* The newest is the controller, then the units from the last to the first. */
	for (i = 5, at = b->l.machine.devices; i-- > 0; at = at->next)
		media[i] = ((struct vmb_dev_storage *)at->device.state)->disks[0].state;
	d = loop_open(b);
	assert_ptr_equal(d, b->l.guest.devices); /* the controller: offered last */
	for (i = 0; i < 4; i++) {
		all[i] = vmb_user_guest_ide(&b->l.guest, i / 2, i % 2);
		assert_non_null(all[i]);
		assert_ptr_not_equal(all[i], d);
		assert_int_equal(vmb_user_guest_open(&b->l.guest, all[i]), 0);
	}
	for (i = 0; i < 4; i++)
		write_mark(b, all[i], 17, (uint8_t)(0xC0 + i));
	write_mark(b, d, 17, 0xCF);
	for (i = 0; i < 4; i++)
		assert_int_equal(media[i][17 * LOOP_BLOCK_LEN], 0xC0 + i);
	assert_int_equal(media[4][17 * LOOP_BLOCK_LEN], 0xCF);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, all[1]), 0);
	write_mark(b, all[0], 18, 0xD0);
	assert_int_equal(media[0][18 * LOOP_BLOCK_LEN], 0xD0);
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	loop_expect_nothing_held(b);
	loop_free(b);
}

/* The offer's bytes: what drivers of all ages look at. */
static void test_offer_says_where_the_unit_stands(void **state)
{
	static const uint8_t instance[16] = { 1, 0, 0, 0, 1, 0, 0x99, 0x88 };
	static const uint8_t user[VMB_OFFER_USER_LEN] = { 0, 0, 1, 1, 0, 0, 0, 0, 2 };
	struct loop *b = ide_new(3, LOOP_BLOCK_LEN, (struct vmb_user_loopback_config){ 0 });
	const struct vmb_msg_offer *offer;

	offer = &loop_open(b)->channel.offer;
	assert_memory_equal(&offer->instance_id, instance, sizeof(instance));
	assert_memory_equal(offer->user, user, sizeof(user));
	assert_int_equal(offer->sub_channel_index, 0);
	loop_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offer_says_where_the_unit_stands),
		cmocka_unit_test(test_disk_works_with_every_version_at_every_place),
		cmocka_unit_test(test_guest_may_be_older_than_the_host),
		cmocka_unit_test(test_dvd_works_with_every_version),
		cmocka_unit_test(test_whole_life_leaves_nothing_behind),
		cmocka_unit_test(test_any_path_means_the_unit_and_only_its_target),
		cmocka_unit_test(test_unit_is_lun_0_alone),
		cmocka_unit_test(test_four_units_and_a_controller_keep_apart),
	};

	return cmocka_run_group_tests_name("loopback_ide", tests, NULL, NULL);
}

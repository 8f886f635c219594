// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wire of every version, byte by byte, against tests/transcripts/, which were written from
 * docs/protocol/ and not from what we send. Three casts: guest and host of ours; our guest with a
 * transcript for a host; our host with a transcript for a guest: a mistake that both ends share
 * shows in each of them.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "devices/socket.h"

#include "tests/conformance_stage.h"
#include "vmm/generation.h"

#define MESSAGES (1u << A_MESSAGE)
#define ALL	 UINT32_MAX

static const char *const bus_versions[] = { "6.0", "5.3", "5.2", "5.1", "5.0", "4.1",
					    "4.0", "3.0", "2.4", "1.1", "0.13" };
static const char *const storage_versions[] = { "6.2", "6.0", "5.1", "4.2", "2.0" };
static const char *const generations[] = { "2008", "2008r2", "2012", "2012r2",
					   "2016", "2019",   "2022", "2025" };
static const char *const casts[] = {
	[BOTH_REAL] = "guest and host", [GUEST_REAL] = "guest alone", [HOST_REAL] = "host alone"
};

static struct transcript *load(const char *what, const char *version)
{
	char file[64];

	snprintf(file, sizeof(file), "%s-%s.txt", what, version);
	return transcript_load(file);
}

/* What makes things happen. With a side that is not there, its transcript does. */

static void act_contact(struct stage *s)
{
	if (play_has_guest(&s->play))
		assert_int_equal(vmb_guest_connect_start(&s->l.guest.connect), 0);
}

static void open_with(struct stage *s, uint32_t ring_pages)
{
	struct vmb_user_device *d;

	if (!play_has_guest(&s->play))
		return;
	d = vmb_user_guest_device(&s->l.guest);
	assert_non_null(d);
	s->l.guest.config.ring_pages = ring_pages;
	d->want_open = true;
}

static void act_open(struct stage *s)
{
	open_with(s, 2);
}

static void act_open_large(struct stage *s)
{
	open_with(s, 28);
}

static void act_close(struct stage *s)
{
	if (play_has_guest(&s->play))
		vmb_user_guest_device(&s->l.guest)->want_open = false;
}

static void act_modify(struct stage *s)
{
	struct vmb_user_device *d = vmb_user_guest_device(&s->l.guest);
	int err;

	if (!play_has_guest(&s->play))
		return;
	err = vmb_guest_channel_modify(&d->channel, 0);
	assert_int_equal(err, s->bus_version < VMB_VERSION_4_1 ? VMB_EOPNOTSUPP : 0);
}

static void act_rescind(struct stage *s)
{
	if (play_has_host(&s->play))
		vmb_dev_bus_rescind(&vmb_user_loopback_first(&s->l)->channel);
}

static void act_hot_add(struct stage *s)
{
	if (play_has_host(&s->play))
		assert_non_null(vmb_user_loopback_offer(&s->l, 2));
}

static void act_unload(struct stage *s)
{
	if (play_has_guest(&s->play))
		s->l.guest.want_unload = true;
}

static void act_again(struct stage *s)
{
	if (play_has_guest(&s->play)) {
		assert_true(s->l.guest.unloaded);
		s->l.guest.want_unload = s->l.guest.unloaded = false;
	}
	act_contact(s);
}

static const struct {
	const char *section;
	void (*act)(struct stage *s);
} acts[] = {
	{ "contact", act_contact },	  { "again", act_again },
	{ "unload-again", act_unload },	  { "offers", NULL },
	{ "offers-ide", NULL },		  { "offers-monitor", NULL },
	{ "open-monitor", act_open },	  { "open", act_open },
	{ "close", act_close },		  { "modify", act_modify },
	{ "open-large", act_open_large }, { "rescind", act_rescind },
	{ "hot-add", act_hot_add },	  { "unload", act_unload },
};

static void play_bus(struct stage *s, const struct transcript *t, const char *section)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(acts); i++)
		if (!strcmp(acts[i].section, section))
			break;
	assert_true(i < VMB_ARRAY_COUNT(acts));
	stage_play(s, t, section, acts[i].act);
}

/* SCSI commands, and what the guest's driver is told of their end. */

struct command {
	const char *section;
	uint8_t lun, cdb_len, direction;
	uint8_t cdb[16];
	uint32_t len, offset, moved;
	uint8_t srb_status, scsi_status, sense_key, asc;
};

#define IN   VMB_STOR_READ
#define OUT  VMB_STOR_WRITE
#define NONE VMB_STOR_NO_DATA

/* clang-format off */
static const struct command commands[] = {
	{ "inquiry", 0, 6, IN, { 0x12, 0, 0, 0, 36 }, 36, 0, 36, 1, 0, 0, 0 },
	{ "capacity", 0, 10, IN, { 0x25 }, 8, 0, 8, 1, 0, 0, 0 },
	{ "write", 0, 10, OUT, { 0x2A, 0, 0, 0, 0x12, 0x34, 0, 0, 1 }, 512, 0xF00, 512, 1, 0, 0, 0 },
	{ "read", 0, 10, IN, { 0x28, 0, 0, 0, 0x12, 0x34, 0, 0, 1 }, 512, 0, 512, 1, 0, 0, 0 },
	{ "flush", 0, 10, NONE, { 0x35 }, 0, 0, 0, 1, 0, 0, 0 },
	{ "error", 0, 10, IN, { 0x28, 0, 0, 0, 0x80, 0, 0, 0, 1 }, 512, 0, 0, 6, 2, 5, 0x21 },
	{ "opcode", 0, 10, NONE, { 0xC1 }, 0, 0, 0, 6, 2, 5, 0x20 },
	{ "luns", 0, 12, IN, { 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64 }, 16, 0, 16, 1, 0, 0, 0 },
	{ "absent", 5, 6, NONE, { 0 }, 0, 0, 0, 0x20, 0, 0, 0 },
	{ "attention", 0, 6, NONE, { 0 }, 0, 0, 0, 4, 2, 6, 0x2A },
	{ "serial", 0, 6, IN, { 0x12, 1, 0x83, 0, 64 }, 64, 0, 52, 1, 0, 0, 0 },
	{ "capacity-2009", 0, 16, IN, { 0x9E }, 12, 0, 12, 1, 0, 0, 0 },
};
/* clang-format on */

static const struct command *command_of(const char *section)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(commands); i++)
		if (!strcmp(commands[i].section, section))
			return &commands[i];
	return NULL;
}

static void fill_pages(struct stage *s, const struct command *c)
{
	uint32_t i, at;

	s->page_count = (c->offset + c->len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	assert_true(s->page_count <= VMB_ARRAY_COUNT(s->pages));
	assert_true(vmb_user_memory_alloc(&s->l.machine.memory, s->pages, s->page_count));
	for (i = 0; c->direction == VMB_STOR_WRITE && i < c->len; i++) {
		at = c->offset + i;
		vmb_user_memory_page(&s->l.machine.memory,
				     s->pages[at / VMB_PAGE_LEN])[at % VMB_PAGE_LEN] =
			(uint8_t)(i * 7 + i / 256);
	}
}

static void submit(struct stage *s, const struct command *c)
{
	struct vmb_user_device *d = vmb_user_guest_device(&s->l.guest);

	fill_pages(s, c);
	memset(&s->request, 0, sizeof(s->request));
	s->request.pfns = s->pages;
	s->request.storage.path_id = d->address.path_id;
	s->request.storage.target_id = d->address.target_id;
	s->request.storage.lun = c->lun;
	s->request.storage.cdb_len = c->cdb_len;
	s->request.storage.direction = c->direction;
	s->request.storage.data_len = c->len;
	s->request.storage.data_offset = c->offset;
	s->request.storage.timeout_s = 60;
	memcpy(s->request.storage.cdb, c->cdb, c->cdb_len);
	assert_int_equal(vmb_user_guest_submit(d, &s->request, false), 0);
}

static void expect_end(struct stage *s, const struct command *c)
{
	const struct vmb_guest_storage_event *result = &s->request.result;

	while (vmb_user_guest_step(&s->l.guest))
		;
	assert_true(s->request.has_ended);
	assert_int_equal(result->srb_status, c->srb_status);
	assert_int_equal(result->scsi_status, c->scsi_status);
	assert_int_equal(result->data_len, c->moved);
	assert_int_equal(result->sense_len, c->sense_key ? 18 : 0);
	if (c->sense_key) {
		assert_int_equal(result->sense[2], c->sense_key);
		assert_int_equal(result->sense[12], c->asc);
	}
	vmb_user_memory_free(&s->l.machine.memory, s->pages, s->page_count);
}

static const struct command *now;

static void act_command(struct stage *s)
{
	if (play_has_guest(&s->play))
		submit(s, now);
}

static void act_resize(struct stage *s)
{
	if (play_has_host(&s->play))
		vmb_host_storage_resized(&vmb_user_loopback_first(&s->l)->host, 0);
}

static void act_reset(struct stage *s)
{
	struct vmb_user_device *d = vmb_user_guest_device(&s->l.guest);

	if (!play_has_guest(&s->play))
		return;
	assert_int_equal(vmb_guest_storage_reset(&d->storage), 0);
	d->interrupted = true; /* the port has no such verb: it looks, and writes what waits */
}

static void play_storage(struct stage *s, const struct transcript *t, const char *section)
{
	now = command_of(section);
	if (now) {
		stage_play(s, t, section, act_command);
		if (play_has_guest(&s->play))
			expect_end(s, now);
	} else if (!strcmp(section, "resize")) {
		stage_play(s, t, section, act_resize);
	} else if (!strcmp(section, "reset")) {
		stage_play(s, t, section, act_reset);
	} else {
		assert_string_equal(section, "handshake");
		stage_play(s, t, section, NULL);
	}
}

/* Of the sections of a bus some stand in for others: they are not part of its own life. */
static bool stands_in(const char *section)
{
	return !strncmp(section, "offers-", 7) || !strcmp(section, "open-monitor");
}

static void play_all(struct stage *s, const struct transcript *t,
		     void (*play)(struct stage *s, const struct transcript *t, const char *section),
		     bool bus)
{
	uint32_t i;

	for (i = 0; i < t->section_count; i++)
		if (!bus || !stands_in(t->sections[i].name))
			play(s, t, t->sections[i].name);
}

/* The messages of a whole life. */
static void expect_bus(const char *version, enum play_cast cast)
{
	struct stage_config config = { .bus_version = vmb_vmm_generation_bus(version),
				       .cast = cast,
				       .kinds = MESSAGES };
	struct transcript *t = load("bus", version);
	struct stage *s = stage_new(&config);

	print_message("# bus %s, %s\n", version, casts[cast]);
	play_all(s, t, play_bus, true);
	play_end(&s->play);
	stage_free(s);
	transcript_free(t);
}

/* A whole life with the rings: what opens, what is done, what closes. */
static void expect_storage(const char *kind, const char *bus_version, const char *version,
			   enum play_cast cast)
{
	struct stage_config config = { .bus_version = vmb_vmm_generation_bus(bus_version),
				       .storage_version = vmb_vmm_generation_storage(version),
				       .ide = !strcmp(kind, "ide"),
				       .monitors = !strcmp(kind, "monitor"),
				       .cast = cast,
				       .kinds = ALL };
	struct transcript *bus = load("bus", bus_version), *t = load(kind, version);
	struct stage *s;

	if (!strcmp(kind, "old")) {
		config.guest_storage_version = config.storage_version;
		config.storage_version = VMB_STOR_VERSION_6_2;
	}
	s = stage_new(&config);

	print_message("# %s %s on bus %s, %s\n", kind, version, bus_version, casts[cast]);
	play_bus(s, bus, "contact");
	play_bus(s, bus, config.ide ? "offers-ide" : config.monitors ? "offers-monitor" : "offers");
	play_bus(s, bus, config.monitors ? "open-monitor" : "open");
	play_all(s, t, play_storage, false);
	play_bus(s, bus, "close");
	play_bus(s, bus, "unload");
	play_end(&s->play);
	stage_free(s);
	transcript_free(bus);
	transcript_free(t);
}

static void test_bus_of_every_version_speaks_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(bus_versions); i++)
			expect_bus(bus_versions[i], cast);
}

static void test_scsi_of_every_version_speaks_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(storage_versions); i++)
			expect_storage("scsi", "6.0", storage_versions[i], cast);
}

static void test_ide_of_every_version_speaks_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(storage_versions); i++)
			expect_storage("ide", "6.0", storage_versions[i], cast);
}

/* Whose first packets are as short as its last ones. */
static void test_guest_of_every_storage_version_speaks_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(storage_versions); i++)
			expect_storage("old", "6.0", storage_versions[i], cast);
}

static void test_monitor_on_every_bus_is_used_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(bus_versions); i++)
			expect_storage("monitor", bus_versions[i], "6.2", cast);
}

static void play_section(struct stage *s, const struct transcript *t, const char *section)
{
	stage_play(s, t, section, NULL);
}

/* A guest that we do not have: Hyper-V's own, on a host that knows all versions. */
static void test_firmware_of_generation_2_is_answered_as_written(void **state)
{
	struct stage_config config = { .bus_version = VMB_VERSION_6_0,
				       .storage_version = VMB_STOR_VERSION_6_2,
				       .cast = HOST_REAL,
				       .kinds = ALL };
	struct transcript *bus = load("firmware", "bus"), *t = load("firmware", "scsi");
	struct stage *s = stage_new(&config);

	play_bus(s, bus, "contact");
	play_bus(s, bus, "offers");
	play_bus(s, bus, "open");
	play_all(s, t, play_section, false);
	play_bus(s, bus, "unload");
	play_end(&s->play);
	stage_free(s);
	transcript_free(bus);
	transcript_free(t);
}

/*
 * Sub-channels, on a host that knows all versions; what our guest asks for is in
 * tests/guest_storage_test.c.
 */
static void test_sub_channels_are_offered_as_written(void **state)
{
	static const char *const versions[] = { "5.1", "6.0", "6.2" };
	struct stage_config config = { .bus_version = VMB_VERSION_6_0,
				       .storage_version = VMB_STOR_VERSION_6_2,
				       .queue_count = 4,
				       .cast = HOST_REAL,
				       .kinds = ALL };
	struct transcript *bus = load("bus", "6.0"), *t;
	struct stage *s;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		t = load("queues", versions[i]);
		s = stage_new(&config);
		play_bus(s, bus, "contact");
		play_bus(s, bus, "offers");
		play_bus(s, bus, "open");
		play_all(s, t, play_section, false);
		play_bus(s, bus, "unload");
		play_end(&s->play);
		stage_free(s);
		transcript_free(t);
	}
	transcript_free(bus);
}

static void test_other_guests_are_answered_as_written(void **state)
{
	struct stage_config config = { .bus_version = VMB_VERSION_5_3,
				       .cast = HOST_REAL,
				       .kinds = MESSAGES };
	struct transcript *t = load("other", "guests");
	struct stage *s = stage_new(&config);

	play_all(s, t, play_section, false);
	play_end(&s->play);
	stage_free(s);
	transcript_free(t);
}

/* Sockets: the ports and words of tools/transcript/bus.py, "def sockets". */

#define SOCKET_GUEST 0x40000001u
#define SOCKET_HOST  77u

static int unix_socket(const struct stage *s, uint32_t port)
{
	struct sockaddr_un address;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), port ? "%s_%u" : "%s", s->path, port);
	fd = vmb_dev_socket_create(&address, path, SOCK_STREAM);
	assert_true(fd >= 0);
	if (port)
		assert_int_equal(
			bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void dial(struct stage *s, uint32_t number)
{
	if (play_has_guest(&s->play))
		assert_int_equal(vmb_user_socket_dial(&s->l.guest, &s->dials[number],
						      SOCKET_GUEST + number, SOCKET_HOST + number),
				 0);
}

static void act_refused(struct stage *s)
{
	dial(s, 0);
}

static void act_dialled(struct stage *s)
{
	s->service = SOCKET_GUEST + 1;
	if (play_has_host(&s->play))
		s->server = unix_socket(s, SOCKET_HOST + 1);
	dial(s, 1);
}

static void act_called(struct stage *s)
{
	static const char line[] = "CONNECT 79\n";

	s->service = SOCKET_HOST + 2;
	if (play_has_guest(&s->play))
		vmb_user_socket_listen(&s->l.guest, s->service);
	if (!play_has_host(&s->play))
		return;
	s->peer = unix_socket(s, 0);
	assert_int_equal(send(s->peer, line, sizeof(line) - 1, 0), sizeof(line) - 1);
}

static struct vmb_user_device *socket_of(struct stage *s)
{
	struct vmb_user_device *d = vmb_user_socket_find(&s->l.guest, s->service);

	assert_non_null(d);
	return d;
}

static void act_guest_talks(struct stage *s)
{
	if (play_has_guest(&s->play))
		assert_int_equal(vmb_user_socket_send(socket_of(s), "hello", 5), 5);
}

static void act_guest_ends(struct stage *s)
{
	if (play_has_guest(&s->play))
		assert_int_equal(vmb_user_socket_end(socket_of(s)), 0);
}

/* Who was called has had an "OK" by now. */
static void expect_hello(struct stage *s)
{
	char got[64] = "";
	ssize_t len;

	if (s->peer < 0)
		s->peer = accept4(s->server, NULL, NULL, SOCK_NONBLOCK);
	len = recv(s->peer, got, sizeof(got) - 1, MSG_DONTWAIT);
	assert_string_equal(got, s->service == SOCKET_HOST + 2 ? "OK 79\nhello" : "hello");
	assert_true(len > 0);
}

static void act_host_talks(struct stage *s)
{
	if (!play_has_host(&s->play))
		return;
	expect_hello(s);
	assert_int_equal(send(s->peer, "stranger", 8, 0), 8);
}

static void act_host_ends(struct stage *s)
{
	if (play_has_host(&s->play))
		assert_int_equal(shutdown(s->peer, SHUT_WR), 0);
}

/* Both ends have all that was said. */
static void expect_said(struct stage *s)
{
	char got;

	if (play_has_guest(&s->play))
		assert_memory_equal(s->l.guest.devices->socket.got, "stranger", 8);
	if (!play_has_host(&s->play))
		return;
	assert_int_equal(recv(s->peer, &got, 1, MSG_DONTWAIT), 0);
	close(s->peer);
	s->peer = -1;
}

static void play_socket(struct stage *s, const struct transcript *t, const char *section)
{
	static const struct {
		const char *section;
		void (*act)(struct stage *s);
	} all[] = {
		{ "refused", act_refused },
		{ "dialled", act_dialled },
		{ "called", act_called },
		{ "guest-talks-", act_guest_talks },
		{ "host-talks-", act_host_talks },
		{ "host-ends-", act_host_ends },
		{ "guest-ends-", act_guest_ends },
		{ "taken-back-", NULL },
		{ "contact", act_contact },
		{ "unload", act_unload },
		{ "offers", NULL },
	};
	uint32_t i = 0;

	while (i < VMB_ARRAY_COUNT(all) && strncmp(all[i].section, section, strlen(all[i].section)))
		i++;
	assert_true(i < VMB_ARRAY_COUNT(all));
	stage_play(s, t, section, all[i].act);
	if (strncmp(section, "taken-back-", 11) == 0)
		expect_said(s);
}

static void test_sockets_of_every_version_speak_as_written(void **state)
{
	struct stage_config config = { .sockets = true, .kinds = ALL };
	uint32_t cast, i;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; vmb_vmm_generation_bus(bus_versions[i]) >= VMB_VERSION_4_0; i++) {
			struct transcript *t = load("sockets", bus_versions[i]);
			struct stage *s;

			config.bus_version = vmb_vmm_generation_bus(bus_versions[i]);
			config.cast = cast;
			s = stage_new(&config);
			print_message("# sockets on bus %s, %s\n", bus_versions[i], casts[cast]);
			play_all(s, t, play_socket, false);
			play_end(&s->play);
			stage_free(s);
			transcript_free(t);
		}
}

static void test_no_changed_byte_passes(void **state)
{
	struct stage_config config = { .bus_version = VMB_VERSION_6_0,
				       .storage_version = VMB_STOR_VERSION_6_2,
				       .doubt = true,
				       .kinds = ALL };
	struct transcript *bus = load("bus", "6.0"), *t = load("scsi", "6.2");
	struct stage *s = stage_new(&config);

	play_bus(s, bus, "contact");
	play_bus(s, bus, "offers");
	play_bus(s, bus, "open");
	play_all(s, t, play_storage, false);
	play_bus(s, bus, "close");
	play_bus(s, bus, "unload");
	print_message("# %llu bytes and arguments changed, all found\n",
		      (unsigned long long)s->play.doubted);
	assert_true(s->play.doubted > 4000);
	stage_free(s);
	transcript_free(bus);
	transcript_free(t);
}

static void test_every_generation_speaks_as_written(void **state)
{
	const struct vmb_vmm_generation *g;
	char bus[16], storage[16];
	uint32_t i, cast;

	for (i = 0; i < VMB_ARRAY_COUNT(generations); i++) {
		g = vmb_vmm_generation_find(generations[i]);
		assert_non_null(g);
		snprintf(bus, sizeof(bus), "%u.%u", g->bus >> 16, g->bus & 0xFFFF);
		snprintf(storage, sizeof(storage), "%u.%u", g->storage >> 8, g->storage & 0xFF);
		print_message("# Windows Server %s\n", g->name);
		for (cast = BOTH_REAL; cast <= HOST_REAL; cast++) {
			expect_bus(bus, cast);
			expect_storage("scsi", bus, storage, cast);
			expect_storage("ide", bus, storage, cast);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bus_of_every_version_speaks_as_written),
		cmocka_unit_test(test_scsi_of_every_version_speaks_as_written),
		cmocka_unit_test(test_ide_of_every_version_speaks_as_written),
		cmocka_unit_test(test_guest_of_every_storage_version_speaks_as_written),
		cmocka_unit_test(test_monitor_on_every_bus_is_used_as_written),
		cmocka_unit_test(test_firmware_of_generation_2_is_answered_as_written),
		cmocka_unit_test(test_sub_channels_are_offered_as_written),
		cmocka_unit_test(test_other_guests_are_answered_as_written),
		cmocka_unit_test(test_sockets_of_every_version_speak_as_written),
		cmocka_unit_test(test_no_changed_byte_passes),
		cmocka_unit_test(test_every_generation_speaks_as_written),
	};

	return cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
}

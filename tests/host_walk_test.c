// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A random walk over the host's message engine: a guest that posts what it likes, a port that
 * answers late, devices that come and go, a message slot that is often busy. What may be told to
 * the guest and to the port is checked at every step against a ledger of requests; every so often
 * all is answered, and then nothing may be owed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_walk.h"

#define SEED_COUNT 24
#define STEP_COUNT 40000
#define CALM_EVERY 250

/* What arrives at the guest */

static void nothing_of_before_is_left(void)
{
	uint32_t i;

	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i])
			assert_int_equal(w->devices[i]->state, OFF);
	for (i = 0; i < LENT_MAX; i++)
		assert_null(w->lents[i]);
}

static void got_offer(const uint8_t *m)
{
	uint32_t relid = get32(m, 184);

	assert_true(relid < RELID_MAX);
	assert_false(w->views[relid].offered);
	assert_int_equal(get32(m, 192), w->version >= 0x10001 ? 0x2000 | relid : 0);
	w->views[relid].offered = true;
	w->views[relid].rescinded = false;
	w->must_offer[relid] = false;
}

static void got_torndown(uint32_t id)
{
	uint32_t index, i, tearing = 0;
	struct view *view = view_of_id(id, &index);

	assert_non_null(view);
	assert_true(view->torndown_due[index] > 0);
	view->torndown_due[index]--;
	/* The pages of this one are back; a guest may have used the id again before it knew. */
	for (i = 0; i < LENT_MAX; i++)
		if (w->lents[i] && w->lents[i]->gpadl.id == id)
			tearing += w->lents[i]->gpadl.state == VMB_HOST_GPADL_TEARING;
	assert_true(tearing <= view->torndown_due[index]);
}

static void got_delivered(void)
{
	uint32_t i;

	assert_true(w->offers_due);
	w->offers_due = false;
	for (i = 0; i < RELID_MAX; i++)
		assert_false(w->must_offer[i]);
}

static void got_of_channel(uint32_t number, const uint8_t *m)
{
	uint32_t relid = get32(m, 8);
	struct view *view = &w->views[relid];

	assert_true(relid < RELID_MAX);
	assert_true(view->offered);
	if (number == VMB_MSG_RESCIND) {
		assert_false(view->rescinded);
		view->rescinded = true;
		view->open_due = false;
	} else if (number == VMB_MSG_OPEN_RESULT) {
		assert_false(view->rescinded);
		assert_true(view->open_due);
		assert_int_equal(get32(m, 12), view->open_id);
		view->open_due = false;
		w->opened += !get32(m, 16);
	} else {
		assert_true(w->version >= 0x50003);
		assert_true(view->modify_due);
		view->modify_due = false;
	}
}

static void got_created(const uint8_t *m)
{
	uint32_t index;
	struct view *view = view_of_id(get32(m, 12), &index);

	if (!view)
		return;
	assert_true(view->created_due[index] > 0);
	view->created_due[index]--;
	w->created += !get32(m, 16);
}

static void got_version(uint32_t sint)
{
	if (sint != 2) {
		assert_true(w->refusal_due);
		w->refusal_due = false;
		return;
	}
	assert_true(w->version_due);
	w->version_due = false;
	nothing_of_before_is_left();
}

static void got_reserved(uint32_t number)
{
	bool *due = number == VMB_MSG_OPEN_RESULT ? &w->reserved_open_due : &w->reserved_close_due;

	assert_true(number == VMB_MSG_OPEN_RESULT || number == VMB_MSG_CLOSE_RESERVED_RESPONSE);
	assert_true(*due);
	*due = false;
}

static void got(const struct vmb_host_server_output *out, const uint8_t *m)
{
	uint32_t number = get32(m, 0);

	assert_true(number < 32);
	w->delivered[number]++;
	if (out->target_sint == RESERVED_SINT) {
		got_reserved(number);
		return;
	}
	switch (number) {
	case VMB_MSG_OFFER: got_offer(m); break;
	case VMB_MSG_RESCIND:
	case VMB_MSG_OPEN_RESULT:
	case VMB_MSG_MODIFY_CHANNEL_RESPONSE: got_of_channel(number, m); break;
	case VMB_MSG_OFFERS_DELIVERED: got_delivered(); break;
	case VMB_MSG_GPADL_CREATED: got_created(m); break;
	case VMB_MSG_GPADL_TORNDOWN: got_torndown(get32(m, 8)); break;
	case VMB_MSG_VERSION_RESPONSE: got_version(out->target_sint); break;
	case VMB_MSG_UNLOAD_COMPLETE:
		assert_true(w->unload_due);
		w->unload_due = false;
		nothing_of_before_is_left();
		break;
	case VMB_MSG_TL_CONNECT_RESULT:
		assert_true(w->connect_due > 0);
		w->connect_due--;
		break;
	default: fail_msg("message %u is not the host's", number);
	}
}

static bool deliver_one(void)
{
	const struct vmb_host_server_output *out = vmb_host_server_output(&w->s);
	uint8_t copy[240];

	if (!out)
		return false;
	memcpy(copy, out->payload, out->len);
	/*
	 * Where the connection does not live perhaps nobody listens; then nothing is owed there any
	 * more.
	 */
	if (out->target_sint != VMB_SYNIC_SINT_VMBUS && !roll(3)) {
		vmb_host_server_output_drop(&w->s);
		w->dropped++;
	} else {
		vmb_host_server_output_done(&w->s);
	}
	got(out, copy);
	return true;
}

/* What the guest sends */

/* The channel with this relid, if the guest may talk about it. */
static struct vmb_host_channel *shown(uint32_t relid)
{
	struct vmb_host_channel *ch = vmb_host_channel_find(&w->s, relid);

	return ch && ch->visible ? ch : NULL;
}

/* Mostly one that exists. */
static uint32_t some_relid(void)
{
	uint32_t slot = roll(DEVICE_MAX);

	if (roll(8) && w->devices[slot])
		return w->devices[slot]->ch.relid;
	return roll(DEVICE_MAX + 2);
}

static uint32_t post_on(uint32_t connection_id, const void *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len);
	uint32_t status;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	status = vmb_host_server_input(&w->s, connection_id, 1, copy, len);
	assert_true(status == 0 || status == 0x13);
	free(copy);
	return status;
}

static uint32_t post(const void *bytes, uint32_t len)
{
	return post_on(roll(2) ? 1 : 4, bytes, len);
}

static void forget_connection(void)
{
	memset(w->views, 0, sizeof(w->views));
	memset(w->must_offer, 0, sizeof(w->must_offer));
	w->version_due = w->unload_due = w->offers_due = w->refusal_due = false;
	w->reserved_open_due = w->reserved_close_due = false;
	w->connect_due = 0;
}

static void send_contact(void)
{
	static const uint32_t versions[] = { 0x60000, 0x50003, 0x50003, 0x50002,
					     0x40000, 0x20004, 0x10001, 0xD };
	uint8_t m[40] = { 14 };
	uint32_t version = versions[roll(VMB_ARRAY_COUNT(versions))];
	uint32_t connection_id = roll(2) ? 1 : 4;

	put32(m, 8, version);
	put32(m, 12, roll(BED_VP_COUNT));
	if (version < 0x50000)
		put64(m, 16, roll(20) ? (uint64_t)BED_FIRST_PFN << 12 : 0);
	else
		m[16] = roll(6) ? 2 : 5;
	if (post_on(connection_id, m, sizeof(m)))
		return;
	if (m[16] == 5 && connection_id == 4) {
		w->refusal_due = true;
		return;
	}
	forget_connection();
	w->version_due = true;
	w->contact_version = version;
	w->version = version < 0x20004 && !get32(m, 16) ? 0 : version;
}

static void send_unload(void)
{
	uint8_t m[8] = { 16 };
	bool heard = w->s.state != VMB_HOST_DISCONNECTED;
	/* Of a contact that waits it is not known yet whether it would have been refused. */
	uint32_t version = w->version_due ? w->contact_version : w->version;

	if (post(m, sizeof(m)) || !heard)
		return;
	forget_connection();
	w->unload_due = version >= 0x10001;
}

static void send_request(void)
{
	uint8_t m[8] = { 3 };
	bool heard = w->s.state == VMB_HOST_CONNECTED && !w->s.offers_requested;
	uint32_t i;

	if (post(m, sizeof(m)) || !heard)
		return;
	w->offers_due = true;
	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i] && !w->devices[i]->rescinded)
			w->must_offer[w->devices[i]->ch.relid] = true;
}

/* Mostly a GPADL that is there. */
static uint32_t ring_for(struct vmb_host_channel *ch, uint32_t relid)
{
	uint32_t i, start = roll(IDS_PER_RELID);

	for (i = 0; ch && i < IDS_PER_RELID && roll(8); i++)
		if (vmb_host_gpadl_find(ch, id_of(relid, (start + i) % IDS_PER_RELID)))
			break;
	return id_of(relid, (start + i) % IDS_PER_RELID);
}

static void send_open(void)
{
	uint32_t relid = some_relid();
	struct vmb_host_channel *ch = shown(relid);
	uint8_t m[148] = { 5 };
	bool heard =
		ch && !ch->revoked && !ch->reopen && w->s.state == VMB_HOST_CONNECTED &&
		(ch->state == VMB_HOST_CHANNEL_OFFERED || ch->state == VMB_HOST_CHANNEL_CLOSING);

	put32(m, 8, relid);
	put32(m, 12, ++w->last_open_id);
	put32(m, 16, ring_for(ch, relid));
	put32(m, 20, roll(9) ? roll(BED_VP_COUNT) : BED_VP_COUNT);
	put32(m, 24, roll(9) ? 2 : 1);
	if (post(m, sizeof(m)) || !heard)
		return;
	assert_false(w->views[relid].open_due); /* else one of the two results would be lost */
	w->views[relid].open_due = true;
	w->views[relid].open_id = w->last_open_id;
}

static void send_close(void)
{
	uint8_t m[12] = { 7 };

	put32(m, 8, some_relid());
	post(m, sizeof(m));
}

/* 4 or 5 pages, whole or the first part only; sometimes with a page outside of RAM. */
static void send_header(void)
{
	uint32_t relid = some_relid();
	uint32_t id = id_of(relid, roll(IDS_PER_RELID));
	uint32_t pages = 4 + roll(2);
	uint32_t sent = roll(3) ? pages : roll(pages);
	uint8_t m[240] = { 8 };
	uint32_t i;

	put32(m, 8, relid);
	put32(m, 12, id);
	put16(m, 16, (uint16_t)(8 + 8 * pages));
	put16(m, 18, 1);
	put32(m, 20, 4096 * pages);
	for (i = 0; i < sent; i++)
		put64(m, 28 + 8 * i, roll(60) ? BED_FIRST_PFN + i : 1);
	if (w->s.state != VMB_HOST_CONNECTED || post(m, 28 + 8 * sent) || w->s.wanted)
		return;
	created_is_due(id); /* refused at once */
}

static void send_body(void)
{
	struct lent *lent = some_lent();
	uint8_t m[240] = { 9 };
	uint32_t i, count = roll(28);

	if (!lent || lent->gpadl.state != VMB_HOST_GPADL_ASSEMBLING)
		return;
	put32(m, 12, lent->gpadl.id);
	for (i = 0; i < count; i++)
		put64(m, 16 + 8 * i, BED_FIRST_PFN + i);
	if (!post(m, 16 + 8 * count) && lent->gpadl.state != VMB_HOST_GPADL_ASSEMBLING)
		created_is_due(lent->gpadl.id);
}

static void send_teardown(void)
{
	struct lent *lent = roll(4) ? some_lent() : NULL;
	uint32_t id = lent ? lent->gpadl.id : id_of(some_relid(), roll(IDS_PER_RELID));
	uint32_t relid = (id - 0x100) / IDS_PER_RELID;
	uint32_t index = id % IDS_PER_RELID;
	struct vmb_host_channel *ch = shown(relid);
	bool heard = ch && vmb_host_gpadl_find(ch, id_of(relid, index)) &&
		     w->s.state == VMB_HOST_CONNECTED;
	uint8_t m[16] = { 11 };

	put32(m, 8, relid);
	put32(m, 12, id_of(relid, index));
	if (!post(m, sizeof(m)) && heard)
		w->views[relid].torndown_due[index]++;
}

/* Answers that wait still come after this. A teardown in use is answered no more. */
static void send_released(void)
{
	uint32_t relid = some_relid();
	struct vmb_host_channel *ch = shown(relid);
	uint32_t torndown_due[IDS_PER_RELID];
	struct view *view = &w->views[relid];
	uint8_t m[12] = { 13 };
	uint32_t i;

	if (ch && !ch->revoked && roll(30))
		return; /* or else it would not see much of the channel */
	memcpy(torndown_due, view->torndown_due, sizeof(torndown_due));
	for (i = 0; i < LENT_MAX; i++)
		if (w->lents[i] && w->lents[i]->gpadl.state == VMB_HOST_GPADL_TEARING &&
		    w->lents[i]->gpadl.channel == ch)
			torndown_due[w->lents[i]->gpadl.id % IDS_PER_RELID]--;
	put32(m, 8, relid);
	if (post(m, sizeof(m)) || !ch || shown(relid) == ch)
		return;
	memcpy(view->torndown_due, torndown_due, sizeof(torndown_due));
	view->offered = w->must_offer[relid] = false;
	view->open_due = view->modify_due = false;
}

static void send_modify(void)
{
	uint32_t relid = some_relid();
	struct vmb_host_channel *ch = shown(relid);
	bool heard = ch && w->s.state == VMB_HOST_CONNECTED && w->version >= 0x50003;
	uint8_t m[16] = { 22 };

	put32(m, 8, relid);
	put32(m, 12, roll(BED_VP_COUNT + 1));
	if (post(m, sizeof(m)) || !heard)
		return;
	assert_false(w->views[relid].modify_due);
	w->views[relid].modify_due = true;
}

static void send_tl_connect(void)
{
	uint8_t m[40] = { 21 };
	bool heard = w->s.state == VMB_HOST_CONNECTED && w->version >= 0x40001;

	if (!post(m, sizeof(m)) && heard)
		w->connect_due++;
}

static void send_reserved(void)
{
	uint8_t m[28] = { (uint8_t)(18 + roll(2)) };
	bool heard = w->s.state == VMB_HOST_CONNECTED ? w->version >= 0x40000 : m[0] == 19;

	put32(m, 8, some_relid());
	put32(m, 12, roll(BED_VP_COUNT));
	put32(m, 16, RESERVED_SINT);
	if (post(m, sizeof(m)) || !heard)
		return;
	if (m[0] == 18)
		w->reserved_open_due = true;
	else
		w->reserved_close_due = true;
}

/* Any number that asks for nothing, with any bytes. */
static void send_garbage(void)
{
	static const uint8_t numbers[] = { 0, 1, 2, 4, 6, 10, 12, 15, 17, 18, 19, 20, 23, 29, 99 };
	uint8_t m[240];
	uint32_t i;

	for (i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)roll(256);
	put32(m, 0, numbers[roll(VMB_ARRAY_COUNT(numbers))]);
	post(m, 8 + roll(233));
}

/* Steps */

static void reset_machine(void)
{
	forget_connection();
	w->version = 0;
	vmb_host_server_reset(&w->s);
}

static void guest_step(void)
{
	static void (*const often[])(void) = {
		send_open,    send_open,       send_close,    send_header,   send_header,
		send_header,  send_body,       send_teardown, send_released, send_modify,
		send_request, send_tl_connect, send_garbage,  send_reserved,
	};

	if (w->s.state == VMB_HOST_DISCONNECTED ? roll(2) : !roll(150))
		send_contact();
	else if (!roll(300))
		send_unload();
	else if (w->s.state == VMB_HOST_CONNECTED && !w->s.offers_requested && roll(2))
		send_request();
	else
		often[roll(VMB_ARRAY_COUNT(often))]();
}

static void port_step(void)
{
	uint32_t slot = roll(DEVICE_MAX);

	switch (roll(13)) {
	case 0:
		if (w->devices[slot])
			answer_device(w->devices[slot], true);
		break;
	case 1:
		if (w->s.wanted && !vmb_queue_head(&w->s.events))
			supply();
		break;
	case 2: hold_or_put(); break;
	case 3: deliver_one(); break;
	case 4:
		vmb_host_server_output(&w->s); /* shown, and the slot was busy */
		break;
	case 5:
		if (!w->devices[slot])
			add_device(slot);
		else if (!roll(16))
			rescind_device(w->devices[slot]);
		break;
	case 6:
		if (!roll(40))
			reset_machine();
		break;
	default:
		while (take_event())
			;
	}
}

static void check_step(void)
{
	uint32_t i;

	/* Nobody is told anything while the port has something to do first. */
	if (vmb_queue_head(&w->s.events))
		assert_null(vmb_host_server_output(&w->s));
	assert_true(w->s.answer_count <= VMB_HOST_ANSWER_COUNT_MAX);
	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i] && w->devices[i]->state != OFF)
			assert_ptr_equal(w->devices[i]->ring, w->devices[i]->ch.ring);
}

/* Answers everything until nothing moves. */
static void settle(void)
{
	uint32_t round, i;

	for (round = 0; round < 200; round++) {
		while (take_event())
			;
		if (w->s.wanted)
			supply();
		for (i = 0; i < DEVICE_MAX; i++)
			if (w->devices[i])
				answer_device(w->devices[i], false);
		for (i = 0; i < LENT_MAX; i++) {
			if (!w->lents[i] || !w->lents[i]->hold_count)
				continue;
			w->lents[i]->hold_count--;
			vmb_host_gpadl_put(&w->lents[i]->gpadl);
		}
		while (take_event())
			;
		while (deliver_one())
			;
	}
}

/* The guest tore down the ring of a channel that it keeps open: that answer waits for its CLOSE. */
static uint32_t waits_for_close(uint32_t id)
{
	uint32_t i;

	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i] && w->devices[i]->state == OPEN &&
		    w->devices[i]->ring->id == id &&
		    w->devices[i]->ring->state == VMB_HOST_GPADL_TEARING)
			return 1;
	return 0;
}

/* Nobody owes anybody anything. */
static void check_calm(void)
{
	uint32_t i, k;

	assert_int_not_equal(w->s.state, VMB_HOST_DISCONNECTING);
	assert_false(w->version_due || w->unload_due || w->offers_due || w->refusal_due);
	assert_false(w->reserved_open_due || w->reserved_close_due);
	assert_int_equal(w->connect_due, 0);
	for (i = 0; i < RELID_MAX; i++) {
		assert_false(w->views[i].open_due);
		assert_false(w->views[i].modify_due);
		for (k = 0; k < IDS_PER_RELID; k++) {
			assert_int_equal(w->views[i].created_due[k], 0);
			assert_int_equal(w->views[i].torndown_due[k], waits_for_close(id_of(i, k)));
		}
	}
	for (i = 0; i < DEVICE_MAX; i++) {
		struct device *device = w->devices[i];

		if (!device)
			continue;
		assert_true(device->state == OFF || device->state == OPEN);
		assert_false(device->modify_waiting);
		if (device->rescinded) {
			assert_true(w->views[device->ch.relid].rescinded);
			assert_int_equal(device->state, OFF);
		}
	}
}

static void finish(void)
{
	uint32_t i;

	reset_machine();
	settle();
	nothing_of_before_is_left();
	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i])
			rescind_device(w->devices[i]);
	settle();
	for (i = 0; i < DEVICE_MAX; i++)
		assert_null(w->devices[i]);
}

static void walk(uint32_t seed)
{
	static const struct vmb_host_ram ram = { BED_FIRST_PFN, 64 };
	struct vmb_host_server_config config = { .vp_count = BED_VP_COUNT,
						 .ram = &ram,
						 .ram_count = 1 };
	uint32_t step;

	w->random = seed;
	assert_int_equal(vmb_host_server_init(&w->s, &config), 0);
	for (step = 1; step <= STEP_COUNT; step++) {
		if (roll(2))
			guest_step();
		else
			port_step();
		check_step();
		if (step % CALM_EVERY)
			continue;
		settle();
		check_calm();
	}
	finish();
}

static void test_random_walk_keeps_every_promise(void **state)
{
	static const uint8_t seen[] = { 1, 2, 4, 6, 10, 12, 15, 17, 20, 23, 24 };
	uint64_t delivered[32];
	uint64_t opened = 0, created = 0, dropped = 0;
	uint32_t seed;
	size_t i;

	memset(delivered, 0, sizeof(delivered));
	for (seed = 1; seed <= SEED_COUNT; seed++) {
		w = calloc(1, sizeof(*w));
		assert_non_null(w);
		walk(seed);
		for (i = 0; i < 32; i++)
			delivered[i] += w->delivered[i];
		opened += w->opened;
		created += w->created;
		dropped += w->dropped;
		free(w);
	}
	/* A walk that never gets anywhere proves nothing. */
	print_message("# %llu opened, %llu GPADLs created\n", (unsigned long long)opened,
		      (unsigned long long)created);
	assert_true(opened > 1000 && created > 1000 && dropped > 100);
	for (i = 0; i < sizeof(seen); i++) {
		print_message("# message %u: %llu times\n", seen[i],
			      (unsigned long long)delivered[seen[i]]);
		assert_true(delivered[seen[i]] > 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walk_keeps_every_promise),
	};

	return cmocka_run_group_tests_name("host_walk", tests, NULL, NULL);
}

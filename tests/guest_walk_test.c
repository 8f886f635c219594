// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A random walk: a host that says anything (fitting answers, answers to nothing, cut and wild
 * messages) at any moment, and a port that calls anything. After each step the engine's books must
 * agree with themselves, and each event and message with a model that is kept from the outside. A
 * failure names its seed.
 */
#include "tests/guest_bed.h"

#include <stdio.h>

#define EVENT_COUNT (VMB_GUEST_EVENT_UNLOADED + 1)
#define RELIDS	    6u /* 1..5 are offered */
#define GPADLS	    3u /* a channel */
#define PAGES_MAX   70u
#define STEPS	    4000u
#define WALKS	    120u

struct walk_gpadl {
	struct vmb_guest_gpadl gpadl;
	uint32_t got_count; /* qwords that the host has seen */
	bool ended; /* CREATED was reported; until TORNDOWN */
};

struct walk_channel {
	struct vmb_guest_channel ch;
	struct walk_gpadl gpadls[GPADLS];
	bool used; /* the port has it linked */
	bool rescinded;
	bool result_due; /* OPEN is posted and neither answered nor rescinded */
	bool released; /* the host has seen RELID_RELEASED */
};

struct walk {
	struct bench b;
	uint32_t seed; /* 0: it went well */
	uint32_t random;
	struct walk_channel
		channels[RELIDS * 2]; /* twice: a new one may come while the old one goes */
	uint64_t pfns[PAGES_MAX];
	uint32_t last_gpadl; /* whose parts the host is collecting, 0 = none */
	uint32_t events[EVENT_COUNT];
};

static uint32_t draw(struct walk *w, uint32_t below)
{
	w->random = w->random * 1664525u + 1013904223u;
	return (w->random >> 8) % below;
}

static struct walk_channel *any_channel(struct walk *w)
{
	return &w->channels[draw(w, RELIDS * 2)];
}

static struct walk_channel *channel_of(struct vmb_guest_channel *ch)
{
	return VMB_CONTAINER_OF(ch, struct walk_channel, ch);
}

static struct walk_gpadl *any_gpadl(struct walk *w, struct walk_channel *wc)
{
	return &wc->gpadls[draw(w, GPADLS)];
}

static struct walk_gpadl *gpadl_by_id(struct walk *w, uint32_t id)
{
	struct vmb_guest_gpadl *gpadl;

	for (gpadl = w->b.c.gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->id == id)
			return VMB_CONTAINER_OF(gpadl, struct walk_gpadl, gpadl);
	return NULL;
}

/* ---- what must always hold ---- */

static void check_queue(struct vmb_guest_connect *c)
{
	struct vmb_link *last = NULL;
	struct vmb_link *link;
	bool found = !c->sending;
	uint32_t count = 0;

	for (link = c->posts.head; link; link = link->next) {
		assert_true(link->queued);
		assert_in_range(++count, 1, 200);
		found |= link == c->sending;
		last = link;
	}
	assert_ptr_equal(c->posts.tail, last);
	assert_true(found);
	assert_true(!c->sending || c->sending == c->posts.head);
}

static void check_books(struct walk *w)
{
	struct vmb_guest_connect *c = &w->b.c;
	struct vmb_guest_gpadl *gpadl;
	struct walk_channel *wc;
	uint32_t i, count = 0;

	check_queue(c);
	for (gpadl = c->gpadls; gpadl; gpadl = gpadl->next) {
		assert_int_not_equal(gpadl->state, VMB_GUEST_GPADL_NONE);
		assert_in_range(gpadl->sent_count, 0, gpadl->pfn_count + 1);
		assert_true(channel_of(gpadl->channel)->used);
		assert_in_range(++count, 1, RELIDS * 2 * GPADLS);
	}
	/* The whole table is long: now and then. */
	for (i = 0; i < VMB_CHANNEL_COUNT_MAX && w->events[0] % 16 == 0; i++)
		assert_true(!c->channels[i] || c->channels[i]->relid == i);
	for (i = 0; i < RELIDS * 2; i++) {
		wc = &w->channels[i];
		if (!wc->used)
			continue;
		if (!wc->ch.released) /* then a RESCIND is no event */
			assert_int_equal(wc->ch.rescinded, wc->rescinded);
		if (wc->ch.state == VMB_GUEST_CHANNEL_OPENING)
			assert_true(wc->result_due);
		if (wc->rescinded)
			assert_true(wc->ch.state == VMB_GUEST_CHANNEL_OPEN ||
				    wc->ch.state == VMB_GUEST_CHANNEL_CLOSED);
	}
}

/* ---- the port ---- */

static void port_add(struct walk *w)
{
	struct walk_channel *wc = any_channel(w);

	if (wc->used)
		return; /* no memory: the offer is not taken */
	memset(wc, 0, sizeof(*wc));
	assert_int_equal(vmb_guest_channel_add(&w->b.c, &wc->ch, &w->b.event.offer), 0);
	wc->used = true;
}

static void port_event(struct walk *w)
{
	struct vmb_guest_event *event = &w->b.event;
	struct walk_channel *wc = event->channel ? channel_of(event->channel) : NULL;
	struct walk_gpadl *wg =
		event->gpadl ? VMB_CONTAINER_OF(event->gpadl, struct walk_gpadl, gpadl) : NULL;

	w->events[event->type]++;
	if (wc)
		assert_true(wc->used);
	switch (event->type) {
	case VMB_GUEST_EVENT_OFFER:
		assert_in_range(event->offer.relid, 1, 2047);
		port_add(w);
		break;
	case VMB_GUEST_EVENT_RESCIND:
		assert_false(wc->rescinded);
		wc->rescinded = true;
		wc->result_due = false;
		break;
	case VMB_GUEST_EVENT_OPEN_RESULT:
		assert_true(wc->result_due);
		assert_false(wc->rescinded);
		wc->result_due = false;
		break;
	case VMB_GUEST_EVENT_GPADL_CREATED:
		assert_false(wg->ended);
		assert_true(wg->got_count);
		if (!event->status)
			assert_int_equal(wg->got_count, wg->gpadl.pfn_count + 1);
		wg->ended = !event->status;
		break;
	case VMB_GUEST_EVENT_GPADL_TORNDOWN:
		assert_true(wg->ended);
		assert_int_equal(wg->gpadl.state, VMB_GUEST_GPADL_NONE);
		wg->ended = false;
		break;
	default: break;
	}
}

static void port_remove_all(struct walk *w)
{
	uint32_t i;

	for (i = 0; i < RELIDS * 2; i++) {
		if (!w->channels[i].used)
			continue;
		vmb_guest_channel_remove(&w->channels[i].ch);
		assert_true(vmb_guest_channel_gone(&w->channels[i].ch));
		memset(&w->channels[i], 0, sizeof(w->channels[i]));
	}
}

static void port_establish(struct walk *w, struct walk_channel *wc)
{
	struct walk_gpadl *wg = any_gpadl(w, wc);
	uint32_t pages = 1 + draw(w, PAGES_MAX);

	if (!vmb_guest_gpadl_establish(&wc->ch, &wg->gpadl, w->pfns, pages, pages * PAGE, 0))
		wg->got_count = 0;
}

static void port_channel(struct walk *w, struct walk_channel *wc)
{
	struct walk_gpadl *wg = any_gpadl(w, wc);

	switch (draw(w, 10)) {
	case 0:
	case 1: port_establish(w, wc); break;
	case 2:
	case 3:
		if (wg->gpadl.channel &&
		    !vmb_guest_channel_open(&wc->ch, &wg->gpadl, 2, draw(w, 4), NULL, 0))
			wc->result_due = true;
		break;
	case 4:
		if (!vmb_guest_channel_close(&wc->ch))
			wc->result_due = false;
		break;
	case 5: vmb_guest_gpadl_teardown(&wg->gpadl); break;
	case 6: vmb_guest_channel_modify(&wc->ch, draw(w, 4)); break;
	case 7: vmb_guest_channel_release(&wc->ch); break;
	}
}

static void port_step(struct walk *w)
{
	struct vmb_guest_connect *c = &w->b.c;
	struct walk_channel *wc = any_channel(w);

	if (c->state == VMB_GUEST_IDLE) {
		port_remove_all(w);
		w->last_gpadl = 0;
		assert_int_equal(vmb_guest_connect_start(c), 0);
	} else if (wc->used) {
		port_channel(w, wc);
		if (vmb_guest_channel_gone(&wc->ch)) {
			memset(wc, 0xEE, sizeof(*wc));
			wc->used = false;
		}
	} else if (!draw(w, 300)) {
		vmb_guest_connect_unload(c);
	} else {
		vmb_guest_connect_request_offers(c);
	}
}

/* ---- what the host sees ---- */

/* Whether the parts of a list that somebody still wants are on their way. */
static bool collecting(struct walk *w)
{
	struct walk_gpadl *wg = w->last_gpadl ? gpadl_by_id(w, w->last_gpadl) : NULL;

	return wg && wg->gpadl.state == VMB_GUEST_GPADL_SENDING;
}

static void host_sees_part(struct walk *w, uint32_t type, uint32_t header_len)
{
	struct walk_gpadl *wg = gpadl_by_id(w, (uint32_t)get(w->b.out, 12, 4));

	assert_non_null(wg);
	assert_true(type == 8 ? !collecting(w) : w->last_gpadl == wg->gpadl.id);
	if (type == 8)
		assert_int_equal(get(w->b.out, 16, 2), 8 * (wg->gpadl.pfn_count + 1));
	wg->got_count += (w->b.out_len - header_len) / 8;
	assert_in_range(wg->got_count, 1, wg->gpadl.pfn_count + 1);
	w->last_gpadl = wg->got_count == wg->gpadl.pfn_count + 1 ? 0 : wg->gpadl.id;
}

/*
 * The channel that a message of this type may speak of: nothing is said after RELID_RELEASED, which
 * for a primary only follows RESCIND, which no OPEN does. A host that doesn't keep to the rules can
 * have two channels with one relid.
 */
static struct walk_channel *spoken_of(struct walk *w, uint32_t relid, uint32_t type)
{
	struct walk_channel *wc;

	for (wc = w->channels; wc < w->channels + RELIDS * 2; wc++)
		if (wc->used && wc->ch.relid == relid && !wc->released &&
		    (type != 13 || wc->rescinded || wc->ch.offer.sub_channel_index) &&
		    (type != 5 || !wc->rescinded))
			return wc;
	return NULL;
}

static void host_sees_relid(struct walk *w, uint32_t type)
{
	struct walk_channel *wc = spoken_of(w, (uint32_t)get(w->b.out, 8, 4), type);

	assert_non_null(wc);
	if (type == 13)
		wc->released = true;
}

static void host_sees(struct walk *w)
{
	uint32_t type = (uint32_t)get(w->b.out, 0, 4);

	if (type == 8 || type == 9)
		host_sees_part(w, type, type == 8 ? 20 : 16);
	if (type == 5 || type == 7 || type == 8 || type == 11 || type == 13 || type == 22)
		host_sees_relid(w, type);
}

/* ---- the host ---- */

static void host_garbage(struct walk *w)
{
	uint32_t len = draw(w, 242);
	uint32_t i;

	for (i = 0; i < len; i++)
		w->b.in[i] = (uint8_t)draw(w, 256);
	if (draw(w, 4))
		put(w->b.in, 0, draw(w, 32), 4);
	deliver(&w->b, len);
}

static uint32_t any_relid(struct walk *w)
{
	return draw(w, 50) ? draw(w, RELIDS) : w->random;
}

/* Which answer a channel waits for, if any. */
static uint32_t fitting_answer(struct walk *w, struct walk_channel *wc)
{
	if (wc->used && wc->ch.modifying)
		return 3;
	if (wc->used && wc->ch.state == VMB_GUEST_CHANNEL_OPENING)
		return 0;
	return 1 + draw(w, 2);
}

static void host_answer(struct walk *w)
{
	struct walk_channel *wc = any_channel(w);
	struct walk_gpadl *wg = any_gpadl(w, wc);
	uint32_t relid = wc->used ? wc->ch.relid : any_relid(w);
	uint32_t open_id = wc->used && draw(w, 4) ? wc->ch.open_id : w->b.c.last_open_id;
	uint32_t status = draw(w, 4) ? 0 : 0x8000FFFF;

	switch (draw(w, 4) ? fitting_answer(w, wc) : draw(w, 4)) {
	case 0: say_result(&w->b, 6, relid, open_id, status); break;
	case 1: say_result(&w->b, 10, relid, wc->used ? wg->gpadl.id : 1, status); break;
	case 2: say_torndown(&w->b, wc->used ? wg->gpadl.id : 1); break;
	case 3: say_modified(&w->b, relid, status); break;
	}
}

static void host_step(struct walk *w)
{
	uint32_t relid = any_relid(w);

	switch (draw(w, 9)) {
	case 0: host_garbage(w); break;
	case 1:
		say_version(&w->b, !!draw(w, 2), !draw(w, 5), 1 + draw(w, 3), 16 + draw(w, 8));
		break;
	case 2:
	case 3: say_offer(&w->b, relid, (uint8_t)draw(w, 3), !draw(w, 3)); break;
	case 4:
		if (!draw(w, 6))
			say_rescind(&w->b, relid);
		else
			say_bare(&w->b, 4);
		break;
	case 5:
		if (w->b.c.state == VMB_GUEST_UNLOADING || !draw(w, 20))
			say_bare(&w->b, 17);
		else
			host_answer(w);
		break;
	default: host_answer(w); break;
	}
	port_event(w);
}

/*
 * The sender: the message leaves at once, or the host speaks first, or the hypervisor refuses it.
 * The host counts as having seen it from the moment it is handed out: only a liar answers what was
 * refused.
 */
static void sender_step(struct walk *w)
{
	static const uint32_t statuses[] = { 0x12, 0x13, 0x78, 0x0B };
	bool again = w->b.c.sending;

	if (!peek(&w->b))
		return;
	if (!again)
		host_sees(w);
	if (!draw(w, 6)) {
		vmb_guest_connect_output_refused(&w->b.c, statuses[draw(w, 4)]);
		return;
	}
	while (!draw(w, 3)) {
		host_step(w);
		check_books(w);
	}
	vmb_guest_connect_output_done(&w->b.c);
}

static void walk(struct walk *w, uint32_t seed)
{
	static const uint32_t tops[] = { 0x60000, 0x50003, 0x40001, 0x50003, 0x10001, 0xD };
	uint32_t i;

	memset(w, 0, sizeof(*w));
	bench_init(&w->b, tops[seed % 6]);
	w->seed = seed;
	w->random = seed;
	for (i = 0; i < STEPS; i++) {
		switch (draw(w, 3)) {
		case 0: port_step(w); break;
		case 1: host_step(w); break;
		case 2: sender_step(w); break;
		}
		check_books(w);
	}
	w->seed = 0;
}

static void test_any_order_keeps_the_books(void **state)
{
	uint32_t events[EVENT_COUNT] = { 0 };
	struct walk *w = *state;
	uint32_t seed, type;

	for (seed = 1; seed <= WALKS; seed++) {
		walk(w, seed);
		for (type = 0; type < EVENT_COUNT; type++)
			events[type] += w->events[type];
	}
	/* A walk that gets nowhere proves nothing. */
	for (type = 0; type < EVENT_COUNT; type++) {
		printf("# event %2u: %u\n", type, events[type]);
		assert_in_range(events[type], 10, 0xFFFFFFFF);
	}
}

static int make_walk(void **state)
{
	*state = calloc(1, sizeof(struct walk));
	return *state ? 0 : -1;
}

static int drop_walk(void **state)
{
	struct walk *w = *state;

	if (w->seed)
		printf("# failed with seed %u\n", w->seed);
	free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_order_keeps_the_books, make_walk,
						drop_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

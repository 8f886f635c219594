// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The random walk's dice, its ledger of what must hold, and the port that it drives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_walk.h"

struct walk *w;

uint32_t roll(uint32_t sides)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % sides;
}

uint32_t id_of(uint32_t relid, uint32_t index)
{
	return 0x100 + relid * IDS_PER_RELID + index;
}

/* What the guest is owed of GPADL id; NULL when the walk never uses that id. */
struct view *view_of_id(uint32_t id, uint32_t *index)
{
	if (id < 0x100 || id >= 0x100 + RELID_MAX * IDS_PER_RELID)
		return NULL;
	*index = id % IDS_PER_RELID;
	return &w->views[(id - 0x100) / IDS_PER_RELID];
}

/* The port */

static struct device *known(struct vmb_host_channel *ch)
{
	uint32_t i;

	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i] && &w->devices[i]->ch == ch)
			return w->devices[i];
	fail_msg("an event names a channel that was released");
	return NULL;
}

void created_is_due(uint32_t id)
{
	uint32_t index;
	struct view *view = view_of_id(id, &index);

	if (view)
		view->created_due[index]++;
}

void supply(void)
{
	bool gone = !w->s.wanted_channel;
	struct lent *lent;
	uint32_t i, id = get32(w->s.wanted_message, 12);
	uint32_t len = w->s.wanted_message[16] | w->s.wanted_message[17] << 8;

	for (i = 0; i < LENT_MAX && w->lents[i]; i++)
		;
	if (i == LENT_MAX || !roll(10)) {
		vmb_host_gpadl_supply(&w->s, NULL, NULL);
		if (!gone)
			created_is_due(id);
		return;
	}
	lent = w->lents[i] = calloc(1, sizeof(*lent));
	assert_non_null(lent);
	lent->device = gone ? NULL : known(w->s.wanted_channel);
	lent->gpadl.port = malloc(len);
	vmb_host_gpadl_supply(&w->s, &lent->gpadl, lent->gpadl.port);
	if (!gone && lent->gpadl.state != VMB_HOST_GPADL_ASSEMBLING)
		created_is_due(id);
}

static void gpadl_released(struct vmb_host_gpadl *gpadl)
{
	struct lent *lent = NULL;
	uint32_t i;

	for (i = 0; i < LENT_MAX; i++)
		if (w->lents[i] && &w->lents[i]->gpadl == gpadl)
			break;
	assert_true(i < LENT_MAX);
	lent = w->lents[i];
	assert_int_equal(lent->hold_count, 0);
	assert_int_equal(gpadl->state, VMB_HOST_GPADL_RELEASED);
	if (lent->device)
		assert_true(lent->device->state == OFF || lent->device->ring != gpadl);
	w->lents[i] = NULL;
	free(gpadl->port);
	free(lent);
}

static void channel_released(struct device *device)
{
	uint32_t i;

	assert_true(device->rescinded);
	assert_int_equal(device->state, OFF);
	assert_false(device->modify_waiting);
	for (i = 0; i < LENT_MAX; i++)
		assert_true(!w->lents[i] || w->lents[i]->device != device);
	for (i = 0; i < DEVICE_MAX; i++)
		if (w->devices[i] == device)
			w->devices[i] = NULL;
	free(device);
}

bool take_event(void)
{
	struct vmb_host_event event;
	struct device *device = NULL;

	if (!vmb_host_server_event(&w->s, &event))
		return false;
	if (event.channel)
		device = known(event.channel);
	switch (event.type) {
	case VMB_HOST_EVENT_OPEN:
		assert_int_equal(device->state, OFF);
		assert_non_null(device->ch.ring);
		device->ring = device->ch.ring;
		device->state = OPENING;
		break;
	case VMB_HOST_EVENT_CLOSE:
		assert_int_equal(device->state, OPEN);
		device->state = CLOSING;
		break;
	case VMB_HOST_EVENT_MODIFY:
		assert_false(device->modify_waiting);
		assert_true(device->state == OPEN);
		device->modify_waiting = true;
		break;
	case VMB_HOST_EVENT_GPADL_RELEASED: gpadl_released(event.gpadl); break;
	case VMB_HOST_EVENT_RELEASED: channel_released(device); break;
	default: break;
	}
	return true;
}

/* Answers what this device was asked; with any luck. */
void answer_device(struct device *device, bool may_fail)
{
	uint32_t status = may_fail && !roll(4) ? VMB_STATUS_FAILURE : 0;

	if (device->modify_waiting && roll(2)) {
		device->modify_waiting = false;
		vmb_host_channel_modified(&device->ch, status);
	} else if (device->state == OPENING) {
		device->state = status ? OFF : OPEN;
		vmb_host_channel_opened(&device->ch, status);
	} else if (device->state == CLOSING) {
		device->state = OFF;
		vmb_host_channel_closed(&device->ch);
	}
}

void add_device(uint32_t slot)
{
	struct device *device = calloc(1, sizeof(*device));
	uint32_t i, j;

	assert_non_null(device);
	device->ch.instance_id.bytes[0] = (uint8_t)slot;
	assert_int_equal(vmb_host_channel_offer(&w->s, &device->ch), 0);
	assert_true(device->ch.relid >= 1 && device->ch.relid < RELID_MAX);
	w->devices[slot] = device;
	for (i = 0; i < DEVICE_MAX; i++)
		for (j = 0; j < i; j++)
			if (w->devices[i] && w->devices[j])
				assert_int_not_equal(w->devices[i]->ch.connection_id,
						     w->devices[j]->ch.connection_id);
}

void rescind_device(struct device *device)
{
	if (!device->rescinded)
		w->must_offer[device->ch.relid] = false;
	device->rescinded = true;
	vmb_host_channel_rescind(&device->ch);
}

struct lent *some_lent(void)
{
	uint32_t i, start = roll(LENT_MAX);

	for (i = 0; i < LENT_MAX; i++)
		if (w->lents[(start + i) % LENT_MAX])
			return w->lents[(start + i) % LENT_MAX];
	return NULL;
}

void hold_or_put(void)
{
	struct lent *lent = some_lent();

	if (!lent)
		return;
	if (lent->hold_count && roll(3)) {
		lent->hold_count--;
		vmb_host_gpadl_put(&lent->gpadl);
	} else if (lent->gpadl.state == VMB_HOST_GPADL_READY) {
		lent->hold_count++;
		vmb_host_gpadl_get(&lent->gpadl);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A thread that calls nbd_aio_connect_uri(), so that the thread which serves a disk never waits for
 * a name server: a reset and the end would wait with it.
 */
#include <errno.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk/nbd_connection.h"
#include "devices/disk/nbd_dial.h"
#include "devices/role.h"

enum state {
	IDLE,
	ASKED,
	UNDER_WAY, /* the thread uses the handle, without the lock */
	CONNECTED,
	FAILED,
};

struct slot {
	enum state state;
	bool dropped; /* UNDER_WAY, and nobody wants it */
	struct nbd_handle *handle;
};

struct vmb_dev_nbd_dial {
	char *uri;
	int wake;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct slot slots[VMB_DEV_NBD_CONNECTION_MAX];
	bool ending;
};

static void empty(struct slot *slot)
{
	nbd_close(slot->handle);
	*slot = (struct slot){ .state = IDLE };
}

static struct slot *find(struct vmb_dev_nbd_dial *dial, enum state state)
{
	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++)
		if (dial->slots[i].state == state)
			return &dial->slots[i];
	return NULL;
}

/* With the lock, which it gives up while it waits for the name server. */
static void connect_slot(struct vmb_dev_nbd_dial *dial, struct slot *slot)
{
	bool connected;

	slot->state = UNDER_WAY;
	pthread_mutex_unlock(&dial->lock);
	connected = nbd_aio_connect_uri(slot->handle, dial->uri) == 0;
	pthread_mutex_lock(&dial->lock);
	slot->state = connected ? CONNECTED : FAILED;
	if (slot->dropped || dial->ending)
		empty(slot);
	else if (write(dial->wake, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		return;
}

static void free_all(struct vmb_dev_nbd_dial *dial)
{
	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++)
		nbd_close(dial->slots[i].handle);
	pthread_cond_destroy(&dial->changed);
	pthread_mutex_destroy(&dial->lock);
	free(dial->uri);
	free(dial);
}

static void *work(void *arg)
{
	struct vmb_dev_nbd_dial *dial = arg;
	struct slot *slot;

	vmb_dev_role_enter(VMB_DEV_ROLE_NBD);
	pthread_mutex_lock(&dial->lock);
	while (!dial->ending) {
		slot = find(dial, ASKED);
		if (slot)
			connect_slot(dial, slot);
		else
			pthread_cond_wait(&dial->changed, &dial->lock);
	}
	pthread_mutex_unlock(&dial->lock);
	free_all(dial);
	return NULL;
}

struct vmb_dev_nbd_dial *vmb_dev_nbd_dial_start(const char *uri, int wake)
{
	struct vmb_dev_nbd_dial *dial = calloc(1, sizeof(*dial));
	int error = ENOMEM;

	if (!dial)
		return NULL;
	pthread_mutex_init(&dial->lock, NULL);
	pthread_cond_init(&dial->changed, NULL);
	dial->wake = wake;
	dial->uri = strdup(uri);
	if (dial->uri)
		error = pthread_create(&dial->thread, NULL, work, dial);
	if (!error)
		return dial;
	free_all(dial);
	errno = error;
	return NULL;
}

bool vmb_dev_nbd_dial(struct vmb_dev_nbd_dial *dial, uint32_t i, struct nbd_handle *handle)
{
	struct slot *slot = &dial->slots[i];
	bool takes;

	pthread_mutex_lock(&dial->lock);
	takes = slot->state == IDLE;
	if (takes)
		*slot = (struct slot){ .state = ASKED, .handle = handle };
	pthread_cond_signal(&dial->changed);
	pthread_mutex_unlock(&dial->lock);
	return takes;
}

enum vmb_dev_nbd_dialled vmb_dev_nbd_dialled(struct vmb_dev_nbd_dial *dial, uint32_t i,
					     struct nbd_handle **handle)
{
	enum vmb_dev_nbd_dialled said = VMB_DEV_NBD_DIALLING;
	struct slot *slot = &dial->slots[i];

	pthread_mutex_lock(&dial->lock);
	if (slot->state == CONNECTED) {
		*handle = slot->handle;
		*slot = (struct slot){ .state = IDLE };
		said = VMB_DEV_NBD_DIALLED;
	} else if (slot->state == FAILED) {
		empty(slot);
		said = VMB_DEV_NBD_DIAL_FAILED;
	}
	pthread_mutex_unlock(&dial->lock);
	return said;
}

void vmb_dev_nbd_dial_drop(struct vmb_dev_nbd_dial *dial, uint32_t i)
{
	struct slot *slot = &dial->slots[i];

	pthread_mutex_lock(&dial->lock);
	slot->dropped = slot->state == UNDER_WAY;
	if (!slot->dropped)
		empty(slot);
	pthread_mutex_unlock(&dial->lock);
}

void vmb_dev_nbd_dial_end(struct vmb_dev_nbd_dial *dial)
{
	pthread_t thread;
	bool busy;

	if (!dial)
		return;
	thread = dial->thread;
	pthread_mutex_lock(&dial->lock);
	dial->ending = true;
	busy = find(dial, UNDER_WAY);
	pthread_cond_signal(&dial->changed);
	pthread_mutex_unlock(&dial->lock);
	if (busy)
		pthread_detach(thread);
	else
		pthread_join(thread, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opens a card's channels and lends memory as a guest does: sends a message and waits for its
 * answer.
 */
#include <stdlib.h>
#include <time.h>

#include "ports/user/network_bus.h"

#define PATIENCE_MS 10000u /* with threads */

/* Messages; bus->lock is held. */

static struct vmb_user_network_channel *channel_of(struct vmb_guest_channel *core)
{
	return VMB_CONTAINER_OF(core, struct vmb_user_network_channel, core);
}

static struct vmb_user_network_lent *lent_of(struct vmb_guest_gpadl *gpadl)
{
	return VMB_CONTAINER_OF(gpadl, struct vmb_user_network_lent, gpadl);
}

static void event_connected(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	vmb_guest_connect_request_offers(&bus->connect);
}

static void event_offer(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	uint16_t queue = event->offer.sub_channel_index;
	struct vmb_user_network_channel *ch = calloc(1, sizeof(*ch));

	if (!ch || queue >= VMB_USER_NETWORK_QUEUE_MAX || bus->channels[queue] ||
	    vmb_guest_channel_add(&bus->connect, &ch->core, &event->offer))
		free(ch);
	else
		bus->channels[queue] = ch;
}

/* The guest closes sub-channels before their primary, so what is taken away is closed. */
static void event_rescind(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	struct vmb_user_network_channel *ch = channel_of(event->channel);

	if (vmb_guest_channel_release(&ch->core))
		return;
	bus->channels[ch->core.offer.sub_channel_index] = NULL;
	ch->next = bus->released;
	bus->released = ch;
}

static void event_opened(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	channel_of(event->channel)->answered = true;
	channel_of(event->channel)->refused = event->status != 0;
}

static void event_lent(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	lent_of(event->gpadl)->refused = event->status != 0;
}

static void event_torndown(struct vmb_user_network_bus *bus, const struct vmb_guest_event *event)
{
	memset(event->gpadl, 0, sizeof(*event->gpadl));
}

static bool take_message(struct vmb_user_network_bus *bus)
{
	static void (*const handlers[])(struct vmb_user_network_bus *,
					const struct vmb_guest_event *) = {
		[VMB_GUEST_EVENT_CONNECTED] = event_connected,
		[VMB_GUEST_EVENT_OFFER] = event_offer,
		[VMB_GUEST_EVENT_RESCIND] = event_rescind,
		[VMB_GUEST_EVENT_OPEN_RESULT] = event_opened,
		[VMB_GUEST_EVENT_GPADL_CREATED] = event_lent,
		[VMB_GUEST_EVENT_GPADL_TORNDOWN] = event_torndown,
		[VMB_GUEST_EVENT_UNLOADED] = NULL,
	};
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
	struct vmb_guest_event event;
	uint32_t len = vmb_user_synic_take(&bus->machine.synic, payload);

	if (!len)
		return false;
	vmb_user_machine_eom(&bus->machine);
	if (!vmb_guest_connect_input(&bus->connect, payload, len, &event) && handlers[event.type])
		handlers[event.type](bus, &event);
	return true;
}

static bool post_messages(struct vmb_user_network_bus *bus)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status;
	bool any = false;

	while ((out = vmb_guest_connect_output(&bus->connect))) {
		status = vmb_user_machine_post(&bus->machine, out->connection_id, out->payload,
					       out->len);
		if (!status)
			vmb_guest_connect_output_done(&bus->connect);
		else if (vmb_guest_connect_output_refused(&bus->connect, status) == VMB_EAGAIN)
			return any;
		any = true;
	}
	return any;
}

static void free_released(struct vmb_user_network_bus *bus)
{
	struct vmb_user_network_channel **at = &bus->released, *ch;

	while ((ch = *at)) {
		if (!vmb_guest_channel_gone(&ch->core)) {
			at = &ch->next;
			continue;
		}
		*at = ch->next;
		free(ch);
	}
}

bool vmb_user_network_bus_step(struct vmb_user_network_bus *bus)
{
	bool any;

	pthread_mutex_lock(&bus->lock);
	any = take_message(bus);
	any |= post_messages(bus);
	free_released(bus);
	pthread_mutex_unlock(&bus->lock);
	return any;
}

/* Waiting */

/* Returns what done says at the end: false, when nothing moves any more. */
static bool wait_for(struct vmb_user_network_bus *bus, bool (*done)(void *arg), void *arg)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint32_t waited = 0;
	bool any, is_done;

	for (;;) {
		any = vmb_user_network_bus_step(bus);
		if (bus->step)
			any |= bus->step(bus->step_arg);
		pthread_mutex_lock(&bus->lock);
		is_done = done(arg);
		pthread_mutex_unlock(&bus->lock);
		if (is_done || (!any && (bus->step || waited++ == PATIENCE_MS)))
			return is_done;
		if (!any)
			nanosleep(&ms, NULL);
	}
}

static bool is_connected(void *arg)
{
	return ((struct vmb_user_network_bus *)arg)->connect.offers_delivered;
}

int vmb_user_network_bus_connect(struct vmb_user_network_bus *bus)
{
	int err;

	pthread_mutex_lock(&bus->lock);
	err = bus->connect.state == VMB_GUEST_IDLE ? vmb_guest_connect_start(&bus->connect) : 0;
	pthread_mutex_unlock(&bus->lock);
	if (err)
		return err;
	return wait_for(bus, is_connected, bus) ? 0 : VMB_EAGAIN;
}

/* Memory */

static struct vmb_user_network_lent *find_memory(struct vmb_user_network_bus *bus,
						 const uint8_t *memory)
{
	for (uint32_t i = 0; i < VMB_USER_NETWORK_LENT_MAX; i++)
		if (bus->lent[i].memory == memory)
			return &bus->lent[i];
	return NULL;
}

static bool fill_lent(struct vmb_user_network_bus *bus, struct vmb_user_network_lent *lent,
		      uint32_t len)
{
	uint32_t count = len / VMB_PAGE_LEN;

	memset(lent, 0, sizeof(*lent));
	lent->pfns = calloc(count, sizeof(*lent->pfns));
	if (!lent->pfns || !vmb_user_memory_alloc(&bus->machine.memory, lent->pfns, count)) {
		free(lent->pfns);
		return false;
	}
	lent->memory = vmb_user_memory_map(&bus->machine.memory, lent->pfns, count);
	lent->len = len;
	if (lent->memory)
		return true;
	vmb_user_memory_free(&bus->machine.memory, lent->pfns, count);
	free(lent->pfns);
	return false;
}

uint8_t *vmb_user_network_bus_alloc(struct vmb_user_network_bus *bus, uint32_t len)
{
	struct vmb_user_network_lent *lent;
	uint8_t *memory = NULL;

	pthread_mutex_lock(&bus->lock);
	lent = find_memory(bus, NULL);
	if (lent && fill_lent(bus, lent, len)) {
		memory = lent->memory;
		bus->lent_len += len;
	}
	pthread_mutex_unlock(&bus->lock);
	return memory;
}

void vmb_user_network_bus_free(struct vmb_user_network_bus *bus, uint8_t *memory)
{
	struct vmb_user_network_lent *lent;

	if (!memory)
		return;
	pthread_mutex_lock(&bus->lock);
	lent = find_memory(bus, memory);
	vmb_user_memory_unmap(lent->memory, lent->len / VMB_PAGE_LEN);
	vmb_user_memory_free(&bus->machine.memory, lent->pfns, lent->len / VMB_PAGE_LEN);
	free(lent->pfns);
	bus->lent_len -= lent->len;
	memset(lent, 0, sizeof(*lent));
	pthread_mutex_unlock(&bus->lock);
}

static bool is_lent_or_refused(void *arg)
{
	struct vmb_user_network_lent *lent = arg;

	return lent->refused || lent->gpadl.state == VMB_GUEST_GPADL_READY;
}

/* Lends on a channel. False: refused. */
static bool lend(struct vmb_user_network_bus *bus, struct vmb_user_network_channel *ch,
		 struct vmb_user_network_lent *lent)
{
	int err;

	pthread_mutex_lock(&bus->lock);
	lent->refused = false;
	err = vmb_guest_gpadl_establish(&ch->core, &lent->gpadl, lent->pfns,
					lent->len / VMB_PAGE_LEN, lent->len, 0);
	pthread_mutex_unlock(&bus->lock);
	return !err && wait_for(bus, is_lent_or_refused, lent) && !lent->refused;
}

static bool is_taken_back(void *arg)
{
	return ((struct vmb_user_network_lent *)arg)->gpadl.state == VMB_GUEST_GPADL_NONE;
}

static void take_back(struct vmb_user_network_bus *bus, struct vmb_user_network_lent *lent)
{
	pthread_mutex_lock(&bus->lock);
	vmb_guest_gpadl_teardown(&lent->gpadl);
	pthread_mutex_unlock(&bus->lock);
	wait_for(bus, is_taken_back, lent);
}

static struct vmb_user_network_lent *find_gpadl(struct vmb_user_network_bus *bus, uint32_t id)
{
	for (uint32_t i = 0; i < VMB_USER_NETWORK_LENT_MAX; i++)
		if (id && bus->lent[i].memory && bus->lent[i].gpadl.id == id)
			return &bus->lent[i];
	return NULL;
}

uint32_t vmb_user_network_bus_share(struct vmb_user_network_bus *bus, uint8_t *memory)
{
	struct vmb_user_network_lent *lent = find_memory(bus, memory);

	if (!lent || !bus->channels[0] || !lend(bus, bus->channels[0], lent))
		return 0;
	return lent->gpadl.id;
}

void vmb_user_network_bus_unshare(struct vmb_user_network_bus *bus, uint32_t id)
{
	struct vmb_user_network_lent *lent = find_gpadl(bus, id);

	if (lent)
		take_back(bus, lent);
}

uint8_t *vmb_user_network_bus_find(struct vmb_user_network_bus *bus, uint32_t id, uint32_t *len)
{
	struct vmb_user_network_lent *lent = find_gpadl(bus, id);

	*len = lent ? lent->len : 0;
	return lent ? lent->memory : NULL;
}

/* Channels */

static bool is_offered(void *arg)
{
	struct vmb_user_network_channel **ch = arg;

	return *ch;
}

static bool is_answered(void *arg)
{
	struct vmb_user_network_channel *ch = arg;

	return ch->answered;
}

int vmb_user_network_bus_await(struct vmb_user_network_bus *bus, uint16_t queue)
{
	return wait_for(bus, is_offered, &bus->channels[queue]) ? 0 : VMB_EAGAIN;
}

int vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue, uint8_t *rings,
			      uint32_t ring_len)
{
	struct vmb_user_network_lent *lent = find_memory(bus, rings);
	struct vmb_user_network_channel *ch;
	int err;

	if (vmb_user_network_bus_await(bus, queue))
		return VMB_EAGAIN;
	ch = bus->channels[queue];
	if (!lend(bus, ch, lent))
		return VMB_EIO;
	pthread_mutex_lock(&bus->lock);
	ch->answered = false;
	err = vmb_guest_channel_open(&ch->core, &lent->gpadl, ring_len / VMB_PAGE_LEN, 0, NULL, 0);
	pthread_mutex_unlock(&bus->lock);
	if (err)
		return err;
	if (!wait_for(bus, is_answered, ch))
		return VMB_EAGAIN;
	return ch->refused ? VMB_EIO : 0;
}

static bool is_closed(void *arg)
{
	struct vmb_user_network_channel *ch = arg;

	return ch->core.state == VMB_GUEST_CHANNEL_CLOSED;
}

static struct vmb_user_network_lent *rings_of(struct vmb_user_network_bus *bus,
					      const struct vmb_user_network_channel *ch)
{
	for (uint32_t i = 0; i < VMB_USER_NETWORK_LENT_MAX; i++)
		if (bus->lent[i].memory && bus->lent[i].gpadl.channel == &ch->core &&
		    bus->lent[i].gpadl.id == ch->core.gpadl_id)
			return &bus->lent[i];
	return NULL;
}

void vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue)
{
	struct vmb_user_network_channel *ch = bus->channels[queue];
	struct vmb_user_network_lent *rings;

	if (!ch)
		return;
	pthread_mutex_lock(&bus->lock);
	vmb_guest_channel_close(&ch->core);
	pthread_mutex_unlock(&bus->lock);
	wait_for(bus, is_closed, ch);
	rings = rings_of(bus, ch);
	if (rings)
		take_back(bus, rings);
}

/* Life */

int vmb_user_network_bus_init(struct vmb_user_network_bus *bus,
			      const struct vmb_user_machine_config *config)
{
	const struct vmb_guest_connect_config connect = { 0 };
	int err;

	memset(bus, 0, sizeof(*bus));
	err = vmb_user_machine_init(&bus->machine, config);
	if (err)
		return err;
	pthread_mutex_init(&bus->lock, NULL);
	return vmb_guest_connect_init(&bus->connect, &connect);
}

void vmb_user_network_bus_destroy(struct vmb_user_network_bus *bus)
{
	struct vmb_user_network_channel *ch;

	for (uint32_t i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++)
		free(bus->channels[i]);
	while ((ch = bus->released)) {
		bus->released = ch->next;
		free(ch);
	}
	vmb_user_machine_destroy(&bus->machine);
	pthread_mutex_destroy(&bus->lock);
}

/* Ends */

int vmb_user_network_end_init(struct vmb_user_network_end *e, struct vmb_user_network_bus *bus,
			      uint16_t queue, uint8_t *rings, uint32_t ring_len)
{
	uint32_t data_len = ring_len - VMB_PAGE_LEN;
	uint8_t *down = rings + ring_len;
	int err;

	e->bus = bus;
	e->queue = queue;
	e->relid = bus->channels[queue]->core.relid;
	e->connection_id = bus->channels[queue]->core.connection_id;
	if (!e->scratch)
		e->scratch = malloc(sizeof(*e->scratch));
	if (!e->scratch)
		return VMB_ENOMEM;
	err = vmb_ring_writer_init(&e->tx, rings, rings + VMB_PAGE_LEN, data_len, true);
	if (!err)
		err = vmb_ring_reader_init(&e->rx, down, down + VMB_PAGE_LEN, data_len, true);
	return err;
}

void vmb_user_network_end_destroy(struct vmb_user_network_end *e)
{
	free(e->scratch);
	e->scratch = NULL;
}

/* The hook is asked only about what fits, so that it sees each packet once. */
static int write_hooked(struct vmb_user_network_end *e, const struct vmb_ring_packet *packet)
{
	struct vmb_dev_packet *p = e->scratch;
	enum vmb_dev_fault_verdict verdict;
	int err = 0;

	vmb_dev_packet_flatten(p, packet);
	if (vmb_ring_room(&e->tx) <= vmb_ring_packet_len(p->header_len, p->payload_len))
		return vmb_ring_write(&e->tx, packet);
	verdict = e->hook(e->hook_arg, e->queue, p);
	if (verdict != VMB_DEV_FAULT_DROP)
		err = vmb_dev_packet_write(&e->tx, p);
	if (verdict == VMB_DEV_FAULT_TWICE)
		vmb_dev_packet_write(&e->tx, p);
	return err;
}

int vmb_user_network_end_write(struct vmb_user_network_end *e, const struct vmb_ring_packet *packet)
{
	return e->hook ? write_hooked(e, packet) : vmb_ring_write(&e->tx, packet);
}

int vmb_user_network_end_inject(struct vmb_user_network_end *e, const struct vmb_dev_packet *packet)
{
	int err = vmb_dev_packet_write(&e->tx, packet);

	vmb_user_network_end_publish(e);
	return err;
}

void vmb_user_network_end_signal(struct vmb_user_network_end *e)
{
	__atomic_fetch_add(&e->signals, 1, __ATOMIC_RELAXED);
	vmb_user_machine_signal(&e->bus->machine, e->connection_id);
}

void vmb_user_network_end_publish(struct vmb_user_network_end *e)
{
	if (vmb_ring_commit(&e->tx))
		vmb_user_network_end_signal(e);
}

bool vmb_user_network_end_rung(struct vmb_user_network_end *e)
{
	bool rung = __atomic_load_n(&e->rung, __ATOMIC_RELAXED) &&
		    __atomic_exchange_n(&e->rung, 0, __ATOMIC_SEQ_CST);

	return vmb_user_synic_take_flag(&e->bus->machine.synic, e->relid) || rung;
}

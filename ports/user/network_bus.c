/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include <sys/mman.h>

#include "ports/user/network_bus.h"

int vmb_user_network_bus_init(struct vmb_user_network_bus *bus, uint32_t page_count, bool threads)
{
	memset(bus, 0, sizeof(*bus));
	bus->threads = threads;
	if (vmb_user_memory_init(&bus->memory, page_count) || vmb_user_synic_init(&bus->synic))
		return VMB_ENOMEM;
	pthread_mutex_init(&bus->lock, NULL);
	return 0;
}

void vmb_user_network_bus_destroy(struct vmb_user_network_bus *bus)
{
	pthread_mutex_destroy(&bus->lock);
	vmb_user_synic_destroy(&bus->synic);
	vmb_user_memory_destroy(&bus->memory);
}

uint8_t *vmb_user_network_bus_alloc(struct vmb_user_network_bus *bus, uint32_t len)
{
	uint8_t *memory =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	pthread_mutex_lock(&bus->lock);
	bus->shared_len += len;
	pthread_mutex_unlock(&bus->lock);
	return memory;
}

void vmb_user_network_bus_free(struct vmb_user_network_bus *bus, uint8_t *memory, uint32_t len)
{
	if (!memory)
		return;
	munmap(memory, len);
	pthread_mutex_lock(&bus->lock);
	bus->shared_len -= len;
	pthread_mutex_unlock(&bus->lock);
}

static struct vmb_user_network_shared *find(struct vmb_user_network_bus *bus, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < VMB_USER_NETWORK_SHARED_MAX; i++)
		if (bus->shared[i].id == id)
			return &bus->shared[i];
	return NULL;
}

uint32_t vmb_user_network_bus_share(struct vmb_user_network_bus *bus, uint8_t *memory, uint32_t len)
{
	struct vmb_user_network_shared *s;
	uint32_t id = 0;

	pthread_mutex_lock(&bus->lock);
	s = find(bus, 0);
	if (s) {
		id = ++bus->last_id;
		*s = (struct vmb_user_network_shared){ .id = id, .memory = memory, .len = len };
	}
	pthread_mutex_unlock(&bus->lock);
	return id;
}

void vmb_user_network_bus_unshare(struct vmb_user_network_bus *bus, uint32_t id)
{
	struct vmb_user_network_shared *s;

	pthread_mutex_lock(&bus->lock);
	s = id ? find(bus, id) : NULL;
	if (s) {
		bus->torn += s->mapped;
		memset(s, 0, sizeof(*s));
	}
	pthread_mutex_unlock(&bus->lock);
}

uint8_t *vmb_user_network_bus_map(struct vmb_user_network_bus *bus, uint32_t id, uint32_t *len)
{
	struct vmb_user_network_shared *s;
	uint8_t *memory = NULL;

	pthread_mutex_lock(&bus->lock);
	s = id ? find(bus, id) : NULL;
	if (s && !s->mapped) {
		s->mapped = true;
		memory = s->memory;
		*len = s->len;
		bus->mapped_count++;
	}
	pthread_mutex_unlock(&bus->lock);
	return memory;
}

void vmb_user_network_bus_unmap(struct vmb_user_network_bus *bus, uint32_t id)
{
	struct vmb_user_network_shared *s;

	pthread_mutex_lock(&bus->lock);
	s = id ? find(bus, id) : NULL;
	if (s && s->mapped) {
		s->mapped = false;
		bus->mapped_count--;
	}
	pthread_mutex_unlock(&bus->lock);
}

/* The bell and the hook outlive the rings: they may be there before the channel opens. */
int vmb_user_network_end_init(struct vmb_user_network_end *e, struct vmb_user_network_bus *bus,
			      uint16_t queue, uint8_t *tx, uint8_t *rx, uint32_t ring_len,
			      bool fresh)
{
	uint32_t data_len = ring_len - VMB_PAGE_LEN;
	int err;

	e->bus = bus;
	e->queue = queue;
	if (!e->scratch)
		e->scratch = malloc(sizeof(*e->scratch));
	if (!e->scratch)
		return VMB_ENOMEM;
	err = vmb_ring_writer_init(&e->tx, tx, tx + VMB_PAGE_LEN, data_len, fresh);
	if (!err)
		err = vmb_ring_reader_init(&e->rx, rx, rx + VMB_PAGE_LEN, data_len, fresh);
	return err;
}

void vmb_user_network_end_destroy(struct vmb_user_network_end *e)
{
	free(e->scratch);
	e->scratch = NULL;
}

static void gather(uint8_t *dst, uint32_t room, uint32_t *len, const struct vmb_ring_part *parts,
		   uint32_t count)
{
	uint32_t i;

	for (*len = 0, i = 0; i < count && parts[i].len <= room - *len; i++) {
		if (parts[i].len)
			memcpy(dst + *len, parts[i].base, parts[i].len);
		*len += parts[i].len;
	}
}

static int write_flat(struct vmb_user_network_end *e, const struct vmb_user_network_packet *p)
{
	struct vmb_ring_part header = { p->header, p->header_len };
	struct vmb_ring_part payload = { p->payload, p->payload_len };
	struct vmb_ring_packet packet = { .type = p->type,
					  .flags = p->flags,
					  .transaction_id = p->transaction_id,
					  .header = &header,
					  .header_count = 1,
					  .payload = &payload,
					  .payload_count = 1 };

	return vmb_ring_write(&e->tx, &packet);
}

/* The hook is asked only about what fits, so that it sees each packet once. */
static int write_hooked(struct vmb_user_network_end *e, const struct vmb_ring_packet *packet)
{
	struct vmb_user_network_packet *p = e->scratch;
	enum vmb_user_network_verdict verdict;
	int err = 0;

	p->type = packet->type;
	p->flags = packet->flags;
	p->transaction_id = packet->transaction_id;
	gather(p->header, sizeof(p->header), &p->header_len, packet->header, packet->header_count);
	gather(p->payload, sizeof(p->payload), &p->payload_len, packet->payload,
	       packet->payload_count);
	if (vmb_ring_room(&e->tx) <= vmb_ring_packet_len(p->header_len, p->payload_len))
		return vmb_ring_write(&e->tx, packet);
	verdict = e->hook(e->hook_arg, e->queue, p);
	if (verdict != VMB_USER_NETWORK_DROP)
		err = write_flat(e, p);
	if (verdict == VMB_USER_NETWORK_TWICE)
		write_flat(e, p);
	return err;
}

int vmb_user_network_end_write(struct vmb_user_network_end *e, const struct vmb_ring_packet *packet)
{
	return e->hook ? write_hooked(e, packet) : vmb_ring_write(&e->tx, packet);
}

int vmb_user_network_end_inject(struct vmb_user_network_end *e,
				const struct vmb_user_network_packet *packet)
{
	int err = write_flat(e, packet);

	vmb_user_network_end_publish(e);
	return err;
}

void vmb_user_network_end_signal(struct vmb_user_network_end *e)
{
	__atomic_fetch_add(&e->signals, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&e->peer->rung, 1, __ATOMIC_SEQ_CST);
	if (e->bus->threads)
		vmb_user_synic_kick(e->peer_fd);
}

void vmb_user_network_end_publish(struct vmb_user_network_end *e)
{
	if (vmb_ring_commit(&e->tx))
		vmb_user_network_end_signal(e);
}

bool vmb_user_network_end_rung(struct vmb_user_network_end *e)
{
	return __atomic_load_n(&e->rung, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&e->rung, 0, __ATOMIC_SEQ_CST);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Takes samples of a bus and its channels while they work. */
#include <poll.h>
#include <string.h>

#include "devices/inspect.h"

/* Counters belong to the device's thread; an old one does no harm here. */
#define SAMPLE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static uint32_t distance(uint32_t from, uint32_t to, uint32_t len)
{
	return to >= from ? to - from : len - (from - to);
}

static void sample_counters(struct vmb_dev_ring_sample *r, const struct vmb_ring_counters *n)
{
	r->packets = SAMPLE(n->packets);
	r->bytes = SAMPLE(n->bytes);
	r->signals = SAMPLE(n->signals);
	r->full = SAMPLE(n->full);
}

static void sample_control(struct vmb_dev_ring_sample *r, const struct vmb_ring_control *control,
			   uint32_t len)
{
	uint32_t write_index = SAMPLE(control->write_index);
	uint32_t read_index = SAMPLE(control->read_index);

	r->len = len;
	r->broken = write_index >= len || read_index >= len;
	r->fill = r->broken ? 0 : distance(read_index, write_index, len);
	r->room_wanted = SAMPLE(control->pending_send_size);
	r->masked = SAMPLE(control->interrupt_mask) != 0;
}

static bool is_ringing(const struct vmb_dev_bell *bell)
{
	struct pollfd fd = { .fd = bell->fd, .events = POLLIN };

	return SAMPLE(bell->rang) || (bell->fd >= 0 && poll(&fd, 1, 0) == 1);
}

/*
 * The rings stay mapped while the bus's lock is held, and their readers and writers stay where they
 * are.
 */
static void sample_rings(struct vmb_dev_channel_sample *s, const struct vmb_dev_channel *ch)
{
	sample_counters(&s->in, &ch->rx.counters);
	sample_counters(&s->out, &ch->tx.counters);
	if (!ch->pages || s->state == VMB_HOST_CHANNEL_OFFERED)
		return;
	sample_control(&s->in, ch->rx.control, ch->rx.data_len);
	sample_control(&s->out, ch->tx.control, ch->tx.data_len);
	s->guest_owes = s->in.fill && !s->in.masked && !is_ringing(&ch->bell);
	s->host_owes = s->in.room_wanted && s->in.len - s->in.fill > s->in.room_wanted;
}

static void sample_channel(struct vmb_dev_channel_sample *s, const struct vmb_host_channel *host)
{
	const struct vmb_dev_channel *ch = VMB_CONTAINER_OF(host, struct vmb_dev_channel, host);

	*s = (struct vmb_dev_channel_sample){ .channel = ch,
					      .device = ch->device,
					      .type_id = host->type_id,
					      .instance_id = host->instance_id,
					      .relid = host->relid,
					      .connection_id = host->connection_id,
					      .monitor_id = vmb_host_channel_monitor(host),
					      .target_vp = host->target_vp,
					      .sub_channel_index = host->sub_channel_index,
					      .state = host->state,
					      .visible = host->visible,
					      .revoked = host->revoked,
					      .gpadls = host->gpadl_count,
					      .interrupts = SAMPLE(ch->signals) };
	sample_rings(s, ch);
	if (ch->ops->oldest_ns)
		s->oldest_ns = ch->ops->oldest_ns(ch);
}

uint32_t vmb_dev_inspect_channels(struct vmb_dev_bus *bus, struct vmb_dev_channel_sample *samples,
				  uint32_t max)
{
	const struct vmb_host_channel *host;
	uint32_t count = 0;

	pthread_mutex_lock(&bus->lock);
	for (host = bus->server.first; host; host = host->next, count++)
		if (count < max)
			sample_channel(&samples[count], host);
	pthread_mutex_unlock(&bus->lock);
	return count;
}

void vmb_dev_inspect_bus(struct vmb_dev_bus *bus, struct vmb_dev_bus_sample *sample)
{
	const struct vmb_host_server *server = &bus->server;

	pthread_mutex_lock(&bus->lock);
	*sample = (struct vmb_dev_bus_sample){ .state = server->state,
					       .version = server->version,
					       .target_vp = server->target_vp,
					       .contacts = bus->contact_count,
					       .unloads = bus->unload_count,
					       .gpadls = bus->gpadl_count,
					       .open_channels = bus->open_count,
					       .counters = server->counters };
	pthread_mutex_unlock(&bus->lock);
}

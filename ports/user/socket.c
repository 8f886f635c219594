// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Connections in a guest without a virtual machine, for tests of the host's sockets. */
#include <stdlib.h>

#include "ports/user/guest.h"

bool vmb_user_socket_init(struct vmb_user_socket *s, const struct vmb_msg_offer *offer)
{
	s->used = vmb_guest_socket_read(offer, &s->about);
	vmb_stream_init(&s->stream);
	return s->used;
}

void vmb_user_socket_listen(struct vmb_user_guest *g, uint32_t port)
{
	pthread_mutex_lock(&g->lock);
	g->listens = true;
	g->listen_port = port;
	pthread_mutex_unlock(&g->lock);
}

int vmb_user_socket_dial(struct vmb_user_guest *g, struct vmb_user_dial *dial, uint32_t from,
			 uint32_t to)
{
	int error;

	memset(dial, 0, sizeof(*dial));
	dial->dial.endpoint_id = vmb_socket_guid(from);
	dial->dial.service_id = vmb_socket_guid(to);
	pthread_mutex_lock(&g->lock);
	error = vmb_guest_socket_dial(&g->connect, &dial->dial);
	pthread_mutex_unlock(&g->lock);
	if (g->threaded)
		vmb_user_synic_kick(g->synic->guest_fd);
	return error;
}

struct vmb_user_device *vmb_user_socket_find(struct vmb_user_guest *g, uint32_t port)
{
	struct vmb_user_device *d;

	pthread_mutex_lock(&g->lock);
	for (d = g->devices; d; d = d->next)
		if (!d->has_gone && d->open && d->socket.used && d->socket.about.port == port)
			break;
	pthread_mutex_unlock(&g->lock);
	return d;
}

static void keep(struct vmb_user_device *d, const struct vmb_ring_received *received, uint32_t len)
{
	struct vmb_user_socket *s = &d->socket;

	if (s->got_max - s->got_len < len) {
		s->got_max = 2 * (s->got_len + len);
		s->got = realloc(s->got, s->got_max);
		if (!s->got)
			abort();
	}
	vmb_ring_copy(&d->rx, received, VMB_STREAM_DATA_AT, s->got + s->got_len, len);
	s->got_len += len;
}

bool vmb_user_socket_read(struct vmb_user_device *d)
{
	struct vmb_ring_received received;
	struct vmb_pipe_header header = { 0 };
	uint32_t len;
	int step;

	if (d->socket.broken || vmb_ring_read(&d->rx, &received))
		return false;
	vmb_ring_copy(&d->rx, &received, VMB_STREAM_HEADER_AT, &header, sizeof(header));
	step = vmb_stream_input(&d->socket.stream, &received, &header, &len);
	if (step == VMB_STREAM_DATA)
		keep(d, &received, len);
	d->socket.broken = step < 0;
	vmb_ring_next(&d->rx, &received);
	return true;
}

static int write_packet(struct vmb_user_device *d, const void *bytes, uint32_t len)
{
	struct vmb_stream_packet p;

	if (len)
		vmb_stream_data(&p, bytes, len);
	else
		vmb_stream_end(&p);
	d->socket.stream.ended_out |= !len;
	return vmb_ring_write(&d->tx, &p.packet);
}

static uint32_t write_all(struct vmb_user_device *d, const uint8_t *bytes, uint32_t len)
{
	uint32_t done = 0, fits;

	while (done < len) {
		fits = vmb_stream_fits(vmb_ring_room(&d->tx));
		if (!fits && vmb_ring_commit(&d->tx))
			vmb_user_guest_signal(d);
		if (!fits && vmb_ring_wait_room(&d->tx, vmb_stream_packet_len(8)))
			break;
		if (!fits)
			continue;
		fits = fits < len - done ? fits : len - done;
		if (write_packet(d, bytes + done, fits))
			break;
		done += fits;
	}
	return done;
}

int vmb_user_socket_send(struct vmb_user_device *d, const void *bytes, uint32_t len)
{
	int done = VMB_ENODEV;

	pthread_mutex_lock(&d->tx_lock);
	if (d->open) {
		done = (int)write_all(d, bytes, len);
		if (vmb_ring_commit(&d->tx))
			vmb_user_guest_signal(d);
	}
	pthread_mutex_unlock(&d->tx_lock);
	return done;
}

int vmb_user_socket_end(struct vmb_user_device *d)
{
	int error = VMB_ENODEV;

	pthread_mutex_lock(&d->tx_lock);
	if (d->open) {
		error = write_packet(d, NULL, 0);
		if (vmb_ring_commit(&d->tx))
			vmb_user_guest_signal(d);
	}
	pthread_mutex_unlock(&d->tx_lock);
	return error;
}

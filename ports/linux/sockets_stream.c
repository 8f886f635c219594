// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bytes of a connection: from a message of the program into the ring, and from the ring, in
 * parts as the program reads them. Each byte of the ring is copied once and into memory of our own
 * before anybody looks at it.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "ports/linux/sockets.h"

#define PIECES_AT_ONCE 4u

static void finish_in(struct connection *c, u32 shutdown)
{
	if (has_socket(c))
		c->vsk->peer_shutdown |= shutdown;
}

/* What the program reads when it has read what came before. */
static void set_error(struct connection *c, int error)
{
	if (has_socket(c))
		sock_of(c)->sk_err = error;
}

/* Nothing more is read or written. */
static void fail(struct connection *c)
{
	if (c->broken)
		return;
	pr_warn_ratelimited("the host broke the protocol of a connection\n");
	c->broken = true;
	c->left = 0;
	set_error(c, EPROTO);
	finish_in(c, SHUTDOWN_MASK);
}

/* Steps over the packet that was read, and gives its room back. */
static void pass(struct connection *c)
{
	vmb_channel_next(c->ch, &c->packet);
	vmb_channel_release(c->ch);
	c->left = 0;
}

static void take_packet(struct connection *c)
{
	struct vmb_pipe_header header = {};
	u32 len = 0;
	int step;

	vmb_channel_copy(c->ch, &c->packet, VMB_STREAM_HEADER_AT, &header, sizeof(header));
	step = vmb_stream_input(&c->stream, &c->packet, &header, &len);
	if (step < 0) {
		fail(c);
		return;
	}
	if (step == VMB_STREAM_DATA) {
		c->at = VMB_STREAM_DATA_AT;
		c->left = len;
		return;
	}
	pass(c);
	if (step == VMB_STREAM_END)
		finish_in(c, SEND_SHUTDOWN);
}

/* Until there are bytes, or no packet. Ends are noticed here. */
static void look(struct connection *c)
{
	int rc = 0;

	while (c->ch && !c->broken && !c->left && !rc) {
		rc = vmb_channel_read(c->ch, &c->packet);
		/* The host may have written what it did not signal, before it saw our release. */
		if (rc == -EAGAIN && vmb_channel_unmask(c->ch))
			rc = vmb_channel_read(c->ch, &c->packet);
		if (!rc)
			take_packet(c);
		else if (rc != -EAGAIN)
			fail(c);
	}
}

s64 stream_has_data(struct connection *c)
{
	if (c->rest_at < c->rest_len)
		return c->rest_len - c->rest_at;
	look(c);
	return c->left;
}

/* Copies up to len bytes of what is there. */
static ssize_t read_ring(struct connection *c, struct msghdr *msg, u32 len)
{
	len = min3(len, c->left, PIECE_LEN);
	if (!vmb_channel_copy(c->ch, &c->packet, c->at, c->piece, len))
		return -EIO;
	return memcpy_to_msg(msg, c->piece, len) ? -EFAULT : len;
}

static ssize_t read_rest(struct connection *c, struct msghdr *msg, size_t len, int flags)
{
	len = min_t(size_t, len, c->rest_len - c->rest_at);
	if (memcpy_to_msg(msg, c->rest + c->rest_at, len))
		return -EFAULT;
	if (!(flags & MSG_PEEK))
		c->rest_at += len;
	return len;
}

static void consume(struct connection *c, u32 len)
{
	c->at += len;
	c->left -= len;
	if (c->left)
		return;
	pass(c);
	look(c); /* an end behind it counts at once */
}

/*
 * As much as there is, but not more than a ring's worth, however fast the host writes: the socket
 * layer gives a program no more than one call of this returns.
 */
static ssize_t read_packets(struct connection *c, struct msghdr *msg, size_t len, int flags)
{
	size_t done = 0;
	ssize_t n;

	len = min_t(size_t, len, c->data_len);
	while (done < len && stream_has_data(c)) {
		n = read_ring(c, msg, len - done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if (flags & MSG_PEEK)
			break;
		consume(c, n);
	}
	return done;
}

ssize_t stream_read(struct connection *c, struct msghdr *msg, size_t len, int flags)
{
	if (c->rest_at < c->rest_len)
		return read_rest(c, msg, len, flags);
	return read_packets(c, msg, len, flags);
}

/* Bytes of ring that are free. vmb_channel_room() leaves out the eight that are never filled. */
static u32 room(struct connection *c)
{
	u32 longest = vmb_channel_room(c->ch);

	return longest ? longest + 8 : 0;
}

/* Less than a piece counts as nothing: then the doorbell rings when there is room for one. */
s64 stream_has_space(struct connection *c)
{
	u32 fits;

	if (!c->ch || c->broken)
		return 0;
	fits = vmb_stream_fits(room(c));
	if (fits < PIECE_LEN && !vmb_channel_wait_room(c->ch, vmb_stream_packet_len(PIECE_LEN)))
		fits = vmb_stream_fits(room(c));
	return fits < PIECE_LEN ? 0 : fits;
}

static ssize_t write_piece(struct connection *c, struct msghdr *msg, size_t len)
{
	struct vmb_stream_packet p;
	int rc;

	len = min_t(size_t, len, PIECE_LEN);
	if (memcpy_from_msg(c->piece, msg, len))
		return -EFAULT;
	vmb_stream_data(&p, c->piece, len);
	rc = vmb_channel_write(c->ch, &p.packet);
	return rc ? rc : len;
}

/*
 * Some packets, which the host sees at once: one signal for each would be many, and a host that saw
 * nothing before the ring is full could not read meanwhile. The socket layer comes back for more.
 */
ssize_t stream_write(struct connection *c, struct msghdr *msg, size_t len)
{
	size_t done = 0;
	ssize_t n = 0;

	if (!c->ch)
		return -EPIPE;
	len = min_t(size_t, len, PIECES_AT_ONCE * PIECE_LEN);
	while (done < len && stream_has_space(c)) {
		n = write_piece(c, msg, len - done);
		if (n < 0)
			break;
		done += n;
	}
	vmb_channel_commit(c->ch);
	return n < 0 && !done ? n : done;
}

void stream_end(struct connection *c)
{
	struct vmb_stream_packet p;

	if (!c->ch || c->stream.ended_out)
		return;
	vmb_stream_end(&p);
	c->stream.ended_out = true;
	/* There is room: see vmb_stream_fits(). */
	if (vmb_channel_send(c->ch, &p.packet))
		fail(c);
}

void stream_keep(struct connection *c)
{
	u32 len_max = c->data_len;

	look(c);
	if (!c->left)
		return;
	c->rest = kvmalloc(len_max, GFP_KERNEL);
	while (c->rest && c->left && c->left <= len_max - c->rest_len) {
		if (!vmb_channel_copy(c->ch, &c->packet, c->at, c->rest + c->rest_len, c->left))
			break;
		c->rest_len += c->left;
		consume(c, c->left);
	}
	/* What is lost must not look like an end. */
	if (c->left)
		set_error(c, c->rest ? EPROTO : ENOMEM);
	c->left = 0;
}

void stream_drop(struct connection *c)
{
	look(c);
	while (c->left)
		consume(c, c->left);
}

u32 stream_unread(struct connection *c)
{
	return c->data_len - room(c);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transport of AF_VSOCK over hv_sock: connections of programs in this guest to ports of the host,
 * and of the host to listeners here. The socket layer (net/vmw_vsock) has the sockets, addresses
 * and waits; this file has what happens between a socket and a channel, sockets_stream.c the bytes.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "ports/linux/sockets.h"

/* Hosts older than 5.0 take no other rings: docs/protocol/integration.md, "17 Traps" (15). */
#define RING_LEN_OLD   (6 * VMB_PAGE_LEN)
/* The longest that Linux's own takes: a reader and a writer that take turns wake less often. */
#define RING_LEN       (64 * VMB_PAGE_LEN)
/* For the host's end after ours, and for the host to go on reading what we sent. */
#define CLOSE_PATIENCE (8 * HZ)

struct workqueue_struct *sockets_queue;

static const struct vsock_transport transport;

static struct connection *connection_of(struct vsock_sock *vsk)
{
	return vsk->trans;
}

static void drop(struct connection *c)
{
	if (!refcount_dec_and_test(&c->refs))
		return;
	kvfree(c->rest);
	kfree(c->piece);
	kfree(c);
}

/*
 * For work that is to come: the socket may be gone by then, or have been given another transport,
 * which leaves nobody who would keep this module.
 */
static void hold(struct connection *c)
{
	__module_get(THIS_MODULE);
	sock_hold(sock_of(c));
	refcount_inc(&c->refs);
}

static void put(struct connection *c)
{
	struct sock *sk = sock_of(c);

	drop(c);
	sock_put(sk);
	module_put(THIS_MODULE);
}

/* ---- the channel's side ---- */

/* Any context; the rest is work. */
static void doorbell(struct vmb_channel *ch)
{
	struct connection *c = vmb_channel_context(ch);

	queue_work(sockets_queue, &c->wake_work);
}

static void rescinded(struct vmb_channel *ch)
{
	struct connection *c = vmb_channel_context(ch);

	mod_delayed_work(sockets_queue, &c->end_work, 0);
}

static const struct vmb_channel_ops channel_ops = { .doorbell = doorbell, .rescinded = rescinded };

static int open_channel(struct connection *c, struct vmb_channel *ch)
{
	u32 ring_len = vmb_bus_version() < VMB_VERSION_5_0 ? RING_LEN_OLD : RING_LEN;

	c->data_len = ring_len - VMB_PAGE_LEN;
	vmb_stream_init(&c->stream);
	return vmb_channel_open(ch, ring_len, &channel_ops, c);
}

/* The channel is open: from here on it has a reference to the socket. lock_sock() */
static void attach(struct connection *c, struct vmb_channel *ch)
{
	struct sock *sk = sock_of(c);

	hold(c);
	c->ch = ch;
	sk->sk_state = TCP_ESTABLISHED;
	vsock_insert_connected(c->vsk);
	/* What came while nobody knew the connection. */
	queue_work(sockets_queue, &c->wake_work);
	if (vmb_channel_rescinded(ch))
		mod_delayed_work(sockets_queue, &c->end_work, 0);
}

static void wake_program(struct connection *c)
{
	struct sock *sk = sock_of(c);

	if (c->broken)
		mod_delayed_work(sockets_queue, &c->end_work, 0);
	sk->sk_data_ready(sk);
	sk->sk_write_space(sk);
	if (c->vsk->peer_shutdown)
		sk->sk_state_change(sk);
}

static void wake_work(struct work_struct *work)
{
	struct connection *c = container_of(work, struct connection, wake_work);

	lock_sock(sock_of(c));
	if (c->ch && c->released) {
		stream_drop(c);
		if (c->stream.ended_in || c->broken)
			mod_delayed_work(sockets_queue, &c->end_work, 0);
	} else if (c->ch) {
		stream_has_data(c);
		wake_program(c);
	}
	release_sock(sock_of(c));
}

/* ---- the end ---- */

/*
 * The program has closed the socket, and the host has not ended. It may still be reading what we
 * sent, which closing would take away from some hosts: as long as it does, it gets more time.
 */
static bool host_goes_on(struct connection *c)
{
	u32 unread = stream_unread(c), before = c->unread;

	c->unread = unread;
	return c->released && !c->broken && !c->stream.ended_in && !vmb_channel_rescinded(c->ch) &&
	       unread && unread != before;
}

static void end_socket(struct connection *c)
{
	struct sock *sk = sock_of(c);

	c->vsk->peer_shutdown |= SHUTDOWN_MASK;
	/* Of no other than an established one the socket layer reads what is left, or the error. */
	if (c->released)
		sk->sk_state = TCP_CLOSE;
	else if (!c->rest_len && !sk->sk_err)
		sk->sk_state = TCP_CLOSING;
	sock_set_flag(sk, SOCK_DONE);
	vsock_remove_sock(c->vsk);
	sk->sk_data_ready(sk);
	sk->sk_write_space(sk);
	sk->sk_state_change(sk);
}

/* Takes the channel from the connection. lock_sock() */
static struct vmb_channel *detach(struct connection *c)
{
	struct vmb_channel *ch = c->ch;

	if (!c->released)
		stream_keep(c);
	c->ch = NULL;
	c->left = 0;
	if (has_socket(c))
		end_socket(c);
	return ch;
}

static void end_work(struct work_struct *work)
{
	struct connection *c = container_of(to_delayed_work(work), struct connection, end_work);
	struct sock *sk = sock_of(c);
	struct vmb_channel *ch = NULL;

	lock_sock(sk);
	if (c->ch && host_goes_on(c))
		mod_delayed_work(sockets_queue, &c->end_work, CLOSE_PATIENCE);
	else if (c->ch)
		ch = detach(c);
	release_sock(sk);
	if (!ch)
		return;
	vmb_socket_release(ch);
	/* No doorbell rings any more and no rescind comes, but one may have queued these. */
	cancel_work_sync(&c->wake_work);
	cancel_delayed_work(&c->end_work);
	put(c);
}

/* ---- connect() ---- */

static void connected(struct connection *c, struct vmb_channel *ch)
{
	attach(c, ch);
	if (sock_of(c)->sk_socket)
		sock_of(c)->sk_socket->state = SS_CONNECTED;
	sock_of(c)->sk_state_change(sock_of(c));
}

static void refuse(struct connection *c)
{
	struct sock *sk = sock_of(c);

	sk->sk_state = TCP_CLOSE;
	if (sk->sk_socket)
		sk->sk_socket->state = SS_UNCONNECTED;
	sk->sk_err = ECONNREFUSED;
	sk_error_report(sk);
}

/* What the dial held ends here. */
static void answer_work(struct work_struct *work)
{
	struct connection *c = container_of(work, struct connection, answer_work);
	struct vmb_channel *ch = c->answer;
	struct sock *sk = sock_of(c);
	bool opened = ch && !open_channel(c, ch), wanted;

	lock_sock(sk);
	c->dialling = false;
	wanted = !c->released && sk->sk_state == TCP_SYN_SENT;
	if (wanted && opened)
		connected(c, ch);
	else if (wanted)
		refuse(c);
	release_sock(sk);
	if (ch && !(wanted && opened)) {
		vmb_socket_release(ch);
		cancel_work_sync(&c->wake_work);
		cancel_delayed_work_sync(&c->end_work);
	}
	put(c);
}

static int connect_host(struct vsock_sock *vsk)
{
	struct connection *c = connection_of(vsk);
	int rc;

	/* A channel: connect() was interrupted just when the host had answered. */
	if (c->dialling || c->ch)
		return -EALREADY;
	memset(&c->dial, 0, sizeof(c->dial));
	c->dial.endpoint_id = vmb_socket_guid(vsk->local_addr.svm_port);
	c->dial.service_id = vmb_socket_guid(vsk->remote_addr.svm_port);
	c->dial.port = c;
	c->answer = NULL;
	c->dialling = true;
	hold(c);
	rc = vmb_socket_dial(&c->dial);
	if (!rc)
		return 0;
	c->dialling = false;
	put(c);
	return rc == -EOPNOTSUPP ? -ENODEV : rc;
}

/* Nobody waits for the answer any more; if it is here already, answer_work finds that out. */
static int hang_up(struct vsock_sock *vsk)
{
	struct connection *c = connection_of(vsk);

	if (c->dialling && vmb_socket_hang_up(&c->dial)) {
		c->dialling = false;
		put(c);
	}
	return 0;
}

/* ---- listeners ---- */

struct call {
	struct vmb_channel *ch;
	struct vmb_guest_socket about;
	struct work_struct work;
};

/* A socket that is to be accepted, and counts as waiting for that. lock_sock(listener) */
static struct connection *make_child(struct sock *listener, const struct vmb_guest_socket *about)
{
	struct vsock_sock *vsk;
	struct sock *sk;

	if (listener->sk_state != TCP_LISTEN || sk_acceptq_is_full(listener))
		return NULL;
	sk = vsock_create_connected(listener);
	if (!sk)
		return NULL;
	vsk = vsock_sk(sk);
	sk->sk_state = TCP_SYN_SENT;
	vsock_addr_init(&vsk->local_addr, VMADDR_CID_ANY, about->port);
	vsock_addr_init(&vsk->remote_addr, VMADDR_CID_HOST, about->peer_port);
	if (vsock_assign_transport(vsk, vsock_sk(listener)) || vsk->transport != &transport) {
		sock_put(sk);
		return NULL;
	}
	sk_acceptq_added(listener);
	return connection_of(vsk);
}

/* Returns whether the listener has it. */
static bool give_to_listener(struct sock *listener, struct connection *c, struct vmb_channel *ch,
			     bool opened)
{
	bool taken;

	lock_sock(listener);
	taken = opened && listener->sk_state == TCP_LISTEN;
	if (taken) {
		lock_sock_nested(sock_of(c), SINGLE_DEPTH_NESTING);
		attach(c, ch);
		release_sock(sock_of(c));
		vsock_enqueue_accept(listener, sock_of(c));
		listener->sk_data_ready(listener);
	} else {
		sk_acceptq_removed(listener);
	}
	release_sock(listener);
	return taken;
}

static void take_call(struct sock *listener, struct call *call)
{
	struct connection *c;
	bool opened;

	lock_sock(listener);
	c = make_child(listener, &call->about);
	release_sock(listener);
	if (!c) {
		vmb_socket_release(call->ch);
		return;
	}
	opened = !open_channel(c, call->ch);
	if (give_to_listener(listener, c, call->ch, opened))
		return;
	vmb_socket_release(call->ch);
	cancel_work_sync(&c->wake_work);
	cancel_delayed_work_sync(&c->end_work);
	sock_put(sock_of(c));
}

static void call_work(struct work_struct *work)
{
	struct call *call = container_of(work, struct call, work);
	struct sockaddr_vm address;
	struct sock *listener;

	vsock_addr_init(&address, VMADDR_CID_ANY, call->about.port);
	listener = vsock_find_bound_socket(&address);
	if (listener) {
		take_call(listener, call);
		sock_put(listener);
	} else {
		vmb_socket_release(call->ch);
	}
	kfree(call);
}

/* ---- what the bus says, with its lock ---- */

static bool take_offer(struct vmb_channel *ch, const struct vmb_guest_socket *about,
		       struct vmb_guest_dial *dial)
{
	struct connection *c;
	struct call *call;

	if (dial) {
		c = dial->port;
		c->answer = ch;
		return queue_work(sockets_queue, &c->answer_work);
	}
	if (!about->from_host)
		return false;
	call = kmalloc(sizeof(*call), GFP_NOIO);
	if (!call)
		return false;
	call->ch = ch;
	call->about = *about;
	INIT_WORK(&call->work, call_work);
	return queue_work(sockets_queue, &call->work);
}

static void take_refusal(struct vmb_guest_dial *dial)
{
	struct connection *c = dial->port;

	queue_work(sockets_queue, &c->answer_work);
}

static const struct vmb_socket_ops socket_ops = { .offered = take_offer, .refused = take_refusal };

/* ---- what the socket layer asks for; lock_sock() ---- */

static int init(struct vsock_sock *vsk, struct vsock_sock *parent)
{
	struct connection *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return -ENOMEM;
	c->piece = kmalloc(PIECE_LEN, GFP_KERNEL);
	if (!c->piece) {
		kfree(c);
		return -ENOMEM;
	}
	c->vsk = vsk;
	refcount_set(&c->refs, 1);
	INIT_WORK(&c->wake_work, wake_work);
	INIT_WORK(&c->answer_work, answer_work);
	INIT_DELAYED_WORK(&c->end_work, end_work);
	vsk->trans = c;
	return 0;
}

/*
 * The socket is at its end; or connect() gives it another transport after one with us has failed:
 * then it lives on without us, and so may work of ours.
 */
static void destruct(struct vsock_sock *vsk)
{
	struct connection *c = connection_of(vsk);

	if (!c)
		return;
	vsk->trans = NULL;
	drop(c);
}

/*
 * The program has closed the socket. The host is told, and has some time to say the same, so that
 * it has read all that was sent; what it still sends nobody reads.
 */
static void release(struct vsock_sock *vsk)
{
	struct connection *c = connection_of(vsk);

	c->released = true;
	hang_up(vsk);
	if (!c->ch) {
		vsock_remove_sock(vsk);
		return;
	}
	stream_end(c);
	stream_drop(c);
	c->unread = stream_unread(c);
	mod_delayed_work(sockets_queue, &c->end_work,
			 c->stream.ended_in || c->broken ? 0 : CLOSE_PATIENCE);
}

static int shutdown_stream(struct vsock_sock *vsk, int mode)
{
	if (mode & SEND_SHUTDOWN)
		stream_end(connection_of(vsk));
	return 0;
}

static ssize_t dequeue(struct vsock_sock *vsk, struct msghdr *msg, size_t len, int flags)
{
	return stream_read(connection_of(vsk), msg, len, flags);
}

static ssize_t enqueue(struct vsock_sock *vsk, struct msghdr *msg, size_t len)
{
	return stream_write(connection_of(vsk), msg, len);
}

static s64 has_data(struct vsock_sock *vsk)
{
	return stream_has_data(connection_of(vsk));
}

static s64 has_space(struct vsock_sock *vsk)
{
	return stream_has_space(connection_of(vsk));
}

/* More than this can never be waited for. */
static u64 rcvhiwat(struct vsock_sock *vsk)
{
	return RING_LEN;
}

static bool is_active(struct vsock_sock *vsk)
{
	return connection_of(vsk)->ch;
}

static bool allow_stream(VSOCK_ALLOW_ARGS)
{
	return cid == VMADDR_CID_HOST;
}

static bool allow_datagrams(VSOCK_ALLOW_ARGS)
{
	return false;
}

static int bind_datagrams(struct vsock_sock *vsk, struct sockaddr_vm *address)
{
	return -EOPNOTSUPP;
}

static int dequeue_datagram(struct vsock_sock *vsk, struct msghdr *msg, size_t len, int flags)
{
	return -EOPNOTSUPP;
}

static int enqueue_datagram(struct vsock_sock *vsk, struct sockaddr_vm *address, struct msghdr *msg,
			    size_t len)
{
	return -EOPNOTSUPP;
}

static int poll_in(struct vsock_sock *vsk, size_t target, bool *ready)
{
	*ready = has_data(vsk) > 0;
	return 0;
}

static int poll_out(struct vsock_sock *vsk, size_t target, bool *ready)
{
	*ready = has_space(vsk) > 0;
	return 0;
}

/* Waits for bytes and room need no more than the doorbell. */
static int recv_nothing(struct vsock_sock *vsk, size_t target,
			struct vsock_transport_recv_notify_data *data)
{
	return 0;
}

static int recv_done(struct vsock_sock *vsk, size_t target, ssize_t copied, bool data_read,
		     struct vsock_transport_recv_notify_data *data)
{
	return 0;
}

static int send_nothing(struct vsock_sock *vsk, struct vsock_transport_send_notify_data *data)
{
	return 0;
}

static int send_done(struct vsock_sock *vsk, ssize_t written,
		     struct vsock_transport_send_notify_data *data)
{
	return 0;
}

/* The host gives its guests no CID of their own. */
static u32 local_cid(void)
{
	return VMADDR_CID_ANY;
}

static const struct vsock_transport transport = {
	.module = THIS_MODULE,
	.get_local_cid = local_cid,
	.init = init,
	.destruct = destruct,
	.release = release,
	.connect = connect_host,
	.cancel_pkt = hang_up,
	.shutdown = shutdown_stream,
	.dgram_bind = bind_datagrams,
	.dgram_dequeue = dequeue_datagram,
	.dgram_enqueue = enqueue_datagram,
	.dgram_allow = allow_datagrams,
	.stream_dequeue = dequeue,
	.stream_enqueue = enqueue,
	.stream_has_data = has_data,
	.stream_has_space = has_space,
	.stream_rcvhiwat = rcvhiwat,
	.stream_is_active = is_active,
	.stream_allow = allow_stream,
	.notify_poll_in = poll_in,
	.notify_poll_out = poll_out,
	.notify_recv_init = recv_nothing,
	.notify_recv_pre_block = recv_nothing,
	.notify_recv_pre_dequeue = recv_nothing,
	.notify_recv_post_dequeue = recv_done,
	.notify_send_init = send_nothing,
	.notify_send_pre_block = send_nothing,
	.notify_send_pre_enqueue = send_nothing,
	.notify_send_post_enqueue = send_done,
};

static int __init hvsock_init(void)
{
	int rc;

	sockets_queue = alloc_workqueue("hvsock", WQ_UNBOUND, 0);
	if (!sockets_queue)
		return -ENOMEM;
	rc = vmb_socket_register(&socket_ops);
	if (rc)
		goto no_bus;
	rc = vsock_core_register(&transport, VSOCK_TRANSPORT_F_G2H);
	if (rc)
		goto no_layer;
	return 0;
no_layer:
	vmb_socket_unregister();
no_bus:
	destroy_workqueue(sockets_queue);
	return rc;
}

/* No socket has this transport, so no channel is taken but by calls that are being answered. */
static void __exit hvsock_exit(void)
{
	vsock_core_unregister(&transport);
	vmb_socket_unregister();
	destroy_workqueue(sockets_queue);
}

module_init(hvsock_init);
module_exit(hvsock_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: sockets between guest and host");
MODULE_ALIAS_NETPROTO(PF_VSOCK);

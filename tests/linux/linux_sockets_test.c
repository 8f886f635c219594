// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of the lives in ports/linux/sockets.c: a socket, what the driver has of it, a channel and
 * the module end in every order, and none is used after its end. The layer of sockets is played
 * here, the channel carries nothing.
 */
#include "ports/linux/sockets.h"
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"

#define SECONDS(n) msleep((n)*1000)
#define PORT	   1337u
#define RING_BYTES (63u * VMB_PAGE_LEN) /* of each direction, from 5.0 on */

static const struct vsock_transport *ours;
static const struct vmb_socket_ops *bus;
static struct vmb_channel channel;
static struct vmb_guest_dial *dialled; /* by the driver, and not answered */
static struct vsock_sock *listener;
static struct sock *accepted;
static int module_users, sockets;
static u32 releases, ends; /* of the channel; ends that were sent */
static unsigned int open_ms; /* how long the host takes to open the channel */
static u32 packets; /* of the host, in the ring */
static u32 written, seen; /* packets of ours, and how many of them the host may see */
static u16 packet_header_len; /* no stream has packets with one */
static u32 packet_data_len;
static u8 long_bytes[RING_BYTES + 4096];
bool no_memory;

/* ---- the layer of sockets ---- */

void __module_get(struct module *module)
{
	module_users++;
}

void module_put(struct module *module)
{
	claim(module_users > 0);
	module_users--;
}

static void wake(struct sock *sk)
{
	claim(sk->count > 0);
}

static struct vsock_sock *new_socket(void)
{
	struct vsock_sock *vsk = calloc(1, sizeof(*vsk));

	vsk->sk.count = 1;
	vsk->sk.sk_state = TCP_CLOSE;
	vsk->sk.sk_data_ready = vsk->sk.sk_write_space = vsk->sk.sk_state_change = wake;
	sockets++;
	return vsk;
}

static void deassign(struct vsock_sock *vsk)
{
	if (!vsk->transport)
		return;
	vsk->transport->destruct(vsk);
	module_put(vsk->transport->module);
	vsk->transport = NULL;
}

void sock_put(struct sock *sk)
{
	shim_release(sk);
	if (__atomic_sub_fetch(&sk->count, 1, __ATOMIC_ACQ_REL))
		return;
	shim_acquire(sk);
	deassign(vsock_sk(sk));
	sockets--;
	free(sk);
}

int vsock_core_register(const struct vsock_transport *transport, int features)
{
	ours = transport;
	return 0;
}

void vsock_core_unregister(const struct vsock_transport *transport)
{
	ours = NULL;
}

void vsock_insert_connected(struct vsock_sock *vsk)
{
	sock_hold(&vsk->sk);
	vsk->connected = true;
}

void vsock_remove_sock(struct vsock_sock *vsk)
{
	if (!vsk->connected)
		return;
	vsk->connected = false;
	sock_put(&vsk->sk);
}

struct sock *vsock_create_connected(struct sock *parent)
{
	return &new_socket()->sk;
}

int vsock_assign_transport(struct vsock_sock *vsk, struct vsock_sock *parent)
{
	__module_get(THIS_MODULE);
	claim_same(ours->init(vsk, parent), 0);
	vsk->transport = ours;
	return 0;
}

void vsock_enqueue_accept(struct sock *at, struct sock *child)
{
	sock_hold(child);
	accepted = child;
}

struct sock *vsock_find_bound_socket(struct sockaddr_vm *address)
{
	if (!listener)
		return NULL;
	sock_hold(&listener->sk);
	return &listener->sk;
}

/* ---- what programs do ---- */

static struct vsock_sock *program_connects(void)
{
	struct vsock_sock *vsk = new_socket();

	lock_sock(&vsk->sk);
	vsock_assign_transport(vsk, NULL);
	vsk->sk.sk_state = TCP_SYN_SENT;
	claim_same(ours->connect(vsk), 0);
	release_sock(&vsk->sk);
	return vsk;
}

/* As a connect() that a signal interrupts, also when it has just succeeded. */
static void program_gives_up(struct vsock_sock *vsk)
{
	lock_sock(&vsk->sk);
	vsk->sk.sk_state = vsk->sk.sk_state == TCP_ESTABLISHED ? TCP_CLOSING : TCP_CLOSE;
	ours->cancel_pkt(vsk);
	vsock_remove_sock(vsk);
	release_sock(&vsk->sk);
}

/* As a connect() to somebody whom another transport reaches. */
static void program_turns_elsewhere(struct vsock_sock *vsk)
{
	lock_sock(&vsk->sk);
	ours->release(vsk);
	deassign(vsk);
	vsk->peer_shutdown = 0;
	vsk->sk.sk_state = TCP_SYN_SENT;
	vsk->sk.done = false;
	release_sock(&vsk->sk);
}

static void claim_is_elsewhere(const struct vsock_sock *vsk)
{
	claim_same(vsk->sk.sk_state, TCP_SYN_SENT);
	claim_same(vsk->sk.sk_err, 0);
	claim_same(vsk->peer_shutdown, 0);
	claim(!vsk->sk.done);
}

static void program_closes(struct vsock_sock *vsk)
{
	lock_sock(&vsk->sk);
	if (vsk->transport)
		vsk->transport->release(vsk);
	release_sock(&vsk->sk);
	sock_put(&vsk->sk);
}

/* ---- the bus and the host ---- */

u32 vmb_bus_version(void)
{
	return VMB_VERSION_NEWEST;
}

int vmb_socket_register(const struct vmb_socket_ops *ops)
{
	bus = ops;
	return 0;
}

void vmb_socket_unregister(void)
{
	bus = NULL;
}

int vmb_socket_dial(struct vmb_guest_dial *dial)
{
	claim(!dialled);
	dialled = dial;
	return 0;
}

bool vmb_socket_hang_up(struct vmb_guest_dial *dial)
{
	bool waited = dialled == dial;

	dialled = waited ? NULL : dialled;
	return waited;
}

static void host_accepts(void)
{
	const struct vmb_guest_socket about = { .port = PORT };
	struct vmb_guest_dial *dial = dialled;

	dialled = NULL;
	if (dial)
		claim(bus->offered(&channel, &about, dial));
}

static void host_refuses(void)
{
	struct vmb_guest_dial *dial = dialled;

	dialled = NULL;
	if (dial)
		bus->refused(dial);
}

static void host_connects(void)
{
	const struct vmb_guest_socket about = { .from_host = true, .port = PORT };

	claim(bus->offered(&channel, &about, NULL));
}

static void host_takes_it_away(void)
{
	channel.rescinded = true;
	if (channel.open)
		channel.ops->rescinded(&channel);
}

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	claim(!ch->open);
	ch->ops = ops;
	ch->context = context;
	msleep(open_ms);
	ch->open = !ch->rescinded;
	return ch->open ? 0 : -ENODEV;
}

void vmb_socket_release(struct vmb_channel *ch)
{
	ch->open = false;
	releases++;
	msleep(4);
}

void *vmb_channel_context(const struct vmb_channel *ch)
{
	return ch->context;
}

bool vmb_channel_rescinded(const struct vmb_channel *ch)
{
	return ch->rescinded;
}

bool vmb_channel_unmask(struct vmb_channel *ch)
{
	return false;
}

/* An end, or what breaks the protocol. */
static void host_says(u16 header_len)
{
	packet_header_len = header_len;
	packet_data_len = 0;
	packets = 1;
	channel.ops->doorbell(&channel);
}

static void host_sends(u32 count, u32 len)
{
	packet_header_len = 0;
	packet_data_len = len;
	packets = count;
	channel.ops->doorbell(&channel);
}

int vmb_channel_read(struct vmb_channel *ch, struct vmb_ring_received *packet)
{
	claim(ch->open);
	if (!packets)
		return -EAGAIN;
	*packet = (struct vmb_ring_received){ .type = VMB_PKT_INBAND,
					      .header_len = packet_header_len,
					      .payload_len = sizeof(struct vmb_pipe_header) +
							     packet_data_len };
	return 0;
}

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	const struct vmb_pipe_header header = { .type = VMB_PIPE_DATA, .len = packet_data_len };

	claim(ch->open);
	if (offset == sizeof(struct vmb_pkt_desc))
		memcpy(dst, &header, len);
	else
		memset(dst, 'x', len);
	return true;
}

void vmb_channel_next(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	packets--;
}

void vmb_channel_release(struct vmb_channel *ch)
{
}

/* The host has read all. */
u32 vmb_channel_room(struct vmb_channel *ch)
{
	return 15 * VMB_PAGE_LEN - 8;
}

int vmb_channel_wait_room(struct vmb_channel *ch, u32 len)
{
	return 0;
}

int vmb_channel_write(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	claim(ch->open);
	ends += packet->payload_count == 1;
	written++;
	return 0;
}

void vmb_channel_commit(struct vmb_channel *ch)
{
	seen = written;
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	int rc = vmb_channel_write(ch, packet);

	vmb_channel_commit(ch);
	return rc;
}

uint32_t vmb_ring_packet_len(uint32_t header_len, uint32_t payload_len)
{
	return sizeof(struct vmb_pkt_desc) + header_len + payload_len +
	       sizeof(struct vmb_pkt_footer);
}

/* ---- cases ---- */

static void load(void)
{
	claim_same(shim_module_load("hvsock"), 0);
}

/* Everything has come back, so the module may go. */
static void unload(void)
{
	SECONDS(20);
	claim(!channel.open);
	claim(!dialled);
	claim_same(sockets, 0);
	claim_same(module_users, 0);
	shim_module_unload("hvsock");
}

static void a_connection_comes_and_ends(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	claim_same(vsk->sk.sk_state, TCP_ESTABLISHED);
	lock_sock(&vsk->sk);
	claim(ours->stream_is_active(vsk));
	release_sock(&vsk->sk);
	program_closes(vsk);
	claim_same(ends, 1);
	SECONDS(7);
	claim_same(releases, 0); /* the host has some time to end too */
	SECONDS(2);
	claim_same(releases, 1);
	unload();
}

static void a_refusal_ends_the_wait(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_refuses();
	SECONDS(1);
	claim_same(vsk->sk.sk_state, TCP_CLOSE);
	claim_same(vsk->sk.sk_err, ECONNREFUSED);
	program_closes(vsk);
	unload();
}

static void the_host_reaches_a_listener(void)
{
	load();
	listener = new_socket();
	vsock_assign_transport(listener, NULL);
	listener->sk.sk_state = TCP_LISTEN;
	listener->sk.backlog_max = 1;
	host_connects();
	SECONDS(1);
	claim(accepted);
	claim_same(accepted->sk_state, TCP_ESTABLISHED);
	program_closes(vsock_sk(accepted));
	sock_put(accepted);
	program_closes(listener);
	unload();
}

static void an_answer_comes_when_the_socket_is_elsewhere(void)
{
	struct vsock_sock *vsk;

	load();
	open_ms = 3000; /* so long that connect() gives up */
	vsk = program_connects();
	host_accepts();
	SECONDS(2);
	program_gives_up(vsk);
	program_turns_elsewhere(vsk);
	SECONDS(2);
	claim_same(releases, 1);
	claim_is_elsewhere(vsk);
	program_closes(vsk);
	unload();
}

static void a_channel_is_left_when_the_socket_is_elsewhere(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	program_gives_up(vsk);
	program_turns_elsewhere(vsk);
	claim(module_users); /* what is left runs here */
	SECONDS(9);
	claim_same(releases, 1);
	claim_is_elsewhere(vsk);
	program_closes(vsk);
	unload();
}

static void what_still_comes_is_nothing_to_a_socket_elsewhere(u16 header_len)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	program_gives_up(vsk);
	program_turns_elsewhere(vsk);
	host_says(header_len);
	SECONDS(1);
	claim_same(releases, 1); /* the host has ended, or may not go on */
	claim_is_elsewhere(vsk);
	program_closes(vsk);
	unload();
}

static void an_end_comes_when_the_socket_is_elsewhere(void)
{
	what_still_comes_is_nothing_to_a_socket_elsewhere(0);
}

static void the_protocol_breaks_when_the_socket_is_elsewhere(void)
{
	what_still_comes_is_nothing_to_a_socket_elsewhere(8);
}

static void the_end_and_a_breach_reach_the_program(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	host_says(0);
	SECONDS(1);
	claim_same(vsk->peer_shutdown, SEND_SHUTDOWN);
	host_says(8);
	SECONDS(1);
	claim_same(vsk->peer_shutdown, SHUTDOWN_MASK);
	claim_same(vsk->sk.sk_err, EPROTO);
	claim_same(vsk->sk.sk_state, TCP_ESTABLISHED); /* else the layer reads an end */
	claim_same(releases, 1);
	program_closes(vsk);
	unload();
}

static ssize_t program_reads(struct vsock_sock *vsk, u8 *bytes, size_t len)
{
	struct msghdr msg = { .at = bytes };
	ssize_t done;

	lock_sock(&vsk->sk);
	done = ours->stream_dequeue(vsk, &msg, len, 0);
	release_sock(&vsk->sk);
	return done;
}

static void what_came_before_the_end_is_read_after_it(void)
{
	u8 bytes[16] = { 0 };
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	host_sends(1, 12);
	host_takes_it_away();
	SECONDS(1);
	claim_same(releases, 1);
	claim_same(vsk->sk.sk_state, TCP_ESTABLISHED); /* the layer reads from no other */
	claim_same(program_reads(vsk, bytes, 4), 4);
	claim_same(program_reads(vsk, bytes + 4, 12), 8);
	claim_same(program_reads(vsk, bytes, 4), 0);
	claim_same(memcmp(bytes, "xxxxxxxxxxxx", 13), 0);
	claim_same(vsk->sk.sk_err, 0);
	claim_same(vsk->peer_shutdown, SHUTDOWN_MASK);
	program_closes(vsk);
	unload();
}

static void one_call_reads_many_packets(void)
{
	u8 bytes[40] = { 0 };
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	host_sends(3, 12);
	SECONDS(1);
	claim_same(program_reads(vsk, bytes, 30), 30);
	claim_same(packets, 1); /* a part of it is left */
	claim_same(program_reads(vsk, bytes + 30, 10), 6);
	claim_same(memcmp(bytes, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37), 0);
	host_sends(1000, 16000);
	claim_same(program_reads(vsk, long_bytes, sizeof(long_bytes)), RING_BYTES);
	program_closes(vsk);
	unload();
}

static void one_call_writes_some_packets_and_the_host_sees_them(void)
{
	struct msghdr msg = { .at = long_bytes };
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	lock_sock(&vsk->sk);
	claim_same(ours->stream_enqueue(vsk, &msg, sizeof(long_bytes)), 4 * PIECE_LEN);
	release_sock(&vsk->sk);
	claim_same(written, 4);
	claim_same(seen, 4);
	program_closes(vsk);
	unload();
}

static void what_is_lost_does_not_look_like_an_end(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	host_sends(1, 12);
	no_memory = true;
	host_takes_it_away();
	SECONDS(1);
	claim_same(releases, 1);
	claim_same(vsk->sk.sk_err, ENOMEM);
	claim_same(vsk->sk.sk_state, TCP_ESTABLISHED);
	program_closes(vsk);
	unload();
}

static void a_channel_that_connect_left_behind_is_not_overwritten(void)
{
	struct vsock_sock *vsk;

	load();
	vsk = program_connects();
	host_accepts();
	SECONDS(1);
	program_gives_up(vsk);
	lock_sock(&vsk->sk);
	vsk->sk.sk_state = TCP_SYN_SENT;
	claim_same(ours->connect(vsk), -EALREADY);
	release_sock(&vsk->sk);
	program_closes(vsk);
	SECONDS(9);
	claim_same(releases, 1);
	unload();
}

static void host_does_something(void *argument)
{
	msleep(sched_random(20));
	if (sched_random(2))
		host_accepts();
	else
		host_refuses();
	msleep(sched_random(20));
	host_takes_it_away();
}

static void anything_may_come_at_any_time(void)
{
	struct bed_thread host;
	struct vsock_sock *vsk;

	load();
	open_ms = sched_random(12);
	vsk = program_connects();
	bed_start(&host, "host", host_does_something, NULL);
	msleep(sched_random(20));
	program_gives_up(vsk);
	if (sched_random(2))
		program_turns_elsewhere(vsk);
	msleep(sched_random(20));
	program_closes(vsk);
	bed_join(&host);
	unload();
}

bed_test(a_connection_comes_and_ends) bed_test(a_refusal_ends_the_wait) bed_test(
	the_host_reaches_a_listener) bed_test(an_end_comes_when_the_socket_is_elsewhere)
	bed_test(the_protocol_breaks_when_the_socket_is_elsewhere) bed_test(
		the_end_and_a_breach_reach_the_program)
		bed_test(what_came_before_the_end_is_read_after_it) bed_test(
			one_call_reads_many_packets)
			bed_test(one_call_writes_some_packets_and_the_host_sees_them) bed_test(
				what_is_lost_does_not_look_like_an_end)
				bed_test(an_answer_comes_when_the_socket_is_elsewhere) bed_test(
					a_channel_is_left_when_the_socket_is_elsewhere)
					bed_test(
						a_channel_that_connect_left_behind_is_not_overwritten)
						bed_test_seeds(anything_may_come_at_any_time, 200)

							int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_connection_comes_and_ends),
		cmocka_unit_test(test_a_refusal_ends_the_wait),
		cmocka_unit_test(test_the_host_reaches_a_listener),
		cmocka_unit_test(test_an_answer_comes_when_the_socket_is_elsewhere),
		cmocka_unit_test(test_a_channel_is_left_when_the_socket_is_elsewhere),
		cmocka_unit_test(test_an_end_comes_when_the_socket_is_elsewhere),
		cmocka_unit_test(test_the_protocol_breaks_when_the_socket_is_elsewhere),
		cmocka_unit_test(test_the_end_and_a_breach_reach_the_program),
		cmocka_unit_test(test_what_came_before_the_end_is_read_after_it),
		cmocka_unit_test(test_one_call_reads_many_packets),
		cmocka_unit_test(test_one_call_writes_some_packets_and_the_host_sees_them),
		cmocka_unit_test(test_what_is_lost_does_not_look_like_an_end),
		cmocka_unit_test(test_a_channel_that_connect_left_behind_is_not_overwritten),
		cmocka_unit_test(test_anything_may_come_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

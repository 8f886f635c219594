/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * More of the kernel for ports/linux/sockets*.c: sockets with a lock and a count, and what their
 * layer (net/vmw_vsock) has for a transport. A socket that nobody holds is freed, its transport's
 * part before it.
 */
#ifndef TESTS_LINUX_VSOCK_H
#define TESTS_LINUX_VSOCK_H

#include "tests/linux/kernel.h"

#define pr_info(...)		 shim_log("info", __VA_ARGS__)
#define pr_warn_ratelimited(...) pr_warn(__VA_ARGS__)
#define kvmalloc(len, flags)	 (no_memory ? NULL : shim_alloc(len, flags))
extern bool no_memory; /* the test's */
#define MODULE_ALIAS_NETPROTO(n)

typedef struct {
	int count;
} refcount_t;
#define refcount_set(r, n)	 ((r)->count = (n))
#define refcount_inc(r)		 ((void)__atomic_add_fetch(&(r)->count, 1, __ATOMIC_RELAXED))
#define refcount_dec_and_test(r) (!__atomic_sub_fetch(&(r)->count, 1, __ATOMIC_ACQ_REL))

void __module_get(struct module *module);
void module_put(struct module *module);

struct msghdr {
	u8 *at;
};
#define MSG_PEEK			 2
#define memcpy_to_msg(msg, bytes, len)	 (memcpy((msg)->at, bytes, len), (msg)->at += (len), 0)
#define memcpy_from_msg(bytes, msg, len) (memcpy(bytes, (msg)->at, len), (msg)->at += (len), 0)

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_CLOSE = 7, TCP_LISTEN = 10, TCP_CLOSING };
enum { SS_UNCONNECTED = 1, SS_CONNECTED = 3 };
#define RCV_SHUTDOWN	      1
#define SEND_SHUTDOWN	      2
#define SHUTDOWN_MASK	      3
#define SOCK_DONE	      1
#define SINGLE_DEPTH_NESTING  1
#define VMADDR_CID_ANY	      (~0u)
#define VMADDR_CID_HOST	      2u
#define VSOCK_TRANSPORT_F_G2H 2

struct socket {
	int state;
};
struct sock {
	struct mutex lock;
	int count; /* who holds it */
	int sk_state, sk_err;
	bool done;
	u32 backlog, backlog_max;
	struct socket *sk_socket;
	void (*sk_data_ready)(struct sock *sk);
	void (*sk_write_space)(struct sock *sk);
	void (*sk_state_change)(struct sock *sk);
};
struct sockaddr_vm {
	u32 svm_cid, svm_port;
};
struct vsock_transport;
struct vsock_sock {
	struct sock sk; /* first */
	const struct vsock_transport *transport;
	void *trans;
	struct sockaddr_vm local_addr, remote_addr;
	u32 peer_shutdown;
	bool connected; /* in the table of connected ones */
};
#define sk_vsock(vsk)		      (&(vsk)->sk)
#define vsock_sk(at)		      ((struct vsock_sock *)(at))

#define lock_sock(at)		      mutex_lock(&(at)->lock)
#define lock_sock_nested(at, depth)   mutex_lock(&(at)->lock)
#define release_sock(at)	      mutex_unlock(&(at)->lock)
#define sock_hold(at)		      ((void)__atomic_add_fetch(&(at)->count, 1, __ATOMIC_RELAXED))
#define sock_set_flag(at, flag)	      ((at)->done = true)
#define sk_error_report(at)	      ((void)(at))
#define sk_acceptq_is_full(at)	      ((at)->backlog > (at)->backlog_max)
#define sk_acceptq_added(at)	      ((at)->backlog++)
#define sk_acceptq_removed(at)	      ((at)->backlog--)
#define vsock_addr_init(a, cid, port) (*(a) = (struct sockaddr_vm){ cid, port })
void sock_put(struct sock *sk);

struct vsock_transport_recv_notify_data;
struct vsock_transport_send_notify_data;
struct vsock_transport {
	struct module *module;
	u32 (*get_local_cid)(void);
	int (*init)(struct vsock_sock *vsk, struct vsock_sock *parent);
	void (*destruct)(struct vsock_sock *vsk);
	void (*release)(struct vsock_sock *vsk);
	int (*connect)(struct vsock_sock *vsk);
	int (*cancel_pkt)(struct vsock_sock *vsk);
	int (*shutdown)(struct vsock_sock *vsk, int mode);
	int (*dgram_bind)(struct vsock_sock *vsk, struct sockaddr_vm *address);
	int (*dgram_dequeue)(struct vsock_sock *vsk, struct msghdr *msg, size_t len, int flags);
	int (*dgram_enqueue)(struct vsock_sock *vsk, struct sockaddr_vm *address,
			     struct msghdr *msg, size_t len);
	bool (*dgram_allow)(u32 cid, u32 port);
	ssize_t (*stream_dequeue)(struct vsock_sock *vsk, struct msghdr *msg, size_t len,
				  int flags);
	ssize_t (*stream_enqueue)(struct vsock_sock *vsk, struct msghdr *msg, size_t len);
	s64 (*stream_has_data)(struct vsock_sock *vsk);
	s64 (*stream_has_space)(struct vsock_sock *vsk);
	u64 (*stream_rcvhiwat)(struct vsock_sock *vsk);
	bool (*stream_is_active)(struct vsock_sock *vsk);
	bool (*stream_allow)(u32 cid, u32 port);
	int (*notify_poll_in)(struct vsock_sock *vsk, size_t target, bool *ready);
	int (*notify_poll_out)(struct vsock_sock *vsk, size_t target, bool *ready);
	int (*notify_recv_init)(struct vsock_sock *vsk, size_t target,
				struct vsock_transport_recv_notify_data *data);
	int (*notify_recv_pre_block)(struct vsock_sock *vsk, size_t target,
				     struct vsock_transport_recv_notify_data *data);
	int (*notify_recv_pre_dequeue)(struct vsock_sock *vsk, size_t target,
				       struct vsock_transport_recv_notify_data *data);
	int (*notify_recv_post_dequeue)(struct vsock_sock *vsk, size_t target, ssize_t copied,
					bool data_read,
					struct vsock_transport_recv_notify_data *data);
	int (*notify_send_init)(struct vsock_sock *vsk,
				struct vsock_transport_send_notify_data *data);
	int (*notify_send_pre_block)(struct vsock_sock *vsk,
				     struct vsock_transport_send_notify_data *data);
	int (*notify_send_pre_enqueue)(struct vsock_sock *vsk,
				       struct vsock_transport_send_notify_data *data);
	int (*notify_send_post_enqueue)(struct vsock_sock *vsk, ssize_t written,
					struct vsock_transport_send_notify_data *data);
};

int vsock_core_register(const struct vsock_transport *transport, int features);
void vsock_core_unregister(const struct vsock_transport *transport);
void vsock_insert_connected(struct vsock_sock *vsk);
void vsock_remove_sock(struct vsock_sock *vsk);
struct sock *vsock_create_connected(struct sock *parent);
int vsock_assign_transport(struct vsock_sock *vsk, struct vsock_sock *parent);
void vsock_enqueue_accept(struct sock *listener, struct sock *child);
struct sock *vsock_find_bound_socket(struct sockaddr_vm *address);

#endif

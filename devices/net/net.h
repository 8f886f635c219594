/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a guest's frames go: a backend is a small table of functions. The simplest one is
 * devices/net/null.c.
 *
 *   vmb_dev_net_open(&net, &option, receive, arg)  does what can fail; reports an error
 *   vmb_dev_net_prepare(&net)                      the machine starts now: begins the capture file
 *   the card's worker, one thread, in its loop:
 *     count = net.ops->fill(&net, fds, max, &timeout)   what to poll for
 *     poll
 *     net.ops->take(&net, fds, count)                   calls receive(arg, frame) for
 *                                                       each frame that came; also after a
 *                                                       time-out: backends have timers
 *     net.link_up                                       may have changed now
 *     vmb_dev_net_send(&net, frame)                     for each frame of the guest's
 *   vmb_dev_net_close(&net)
 *
 * Frames are Ethernet frames with an 802.1Q tag in place if there is one, in pieces; what is not
 * done yet stands in a virtio-net header (little-endian, 12 bytes with the buffer count): checksum
 * to be completed, large TCP frame to be cut. A backend that says it takes large frames gets them
 * whole; else the card cuts them and completes all checksums first. A capture
 * (devices/net/capture.h) sees what goes through here, both ways.
 *
 * The pieces of a frame that is sent may be memory that the guest can change: a backend reads them
 * once. Those of a frame that came are private, and the receiver's until it returns.
 *
 * Context: the worker's thread, but open, prepare and close. Nothing waits.
 */
#ifndef DEVICES_NET_NET_H
#define DEVICES_NET_NET_H

#include <linux/virtio_net.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/role.h"

#define VMB_DEV_NET_MAX		 8u /* cards of a machine */
#define VMB_DEV_NET_IOV_MAX	 72u
#define VMB_DEV_NET_FRAME_MAX	 (65536u + 32u) /* bytes of a frame */
#define VMB_DEV_NET_FORWARD_MAX	 16u
#define VMB_DEV_NET_REDIRECT_MAX 8u
#define VMB_DEV_NET_DHCP_MAX	 4u /* options of a user network's own */
#define VMB_DEV_NET_DHCP_LEN_MAX 32u /* bytes of one */
#define VMB_DEV_NET_POLL_MAX	 2048u /* a user network has one a connection */

enum vmb_dev_net_kind {
	VMB_DEV_NET_NULL, /* a card whose link is up, without a peer */
	VMB_DEV_NET_USER,
	VMB_DEV_NET_TAP,
	VMB_DEV_NET_SWITCH,
	/* the caller's own backend: option.ops and option.arg; not on a command line */
	VMB_DEV_NET_OWN,
};

struct vmb_dev_net_ops;

/* hostfwd=PROTOCOL:[ADDRESS]:PORT-[GUEST ADDRESS]:PORT; addresses in network byte order. */
struct vmb_dev_net_forward {
	bool udp;
	uint32_t host_address; /* 0 = any */
	uint16_t host_port;
	uint32_t guest_address; /* 0 = the first address that DHCP gives */
	uint16_t guest_port;
};

/*
 * redirect=ADDRESS:PORT-ADDRESS:PORT; addresses in network byte order. The guest's TCP connections
 * to the first lead to the second, which 127.0.0.1 makes this machine's own.
 */
struct vmb_dev_net_redirect {
	uint32_t from_address, to_address;
	uint16_t from_port, to_port;
};

/* dhcp-option=CODE:HEX, beside those that libslirp gives. */
struct vmb_dev_net_dhcp_option {
	uint8_t code, len;
	uint8_t bytes[VMB_DEV_NET_DHCP_LEN_MAX];
};

/* One --net of the command line. */
struct vmb_dev_net_option {
	/* the value as in argv; NULL: the option does not come from a command line */
	const char *text;
	enum vmb_dev_net_kind kind;
	const char *target; /* tap: interface; switch: socket's path */
	const char *capture; /* file, NULL: none */
	uint64_t capture_len; /* bytes that it may have */
	uint8_t mac[6];
	bool has_mac; /* given; otherwise mac is generated as devices/net/parse.c describes */
	uint32_t queue_count; /* 1..64, default 1 */
	uint32_t mtu_max; /* 1500..65521 */
	uint32_t version_max; /* VMB_NET_VERSION_*, 0 = newest; of the machine's generation */
	struct vmb_dev_net_forward forwards[VMB_DEV_NET_FORWARD_MAX];
	uint32_t forward_count;
	struct vmb_dev_net_redirect redirects[VMB_DEV_NET_REDIRECT_MAX];
	uint32_t redirect_count;
	struct vmb_dev_net_dhcp_option dhcp_options[VMB_DEV_NET_DHCP_MAX];
	uint32_t dhcp_option_count;
	bool monitored; /* its channels have monitor ids, whatever the machine's others have */
	bool no_rsc; /* the guest is not offered coalesced frames, though the network has them */
	bool restricted; /* user: the guest can only answer connections from outside */
	bool no_loopback; /* user: the guest cannot reach this machine's own loopback */
	const struct vmb_dev_net_ops *ops; /* own */
	void *arg; /* own: for ops->open */
};

struct vmb_dev_net_frame {
	struct virtio_net_hdr_v1 header;
	const struct iovec *iov;
	uint32_t iov_count;
	uint32_t len; /* bytes of all pieces */
	uint16_t queue; /* which queue it came from */
};

struct vmb_dev_net;
typedef void vmb_dev_net_receive(void *arg, const struct vmb_dev_net_frame *frame);

enum vmb_dev_net_sent {
	VMB_DEV_NET_SENT,
	VMB_DEV_NET_DROPPED, /* counted by the backend */
	VMB_DEV_NET_FULL, /* not now: try again when a descriptor with POLLOUT is ready */
};

struct vmb_dev_net_ops {
	const char *name;
	enum vmb_dev_role role; /* of the card's worker */
	int (*open)(struct vmb_dev_net *net, const struct vmb_dev_net_option *option);
	/*
	 * Creates what open only checked. NULL: there is nothing to create. Returns 0, or -errno:
	 * reported.
	 */
	int (*prepare)(struct vmb_dev_net *net);
	void (*close)(struct vmb_dev_net *net);
	/*
	 * Returns how many of max entries it filled; lowers *timeout (ms, -1 = no limit) when it
	 * has timers.
	 */
	uint32_t (*fill)(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout);
	void (*take)(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count);
	enum vmb_dev_net_sent (*send)(struct vmb_dev_net *net,
				      const struct vmb_dev_net_frame *frame);
};

struct vmb_dev_capture;

struct vmb_dev_net {
	const struct vmb_dev_net_ops *ops;
	void *state; /* the backend's own */
	vmb_dev_net_receive *receive;
	void *arg;
	struct vmb_dev_capture *capture; /* NULL: none */
	bool takes_large; /* large frames and open checksums go through as they are */
	bool link_up;
	bool has_descriptors; /* that somebody must poll */
	uint32_t mtu_max; /* bytes without Ethernet header that it carries */
	bool pulled; /* the cable is out, whatever the backend says; atomic */
	bool full; /* the last send was refused */
	uint64_t sent, received; /* frames */
	uint64_t dropped; /* of the guest's */
	uint64_t malformed; /* came with an invalid header, and were dropped */
};

/*
 * Parses "user,hostfwd=tcp::2222-:22,queues=4" and so on; the caller handles "none". Opens nothing.
 * value is modified and must outlive option. number: of the card, from 0. Returns 0, or -EINVAL:
 * reported in one line.
 */
int vmb_dev_net_parse(struct vmb_dev_net_option *option, char *value, uint32_t number);

/* 0, or -errno: reported. */
int vmb_dev_net_open(struct vmb_dev_net *net, const struct vmb_dev_net_option *option,
		     vmb_dev_net_receive *receive, void *arg);
/* Closes the backend and the capture. */
void vmb_dev_net_close(struct vmb_dev_net *net);

/*
 * All options are valid and the machine starts: creates or overwrites what open only checked.
 * Returns 0, or -errno: reported.
 */
int vmb_dev_net_prepare(struct vmb_dev_net *net);

/* Returns whether the cable is out. */
static inline bool vmb_dev_net_is_pulled(const struct vmb_dev_net *net)
{
	return __atomic_load_n(&net->pulled, __ATOMIC_RELAXED);
}

/* Captures a frame and hands it to the backend. */
enum vmb_dev_net_sent vmb_dev_net_send(struct vmb_dev_net *net,
				       const struct vmb_dev_net_frame *frame);
/*
 * For backends: a frame came. Checks its header against its length, so that the card can rely on
 * it, captures the frame and hands it to the card.
 */
void vmb_dev_net_deliver(struct vmb_dev_net *net, const struct vmb_dev_net_frame *frame);

/* The kinds. */
extern const struct vmb_dev_net_ops vmb_dev_net_null;
extern const struct vmb_dev_net_ops vmb_dev_net_user;
extern const struct vmb_dev_net_ops vmb_dev_net_tap;
extern const struct vmb_dev_net_ops vmb_dev_net_cable;

/*
 * For backends: copies all pieces into room, reading each byte once. Returns frame->len, or 0 if
 * room_len is less.
 */
uint32_t vmb_dev_net_gather(const struct vmb_dev_net_frame *frame, void *room, uint32_t room_len);

#endif

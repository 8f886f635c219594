/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of netvsc.ko share: one net_device per network channel; the protocol is
 * guest/network.c.
 *
 *   network.c          module, probe and remove, what the stack asks of a device
 *   network_connect.c  the connection with the host: buffers, channels, queues; anew when the MTU
 *                      or the number of queues changes
 *   network_queue.c    a queue's memory and its poll
 *   network_control.c  the dialogue with the host, link and filter
 *   network_send.c     network_receive.c   network_xdp.c   network_ethtool.c
 *
 * Who runs where:
 *   a sender   start_xmit, XDP: under the tx queue's lock, which guards the sender's half of a
 *              queue
 *   the poll   one NAPI a queue: all that comes from the host, and the acknowledgements
 *   requests   process context, one at a time under the card's mutex (taken under the RTNL, never
 *              the other way round); control_lock is between them and the primary's poll
 *
 * Sends and acknowledgements share a ring, so a queue is stopped only together with a request for
 * room (vmb_channel_wait_room()) or with slots that are in flight; either makes the poll run, and
 * netvsc_resume() at its end looks at both.
 */
#ifndef PORTS_LINUX_NETWORK_H
#define PORTS_LINUX_NETWORK_H

#include <linux/bpf.h>
#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/xdp.h>
#include "guest/network.h"
#include "ports/linux/vmbus.h"

#define NETVSC_RANGE_MAX    VMB_NET_PAGE_COUNT_MAX

/* Bytes of headers that are corrected for a large send: Ethernet, IP, the fixed part of TCP. */
#define NETVSC_HEAD_LEN_MAX 128u

/* Of a slot whose frames are XDP's: they do not count for the byte queue limit. */
#define NETVSC_COOKIE_XDP   ((void *)1)

enum netvsc_tx_stat {
	NETVSC_TX_PACKETS,
	NETVSC_TX_BYTES,
	NETVSC_TX_DROPPED,
	NETVSC_TX_TOO_LONG, /* dropped too: made for the MTU before this one */
	NETVSC_TX_COPIED, /* frames that went through the send buffer as a whole */
	NETVSC_TX_RANGES, /* frames whose pages the host reads */
	NETVSC_TX_LARGE, /* the host does the TCP segmentation */
	NETVSC_TX_SENDS, /* packets in the ring; frames share them */
	NETVSC_TX_STOPPED,
	NETVSC_TX_WOKEN,
	NETVSC_TX_RING_FULL,
	NETVSC_TX_XDP,
	NETVSC_TX_XDP_DROPPED,
	NETVSC_TX_STAT_COUNT,
};

enum netvsc_rx_stat {
	NETVSC_RX_PACKETS,
	NETVSC_RX_BYTES,
	NETVSC_RX_DROPPED,
	NETVSC_RX_MULTICAST,
	NETVSC_RX_CHECKED, /* the host found the checksum correct */
	NETVSC_RX_COALESCED, /* large frames made by the host */
	NETVSC_RX_XDP_PASS,
	NETVSC_RX_XDP_DROP,
	NETVSC_RX_XDP_TX,
	NETVSC_RX_XDP_REDIRECT,
	NETVSC_RX_XDP_ABORTED,
	NETVSC_RX_TX_ERRORS, /* the poll's count of frames that the host did not send */
	NETVSC_RX_ACK_WAITS, /* the ring had no room for an acknowledgement */
	NETVSC_RX_STAT_COUNT,
};

/* A page, or a part of it, that the host reads. */
struct netvsc_range {
	struct vmb_gpa_range range;
	u64 pfn;
} VMB_PACKED;

/* A packet on its way into the ring. */
struct netvsc_packet {
	struct vmb_guest_network_packet core;
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct netvsc_range ranges[NETVSC_RANGE_MAX];
	} VMB_PACKED header;
	u32 range_count;
	struct sk_buff *skb; /* whose pages they are */
};

struct netvsc;

/* What the core keeps of a queue's packets. */
struct netvsc_tables {
	struct vmb_guest_network_slot *slots;
	u32 *free_slots;
	u64 *owed;
};

struct netvsc_queue {
	struct vmb_guest_network_queue core;
	struct netvsc *card;
	struct vmb_channel *channel; /* NULL: closed */
	struct netdev_queue *txq;
	u16 index;
	struct netvsc_tables tables;

	/* the sender's; under txq's lock */
	struct netvsc_packet packet;
	bool kept; /* packet is sealed, but not in the ring yet */
	bool filling_xdp; /* what is being filled holds XDP's frames */
	u8 head[NETVSC_HEAD_LEN_MAX]; /* being corrected; not on the stack, see storage_link.h */
	struct u64_stats_sync tx_sync;
	u64 tx[NETVSC_TX_STAT_COUNT];

	/* the poll's */
	struct napi_struct napi ____cacheline_aligned;
	bool polled; /* napi_enable() was called; process context */
	bool receiving; /* receive holds a packet with frames not seen yet */
	bool broken; /* reported that the host broke the ring */
	u64 receive_id;
	struct bpf_prog __rcu *xdp_prog;
	struct page_pool *xdp_pool;
	struct xdp_rxq_info xdp_rxq;
	struct u64_stats_sync rx_sync;
	u64 rx[NETVSC_RX_STAT_COUNT];
	struct vmb_guest_network_receive receive;
	struct vmb_guest_network_frame frame; /* one of it; not on the stack, as head */
	/* the packet being taken, and what it means; as head */
	u8 message[VMB_NET_MESSAGE_LEN_MAX];
	struct vmb_guest_network_event event;
};

/* Memory that the host writes to or reads from. */
struct netvsc_buffer {
	u8 *memory;
	u32 len;
	struct vmb_share *share;
};

/* What a connection is made with; changed by a new connection only. */
struct netvsc_settings {
	u32 mtu;
	u32 receive_len, send_len; /* bytes */
	u16 queue_count;
};

struct netvsc {
	struct net_device *dev;
	struct vmb_device *device;
	struct mutex mutex; /* connection and dialogue */
	struct netvsc_settings settings;
	bool talking; /* mutex: the handshake is done, so the host must be told when it ends */
	bool connected; /* mutex: all queues are there */
	bool up; /* frames go in and out; changed under the mutex */
	bool gone; /* the host took the device away, or the driver gave it up */
	bool broken; /* the host broke a ring of this connection: no more answers will come */
	bool removing; /* no more work is queued */

	spinlock_t control_lock;
	struct vmb_guest_network core;
	bool answered; /* control_lock: the request under way has ended */
	bool output_waits; /* written under control_lock: the ring has no room, or may have none */
	bool table_known; /* the host sent a send table */
	wait_queue_head_t wait; /* for the host */

	struct netvsc_buffer receive_buffer, send_buffer;
	struct page *control_page;
	struct vmb_channel *subs[VMB_NET_QUEUE_COUNT_MAX]; /* offered, by index */
	u16 queue_count; /* open */
	u16 queue_max; /* the most that this card can ever have */
	/* made when needed, kept until the end */
	struct netvsc_queue *queues[VMB_NET_QUEUE_COUNT_MAX];

	u8 rss_key[NDIS_RSS_KEY_LEN];
	u16 rss_table[NDIS_RSS_TABLE_COUNT_MAX];
	/* kinds of frame, one bit each, that are sent by their addresses alone, without ports */
	u32 shallow;
	u32 user_speed; /* Mbit/s, with user_duplex; SPEED_UNKNOWN: as the host says */
	u8 user_duplex;
	struct bpf_prog *xdp_prog; /* RTNL */

	/* jiffies; after a network change the link is reported as down for a moment */
	unsigned long link_down_at;
	bool link_lost;
	struct delayed_work link_work;
	struct work_struct filter_work, reset_work;
	unsigned long broken_since; /* jiffies; reset_work's */
	u32 broken_count; /* connections that the host has broken since */
	u16 spread_count; /* queues for which the senders' CPUs were chosen */
};

/* Bits of shallow. */
enum netvsc_flow {
	NETVSC_FLOW_TCP4 = 1,
	NETVSC_FLOW_TCP6 = 2,
	NETVSC_FLOW_UDP4 = 4,
	NETVSC_FLOW_UDP6 = 8,
};

static inline void netvsc_count_tx(struct netvsc_queue *q, enum netvsc_tx_stat stat, u64 n)
{
	u64_stats_update_begin(&q->tx_sync);
	q->tx[stat] += n;
	u64_stats_update_end(&q->tx_sync);
}

static inline void netvsc_count_rx(struct netvsc_queue *q, enum netvsc_rx_stat stat, u64 n)
{
	u64_stats_update_begin(&q->rx_sync);
	q->rx[stat] += n;
	u64_stats_update_end(&q->rx_sync);
}

static inline u32 netvsc_rss_table_count(const struct netvsc *card)
{
	return min(card->core.agreed.rss_table_count, NDIS_RSS_TABLE_COUNT_MAX);
}

/* network.c */
u32 netvsc_receive_len_max(void);
u32 netvsc_receive_len(u64 wanted); /* the possible length nearest to wanted */
u32 netvsc_send_len(u64 wanted);
u32 netvsc_offload_of(const struct netvsc *card, netdev_features_t features);
void netvsc_set_large_max(struct netvsc *card);
void netvsc_reset(struct netvsc *card); /* any context */
void netvsc_break(struct netvsc *card); /* any context */

/* network_connect.c; RTNL (but for probe, before the device is registered) and mutex */
int netvsc_connect(struct netvsc *card);
void netvsc_disconnect(struct netvsc *card);
int netvsc_reopen(struct netvsc *card, const struct netvsc_settings *settings);
void netvsc_free_buffers(struct netvsc *card);
void netvsc_go_up(struct netvsc *card);
void netvsc_go_down(struct netvsc *card);
void netvsc_default_table(struct netvsc *card);
void netvsc_lose_connection(struct netvsc *card);

/* network_queue.c; mutex */
int netvsc_queue_make(struct netvsc *card, u16 count);
void netvsc_free_queues(struct netvsc *card);
int netvsc_queue_init(struct netvsc_queue *q, u32 slot_count, u32 owed_max);
int netvsc_queue_equip(struct netvsc_queue *q, u32 slot_count, u32 owed_max);
void netvsc_queue_start(struct netvsc_queue *q);
void netvsc_queue_stop(struct netvsc_queue *q);
void netvsc_queue_poll(struct netvsc_queue *q);
void netvsc_queue_end(struct netvsc *card, bool closed);

/* network_control.c; requests under the mutex */
void netvsc_pump(struct netvsc *card); /* control_lock */
void netvsc_event(struct netvsc *card, const struct vmb_guest_network_event *event);
int netvsc_shake_hands(struct netvsc *card);
int netvsc_set_filter(struct netvsc *card);
int netvsc_set_rss(struct netvsc *card);
int netvsc_set_offload(struct netvsc *card, netdev_features_t features);
int netvsc_set_mac(struct netvsc *card, const u8 *mac);
void netvsc_take_leave(struct netvsc *card);
void netvsc_link_work(struct work_struct *work);
void netvsc_filter_work(struct work_struct *work);

/* network_send.c; under the tx queue's lock */
netdev_tx_t netvsc_start_xmit(struct sk_buff *skb, struct net_device *dev);
u16 netvsc_select_queue(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev);
netdev_features_t netvsc_features_check(struct sk_buff *skb, struct net_device *dev,
					netdev_features_t features);
bool netvsc_put_xdp(struct netvsc_queue *q, const void *data, u32 len);
void netvsc_flush(struct netvsc_queue *q);
/* ... and without it, out of the poll */
void netvsc_resume(struct netvsc_queue *q);

/* network_receive.c; the poll, or nobody polls */
int netvsc_poll(struct napi_struct *napi, int budget);
bool netvsc_acknowledge(struct netvsc_queue *q);

/* network_xdp.c */
enum netvsc_verdict {
	NETVSC_XDP_PASS, /* an skb with the frame, or NULL: dropped */
	NETVSC_XDP_CONSUMED,
	NETVSC_XDP_TX, /* ... and the send queue is to be flushed */
	NETVSC_XDP_REDIRECT, /* ... and the redirect maps */
};
enum netvsc_verdict netvsc_xdp_run(struct netvsc_queue *q, struct bpf_prog *prog,
				   const struct vmb_guest_network_frame *frame,
				   struct sk_buff **skb);
int netvsc_xdp_begin(struct netvsc_queue *q);
void netvsc_xdp_end(struct netvsc_queue *q);
int netvsc_bpf(struct net_device *dev, struct netdev_bpf *bpf);
int netvsc_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags);
u32 netvsc_xdp_mtu_max(void);

/* network_ethtool.c */
extern const struct ethtool_ops netvsc_ethtool_ops;

#endif

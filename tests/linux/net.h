/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * More of the kernel for ports/linux/network*.c: network devices, NAPI with a thread a poll, frames.
 *
 *   net_up(), net_down(), net_set_mtu(), net_set_channels()   as ip and ethtool, under the RTNL
 *   net_send()              one frame, as the stack does it: under the queue's lock; waits while
 *                           the queue is stopped, until the device goes or limit ticks have passed
 *   net_received            gets each frame of the guest's, in the poll
 *   net_busy_poll()         what a socket does that polls busily, once
 *
 * Strict where it matters: a poll that is disabled never runs and one is never run twice at a time;
 * napi_enable() and napi_disable() come in pairs; the RTNL is not taken twice; the byte queue limit
 * never completes more than was sent; a device that is detached is not opened, changed or sent to.
 */
#ifndef TESTS_LINUX_NET_H
#define TESTS_LINUX_NET_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include "tests/linux/host.h"
#include "tests/linux/xdp.h"
#include "wire/rndis.h"

#define shutdown shim_shutdown /* <sys/socket.h> has one */

#define ____cacheline_aligned
#define __rcu
#define BITS_WORD		 64
#define U8_MAX			 255
#define PAGE_ALIGN(x)		 (((x) + PAGE_SIZE - 1) & PAGE_MASK)
#define DIV_ROUND_UP(a, b)	 (((a) + (b)-1) / (b))
#define clamp_t(type, x, l, h)	 ((type)clamp((type)(x), (type)(l), (type)(h)))
#define roundup_pow_of_two(n)	 (1ul << (64 - __builtin_clzl((unsigned long)(n)-1 + !((n)-1))))
#define rounddown_pow_of_two(n)	 (1ul << ilog2((unsigned int)(n)))
#define strscpy(dst, src, len)	 ((void)snprintf(dst, len, "%s", src))
#define rcu_dereference_bh(p)	 smp_load_acquire(&(p))
#define rcu_assign_pointer(p, v) smp_store_release(&(p), v)
#define RCU_INIT_POINTER(p, v)	 WRITE_ONCE(p, v)
#define local_bh_disable()	 ((void)0)
#define local_bh_enable()	 ((void)0)
#define alloc_page_order_max	 0

typedef u64 netdev_features_t;
typedef enum { NETDEV_TX_OK, NETDEV_TX_BUSY = 16 } netdev_tx_t;
typedef u16 __sum16;

struct u64_stats_sync {
	u8 unused;
};
#define u64_stats_init(s)	     ((void)(s))
#define u64_stats_update_begin(s)    ((void)(s))
#define u64_stats_update_end(s)	     ((void)(s))
#define u64_stats_fetch_begin(s)     ((void)(s), 0)
#define u64_stats_fetch_retry(s, at) ((void)(s), (void)(at), false)

/* ---- devices ---- */

enum {
	NETIF_F_SG = 1,
	NETIF_F_IP_CSUM = 2,
	NETIF_F_IPV6_CSUM = 4,
	NETIF_F_TSO = 8,
	NETIF_F_TSO6 = 16,
	NETIF_F_LRO = 32,
	NETIF_F_RXCSUM = 64,
	NETIF_F_RXHASH = 128,
	NETIF_F_HIGHDMA = 256,
	NETIF_F_HW_VLAN_CTAG_TX = 512,
	NETIF_F_HW_VLAN_CTAG_RX = 1024,
	NETIF_F_CSUM_MASK = NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM,
	NETIF_F_GSO_MASK = NETIF_F_TSO | NETIF_F_TSO6,
};
enum { IFF_UP = 1, IFF_BROADCAST = 2, IFF_PROMISC = 0x100, IFF_ALLMULTI = 0x200 };
enum { IFF_LIVE_ADDR_CHANGE = 1 };
enum { NETREG_UNINITIALIZED, NETREG_REGISTERED, NETREG_UNREGISTERED };
#define ETH_MIN_MTU			  68
#define NETDEV_XDP_ACT_BASIC		  1
#define NETDEV_XDP_ACT_REDIRECT		  2
#define NETDEV_XDP_ACT_NDO_XMIT		  4
#define xdp_set_features_flag(dev, flags) ((void)(dev))

struct net_device;
struct sk_buff;

struct netdev_queue {
	struct net_device *dev;
	spinlock_t lock; /* a sender's */
	bool stopped; /* by the driver; atomic */
	unsigned long trans_start;
	u64 sent, completed; /* bytes of the limit */
};

struct napi_struct {
	struct net_device *dev;
	struct napi_struct *next;
	int (*poll)(struct napi_struct *napi, int budget);
	u32 state; /* atomic: NAPI_* of net.c */
	u32 napi_id;
	bool due, ending, ended; /* its thread's */
};

struct rtnl_link_stats64 {
	u64 rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped, multicast,
		tx_errors;
};
struct net_device_ops {
	int (*ndo_open)(struct net_device *dev);
	int (*ndo_stop)(struct net_device *dev);
	netdev_tx_t (*ndo_start_xmit)(struct sk_buff *skb, struct net_device *dev);
	u16 (*ndo_select_queue)(struct net_device *dev, struct sk_buff *skb,
				struct net_device *sb_dev);
	netdev_features_t (*ndo_features_check)(struct sk_buff *skb, struct net_device *dev,
						netdev_features_t features);
	netdev_features_t (*ndo_fix_features)(struct net_device *dev, netdev_features_t features);
	int (*ndo_set_features)(struct net_device *dev, netdev_features_t features);
	void (*ndo_set_rx_mode)(struct net_device *dev);
	int (*ndo_set_mac_address)(struct net_device *dev, void *address);
	int (*ndo_validate_addr)(struct net_device *dev);
	int (*ndo_change_mtu)(struct net_device *dev, int mtu);
	void (*ndo_tx_timeout)(struct net_device *dev, unsigned int index);
	void (*ndo_get_stats64)(struct net_device *dev, struct rtnl_link_stats64 *stats);
	int (*ndo_bpf)(struct net_device *dev, struct netdev_bpf *bpf);
	int (*ndo_xdp_xmit)(struct net_device *dev, int count, struct xdp_frame **frames,
			    u32 flags);
};

#define NET_QUEUE_MAX 4
struct net_device {
	const struct net_device_ops *netdev_ops;
	const struct ethtool_ops *ethtool_ops;
	void *priv;
	u32 flags, priv_flags;
	int mtu, min_mtu, max_mtu;
	int reg_state;
	unsigned long watchdog_timeo;
	netdev_features_t features, hw_features, vlan_features;
	u8 dev_addr[ETH_ALEN];
	u32 real_num_tx_queues, real_num_rx_queues, queue_max;
	struct {
		u32 count;
	} uc, mc;
	struct netdev_queue queues[NET_QUEUE_MAX];
	spinlock_t tx_global_lock; /* all senders are stopped, or the watchdog looks */
	struct napi_struct *napis;
	bool running, detached, carrier; /* carrier: atomic */
	struct timer_list watchdog;
};

#define netdev_priv(dev)		      ((dev)->priv)
#define netif_running(dev)		      ((dev)->running)
#define SET_NETDEV_DEV(dev, parent)	      ((void)(dev), (void)(parent))
#define netdev_mc_empty(dev)		      (!(dev)->mc.count)
#define netdev_get_tx_queue(d, i)	      (&(d)->queues[i])
#define netif_is_rxfh_configured(dev)	      ((void)(dev), false)
#define netdev_rss_key_fill(key, len)	      memset(key, 0x5a, len)
#define netif_set_tso_max_size(dev, len)      ((void)(dev), (void)(len))
#define netif_set_xps_queue(dev, mask, index) ((void)(dev), (void)(mask), (void)(index))
#define cpumask_of(cpu)			      (cpu)
#define netif_carrier_ok(dev)		      __atomic_load_n(&(dev)->carrier, __ATOMIC_RELAXED)
#define netdev_update_features(dev)	      ((void)(dev))
struct net_device *alloc_etherdev_mqs(int priv_len, u32 tx_count, u32 rx_count);
void free_netdev(struct net_device *dev);
int register_netdev(struct net_device *dev);
void unregister_netdev(struct net_device *dev);
void netif_device_detach(struct net_device *dev);
void netif_device_attach(struct net_device *dev);
void dev_close(struct net_device *dev);
int netif_set_real_num_tx_queues(struct net_device *dev, u32 count);
int netif_set_real_num_rx_queues(struct net_device *dev, u32 count);
void netif_carrier_on(struct net_device *dev);
void netif_carrier_off(struct net_device *dev);
void rtnl_lock(void);
void rtnl_unlock(void);
extern struct mutex net_rtnl;
#define ASSERT_RTNL()	      shim_assert_locked(&net_rtnl)

#define netdev_err(dev, ...)  ((void)(dev), shim_log("err", __VA_ARGS__))
#define netdev_warn(dev, ...) ((void)(dev), shim_log("warn", __VA_ARGS__))
#define netdev_info(dev, ...) ((void)(dev), shim_log("info", __VA_ARGS__))

struct sockaddr;
static inline bool ether_addr_equal(const u8 *a, const u8 *b)
{
	return !memcmp(a, b, ETH_ALEN);
}
#define eth_hw_addr_set(dev, mac)	    memcpy((dev)->dev_addr, mac, ETH_ALEN)
#define eth_prepare_mac_addr_change(dev, m) ((void)(dev), (void)(m), 0)
void eth_commit_mac_addr_change(struct net_device *dev, void *address);
#define eth_validate_addr NULL

/* ---- queues ---- */

bool netif_tx_queue_stopped(struct netdev_queue *q);
void netif_tx_stop_queue(struct netdev_queue *q);
void netif_tx_wake_queue(struct netdev_queue *q);
void netif_tx_disable(struct net_device *dev);
#define __netif_tx_lock(q, cpu) spin_lock(&(q)->lock)
#define __netif_tx_unlock(q)	spin_unlock(&(q)->lock)
bool __netdev_tx_sent_queue(struct netdev_queue *q, u32 len, bool more);
void netdev_tx_completed_queue(struct netdev_queue *q, u32 frames, u32 len);
void netdev_tx_reset_queue(struct netdev_queue *q);
bool netdev_xmit_more(void);
u16 netdev_pick_tx(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev);

/* ---- NAPI ---- */

void netif_napi_add(struct net_device *dev, struct napi_struct *napi,
		    int (*poll)(struct napi_struct *napi, int budget));
void netif_napi_del(struct napi_struct *napi);
void napi_enable(struct napi_struct *napi);
void napi_disable(struct napi_struct *napi);
bool napi_schedule(struct napi_struct *napi);
bool napi_complete_done(struct napi_struct *napi, int work);

/* ---- frames ---- */

#define NET_FRAG_MAX 17
#define NET_SKB_PAD  64
#define NET_IP_ALIGN 2
typedef struct {
	struct page *page;
	u32 offset, len;
} skb_frag_t;
struct skb_shared_info {
	u16 gso_size, gso_segs;
	u32 gso_type;
	int nr_frags;
	skb_frag_t frags[NET_FRAG_MAX];
};
struct sk_buff {
	struct skb_shared_info info;
	struct page *head;
	bool recycle; /* head to its pool */
	u8 *data;
	u32 len, data_len;
	u16 queue_mapping, protocol;
	u8 ip_summed;
	u16 csum_offset;
	u32 hash;
};
enum { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, CHECKSUM_PARTIAL };
enum { SKB_GSO_TCPV4 = 1, SKB_GSO_TCPV6 = 2, SKB_GSO_DODGY = 4 };
enum { PKT_HASH_TYPE_L3, PKT_HASH_TYPE_L4 };
#define skb_shinfo(skb)				(&(skb)->info)
#define skb_headlen(skb)			((skb)->len - (skb)->data_len)
#define skb_frag_size(f)			((f)->len)
#define skb_frag_page(f)			((f)->page)
#define skb_frag_off(f)				((f)->offset)
#define skb_is_gso(skb)				((skb)->info.gso_size)
#define skb_get_queue_mapping(skb)		((skb)->queue_mapping)
#define skb_record_rx_queue(skb, i)		((void)((skb)->queue_mapping = (i)))
#define skb_set_hash(skb, value, t)		((void)((skb)->hash = (value), (void)(t)))
#define skb_get_hash(skb)			((skb)->hash)
#define skb_tx_timestamp(skb)			((void)(skb))
#define skb_vlan_tag_present(skb)		((void)(skb), false)
#define skb_vlan_tag_get(skb)			((void)(skb), 0)
#define __vlan_hwaccel_put_tag(skb, proto, tci) ((void)(skb), (void)(proto), (void)(tci))
#define eth_type_vlan(proto)			((proto) == htons(ETH_P_8021Q))
#define eth_hdr(skb)				((const struct ethhdr *)(skb)->data)
#define is_multicast_ether_addr(at)		(*(const u8 *)(at)&1)
#define VLAN_HLEN				4
#define VLAN_VID_MASK				0xfff
#define VLAN_CFI_MASK				0x1000
#define VLAN_PRIO_MASK				0xe000
#define VLAN_PRIO_SHIFT				13
u8 *skb_put(struct sk_buff *skb, u32 len);
void skb_reserve(struct sk_buff *skb, u32 len);
void skb_copy_bits(const struct sk_buff *skb, u32 from, void *to, u32 len);
void skb_store_bits(struct sk_buff *skb, u32 to, const void *from, u32 len);
int skb_linearize(struct sk_buff *skb);
struct sk_buff *alloc_skb_with_frags(u32 head_len, u32 data_len, int order, int *rc, gfp_t flags);
#define napi_alloc_skb(napi, len) alloc_skb_with_frags(len, 0, 0, &(int){ 0 }, GFP_ATOMIC)
void dev_kfree_skb_any(struct sk_buff *skb);
#define dev_consume_skb_any(skb)      dev_kfree_skb_any(skb)
#define napi_consume_skb(skb, budget) dev_kfree_skb_any(skb)
u16 eth_type_trans(struct sk_buff *skb, struct net_device *dev);
void napi_gro_receive(struct napi_struct *napi, struct sk_buff *skb);

/* Headers of IP and TCP: tests send none of these, so that what follows only has to compile. */
struct iphdr {
	u8 ihl : 4, version : 4;
	u8 tos;
	u16 tot_len, id, frag_off;
	u8 ttl, protocol;
	u16 check;
	u32 saddr, daddr;
};
struct ipv6hdr {
	u8 first[4];
	u16 payload_len;
	u8 nexthdr, hop_limit;
	struct in6_addr saddr, daddr;
};
struct tcphdr {
	u16 source, dest;
	u32 seq, ack_seq;
	u16 res1 : 4, doff : 4, other : 8;
	u16 window, check, urg_ptr;
};
struct udphdr {
	u16 source, dest, len, check;
};
#define ip_is_fragment(ip)			 ((ip)->frag_off & htons(0x3fff))
#define csum_tcpudp_magic(s, d, len, proto, sum) ((u16)((s) + (d) + (len) + (sum)))
#define csum_ipv6_magic(s, d, len, proto, sum)	 ((u16)((len) + (sum)))
#define ip_fast_csum(ip, words)			 ((u16)(words))
#define skb_partial_csum_set(skb, at, offset)	 ((void)(skb), true)
#define skb_checksum_start_offset(skb)		 ((void)(skb), 0)
#define skb_checksum_help(skb)			 ((void)(skb), 0)
#define skb_transport_offset(skb)		 ((void)(skb), 0)
#define tcp_hdrlen(skb)				 ((void)(skb), 0)
#define ipv6_hdr(skb)				 ((const struct ipv6hdr *)((skb)->data + ETH_HLEN))
#define ip_hdr(skb)				 ((const struct iphdr *)((skb)->data + ETH_HLEN))
#define tcp_hdr(skb)				 ((const struct tcphdr *)(skb)->data)
struct flow_keys {
	struct {
		u16 n_proto;
		u8 ip_proto;
	} basic;
	struct {
		u32 ports;
	} ports;
};
#define skb_flow_dissect_flow_keys(skb, keys, flags) ((void)(skb), (void)(keys), false)
#define flow_hash_from_keys(keys)		     ((keys)->ports.ports)

/* ---- ethtool ---- */

struct netlink_ext_ack;
#define NL_SET_ERR_MSG_MOD(extack, text) ((void)(extack), shim_log("warn", "%s\n", text))
#define SPEED_UNKNOWN			 (-1)
#define DUPLEX_FULL			 1
#define DUPLEX_UNKNOWN			 0xff
#define PORT_OTHER			 0xff
#define ETH_SS_STATS			 1
#define ETH_RSS_HASH_TOP		 1
#define ETH_RSS_HASH_NO_CHANGE		 0
#define ETHTOOL_GRXRINGS		 0x2d
#define RXH_IP_SRC			 0x10
#define RXH_IP_DST			 0x20
#define RXH_L4_B_0_1			 0x40
#define RXH_L4_B_2_3			 0x80
enum { TCP_V4_FLOW = 1, UDP_V4_FLOW, TCP_V6_FLOW = 5, UDP_V6_FLOW, IPV4_FLOW = 16, IPV6_FLOW };
struct ethtool_drvinfo {
	char driver[32], fw_version[32], bus_info[32];
};
struct ethtool_link_ksettings {
	struct {
		u32 speed;
		u8 duplex, port;
	} base;
};
struct ethtool_stats {
	u32 n_stats;
};
struct ethtool_channels {
	u32 max_combined, combined_count;
};
struct ethtool_rxfh_param {
	u8 hfunc;
	u32 *indir;
	u8 *key;
};
struct ethtool_rxfh_fields {
	u32 data, flow_type;
};
struct ethtool_rxnfc {
	u32 cmd;
	u64 data;
	u32 flow_type;
};
struct ethtool_ringparam {
	u32 rx_max_pending, rx_pending, tx_max_pending, tx_pending;
};
struct kernel_ethtool_ringparam;
struct ethtool_ops {
	void (*get_drvinfo)(struct net_device *dev, struct ethtool_drvinfo *info);
	void *get_link, *get_ts_info;
	int (*get_link_ksettings)(struct net_device *dev, struct ethtool_link_ksettings *settings);
	int (*set_link_ksettings)(struct net_device *dev,
				  const struct ethtool_link_ksettings *settings);
	int (*get_sset_count)(struct net_device *dev, int set);
	void (*get_strings)(struct net_device *dev, u32 set, u8 *data);
	void (*get_ethtool_stats)(struct net_device *dev, struct ethtool_stats *stats, u64 *data);
	void (*get_channels)(struct net_device *dev, struct ethtool_channels *channels);
	int (*set_channels)(struct net_device *dev, struct ethtool_channels *channels);
	u32 (*get_rxfh_key_size)(struct net_device *dev);
	u32 (*get_rxfh_indir_size)(struct net_device *dev);
	int (*get_rxfh)(struct net_device *dev, struct ethtool_rxfh_param *rxfh);
	int (*set_rxfh)(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
			struct netlink_ext_ack *extack);
	int (*get_rxnfc)(struct net_device *dev, struct ethtool_rxnfc *info, u32 *rules);
	int (*get_rxfh_fields)(struct net_device *dev, struct ethtool_rxfh_fields *fields);
	int (*set_rxfh_fields)(struct net_device *dev, const struct ethtool_rxfh_fields *fields,
			       struct netlink_ext_ack *extack);
	void (*get_ringparam)(struct net_device *dev, struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kernel_ring,
			      struct netlink_ext_ack *extack);
	int (*set_ringparam)(struct net_device *dev, struct ethtool_ringparam *ring,
			     struct kernel_ethtool_ringparam *kernel_ring,
			     struct netlink_ext_ack *extack);
};
#define ethtool_op_get_link    NULL
#define ethtool_op_get_ts_info NULL
#define ethtool_virtdev_set_link_ksettings(dev, settings, speed, duplex) \
	((void)(dev), (void)(settings), (void)(speed), (void)(duplex), 0)
void ethtool_sprintf(u8 **at, const char *format, ...);

/* ---- the test's ---- */

extern struct net_device *net_dev; /* the one that is registered, or NULL */
extern u64 net_rtnl_held_max; /* ticks for which one holder had the RTNL */
extern void (*net_received)(const struct sk_buff *skb, const u8 *bytes, u32 len);
extern u32 net_skb_count; /* that were not freed */
int net_up(struct net_device *dev);
void net_down(struct net_device *dev);
int net_set_mtu(struct net_device *dev, int mtu);
int net_set_channels(struct net_device *dev, u32 count);
/* With fragments if the frame is longer than a page. Returns whether the driver took it. */
bool net_send(struct net_device *dev, u16 queue, const u8 *bytes, u32 len, u64 limit);
void net_busy_poll(struct net_device *dev);
/* The last device, with a reference that keeps it until net_put(); NULL: there is none. */
struct net_device *net_get(void);
void net_put(struct net_device *dev);

#endif

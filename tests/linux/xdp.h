/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What ports/linux/network_xdp.c uses of the kernel: programs, which are functions of the test,
 * pools of pages, and frames that are redirected, always to the one device that there is.
 *
 *   net_set_xdp()     as ip link set dev X xdp, under the RTNL
 *   net_redirect()    what a program calls "redirect to the device": it leaves at the flush
 *
 * Strict where it matters: a program never runs after it was put and a grace period is over; a page
 * goes back to the pool that it is of, once; a pool lives until its last page is back and gives
 * none after its destruction; queues are registered and unregistered in turn.
 */
#ifndef TESTS_LINUX_XDP_H
#define TESTS_LINUX_XDP_H

#include "tests/linux/host.h"

struct net_device;
struct netlink_ext_ack;
struct sk_buff;

#define NUMA_NO_NODE	    (-1)
#define VLAN_ETH_HLEN	    18
#define IS_ERR(p)	    ((uintptr_t)(p) >= (uintptr_t)-4095)
#define PTR_ERR(p)	    ((int)(intptr_t)(p))
#define XDP_PACKET_HEADROOM 256
#define XDP_XMIT_FLUSH	    1u
#define XDP_XMIT_FLAGS_MASK XDP_XMIT_FLUSH
#define SKB_DATA_ALIGN(len) (((len) + 63) & ~63ul)
enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { XDP_SETUP_PROG, XDP_SETUP_XSK_POOL };
enum { MEM_TYPE_PAGE_POOL };

struct xdp_rxq_info {
	struct page_pool *pool;
	bool registered;
};
struct xdp_buff {
	u8 *data, *data_end, *data_meta, *data_hard_start;
	struct xdp_rxq_info *rxq;
};
struct xdp_frame {
	void *data;
	u32 len;
	struct page *page;
	bool has_frags;
};
struct bpf_prog {
	u32 (*run)(struct xdp_buff *xdp);
	u32 users;
	bool gone; /* atomic */
};
struct netdev_bpf {
	int command;
	struct bpf_prog *prog;
	struct netlink_ext_ack *extack;
};
u32 bpf_prog_run_xdp(struct bpf_prog *prog, struct xdp_buff *xdp);
void bpf_prog_put(struct bpf_prog *prog);
#define bpf_warn_invalid_xdp_action(dev, prog, verdict) ((void)(prog), (void)(verdict))
#define trace_xdp_exception(dev, prog, verdict)		((void)(prog), (void)(verdict))

struct page_pool_params {
	u32 pool_size;
	int nid;
	struct device *dev;
};
struct page_pool *page_pool_create(const struct page_pool_params *params);
void page_pool_destroy(struct page_pool *pool);
struct page *page_pool_dev_alloc_pages(struct page_pool *pool);
void page_pool_recycle_direct(struct page_pool *pool, struct page *page);

int xdp_rxq_info_reg(struct xdp_rxq_info *rxq, struct net_device *dev, u32 index, u32 napi_id);
int xdp_rxq_info_reg_mem_model(struct xdp_rxq_info *rxq, int type, struct page_pool *pool);
void xdp_rxq_info_unreg(struct xdp_rxq_info *rxq);
#define xdp_rxq_info_is_reg(rxq)     ((rxq)->registered)
#define xdp_init_buff(xdp, len, rxq) xdp_set_queue(xdp, rxq)
void xdp_set_queue(struct xdp_buff *xdp, struct xdp_rxq_info *rxq);
void xdp_prepare_buff(struct xdp_buff *xdp, u8 *start, u32 headroom, u32 len, bool meta);
int xdp_do_redirect(struct net_device *dev, struct xdp_buff *xdp, struct bpf_prog *prog);
void xdp_do_flush(void);
#define xdp_frame_has_frags(frame) ((frame)->has_frags)
void xdp_return_frame_rx_napi(struct xdp_frame *frame);

/* Around a page of a pool, which goes back to it with the frame. */
struct sk_buff *napi_build_skb(void *data, size_t len);
void skb_mark_for_recycle(struct sk_buff *skb);
#define skb_metadata_set(skb, len) ((void)(skb), (void)(len))

/* ---- the test's ---- */

extern u32 net_pools; /* that live */
extern u32 net_pools_left; /* that may still be made; others fail */
extern bool net_redirects; /* else a redirect fails */
int net_set_xdp(struct net_device *dev, struct bpf_prog *prog);
/* As unregister_netdevice(): a program does not outlive its device. */
void net_end_xdp(struct net_device *dev);
void net_recycle(struct page *page); /* of a pool, when its skb is freed */

#endif

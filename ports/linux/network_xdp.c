// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP. While a program is there each frame is copied to a page of its own with room in front of it,
 * and the skb of one that passes is built around that page. What leaves (TX, redirect to here) is
 * copied into the send buffer like any other frame that fits, so no page waits for the host.
 */
#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include "ports/linux/compat.h"
#include PAGE_POOL_HEADER
#include "ports/linux/network.h"

#define HEADROOM      XDP_PACKET_HEADROOM
#define TAILROOM      SKB_DATA_ALIGN(sizeof(struct skb_shared_info))
#define FRAME_LEN_MAX (PAGE_SIZE - HEADROOM - TAILROOM)
#define POOL_LEN      256

u32 netvsc_xdp_mtu_max(void)
{
	return FRAME_LEN_MAX - VLAN_ETH_HLEN;
}

/* ---- a program on what comes in ---- */

static struct sk_buff *build(struct netvsc_queue *q, struct xdp_buff *xdp)
{
	struct sk_buff *skb = napi_build_skb(xdp->data_hard_start, PAGE_SIZE);

	if (!skb) {
		page_pool_recycle_direct(q->xdp_pool, virt_to_page(xdp->data_hard_start));
		return NULL;
	}
	skb_mark_for_recycle(skb);
	skb_reserve(skb, xdp->data - xdp->data_hard_start);
	skb_put(skb, xdp->data_end - xdp->data);
	if (xdp->data > xdp->data_meta)
		skb_metadata_set(skb, xdp->data - xdp->data_meta);
	return skb;
}

static bool transmit(struct netvsc_queue *q, struct xdp_buff *xdp)
{
	bool sent;

	__netif_tx_lock(q->txq, smp_processor_id());
	sent = smp_load_acquire(&q->card->up) &&
	       netvsc_put_xdp(q, xdp->data, xdp->data_end - xdp->data);
	__netif_tx_unlock(q->txq);
	return sent;
}

static enum netvsc_verdict act(struct netvsc_queue *q, struct bpf_prog *prog, struct xdp_buff *xdp,
			       struct sk_buff **skb)
{
	struct net_device *dev = q->card->dev;
	struct page *page = virt_to_page(xdp->data_hard_start);
	u32 verdict = bpf_prog_run_xdp(prog, xdp);

	switch (verdict) {
	case XDP_PASS:
		netvsc_count_rx(q, NETVSC_RX_XDP_PASS, 1);
		*skb = build(q, xdp);
		return NETVSC_XDP_PASS;
	case XDP_TX:
		if (!transmit(q, xdp))
			break;
		netvsc_count_rx(q, NETVSC_RX_XDP_TX, 1);
		page_pool_recycle_direct(q->xdp_pool, page);
		return NETVSC_XDP_TX;
	case XDP_REDIRECT:
		if (xdp_do_redirect(dev, xdp, prog))
			break;
		netvsc_count_rx(q, NETVSC_RX_XDP_REDIRECT, 1);
		return NETVSC_XDP_REDIRECT;
	case XDP_DROP:
		netvsc_count_rx(q, NETVSC_RX_XDP_DROP, 1);
		page_pool_recycle_direct(q->xdp_pool, page);
		return NETVSC_XDP_CONSUMED;
	case XDP_ABORTED: break;
	default: bpf_warn_invalid_xdp_action(dev, prog, verdict);
	}
	trace_xdp_exception(dev, prog, verdict);
	netvsc_count_rx(q, NETVSC_RX_XDP_ABORTED, 1);
	page_pool_recycle_direct(q->xdp_pool, page);
	return NETVSC_XDP_CONSUMED;
}

/* Only a host that ignores the MTU sends frames longer than a page. */
enum netvsc_verdict netvsc_xdp_run(struct netvsc_queue *q, struct bpf_prog *prog,
				   const struct vmb_guest_network_frame *frame,
				   struct sk_buff **skb)
{
	u32 len = frame->rndis.len, i, at = HEADROOM;
	const struct vmb_guest_network_piece *piece;
	struct xdp_buff xdp;
	struct page *page;
	u8 *memory;

	page = len <= FRAME_LEN_MAX ? page_pool_dev_alloc_pages(q->xdp_pool) : NULL;
	if (!page)
		return NETVSC_XDP_PASS;
	memory = page_address(page);
	for (i = 0; i < frame->piece_count; i++) {
		piece = &frame->pieces[i];
		memcpy(memory + at, q->card->receive_buffer.memory + piece->offset, piece->len);
		at += piece->len;
	}
	xdp_init_buff(&xdp, PAGE_SIZE, &q->xdp_rxq);
	xdp_prepare_buff(&xdp, memory, HEADROOM, len, true);
	return act(q, prog, &xdp, skb);
}

/* ---- frames from elsewhere ---- */

int netvsc_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_queue *q;
	int sent;

	if (flags & ~XDP_XMIT_FLAGS_MASK)
		return -EINVAL;
	if (!READ_ONCE(card->up) || !dev->real_num_tx_queues)
		return -ENETDOWN;
	q = card->queues[smp_processor_id() % dev->real_num_tx_queues];
	__netif_tx_lock(q->txq, smp_processor_id());
	/* Check again: under the lock it cannot change. */
	for (sent = 0; sent < count && smp_load_acquire(&card->up); sent++) {
		if (xdp_frame_has_frags(frames[sent]) ||
		    !netvsc_put_xdp(q, frames[sent]->data, frames[sent]->len))
			break;
		xdp_return_frame_rx_napi(frames[sent]);
	}
	netvsc_flush(q);
	__netif_tx_unlock(q->txq);
	return sent;
}

/* ---- coming and going; nobody polls ---- */

int netvsc_xdp_begin(struct netvsc_queue *q)
{
	struct page_pool_params params = {
		.pool_size = POOL_LEN,
		.nid = NUMA_NO_NODE,
		.dev = &q->card->device->dev,
	};
	int rc;

	if (!q->card->xdp_prog)
		return 0;
	q->xdp_pool = page_pool_create(&params);
	if (IS_ERR(q->xdp_pool)) {
		rc = PTR_ERR(q->xdp_pool);
		q->xdp_pool = NULL;
		return rc;
	}
	rc = xdp_rxq_info_reg(&q->xdp_rxq, q->card->dev, q->index, q->napi.napi_id);
	if (!rc)
		rc = xdp_rxq_info_reg_mem_model(&q->xdp_rxq, MEM_TYPE_PAGE_POOL, q->xdp_pool);
	if (rc) {
		netvsc_xdp_end(q);
		return rc;
	}
	rcu_assign_pointer(q->xdp_prog, q->card->xdp_prog);
	return 0;
}

/* The pool lives on until its last page is back. */
void netvsc_xdp_end(struct netvsc_queue *q)
{
	RCU_INIT_POINTER(q->xdp_prog, NULL);
	if (xdp_rxq_info_is_reg(&q->xdp_rxq))
		xdp_rxq_info_unreg(&q->xdp_rxq);
	if (q->xdp_pool)
		page_pool_destroy(q->xdp_pool);
	q->xdp_pool = NULL;
}

/* ---- attaching ---- */

static int judge(const struct netvsc *card, struct netlink_ext_ack *extack)
{
	if (card->dev->mtu > netvsc_xdp_mtu_max()) {
		NL_SET_ERR_MSG_MOD(extack, "MTU is too large for XDP");
		return -EINVAL;
	}
	if (card->dev->features & NETIF_F_LRO) {
		NL_SET_ERR_MSG_MOD(extack, "LRO does not go with XDP, turn it off first");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Another program in the place of one: the polls find it at the next frame. */
static void exchange(struct netvsc *card)
{
	u16 i;

	for (i = 0; i < card->queue_count; i++)
		rcu_assign_pointer(card->queues[i]->xdp_prog, card->xdp_prog);
}

/* The first program, or none any more: pages come and go, so the polls stop for a moment. */
static int rebuild(struct netvsc *card)
{
	struct netvsc_queue *q;
	int rc = 0;
	u16 i;

	for (i = 0; i < card->queue_count; i++) {
		q = card->queues[i];
		netvsc_queue_stop(q);
		netvsc_xdp_end(q);
		if (!rc)
			rc = netvsc_xdp_begin(q);
		netvsc_queue_start(q);
		netvsc_queue_poll(q);
	}
	return rc;
}

static int set_prog(struct netvsc *card, struct bpf_prog *prog)
{
	struct bpf_prog *old = card->xdp_prog;
	int rc = 0;

	mutex_lock(&card->mutex);
	card->xdp_prog = prog;
	if (prog && old)
		exchange(card);
	else if (prog || old)
		rc = rebuild(card);
	if (rc) {
		card->xdp_prog = old;
		rebuild(card);
	}
	mutex_unlock(&card->mutex);
	if (!rc && old)
		bpf_prog_put(old);
	return rc;
}

static int setup(struct netvsc *card, struct bpf_prog *prog, struct netlink_ext_ack *extack)
{
	int rc = prog ? judge(card, extack) : 0;

	if (!rc)
		rc = set_prog(card, prog);
	if (!rc)
		netdev_update_features(card->dev);
	return rc;
}

int netvsc_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	if (bpf->command != XDP_SETUP_PROG)
		return -EINVAL;
	return setup(netdev_priv(dev), bpf->prog, bpf->extack);
}

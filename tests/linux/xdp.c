// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs, pools and redirected frames, for tests of ports/linux/network_xdp.c. As kernel.c, never
 * compiled for ThreadSanitizer.
 */
#include "tests/linux/net.h"

#define REDIRECT_MAX 64

u32 net_pools, net_pools_left = UINT_MAX;
bool net_redirects = true;
static struct bpf_prog *attached;

/* ---- programs ---- */

u32 bpf_prog_run_xdp(struct bpf_prog *prog, struct xdp_buff *xdp)
{
	sched_step();
	if (__atomic_load_n(&prog->gone, __ATOMIC_RELAXED))
		shim_bug("a program runs that is gone");
	return prog->run(xdp);
}

/* Who runs it is a reader. */
void bpf_prog_put(struct bpf_prog *prog)
{
	if (!prog->users)
		shim_bug("a program is put once more than it was taken");
	if (--prog->users)
		return;
	synchronize_rcu();
	__atomic_store_n(&prog->gone, true, __ATOMIC_RELAXED);
}

int net_set_xdp(struct net_device *dev, struct bpf_prog *prog)
{
	struct netdev_bpf bpf = { .command = XDP_SETUP_PROG, .prog = prog };
	int rc = -ENODEV;

	rtnl_lock();
	if (dev->reg_state == NETREG_REGISTERED && !dev->detached) {
		if (prog) {
			prog->users++;
			prog->gone = false;
		}
		rc = dev->netdev_ops->ndo_bpf(dev, &bpf);
		if (!rc)
			attached = prog;
		else if (prog)
			bpf_prog_put(prog);
	}
	rtnl_unlock();
	return rc;
}

void net_end_xdp(struct net_device *dev)
{
	struct netdev_bpf bpf = { .command = XDP_SETUP_PROG };

	if (attached && dev->netdev_ops->ndo_bpf(dev, &bpf))
		shim_bug("a program cannot be taken off");
	attached = NULL;
}

/* ---- pools ---- */

struct page_pool {
	u32 out;
	bool destroyed;
};

struct page_pool *page_pool_create(const struct page_pool_params *params)
{
	shim_might_sleep("page_pool_create");
	if (!net_pools_left)
		return (void *)(intptr_t)-ENOMEM;
	net_pools_left--;
	net_pools++;
	return kzalloc(sizeof(struct page_pool), GFP_KERNEL);
}

static void look(struct page_pool *pool)
{
	if (!pool->destroyed || pool->out)
		return;
	net_pools--;
	kfree(pool);
}

void page_pool_destroy(struct page_pool *pool)
{
	if (pool->destroyed)
		shim_bug("a pool is destroyed twice");
	pool->destroyed = true;
	look(pool);
}

struct page *page_pool_dev_alloc_pages(struct page_pool *pool)
{
	struct page *page;

	if (pool->destroyed)
		shim_bug("a page of a pool that is destroyed");
	page = alloc_page(GFP_ATOMIC);
	page->private = (unsigned long)pool;
	pool->out++;
	return page;
}

void net_recycle(struct page *page)
{
	struct page_pool *pool = (struct page_pool *)page->private;

	if (!pool || !pool->out)
		shim_bug("a page goes to a pool that it is not of");
	page->private = 0;
	put_page(page);
	pool->out--;
	look(pool);
}

void page_pool_recycle_direct(struct page_pool *pool, struct page *page)
{
	if (pool != (struct page_pool *)page->private || pool->destroyed)
		shim_bug("a page goes to a pool that it is not of, or that is destroyed");
	net_recycle(page);
}

/* ---- queues ---- */

int xdp_rxq_info_reg(struct xdp_rxq_info *rxq, struct net_device *dev, u32 index, u32 napi_id)
{
	if (rxq->registered)
		shim_bug("a queue is registered twice");
	rxq->registered = true;
	return 0;
}

int xdp_rxq_info_reg_mem_model(struct xdp_rxq_info *rxq, int type, struct page_pool *pool)
{
	rxq->pool = pool;
	return 0;
}

void xdp_rxq_info_unreg(struct xdp_rxq_info *rxq)
{
	if (!rxq->registered || (rxq->pool && rxq->pool->destroyed))
		shim_bug("a queue is unregistered too late, or twice");
	*rxq = (struct xdp_rxq_info){};
}

void xdp_set_queue(struct xdp_buff *xdp, struct xdp_rxq_info *rxq)
{
	if (!rxq->registered || !rxq->pool)
		shim_bug("a frame of a queue that is not registered");
	xdp->rxq = rxq;
}

void xdp_prepare_buff(struct xdp_buff *xdp, u8 *start, u32 headroom, u32 len, bool meta)
{
	xdp->data_hard_start = start;
	xdp->data = xdp->data_meta = start + headroom;
	xdp->data_end = xdp->data + len;
}

/* ---- frames that go elsewhere ---- */

static struct xdp_frame waiting[REDIRECT_MAX];
static u32 waiting_count;

int xdp_do_redirect(struct net_device *dev, struct xdp_buff *xdp, struct bpf_prog *prog)
{
	if (!net_redirects || waiting_count == REDIRECT_MAX)
		return -EINVAL;
	waiting[waiting_count++] = (struct xdp_frame){ .data = xdp->data,
						       .len = (u32)(xdp->data_end - xdp->data),
						       .page = virt_to_page(xdp->data_hard_start) };
	return 0;
}

void xdp_return_frame_rx_napi(struct xdp_frame *frame)
{
	net_recycle(frame->page);
}

void xdp_do_flush(void)
{
	struct xdp_frame mine[REDIRECT_MAX], *list[REDIRECT_MAX];
	u32 count = waiting_count, i;
	int sent = 0;

	memcpy(mine, waiting, sizeof(mine));
	waiting_count = 0;
	for (i = 0; i < count; i++)
		list[i] = &mine[i];
	if (net_dev && count)
		sent = net_dev->netdev_ops->ndo_xdp_xmit(net_dev, (int)count, list, XDP_XMIT_FLUSH);
	for (i = (u32)max(sent, 0); i < count; i++)
		xdp_return_frame_rx_napi(list[i]);
}

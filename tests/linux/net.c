// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Network devices, their polls and frames, for tests of ports/linux/network*.c. As kernel.c, never
 * compiled for ThreadSanitizer.
 */
#include <stdarg.h>
#include "tests/linux/net.h"
#include "ports/linux/network.h"

#define NAPI_SCHED   1u
#define NAPI_DISABLE 2u
#define NAPI_MISSED  4u
#define NAPI_BUSY    8u
#define BUDGET	     64
#define BUSY_BUDGET  8

struct net_device *net_dev;
u64 net_rtnl_held_max;
void (*net_received)(const struct sk_buff *skb, const u8 *bytes, u32 len);
u32 net_skb_count;

/* ---- the RTNL ---- */

struct mutex net_rtnl;
static u64 locked_at;

void rtnl_lock(void)
{
	mutex_lock(&net_rtnl);
	locked_at = sched_now();
}

void rtnl_unlock(void)
{
	net_rtnl_held_max = max(net_rtnl_held_max, sched_now() - locked_at);
	mutex_unlock(&net_rtnl);
}

/* ---- polls ---- */

static u32 set_bits(struct napi_struct *n, u32 bits)
{
	shim_full_barrier();
	shim_acquire(n);
	return __atomic_fetch_or(&n->state, bits, __ATOMIC_SEQ_CST);
}

static u32 clear_bits(struct napi_struct *n, u32 bits)
{
	shim_release(n);
	shim_full_barrier();
	return __atomic_fetch_and(&n->state, ~bits, __ATOMIC_SEQ_CST);
}

static void make_due(struct napi_struct *n)
{
	n->due = true;
	sched_wake(n);
}

/* One that is being polled is polled once more. */
bool napi_schedule(struct napi_struct *n)
{
	u32 was;

	shim_full_barrier();
	shim_release(n);
	was = n->state;
	if (was & NAPI_DISABLE)
		return false;
	n->state = was | NAPI_SCHED | (was & NAPI_SCHED ? NAPI_MISSED : 0);
	if (was & NAPI_SCHED)
		return false;
	make_due(n);
	return true;
}

bool napi_complete_done(struct napi_struct *n, int work)
{
	u32 was;

	shim_full_barrier();
	shim_release(n);
	was = n->state;
	if (!(was & NAPI_SCHED))
		shim_bug("a poll ends that was not scheduled");
	if (was & NAPI_BUSY)
		return false;
	if (was & NAPI_MISSED) {
		n->state = was & ~NAPI_MISSED;
		make_due(n);
		return false;
	}
	n->state = was & ~NAPI_SCHED;
	sched_wake(&n->state);
	return true;
}

static int run_poll(struct napi_struct *n, int budget)
{
	int work;

	rcu_read_lock();
	shim_atomic_begin();
	shim_acquire(n);
	work = n->poll(n, budget);
	shim_release(n);
	shim_atomic_end();
	rcu_read_unlock();
	if (work > budget)
		shim_bug("a poll that takes more than its budget");
	return work;
}

static void poll_thread(void *argument)
{
	struct napi_struct *n = argument;

	while (!n->ending) {
		if (!n->due) {
			sched_wait(n, SCHED_FOREVER, "a poll that is not due");
			continue;
		}
		n->due = false;
		if (run_poll(n, BUDGET) < BUDGET)
			continue;
		if (n->state & NAPI_DISABLE) {
			clear_bits(n, NAPI_SCHED | NAPI_MISSED);
			sched_wake(&n->state);
		} else {
			make_due(n);
		}
		sched_step();
	}
	n->ended = true;
	sched_wake(n);
}

static u32 napi_ids;

void netif_napi_add(struct net_device *dev, struct napi_struct *n,
		    int (*fn)(struct napi_struct *napi, int budget))
{
	*n = (struct napi_struct){ .dev = dev, .poll = fn, .state = NAPI_SCHED };
	n->napi_id = ++napi_ids;
	n->next = dev->napis;
	dev->napis = n;
	shim_release(n);
	sched_spawn("poll", poll_thread, n);
}

/* A socket that polls has read the list under RCU. */
void netif_napi_del(struct napi_struct *n)
{
	struct napi_struct **at = &n->dev->napis;

	if (!(n->state & NAPI_SCHED) || n->due)
		shim_bug("a poll is deleted that is enabled");
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	synchronize_rcu();
	n->ending = true;
	sched_wake(n);
	while (!n->ended)
		sched_wait(n, SCHED_FOREVER, "netif_napi_del");
}

void napi_enable(struct napi_struct *n)
{
	shim_might_sleep("napi_enable");
	if (!(n->state & NAPI_SCHED))
		shim_bug("a poll is enabled twice");
	clear_bits(n, NAPI_SCHED | NAPI_MISSED);
}

void napi_disable(struct napi_struct *n)
{
	shim_might_sleep("napi_disable");
	set_bits(n, NAPI_DISABLE);
	while (n->state & (NAPI_SCHED | NAPI_BUSY))
		sched_wait(&n->state, SCHED_FOREVER, "napi_disable");
	set_bits(n, NAPI_SCHED);
	clear_bits(n, NAPI_DISABLE);
	shim_acquire(n);
}

/* As the kernel: the last poll of a turn is one whose end the driver sees. */
static void poll_busily(struct napi_struct *n)
{
	u32 turns = 1 + sched_random(3);

	shim_full_barrier();
	if (n->state & (NAPI_SCHED | NAPI_DISABLE | NAPI_BUSY))
		return;
	n->state |= NAPI_SCHED | NAPI_BUSY;
	shim_acquire(n);
	while (turns--)
		run_poll(n, BUSY_BUDGET);
	clear_bits(n, NAPI_BUSY | NAPI_MISSED);
	if (run_poll(n, BUSY_BUDGET) == BUSY_BUDGET)
		make_due(n);
	sched_wake(&n->state);
}

void net_busy_poll(struct net_device *dev)
{
	struct napi_struct *n;

	rcu_read_lock();
	for (n = dev->napis; n; n = n->next)
		poll_busily(n);
	rcu_read_unlock();
}

/* ---- queues ---- */

bool netif_tx_queue_stopped(struct netdev_queue *q)
{
	sched_step();
	return __atomic_load_n(&q->stopped, __ATOMIC_RELAXED);
}

void netif_tx_stop_queue(struct netdev_queue *q)
{
	sched_step();
	__atomic_store_n(&q->stopped, true, __ATOMIC_RELAXED);
}

void netif_tx_wake_queue(struct netdev_queue *q)
{
	shim_full_barrier();
	__atomic_store_n(&q->stopped, false, __ATOMIC_RELAXED);
	sched_wake(q);
}

void netif_tx_disable(struct net_device *dev)
{
	u32 i;

	spin_lock(&dev->tx_global_lock);
	for (i = 0; i < dev->queue_max; i++) {
		spin_lock(&dev->queues[i].lock);
		netif_tx_stop_queue(&dev->queues[i]);
		spin_unlock(&dev->queues[i].lock);
	}
	spin_unlock(&dev->tx_global_lock);
}

/* One frame at a time: more never follow. */
bool netdev_xmit_more(void)
{
	return false;
}

bool __netdev_tx_sent_queue(struct netdev_queue *q, u32 len, bool more)
{
	q->sent += len;
	return !more;
}

void netdev_tx_completed_queue(struct netdev_queue *q, u32 frames, u32 len)
{
	q->completed += len;
	if (q->completed > q->sent)
		shim_bug("more bytes were completed than sent");
}

void netdev_tx_reset_queue(struct netdev_queue *q)
{
	q->sent = q->completed = 0;
}

u16 netdev_pick_tx(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev)
{
	return (u16)(skb->hash % dev->real_num_tx_queues);
}

/* ---- devices ---- */

static u32 users; /* of net_dev */

struct net_device *alloc_etherdev_mqs(int priv_len, u32 tx_count, u32 rx_count)
{
	struct net_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	u32 i;

	dev->priv = kzalloc((size_t)priv_len, GFP_KERNEL);
	dev->queue_max = dev->real_num_tx_queues = min(tx_count, (u32)NET_QUEUE_MAX);
	for (i = 0; i < dev->queue_max; i++)
		dev->queues[i].dev = dev;
	return dev;
}

void free_netdev(struct net_device *dev)
{
	if (dev->napis || dev->reg_state == NETREG_REGISTERED)
		shim_bug("a device is freed that is in use");
	kfree(dev->priv);
	kfree(dev);
}

/* A queue that was stopped for too long, of a device that is up and has a link. */
static void watch(struct timer_list *timer)
{
	struct net_device *dev = container_of(timer, struct net_device, watchdog);
	struct netdev_queue *q;
	u32 i;

	spin_lock(&dev->tx_global_lock);
	for (i = 0; i < dev->real_num_tx_queues; i++) {
		q = &dev->queues[i];
		if (!dev->running || dev->detached || !netif_carrier_ok(dev) ||
		    !netif_tx_queue_stopped(q) ||
		    time_before(jiffies, q->trans_start + dev->watchdog_timeo))
			continue;
		dev->netdev_ops->ndo_tx_timeout(dev, i);
	}
	spin_unlock(&dev->tx_global_lock);
	if (dev->running)
		mod_timer(&dev->watchdog, jiffies + dev->watchdog_timeo);
}

int register_netdev(struct net_device *dev)
{
	rtnl_lock();
	timer_setup(&dev->watchdog, watch, 0);
	dev->reg_state = NETREG_REGISTERED;
	net_dev = dev;
	rtnl_unlock();
	return 0;
}

void unregister_netdev(struct net_device *dev)
{
	rtnl_lock();
	dev_close(dev);
	net_end_xdp(dev);
	dev->reg_state = NETREG_UNREGISTERED;
	net_dev = NULL;
	rtnl_unlock();
	while (users)
		sched_wait(&users, SCHED_FOREVER, "unregister_netdev: a user of the device");
	shim_acquire(&users);
}

struct net_device *net_get(void)
{
	users += !!net_dev;
	return net_dev;
}

void net_put(struct net_device *dev)
{
	shim_release(&users);
	users--;
	sched_wake(&users);
}

static bool there(const struct net_device *dev)
{
	return dev->reg_state == NETREG_REGISTERED && !dev->detached;
}

static void wake_senders(struct net_device *dev)
{
	u32 i;

	for (i = 0; i < dev->queue_max; i++)
		sched_wake(&dev->queues[i]);
}

int net_up(struct net_device *dev)
{
	int rc = -ENODEV;

	rtnl_lock();
	if (there(dev) && !dev->running) {
		dev->running = true;
		rc = dev->netdev_ops->ndo_open(dev);
		dev->running = !rc;
		if (!rc) {
			dev->flags |= IFF_UP;
			dev->netdev_ops->ndo_set_rx_mode(dev);
			mod_timer(&dev->watchdog, jiffies + dev->watchdog_timeo);
		}
	}
	rtnl_unlock();
	return rc;
}

void dev_close(struct net_device *dev)
{
	ASSERT_RTNL();
	if (!dev->running)
		return;
	dev->running = false;
	timer_delete_sync(&dev->watchdog);
	wake_senders(dev);
	synchronize_rcu(); /* senders */
	dev->netdev_ops->ndo_stop(dev);
	dev->flags &= ~IFF_UP;
}

void net_down(struct net_device *dev)
{
	rtnl_lock();
	dev_close(dev);
	rtnl_unlock();
}

int net_set_mtu(struct net_device *dev, int mtu)
{
	int rc = -ENODEV;

	rtnl_lock();
	if (there(dev))
		rc = mtu < dev->min_mtu || mtu > dev->max_mtu ?
			     -EINVAL :
			     dev->netdev_ops->ndo_change_mtu(dev, mtu);
	rtnl_unlock();
	return rc;
}

int net_set_channels(struct net_device *dev, u32 count)
{
	struct ethtool_channels channels = { .combined_count = count };
	int rc = -ENODEV;

	rtnl_lock();
	if (there(dev))
		rc = dev->ethtool_ops->set_channels(dev, &channels);
	rtnl_unlock();
	return rc;
}

void netif_device_detach(struct net_device *dev)
{
	dev->detached = true;
	if (dev->running)
		netif_tx_disable(dev);
	wake_senders(dev);
}

void netif_device_attach(struct net_device *dev)
{
	dev->detached = false;
}

int netif_set_real_num_tx_queues(struct net_device *dev, u32 count)
{
	if (dev->reg_state == NETREG_REGISTERED)
		ASSERT_RTNL();
	dev->real_num_tx_queues = count;
	return 0;
}

int netif_set_real_num_rx_queues(struct net_device *dev, u32 count)
{
	dev->real_num_rx_queues = count;
	return 0;
}

void netif_carrier_on(struct net_device *dev)
{
	__atomic_store_n(&dev->carrier, true, __ATOMIC_RELAXED);
}

void netif_carrier_off(struct net_device *dev)
{
	__atomic_store_n(&dev->carrier, false, __ATOMIC_RELAXED);
}

void ethtool_sprintf(u8 **at, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf((char *)*at, 32, format, arguments);
	va_end(arguments);
	*at += 32;
}

void eth_commit_mac_addr_change(struct net_device *dev, void *address)
{
}

/* ---- frames ---- */

static struct sk_buff *new_skb(u32 head_len)
{
	struct sk_buff *skb = calloc(1, sizeof(*skb));

	if (head_len > PAGE_SIZE)
		shim_bug("a linear frame longer than a page");
	skb->head = alloc_page(GFP_ATOMIC);
	skb->data = page_address(skb->head);
	net_skb_count++;
	return skb;
}

static void add_frag(struct sk_buff *skb, u32 len)
{
	skb->info.frags[skb->info.nr_frags++] =
		(skb_frag_t){ .page = alloc_page(GFP_ATOMIC), .len = len };
}

struct sk_buff *alloc_skb_with_frags(u32 head_len, u32 data_len, int order, int *rc, gfp_t flags)
{
	struct sk_buff *skb = new_skb(head_len);

	for (; data_len; data_len -= min(data_len, (u32)PAGE_SIZE))
		add_frag(skb, min(data_len, (u32)PAGE_SIZE));
	return skb;
}

void dev_kfree_skb_any(struct sk_buff *skb)
{
	int i;

	for (i = 0; i < skb->info.nr_frags; i++)
		put_page(skb->info.frags[i].page);
	if (skb->recycle)
		net_recycle(skb->head);
	else
		put_page(skb->head);
	free(skb);
	net_skb_count--;
}

/* It is a page of a pool only when skb_mark_for_recycle() has said so. */
struct sk_buff *napi_build_skb(void *data, size_t len)
{
	struct sk_buff *skb = calloc(1, sizeof(*skb));

	skb->head = virt_to_page(data);
	skb->data = data;
	net_skb_count++;
	return skb;
}

void skb_mark_for_recycle(struct sk_buff *skb)
{
	skb->recycle = true;
}

u8 *skb_put(struct sk_buff *skb, u32 len)
{
	u8 *at = skb->data + skb->len;

	skb->len += len;
	return at;
}

void skb_reserve(struct sk_buff *skb, u32 len)
{
	skb->data += len;
}

/* The piece of a frame that has byte `at`; *len: how far it goes. */
static u8 *bytes_at(const struct sk_buff *skb, u32 at, u32 *len)
{
	const skb_frag_t *f = skb->info.frags;

	if (at < skb_headlen(skb)) {
		*len = skb_headlen(skb) - at;
		return skb->data + at;
	}
	for (at -= skb_headlen(skb); at >= f->len; f++)
		at -= f->len;
	*len = f->len - at;
	return (u8 *)page_address(f->page) + f->offset + at;
}

void skb_copy_bits(const struct sk_buff *skb, u32 from, void *to, u32 len)
{
	u32 part;
	u8 *at;

	for (; len; len -= part, from += part, to = (u8 *)to + part) {
		at = bytes_at(skb, from, &part);
		part = min(part, len);
		memcpy(to, at, part);
	}
}

void skb_store_bits(struct sk_buff *skb, u32 to, const void *from, u32 len)
{
	u32 part;
	u8 *at;

	for (; len; len -= part, to += part, from = (const u8 *)from + part) {
		at = bytes_at(skb, to, &part);
		part = min(part, len);
		memcpy(at, from, part);
	}
}

int skb_linearize(struct sk_buff *skb)
{
	return -ENOMEM;
}

u16 eth_type_trans(struct sk_buff *skb, struct net_device *dev)
{
	return eth_hdr(skb)->h_proto;
}

void napi_gro_receive(struct napi_struct *napi, struct sk_buff *skb)
{
	u8 bytes[16384];

	skb_copy_bits(skb, 0, bytes, skb->len);
	if (net_received)
		net_received(skb, bytes, skb->len);
	dev_kfree_skb_any(skb);
}

/* ---- sending ---- */

static struct sk_buff *make_skb(const u8 *bytes, u32 len)
{
	u32 head_len = len > PAGE_SIZE ? 200 : len, rest;
	struct sk_buff *skb = new_skb(head_len);

	skb_put(skb, head_len);
	for (rest = len - head_len; rest; rest -= min(rest, (u32)PAGE_SIZE))
		add_frag(skb, min(rest, (u32)PAGE_SIZE));
	skb->data_len = len - head_len;
	skb->len = len;
	skb_store_bits(skb, 0, bytes, len);
	return skb;
}

/* Returns 1: taken; 0: not now; -1: never. */
static int try_send(struct net_device *dev, struct netdev_queue *q, struct sk_buff *skb)
{
	int rc = -1;

	rcu_read_lock();
	spin_lock(&q->lock);
	if (dev->running && !dev->detached) {
		rc = 0;
		if (!netif_tx_queue_stopped(q))
			rc = dev->netdev_ops->ndo_start_xmit(skb, dev) == NETDEV_TX_OK;
		if (rc)
			q->trans_start = jiffies;
	}
	spin_unlock(&q->lock);
	rcu_read_unlock();
	return rc;
}

bool net_send(struct net_device *dev, u16 queue, const u8 *bytes, u32 len, u64 limit)
{
	u64 end = sched_now() + limit;
	struct netdev_queue *q;
	struct sk_buff *skb;
	int rc;

	skb = make_skb(bytes, len);
	do {
		q = &dev->queues[queue % max(dev->real_num_tx_queues, 1u)];
		skb->queue_mapping = (u16)(q - dev->queues);
		rc = try_send(dev, q, skb);
		if (!rc)
			sched_wait(q, 25, "a queue that is stopped");
	} while (!rc && sched_now() < end);
	if (rc <= 0)
		dev_kfree_skb_any(skb);
	return rc > 0;
}

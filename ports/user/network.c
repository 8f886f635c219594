/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ports/user/network.h"

#define PAGE_COUNT 1024u

static void *run_guest(void *arg)
{
	struct vmb_user_network *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(l->bus.synic.guest_fd);
		while (vmb_user_network_guest_step(&l->guest))
			;
	}
	return NULL;
}

static void *run_host(void *arg)
{
	struct vmb_user_network *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(l->bus.synic.host_fd);
		while (vmb_user_network_host_step(&l->host))
			;
	}
	return NULL;
}

static bool step(void *arg)
{
	return vmb_user_network_step(arg);
}

/* The wire is two hosts that know each other. */
static void join(struct vmb_user_network *l, struct vmb_user_network *peer)
{
	pthread_mutex_lock(l->host.lock);
	l->host.peer = &peer->host;
	peer->host.peer = &l->host;
	pthread_mutex_unlock(l->host.lock);
}

static void part(struct vmb_user_network *l)
{
	pthread_mutex_lock(l->host.lock);
	if (l->host.peer)
		l->host.peer->peer = NULL;
	l->host.peer = NULL;
	pthread_mutex_unlock(l->host.lock);
}

static int start_threads(struct vmb_user_network *l)
{
	if (!l->config.threads)
		return 0;
	if (pthread_create(&l->host_thread, NULL, run_host, l))
		return VMB_ENOMEM;
	return pthread_create(&l->guest_thread, NULL, run_guest, l) ? VMB_ENOMEM : 0;
}

int vmb_user_network_init(struct vmb_user_network *l, const struct vmb_user_network_config *config)
{
	struct vmb_user_network *peer = config->peer;
	int err;

	memset(l, 0, sizeof(*l));
	l->config = *config;
	if (!config->threads) {
		l->config.guest.step = step;
		l->config.guest.step_arg = l;
	}
	err = vmb_user_network_bus_init(
		&l->bus, config->page_count ? config->page_count : PAGE_COUNT, config->threads);
	if (!err)
		err = vmb_user_network_host_init(&l->host, &l->bus, &config->host,
						 peer ? peer->host.lock : NULL);
	if (!err)
		err = vmb_user_network_guest_init(&l->guest, &l->bus, &l->host, &l->config.guest);
	if (!err && peer)
		join(l, peer);
	return err ? err : start_threads(l);
}

static void stop_threads(struct vmb_user_network *l)
{
	if (!l->config.threads)
		return;
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(l->bus.synic.guest_fd);
	pthread_join(l->guest_thread, NULL);
	vmb_user_synic_kick(l->bus.synic.host_fd);
	pthread_join(l->host_thread, NULL);
}

void vmb_user_network_destroy(struct vmb_user_network *l)
{
	part(l);
	stop_threads(l);
	vmb_user_network_guest_abandon(&l->guest);
	vmb_user_network_guest_destroy(&l->guest);
	vmb_user_network_host_destroy(&l->host);
	vmb_user_network_bus_destroy(&l->bus);
}

static bool step_one(struct vmb_user_network *l)
{
	bool any = vmb_user_network_host_step(&l->host);

	return vmb_user_network_guest_step(&l->guest) || any;
}

bool vmb_user_network_step(struct vmb_user_network *l)
{
	bool any = step_one(l);

	/* host is a member of its card. */
	if (l->host.peer)
		any |= step_one(VMB_CONTAINER_OF(l->host.peer, struct vmb_user_network, host));
	return any;
}

void vmb_user_network_settle(struct vmb_user_network *l)
{
	while (vmb_user_network_step(l))
		;
}

bool vmb_user_network_holds_nothing(const struct vmb_user_network *l)
{
	return !l->bus.shared_len && !l->bus.mapped_count && !l->bus.torn &&
	       !l->bus.memory.used_count;
}

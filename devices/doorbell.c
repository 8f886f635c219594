// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Scans the interrupt page and the monitor page, and rings the channels that the guest signals
 * there.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/doorbell.h"
#include "devices/report.h"
#include "devices/role.h"
#include "host/doorbell.h"

#define BUSY_NS	       100000
#define IDLE_NS	       1000000
/* scans in a row that find nothing until the page counts as idle: 10 ms */
#define BUSY_SCANS     100u
#define LATENCY_100NS  (BUSY_NS / 100)
#define TIMER_SLACK_NS 1000 /* Linux's usual half of BUSY_NS would be lost on top of it */

struct found {
	uint32_t interrupts[VMB_INTERRUPT_WORD_COUNT];
	uint32_t monitors[VMB_MONITOR_GROUP_COUNT];
	bool any_interrupt, any_monitor;
};

/* rang: the interrupt page is to be looked at. Under d->lock. */
static void take(struct vmb_dev_doorbell *d, struct found *found, bool rang)
{
	memset(found, 0, sizeof(*found));
	for (uint32_t i = 0; rang && d->interrupt_page && i < VMB_INTERRUPT_WORD_COUNT; i++) {
		found->interrupts[i] = vmb_host_doorbell_take(d->interrupt_page, i);
		found->any_interrupt |= found->interrupts[i] != 0;
	}
	for (uint32_t i = 0; d->monitor_page && i < VMB_MONITOR_GROUP_COUNT; i++) {
		found->monitors[i] = vmb_host_doorbell_monitor_take(d->monitor_page, i);
		found->any_monitor |= found->monitors[i] != 0;
	}
}

/*
 * Counts a channel that was rung in *rung. One that is closed meanwhile, or never was, is a stray.
 */
static void ring_channel(struct vmb_dev_doorbell *d, struct vmb_host_channel *host, uint64_t *rung)
{
	struct vmb_dev_channel *ch = host ? VMB_CONTAINER_OF(host, struct vmb_dev_channel, host) :
					    NULL;

	if (!ch || !ch->pages) {
		d->strays++;
		return;
	}
	vmb_dev_bell_ring(&ch->bell);
	++*rung;
}

static void ring_found(struct vmb_dev_doorbell *d, const struct found *found)
{
	struct vmb_host_server *server = &d->bus->server;

	if (!found->any_interrupt && !found->any_monitor)
		return;
	pthread_mutex_lock(&d->bus->lock);
	for (uint32_t id = 0; id < VMB_CHANNEL_COUNT_SHARED; id++)
		if (found->interrupts[id / 32] >> id % 32 & 1)
			ring_channel(d, vmb_host_channel_find(server, id), &d->by_interrupt_page);
	for (uint32_t id = 0; id < VMB_MONITOR_COUNT_MAX; id++)
		if (found->monitors[id / 32] >> id % 32 & 1)
			ring_channel(d, vmb_host_doorbell_monitored(server, id), &d->by_monitor);
	pthread_mutex_unlock(&d->bus->lock);
}

/*
 * The eventfds are cleared before the pages are looked at, so what is set after the look rings
 * again.
 */
static void wait_for_something(struct vmb_dev_doorbell *d, const struct timespec *limit)
{
	struct pollfd fds[] = { { .fd = d->shared.fd, .events = POLLIN },
				{ .fd = d->wake, .events = POLLIN } };

	if (ppoll(fds, VMB_ARRAY_COUNT(fds), limit, NULL) <= 0)
		return;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(fds); i++)
		if (fds[i].revents)
			vmb_dev_event_clear(fds[i].fd);
}

static void *work(void *arg)
{
	const struct timespec busy = { .tv_nsec = BUSY_NS }, idle = { .tv_nsec = IDLE_NS };
	struct vmb_dev_doorbell *d = arg;
	uint32_t in_vain = 0;
	struct found found;
	bool monitoring, stopping;

	vmb_dev_role_enter(VMB_DEV_ROLE_DOORBELL);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	do {
		pthread_mutex_lock(&d->lock);
		take(d, &found, true);
		monitoring = d->monitor_page && d->monitored_count;
		stopping = d->stopping;
		pthread_mutex_unlock(&d->lock);
		ring_found(d, &found);
		in_vain = found.any_monitor ? 0 : in_vain + 1;
		if (!stopping)
			wait_for_something(d, !monitoring	   ? NULL :
					      in_vain < BUSY_SCANS ? &busy :
								     &idle);
	} while (!stopping);
	return NULL;
}

bool vmb_dev_doorbell_step(struct vmb_dev_doorbell *d)
{
	struct found found;

	pthread_mutex_lock(&d->lock);
	take(d, &found, vmb_dev_bell_take(&d->shared));
	pthread_mutex_unlock(&d->lock);
	ring_found(d, &found);
	return found.any_interrupt || found.any_monitor;
}

static int start(struct vmb_dev_doorbell *d)
{
	int error;

	if (d->started || d->bus->config.stepped)
		return 0;
	error = pthread_create(&d->thread, NULL, work, d);
	d->started = !error;
	if (error)
		vmb_dev_report("VMBus: doorbells: %s", strerror(error));
	return -error;
}

static void set_pages(struct vmb_dev_doorbell *d, void *interrupt_page, void *monitor_page)
{
	pthread_mutex_lock(&d->lock);
	__atomic_store_n(&d->interrupt_page, interrupt_page, __ATOMIC_RELEASE);
	d->monitor_page = monitor_page;
	pthread_mutex_unlock(&d->lock);
}

static int connect_shared(struct vmb_dev_doorbell *d, bool on)
{
	struct vmb_dev_machine *machine = d->bus->machine;

	return machine->ops->doorbell(machine, VMB_CONNECTION_EVENT, &d->shared, on);
}

static void *page_at(const struct vmb_dev_doorbell *d, uint64_t gpa)
{
	return gpa ? vmb_dev_memory_at(d->bus->memory, gpa, VMB_PAGE_LEN) : NULL;
}

int vmb_dev_doorbell_connect(struct vmb_dev_doorbell *d)
{
	const struct vmb_host_server *server = &d->bus->server;
	void *interrupt_page = page_at(d, server->interrupt_page_gpa), *monitor_page = NULL;
	int error;

	vmb_dev_doorbell_disconnect(d);
	if (server->monitor_gpa[1])
		monitor_page = page_at(d, server->monitor_gpa[1]);
	if (!interrupt_page && !monitor_page)
		return 0;
	if (monitor_page)
		vmb_host_doorbell_monitor_reset(monitor_page);
	error = start(d);
	if (!error && interrupt_page)
		error = connect_shared(d, true);
	if (!error)
		set_pages(d, interrupt_page, monitor_page);
	return error;
}

void vmb_dev_doorbell_disconnect(struct vmb_dev_doorbell *d)
{
	if (d->interrupt_page)
		connect_shared(d, false);
	set_pages(d, NULL, NULL);
}

static void count_scanned(struct vmb_dev_doorbell *d, struct vmb_dev_channel *ch, bool scanned)
{
	if (ch->scanned == scanned)
		return;
	ch->scanned = scanned;
	pthread_mutex_lock(&d->lock);
	d->monitored_count += scanned ? 1 : -1;
	if (scanned && d->monitor_page)
		vmb_host_doorbell_monitor_enable(d->monitor_page, &ch->host, LATENCY_100NS);
	pthread_mutex_unlock(&d->lock);
	if (d->wake >= 0)
		vmb_dev_event_ring(d->wake);
}

void vmb_dev_doorbell_opening(struct vmb_dev_doorbell *d, struct vmb_dev_channel *ch)
{
	count_scanned(d, ch, vmb_host_channel_monitor(&ch->host) < VMB_MONITOR_COUNT_MAX);
}

void vmb_dev_doorbell_closed(struct vmb_dev_doorbell *d, struct vmb_dev_channel *ch)
{
	count_scanned(d, ch, false);
}

void vmb_dev_doorbell_interrupt(struct vmb_dev_doorbell *d, const struct vmb_dev_channel *ch,
				uint32_t vp)
{
	void *page = __atomic_load_n(&d->interrupt_page, __ATOMIC_ACQUIRE);
	struct vmb_dev_machine *machine = d->bus->machine;

	if (!page) {
		machine->ops->signal(machine, vp, ch->host.relid);
		return;
	}
	vmb_host_doorbell_set(page, ch->host.relid);
	machine->ops->signal(machine, 0, 0);
}

int vmb_dev_doorbell_init(struct vmb_dev_doorbell *d, struct vmb_dev_bus *bus)
{
	memset(d, 0, sizeof(*d));
	d->bus = bus;
	d->shared.fd = d->wake = -1;
	pthread_mutex_init(&d->lock, NULL);
	if (bus->config.stepped)
		return 0;
	d->shared.fd = vmb_dev_event_create();
	d->wake = vmb_dev_event_create();
	if (d->shared.fd >= 0 && d->wake >= 0)
		return 0;
	vmb_dev_report("VMBus: eventfd: %s", strerror(d->wake < 0 ? -d->wake : -d->shared.fd));
	return -EMFILE;
}

void vmb_dev_doorbell_stop(struct vmb_dev_doorbell *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_mutex_unlock(&d->lock);
	if (!d->started)
		return;
	vmb_dev_event_ring(d->wake);
	pthread_join(d->thread, NULL);
	d->started = false;
}

void vmb_dev_doorbell_report(const struct vmb_dev_doorbell *d)
{
	if (d->by_interrupt_page || d->by_monitor)
		vmb_dev_report("stats: doorbells: %llu by the interrupt page, %llu by the monitor "
			       "page",
			       (unsigned long long)d->by_interrupt_page,
			       (unsigned long long)d->by_monitor);
}

void vmb_dev_doorbell_destroy(struct vmb_dev_doorbell *d)
{
	if (d->shared.fd >= 0)
		close(d->shared.fd);
	if (d->wake >= 0)
		close(d->wake);
	pthread_mutex_destroy(&d->lock);
}

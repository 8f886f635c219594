// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does by function calls what KVM does for the monitor: doorbells, event flags, the message slot.
 * Tests and fuzz targets run the devices on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ports/user/machine.h"

static struct vmb_user_machine *machine_of(struct vmb_dev_machine *dev)
{
	return VMB_CONTAINER_OF(dev, struct vmb_user_machine, dev);
}

/* The low bits of a channel's connection choose its entry; the shared connection has its own. */
static uint32_t place_of(uint32_t connection_id)
{
	if (connection_id == VMB_CONNECTION_EVENT)
		return VMB_USER_BELL_COUNT - 1;
	return connection_id % (VMB_USER_BELL_COUNT - 1);
}

static int connect_bell(struct vmb_dev_machine *dev, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	struct vmb_user_machine *m = machine_of(dev);
	uint32_t i = place_of(connection_id);

	pthread_mutex_lock(&m->bells_lock);
	m->bells[i].connection_id = connection_id;
	m->bells[i].bell = on ? bell : NULL;
	pthread_mutex_unlock(&m->bells_lock);
	return 0;
}

static void signal_vp(struct vmb_dev_machine *dev, uint32_t vp, uint32_t flag)
{
	vmb_user_synic_interrupt(&machine_of(dev)->synic, flag);
}

static int post_message(struct vmb_dev_machine *dev, uint32_t vp, uint32_t sint,
			const void *payload, uint32_t len)
{
	return vmb_user_synic_post(&machine_of(dev)->synic, payload, len) ? 0 : VMB_EAGAIN;
}

/* All of it is mapped already. */
static int grow(struct vmb_dev_machine *dev, uint64_t len)
{
	return 0;
}

static int map(struct vmb_dev_machine *dev, uint64_t gpa, void *base, uint64_t len)
{
	struct vmb_user_machine *m = machine_of(dev);

	if (gpa < VMB_USER_WINDOW_GPA || gpa + len > VMB_USER_WINDOW_GPA + VMB_USER_WINDOW_LEN)
		return -EINVAL;
	if (base ? m->mapped.base != NULL : m->mapped.base == NULL || m->mapped.gpa != gpa)
		return -EBUSY;
	m->mapped.gpa = gpa;
	m->mapped.len = len;
	m->mapped.base = base;
	return 0;
}

static void interrupt(struct vmb_dev_machine *dev, uint32_t vp, uint8_t vector)
{
	struct vmb_user_machine *m = machine_of(dev);

	__atomic_store_n(&m->interrupt_vp, vp, __ATOMIC_RELAXED);
	__atomic_store_n(&m->interrupt_vector, vector, __ATOMIC_RELAXED);
	__atomic_fetch_add(&m->interrupt_count, 1, __ATOMIC_SEQ_CST);
}

/* If the host cannot go on, the test's environment is at fault. */
static void fail(struct vmb_dev_machine *dev)
{
	abort();
}

static const struct vmb_dev_machine_ops ops = {
	.doorbell = connect_bell,
	.signal = signal_vp,
	.post = post_message,
	.grow = grow,
	.map = map,
	.interrupt = interrupt,
	.fail = fail,
};

uint32_t vmb_user_machine_post(struct vmb_user_machine *m, uint32_t connection_id,
			       const void *payload, uint32_t len)
{
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS, .payload_len = len };

	if (len > sizeof(block.payload))
		return VMB_HV_INVALID_PARAMETER;
	memcpy(block.payload, payload, len);
	return vmb_dev_bus_post(m->bus, connection_id, &block);
}

uint32_t vmb_user_machine_signal(struct vmb_user_machine *m, uint32_t connection_id)
{
	uint32_t i = place_of(connection_id);
	bool known;

	pthread_mutex_lock(&m->bells_lock);
	known = m->bells[i].bell && m->bells[i].connection_id == connection_id;
	if (known)
		vmb_dev_bell_ring(m->bells[i].bell);
	pthread_mutex_unlock(&m->bells_lock);
	if (!known)
		return VMB_HV_INVALID_CONNECTION_ID;
	vmb_user_synic_signal(&m->synic);
	return VMB_HV_SUCCESS;
}

void vmb_user_machine_eom(struct vmb_user_machine *m)
{
	vmb_dev_bus_deliver(m->bus);
}

bool vmb_user_machine_step(struct vmb_user_machine *m)
{
	bool any = vmb_dev_doorbell_step(&m->bus->doorbell);
	struct vmb_user_machine_device *d;

	assert(!m->config.threads);
	for (d = m->devices; d; d = d->next)
		any |= d->device.ops->step(d->device.state);
	return any;
}

int vmb_user_machine_add(struct vmb_user_machine *m, const struct vmb_dev_device *device)
{
	struct vmb_user_machine_device *d = malloc(sizeof(*d));
	int error = d ? device->ops->prepare(device->state) : -ENOMEM;

	if (!error)
		error = device->ops->attach(device->state, m->bus);
	if (error) {
		device->ops->close(device->state);
		free(d);
		return error;
	}
	d->device = *device;
	d->next = m->devices;
	m->devices = d;
	return 0;
}

static void remove_at(struct vmb_user_machine_device **at)
{
	struct vmb_user_machine_device *d = *at;

	*at = d->next;
	d->device.ops->close(d->device.state);
	free(d);
}

void vmb_user_machine_remove(struct vmb_user_machine *m, const struct vmb_dev_device *device)
{
	struct vmb_user_machine_device **at = &m->devices;

	while (*at && (*at)->device.state != device->state)
		at = &(*at)->next;
	if (*at)
		remove_at(at);
}

/* A second region, which is empty at first. Returns false: no memory. */
static bool make_room(struct vmb_user_machine *m)
{
	int fd = memfd_create("added", MFD_CLOEXEC);
	void *base = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)m->config.add_max) == 0)
		base = mmap(NULL, m->config.add_max, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return false;
	m->dev.memory.regions[1] = (struct vmb_dev_memory_region){
		.gpa = VMB_USER_ADDED_GPA, .capacity = m->config.add_max, .base = base, .fd = fd
	};
	m->dev.memory.region_count = 2;
	return true;
}

static void take_room(struct vmb_user_machine *m)
{
	if (m->dev.memory.region_count < 2)
		return;
	munmap(m->dev.memory.regions[1].base, m->config.add_max);
	close(m->dev.memory.regions[1].fd);
}

static void fill_memory(struct vmb_user_machine *m)
{
	m->dev.memory.region_count = 1;
	m->dev.memory.regions[0] = (struct vmb_dev_memory_region){
		.gpa = (uint64_t)VMB_USER_FIRST_PFN << VMB_PAGE_SHIFT,
		.len = (uint64_t)(m->memory.page_count + VMB_USER_FIXED_COUNT) << VMB_PAGE_SHIFT,
		.base = m->memory.base,
		.fd = m->memory.fd,
	};
}

int vmb_user_machine_init(struct vmb_user_machine *m, const struct vmb_user_machine_config *config)
{
	const struct vmb_dev_bus_config bus = { .machine = &m->dev,
						.version_min = config->version_min,
						.version_max = config->version_max,
						.monitors = config->monitors,
						.stepped = !config->threads };

	memset(m, 0, sizeof(*m));
	m->config = *config;
	pthread_mutex_init(&m->bells_lock, NULL);
	if (vmb_user_memory_init(&m->memory, config->page_count))
		return VMB_ENOMEM;
	if (vmb_user_synic_init(&m->synic)) {
		vmb_user_memory_destroy(&m->memory);
		return VMB_ENOMEM;
	}
	m->dev.ops = &ops;
	m->dev.vp_count = 1;
	fill_memory(m);
	if (!config->add_max || make_room(m))
		m->bus = vmb_dev_bus_create(&bus);
	if (m->bus)
		return 0;
	take_room(m);
	vmb_user_synic_destroy(&m->synic);
	vmb_user_memory_destroy(&m->memory);
	return VMB_ENOMEM;
}

void vmb_user_machine_destroy(struct vmb_user_machine *m)
{
	__atomic_store_n(&m->bus->fault, NULL, __ATOMIC_RELEASE);
	vmb_dev_bus_reset(m->bus);
	while (!m->config.threads && vmb_user_machine_step(m))
		;
	vmb_dev_bus_stop(m->bus);
	while (m->devices)
		remove_at(&m->devices);
	vmb_dev_bus_destroy(m->bus);
	take_room(m);
	vmb_user_synic_destroy(&m->synic);
	vmb_user_memory_destroy(&m->memory);
	pthread_mutex_destroy(&m->bells_lock);
}

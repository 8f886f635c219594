// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Puts the guest of guest.c and the devices of a machine together in one process, for storage
 * tests.
 */
#include "ports/user/loopback.h"

#define MEMORY_PAGES 16384u

static void *run_guest(void *arg)
{
	struct vmb_user_loopback *l = arg;

	while (!__atomic_load_n(&l->guest_stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(l->machine.synic.guest_fd);
		while (vmb_user_guest_step(&l->guest))
			;
	}
	return NULL;
}

static void stop_guest(struct vmb_user_loopback *l)
{
	if (!l->config.threads)
		return;
	__atomic_store_n(&l->guest_stop, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(l->machine.synic.guest_fd);
	pthread_join(l->guest_thread, NULL);
}

static int start_guest(struct vmb_user_loopback *l)
{
	int err = vmb_user_guest_init(&l->guest, &l->machine, &l->config.guest);

	l->guest.threaded = l->config.threads;
	l->guest_stop = false;
	if (!err && l->config.threads && pthread_create(&l->guest_thread, NULL, run_guest, l))
		err = VMB_ENOMEM;
	return err;
}

static struct vmb_dev_storage *add(struct vmb_user_loopback *l,
				   const struct vmb_dev_storage_config *config)
{
	struct vmb_dev_device device;

	if (vmb_dev_storage_open(&device, config) || vmb_user_machine_add(&l->machine, &device))
		return NULL;
	return device.state;
}

struct vmb_dev_storage *vmb_user_loopback_offer(struct vmb_user_loopback *l, uint8_t number)
{
	struct vmb_guid instance_id;
	const struct vmb_dev_storage_config config = { .version_max = l->config.storage_version_max,
						       .queue_count = l->config.queue_count,
						       .poll_us = l->config.poll_us,
						       .instance_id = &instance_id,
						       .disks = l->config.disks,
						       .disk_count = VMB_USER_DISK_MAX };

	memset(instance_id.bytes, number, sizeof(instance_id.bytes));
	return add(l, &config);
}

static bool offer_ides(struct vmb_user_loopback *l)
{
	static const struct vmb_guid unit_id = { { 1 } };
	struct vmb_dev_storage_config config = { .version_max = l->config.storage_version_max,
						 .ide = true,
						 .unit_id = &unit_id,
						 .disk_count = 1 };

	for (config.place = 0; config.place < VMB_DEV_IDE_MAX; config.place++) {
		config.disks = &l->config.ides[config.place];
		if (config.disks->path && !add(l, &config))
			return false;
	}
	return true;
}

static bool any_disk(const struct vmb_dev_disk_option *disks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (disks[i].path)
			return true;
	return false;
}

static int offer_controllers(struct vmb_user_loopback *l)
{
	bool ide = any_disk(l->config.ides, VMB_DEV_IDE_MAX);

	if (!offer_ides(l))
		return VMB_ENOMEM;
	if ((!ide || any_disk(l->config.disks, VMB_USER_DISK_MAX)) &&
	    !vmb_user_loopback_offer(l, 1))
		return VMB_ENOMEM;
	return 0;
}

static struct vmb_dev_storage *storage_of(struct vmb_user_machine_device *d)
{
	return d->device.state;
}

static void reap(struct vmb_user_loopback *l)
{
	struct vmb_user_machine_device *d, *next;

	for (d = l->machine.devices; d; d = next) {
		next = d->next;
		if (__atomic_load_n(&storage_of(d)->released, __ATOMIC_ACQUIRE))
			vmb_user_machine_remove(&l->machine, &d->device);
	}
}

struct vmb_dev_storage *vmb_user_loopback_first(struct vmb_user_loopback *l)
{
	struct vmb_user_machine_device *d;

	reap(l);
	pthread_mutex_lock(&l->machine.bus->lock);
	for (d = l->machine.devices; d && storage_of(d)->channel.host.revoked; d = d->next)
		;
	pthread_mutex_unlock(&l->machine.bus->lock);
	return d ? d->device.state : NULL;
}

int vmb_user_loopback_init(struct vmb_user_loopback *l,
			   const struct vmb_user_loopback_config *config)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->config = *config;
	l->config.machine.page_count = MEMORY_PAGES;
	l->config.machine.threads = config->threads;
	err = vmb_user_machine_init(&l->machine, &l->config.machine);
	if (err)
		return err;
	err = offer_controllers(l);
	if (!err)
		err = start_guest(l);
	if (err)
		vmb_user_machine_destroy(&l->machine);
	return err;
}

void vmb_user_loopback_destroy(struct vmb_user_loopback *l)
{
	stop_guest(l);
	vmb_user_guest_destroy(&l->guest);
	vmb_user_machine_destroy(&l->machine);
}

int vmb_user_loopback_reboot(struct vmb_user_loopback *l)
{
	stop_guest(l);
	vmb_user_guest_destroy(&l->guest);
	return start_guest(l);
}

void vmb_user_loopback_settle(struct vmb_user_loopback *l)
{
	bool any;

	do {
		any = vmb_user_machine_step(&l->machine);
		any |= vmb_user_guest_step(&l->guest);
	} while (any);
}

static void copy_pages(const struct vmb_user_loopback *l, const uint64_t *pfns, void *data,
		       uint32_t len, bool to_pages)
{
	uint8_t *at = data, *page;
	uint32_t piece;

	for (; len; len -= piece, at += piece) {
		page = vmb_user_memory_page(&l->machine.memory, *pfns++);
		piece = len < VMB_PAGE_LEN ? len : VMB_PAGE_LEN;
		if (to_pages)
			memcpy(page, at, piece);
		else
			memcpy(at, page, piece);
	}
}

static int execute(struct vmb_user_loopback *l, struct vmb_user_device *d,
		   struct vmb_user_request *request, void *data, uint32_t len)
{
	int err;

	if (len)
		copy_pages(l, request->pfns, data, len, true);
	err = vmb_user_guest_execute(d, request);
	if (!err && request->storage.direction == VMB_STOR_READ)
		copy_pages(l, request->pfns, data, len, false);
	return err;
}

int vmb_user_loopback_scsi(struct vmb_user_loopback *l, struct vmb_user_device *d, uint8_t lun,
			   const void *cdb, uint8_t cdb_len, enum vmb_stor_direction direction,
			   void *data, uint32_t len, struct vmb_guest_storage_event *event)
{
	struct vmb_user_request request = { .storage = { .path_id = d->address.path_id,
							 .target_id = d->address.target_id,
							 .lun = lun,
							 .cdb_len = cdb_len,
							 .direction = direction,
							 .data_len = len,
							 .timeout_s = 60 } };
	uint64_t pfns[VMB_DEV_DISK_IOV_MAX];
	uint32_t count = (len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	int err;

	if (count > VMB_DEV_DISK_IOV_MAX || !vmb_user_memory_alloc(&l->machine.memory, pfns, count))
		return VMB_ENOMEM;
	memcpy(request.storage.cdb, cdb, cdb_len);
	request.pfns = pfns;
	err = execute(l, d, &request, data, len);
	if (!err)
		*event = request.result;
	vmb_user_memory_free(&l->machine.memory, pfns, count);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ports/user/loopback.h"

#define MEMORY_PAGES 16384u

static void *run_guest(void *arg)
{
	struct vmb_user_loopback *l = arg;

	while (!__atomic_load_n(&l->guest_stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(l->synic.guest_fd);
		while (vmb_user_guest_step(&l->guest))
			;
	}
	return NULL;
}

static void *run_host(void *arg)
{
	struct vmb_user_loopback *l = arg;

	while (!__atomic_load_n(&l->host_stop, __ATOMIC_ACQUIRE)) {
		if (l->config.host.monitors)
			vmb_user_synic_wait_monitor(l->synic.host_fd);
		else
			vmb_user_synic_wait(l->synic.host_fd);
		while (vmb_user_host_step(&l->host))
			;
	}
	return NULL;
}

static void stop(struct vmb_user_loopback *l, bool *flag, int fd, pthread_t thread)
{
	if (!l->config.threads)
		return;
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(fd);
	pthread_join(thread, NULL);
}

static int start_guest(struct vmb_user_loopback *l)
{
	int err = vmb_user_guest_init(&l->guest, &l->memory, &l->synic, &l->host, &l->config.guest);

	l->guest.threaded = l->config.threads;
	l->guest_stop = false;
	if (!err && l->config.threads && pthread_create(&l->guest_thread, NULL, run_guest, l))
		err = VMB_ENOMEM;
	return err;
}

static int offer_controllers(struct vmb_user_loopback *l)
{
	bool scsi = false, ide = false;
	uint8_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(l->config.disks); i++)
		scsi |= l->config.disks[i] != NULL;
	for (i = 0; i < VMB_ARRAY_COUNT(l->config.ides); i++) {
		if (!l->config.ides[i])
			continue;
		ide = true;
		if (!vmb_user_host_offer_ide(&l->host, i / 2, i % 2, l->config.ides[i]))
			return VMB_ENOMEM;
	}
	if ((scsi || !ide) && !vmb_user_host_offer(&l->host, 1))
		return VMB_ENOMEM;
	return 0;
}

int vmb_user_loopback_init(struct vmb_user_loopback *l,
			   const struct vmb_user_loopback_config *config)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->config = *config;
	if (vmb_user_memory_init(&l->memory, MEMORY_PAGES) || vmb_user_synic_init(&l->synic))
		return VMB_ENOMEM;
	err = vmb_user_host_init(&l->host, &l->memory, &l->synic, &config->host);
	if (err)
		return err;
	memcpy(l->host.disks, config->disks, sizeof(l->host.disks));
	err = offer_controllers(l);
	if (err)
		return err;
	if (config->threads && pthread_create(&l->host_thread, NULL, run_host, l))
		return VMB_ENOMEM;
	return start_guest(l);
}

void vmb_user_loopback_destroy(struct vmb_user_loopback *l)
{
	stop(l, &l->guest_stop, l->synic.guest_fd, l->guest_thread);
	stop(l, &l->host_stop, l->synic.host_fd, l->host_thread);
	vmb_user_guest_destroy(&l->guest);
	vmb_user_host_destroy(&l->host);
	vmb_user_synic_destroy(&l->synic);
	vmb_user_memory_destroy(&l->memory);
}

int vmb_user_loopback_reboot(struct vmb_user_loopback *l)
{
	stop(l, &l->guest_stop, l->synic.guest_fd, l->guest_thread);
	vmb_user_guest_destroy(&l->guest);
	return start_guest(l);
}

void vmb_user_loopback_settle(struct vmb_user_loopback *l)
{
	bool any;

	do {
		any = vmb_user_host_step(&l->host);
		any |= vmb_user_guest_step(&l->guest);
	} while (any);
}

static void copy_pages(const struct vmb_user_loopback *l, const uint64_t *pfns, void *data,
		       uint32_t len, bool to_pages)
{
	uint8_t *at = data, *page;
	uint32_t piece;

	for (; len; len -= piece, at += piece) {
		page = vmb_user_memory_page(&l->memory, *pfns++);
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
	uint64_t pfns[VMB_USER_SPAN_MAX];
	uint32_t count = (len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	int err;

	if (count > VMB_USER_SPAN_MAX || !vmb_user_memory_alloc(&l->memory, pfns, count))
		return VMB_ENOMEM;
	memcpy(request.storage.cdb, cdb, cdb_len);
	request.pfns = pfns;
	err = execute(l, d, &request, data, len);
	if (!err)
		*event = request.result;
	vmb_user_memory_free(&l->memory, pfns, count);
	return err;
}

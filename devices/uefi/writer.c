// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the file of UEFI variables on a thread of its own, which alone may open files. */
#include <errno.h>
#include <string.h>

#include "devices/report.h"
#include "devices/role.h"
#include "devices/uefi/nvram.h"
#include "devices/uefi/writer.h"

static void *run_thread(void *arg)
{
	struct vmb_dev_uefi_writer *w = arg;

	vmb_dev_role_enter(VMB_DEV_ROLE_VARIABLES);
	pthread_mutex_lock(&w->mutex);
	while (!w->stop) {
		if (w->job) {
			w->result = vmb_dev_uefi_nvram_save(w->job, w->path);
			w->job = NULL;
			pthread_cond_broadcast(&w->changed);
		} else {
			pthread_cond_wait(&w->changed, &w->mutex);
		}
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

int vmb_dev_uefi_writer_start(struct vmb_dev_uefi_writer *w, const char *path)
{
	int error;

	*w = (struct vmb_dev_uefi_writer){ .path = path };
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->changed, NULL);
	error = pthread_create(&w->thread, NULL, run_thread, w);
	w->started = !error;
	if (error)
		vmb_dev_report("--nvram %s: no thread: %s", path, strerror(error));
	return -error;
}

int vmb_dev_uefi_writer_save(struct vmb_dev_uefi_writer *w, const struct vmb_dev_uefi_vars *v)
{
	int result;

	pthread_mutex_lock(&w->mutex);
	w->job = v;
	pthread_cond_broadcast(&w->changed);
	while (w->job)
		pthread_cond_wait(&w->changed, &w->mutex);
	result = w->result;
	pthread_mutex_unlock(&w->mutex);
	return result;
}

void vmb_dev_uefi_writer_stop(struct vmb_dev_uefi_writer *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->mutex);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	w->started = false;
}

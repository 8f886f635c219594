/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The thread that writes the file of UEFI variables. It alone may open a file for writing: a
 * processor's thread, which serves the firmware, hands it the variables and waits.
 */
#ifndef DEVICES_UEFI_WRITER_H
#define DEVICES_UEFI_WRITER_H

#include <pthread.h>

#include "devices/uefi/vars.h"

struct vmb_dev_uefi_writer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool started, stop;
	const char *path;
	const struct vmb_dev_uefi_vars *job; /* NULL: nothing to do */
	int result; /* of the last job */
};

/* path must outlive w. Returns 0, or -errno: reported. */
int vmb_dev_uefi_writer_start(struct vmb_dev_uefi_writer *w, const char *path);
/*
 * Writes v, and returns when it is on the disk: 0, or -errno. One caller at a time, and v must not
 * change meanwhile.
 */
int vmb_dev_uefi_writer_save(struct vmb_dev_uefi_writer *w, const struct vmb_dev_uefi_vars *v);
/* Ends the thread, if there is one. */
void vmb_dev_uefi_writer_stop(struct vmb_dev_uefi_writer *w);

#endif

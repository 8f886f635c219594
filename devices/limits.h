/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The limits of this process, set once at the start. */
#ifndef DEVICES_LIMITS_H
#define DEVICES_LIMITS_H

#include <stdint.h>

#define VMB_DEV_DESCRIPTORS_WANTED 65536u

/*
 * Raises the soft limit of descriptors to what the machine may need, as far as the hard one allows.
 * The soft one is 1024 on most machines for the sake of select(), which nothing here calls. What
 * cannot be raised stays as it is.
 */
void vmb_dev_limits_raise(void);

/*
 * Returns how many mappings a guest's lent memory may take of this process in all: most of what the
 * kernel allows one (vm.max_map_count); the rest is for stacks, malloc and files. Reads a file the
 * first time, so the program asks before its threads are confined.
 */
uint32_t vmb_dev_limits_mappings(void);

/*
 * Threads that are made from now on have stacks of VMB_DEV_STACK_LEN bytes; if the C library
 * refuses, of 8 MiB as before. A stack as long as that is huge pages to the kernel: each thread
 * then takes 2 MiB of memory as soon as it runs.
 */
void vmb_dev_limits_stacks(void);
#define VMB_DEV_STACK_LEN (512u << 10)

#endif

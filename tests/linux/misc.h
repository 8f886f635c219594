/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * More of the kernel for ports/linux/services*.c: character devices, which a test opens, reads and
 * writes by name, and the end of the system.
 *
 *   f = misc_open("vmbus/hv_kvp")       NULL: there is no such device, or it has been opened
 *   misc_write(), misc_read()           return what the driver returns; a read may wait
 *   misc_close(f)
 */
#ifndef TESTS_LINUX_MISC_H
#define TESTS_LINUX_MISC_H

#include "tests/linux/kernel.h"

#define MISC_DYNAMIC_MINOR 255
#define S64_MAX		   INT64_MAX
#define EPOLLIN		   1u
#define EPOLLERR	   8u
#define EPOLLHUP	   16u
#define EPOLLRDNORM	   64u
#ifndef O_NONBLOCK
#define O_NONBLOCK 04000
#endif
#define __user
#define __packed    __attribute__((packed))
#define fallthrough __attribute__((fallthrough))
#define static_assert _Static_assert
#define system_percpu_wq	 system_wq
#define pr_info(...)		 shim_log("info", __VA_ARGS__)
#define strscpy(dst, src, len)	 ((void)snprintf(dst, len, "%s", src))
#define spin_lock_bh(l)		 spin_lock(l)
#define spin_unlock_bh(l)	 spin_unlock(l)
#define wake_up_interruptible(q) wake_up_all(q)
#define wait_event_interruptible(q, condition) \
	(shim_wait(q, condition, SCHED_FOREVER, #condition) ? 0 : -EINTR)

typedef unsigned int __poll_t;
typedef int64_t loff_t;
typedef unsigned long kernel_ulong_t;

struct inode {
	int unused;
};
typedef struct {
	int unused;
} poll_table;

struct file {
	void *private_data;
	unsigned int f_flags;
	const struct file_operations *ops; /* the device may be gone */
};

struct file_operations {
	struct module *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char *to, size_t room, loff_t *offset);
	ssize_t (*write)(struct file *file, const char *from, size_t len, loff_t *offset);
	__poll_t (*poll)(struct file *file, poll_table *table);
};

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	struct miscdevice *next; /* the shim's */
};

int misc_register(struct miscdevice *misc);
void misc_deregister(struct miscdevice *misc);
struct file *misc_open(const char *name);
ssize_t misc_write(struct file *f, const void *from, size_t len);
ssize_t misc_read(struct file *f, void *to, size_t room);
__poll_t misc_poll(struct file *f);
void misc_close(struct file *f);

static inline void poll_wait(struct file *f, wait_queue_head_t *q, poll_table *table)
{
}

static inline unsigned long copy_from_user(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return 0;
}

static inline unsigned long copy_to_user(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return 0;
}

struct kref {
	u32 count;
};

static inline void kref_init(struct kref *k)
{
	k->count = 1;
}

static inline void kref_get(struct kref *k)
{
	__atomic_fetch_add(&k->count, 1, __ATOMIC_SEQ_CST);
}

static inline void kref_put(struct kref *k, void (*release)(struct kref *k))
{
	if (__atomic_sub_fetch(&k->count, 1, __ATOMIC_SEQ_CST) == 0)
		release(k);
}

#define UMH_NO_WAIT 0
int call_usermodehelper(const char *path, char **argv, char **envp, int wait);

void orderly_poweroff(bool force);
void orderly_reboot(void);

#endif

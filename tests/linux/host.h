/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A machine below the real ports/linux/vmbus*.c: memory that both ends reach, message slots, event
 * flags and doorbells, the driver model, and behind them the host's end as it ships (devices/),
 * with one network card. What the bus needs of the kernel beyond kernel.h is here too.
 *
 *   host_start()           the machine and its card; the bus connects, devices are there
 *   host_stop()            the bus goes, and with it all devices; freed memory was not written to
 *   host.stalled           set and host_wake(): the host does nothing until it is cleared
 *   host_rescind()         the card is taken away; host_offer() gives it back
 *
 * The host is one thread of sched.h, each CPU's interrupt one more. The card's frames go through
 * host.sent, and host_deliver() sends one to the guest.
 *
 * Guest memory is mapped twice, so a sanitizer does not see what the host does to it. Instead freed
 * memory is filled, and that nobody has written to it is checked when it is used again.
 */
#ifndef TESTS_LINUX_HOST_H
#define TESTS_LINUX_HOST_H

#include "devices/network.h"
#include "ports/user/wire.h"
#include "tests/linux/kernel.h"

/* ---- what <linux/...> has ---- */

#define pr_fmt(format)			   format
#define pr_info(format, ...)		   shim_log("info", pr_fmt(format), ##__VA_ARGS__)
#define pr_err_ratelimited(...)		   pr_err(__VA_ARGS__)
#define pr_warn_ratelimited(...)	   pr_warn(__VA_ARGS__)
#define EXPORT_SYMBOL_GPL(name)		   _Static_assert(1, #name)
#define WQ_PERCPU			   0
#define system_percpu_wq		   system_wq
#define spin_lock_bh(l)			   spin_lock(l)
#define spin_unlock_bh(l)		   spin_unlock(l)
#define lockdep_assert_held(l)		   shim_assert_locked(l)
#define schedule_delayed_work(work, delay) queue_delayed_work(system_wq, work, delay)
#define __MUTEX_INITIALIZER(name) \
	{                         \
	}
#define __WAIT_QUEUE_HEAD_INITIALIZER(name) \
	{                                   \
	}
#define smp_mb__after_atomic() shim_full_barrier()
#define spin_trylock(l)	       shim_trylock(l)
#define shim_assert_locked(l)                           \
	do {                                            \
		if (!((struct shim_lock *)(l))->locked) \
			shim_bug("not locked: " #l);    \
	} while (0)
void shim_bug(const char *what) __attribute__((noreturn));
bool shim_trylock(spinlock_t *lock);
void usleep_range(unsigned long least, unsigned long most);

void *vzalloc(unsigned long len);
void vfree(const void *at);
#define vzalloc_node(len, node) ((void)(node), vzalloc(len))
#define kvzalloc(len, flags)	kzalloc(len, flags)
#define is_vmalloc_addr(at)	true
#define vmalloc_to_pfn(at)	PHYS_PFN(virt_to_phys(at))
#define vmalloc_to_page(at)	((struct page *)(at)) /* only to be mapped */
#define virt_to_page(at)	pfn_to_page(PHYS_PFN(virt_to_phys(at)))
#define __free_page(page)	put_page(page)

struct cpumask {
	u32 bits;
};
#define nr_cpu_ids		     SHIM_CPUS
#define num_possible_cpus()	     SHIM_CPUS
#define smp_processor_id()	     0
#define HK_TYPE_MANAGED_IRQ	     0
#define housekeeping_cpumask(type)   ((1u << SHIM_CPUS) - 1)
#define cpus_read_lock()	     shim_might_sleep("cpus_read_lock")
#define cpus_read_unlock()	     ((void)0)
#define cpumask_set_cpu(cpu, mask)   ((void)((mask)->bits |= 1u << (cpu)))
#define cpumask_clear_cpu(cpu, mask) ((void)((mask)->bits &= ~(1u << (cpu))))
#define cpumask_first(mask)	     ((u32)__builtin_ctz((mask)->bits))
#define for_each_cpu(cpu, mask)                     \
	for ((cpu) = 0; (cpu) < SHIM_CPUS; (cpu)++) \
		if ((mask)->bits >> (cpu)&1)
#define DECLARE_PER_CPU(type, name) extern type name[SHIM_CPUS]
extern const u32 hv_vp_index[SHIM_CPUS];

/* Nobody traces. */
#define TP_PROTO(...) (__VA_ARGS__)
#define TP_ARGS(...)
#define TRACE_EVENT(name, prototype, ...)         \
	static inline void trace_##name prototype \
	{                                         \
	}
#define DECLARE_EVENT_CLASS(name, ...)		  _Static_assert(1, #name)
#define DEFINE_EVENT(class, name, prototype, ...) TRACE_EVENT(name, prototype)

struct tasklet_struct {
	void (*fn)(struct tasklet_struct *t);
};
#define from_tasklet(at, t, member) container_of(t, typeof(*at), member)
#define tasklet_setup(t, function)  ((void)((t)->fn = (function)))
/* No driver of this machine has packets(): all poll. */
#define tasklet_schedule(t)	    shim_bug("a tasklet")
#define tasklet_kill(t)		    ((void)(t))

struct kobj_type {
	void (*release)(struct kobject *kobj);
};
struct kset {
	int unused;
};
void kobject_init(struct kobject *kobj, const struct kobj_type *type);
struct kobject *kobject_get(struct kobject *kobj);
void kobject_put(struct kobject *kobj);
#define kobject_add(kobj, parent, ...) ((kobj)->state_in_sysfs = true, 0)
void kobject_del(struct kobject *kobj);
struct kset *kset_create_and_add(const char *name, const void *ops, struct kobject *parent);
#define kset_unregister(kset) kfree(kset)

/* A file in sysfs that is mapped; its removal waits for whoever is mapping it. */
struct vm_area_struct {
	unsigned long vm_start, vm_pgoff;
	u32 count; /* pages that are wanted, */
	u8 *pages[8]; /* and were mapped */
};
#define vma_pages(vma) ((unsigned long)(vma)->count)
int vm_insert_page(struct vm_area_struct *vma, unsigned long at, struct page *page);
struct file;
struct bin_attribute {
	struct {
		const char *name;
		unsigned int mode;
	} attr;
	size_t size;
	int (*mmap)(struct file *file, struct kobject *kobj, const struct bin_attribute *attr,
		    struct vm_area_struct *vma);
};
#define sysfs_bin_attr_init(attr) ((void)(attr))
int sysfs_create_bin_file(struct kobject *kobj, const struct bin_attribute *attr);
void sysfs_remove_bin_file(struct kobject *kobj, const struct bin_attribute *attr);

struct kobj_uevent_env {
	int unused;
};
int add_uevent_var(struct kobj_uevent_env *env, const char *format, ...);
struct dev_pm_ops {
	int unused;
};
struct bus_type {
	const char *name;
	int (*match)(struct device *dev, const struct device_driver *driver);
	int (*uevent)(const struct device *dev, struct kobj_uevent_env *env);
	int (*probe)(struct device *dev);
	void (*remove)(struct device *dev);
	void (*shutdown)(struct device *dev);
	const struct dev_pm_ops *pm;
	const struct attribute_group **dev_groups, **bus_groups, **drv_groups;
};
int bus_register(struct bus_type *bus);
#define bus_unregister(bus) ((void)(bus))
int driver_register(struct device_driver *driver);
void driver_unregister(struct device_driver *driver);
void device_initialize(struct device *dev);
int device_add(struct device *dev);
void device_release_driver(struct device *dev);
void device_unregister(struct device *dev);
void put_device(struct device *dev);
#define dev_set_name(dev, ...) ((void)(dev), 0)
#define dev_name(dev)	       ((void)(dev), "device")

/* ---- the machine ---- */

struct host {
	/* what a test may set */
	bool stalled;
	u32 queue_count; /* of the card; 0 = 4; before host_start() */
	bool monitored; /* its channels have monitor ids; before host_start() */
	u32 bus_version_max, version_max; /* 0: the newest */
	bool (*heard)(void); /* before each step of the host; false: not now. NULL: always */
	void (*posted)(void); /* the guest is about to post a message */
	void (*signalled)(void); /* the guest is about to ring a doorbell */
	u32 lost_flag; /* interrupts of this channel get lost; 0: none */
	/* a frame of the guest's; the test may keep what it wants of it */
	void (*sent)(u16 queue, const u8 *bytes, u32 len);
	/* what it may ask */
	u32 posts; /* messages of the guest */
	u32 signals; /* of the guest */
	struct vmb_dev_network *card;
	bool offered;
	u32 ring_files; /* "ring" of channels, in sysfs */
};
extern struct host host;

#define HOST_FREED 0xa5 /* what memory is filled with that was freed */
void host_start(void);
void host_stop(void);
void host_wake(void);
void host_rescind(void);
/* Returns when the guest has let go of the card. */
void host_await_released(void);
void host_offer(void);
void host_deliver(const u8 *bytes, u32 len);
/* The guest's device, or NULL. */
struct vmb_device *host_device(void);
int host_bind(void); /* the driver to the device, as a user does; returns what probe returns */
void host_unbind(void);
struct vmb_channel;
/* What a program's mmap() of a channel's file does. */
int host_map_ring(struct vmb_channel *ch, struct vm_area_struct *vma);

#endif

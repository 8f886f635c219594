/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What ports/linux asks of the kernel, in user space, by the threads of sched.h. It is compiled
 * instead of <linux/...> and <scsi/...>; the names and what they promise are the kernel's.
 *
 * Strict where it matters: sleeping where it is not allowed (in a packet's callback, under a spin
 * lock or rcu_read_lock) ends the test; locks order memory for ThreadSanitizer, and READ_ONCE and
 * friends do not; waitqueue_active() may miss a waiter that came since the caller's last full
 * barrier; a page that was given back is poisoned; work on a queue without WQ_MEM_RECLAIM and
 * allocations that may do I/O wait as long as shim_pressure() says that memory is short.
 */
#ifndef TESTS_LINUX_KERNEL_H
#define TESTS_LINUX_KERNEL_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/linux/sched.h"

#define remove shim_remove /* <stdio.h> has one */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef u64 phys_addr_t;
typedef u64 sector_t;
typedef unsigned int gfp_t;
#define __init
#define __exit
#define __force
#define likely(x)	(x)
#define unlikely(x)	(x)
#define U16_MAX		UINT16_MAX
#define U32_MAX		UINT32_MAX
#define U64_MAX		UINT64_MAX
#define BITS_PER_LONG	64
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(c) _Static_assert(!(c), #c)
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(uintptr_t)(ptr)-offsetof(type, member)))

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE	KERNEL_VERSION(6, 18, 0)
#define IS_ENABLED(option)	0

#define min(a, b)                  \
	({                         \
		typeof(a) a_ = a;  \
		typeof(b) b_ = b;  \
		a_ < b_ ? a_ : b_; \
	})
#define max(a, b)                  \
	({                         \
		typeof(a) a_ = a;  \
		typeof(b) b_ = b;  \
		a_ > b_ ? a_ : b_; \
	})
#define min3(a, b, c)	    min(min(a, b), c)
#define min_t(type, a, b)   min((type)(a), (type)(b))
#define max_t(type, a, b)   max((type)(a), (type)(b))
#define clamp(x, low, high) min(max(x, low), high)
#define round_down(x, step) ((x) / (step) * (step))
#define swap(a, b)                  \
	do {                        \
		typeof(a) a_ = (a); \
		(a) = (b);          \
		(b) = a_;           \
	} while (0)
#define sector_div(n, by)	      ((n) /= (by))
#define is_power_of_2(n)	      ((n) && !((n) & ((n)-1)))
#define ilog2(n)		      (31 - __builtin_clz(n))

/* ---- CPUs: two cores with two threads each ---- */

#define SHIM_CPUS		      4u
#define num_online_cpus()	      SHIM_CPUS
#define for_each_possible_cpu(cpu)    for ((cpu) = 0; (cpu) < SHIM_CPUS; (cpu)++)
#define topology_sibling_cpumask(cpu) (3u << ((cpu) & ~1u))
#define cpumask_test_cpu(cpu, mask)   ((mask) >> (cpu)&1)
#define cpu_to_node(cpu)	      ((void)(cpu), 0)

/* ---- what other CPUs see ---- */

void shim_full_barrier(void);
#define READ_ONCE(x)                                     \
	({                                               \
		sched_step();                            \
		__atomic_load_n(&(x), __ATOMIC_RELAXED); \
	})
#define WRITE_ONCE(x, value)                                       \
	do {                                                       \
		sched_step();                                      \
		__atomic_store_n(&(x), (value), __ATOMIC_RELAXED); \
	} while (0)
#define smp_load_acquire(p)                           \
	({                                            \
		sched_step();                         \
		__atomic_load_n(p, __ATOMIC_ACQUIRE); \
	})
#define smp_store_release(p, value)                             \
	do {                                                    \
		sched_step();                                   \
		__atomic_store_n(p, (value), __ATOMIC_RELEASE); \
	} while (0)
#define smp_mb() shim_full_barrier()
#define cmpxchg(p, old, new)                                                          \
	({                                                                            \
		typeof(*(p)) old_ = (old);                                            \
		shim_full_barrier();                                                  \
		__atomic_compare_exchange_n(p, &old_, (new), false, __ATOMIC_SEQ_CST, \
					    __ATOMIC_SEQ_CST);                        \
		old_;                                                                 \
	})
#define xchg(p, value)                                             \
	({                                                         \
		shim_full_barrier();                               \
		__atomic_exchange_n(p, (value), __ATOMIC_SEQ_CST); \
	})

/* ---- time ---- */

#define HZ		     250
#define jiffies		     ((unsigned long)sched_now())
#define jiffies_to_msecs(j)  ((unsigned int)((j) * (1000 / HZ)))
#define msecs_to_jiffies(ms) ((unsigned long)(ms)*HZ / 1000)
#define time_after(a, b)     ((long)((b) - (a)) < 0)
#define time_after_eq(a, b)  ((long)((a) - (b)) >= 0)
#define time_before(a, b)    time_after(b, a)
void msleep(unsigned int ms);
#define cpu_relax() sched_wait(NULL, 1, "cpu_relax")

/*
 * What is done before the one is seen behind the other: for ThreadSanitizer, where the shim itself
 * hands over.
 */
void shim_release(const void *at);
void shim_acquire(const void *at);

/* ---- contexts ---- */

void shim_atomic_begin(void);
void shim_atomic_end(void);
void shim_might_sleep(const char *what);

/* ---- locks ---- */

struct shim_lock {
	u32 word; /* for ThreadSanitizer: a release at each unlock */
	bool locked;
};
typedef struct shim_lock spinlock_t;
struct mutex {
	struct shim_lock lock;
};
void shim_lock(struct shim_lock *lock, const char *where);
void shim_unlock(struct shim_lock *lock);
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
#define spin_lock_init(l)		 (*(l) = (spinlock_t){})
#define DEFINE_SPINLOCK(name)		 spinlock_t name
#define spin_lock_irq(l)		 spin_lock(l)
#define spin_unlock_irq(l)		 spin_unlock(l)
#define spin_lock_irqsave(l, flags)	 ((flags) = 0, spin_lock(l))
#define spin_unlock_irqrestore(l, flags) ((void)(flags), spin_unlock(l))
#define mutex_init(m)			 (*(m) = (struct mutex){})
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);

void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_rcu(void);

/* ---- waiting ---- */

struct shim_waiter {
	struct shim_waiter *next;
	bool woken;
};
typedef struct wait_queue_head {
	u32 word;
	struct shim_waiter *waiters;
	u64 joined; /* number of the barrier after which the last one came */
} wait_queue_head_t;
#define init_waitqueue_head(q) (*(q) = (wait_queue_head_t){})
void wake_up_all(wait_queue_head_t *q);
#define wake_up(q) wake_up_all(q)
bool waitqueue_active(wait_queue_head_t *q);
bool wq_has_sleeper(wait_queue_head_t *q);
void shim_wait_begin(wait_queue_head_t *q, struct shim_waiter *w, const char *where);
bool shim_wait_sleep(wait_queue_head_t *q, struct shim_waiter *w, u64 until, const char *where);
void shim_wait_end(wait_queue_head_t *q, struct shim_waiter *w);

#define shim_wait(q, condition, until, where)                              \
	({                                                                 \
		struct shim_waiter w_ = {};                                \
		bool true_, late_ = false;                                 \
		shim_wait_begin(&(q), &w_, where);                         \
		while (!(true_ = (condition)) && !late_)                   \
			late_ = !shim_wait_sleep(&(q), &w_, until, where); \
		shim_wait_end(&(q), &w_);                                  \
		true_;                                                     \
	})
#define wait_event(q, condition) ((void)shim_wait(q, condition, SCHED_FOREVER, #condition))
#define wait_event_timeout(q, condition, timeout)                          \
	({                                                                 \
		u64 until_ = sched_now() + (timeout);                      \
		shim_wait(q, condition, until_, #condition) ?              \
			(long)max_t(s64, (s64)(until_ - sched_now()), 1) : \
			0L;                                                \
	})

struct completion {
	wait_queue_head_t wait;
	bool done;
};
#define init_completion(c) (*(c) = (struct completion){})
void complete(struct completion *c);
void wait_for_completion(struct completion *c);

/* ---- timers and work ---- */

struct timer_list {
	struct timer_list *next;
	void (*function)(struct timer_list *timer);
	u64 expires;
	bool pending;
};
void timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *timer), int flags);
bool mod_timer(struct timer_list *timer, unsigned long expires);
bool timer_delete_sync(struct timer_list *timer);

struct work_struct;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);
struct work_struct {
	work_func_t func;
	struct work_struct *next;
	bool pending;
	u32 word;
};
struct delayed_work {
	struct work_struct work;
	struct timer_list timer;
	struct workqueue_struct *queue;
};
#define to_delayed_work(w) container_of(w, struct delayed_work, work)
#define INIT_WORK(w, fn)   (*(w) = (struct work_struct){ .func = (fn) })
void shim_init_delayed_work(struct delayed_work *work, work_func_t fn);
#define INIT_DELAYED_WORK(w, fn) shim_init_delayed_work(w, fn)
#define WQ_UNBOUND		 1
#define WQ_MEM_RECLAIM		 2
#define WQ_HIGHPRI		 4
extern struct workqueue_struct *system_wq;
/* A test's: work that no worker takes, however long it is queued; and a call before any is. */
extern const struct work_struct *shim_kept;
extern void (*shim_queueing)(const struct work_struct *work);
struct workqueue_struct *alloc_workqueue(const char *format, unsigned int flags, int max, ...);
#define alloc_ordered_workqueue(format, flags, ...) alloc_workqueue(format, flags, 1, ##__VA_ARGS__)
void destroy_workqueue(struct workqueue_struct *queue);
bool queue_work(struct workqueue_struct *queue, struct work_struct *work);
#define schedule_work(w) queue_work(system_wq, w)
void flush_workqueue(struct workqueue_struct *queue);
bool cancel_work_sync(struct work_struct *work);
bool flush_work(struct work_struct *work);
bool queue_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
			unsigned long delay);
bool mod_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
		      unsigned long delay);
bool flush_delayed_work(struct delayed_work *work);
bool cancel_delayed_work(struct delayed_work *work);
bool cancel_delayed_work_sync(struct delayed_work *work);

/* ---- lists ---- */

struct list_head {
	struct list_head *next, *prev;
};
#define LIST_HEAD_INIT(name)     \
	{                        \
		&(name), &(name) \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *l)
{
	l->next = l->prev = l;
}

static inline void list_add(struct list_head *l, struct list_head *after)
{
	l->prev = after;
	l->next = after->next;
	after->next->prev = l;
	after->next = l;
}

static inline void list_del(struct list_head *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

#define list_for_each_entry_safe(at, after, head, member)               \
	for (at = container_of((head)->next, typeof(*at), member),      \
	    after = container_of(at->member.next, typeof(*at), member); \
	     &at->member != (head);                                     \
	     at = after, after = container_of(after->member.next, typeof(*at), member))

static inline void list_add_tail(struct list_head *l, struct list_head *before)
{
	list_add(l, before->prev);
}

static inline void list_del_init(struct list_head *l)
{
	list_del(l);
	INIT_LIST_HEAD(l);
}

static inline bool list_empty(const struct list_head *l)
{
	return l->next == l;
}

/* list is empty afterwards. */
static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list->next->prev = head;
	list->prev->next = head->next;
	head->next->prev = list->prev;
	head->next = list->next;
	INIT_LIST_HEAD(list);
}

#define list_for_each_entry(at, head, member)                                             \
	for (at = container_of((head)->next, typeof(*at), member); &at->member != (head); \
	     at = container_of(at->member.next, typeof(*at), member))

/* ---- memory ---- */

#define __GFP_IO   1u
#define __GFP_ZERO 2u
#define GFP_KERNEL __GFP_IO
#define GFP_NOIO   0u
#define GFP_ATOMIC 4u
#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12
#define PAGE_MASK  (~(PAGE_SIZE - 1))
void shim_pressure(bool on);
/* Where pages lie: NULL, in the heap; else in a memory that a test has made. */
struct shim_memory {
	void *(*take)(u32 count);
	void (*give)(void *at, u32 count);
};
extern const struct shim_memory *shim_memory;
void *shim_alloc(size_t len, gfp_t flags);
#define kmalloc(len, flags)	      shim_alloc(len, flags)
#define kzalloc(len, flags)	      shim_alloc(len, (flags) | __GFP_ZERO)
#define kcalloc(n, len, flags)	      shim_alloc((size_t)(n) * (len), (flags) | __GFP_ZERO)
#define kvcalloc(n, len, flags)	      kcalloc(n, len, flags)
#define kvmalloc_array(n, len, flags) shim_alloc((size_t)(n) * (len), flags)
#define kfree(p)		      free((void *)(p))
#define kstrndup(text, len, flags)    strndup(text, len)

/* In a test that sets this another CPU may go on in the middle of strcmp() and sysfs_emit(). */
extern bool shim_names_change;
int shim_strcmp(const char *one, const char *other);
#define strcmp(one, other) shim_strcmp(one, other)
#define kvfree(p)	   free((void *)(p))
unsigned int memalloc_noio_save(void);
void memalloc_noio_restore(unsigned int flags);

struct page {
	u64 pfn; /* a physical address is the pointer's value */
	int count;
	bool slab;
	bool offline; /* and the next two: tests/linux/ram.h */
	unsigned long private;
	struct list_head lru;
	void *memory; /* so that LeakSanitizer finds it: pages may be lost on purpose */
};
struct page *alloc_page(gfp_t flags);
unsigned long get_zeroed_page(gfp_t flags);
void free_page(unsigned long at);
struct page *pfn_to_page(u64 pfn);
void get_page(struct page *page);
struct folio {
	struct page page;
};
#define page_folio(p) ((struct folio *)(p))
bool folio_try_get(struct folio *folio); /* false: it is frozen, its count is 0 */
void put_page(struct page *page);
u32 shim_page_count(void); /* pages that were not freed */
#define PageSlab(page)	   ((page)->slab)
#define pr_warn_once(...)  fprintf(stderr, "# " __VA_ARGS__)
#define page_to_pfn(page)  ((page)->pfn)
#define page_to_phys(page) ((phys_addr_t)(page)->pfn << PAGE_SHIFT)
#define page_address(page) ((void *)(uintptr_t)page_to_phys(page))
#define PHYS_PFN(at)	   ((at) >> PAGE_SHIFT)
#define virt_to_phys(p)	   ((phys_addr_t)(uintptr_t)(p))
#define offset_in_page(at) ((u32)((u64)(uintptr_t)(at) & ~PAGE_MASK))
extern struct page *shim_zero_page;
#define ZERO_PAGE(at) shim_zero_page

/* ---- messages, modules, devices ---- */

extern bool shim_quiet;
void shim_log(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));
u32 shim_log_count(const char *words); /* number of lines so far that contain the text */
#define pr_err(...)		       shim_log("err", __VA_ARGS__)
#define pr_warn(...)		       shim_log("warn", __VA_ARGS__)
#define dev_err(dev, ...)	       ((void)(dev), shim_log("err", __VA_ARGS__))
#define dev_warn(dev, ...)	       ((void)(dev), shim_log("warn", __VA_ARGS__))
#define dev_info(dev, ...)	       ((void)(dev), shim_log("info", __VA_ARGS__))
#define dev_warn_ratelimited(dev, ...) dev_warn(dev, __VA_ARGS__)
#define dev_err_ratelimited(dev, ...)  dev_err(dev, __VA_ARGS__)

struct module {
	int unused;
};
extern struct module shim_module;
#define THIS_MODULE (&shim_module)
void shim_parameter(const char *module, const char *name, void *value);
unsigned int *shim_uint(const char *module, const char *name); /* a module's parameter */
char **shim_text(const char *module, const char *name);
void shim_module_functions(const char *module, int (*init)(void), void (*end)(void));
int shim_module_load(const char *module);
void shim_module_unload(const char *module);
#define module_param(name, type, mode)                                       \
	static void __attribute__((constructor)) shim_parameter_##name(void) \
	{                                                                    \
		shim_parameter(KBUILD_MODNAME, #name, &name);                \
	}
#define MODULE_PARM_DESC(name, text)
#define MODULE_LICENSE(text)
#define MODULE_ALIAS(text)
#define MODULE_DESCRIPTION(text)
#define MODULE_DEVICE_TABLE(type, name)
#define module_init(fn) static int (*const shim_init)(void) = fn;
#define module_exit(fn)                                               \
	static void __attribute__((constructor)) shim_functions(void) \
	{                                                             \
		shim_module_functions(KBUILD_MODNAME, shim_init, fn); \
	}

typedef struct {
	u8 b[16];
} guid_t;
#define GUID_INIT(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                               \
	((guid_t){ { (a)&255, (a) >> 8 & 255, (a) >> 16 & 255, (a) >> 24 & 255, (b)&255, \
		     (b) >> 8 & 255, (c)&255, (c) >> 8 & 255, d0, d1, d2, d3, d4, d5, d6, d7 } })
static inline bool guid_equal(const guid_t *a, const guid_t *b)
{
	return !memcmp(a, b, sizeof(*a));
}
static inline bool guid_is_null(const guid_t *guid)
{
	return guid_equal(guid, &(guid_t){ { 0 } });
}
int guid_parse(const char *text, guid_t *guid); /* what is behind a GUID does not count */
struct hv_vmbus_device_id {
	guid_t guid;
	unsigned long driver_data;
};
struct kset;
struct attribute {
	const char *name;
};
struct attribute_group {
	struct attribute **attrs;
};
enum probe_type { PROBE_PREFER_ASYNCHRONOUS };
struct device_driver {
	const char *name;
	struct module *owner;
	const char *mod_name;
	const struct attribute_group **dev_groups;
	enum probe_type probe_type;
	struct bus_type *bus;
	struct device_driver *next;
};
int driver_attach(struct device_driver *driver); /* a test's own */
struct driver_attribute {
	struct attribute attr;
	ssize_t (*store)(struct device_driver *driver, const char *buffer, size_t len);
};
#define DRIVER_ATTR_WO(name_)                                                       \
	struct driver_attribute driver_attr_##name_ = { .attr = { .name = #name_ }, \
							.store = name_##_store }
struct bus_type;
struct device {
	struct device *parent;
	struct mutex mutex; /* device_lock */
	/* and for the bus itself: tests/linux/host.h */
	struct bus_type *bus;
	struct device_driver *driver;
	void (*release)(struct device *dev);
	struct device *next;
	u32 count;
	bool added;
	struct kobject {
		const struct kobj_type *type;
		u32 count;
		bool state_in_sysfs;
		u32 files; /* that were added to it */
		struct kset *kset;
	} kobj;
};
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buffer);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *text,
			 size_t len);
};
#define __ATTR(name_, mode, show_, store_)                                 \
	{                                                                  \
		.attr = { .name = #name_ }, .show = show_, .store = store_ \
	}
#define DEVICE_ATTR_RW(name) \
	struct device_attribute dev_attr_##name = __ATTR(name, 0644, name##_show, name##_store)
int sysfs_emit(char *buffer, const char *format, ...);

static inline u16 get_unaligned_be16(const void *p)
{
	const u8 *b = p;

	return (u16)(b[0] << 8 | b[1]);
}
static inline u32 get_unaligned_be32(const void *p)
{
	const u8 *b = p;

	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}
static inline u64 get_unaligned_be64(const void *p)
{
	return (u64)get_unaligned_be32(p) << 32 | get_unaligned_be32((const u8 *)p + 4);
}
static inline void put_unaligned_be16(u16 value, void *p)
{
	u8 *b = p;

	b[0] = (u8)(value >> 8);
	b[1] = (u8)value;
}
static inline void put_unaligned_be32(u32 value, void *p)
{
	put_unaligned_be16((u16)(value >> 16), p);
	put_unaligned_be16((u16)value, (u8 *)p + 2);
}
static inline void put_unaligned_be64(u64 value, void *p)
{
	put_unaligned_be32((u32)(value >> 32), p);
	put_unaligned_be32((u32)value, (u8 *)p + 4);
}

#endif

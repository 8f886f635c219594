/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of vmbus.ko share.
 *
 * Who runs where:
 *   interrupt      event flags -> a channel's tasklet, or its driver's doorbell(); a full message
 *                  slot -> message work
 *   message work   one a CPU, in order: copies messages out of the slot and feeds the engine;
 *                  never waits for the host
 *   send work      the only sender: posts the engine's messages, backs off when the host has no
 *                  room
 *   device work    in order: adds and removes devices, so may run a driver's probe and remove,
 *                  which wait
 *   sub work       one a device: tells the driver of sub-channels and gives rescinded ones back.
 *                  not device work, because a probe waits for what it learns here
 *
 * vmbus.lock guards the engine, the list of channels and what hangs on them. It is never held while
 * waiting for the host. Locks are taken in this order: a primary's sub_mutex, a channel's mutex,
 * vmbus.lock, a channel's tx_lock.
 */
#ifndef PORTS_LINUX_VMBUS_INTERNAL_H
#define PORTS_LINUX_VMBUS_INTERNAL_H

#include <linux/interrupt.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "guest/connect.h"
#include "ports/linux/compat.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt) "vmbus: " fmt

#define VMBUS_WAIT  (60 * HZ) /* for an answer that a healthy host gives in milliseconds */

/* Memory that the host was told about: a channel's two rings, or a driver's buffer. */
struct vmb_share {
	struct vmb_guest_gpadl gpadl; /* vmbus.lock */
	struct vmb_channel *channel;
	u64 *pfns;
	u32 page_count;
	bool created; /* GPADL_CREATED came, with status */
	bool tearing; /* the teardown was asked for */
	bool torn; /* GPADL_TORNDOWN came */
	u32 status;
};

struct vmb_channel {
	struct vmb_guest_channel core; /* vmbus.lock */
	struct kobject kobj;
	struct vmb_device *device;
	const struct vmb_channel_ops *ops;
	void *context;
	bool tolerates_delay; /* ops' */

	struct mutex
		mutex; /* open, close and move against each other; held while the host is asked */
	struct vmb_share *rings; /* NULL: closed */
	void *ring_memory;
	struct vmb_ring_reader rx; /* for the tasklet, or the driver's poll */
	struct vmb_ring_writer tx; /* tx_lock's */
	spinlock_t tx_lock;
	bool open; /* tx_lock; false: nothing may be sent */
	u32 wish_len; /* tx_lock; bytes of room that the driver waits for, 0 = none */
	struct delayed_work room_work; /* polls for it where the host does not signal */
	bool closing; /* the tasklet must not reschedule itself */
	struct tasklet_struct tasklet;
	spinlock_t rx_lock; /* ops->in_interrupt: the interrupt against the tasklet */

	u32 cpu; /* whose VP the host interrupts; vmbus.lock */
	bool opened; /* OPEN_RESULT came, with open_status */
	u32 open_status;
	/* the host did not answer the device's last request in time; the primary's */
	bool silent;
	bool mute; /* rescinded, and the host did not answer a teardown */
	bool modified; /* MODIFY_RESULT came, with modify_status */
	u32 modify_status;

	struct list_head link; /* vmbus.channels, from the offer to its end */
	struct work_struct add_work, remove_work;
	bool registered; /* device work's own */
	bool removing; /* vmbus.lock */

	/* a primary's */
	struct mutex sub_mutex; /* held while sub-channels are announced, all closed, and freed */
	struct list_head subs; /* vmbus.lock; nothing leaves it without sub_mutex */
	u32 sub_count; /* in subs; vmbus.lock */
	bool telling; /* they may be announced to the driver; vmbus.lock */
	struct work_struct sub_work;
	/* a sub-channel's */
	struct vmb_channel *primary; /* NULL: this channel is a primary */
	struct list_head sub_link;
	bool told; /* the driver has the pointer; vmbus.lock */
	bool shown; /* in sysfs, or that failed; vmbus.lock */

	bool socket; /* a connection: it has no device and no sub-channels */
	bool taken; /* it is the driver's of sockets; vmbus.lock */

	/* hibernation has ended the connection, the host has not offered it again; vmbus.lock */
	bool asleep;
	u32 cpu_before; /* the sleep */

	struct bin_attribute ring_file; /* "ring" in kobj's folder; size 0: none. mutex */
	bool ring_shown; /* it is there; mutex */

	u64 interrupts; /* doorbells heard */
	u64 events; /* runs of the tasklet */
	u64 signals; /* doorbells rung for what was sent; tx_lock */
	u64 room_signals; /* doorbells rung for room that was made; the receiver's */
	u64 full_first; /* the upstream ring went from having room to being full */
	bool was_full; /* tx_lock */
};

struct vmbus_cpu {
	struct vmb_synic_message_page *messages;
	struct vmb_synic_event_page *events;
	struct work_struct message_work;
};

struct vmbus {
	struct mutex lock;
	struct vmb_guest_connect connect;
	struct list_head channels;
	bool stopping; /* offers are ignored */
	wait_queue_head_t wait; /* woken after every message that the engine has handled */
	struct device *parent; /* the ACPI device */
	u32 connect_cpu; /* whose message slot the host uses; below 2.4 also for interrupts */
	bool connected; /* connect_cpu must stay */
	struct cpumask cpus; /* those with a SynIC */
	u32 *cpu_load; /* channels that target a CPU */
	u8 *interrupt_page;
	u8 *monitor_pages[2]; /* host to guest, guest to host */
	struct workqueue_struct *message_queue, *send_queue, *device_queue, *sub_queue;
	struct work_struct send_work;
};
extern struct vmbus vmbus;
DECLARE_PER_CPU(struct vmbus_cpu, vmbus_cpus);

/* vmbus_synic.c */
int vmbus_synic_start(void);
void vmbus_synic_stop(void);
void vmbus_synic_quiesce(void *unused); /* this CPU's, for good */
u32 vmbus_synic_post(struct vmb_synic_post *post); /* an enum vmb_hv_status */
void vmbus_synic_signal(u32 connection_id);
void vmbus_synic_publish(u32 relid, struct vmb_channel *ch);
bool vmbus_synic_there(void);
void vmbus_synic_sleep(void);
void vmbus_synic_wake(void);

/* vmbus_connect.c */
int vmbus_connect_start(u32 version_max);
void vmbus_connect_stop(void); /* sends UNLOAD, and nothing after it */
void vmbus_connect_message(const struct vmb_synic_message *message);
void vmbus_connect_send(void); /* call when messages wait to be sent */
int vmbus_connect_remake_pages(void); /* that were lost */
int vmbus_connect_init(void);
void vmbus_connect_exit(void);

/* vmbus_channel.c */
struct vmb_channel *vmbus_channel_new(const struct vmb_msg_offer *offer,
				      struct vmb_channel *primary);
void vmbus_channel_unlink(struct vmb_channel *ch);
void vmbus_channel_free(struct vmb_channel *ch);
int vmbus_channel_close(struct vmb_channel *ch); /* this one alone */
bool vmbus_channel_may_use(u32 cpu);
int vmbus_channel_move(struct vmb_channel *ch, u32 cpu);
int vmbus_channel_evacuate(u32 cpu);

/* vmbus_ring.c */
void vmbus_ring_init(struct vmb_channel *ch);
void vmbus_ring_start(struct vmb_channel *ch);
void vmbus_ring_stop(struct vmb_channel *ch);
void vmbus_ring_doorbell(struct vmb_channel *ch);

/* vmbus_share.c */
int vmbus_share_await(struct vmb_channel *ch, const bool *answer);

/* vmbus_sub.c */
void vmbus_sub_init(struct vmb_channel *ch);
struct vmb_channel *vmbus_sub_primary(const struct vmb_msg_offer *offer); /* vmbus.lock */
void vmbus_sub_offered(struct vmb_channel *sub); /* vmbus.lock */
void vmbus_sub_check(struct vmb_channel *ch);
void vmbus_sub_opened(struct vmb_channel *primary);
int vmbus_sub_close(struct vmb_channel *primary);
void vmbus_sub_end(struct vmb_channel *primary);

/* vmbus_socket.c; vmbus.lock */
void vmbus_socket_offered(struct vmb_channel *ch, const struct vmb_guest_event *event);
void vmbus_socket_rescinded(struct vmb_channel *ch);
void vmbus_socket_refused(const struct vmb_guest_event *event);
bool vmbus_socket_any(void);

/* vmbus_user.c */
void vmbus_user_show_ring(struct vmb_channel *ch); /* the channel's folder is there now */

/* vmbus_sleep.c; find and wake with vmbus.lock */
extern const struct dev_pm_ops vmbus_device_sleep, vmbus_bus_sleep;
struct vmb_channel *vmbus_sleep_find(const struct vmb_msg_offer *offer);
void vmbus_sleep_wake(struct vmb_channel *ch, const struct vmb_msg_offer *offer);

/* vmbus_device.c */
extern struct bus_type vmbus_bus;
int vmbus_device_init(void);
void vmbus_device_stop(void);
void vmbus_device_exit(void);
void vmbus_device_add(struct work_struct *work);
void vmbus_device_remove(struct work_struct *work);

/* vmbus_override.c; for kernels before 7.1, see compat.h */
extern const struct attribute_group vmbus_override_group;
#ifdef VMBUS_OWN_OVERRIDE
/* Returns > 0: the user chose this driver; 0: another one; < 0: none. */
int vmbus_override_match(struct device *dev, const struct device_driver *driver);
void vmbus_override_free(struct device *dev);
#endif

/* vmbus_sysfs.c */
extern const struct attribute_group *vmbus_device_groups[];
extern const struct attribute_group *vmbus_bus_groups[];
extern const struct kobj_type vmbus_channel_type;

/* vmbus_unload.c */
int vmbus_unload_init(void);
void vmbus_unload_exit(void);
bool vmbus_unload_begun(void); /* after a panic: only the answer to UNLOAD matters */
void vmbus_unload_saw(const struct vmb_synic_message *message); /* any context */

/* vmbus_panic.c; report: the crashing CPU, when nothing but it need live */
void vmbus_panic_init(void);
void vmbus_panic_exit(void);
void vmbus_panic_report(unsigned long action);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of vmbus.ko share.
 *
 * Who runs where:
 *   interrupt      event flags -> a channel's tasklet; a full message slot -> message work
 *   message work   one a CPU, in order: copies messages out of the slot and feeds the engine;
 *                  never waits for the host
 *   send work      the only sender: posts what the engine has to say, backs off when the host has
 *                  no room
 *   device work    in order: adds and removes devices, so may run a driver's probe and remove,
 *                  which wait
 *
 * vmbus.lock guards the engine, the list of devices and what hangs on them. It is never held while
 * waiting for the host.
 */
#ifndef PORTS_LINUX_VMBUS_INTERNAL_H
#define PORTS_LINUX_VMBUS_INTERNAL_H

#include <linux/interrupt.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "guest/connect.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt) "vmbus: " fmt

#define VMBUS_WAIT  (60 * HZ) /* for an answer that a healthy host gives in milliseconds */

/* The two rings of a channel, and the GPADL that describes them to the host. */
struct vmbus_rings {
	struct vmb_guest_gpadl gpadl;
	void *memory;
	u64 *pfns;
	u32 page_count;
	bool created; /* GPADL_CREATED came, with status */
	bool torn; /* GPADL_TORNDOWN came */
	u32 status;
};

struct vmb_channel {
	struct vmb_guest_channel core; /* vmbus.lock */
	struct kobject kobj;
	struct vmb_device *device;
	const struct vmb_channel_ops *ops;
	void *context;

	struct mutex mutex; /* open and close against each other and against sysfs */
	struct vmbus_rings *rings; /* NULL: closed */
	struct vmb_ring_reader rx; /* the tasklet's */
	struct vmb_ring_writer tx; /* tx_lock's */
	spinlock_t tx_lock;
	bool open; /* tx_lock; false: nothing may be sent */
	bool closing; /* the tasklet must not reschedule itself */
	struct tasklet_struct tasklet;

	u32 cpu; /* whose VP the host interrupts; vmbus.lock */
	bool opened; /* OPEN_RESULT came, with open_status */
	u32 open_status;
	bool modified; /* MODIFY_RESULT came, with modify_status */
	u32 modify_status;

	struct list_head link; /* vmbus.channels */
	struct work_struct add_work, remove_work;
	bool registered; /* device work's own */
	bool removing; /* vmbus.lock */

	u64 interrupts; /* doorbells heard */
	u64 events; /* runs of the tasklet */
	u64 signals; /* doorbells rung */
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
	wait_queue_head_t wait; /* woken after every message that the engine took */
	struct device *parent; /* the ACPI device */
	u32 connect_cpu; /* whose message slot the host uses */
	bool connected; /* connect_cpu must stay */
	struct cpumask cpus; /* those with a SynIC */
	u32 *cpu_load; /* channels that target a CPU */
	u8 *interrupt_page;
	u8 *monitor_pages[2]; /* host to guest, guest to host */
	struct workqueue_struct *message_queue, *send_queue, *device_queue;
	struct work_struct send_work;
};
extern struct vmbus vmbus;
DECLARE_PER_CPU(struct vmbus_cpu, vmbus_cpus);

/* vmbus_synic.c */
int vmbus_synic_start(void);
void vmbus_synic_stop(void);
void vmbus_synic_disable(void *unused); /* this CPU's */
u32 vmbus_synic_post(struct vmb_synic_post *post); /* an enum vmb_hv_status */
void vmbus_synic_signal(u32 connection_id);
void vmbus_synic_publish(u32 relid, struct vmb_channel *ch);
bool vmbus_synic_in_use(void);

/* vmbus_connect.c */
int vmbus_connect_start(u32 version_max);
void vmbus_connect_stop(void); /* UNLOAD, and nothing is sent after */
void vmbus_connect_message(const struct vmb_synic_message *message);
void vmbus_connect_send(void); /* something waits to be sent */
int vmbus_connect_init(void);
void vmbus_connect_exit(void);

/* vmbus_channel.c */
struct vmb_channel *vmbus_channel_new(const struct vmb_msg_offer *offer);
void vmbus_channel_free(struct vmb_channel *ch);
void vmbus_channel_doorbell(struct vmb_channel *ch);
u32 vmbus_channel_pick_cpu(void);
int vmbus_channel_move(struct vmb_channel *ch, u32 cpu);
int vmbus_channel_evacuate(u32 cpu);

/* vmbus_device.c */
extern struct bus_type vmbus_bus;
int vmbus_device_init(void);
void vmbus_device_stop(void);
void vmbus_device_exit(void);
void vmbus_device_add(struct work_struct *work);
void vmbus_device_remove(struct work_struct *work);

/* vmbus_sysfs.c */
extern const struct attribute_group *vmbus_device_groups[];
extern const struct attribute_group *vmbus_bus_groups[];
extern const struct kobj_type vmbus_channel_type;

/* vmbus_unload.c */
int vmbus_unload_init(void);
void vmbus_unload_exit(void);

#endif

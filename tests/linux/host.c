// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The machine below ports/linux/vmbus*.c, and the host that runs it: what KVM and the kernel's
 * driver model do otherwise.
 */
#include <sys/mman.h>
#include "tests/linux/host.h"
#include "guest/doorbell.h"
#include "ports/linux/vmbus_internal.h"

#define MEMORY_LEN (512ul << 20)
#define KEPT_FREED 16u /* blocks of a length that are not used again yet */
#define POLLS_MAX  64 /* of a host that has nothing to do, before it sleeps */
#define BELL_COUNT 256u

struct host host;
const u32 hv_vp_index[SHIM_CPUS] = { 0, 1, 2, 3 };

void shim_bug(const char *what)
{
	fprintf(stderr, "# %s: %s\n", sched_name(), what);
	abort();
}

bool shim_trylock(spinlock_t *lock)
{
	shim_full_barrier();
	if (lock->locked)
		return false;
	spin_lock(lock);
	return true;
}

void usleep_range(unsigned long least, unsigned long most)
{
	msleep(max(least / 1000, 1000ul / HZ));
}

/* ---- memory ---- */

struct block {
	struct block *next; /* of those that were freed, oldest first */
	u8 *at;
	u32 count; /* pages */
	bool freed;
};

static struct {
	u8 *base;
	u32 used; /* pages */
	int fd;
	struct block *blocks[MEMORY_LEN / PAGE_SIZE]; /* by first page */
	struct block *freed, **freed_end;
} memory = { .freed_end = &memory.freed };

static struct block **block_at(const void *at)
{
	return &memory.blocks[((const u8 *)at - memory.base) >> PAGE_SHIFT];
}

static void check_freed(const struct block *b)
{
	size_t i;

	for (i = 0; i < b->count * PAGE_SIZE; i++)
		if (b->at[i] != HOST_FREED)
			shim_bug("somebody wrote to memory that was freed");
}

/* The oldest one of this length, if there are enough. */
static struct block *take_freed(u32 count)
{
	struct block **at, **oldest = NULL, *b;
	u32 found = 0;

	for (at = &memory.freed; *at; at = &(*at)->next) {
		if ((*at)->count != count)
			continue;
		oldest = oldest ?: at;
		if (++found > KEPT_FREED)
			break;
	}
	if (found <= KEPT_FREED)
		return NULL;
	b = *oldest;
	*oldest = b->next;
	check_freed(b);
	return b;
}

static void *take_pages(u32 count)
{
	struct block *b = take_freed(count);

	if (!b) {
		b = calloc(1, sizeof(*b));
		b->at = memory.base + memory.used * PAGE_SIZE;
		b->count = count;
		memory.used += count;
		if (memory.used > MEMORY_LEN / PAGE_SIZE)
			shim_bug("no memory");
		*block_at(b->at) = b;
	}
	b->freed = false;
	shim_acquire(&memory);
	return b->at;
}

static void give_pages(void *at, u32 count)
{
	struct block *b = *block_at(at), **end = &memory.freed;

	if (!b || b->freed)
		shim_bug("memory is freed twice");
	memset(at, HOST_FREED, b->count * PAGE_SIZE);
	shim_release(&memory);
	b->freed = true;
	b->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = b;
}

static const struct shim_memory pages_source = { .take = take_pages, .give = give_pages };

void *vzalloc(unsigned long len)
{
	void *at;

	kfree(shim_alloc(1, GFP_KERNEL)); /* what may be done is the same */
	at = take_pages((u32)(len >> PAGE_SHIFT));
	return memset(at, 0, len);
}

void vfree(const void *at)
{
	if (at)
		give_pages((void *)(uintptr_t)at, 0);
}

/* ---- the machine ---- */

static struct {
	struct vmb_dev_machine dev;
	struct vmb_dev_bus *bus;
	struct vmb_dev_device device;
	struct vmb_user_wire wire;
	struct {
		u32 connection_id;
		struct vmb_dev_bell *bell;
	} bells[BELL_COUNT];
	struct {
		u64 flags[VMB_SYNIC_FLAG_COUNT / 64];
		bool flagged, full;
		struct vmb_synic_message slot;
		struct work_struct work;
		char shared; /* an address for ThreadSanitizer: what the host hands over */
	} vps[SHIM_CPUS];
	struct vmb_channel *by_relid[VMB_CHANNEL_COUNT_MAX];
	u32 relid_max;
	u32 threads;
	bool ending;
} machine;

static int connect_bell(struct vmb_dev_machine *dev, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	u32 i = 0;

	while (i < BELL_COUNT && machine.bells[i].bell != (on ? NULL : bell))
		i++;
	if (i == BELL_COUNT)
		return on ? -ENOMEM : 0;
	machine.bells[i].connection_id = connection_id;
	machine.bells[i].bell = on ? bell : NULL;
	return 0;
}

static void signal_vp(struct vmb_dev_machine *dev, uint32_t vp, uint32_t flag)
{
	if (vp >= SHIM_CPUS || (flag && flag == host.lost_flag))
		return;
	machine.vps[vp].flags[flag / 64] |= 1ull << flag % 64;
	machine.vps[vp].flagged = true;
	shim_release(&machine.vps[vp].shared);
	sched_wake(&machine.vps[vp]);
}

static int post_message(struct vmb_dev_machine *dev, uint32_t vp, uint32_t sint,
			const void *payload, uint32_t len)
{
	if (vp >= SHIM_CPUS || sint != VMB_SYNIC_SINT_VMBUS)
		return VMB_ENODEV;
	if (machine.vps[vp].full)
		return VMB_EAGAIN;
	machine.vps[vp].slot = (struct vmb_synic_message){ .type = VMB_SYNIC_MESSAGE_VMBUS,
							   .payload_len = (u8)len };
	memcpy(machine.vps[vp].slot.payload, payload, len);
	machine.vps[vp].full = true;
	sched_wake(&machine.vps[vp]);
	return 0;
}

static void cannot_go_on(struct vmb_dev_machine *dev)
{
	shim_bug("the host cannot go on");
}

static const struct vmb_dev_machine_ops machine_ops = {
	.doorbell = connect_bell, .signal = signal_vp, .post = post_message, .fail = cannot_go_on
};

void host_wake(void)
{
	sched_wake(&host);
}

/*
 * For ThreadSanitizer: the host acquires what the guest has published in each ring, and publishes
 * what it has written itself. It cannot see that, because the host has a mapping of its own.
 */
static void order_rings(bool before)
{
	const struct vmb_channel *ch;
	u32 i;

	for (i = 0; i <= machine.relid_max; i++) {
		ch = machine.by_relid[i];
		if (ch && ch->open && before)
			shim_acquire(&ch->tx.control->write_index);
		if (ch && ch->open && !before)
			shim_release(&ch->rx.control->write_index);
	}
}

static bool step(void)
{
	bool any;

	order_rings(true);
	any = vmb_dev_doorbell_step(&machine.bus->doorbell);
	any |= machine.device.ops->step(machine.device.state);
	order_rings(false);
	return any;
}

/* Some of what a device does it does in the step after the one that was asked for. */
static void host_thread(void *unused)
{
	int polls = 0;

	while (!machine.ending) {
		if (host.stalled || (host.heard && !host.heard())) {
			sched_wait(&host, SCHED_FOREVER, "the host is stalled");
			continue;
		}
		polls = step() ? 0 : polls + 1;
		if (sched_wait(&host, polls < POLLS_MAX ? 1 : SCHED_FOREVER, "nothing to serve"))
			polls = 0;
	}
	machine.threads--;
	sched_wake(&machine.threads);
}

/*
 * The core writes a word as it is and knows no READ_ONCE(), with which the port waits for some of
 * them; what is behind such a word is read under the lock, or was published before. And a reader
 * that has given its turn away may compare its index once more: see vmb_ring_unmask().
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:offers_delivered\nrace:version_response\nrace:unload_complete\n"
	       "race:vmb_guest_channel_rescinded\nrace:vmb_guest_channel_gone\n"
	       "race:vmb_ring_unmask\n";
}

/* ---- what vmbus_synic.c does ---- */

struct vmbus_cpu vmbus_cpus[SHIM_CPUS];

/* With bus_lock of devices/ held no thread may go on: so none of these steps. */
u32 vmbus_synic_post(struct vmb_synic_post *post)
{
	struct vmb_synic_post copy = *post;

	sched_step();
	host.posts++;
	if (host.posted)
		host.posted();
	if (memcmp(&copy, post, sizeof(copy)))
		shim_bug("a message changed while it was posted");
	host_wake();
	return vmb_dev_bus_post(machine.bus, copy.connection_id, &copy);
}

void vmbus_synic_signal(u32 connection_id)
{
	u32 i;

	sched_step();
	host.signals++;
	if (host.signalled)
		host.signalled();
	for (i = 0; i < BELL_COUNT; i++)
		if (machine.bells[i].bell && machine.bells[i].connection_id == connection_id)
			vmb_dev_bell_ring(machine.bells[i].bell);
	host_wake();
}

void vmbus_synic_publish(u32 relid, struct vmb_channel *ch)
{
	shim_release(&machine.by_relid[relid]);
	machine.by_relid[relid] = ch;
	machine.relid_max = max(machine.relid_max, relid);
	if (!ch)
		synchronize_rcu();
}

static void take_flag(u32 flag)
{
	struct vmb_channel *ch = machine.by_relid[flag];

	shim_acquire(&machine.by_relid[flag]);
	if (ch)
		vmbus_ring_doorbell(ch);
}

static void take_flags(u32 vp)
{
	u64 bits;
	u32 i;

	machine.vps[vp].flagged = false;
	shim_acquire(&machine.vps[vp].shared);
	for (i = 0; i < VMB_SYNIC_FLAG_COUNT / 64; i++) {
		bits = machine.vps[vp].flags[i];
		machine.vps[vp].flags[i] = 0;
		for (; bits; bits &= bits - 1)
			take_flag(i * 64 + (u32)__builtin_ctzll(bits));
	}
}

static void interrupt_thread(void *argument)
{
	u32 vp = (u32)(uintptr_t)argument;

	while (!machine.ending) {
		if (!machine.vps[vp].flagged && !machine.vps[vp].full) {
			sched_wait(&machine.vps[vp], SCHED_FOREVER, "no interrupt");
			continue;
		}
		rcu_read_lock();
		shim_atomic_begin();
		take_flags(vp);
		if (machine.vps[vp].full)
			queue_work(vmbus.message_queue, &machine.vps[vp].work);
		shim_atomic_end();
		rcu_read_unlock();
		if (machine.vps[vp].full)
			sched_wait(&machine.vps[vp], 1, "a message that is not taken");
	}
	machine.threads--;
	sched_wake(&machine.threads);
}

static void message_work(struct work_struct *work)
{
	struct vmb_synic_message copy;
	u32 vp = 0;

	while (&machine.vps[vp].work != work)
		vp++;
	while (machine.vps[vp].full) {
		copy = machine.vps[vp].slot;
		machine.vps[vp].full = false;
		vmb_dev_bus_deliver(machine.bus);
		vmbus_connect_message(&copy);
	}
}

/* ---- what other files of the bus do ---- */

const struct dev_pm_ops vmbus_device_sleep;
const struct attribute_group *vmbus_device_groups[] = { NULL };
const struct attribute_group *vmbus_bus_groups[] = { NULL };

static void free_channel(struct kobject *kobj)
{
	kfree(container_of(kobj, struct vmb_channel, kobj));
}
const struct kobj_type vmbus_channel_type = { .release = free_channel };

struct vmb_channel *vmbus_sleep_find(const struct vmb_msg_offer *offer)
{
	return NULL;
}

void vmbus_sleep_wake(struct vmb_channel *ch, const struct vmb_msg_offer *offer)
{
}

void vmbus_socket_offered(struct vmb_channel *ch, const struct vmb_guest_event *event)
{
}

void vmbus_socket_rescinded(struct vmb_channel *ch)
{
}

void vmbus_socket_refused(const struct vmb_guest_event *event)
{
}

int vmbus_override_match(struct device *dev, const struct device_driver *driver)
{
	return -1;
}

void vmbus_override_free(struct device *dev)
{
}

/* ---- the driver model ---- */

static struct device_driver *drivers;
static struct device *devices;
static struct mutex model; /* of the two lists */

void kobject_init(struct kobject *kobj, const struct kobj_type *type)
{
	*kobj = (struct kobject){ .type = type, .count = 1 };
}

struct kobject *kobject_get(struct kobject *kobj)
{
	__atomic_fetch_add(&kobj->count, 1, __ATOMIC_RELAXED);
	return kobj;
}

void kobject_put(struct kobject *kobj)
{
	shim_release(kobj);
	if (__atomic_sub_fetch(&kobj->count, 1, __ATOMIC_RELAXED))
		return;
	shim_acquire(kobj);
	kobj->type->release(kobj);
}

struct kset *kset_create_and_add(const char *name, const void *ops, struct kobject *parent)
{
	return kzalloc(sizeof(struct kset), GFP_KERNEL);
}

/* ---- the files "ring" ---- */

static u32 mappers; /* in their mmap() */

int vm_insert_page(struct vm_area_struct *vma, unsigned long at, struct page *page)
{
	u32 i = (u32)((at - vma->vm_start) / PAGE_SIZE);

	if (i < ARRAY_SIZE(vma->pages))
		vma->pages[i] = (u8 *)page;
	return 0;
}

int sysfs_create_bin_file(struct kobject *kobj, const struct bin_attribute *attr)
{
	if (!kobj->state_in_sysfs)
		shim_bug("a file without a folder");
	kobj->files++;
	host.ring_files++;
	return 0;
}

static void remove_files(struct kobject *kobj, u32 count)
{
	kobj->files -= count;
	host.ring_files -= count;
	while (mappers)
		sched_wait(&mappers, 1, "a file is being mapped");
}

void sysfs_remove_bin_file(struct kobject *kobj, const struct bin_attribute *attr)
{
	remove_files(kobj, 1);
}

void kobject_del(struct kobject *kobj)
{
	kobj->state_in_sysfs = false;
	remove_files(kobj, kobj->files);
}

int host_map_ring(struct vmb_channel *ch, struct vm_area_struct *vma)
{
	int rc;

	mappers++;
	rc = ch->ring_file.mmap(NULL, &ch->kobj, &ch->ring_file, vma);
	mappers--;
	return rc;
}

int add_uevent_var(struct kobj_uevent_env *env, const char *format, ...)
{
	return 0;
}

int bus_register(struct bus_type *bus)
{
	return 0;
}

static int bind(struct device *dev, struct device_driver *driver)
{
	int rc = -ENODEV;

	mutex_lock(&dev->mutex);
	if (!dev->driver && dev->added) {
		dev->driver = driver;
		rc = dev->bus->probe(dev);
		if (rc)
			dev->driver = NULL;
	}
	mutex_unlock(&dev->mutex);
	return rc;
}

void device_release_driver(struct device *dev)
{
	mutex_lock(&dev->mutex);
	if (dev->driver)
		dev->bus->remove(dev);
	dev->driver = NULL;
	mutex_unlock(&dev->mutex);
}

static struct device *first_device(void)
{
	struct device *dev;

	mutex_lock(&model);
	dev = devices;
	if (dev)
		dev->count++;
	mutex_unlock(&model);
	return dev;
}

/* There is one device at most that has a driver. */
int driver_register(struct device_driver *driver)
{
	struct device *dev;

	mutex_lock(&model);
	driver->next = drivers;
	drivers = driver;
	mutex_unlock(&model);
	dev = first_device();
	if (dev && dev->bus->match(dev, driver) > 0)
		bind(dev, driver);
	if (dev)
		put_device(dev);
	return 0;
}

int driver_attach(struct device_driver *driver)
{
	return 0;
}

void driver_unregister(struct device_driver *driver)
{
	struct device *dev = first_device();

	mutex_lock(&model);
	drivers = NULL;
	mutex_unlock(&model);
	if (!dev)
		return;
	device_release_driver(dev);
	put_device(dev);
}

void device_initialize(struct device *dev)
{
	dev->count = 1;
	mutex_init(&dev->mutex);
}

void put_device(struct device *dev)
{
	u32 count;

	mutex_lock(&model);
	count = --dev->count;
	mutex_unlock(&model);
	if (!count)
		dev->release(dev);
}

int device_add(struct device *dev)
{
	struct device_driver *driver;

	mutex_lock(&model);
	dev->count++;
	dev->added = true;
	dev->next = devices;
	devices = dev;
	driver = drivers;
	mutex_unlock(&model);
	if (driver && dev->bus->match(dev, driver) > 0)
		bind(dev, driver);
	return 0;
}

void device_unregister(struct device *dev)
{
	struct device **at = &devices;

	mutex_lock(&dev->mutex);
	dev->added = false;
	mutex_unlock(&dev->mutex);
	device_release_driver(dev);
	mutex_lock(&model);
	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	mutex_unlock(&model);
	put_device(dev);
	put_device(dev);
}

int host_bind(void)
{
	struct device *dev = first_device();
	int rc = dev && drivers ? bind(dev, drivers) : -ENODEV;

	if (dev)
		put_device(dev);
	return rc;
}

void host_unbind(void)
{
	struct device *dev = first_device();

	if (!dev)
		return;
	device_release_driver(dev);
	put_device(dev);
}

struct vmb_device *host_device(void)
{
	return devices ? to_vmb_device(devices) : NULL;
}

/* ---- the card ---- */

static void sent(void *arg, uint16_t queue, const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	if (host.sent)
		host.sent(queue, bytes, len);
}

static void make_card(void)
{
	struct vmb_dev_net_option option = { .kind = VMB_DEV_NET_OWN,
					     .ops = &vmb_user_wire_ops,
					     .arg = &machine.wire,
					     .mac = { 2, 0, 0, 0, 0, 1 },
					     .queue_count = host.queue_count ?: 4,
					     .mtu_max = 9000,
					     .version_max = host.version_max,
					     .monitored = host.monitored };

	machine.wire.sent = sent;
	if (vmb_dev_network_open(&machine.device, &option, 0) ||
	    machine.device.ops->prepare(machine.device.state))
		shim_bug("no card");
	host.card = machine.device.state;
	host.card->net.link_up = true;
	host.card->net.mtu_max = 9000;
}

void host_offer(void)
{
	if (machine.device.ops->attach(machine.device.state, machine.bus))
		shim_bug("the card cannot be offered");
	host.offered = true;
	host_wake();
}

void host_rescind(void)
{
	host.offered = false;
	vmb_dev_bus_rescind(&host.card->channel);
	host_wake();
}

void host_await_released(void)
{
	while (!machine.device.ops->released(machine.device.state))
		msleep(20);
	machine.device.ops->detach(machine.device.state);
}

void host_deliver(const u8 *bytes, u32 len)
{
	vmb_user_wire_deliver(&machine.wire, bytes, len, 0);
	host_wake();
}

/* ---- start and stop ---- */

/* Each end has a mapping of its own, as a guest and its host have. */
static u8 *map_memory(void)
{
	u8 *at = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);

	if (at == MAP_FAILED)
		shim_bug("no memory");
	return at;
}

static void make_memory(void)
{
	memory.fd = memfd_create("memory", MFD_CLOEXEC);
	if (memory.fd < 0 || ftruncate(memory.fd, MEMORY_LEN))
		shim_bug("no memory");
	memory.base = map_memory();
	shim_memory = &pages_source;
	machine.dev.memory.region_count = 1;
	machine.dev.memory.regions[0] =
		(struct vmb_dev_memory_region){ .gpa = virt_to_phys(memory.base),
						.len = MEMORY_LEN,
						.base = map_memory(),
						.fd = memory.fd };
}

static void make_machine(void)
{
	struct vmb_dev_bus_config config = { .machine = &machine.dev, .stepped = true };

	make_memory();
	machine.dev.ops = &machine_ops;
	machine.dev.vp_count = SHIM_CPUS;
	machine.bus = vmb_dev_bus_create(&config);
	if (!machine.bus)
		shim_bug("no bus");
	make_card();
	host_offer();
}

static void start_threads(void)
{
	uintptr_t vp;

	for (vp = 0; vp < SHIM_CPUS; vp++) {
		INIT_WORK(&machine.vps[vp].work, message_work);
		cpumask_set_cpu(vp, &vmbus.cpus);
		sched_spawn("interrupt", interrupt_thread, (void *)vp);
	}
	sched_spawn("host", host_thread, NULL);
	machine.threads = SHIM_CPUS + 1;
}

void host_start(void)
{
	make_machine();
	if (vmbus_connect_init() || vmbus_device_init())
		shim_bug("the bus does not start");
	start_threads();
	if (vmbus_connect_start(host.bus_version_max))
		shim_bug("the bus does not connect");
	flush_workqueue(vmbus.device_queue);
}

static void end_threads(void)
{
	u32 vp;

	machine.ending = true;
	host_wake();
	for (vp = 0; vp < SHIM_CPUS; vp++)
		sched_wake(&machine.vps[vp]);
	while (machine.threads)
		sched_wait(&machine.threads, SCHED_FOREVER, "the machine's threads");
}

void host_stop(void)
{
	const struct block *b;

	vmbus_device_stop();
	vmbus_connect_stop();
	flush_workqueue(vmbus.message_queue);
	end_threads();
	vmbus_device_exit();
	vmbus_connect_exit();
	vmb_dev_bus_reset(machine.bus);
	while (step())
		;
	vmb_dev_bus_stop(machine.bus);
	machine.device.ops->close(machine.device.state);
	vmb_dev_bus_destroy(machine.bus);
	for (b = memory.freed; b; b = b->next)
		check_freed(b);
}

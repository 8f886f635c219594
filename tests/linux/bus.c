// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A scripted bus and host with one disk, in place of vmbus.ko, for tests of the storage drivers. */
#include <scsi/scsi_proto.h>
#include "tests/linux/bus.h"
#include "wire/ring.h"

#define BUS_WAIT (60 * HZ)

static struct mutex bus_lock; /* what vmbus.lock is to ch->ops */

/* ---- lists of packets ---- */

static void append(struct fake_packet **list, struct fake_packet *packet)
{
	packet->next = NULL;
	while (*list)
		list = &(*list)->next;
	*list = packet;
}

static struct fake_packet *take(struct fake_packet **list)
{
	struct fake_packet *packet = *list;

	if (packet)
		*list = packet->next;
	return packet;
}

static void drop_all(struct fake_packet **list)
{
	struct fake_packet *packet;

	while ((packet = take(list)))
		free(packet);
}

/* ---- channels of one device ---- */

static struct vmb_channel *root(const struct vmb_channel *ch)
{
	return (struct vmb_channel *)(uintptr_t)(ch->primary ? ch->primary : ch);
}

/* Channel 0 is the primary itself; NULL: there is none with this index. */
static struct vmb_channel *nth(struct vmb_channel *primary, u32 index)
{
	return index ? primary->subs[index] : primary;
}

/* ---- the host's disk ---- */

static void move(const struct fake_packet *p, u8 *data, u32 len, bool to_guest)
{
	u32 done = 0, part, offset = p->byte_offset;
	u8 *page;

	for (u32 i = 0; i < p->pfn_count && done < len; i++, offset = 0, done += part) {
		page = (u8 *)(uintptr_t)(p->pfns[i] << PAGE_SHIFT) + offset;
		part = min_t(u32, len - done, PAGE_SIZE - offset);
		if (to_guest)
			memcpy(page, data + done, part);
		else
			memcpy(data + done, page, part);
	}
}

static void give(struct fake_packet *p, const void *data, u32 len)
{
	len = min(len, p->byte_count);
	move(p, (u8 *)(uintptr_t)data, len, true);
	p->payload.u.srb.data_transfer_len = len;
	p->payload.u.srb.srb_status = len < p->byte_count ? VMB_SRB_DATA_OVERRUN : VMB_SRB_SUCCESS;
}

static void refuse(struct fake_packet *p)
{
	static const u8 sense[18] = { 0x70, [2] = ILLEGAL_REQUEST, [7] = 10, [12] = 0x20 };

	p->payload.u.srb.srb_status = VMB_SRB_ERROR | VMB_SRB_AUTOSENSE_VALID;
	p->payload.u.srb.scsi_status = 2;
	p->payload.u.srb.data_transfer_len = 0;
	p->payload.u.srb.sense_len = sizeof(sense);
	memcpy(p->payload.u.srb.u.sense, sense, sizeof(sense));
}

static bool is_rw(const u8 *cdb, u64 *block, u32 *count)
{
	if (cdb[0] == READ_10 || cdb[0] == WRITE_10) {
		*block = get_unaligned_be32(cdb + 2);
		*count = get_unaligned_be16(cdb + 7);
		return true;
	}
	*block = get_unaligned_be64(cdb + 2);
	*count = get_unaligned_be32(cdb + 10);
	return cdb[0] == READ_16 || cdb[0] == WRITE_16;
}

bool fake_reads(const struct fake_packet *p, u64 *block)
{
	const u8 *cdb = p->payload.u.srb.u.cdb;
	u32 count;

	return p->payload.operation == VMB_STOR_EXECUTE_SRB && is_rw(cdb, block, &count) &&
	       (cdb[0] == READ_10 || cdb[0] == READ_16);
}

static void read_or_write(struct vmb_channel *ch, struct fake_packet *p, u64 block, u32 count)
{
	u32 len = count * FAKE_BLOCK_LEN;

	if (block + count > FAKE_BLOCK_COUNT || len != p->byte_count) {
		fprintf(stderr, "# a request outside the disk\n");
		abort();
	}
	move(p, root(ch)->disk + block * FAKE_BLOCK_LEN, len,
	     p->payload.u.srb.data_in == VMB_STOR_READ);
	p->payload.u.srb.srb_status = VMB_SRB_SUCCESS;
}

static void capacity(struct fake_packet *p)
{
	u8 data[32] = {};

	put_unaligned_be64(FAKE_BLOCK_COUNT - 1, data);
	put_unaligned_be32(FAKE_BLOCK_LEN, data + 8);
	give(p, data, sizeof(data));
}

static void inquiry(struct fake_packet *p)
{
	static const u8 data[36] = { [2] = 5, [4] = 31, 'M', 's', 'f', 't', ' ', ' ', ' ', ' ' };

	if (p->payload.u.srb.u.cdb[1] & 1)
		refuse(p);
	else
		give(p, data, sizeof(data));
}

/* Does what a request asks, where its page frame numbers say, and makes its answer of it. */
static void execute(struct vmb_channel *ch, struct fake_packet *p)
{
	static const u8 modes[] = { 15, 0, 0, 0, 8, 10, 4 };
	u8 cdb[16];
	u64 block;
	u32 count;

	root(ch)->executed++;
	memcpy(cdb, p->payload.u.srb.u.cdb, sizeof(cdb));
	p->payload.u.srb.scsi_status = 0;
	if (is_rw(cdb, &block, &count))
		read_or_write(ch, p, block, count);
	else if (cdb[0] == INQUIRY)
		inquiry(p);
	else if (cdb[0] == SERVICE_ACTION_IN_16)
		capacity(p);
	else if (cdb[0] == MODE_SENSE && !root(ch)->refuses_mode_sense)
		give(p, modes, sizeof(modes));
	else if (cdb[0] == SYNCHRONIZE_CACHE || cdb[0] == TEST_UNIT_READY)
		p->payload.u.srb.srb_status = VMB_SRB_SUCCESS;
	else
		refuse(p);
	root(ch)->flushes += cdb[0] == SYNCHRONIZE_CACHE;
}

/* ---- the host ---- */

static void answer_with(struct vmb_channel *ch, struct fake_packet *p, enum vmb_stor_status status)
{
	p->type = VMB_PKT_COMPLETION;
	p->payload.operation = VMB_STOR_COMPLETE_IO;
	p->payload.status = status;
	spin_lock(&ch->lock);
	append(&ch->incoming, p);
	spin_unlock(&ch->lock);
	sched_wake(&ch->incoming);
}

static void answer(struct vmb_channel *ch, struct fake_packet *p)
{
	answer_with(ch, p, VMB_STOR_STATUS_SUCCESS);
}

static struct fake_packet *take_held(struct vmb_channel *ch)
{
	struct fake_packet *p;

	spin_lock(&ch->lock);
	p = take(&ch->held);
	spin_unlock(&ch->lock);
	return p;
}

static void abort_held(struct vmb_channel *ch)
{
	struct fake_packet *p;

	while ((p = take_held(ch))) {
		p->payload.u.srb.srb_status = VMB_SRB_ABORTED;
		p->payload.u.srb.data_transfer_len = 0;
		answer(ch, p);
	}
}

static void reset_bus(struct vmb_channel *ch, struct fake_packet *reset)
{
	u32 i;

	ch->resets++;
	if (ch->ignores_resets) {
		free(reset);
		return;
	}
	for (i = 0; i < FAKE_SUB_MAX && !ch->keeps_held; i++)
		if (nth(ch, i))
			abort_held(nth(ch, i));
	answer(ch, reset);
}

static void serve_request(struct vmb_channel *ch, struct fake_packet *p)
{
	struct vmb_channel *primary = root(ch);
	enum fake_fate fate;

	ch->served++;
	fate = primary->fate ? primary->fate(primary, p) : FAKE_ANSWER;

	if (fate == FAKE_HOLD) {
		spin_lock(&ch->lock);
		append(&ch->held, p);
		spin_unlock(&ch->lock);
		return;
	}
	if (fate == FAKE_REFUSE)
		refuse(p);
	else if (fate != FAKE_IGNORE)
		execute(ch, p);
	if (fate == FAKE_DROP || fate == FAKE_IGNORE)
		free(p);
	else
		answer(ch, p);
}

static void host_thread(void *argument);
static void interrupt_thread(void *argument);

static struct vmb_channel *new_channel(struct vmb_channel *primary, u32 index)
{
	struct vmb_channel *ch = calloc(1, sizeof(*ch));

	ch->device.channel = ch;
	ch->room = 64;
	ch->threads = 2;
	ch->primary = primary;
	ch->index = index;
	init_waitqueue_head(&ch->wait);
	return ch;
}

static void run_channel(struct vmb_channel *ch)
{
	sched_spawn("host", host_thread, ch);
	sched_spawn("interrupt", interrupt_thread, ch);
}

/* The bus tells the driver of each: see sub_work() in vmbus_sub.c. */
static void announce_thread(void *argument)
{
	struct vmb_channel *ch = argument;
	u32 i;

	mutex_lock(&ch->sub_mutex);
	for (i = 1; i < FAKE_SUB_MAX; i++)
		if (ch->telling && ch->subs[i] && ch->ops->sub_channel)
			ch->ops->sub_channel(ch, ch->subs[i]);
	mutex_unlock(&ch->sub_mutex);
	ch->threads--;
	sched_wake(&ch->threads);
}

/* The offers follow the answer. */
static void create_subs(struct vmb_channel *ch, struct fake_packet *p)
{
	u32 count = p->payload.u.sub_channel_count, i;

	answer_with(ch, p,
		    ch->refuses_subs ? VMB_STOR_STATUS_INVALID_PARAMETER : VMB_STOR_STATUS_SUCCESS);
	if (ch->refuses_subs)
		return;
	for (i = 1; i <= count && !ch->forgets_subs; i++) {
		ch->subs[i] = new_channel(ch, i);
		run_channel(ch->subs[i]);
	}
	ch->threads++;
	sched_spawn("announce", announce_thread, ch);
}

static void serve(struct vmb_channel *ch, struct fake_packet *p)
{
	switch (p->payload.operation) {
	case VMB_STOR_EXECUTE_SRB: serve_request(ch, p); return;
	case VMB_STOR_RESET_BUS: reset_bus(ch, p); return;
	case VMB_STOR_QUERY_PROPERTIES:
		memset(&p->payload.u, 0, sizeof(p->payload.u));
		p->payload.u.properties.max_transfer_bytes = 64 << 10;
		p->payload.u.properties.max_sub_channel_count = ch->sub_max;
		p->payload.u.properties.flags = !!ch->sub_max;
		break;
	case VMB_STOR_CREATE_SUB_CHANNELS: create_subs(ch, p); return;
	}
	answer(ch, p);
}

/* The host releases everything. */
static void let_go(struct vmb_channel *ch)
{
	spin_lock(&ch->lock);
	drop_all(&ch->sent);
	drop_all(&ch->held);
	ch->in_ring = 0;
	shim_release(&ch->owed);
	ch->owed = false;
	spin_unlock(&ch->lock);
	wake_up_all(&ch->wait);
}

static bool may_let_go(const struct vmb_channel *ch)
{
	return ch->owed && !root(ch)->keeps_rings && (!root(ch)->stalled || ch->rescinded);
}

static bool may_serve(const struct vmb_channel *ch)
{
	return ch->open && !root(ch)->stalled && !ch->rescinded && ch->sent;
}

static void host_thread(void *argument)
{
	struct vmb_channel *ch = argument;
	struct fake_packet *p;

	while (!ch->withdrawn) {
		if (!may_let_go(ch) && !may_serve(ch))
			sched_wait(&ch->sent, SCHED_FOREVER, "the host has nothing to do");
		if (may_let_go(ch))
			let_go(ch);
		spin_lock(&ch->lock);
		p = may_serve(ch) ? take(&ch->sent) : NULL;
		ch->in_ring -= !!p;
		spin_unlock(&ch->lock);
		if (p)
			serve(ch, p);
	}
	ch->threads--;
	sched_wake(&ch->threads);
}

void fake_wake(struct vmb_channel *ch)
{
	u32 i;

	for (i = 0; i < FAKE_SUB_MAX; i++) {
		if (!nth(ch, i))
			continue;
		sched_wake(&nth(ch, i)->sent);
		sched_wake(&nth(ch, i)->incoming);
	}
}

void fake_stall(struct vmb_channel *ch, bool on)
{
	ch->stalled = on;
	fake_wake(ch);
}

void fake_answer_held(struct vmb_channel *ch)
{
	struct fake_packet *p;
	u32 i;

	for (i = 0; i < FAKE_SUB_MAX; i++)
		while (nth(ch, i) && (p = take_held(nth(ch, i)))) {
			execute(ch, p);
			answer(nth(ch, i), p);
		}
}

void fake_say(struct vmb_channel *ch, enum vmb_stor_operation operation)
{
	struct fake_packet *p = calloc(1, sizeof(*p));

	p->type = VMB_PKT_INBAND;
	p->payload_len = sizeof(p->payload);
	p->payload.operation = operation;
	spin_lock(&ch->lock);
	append(&ch->incoming, p);
	spin_unlock(&ch->lock);
	sched_wake(&ch->incoming);
}

/* ---- the channel's interrupt ---- */

static void deliver(struct vmb_channel *ch, struct fake_packet *p)
{
	struct vmb_ring_received packet = {
		.type = p->type,
		.transaction_id = p->id,
		.payload_len = VMB_STOR_PACKET_LEN,
	};

	ch->ops->packet(ch, &packet);
}

static bool may_interrupt(const struct vmb_channel *ch)
{
	return ch->open && !root(ch)->stalled && ch->incoming;
}

static struct fake_packet *next_packet(struct vmb_channel *ch)
{
	struct fake_packet *p;

	spin_lock(&ch->lock);
	p = may_interrupt(ch) ? ch->incoming : NULL;
	ch->calling = p;
	spin_unlock(&ch->lock);
	return p;
}

static void interrupt_thread(void *argument)
{
	struct vmb_channel *ch = argument;
	struct fake_packet *p;

	while (!ch->withdrawn) {
		if (!may_interrupt(ch))
			sched_wait(&ch->incoming, SCHED_FOREVER, "nothing comes from the host");
		p = next_packet(ch);
		if (!p)
			continue;
		shim_atomic_begin();
		do {
			deliver(ch, p);
			spin_lock(&ch->lock);
			free(take(&ch->incoming));
			p = ch->open && sched_random(4) ? ch->incoming : NULL;
			spin_unlock(&ch->lock);
		} while (p);
		if (ch->ops->drained)
			ch->ops->drained(ch);
		shim_atomic_end();
		spin_lock(&ch->lock);
		ch->calling = false;
		spin_unlock(&ch->lock);
		sched_wake(&ch->calling);
	}
	ch->threads--;
	sched_wake(&ch->threads);
}

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	memcpy(dst, &ch->incoming->payload, len);
	return true;
}

/* What a driver may call in packet(); see vmb_channel_read(). */
int vmb_channel_read(struct vmb_channel *ch, struct vmb_ring_received *packet)
{
	return root(ch)->broken_incoming ? -EPROTO : -EAGAIN;
}

/* ---- sending ---- */

static struct fake_packet *gather(const struct vmb_ring_packet *packet)
{
	struct fake_packet *p;
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct vmb_gpa_range range;
	} VMB_PACKED gpa = {};
	u32 pfns_len = 0;

	if (packet->header_count) {
		memcpy(&gpa, packet->header[0].base, sizeof(gpa));
		pfns_len = packet->header[0].len - sizeof(gpa);
	}
	p = calloc(1, sizeof(*p) + pfns_len);
	p->type = packet->type;
	p->id = packet->transaction_id;
	p->payload_len = packet->payload[0].len;
	memcpy(&p->payload, packet->payload[0].base, p->payload_len);
	p->byte_offset = gpa.range.byte_offset;
	p->byte_count = gpa.range.byte_count;
	p->pfn_count = pfns_len / sizeof(u64);
	if (pfns_len)
		memcpy(p->pfns, (const u8 *)packet->header[0].base + sizeof(gpa), pfns_len);
	return p;
}

static int write_packet(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	if (!ch->open)
		return -ENODEV;
	if (root(ch)->broken)
		return root(ch)->broken;
	if (ch->in_ring == ch->room)
		return -EAGAIN;
	ch->in_ring++;
	append(&ch->written, gather(packet));
	return 0;
}

static void publish(struct vmb_channel *ch)
{
	struct fake_packet *p;

	while ((p = take(&ch->written)))
		append(&ch->sent, p);
	sched_wake(&ch->sent);
}

int vmb_channel_write(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	int rc;

	spin_lock(&ch->lock);
	rc = write_packet(ch, packet);
	spin_unlock(&ch->lock);
	return rc;
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	int rc;

	spin_lock(&ch->lock);
	rc = write_packet(ch, packet);
	if (!rc)
		publish(ch);
	spin_unlock(&ch->lock);
	return rc;
}

void vmb_channel_commit(struct vmb_channel *ch)
{
	spin_lock(&ch->lock);
	publish(ch);
	spin_unlock(&ch->lock);
}

void *vmb_channel_context(const struct vmb_channel *ch)
{
	return ch->context;
}

bool vmb_channel_rescinded(const struct vmb_channel *ch)
{
	return READ_ONCE(ch->rescinded);
}

/* ---- open and close ---- */

static bool answers_open(const struct vmb_channel *ch)
{
	return (!root(ch)->stalled && !ch->owed) || ch->rescinded;
}

static int open_locked(struct vmb_channel *ch, const struct vmb_channel_ops *ops, void *context)
{
	if (ch->open)
		return -EBUSY;
	if (!wait_event_timeout(ch->wait, answers_open(ch), BUS_WAIT))
		return -ETIMEDOUT;
	if (ch->rescinded)
		return -ENODEV;
	shim_acquire(&ch->owed);
	mutex_lock(&bus_lock);
	ch->ops = ops;
	ch->context = context;
	mutex_unlock(&bus_lock);
	spin_lock(&ch->lock);
	ch->open = true;
	ch->broken = 0;
	ch->broken_incoming = false;
	ch->opens++;
	spin_unlock(&ch->lock);
	fake_wake(ch);
	return 0;
}

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	int rc;

	mutex_lock(&ch->mutex);
	free(shim_alloc(ring_len, GFP_KERNEL)); /* the rings */
	rc = open_locked(ch, ops, context);
	mutex_unlock(&ch->mutex);
	if (!rc && !ch->primary) {
		mutex_lock(&ch->sub_mutex);
		ch->telling = true;
		mutex_unlock(&ch->sub_mutex);
	}
	return rc;
}

u32 vmb_channel_index(const struct vmb_channel *ch)
{
	return ch->index;
}

/* Of eight: channels are spread. */
u32 vmb_channel_cpu(const struct vmb_channel *ch)
{
	return ch->index % SHIM_CPUS;
}

static int close_locked(struct vmb_channel *ch)
{
	if (!ch->open)
		return 0;
	spin_lock(&ch->lock);
	ch->open = false;
	drop_all(&ch->written);
	spin_unlock(&ch->lock);
	while (ch->calling)
		sched_wait(&ch->calling, SCHED_FOREVER, "a callback that does not end");
	spin_lock(&ch->lock);
	drop_all(&ch->incoming);
	spin_unlock(&ch->lock);
	mutex_lock(&bus_lock);
	ch->ops = NULL;
	mutex_unlock(&bus_lock);
	ch->closes++;
	ch->owed = true;
	fake_wake(ch);
	if (!wait_event_timeout(ch->wait, !ch->owed, BUS_WAIT))
		return -ETIMEDOUT;
	shim_acquire(&ch->owed);
	return 0;
}

static int close_one(struct vmb_channel *ch)
{
	int rc;

	mutex_lock(&ch->mutex);
	rc = close_locked(ch);
	mutex_unlock(&ch->mutex);
	return rc;
}

static void end_channel(struct vmb_channel *ch)
{
	ch->withdrawn = true;
	fake_wake(ch);
	while (ch->threads)
		sched_wait(&ch->threads, SCHED_FOREVER, "a channel's threads");
	drop_all(&ch->sent);
	drop_all(&ch->held);
	drop_all(&ch->incoming);
	free(ch);
}

/* As vmbus_sub_close(): the primary last, and then there are no sub-channels any more. */
int vmb_channel_close(struct vmb_channel *ch)
{
	struct vmb_channel *sub;
	int rc = 0;
	u32 i;

	if (ch->primary)
		return close_one(ch);
	mutex_lock(&ch->sub_mutex);
	ch->telling = false;
	for (i = 1; i < FAKE_SUB_MAX; i++)
		if (ch->subs[i])
			rc = close_one(ch->subs[i]) ?: rc;
	rc = close_one(ch) ?: rc;
	for (i = 1; i < FAKE_SUB_MAX; i++) {
		sub = ch->subs[i];
		ch->subs[i] = NULL;
		if (sub)
			end_channel(sub);
	}
	mutex_unlock(&ch->sub_mutex);
	return rc;
}

/* ---- devices and drivers ---- */

static struct vmb_driver *drivers[4];

int vmb_driver_register_owner(struct vmb_driver *driver, struct module *owner, const char *name)
{
	u32 i = 0;

	while (drivers[i])
		i++;
	drivers[i] = driver;
	return 0;
}

void vmb_driver_unregister(struct vmb_driver *driver)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i] == driver)
			drivers[i] = NULL;
}

static struct vmb_driver *find_driver(const char *name)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i] && !strcmp(drivers[i]->driver.name, name))
			return drivers[i];
	return NULL;
}

int fake_bind(struct vmb_channel *ch, const char *name)
{
	const struct vmb_driver *driver = find_driver(name);
	int rc = -ENODEV;

	mutex_lock(&ch->device.dev.mutex);
	if (!ch->rescinded && driver)
		rc = driver->probe(&ch->device, driver->id_table);
	if (!rc)
		ch->driver = driver;
	else
		vmb_channel_close(ch);
	mutex_unlock(&ch->device.dev.mutex);
	return rc;
}

void fake_unbind(struct vmb_channel *ch)
{
	mutex_lock(&ch->device.dev.mutex);
	if (ch->driver) {
		ch->driver->remove(&ch->device);
		vmb_channel_close(ch);
	}
	ch->driver = NULL;
	mutex_unlock(&ch->device.dev.mutex);
}

int fake_suspend(struct vmb_channel *ch)
{
	int rc;

	mutex_lock(&ch->device.dev.mutex);
	rc = ch->driver ? ch->driver->suspend(&ch->device) : 0;
	mutex_unlock(&ch->device.dev.mutex);
	return rc;
}

int fake_resume(struct vmb_channel *ch)
{
	int rc;

	mutex_lock(&ch->device.dev.mutex);
	rc = ch->driver ? ch->driver->resume(&ch->device) : 0;
	mutex_unlock(&ch->device.dev.mutex);
	return rc;
}

static void remove_thread(void *argument)
{
	struct vmb_channel *ch = argument;

	fake_unbind(ch);
	shim_release(&ch->removes);
	ch->removes++;
	sched_wake(&ch->removes);
}

/* bus_lock. False: it was rescinded before. */
static bool rescind(struct vmb_channel *ch)
{
	if (ch->rescinded)
		return false;
	ch->rescinded = true;
	if (ch->ops && ch->ops->rescinded)
		ch->ops->rescinded(ch);
	return true;
}

void fake_rescind_sub(struct vmb_channel *sub)
{
	mutex_lock(&bus_lock);
	rescind(sub);
	mutex_unlock(&bus_lock);
	wake_up_all(&sub->wait);
	fake_wake(root(sub));
}

/* The message work: see on_rescind() in vmbus_connect.c. */
void fake_rescind(struct vmb_channel *ch)
{
	bool rescinded;
	u32 i;

	mutex_lock(&bus_lock);
	for (i = 1; i < FAKE_SUB_MAX; i++)
		if (ch->subs[i])
			rescind(ch->subs[i]);
	rescinded = rescind(ch);
	mutex_unlock(&bus_lock);
	if (!rescinded)
		return;
	for (i = 0; i < FAKE_SUB_MAX; i++)
		if (nth(ch, i))
			wake_up_all(&nth(ch, i)->wait);
	fake_wake(ch);
	sched_spawn("remove", remove_thread, ch);
}

/* See resume_bus() and remove_sleepers() in vmbus_sleep.c. */
void fake_forget(struct vmb_channel *ch)
{
	mutex_lock(&bus_lock);
	ch->rescinded = true;
	mutex_unlock(&bus_lock);
	sched_spawn("remove", remove_thread, ch);
}

struct vmb_channel *fake_offer(const struct vmb_guid *type, const struct vmb_guid *instance,
			       u8 *disk)
{
	struct vmb_channel *ch = new_channel(NULL, 0);

	ch->device.type_id = *type;
	ch->device.instance_id = *instance;
	ch->disk = disk;
	run_channel(ch);
	return ch;
}

void fake_withdraw(struct vmb_channel *ch)
{
	fake_rescind(ch);
	while (!ch->removes)
		sched_wait(&ch->removes, SCHED_FOREVER, "the device's removal");
	shim_acquire(&ch->removes);
	end_channel(ch);
}

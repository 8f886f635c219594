// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host's devices: offered, rescinded and stepped as the choices say. A disk is a file in memory
 * behind the raw backend that ships; an operation on it ends when a choice says so, and may fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/sim.h"

struct vmb_dev_storage *sim_storage(const struct sim_device *d)
{
	return d->dev.ops && d->config->class <= SIM_IDE ? d->dev.state : NULL;
}

struct vmb_dev_network *sim_network(const struct sim_device *d)
{
	return d->dev.ops && d->config->class == SIM_CARD ? d->dev.state : NULL;
}

struct vmb_dev_services *sim_services(const struct sim_device *d)
{
	return d->dev.ops && d->config->class == SIM_SERVICE ? d->dev.state : NULL;
}

struct vmb_dev_balloon *sim_memory(const struct sim_device *d)
{
	return d->dev.ops && d->config->class == SIM_MEMORY ? d->dev.state : NULL;
}

struct vmb_dev_vsock *sim_sockets(const struct sim_device *d)
{
	return d->dev.ops && d->config->class == SIM_SOCKETS ? d->dev.state : NULL;
}

static bool is_of(const struct sim_device *d, const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid memory = VMB_GUID_BALLOON;
	struct vmb_guest_socket socket;
	const struct vmb_guid *id = &offer->instance_id;

	if (!d->dev.ops)
		return false;
	switch (d->config->class) {
	case SIM_SERVICE: return vmb_guid_equal(&sim_services(d)->all[0].ops->instance_id, id);
	case SIM_MEMORY: return vmb_guid_equal(&memory, &offer->type_id);
	case SIM_SOCKETS: return vmb_guest_socket_read(offer, &socket);
	default: return vmb_guid_equal(&d->dev.ops->channel(d->dev.state)->host.instance_id, id);
	}
}

struct sim_device *sim_world_find(struct sim *sim, const struct vmb_msg_offer *offer)
{
	for (uint32_t i = 0; i < sim->world.count; i++)
		if (is_of(&sim->world.devices[i], offer))
			return &sim->world.devices[i];
	return NULL;
}

void sim_world_wake(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.count; i++)
		sim->world.devices[i].awake = true;
}

/* What the owner of a channel calls its device is a part of it for some. */
static const void *owner_of(const struct sim_device *d, const struct vmb_dev_channel *channel)
{
	if (sim_services(d))
		return &sim_services(d)->all[0];
	if (sim_sockets(d))
		return ((const struct vmb_dev_vsock_link *)channel->device)->vsock == d->dev.state ?
			       channel->device :
			       NULL;
	return d->dev.state;
}

static bool is_socket(const struct vmb_dev_channel *channel)
{
	return vmb_socket_is_offer(channel->host.flags);
}

void sim_world_wake_channel(struct sim *sim, const struct vmb_dev_channel *channel)
{
	for (uint32_t i = 0; i < sim->world.count; i++) {
		struct sim_device *d = &sim->world.devices[i];

		if (d->dev.ops && is_socket(channel) == (d->config->class == SIM_SOCKETS))
			d->awake |= owner_of(d, channel) == channel->device;
	}
}

void sim_world_cut(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.count; i++) {
		sim_connections_cut(&sim->world.devices[i]);
		sim->world.devices[i].service.frozen = false;
		sim->world.devices[i].service.counting = false;
	}
}

/* Offers */

static void on_wire(void *arg, uint16_t queue, const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	struct sim_device *d = arg;

	sim_frame_seen(d, d->out, bytes, len, "  frame %lu of %lu bytes leaves card %lu");
}

static int open_card(struct sim_device *d)
{
	struct vmb_dev_net_option option = { .kind = VMB_DEV_NET_OWN,
					     .ops = &vmb_user_wire_ops,
					     .arg = &d->wire,
					     .mac = { 2, 0, 0, 0, 0, 1 },
					     .queue_count = d->config->queue_count,
					     .mtu_max = 1500,
					     .version_max = d->config->version_max };

	d->wire = (struct vmb_user_wire){ .sent = on_wire, .arg = d };
	option.mac[5] = (uint8_t)(d->number + 1);
	return vmb_dev_network_open(&d->dev, &option, d->number);
}

static int open_disks(struct sim_device *d)
{
	struct vmb_guid id = { { 0x51, (uint8_t)(d->number + 1) } };
	struct vmb_dev_storage_config config = { .version_max = (uint16_t)d->config->version_max,
						 .queue_count = d->config->queue_count,
						 .ide = d->config->class == SIM_IDE,
						 .place = d->config->ide_place,
						 .unit_id = &id,
						 .disks = d->options,
						 .disk_count = d->config->class == SIM_IDE ?
								       1 :
								       SIM_DRIVE_LUN + 1 };

	if (!config.ide)
		config.instance_id = &id;
	for (uint32_t i = 0; i < SIM_DISK_MAX; i++) {
		d->options[i] = (struct vmb_dev_disk_option){
			.ide = config.ide,
			.hold = { d->config->held_block, d->config->held_block },
			.stuck = { d->config->stuck_block, d->config->stuck_block }
		};
		if (d->disks[i].there)
			d->options[i].path = d->disks[i].path;
	}
	d->options[SIM_DRIVE_LUN] = (struct vmb_dev_disk_option){ .dvd = true, .read_only = true };
	if (d->config->drive)
		d->options[SIM_DRIVE_LUN].path = d->drive.path;
	return vmb_dev_storage_open(&d->dev, &config);
}

/*
 * The devices read a clock without an argument, so the run that lives now is kept here. Runs do not
 * live side by side.
 */
static const struct sim *living;

void sim_world_live(const struct sim *sim)
{
	living = sim;
}

static int64_t read_clock(void)
{
	return living->now;
}

static void read_clocks(struct vmb_dev_services_now *now)
{
	*now = (struct vmb_dev_services_now){ living->now, living->now, sim_service_utc(living) };
}

static int open_service(struct sim_device *d)
{
	const struct vmb_dev_services_config config = {
		.offered = VMB_DEV_SERVICES_BIT(d->config->service),
		.bus_version = d->sim->config.host_version,
		.clock = read_clocks,
	};

	return vmb_dev_services_open(&d->dev, &config);
}

static int open_memory(struct sim_device *d)
{
	const struct vmb_dev_balloon_config config = { .bus_version = d->sim->config.host_version,
						       .base = SIM_MEMORY_BASE,
						       .max = SIM_MEMORY_BASE,
						       .clock = read_clock };

	return vmb_dev_balloon_open(&d->dev, &config);
}

static int open_sockets(struct sim_device *d)
{
	const struct vmb_dev_vsock_config config = { .dial = sim_connection_dialled,
						     .dial_arg = d,
						     .clock = read_clock };

	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++)
		d->connections[i].fd = -1;
	return vmb_dev_vsock_open(&d->dev, &config);
}

static void close_device(struct sim_device *d)
{
	sim_drive_close(d);
	d->dev.ops->close(d->dev.state);
	d->dev = (struct vmb_dev_device){ NULL, NULL };
	for (uint32_t i = 0; i < SIM_DISK_MAX; i++) {
		d->disks[i].there &= !d->disks[i].leaving;
		d->disks[i].leaving = false;
	}
}

/* What comes and goes of it: the one service of services. */
static struct vmb_dev_device part_of(const struct sim_device *d)
{
	struct vmb_dev_device part = d->dev;

	if (sim_services(d))
		vmb_dev_services_part(&part, sim_services(d), 0);
	return part;
}

static bool has_left(const struct sim_device *d)
{
	const struct vmb_dev_device part = part_of(d);

	return d->leaving && part.ops->released(part.state);
}

static int (*const openers[])(struct sim_device *d) = {
	[SIM_SCSI] = open_disks,      [SIM_IDE] = open_disks,	  [SIM_CARD] = open_card,
	[SIM_SERVICE] = open_service, [SIM_MEMORY] = open_memory, [SIM_SOCKETS] = open_sockets,
};

/* Dynamic memory and sockets stay as long as the machine. */
static bool comes_and_goes(const struct sim_device *d)
{
	return d->config->class <= SIM_SERVICE;
}

/* Takes the released service off the bus, and offers it again. */
static int offer_service(struct sim_device *d)
{
	const struct vmb_dev_device part = part_of(d);

	part.ops->detach(part.state);
	return part.ops->attach(part.state, d->sim->machine.bus);
}

static int open_device(struct sim_device *d)
{
	int error;

	if (d->dev.ops)
		close_device(d);
	error = openers[d->config->class](d);
	if (!error)
		error = d->dev.ops->prepare(d->dev.state);
	if (!error)
		error = d->dev.ops->attach(d->dev.state, d->sim->machine.bus);
	return error;
}

bool sim_device_offer(struct sim_device *d)
{
	int error;

	if (d->dev.ops && (!comes_and_goes(d) || !has_left(d)))
		return false;
	error = sim_services(d) ? offer_service(d) : open_device(d);
	d->leaving = false;
	if (error) {
		sim_fail(d->sim, "device %lu cannot be offered: error %lu", d->number,
			 (unsigned long)-error, 0);
		return false;
	}
	if (d->config->class == SIM_CARD)
		vmb_dev_network_pull(d->dev.state, d->pulled);
	d->awake = true;
	return true;
}

bool sim_device_rescind(struct sim_device *d)
{
	struct vmb_dev_device part;

	if (!d->dev.ops || d->leaving || !comes_and_goes(d))
		return false;
	part = part_of(d);
	d->leaving = true;
	d->awake = true;
	vmb_dev_bus_rescind(part.ops->channel(part.state));
	return true;
}

/* Steps */

static void take_unplugged(struct sim_device *d)
{
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;

	for (uint32_t i = 0; i < SIM_DISK_MAX; i++) {
		if (!d->disks[i].leaving ||
		    vmb_dev_storage_take_back(sim_storage(d), i, &disk, &option))
			continue;
		vmb_dev_storage_discard(&disk, option);
		d->disks[i].there = d->disks[i].leaving = false;
		sim_say(d->sim, "  disk %lu of device %lu is gone", i, d->number, 0);
	}
}

bool sim_device_step(struct sim_device *d)
{
	if (!d->dev.ops || !d->awake)
		return false;
	d->awake = d->dev.ops->step(d->dev.state);
	if (sim_storage(d)) {
		take_unplugged(d);
		sim_drive_step(d);
	} else if (sim_services(d)) {
		sim_service_look(d);
	} else if (sim_sockets(d)) {
		sim_connections_wake(d);
	}
	return true;
}

/* Operations of disks */

/* Takes the nth operation under way out; queue: where its end is to be posted. */
static struct vmb_dev_disk_request *pick(struct vmb_dev_storage *s, uint32_t n,
					 struct vmb_dev_storage_queue **queue)
{
	struct vmb_dev_disk_request *request;
	uint32_t before = 0, count;

	for (uint32_t i = 0; i < s->queue_count; i++, before += count) {
		*queue = &s->queues[i];
		count = 0;
		for (request = (*queue)->engine.waiting.first; request; request = request->next)
			count++;
		if (n - before < count)
			return vmb_dev_disk_engine_pick(&(*queue)->engine, n - before);
	}
	return NULL;
}

static uint32_t count_operations(const struct vmb_dev_storage *s)
{
	const struct vmb_dev_disk_request *request;
	uint32_t count = 0;

	for (uint32_t i = 0; s && i < s->queue_count; i++)
		for (request = s->queues[i].engine.waiting.first; request; request = request->next)
			count++;
	return count;
}

bool sim_device_busy(const struct sim_device *d)
{
	return count_operations(sim_storage(d));
}

/* Of a transfer that goes wrong half may be done, as when the power fails. */
static int do_half(struct vmb_dev_disk_operation *o)
{
	struct iovec half = { NULL, 0 };
	struct vmb_dev_disk_operation part = *o;

	if (o->kind != VMB_DEV_DISK_READV && o->kind != VMB_DEV_DISK_WRITEV)
		return 0;
	half = o->iov[0];
	half.iov_len = half.iov_len / 2 / SIM_BLOCK_LEN * SIM_BLOCK_LEN;
	part.iov = &half;
	part.iov_count = 1;
	return half.iov_len ? vmb_dev_disk_engine_carry_out(&part) : 0;
}

static int carry_out_badly(struct sim *sim, struct vmb_dev_disk_operation *o, uint32_t how)
{
	int done = how & 1 ? do_half(o) : 0;

	switch (how / 2 % 4) {
	case 0: return done > 0 ? done : -EAGAIN; /* a short transfer */
	case 1: return -EAGAIN;
	case 2: return o->kind == VMB_DEV_DISK_READV ? -EIO : -ENOSPC;
	default: return -EIO;
	}
}

static void note_operation(struct sim_disk *disk, const struct vmb_dev_disk_request *request,
			   int result)
{
	const struct vmb_dev_disk_operation *o = &request->operation;
	const struct vmb_host_scsi_task *task = request->task;

	/* What goes on after a short transfer is the rest of the task. */
	if (o->kind == VMB_DEV_DISK_WRITEV)
		sim_disk_filed(disk, o->offset, task->offset + task->len - o->offset);
	else if (o->kind == VMB_DEV_DISK_ALLOCATE && !result)
		sim_disk_filed(disk, o->offset, o->len);
	else if (o->kind == VMB_DEV_DISK_SYNC && !result)
		sim_disk_synced(disk);
}

bool sim_device_operate(struct sim_device *d, uint32_t arg, bool always_well)
{
	struct vmb_dev_storage *s = sim_storage(d);
	uint32_t count = count_operations(s), in = d->sim->config.disk_error_in;
	bool well = always_well || !in || (arg >> 12) % in != in - 1;
	struct vmb_dev_storage_queue *queue = NULL;
	struct vmb_dev_disk_request *request;
	int result = 0;

	if (!count)
		return false;
	request = pick(s, arg % count, &queue);
	if (request->operation.kind != VMB_DEV_DISK_REST)
		result = well ? vmb_dev_disk_engine_carry_out(&request->operation) :
				carry_out_badly(d->sim, &request->operation, arg >> 8);
	if (request->task->unit - s->units < SIM_DISK_MAX)
		note_operation(&d->disks[request->task->unit - s->units], request, result);
	sim_say(d->sim,
		result < 0 ? "a disk of device %lu fails an operation of kind %lu: error %lu" :
			     "a disk of device %lu ends an operation of kind %lu: %lu",
		d->number, request->operation.kind, (unsigned long)(result < 0 ? -result : result));
	vmb_dev_disk_engine_post(&queue->engine, request, result);
	d->awake = true;
	return true;
}

/* Dynamic memory */

bool sim_memory_set(struct sim_device *d, uint32_t arg)
{
	uint64_t pages = arg % (SIM_GIVEN_MAX / VMB_BALLOON_UNIT + 1) * VMB_BALLOON_UNIT;

	/* It is remembered for a guest that has no driver yet. */
	vmb_dev_balloon_set(sim_memory(d), SIM_MEMORY_BASE - (pages << VMB_PAGE_SHIFT));
	d->awake = true;
	sim_say(d->sim, "the host wants %lu pages of the guest", pages, 0, 0);
	return true;
}

/* Disks that come and go */

bool sim_disk_unplug(struct sim_device *d, uint32_t lun)
{
	struct vmb_dev_storage *s = sim_storage(d);

	if (!s || d->leaving || d->config->class != SIM_SCSI || vmb_dev_storage_unplug(s, lun))
		return false;
	d->disks[lun].leaving = true;
	d->awake = true;
	return true;
}

static struct vmb_dev_disk_option *own_option(const struct sim_disk *disk)
{
	struct vmb_dev_disk_option *option = calloc(1, sizeof(*option));

	if (option)
		option->path = strdup(disk->path);
	return option;
}

bool sim_disk_plug(struct sim_device *d, uint32_t lun)
{
	struct vmb_dev_storage *s = sim_storage(d);
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;

	if (!s || d->leaving || d->config->class != SIM_SCSI || d->disks[lun].there)
		return false;
	option = own_option(&d->disks[lun]);
	if (vmb_dev_disk_open(&disk, option) || vmb_dev_disk_prepare(&disk) ||
	    vmb_dev_storage_plug(s, lun, &disk, option)) {
		sim_fail(d->sim, "disk %lu of device %lu cannot be plugged in", lun, d->number, 0);
		return false;
	}
	d->disks[lun].there = true;
	d->awake = true;
	return true;
}

bool sim_disk_grow(struct sim_device *d, uint32_t lun)
{
	struct sim_disk *disk = &d->disks[lun];
	uint64_t len = (uint64_t)disk->block_count * SIM_BLOCK_LEN + 8 * SIM_BLOCK_LEN;

	if (!sim_storage(d) || d->leaving || len > SIM_BLOCK_MAX * SIM_BLOCK_LEN ||
	    vmb_dev_storage_resize(sim_storage(d), lun, len))
		return false;
	disk->block_count += 8;
	d->awake = true;
	return true;
}

/* Life */

static int make_disk(struct sim_disk *disk)
{
	disk->fd = memfd_create("disk", MFD_CLOEXEC);
	disk->block_count = SIM_BLOCK_START;
	snprintf(disk->path, sizeof(disk->path), "/proc/self/fd/%d", disk->fd);
	for (uint32_t i = 0; i < SIM_BLOCK_MAX; i++)
		disk->blocks[i].stamp_count = 1; /* 0: zeroes */
	return disk->fd < 0 || ftruncate(disk->fd, SIM_BLOCK_START * SIM_BLOCK_LEN) ? -1 : 0;
}

int sim_world_init(struct sim *sim)
{
	struct sim_world *w = &sim->world;
	int error = 0;

	w->count = sim->config.device_count;
	for (uint32_t i = 0; i < w->count; i++) {
		struct sim_device *d = &w->devices[i];

		d->sim = sim;
		d->number = i;
		d->config = &sim->config.devices[i];
		for (uint32_t k = 0; k < SIM_DISK_MAX && d->config->class <= SIM_IDE; k++) {
			error |= make_disk(&d->disks[k]);
			d->disks[k].there = k < d->config->disk_count;
		}
		error |= sim_drive_init(d);
	}
	for (uint32_t i = 0; i < w->count && !error; i++)
		error = !sim_device_offer(&w->devices[i]);
	return error ? -1 : 0;
}

void sim_world_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.count; i++) {
		struct sim_device *d = &sim->world.devices[i];

		sim_connections_close(d);
		if (d->dev.ops)
			close_device(d);
		for (uint32_t k = 0; k < SIM_DISK_MAX; k++)
			if (d->disks[k].path[0])
				close(d->disks[k].fd);
		sim_drive_free(d);
	}
}

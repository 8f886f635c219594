// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Draws the configuration of a seed. */
#include <string.h>

#include "base/platform.h"
#include "host/balloon.h"
#include "host/ic.h"
#include "sim/sim.h"
#include "wire/network.h"
#include "wire/socket.h"
#include "wire/storage.h"
#include "wire/vmbus.h"

static const uint32_t bus_versions[] = {
	VMB_VERSION_0_13, VMB_VERSION_1_1, VMB_VERSION_2_4, VMB_VERSION_3_0,
	VMB_VERSION_4_0,  VMB_VERSION_4_1, VMB_VERSION_5_0, VMB_VERSION_5_1,
	VMB_VERSION_5_2,  VMB_VERSION_5_3, VMB_VERSION_6_0,
};
static const uint32_t storage_versions[] = { VMB_STOR_VERSION_2_0, VMB_STOR_VERSION_4_2,
					     VMB_STOR_VERSION_5_1, VMB_STOR_VERSION_6_0,
					     VMB_STOR_VERSION_6_2 };
static const uint32_t network_versions[] = { VMB_NET_VERSION_1, VMB_NET_VERSION_2,
					     VMB_NET_VERSION_4, VMB_NET_VERSION_5,
					     VMB_NET_VERSION_6, VMB_NET_VERSION_6_1 };

/* Half of the seeds have the newest, which most of the code is for. */
static uint32_t any_of(uint64_t *random, const uint32_t *versions, uint32_t count)
{
	return sim_draw(random, 2) ? versions[count - 1] : versions[sim_draw(random, count)];
}

static void draw_device(struct sim_device_config *d, uint64_t *random, uint32_t number)
{
	d->class = number ? (enum sim_class)sim_draw(random, 3) : SIM_SCSI;
	d->queue_count = 1 + sim_draw(random, SIM_QUEUE_MAX);
	d->disk_count = 1 + sim_draw(random, SIM_DISK_MAX);
	d->ide_place = number;
	d->version_max =
		d->class == SIM_CARD ?
			any_of(random, network_versions, VMB_ARRAY_COUNT(network_versions)) :
			any_of(random, storage_versions, VMB_ARRAY_COUNT(storage_versions));
	if (d->class == SIM_IDE)
		d->queue_count = d->disk_count = 1;
}

static bool has_service(const struct sim_config *c, uint32_t type)
{
	bool any = !vmb_host_ic_exists(type, c->host_version);

	for (uint32_t i = 0; i < c->device_count; i++)
		any |= c->devices[i].class == SIM_SERVICE && c->devices[i].service == type;
	return any;
}

/* Services, dynamic memory and sockets: each in some of the seeds, if such a host has them. */
static void draw_services(struct sim_config *c, uint64_t *random)
{
	static const enum vmb_ic_type types[] = { VMB_IC_SHUTDOWN, VMB_IC_TIME,	  VMB_IC_HEARTBEAT,
						  VMB_IC_KVP,	   VMB_IC_BACKUP, VMB_IC_COPY };

	for (uint32_t n = sim_draw(random, 3); n; n--) {
		uint32_t type = types[sim_draw(random, VMB_ARRAY_COUNT(types))];

		if (!has_service(c, type))
			c->devices[c->device_count++] = (struct sim_device_config){
				.class = SIM_SERVICE, .queue_count = 1, .service = type
			};
	}
	if (!sim_draw(random, 4) && vmb_host_balloon_exists(c->host_version))
		c->devices[c->device_count++] =
			(struct sim_device_config){ .class = SIM_MEMORY, .queue_count = 1 };
	if (!sim_draw(random, 4) && c->host_version >= VMB_SOCKET_VERSION_MIN)
		c->devices[c->device_count++] =
			(struct sim_device_config){ .class = SIM_SOCKETS, .queue_count = 1 };
}

/* The filter of planned faults, devices/disk/fault.c. */
static void draw_planned(struct sim_config *c, uint64_t *random)
{
	for (uint32_t i = 0; i < c->device_count && c->faults != SIM_FAULTS_NONE; i++) {
		if (!sim_draw(random, 4))
			c->devices[i].held_block = 1 + sim_draw(random, 60);
		if (!sim_draw(random, 4))
			c->devices[i].stuck_block = 1 + sim_draw(random, 60);
	}
}

void sim_config_draw(struct sim_config *c, uint64_t seed)
{
	uint64_t random = sim_mix(seed);

	memset(c, 0, sizeof(*c));
	c->liveness = sim_draw(&random, 2);
	/* Half of the seeds keep the protocol: only there every promise can be held to. */
	c->faults = sim_draw(&random, 2) ? SIM_FAULTS_NONE :
					   (enum sim_faults)(1 + sim_draw(&random, 2));
	c->host_version = any_of(&random, bus_versions, VMB_ARRAY_COUNT(bus_versions));
	c->guest_version = any_of(&random, bus_versions, VMB_ARRAY_COUNT(bus_versions));
	c->monitors = !sim_draw(&random, 4);
	c->vp_count = 1 + sim_draw(&random, 4);
	c->ring_pages = 2 + sim_draw(&random, 3);
	c->guest_queues = 1 + sim_draw(&random, SIM_QUEUE_MAX);
	c->device_count = 1 + sim_draw(&random, 4);
	for (uint32_t i = 0; i < c->device_count; i++)
		draw_device(&c->devices[i], &random, i);
	c->disk_error_in = sim_draw(&random, 2) ? 1u << (3 + sim_draw(&random, 6)) : 0;
	c->refusal_in = sim_draw(&random, 2) ? 1u << (2 + sim_draw(&random, 4)) : 0;
	c->life_in = 2u << sim_draw(&random, 5);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(c->weights); i++)
		c->weights[i] = 1u << sim_draw(&random, 5);
	draw_planned(c, &random);
	draw_services(c, &random);
	for (uint32_t i = 0; i < c->device_count; i++)
		c->devices[i].drive = c->devices[i].class == SIM_SCSI && !sim_draw(&random, 3);
}

static void print_device(const struct sim_device_config *d, uint32_t i, FILE *out)
{
	static const char *const classes[] = { "a SCSI controller", "an IDE disk",
					       "a network card" };
	static const char *const services[VMB_IC_TYPE_COUNT] = {
		[VMB_IC_SHUTDOWN] = "shutdown",	   [VMB_IC_TIME] = "the time",
		[VMB_IC_HEARTBEAT] = "heartbeats", [VMB_IC_KVP] = "key-value pairs",
		[VMB_IC_BACKUP] = "backup",	   [VMB_IC_COPY] = "copying files"
	};

	if (d->class > SIM_CARD) {
		fprintf(out, "device %u is %s%s.\n", i,
			d->class == SIM_SERVICE ? "the service of " :
			d->class == SIM_MEMORY	? "dynamic memory" :
						  "sockets",
			d->class == SIM_SERVICE ? services[d->service] : "");
		return;
	}
	fprintf(out, "device %u is %s of version %x.%x with %u channel%s", i, classes[d->class],
		d->class == SIM_CARD ? d->version_max >> 16 : d->version_max >> 8,
		d->class == SIM_CARD ? d->version_max & 0xFFFF : d->version_max & 0xFF,
		d->queue_count, d->queue_count == 1 ? "" : "s");
	if (d->class == SIM_SCSI)
		fprintf(out, " and %u disk%s%s", d->disk_count, d->disk_count == 1 ? "" : "s",
			d->drive ? ", and a DVD drive" : "");
	if (d->class != SIM_CARD && d->held_block)
		fprintf(out, "; reads of block %u are held", d->held_block);
	if (d->class != SIM_CARD && d->stuck_block)
		fprintf(out, "; reads of block %u are stuck", d->stuck_block);
	fprintf(out, ".\n");
}

void sim_config_print(const struct sim_config *c, FILE *out)
{
	static const char *const faults[] = { "nobody breaks the protocol",
					      "the host loses, delays and doubles things",
					      "the host loses, doubles and changes things" };

	fprintf(out, "%s; %s.\n", c->liveness ? "liveness: faults end" : "safety: faults never end",
		faults[c->faults]);
	fprintf(out,
		"host up to VMBus %u.%u, guest up to %u.%u, %smonitors; %u processor%s, rings "
		"of %u pages, the guest uses %u channel%s of a device.\n",
		c->host_version >> 16, c->host_version & 0xFFFF, c->guest_version >> 16,
		c->guest_version & 0xFFFF, c->monitors ? "" : "no ", c->vp_count,
		c->vp_count == 1 ? "" : "s", c->ring_pages, c->guest_queues,
		c->guest_queues == 1 ? "" : "s");
	for (uint32_t i = 0; i < c->device_count; i++)
		print_device(&c->devices[i], i, out);
}

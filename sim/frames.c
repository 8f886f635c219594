// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The checker of networks: every frame arrives at most once, whole, and those that are due arrive.
 */
#include <string.h>

#include "sim/sim.h"

#define NUMBER_AT 14u
#define BYTES_AT  22u

uint32_t sim_frame_make(uint8_t *bytes, uint64_t number, uint32_t len)
{
	static const uint8_t head[NUMBER_AT] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2,
						 0,    0,    0,	   0,	 9,    0x88, 0xB5 };

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + NUMBER_AT, &number, sizeof(number));
	for (uint32_t i = BYTES_AT; i < len; i++)
		bytes[i] = (uint8_t)(number * 31 + i);
	return len;
}

struct sim_frame *sim_frame_add(struct sim_device *d, struct sim_frame *frames, uint32_t len)
{
	uint64_t number = ++d->frames;
	struct sim_frame *f = &frames[number % SIM_FRAME_COUNT];

	*f = (struct sim_frame){ .number = number, .len = len };
	return f;
}

struct sim_frame *sim_frame_find(struct sim_frame *frames, uint64_t number)
{
	struct sim_frame *f = &frames[number % SIM_FRAME_COUNT];

	return number && f->number == number ? f : NULL;
}

static bool is_whole(const struct sim_frame *f, const uint8_t *bytes, uint32_t len)
{
	uint8_t wanted[VMB_DEV_NET_FRAME_MAX];

	return len == f->len && !memcmp(bytes, wanted, sim_frame_make(wanted, f->number, len));
}

/* One that is too old to be remembered is not judged. */
void sim_frame_seen(struct sim_device *d, struct sim_frame *frames, const uint8_t *bytes,
		    uint32_t len, const char *where)
{
	uint64_t number = 0;
	struct sim_frame *f;

	if (len >= BYTES_AT)
		memcpy(&number, bytes + NUMBER_AT, sizeof(number));
	f = sim_frame_find(frames, number);
	sim_say(d->sim, where, number, len, d->number);
	if (f)
		f->seen++;
	if (frames == d->out)
		d->left += f != NULL;
	else
		d->arrived += f != NULL;
	if (d->sim->config.faults == SIM_FAULTS_LIAR)
		return;
	if (!number || number > d->frames)
		sim_fail(d->sim, "WRONG FRAME: nobody sent number %lu, %lu bytes, on device %lu",
			 number, len, d->number);
	if (!f)
		return;
	if (!is_whole(f, bytes, len))
		sim_fail(d->sim,
			 "WRONG FRAME: number %lu has %lu bytes and has changed; it had "
			 "%lu",
			 number, len, f->len);
	if (f->seen > 1 && d->sim->config.faults == SIM_FAULTS_NONE)
		sim_fail(d->sim, "WRONG FRAME: number %lu arrives %lu times", number, f->seen, 0);
}

void sim_frames_forget(struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_FRAME_COUNT; i++)
		d->out[i].due = d->in[i].due = false;
}

void sim_frames_check(struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_FRAME_COUNT; i++) {
		if (d->out[i].due && !d->out[i].seen)
			sim_fail(d->sim,
				 "LOST FRAME: number %lu of the guest's was accepted and "
				 "did not arrive",
				 d->out[i].number, 0, 0);
		if (d->in[i].due && !d->in[i].seen)
			sim_fail(d->sim,
				 "LOST FRAME: number %lu of the network's was accepted and "
				 "did not arrive",
				 d->in[i].number, 0, 0);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Commands of control whose answer is for another program: statistics as Prometheus reads them, and
 * the guest's memory as a core file.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/control.h"
#include "vmm/machine.h"

#define TEXT   VMB_VMM_CONTROL_TEXT
#define NUMBER VMB_VMM_CONTROL_NUMBER
#define NO_MORE                         \
	{                               \
		NULL, TEXT, false, NULL \
	}
#define PAUSE_LIMIT_MS 5000
#define PIECE_LEN      (4u << 20) /* bytes of memory, written at a time */

/* metrics */

static const struct vmb_vmm_control_field metrics_results[] = {
	{ "text", TEXT, false, "in Prometheus' text format" }, NO_MORE
};

static long long number_at(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP openvmbus_%s %s\n# TYPE openvmbus_%s %s\n", name, help, name, type);
}

static void print_machine(FILE *out, struct vmb_vmm_call *call)
{
	uint64_t exits = 0;

	for (uint32_t i = 0; i < call->machine->dev.vp_count; i++)
		exits += __atomic_load_n(&call->machine->vcpus[i].exits, __ATOMIC_RELAXED);
	head(out, "exits_total", "counter", "How often a processor left the guest for the host.");
	fprintf(out, "openvmbus_exits_total %llu\n", (unsigned long long)exits);
	head(out, "resets_total", "counter", "How often the machine was started again.");
	fprintf(out, "openvmbus_resets_total %u\n",
		__atomic_load_n(vmb_vmm_control_config(call)->resets, __ATOMIC_RELAXED));
	head(out, "paused", "gauge", "Whether the machine is paused.");
	fprintf(out, "openvmbus_paused %d\n", vmb_vmm_pause_is_on(call->machine));
}

static void print_bus(FILE *out, const json_t *bus)
{
	static const char *const counters[] = { "messages_in", "messages_out", "unknown",
						"malformed",   "misplaced",    "contacts",
						"unloads" };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(counters); i++) {
		fprintf(out, "# TYPE openvmbus_bus_%s_total counter\n", counters[i]);
		fprintf(out, "openvmbus_bus_%s_total %lld\n", counters[i],
			number_at(bus, counters[i]));
	}
	head(out, "bus_gpadls", "gauge", "Pieces of memory that the guest lends.");
	fprintf(out, "openvmbus_bus_gpadls %lld\n", number_at(bus, "gpadls"));
}

static void print_labels(FILE *out, const json_t *channel, const char *ring)
{
	fprintf(out, "{relid=\"%lld\",class=\"%s\",sub_channel=\"%lld\"",
		number_at(channel, "relid"), json_string_value(json_object_get(channel, "class")),
		number_at(channel, "sub_channel"));
	if (ring)
		fprintf(out, ",ring=\"%s\"", ring);
	fprintf(out, "}");
}

static void print_ring_value(FILE *out, const json_t *channels, const char *metric,
			     const char *field)
{
	static const char *const rings[] = { "in", "out" };
	const json_t *channel;
	size_t i;

	json_array_foreach(channels, i, channel)
		for (size_t r = 0; r < VMB_ARRAY_COUNT(rings); r++) {
			fprintf(out, "openvmbus_%s", metric);
			print_labels(out, channel, rings[r]);
			fprintf(out, " %lld\n",
				number_at(json_object_get(channel, rings[r]), field));
		}
}

static void print_channels(FILE *out, const json_t *channels)
{
	const json_t *channel;
	size_t i;

	head(out, "ring_packets_total", "counter", "Packets since the channel was opened.");
	print_ring_value(out, channels, "ring_packets_total", "packets");
	head(out, "ring_bytes_total", "counter", "Bytes of the ring since it was opened.");
	print_ring_value(out, channels, "ring_bytes_total", "bytes");
	head(out, "ring_fill_bytes", "gauge", "Bytes that were not read yet.");
	print_ring_value(out, channels, "ring_fill_bytes", "fill");
	head(out, "channel_interrupts_total", "counter", "Interrupts sent to the guest.");
	json_array_foreach(channels, i, channel) {
		fprintf(out, "openvmbus_channel_interrupts_total");
		print_labels(out, channel, NULL);
		fprintf(out, " %lld\n", number_at(channel, "interrupts"));
	}
	head(out, "channel_oldest_request_seconds", "gauge", "Age of the oldest request.");
	json_array_foreach(channels, i, channel) {
		fprintf(out, "openvmbus_channel_oldest_request_seconds");
		print_labels(out, channel, NULL);
		fprintf(out, " %.3f\n", number_at(channel, "oldest_ms") / 1000.0);
	}
}

static enum vmb_vmm_call_step run_metrics(struct vmb_vmm_call *call)
{
	enum vmb_vmm_call_step step = vmb_vmm_control_inspect(call);
	char *text = NULL;
	size_t len;
	FILE *out;

	if (step != VMB_VMM_CALL_DONE)
		return step;
	out = open_memstream(&text, &len);
	if (!out)
		return vmb_vmm_call_fail(call, "failed", "%s", strerror(errno));
	print_machine(out, call);
	print_bus(out, json_object_get(call->result, "bus"));
	print_channels(out, json_object_get(call->result, "channels"));
	fclose(out);
	json_object_clear(call->result);
	vmb_vmm_call_set_text(call, "text", text);
	free(text);
	return VMB_VMM_CALL_DONE;
}

/* dump */

static const struct vmb_vmm_control_field dump_arguments[] = {
	{ "file", TEXT, false, "a new file; one that is there is not touched" }, NO_MORE
};

static const struct vmb_vmm_control_field dump_results[] = {
	{ "len", NUMBER, false, "bytes of the file" }, NO_MORE
};

struct dump {
	int fd;
	uint32_t region;
	uint64_t at; /* in the region */
	uint64_t len; /* of the file, so far */
	uint64_t lens[VMB_DEV_MEMORY_REGION_MAX]; /* of the regions, when it began */
	uint8_t piece[PIECE_LEN]; /* a copy, so that the machine need not wait for the file */
};

/* An ELF core file: a segment for each region of memory, at its guest address. */
static bool write_headers(struct dump *d, const struct vmb_dev_memory *m)
{
	Elf64_Ehdr header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					   ELFDATA2LSB, EV_CURRENT },
			      .e_type = ET_CORE,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(header),
			      .e_ehsize = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = m->region_count };
	Elf64_Phdr segments[VMB_DEV_MEMORY_REGION_MAX] = { { 0 } };
	uint64_t at = VMB_PAGE_LEN;

	for (uint32_t i = 0; i < m->region_count; i++) {
		d->lens[i] = vmb_dev_memory_len(&m->regions[i]);
		segments[i] = (Elf64_Phdr){ .p_type = PT_LOAD,
					    .p_flags = PF_R | PF_W | PF_X,
					    .p_offset = at,
					    .p_paddr = m->regions[i].gpa,
					    .p_vaddr = m->regions[i].gpa,
					    .p_filesz = d->lens[i],
					    .p_memsz = d->lens[i],
					    .p_align = VMB_PAGE_LEN };
		at += d->lens[i];
	}
	d->len = VMB_PAGE_LEN;
	return ftruncate(d->fd, VMB_PAGE_LEN) == 0 &&
	       write(d->fd, &header, sizeof(header)) == sizeof(header) &&
	       write(d->fd, segments, sizeof(segments)) == sizeof(segments) &&
	       lseek(d->fd, VMB_PAGE_LEN, SEEK_SET) == VMB_PAGE_LEN;
}

static enum vmb_vmm_call_step end_dump(struct vmb_vmm_call *call, enum vmb_vmm_call_step step)
{
	struct dump *d = call->state;

	if (call->machine)
		vmb_vmm_control_pause(call, VMB_VMM_PAUSE_DUMP, false);
	if (step != VMB_VMM_CALL_DONE)
		unlink(vmb_vmm_call_text(call, "file"));
	close(d->fd);
	free(d);
	return step;
}

static enum vmb_vmm_call_step fail_dump(struct vmb_vmm_call *call, int error)
{
	vmb_vmm_call_fail(call, "failed", "%s: %s; no file is left",
			  vmb_vmm_call_text(call, "file"), strerror(error));
	return end_dump(call, VMB_VMM_CALL_FAILED);
}

/*
 * Returns how many bytes of the region are a hole of its file from here on: never used, or given by
 * the guest. Reading them would have this machine make them.
 */
static uint64_t hole_len(const struct dump *d, const struct vmb_dev_memory_region *r)
{
	off_t at = (off_t)(r->offset + d->at), data = lseek(r->fd, at, SEEK_DATA);
	uint64_t left = d->lens[d->region] - d->at;

	if (data < 0)
		return errno == ENXIO ? left : 0;
	return (uint64_t)(data - at) < left ? (uint64_t)(data - at) : left;
}

/* Returns 0, or the errno. */
static int leave_hole(struct dump *d, uint64_t len)
{
	d->at += len;
	d->len += len;
	return ftruncate(d->fd, (off_t)d->len) || lseek(d->fd, 0, SEEK_END) < 0 ? errno : 0;
}

/* Without the machine: the file may be slow. Returns 0, or the errno. */
static int write_piece(struct vmb_vmm_call *call, const struct vmb_dev_memory_region *r)
{
	struct dump *d = call->state;
	uint64_t left = d->lens[d->region] - d->at, len = left < PIECE_LEN ? left : PIECE_LEN;
	uint64_t hole = hole_len(d, r);
	ssize_t done;
	int error;

	if (hole || !left)
		return leave_hole(d, hole);
	memcpy(d->piece, r->base + d->at, len);
	vmb_vmm_call_release(call);
	done = write(d->fd, d->piece, len);
	error = done > 0 ? 0 : done ? errno : ENOSPC;
	vmb_vmm_call_regain(call);
	if (error)
		return error;
	d->at += done;
	d->len += done;
	return 0;
}

/* The machine stands still, so that the memory is that of one moment. */
static enum vmb_vmm_call_step go_on_dump(struct vmb_vmm_call *call)
{
	struct dump *d = call->state;
	const struct vmb_dev_memory *m;
	int error;

	if (call->over)
		return end_dump(call, VMB_VMM_CALL_FAILED);
	m = &call->machine->dev.memory;
	if (!vmb_vmm_pause_is_on(call->machine))
		return fail_dump(call, ECANCELED); /* the machine ends */
	if (!vmb_vmm_pause_is_complete(call->machine)) {
		bool late = vmb_vmm_control_now() - call->began > PAUSE_LIMIT_MS;

		return late ? fail_dump(call, ETIMEDOUT) : VMB_VMM_CALL_LATER;
	}
	if (!d->len && !write_headers(d, m))
		return fail_dump(call, errno);
	if (d->region == m->region_count) {
		vmb_vmm_call_set_number(call, "len", d->len);
		return end_dump(call, VMB_VMM_CALL_DONE);
	}
	error = write_piece(call, &m->regions[d->region]);
	if (error)
		return fail_dump(call, error);
	if (!call->machine)
		return end_dump(call, vmb_vmm_call_no_machine(call));
	if (d->at == d->lens[d->region]) {
		d->region++;
		d->at = 0;
	}
	return VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_dump(struct vmb_vmm_call *call)
{
	const char *path = vmb_vmm_call_text(call, "file");
	struct dump *d = calloc(1, sizeof(*d));
	int error;

	if (!d)
		return vmb_vmm_call_fail(call, "failed", "%s", strerror(ENOMEM));
	vmb_vmm_call_release(call);
	d->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	error = errno;
	vmb_vmm_call_regain(call);
	if (d->fd < 0) {
		free(d);
		return vmb_vmm_call_fail(call, "failed", "%s: %s", path, strerror(error));
	}
	call->state = d;
	if (!call->machine)
		return end_dump(call, vmb_vmm_call_no_machine(call));
	vmb_vmm_control_pause(call, VMB_VMM_PAUSE_DUMP, true);
	call->go_on = go_on_dump;
	return VMB_VMM_CALL_LATER;
}

const struct vmb_vmm_command vmb_vmm_control_statistics[] = {
	{ "metrics", "What the machine did, for Prometheus.", true, run_metrics, NULL,
	  metrics_results },
	{ "dump",
	  "Writes the guest's memory to an ELF core file, with a segment for each region at its "
	  "guest address. The machine stands still meanwhile; a pause that is asked for in this "
	  "time goes on afterwards. There are no registers in it.",
	  true, run_dump, dump_arguments, dump_results },
	{ NULL, NULL, false, NULL, NULL, NULL },
};

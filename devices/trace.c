// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes records of the bus into a pcapng file, through a buffer, so that no device waits for the
 * file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "devices/pcapng.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/trace.h"

#define OPTION	"--trace "
#define DATA_AT ((uint32_t)sizeof(struct vmb_dev_trace_header))
#define PIECE_LEN \
	(VMB_DEV_TRACE_RECORD_LEN_MAX - DATA_AT - (uint32_t)sizeof(struct vmb_dev_trace_data))
#define FOOTER_LEN ((uint32_t)sizeof(struct vmb_pkt_footer))

/* The buffer */

static void put(struct vmb_dev_trace *t, const void *bytes, uint32_t len)
{
	uint32_t at = t->put % t->config.buffer_len, first = t->config.buffer_len - at;

	if (first > len)
		first = len;
	if (first)
		vmb_shared_read(t->buffer + at, bytes, first);
	if (len > first)
		vmb_shared_read(t->buffer, (const uint8_t *)bytes + first, len - first);
	t->put += len;
}

/* Whether len more bytes may be put. */
static bool has_room(struct vmb_dev_trace *t, uint32_t len)
{
	if (!t->buffer || t->full || t->failed || t->stopping)
		return false;
	if (len > t->config.buffer_len - (t->put - t->taken)) {
		t->lost++;
		return false;
	}
	if (len <= t->config.len_max - t->put)
		return true;
	t->full = true;
	vmb_dev_report(OPTION "%s: the next record would make it longer than %llu bytes; it ends "
			      "here; a larger --trace-size allows more",
		       t->config.path, (unsigned long long)t->config.len_max);
	return false;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static enum vmb_dev_pcapng_direction way_of(const struct vmb_dev_trace_header *header)
{
	if (header->kind == VMB_DEV_TRACE_CONTROL)
		return VMB_DEV_PCAPNG_UNKNOWN;
	return header->direction == VMB_DEV_TRACE_TO_HOST ? VMB_DEV_PCAPNG_INBOUND :
							    VMB_DEV_PCAPNG_OUTBOUND;
}

/*
 * One record: the header, the parts up to len bytes, zeroes if they are fewer. original_len: bytes
 * that there were. Under the lock.
 */
static void put_record(struct vmb_dev_trace *t, const struct vmb_dev_trace_header *header,
		       const struct vmb_ring_part *parts, uint32_t count, uint32_t len,
		       uint32_t original_len)
{
	struct vmb_dev_pcapng_block tail;
	struct vmb_dev_pcapng_head head;
	uint32_t block_len, part;
	uint8_t zero = 0;

	block_len = vmb_dev_pcapng_packet(&head, &tail, 0, now_ns(CLOCK_MONOTONIC) + t->epoch_ns,
					  DATA_AT + len, DATA_AT + original_len, way_of(header),
					  NULL);
	if (!has_room(t, block_len))
		return;
	put(t, &head, sizeof(head));
	put(t, header, sizeof(*header));
	for (uint32_t i = 0; i < count && len; i++, len -= part) {
		part = parts[i].len < len ? parts[i].len : len;
		put(t, parts[i].base, part);
	}
	for (; len; len--)
		put(t, &zero, sizeof(zero));
	put(t, tail.bytes, tail.len);
	pthread_cond_signal(&t->changed);
}

static struct vmb_dev_trace_header header_of(enum vmb_dev_trace_kind kind,
					     enum vmb_dev_trace_direction direction,
					     const struct vmb_dev_channel *ch)
{
	return (struct vmb_dev_trace_header){
		.version = VMB_DEV_TRACE_VERSION,
		.kind = kind,
		.direction = direction,
		.id = ch ? ch->host.relid : 0,
		.sub_channel = ch ? ch->host.sub_channel_index : 0,
		.vp = VMB_DEV_TRACE_VP_UNKNOWN,
	};
}

static void put_control(struct vmb_dev_trace *t, enum vmb_dev_trace_control what,
			const struct vmb_dev_channel *ch, const void *body, uint32_t len)
{
	struct vmb_dev_trace_header header = header_of(VMB_DEV_TRACE_CONTROL, 0, ch);
	const struct vmb_ring_part part = { body, len };

	header.detail = what;
	put_record(t, &header, &part, 1, len, len);
}

/* Takes the lock, and says what was lost before. False: nothing is recorded now. */
static bool begin(struct vmb_dev_trace *t)
{
	uint64_t lost;

	pthread_mutex_lock(&t->lock);
	if (!t->buffer || t->full || t->failed) {
		pthread_mutex_unlock(&t->lock);
		return false;
	}
	lost = t->lost;
	if (lost) {
		put_control(t, VMB_DEV_TRACE_LOST, NULL, &lost, sizeof(lost));
		/* unchanged: it was put; else there is still no room */
		t->lost = t->lost == lost ? 0 : lost;
	}
	return true;
}

static void end(struct vmb_dev_trace *t)
{
	pthread_mutex_unlock(&t->lock);
}

/* The thread */

/* Writes bytes from..to of the buffer to the same place of the file. Returns 0 or errno. */
static int write_out(struct vmb_dev_trace *t, uint64_t from, uint64_t to, uint64_t *written)
{
	uint32_t at = from % t->config.buffer_len, len = to - from, first;
	struct iovec iov[2];
	ssize_t done;

	first = len < t->config.buffer_len - at ? len : t->config.buffer_len - at;
	iov[0] = (struct iovec){ t->buffer + at, first };
	iov[1] = (struct iovec){ t->buffer, len - first };
	do
		done = pwritev(t->fd, iov, 2, from);
	while (done < 0 && errno == EINTR);
	*written = done < 0 ? 0 : done;
	if (done == (ssize_t)len)
		return 0;
	return done < 0 ? errno : ENOSPC;
}

static uint32_t block_len_at(const struct vmb_dev_trace *t, uint64_t at)
{
	uint8_t bytes[sizeof(uint32_t)];
	uint32_t len;

	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = t->buffer[(at + sizeof(uint32_t) + i) % t->config.buffer_len];
	memcpy(&len, bytes, sizeof(len));
	return len;
}

/* Not all of from..to could be written: the file ends with the last whole block. */
static void give_up(struct vmb_dev_trace *t, int error, uint64_t from, uint64_t written)
{
	uint64_t len = 0;

	t->failed = true;
	while (len + block_len_at(t, from + len) <= written)
		len += block_len_at(t, from + len);
	vmb_dev_report(OPTION "%s: %s; it ends here", t->config.path, strerror(error));
	if (ftruncate(t->fd, from + len))
		vmb_dev_report(OPTION "%s: %s; its last record is cut off", t->config.path,
			       strerror(errno));
}

/* Bytes of the buffer are counted as those of the file: they go nowhere else. */
static void *work(void *arg)
{
	struct vmb_dev_trace *t = arg;
	uint64_t from, to, written = 0;
	int error;

	vmb_dev_role_enter(VMB_DEV_ROLE_TRACE);
	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (t->put == t->taken && !t->stopping)
			pthread_cond_wait(&t->changed, &t->lock);
		from = t->taken;
		to = t->put;
		if (from == to)
			break;
		pthread_mutex_unlock(&t->lock);
		error = t->failed ? 0 : write_out(t, from, to, &written);
		pthread_mutex_lock(&t->lock);
		if (error)
			give_up(t, error, from, written);
		t->taken = to;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Life */

void vmb_dev_trace_init(struct vmb_dev_trace *t)
{
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
}

void vmb_dev_trace_destroy(struct vmb_dev_trace *t)
{
	vmb_dev_trace_stop(t);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
}

int vmb_dev_trace_check(const struct vmb_dev_trace_config *config)
{
	return vmb_dev_pcapng_check(OPTION, config->path);
}

static void put_head(struct vmb_dev_trace *t)
{
	struct vmb_dev_pcapng_block block;

	vmb_dev_pcapng_section(&block);
	put(t, block.bytes, block.len);
	vmb_dev_pcapng_interface(&block, VMB_DEV_PCAPNG_LINK_USER0, "vmbus",
				 "VMBus: docs/tracing.md of OpenVMBus");
	put(t, block.bytes, block.len);
}

static void begin_file(struct vmb_dev_trace *t, const struct vmb_dev_trace_config *config, int fd,
		       uint8_t *buffer)
{
	t->config = *config;
	snprintf(t->path, sizeof(t->path), "%s", config->path);
	t->config.path = t->path;
	t->fd = fd;
	t->buffer = buffer;
	t->put = t->taken = t->lost = 0;
	t->stopping = t->full = t->failed = false;
	t->epoch_ns = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
	put_head(t);
}

static int start(struct vmb_dev_trace *t, const struct vmb_dev_trace_config *config)
{
	uint8_t *buffer = malloc(config->buffer_len);
	int error = 0, fd;

	if (!buffer) {
		vmb_dev_report(OPTION "%s: %s", config->path, strerror(ENOMEM));
		return -ENOMEM;
	}
	fd = vmb_dev_pcapng_create(OPTION, config->path);
	if (fd < 0) {
		free(buffer);
		return fd;
	}
	pthread_mutex_lock(&t->lock);
	begin_file(t, config, fd, buffer);
	error = pthread_create(&t->thread, NULL, work, t);
	if (error)
		t->buffer = NULL;
	pthread_mutex_unlock(&t->lock);
	if (!error)
		return 0;
	vmb_dev_report(OPTION "%s: no thread: %s", config->path, strerror(error));
	free(buffer);
	close(fd);
	return -error;
}

int vmb_dev_trace_start(struct vmb_dev_trace *t, const struct vmb_dev_trace_config *config)
{
	struct vmb_dev_trace_config filled = *config;

	if (!filled.len_max)
		filled.len_max = VMB_DEV_TRACE_LEN_DEFAULT;
	if (!filled.buffer_len)
		filled.buffer_len = VMB_DEV_TRACE_BUFFER_LEN;
	return start(t, &filled);
}

void vmb_dev_trace_stop(struct vmb_dev_trace *t)
{
	bool started;

	pthread_mutex_lock(&t->lock);
	started = t->buffer;
	t->stopping = true;
	pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (!started)
		return;
	pthread_join(t->thread, NULL);
	pthread_mutex_lock(&t->lock);
	free(t->buffer);
	t->buffer = NULL;
	close(t->fd);
	t->fd = -1;
	pthread_mutex_unlock(&t->lock);
}

bool vmb_dev_trace_is_on(struct vmb_dev_trace *t)
{
	bool on;

	pthread_mutex_lock(&t->lock);
	on = t->buffer;
	pthread_mutex_unlock(&t->lock);
	return on;
}

static void put_opened(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch)
{
	const struct vmb_dev_trace_channel body = {
		.type_id = ch->host.type_id,
		.instance_id = ch->host.instance_id,
		.connection_id = ch->host.connection_id,
		.gpadl_id = ch->host.ring ? ch->host.ring->id : 0,
		.downstream_page = ch->host.downstream_page,
		.page_count = ch->page_count,
	};

	put_control(t, VMB_DEV_TRACE_OPENED, ch, &body, sizeof(body));
}

void vmb_dev_trace_attach(struct vmb_dev_trace *t, struct vmb_dev_bus *bus)
{
	struct vmb_dev_trace_bus body;
	struct vmb_host_channel *host;
	struct vmb_dev_channel *ch;

	pthread_mutex_lock(&bus->lock);
	body = (struct vmb_dev_trace_bus){ bus->server.version, bus->server.features };
	if (begin(t)) {
		put_control(t, VMB_DEV_TRACE_ATTACHED, NULL, &body, sizeof(body));
		for (host = bus->server.first; host; host = host->next) {
			ch = VMB_CONTAINER_OF(host, struct vmb_dev_channel, host);
			if (ch->pages)
				put_opened(t, ch);
		}
		end(t);
	}
	__atomic_store_n(&bus->trace, t, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&bus->lock);
}

void vmb_dev_trace_detach(struct vmb_dev_bus *bus)
{
	struct vmb_dev_trace *t = __atomic_exchange_n(&bus->trace, NULL, __ATOMIC_ACQ_REL);

	if (!t || !begin(t))
		return;
	put_control(t, VMB_DEV_TRACE_DETACHED, NULL, NULL, 0);
	end(t);
}

/* Records */

void vmb_dev_trace_options(struct vmb_dev_trace *t, const char *options, uint32_t len)
{
	if (!begin(t))
		return;
	put_control(t, VMB_DEV_TRACE_OPTIONS, NULL, options, len);
	end(t);
}

void vmb_dev_trace_opened(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch)
{
	if (!begin(t))
		return;
	put_opened(t, ch);
	end(t);
}

void vmb_dev_trace_closed(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch)
{
	if (!begin(t))
		return;
	put_control(t, VMB_DEV_TRACE_CLOSED, ch, NULL, 0);
	end(t);
}

void vmb_dev_trace_message(struct vmb_dev_trace *t, enum vmb_dev_trace_direction direction,
			   uint32_t id, uint32_t vp, uint32_t status, const void *payload,
			   uint32_t len)
{
	struct vmb_dev_trace_header header = header_of(VMB_DEV_TRACE_MESSAGE, direction, NULL);
	const struct vmb_ring_part part = { payload, len };

	header.id = id;
	header.vp = vp;
	header.detail = status;
	if (!begin(t))
		return;
	put_record(t, &header, &part, 1, len, len);
	end(t);
}

/* The guest cannot answer before this is recorded: what it posts waits for the lock. */
int vmb_dev_trace_post(struct vmb_dev_bus *bus, uint32_t vp, uint32_t sint, const void *payload,
		       uint32_t len)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(bus);
	int error = bus->machine->ops->post(bus->machine, vp, sint, payload, len);

	if (trace && !error)
		vmb_dev_trace_message(trace, VMB_DEV_TRACE_TO_GUEST, sint, vp, 0, payload, len);
	return error;
}

void vmb_dev_trace_signal(struct vmb_dev_trace *t, enum vmb_dev_trace_direction direction,
			  const struct vmb_dev_channel *ch, uint32_t vp)
{
	struct vmb_dev_trace_header header = header_of(VMB_DEV_TRACE_SIGNAL, direction, ch);

	header.vp = vp;
	header.detail = ch->host.connection_id;
	if (!begin(t))
		return;
	put_record(t, &header, NULL, 0, 0, 0);
	end(t);
}

void vmb_dev_trace_received(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch,
			    const struct vmb_ring_received *received)
{
	uint32_t len = sizeof(struct vmb_pkt_desc) + received->header_len + received->payload_len;
	struct vmb_dev_trace_header header =
		header_of(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_HOST, ch);
	struct vmb_ring_part part = { t->scratch, len };

	header.detail = received->start;
	if (part.len > sizeof(t->scratch) - DATA_AT)
		part.len = sizeof(t->scratch) - DATA_AT;
	if (!begin(t))
		return;
	if (vmb_ring_copy(&ch->rx, received, 0, t->scratch, part.len))
		put_record(t, &header, &part, 1, part.len, len);
	end(t);
}

static uint32_t parts_len(const struct vmb_ring_part *parts, uint32_t count)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < count; i++)
		len += parts[i].len;
	return len;
}

static uint32_t gather(uint8_t *to, uint32_t room, const struct vmb_ring_part *parts,
		       uint32_t count)
{
	uint32_t len = 0, part;

	for (uint32_t i = 0; i < count; i++, len += part) {
		part = parts[i].len < room - len ? parts[i].len : room - len;
		if (part)
			memcpy(to + len, parts[i].base, part);
	}
	return len;
}

/* The descriptor and the padding are those that vmb_ring_write() made. */
void vmb_dev_trace_sent(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch,
			const struct vmb_ring_packet *packet, uint32_t start)
{
	uint32_t header_len = parts_len(packet->header, packet->header_count);
	uint32_t payload_len = parts_len(packet->payload, packet->payload_count);
	uint32_t len = vmb_ring_packet_len(header_len, payload_len) - FOOTER_LEN;
	const struct vmb_pkt_desc desc = {
		.type = packet->type,
		.offset8 = (sizeof(desc) + header_len) / 8,
		.len8 = len / 8,
		.flags = packet->flags,
		.transaction_id = packet->transaction_id,
	};
	struct vmb_dev_trace_header header =
		header_of(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_GUEST, ch);
	uint32_t room = sizeof(t->scratch) - DATA_AT, kept;
	struct vmb_ring_part parts[2] = { { &desc, sizeof(desc) }, { t->scratch, 0 } };

	header.detail = start;
	if (!begin(t))
		return;
	kept = gather(t->scratch, room, packet->header, packet->header_count);
	kept += gather(t->scratch + kept, room - kept, packet->payload, packet->payload_count);
	parts[1].len = kept;
	kept += sizeof(desc);
	put_record(t, &header, parts, 2, kept + 7 < len ? kept : len, len);
	end(t);
}

/* One piece: len bytes from offset on, of what the parts have. */
static void put_piece(struct vmb_dev_trace *t, const struct vmb_dev_trace_header *header,
		      const struct vmb_dev_trace_data *data, uint32_t len, uint32_t original_len)
{
	const struct vmb_ring_part parts[] = { { data, sizeof(*data) }, { t->scratch, len } };

	put_record(t, header, parts, VMB_ARRAY_COUNT(parts), sizeof(*data) + len,
		   sizeof(*data) + original_len);
}

void vmb_dev_trace_data(struct vmb_dev_trace *t, const struct vmb_dev_channel *ch,
			enum vmb_dev_trace_direction direction,
			const struct vmb_dev_trace_data *data, const struct vmb_ring_part *parts,
			uint32_t count, uint32_t len)
{
	struct vmb_dev_trace_header header = header_of(VMB_DEV_TRACE_DATA, direction, ch);
	uint32_t left = parts_len(parts, count), kept, at = 0, i = 0, fill, part;
	struct vmb_dev_trace_data piece = *data;

	if (left > len)
		left = len;
	if (!left || !begin(t))
		return;
	kept = left < t->config.snap ? left : t->config.snap;
	for (; kept; kept -= fill, left -= fill, piece.offset += fill) {
		for (fill = 0; fill < kept && fill < PIECE_LEN; fill += part) {
			part = parts[i].len - at;
			if (part > kept - fill)
				part = kept - fill;
			if (part > PIECE_LEN - fill)
				part = PIECE_LEN - fill;
			vmb_shared_read(t->scratch + fill, (const uint8_t *)parts[i].base + at,
					part);
			at += part;
			if (at == parts[i].len) {
				at = 0;
				i++;
			}
		}
		put_piece(t, &header, &piece, fill, kept == fill ? left : fill);
	}
	end(t);
}

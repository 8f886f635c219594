// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The registers and queues of an NVMe controller: what the guest's processors write there, which
 * commands are fetched, and how they are completed.
 */
#include "devices/nvme/internal.h"

#define FETCH_BUDGET 64u /* commands of a queue in one round */
#define SQ_ENTRY     6u /* 2^n bytes */
#define CQ_ENTRY     4u

void nvme_controller_init(struct vmb_dev_nvme *n)
{
	for (uint32_t i = 0; i < NVME_REQUEST_COUNT; i++) {
		n->requests[i].next = n->free;
		n->free = &n->requests[i];
	}
}

void nvme_controller_fatal(struct vmb_dev_nvme *n)
{
	n->csts |= VMB_NVME_CSTS_FATAL;
}

static void forget_queues(struct vmb_dev_nvme *n)
{
	memset(n->sqs, 0, sizeof(n->sqs));
	memset(n->cqs, 0, sizeof(n->cqs));
	memset(n->features, 0, sizeof(n->features));
	n->features[VMB_NVME_WRITE_CACHE] = 1;
	n->event_count = n->event = 0;
	n->life++;
}

bool nvme_is_queue(const struct vmb_dev_nvme *n, uint64_t gpa, uint32_t len)
{
	return gpa % VMB_PAGE_LEN == 0 && vmb_dev_memory_at(nvme_memory(n), gpa, len);
}

/* The admin queues are there. A controller that cannot have them says so and does nothing. */
static void start(struct vmb_dev_nvme *n)
{
	uint32_t sq_count = (n->aqa & 0xFFF) + 1, cq_count = (n->aqa >> 16 & 0xFFF) + 1;

	if (n->cc & VMB_NVME_CC_SETS || sq_count < 2 || cq_count < 2 ||
	    !nvme_is_queue(n, n->asq, sq_count << SQ_ENTRY) ||
	    !nvme_is_queue(n, n->acq, cq_count << CQ_ENTRY)) {
		nvme_controller_fatal(n);
		return;
	}
	n->sqs[0] = (struct nvme_sq){ .on = true, .gpa = n->asq, .count = sq_count };
	n->cqs[0] = (struct nvme_cq){ .on = true,
				      .interrupts = true,
				      .phase = true,
				      .gpa = n->acq,
				      .count = cq_count,
				      .users = 1 };
	n->csts = VMB_NVME_CSTS_READY;
}

static void finish_reset(struct vmb_dev_nvme *n)
{
	n->resetting = false;
	n->csts = 0;
	if (n->cc & VMB_NVME_CC_ENABLE)
		start(n);
}

/* Backends are told that nobody waits any more; what they have ends soon. */
static void begin_reset(struct vmb_dev_nvme *n)
{
	forget_queues(n);
	n->resetting = true;
	if (n->busy)
		vmb_dev_disk_cancel(&n->disk);
	else
		finish_reset(n);
}

void nvme_controller_reset(struct vmb_dev_nvme *n)
{
	n->cc = n->aqa = 0;
	n->asq = n->acq = 0;
	begin_reset(n);
	vmb_host_pci_function_reset(&n->function);
}

/* Registers */

static void write_configuration(struct vmb_dev_nvme *n, uint32_t cc)
{
	uint32_t changed = n->cc ^ cc;

	n->cc = cc;
	if (changed & VMB_NVME_CC_ENABLE) {
		if (!(cc & VMB_NVME_CC_ENABLE))
			begin_reset(n);
		else if (!n->resetting)
			start(n);
	}
	/* The backend has all that was completed; what is volatile, FLUSH is for. */
	if (cc & VMB_NVME_CC_SHUTDOWN)
		n->csts |= VMB_NVME_CSTS_SHUT;
	else
		n->csts &= ~VMB_NVME_CSTS_SHUT;
}

static uint64_t capabilities(void)
{
	return (NVME_ENTRY_MAX - 1) | VMB_NVME_CAP_CONTIGUOUS | VMB_NVME_CAP_TIMEOUT |
	       VMB_NVME_CAP_NVM;
}

static uint32_t read_register(const struct vmb_dev_nvme *n, uint32_t offset)
{
	switch (offset) {
	case VMB_NVME_CAP: return (uint32_t)capabilities();
	case VMB_NVME_CAP + 4: return capabilities() >> 32;
	case VMB_NVME_VS: return VMB_NVME_VERSION;
	case VMB_NVME_CC: return n->cc;
	case VMB_NVME_CSTS: return n->csts;
	case VMB_NVME_AQA: return n->aqa;
	case VMB_NVME_ASQ: return (uint32_t)n->asq;
	case VMB_NVME_ASQ + 4: return n->asq >> 32;
	case VMB_NVME_ACQ: return (uint32_t)n->acq;
	case VMB_NVME_ACQ + 4: return n->acq >> 32;
	default: return 0;
	}
}

static void set_half(uint64_t *all, uint32_t value, bool high)
{
	*all = high ? (*all & UINT32_MAX) | (uint64_t)value << 32 :
		      (*all & ~(uint64_t)UINT32_MAX) | value;
}

/* The places of the admin queues are looked at only when the controller starts. */
static void write_register(struct vmb_dev_nvme *n, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VMB_NVME_CC: write_configuration(n, value); break;
	case VMB_NVME_AQA: n->aqa = value; break;
	case VMB_NVME_ASQ:
	case VMB_NVME_ASQ + 4: set_half(&n->asq, value, offset != VMB_NVME_ASQ); break;
	case VMB_NVME_ACQ:
	case VMB_NVME_ACQ + 4: set_half(&n->acq, value, offset != VMB_NVME_ACQ); break;
	default: break;
	}
}

/* Returns VMB_NVME_OK, or the event that it is. */
static uint32_t ring_queue(struct vmb_dev_nvme *n, uint32_t i, bool of_cq, uint32_t value)
{
	struct nvme_sq *sq = &n->sqs[i];
	struct nvme_cq *cq = &n->cqs[i];

	if (!(of_cq ? cq->on : sq->on))
		return VMB_NVME_EVENT_BAD_DOORBELL;
	if (value >= (of_cq ? cq->count : sq->count))
		return VMB_NVME_EVENT_BAD_VALUE;
	if (of_cq)
		cq->head = value;
	else
		sq->tail = value;
	return VMB_NVME_OK;
}

/* A value that is none changes nothing. */
static void ring(struct vmb_dev_nvme *n, uint32_t number, uint32_t value)
{
	uint32_t event = VMB_NVME_EVENT_BAD_DOORBELL;

	n->doorbells++;
	if (!(n->csts & VMB_NVME_CSTS_READY) || n->resetting)
		return;
	if (number / 2 < NVME_QUEUE_MAX)
		event = ring_queue(n, number / 2, number % 2, value);
	if (event && !n->event)
		n->event = event;
}

static void access_word(struct vmb_dev_nvme *n, uint32_t offset, uint32_t *word, bool is_write)
{
	if (!is_write)
		*word = offset < VMB_NVME_DOORBELLS ? read_register(n, offset) : 0;
	else if (offset < VMB_NVME_DOORBELLS)
		write_register(n, offset, *word);
	else
		ring(n, (offset - VMB_NVME_DOORBELLS) / sizeof(*word), *word);
}

void nvme_controller_access(struct vmb_dev_nvme *n, uint32_t offset, uint8_t *data, uint32_t len,
			    bool is_write)
{
	uint32_t word;

	for (uint32_t i = 0; i < len; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		access_word(n, offset + i, &word, is_write);
		memcpy(data + i, &word, sizeof(word));
	}
}

/* Completions */

void nvme_send_interrupts(struct vmb_dev_nvme *n)
{
	const struct vmb_dev_machine_ops *ops = n->bus->machine->ops;
	struct vmb_host_pci_target target;
	uint64_t address;
	uint32_t data;

	while (vmb_host_pci_function_next(&n->function, &address, &data)) {
		if (vmb_host_pci_interrupt(&n->pci, address, data, &target) || !ops->interrupt)
			continue;
		n->interrupts++;
		ops->interrupt(n->bus->machine, (uint32_t)__builtin_ctzll(target.vps),
			       target.vector);
	}
}

uint32_t nvme_room(const struct nvme_cq *cq)
{
	return (cq->head + cq->count - cq->tail - 1) % cq->count;
}

/* The last word has the phase, by which the guest knows that the entry is whole. */
static void write_entry(struct vmb_dev_nvme *n, struct nvme_cq *cq,
			struct vmb_nvme_completion *entry)
{
	uint8_t *at = vmb_dev_memory_at(nvme_memory(n), cq->gpa + cq->tail * sizeof(*entry),
					sizeof(*entry));
	uint32_t last;

	if (!at) {
		nvme_controller_fatal(n);
		return;
	}
	entry->status |= cq->phase;
	memcpy(&last, (uint8_t *)entry + 12, sizeof(last));
	vmb_shared_write(at, entry, 12);
	vmb_store_release_u32((uint32_t *)(at + 12), last);
	cq->news = true;
	if (++cq->tail == cq->count) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
}

void nvme_settle_deletion(struct vmb_dev_nvme *n, uint32_t i)
{
	struct nvme_sq *sq = &n->sqs[i];
	uint16_t id = sq->delete_id;

	if (!sq->deleting || sq->busy)
		return;
	n->cqs[sq->cq].users--;
	*sq = (struct nvme_sq){ .on = false };
	nvme_complete(n, 0, id, VMB_NVME_OK, 0);
}

void nvme_complete(struct vmb_dev_nvme *n, uint32_t i, uint16_t id, uint32_t status,
		   uint32_t result)
{
	struct nvme_sq *sq = &n->sqs[i];
	struct nvme_cq *cq = &n->cqs[sq->cq];
	struct vmb_nvme_completion entry = { .result = result,
					     .sq_head = (uint16_t)sq->head,
					     .sq_id = (uint16_t)i,
					     .id = id,
					     .status = (uint16_t)(status << 1) };

	n->failed += status != VMB_NVME_OK;
	sq->busy--;
	cq->busy--;
	write_entry(n, cq, &entry);
	nvme_settle_deletion(n, i);
}

/* Commands */

static bool may_fetch(const struct vmb_dev_nvme *n, const struct nvme_sq *sq)
{
	const struct nvme_cq *cq = &n->cqs[sq->cq];

	return sq->on && !sq->deleting && sq->head != sq->tail && n->free &&
	       nvme_room(cq) > cq->busy && n->csts == VMB_NVME_CSTS_READY;
}

static void fetch(struct vmb_dev_nvme *n, uint32_t i)
{
	struct nvme_sq *sq = &n->sqs[i];
	struct vmb_nvme_command command;

	if (!vmb_dev_memory_read(nvme_memory(n), sq->gpa + sq->head * sizeof(command), &command,
				 sizeof(command))) {
		nvme_controller_fatal(n);
		return;
	}
	sq->head = (sq->head + 1) % sq->count;
	sq->busy++;
	n->cqs[sq->cq].busy++;
	n->commands++;
	if (i)
		nvme_io_command(n, i, &command);
	else
		nvme_admin_command(n, &command);
}

static void fire(struct vmb_dev_nvme *n)
{
	for (uint32_t i = 0; i < NVME_QUEUE_MAX; i++) {
		if (n->cqs[i].news && n->cqs[i].interrupts)
			vmb_host_pci_function_fire(&n->function, n->cqs[i].vector);
		n->cqs[i].news = false;
	}
	nvme_send_interrupts(n);
}

bool nvme_controller_step(struct vmb_dev_nvme *n)
{
	bool more = false;

	if (n->resetting && !n->busy)
		finish_reset(n);
	for (uint32_t i = 0; i < NVME_QUEUE_MAX; i++) {
		for (uint32_t budget = FETCH_BUDGET; budget && may_fetch(n, &n->sqs[i]); budget--)
			fetch(n, i);
		more |= may_fetch(n, &n->sqs[i]);
	}
	nvme_admin_events(n);
	fire(n);
	return more;
}

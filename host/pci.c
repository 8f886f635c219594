// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host's side of PCI pass-through: judges what the guest asks of its bus, and keeps the table
 * of interrupts, so that a message of the function has a meaning that only the guest decided.
 */
#include "host/pci.h"

/* Any address would do that no other interrupt of the machine has: only we look at it. */
#define MESSAGE_ADDRESS 0xFEE00000u
#define VECTOR_MIN	16u /* below are exceptions of the processor */
#define VECTOR_MAX	255u

void vmb_host_pci_init(struct vmb_host_pci *p, const struct vmb_host_pci_config *config)
{
	memset(p, 0, sizeof(*p));
	p->config = *config;
	if (!p->config.version_max)
		p->config.version_max = VMB_PCI_VERSION_1_4;
}

static void forget_interrupts(struct vmb_host_pci *p)
{
	memset(p->interrupts, 0, sizeof(p->interrupts));
}

void vmb_host_pci_reset(struct vmb_host_pci *p, bool open)
{
	p->state = open ? VMB_HOST_PCI_VERSIONS : VMB_HOST_PCI_IDLE;
	p->version = p->inband_len = p->reply_len = 0;
	p->on = p->eject_due = p->ejecting = p->relations_due = p->reply_waits = false;
	forget_interrupts(p);
}

/* Output */

static void make_relations(struct vmb_host_pci *p)
{
	bool nodes = p->version >= VMB_PCI_VERSION_1_3;
	const struct vmb_pci_relations head = { .type = nodes ? VMB_PCI_RELATIONS2 :
								VMB_PCI_RELATIONS,
						.count = 1 };
	const struct vmb_pci_description2 description = { .description = p->config.description };
	uint32_t len = nodes ? sizeof(description) : sizeof(description.description);

	memcpy(p->inband, &head, sizeof(head));
	memcpy(p->inband + sizeof(head), &description, len);
	p->inband_len = sizeof(head) + len;
	p->relations_due = false;
}

static void make_eject(struct vmb_host_pci *p)
{
	const struct vmb_pci_header eject = { .type = VMB_PCI_EJECT };

	memcpy(p->inband, &eject, sizeof(eject));
	p->inband_len = sizeof(eject);
	p->eject_due = false;
}

/* The answer first: what a guest has asked for may follow from it. */
bool vmb_host_pci_output(struct vmb_host_pci *p, struct vmb_host_pci_output *output)
{
	if (p->reply_waits) {
		*output = (struct vmb_host_pci_output){ .completion = true,
							.transaction_id = p->transaction_id,
							.payload = p->reply,
							.len = p->reply_len };
		return true;
	}
	if (!p->inband_len && p->relations_due)
		make_relations(p);
	else if (!p->inband_len && p->eject_due)
		make_eject(p);
	*output = (struct vmb_host_pci_output){ .payload = p->inband, .len = p->inband_len };
	return p->inband_len;
}

void vmb_host_pci_output_done(struct vmb_host_pci *p)
{
	if (p->reply_waits)
		p->reply_waits = false;
	else
		p->inband_len = 0;
}

static void reply(struct vmb_host_pci *p, const void *bytes, uint32_t len)
{
	memcpy(p->reply, bytes, len);
	p->reply_len = len;
}

static int refuse(struct vmb_host_pci *p, uint32_t status)
{
	p->refused++;
	reply(p, &status, sizeof(status));
	return VMB_HOST_PCI_NOTHING;
}

static int accept(struct vmb_host_pci *p, enum vmb_host_pci_step step)
{
	const uint32_t status = VMB_PCI_SUCCESS;

	reply(p, &status, sizeof(status));
	return step;
}

/* Input: each function has at least the bytes that its row promises */

static int take_version(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_version_reply answer = { .version = p->config.version_max };
	struct vmb_pci_query_version query;

	memcpy(&query, bytes, sizeof(query));
	if (query.version < VMB_PCI_VERSION_1_1 || query.version > p->config.version_max) {
		answer.status = VMB_PCI_REVISION_MISMATCH;
	} else {
		p->version = query.version;
		p->state = VMB_HOST_PCI_READY;
	}
	reply(p, &answer, sizeof(answer));
	return VMB_HOST_PCI_NOTHING;
}

/* What the guest gets for this is no completion. */
static int take_query_relations(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	p->relations_due = true;
	return accept(p, VMB_HOST_PCI_NOTHING);
}

static int take_d0_entry(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_d0_entry entry;

	memcpy(&entry, bytes, sizeof(entry));
	if (entry.window_gpa % VMB_PAGE_LEN ||
	    entry.window_gpa + VMB_PCI_WINDOW_LEN < entry.window_gpa)
		return refuse(p, VMB_PCI_BAD_DATA);
	p->on = true;
	p->window_gpa = entry.window_gpa;
	return accept(p, VMB_HOST_PCI_ON);
}

static int take_d0_exit(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	p->on = false;
	forget_interrupts(p);
	return accept(p, VMB_HOST_PCI_OFF);
}

static int take_query_requirements(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_requirements answer = { .status = VMB_PCI_SUCCESS };

	memcpy(answer.bars, p->config.bars, sizeof(answer.bars));
	reply(p, &answer, sizeof(answer));
	return VMB_HOST_PCI_NOTHING;
}

/*
 * Where the function's memory is, the configuration space says. Interrupts are created one by one:
 * a guest that wants them all here is refused.
 */
static int take_assigned(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_assigned_reply answer;
	struct vmb_pci_assigned assigned;

	memcpy(&assigned, bytes, sizeof(assigned));
	if (assigned.interrupt_count)
		return refuse(p, VMB_PCI_NOT_SUPPORTED);
	answer = (struct vmb_pci_assigned_reply){ .slot = assigned.header.slot };
	memcpy(answer.ranges, assigned.ranges, sizeof(answer.ranges));
	reply(p, &answer, sizeof(answer));
	return VMB_HOST_PCI_NOTHING;
}

static int take_released(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	forget_interrupts(p);
	return accept(p, VMB_HOST_PCI_RELEASE);
}

/* A function that sleeps is as one that is awake: no state is lost. */
static int take_power(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	return accept(p, VMB_HOST_PCI_NOTHING);
}

static int take_block(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	return refuse(p, VMB_PCI_NOT_SUPPORTED);
}

static int take_ejected(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	bool asked = p->ejecting;

	p->ejecting = false;
	return accept(p, asked ? VMB_HOST_PCI_EJECTED : VMB_HOST_PCI_NOTHING);
}

/* Interrupts */

static bool is_target(const struct vmb_host_pci *p, uint32_t vector, uint32_t mode, uint64_t vps)
{
	uint32_t count = p->config.vp_count;

	return vector >= VECTOR_MIN && vector <= VECTOR_MAX && mode <= VMB_PCI_LOWEST_PRIORITY &&
	       vps && (count >= VMB_HOST_PCI_VP_MAX || !(vps >> count));
}

/* Only one vector at a time: the function has MSI-X. */
static int create(struct vmb_host_pci *p, uint32_t vector, uint32_t mode, uint32_t count,
		  uint64_t vps)
{
	struct vmb_pci_interrupt_reply answer = { .status = VMB_PCI_SUCCESS };
	uint32_t i = 0;

	if (count != 1 || !is_target(p, vector, mode, vps))
		return refuse(p, VMB_PCI_BAD_DATA);
	while (i < VMB_HOST_PCI_INTERRUPT_MAX && p->interrupts[i].used)
		i++;
	if (i == VMB_HOST_PCI_INTERRUPT_MAX)
		return refuse(p, VMB_PCI_NO_RESOURCES);
	p->interrupts[i].used = true;
	p->interrupts[i].target =
		(struct vmb_host_pci_target){ (uint8_t)vector, (uint8_t)mode, vps };
	answer.message =
		(struct vmb_pci_message){ .count = 1, .data = i + 1, .address = MESSAGE_ADDRESS };
	reply(p, &answer, sizeof(answer));
	return VMB_HOST_PCI_NOTHING;
}

/* The processors of a list as bits; 0: one of them cannot be. */
static uint64_t collect(const uint16_t *vps, uint32_t count)
{
	uint64_t all = 0;

	if (count > VMB_PCI_INTERRUPT_VP_MAX)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		if (vps[i] >= VMB_HOST_PCI_VP_MAX)
			return 0;
		all |= 1ull << vps[i];
	}
	return all;
}

static int take_interrupt(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_interrupt wanted;

	memcpy(&wanted, bytes + sizeof(struct vmb_pci_header), sizeof(wanted));
	return create(p, wanted.vector, wanted.mode, wanted.count, wanted.vp_mask);
}

static int take_interrupt2(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	uint16_t vps[VMB_PCI_INTERRUPT_VP_MAX];
	struct vmb_pci_interrupt2 wanted;

	memcpy(&wanted, bytes + sizeof(struct vmb_pci_header), sizeof(wanted));
	memcpy(vps, wanted.vps, sizeof(vps));
	return create(p, wanted.vector, wanted.mode, wanted.count, collect(vps, wanted.vp_count));
}

static int take_interrupt3(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	uint16_t vps[VMB_PCI_INTERRUPT_VP_MAX];
	struct vmb_pci_interrupt3 wanted;

	memcpy(&wanted, bytes + sizeof(struct vmb_pci_header), sizeof(wanted));
	memcpy(vps, wanted.vps, sizeof(vps));
	return create(p, wanted.vector, wanted.mode, wanted.count, collect(vps, wanted.vp_count));
}

/* The number of a message's interrupt; VMB_HOST_PCI_INTERRUPT_MAX: none. */
static uint32_t find(const struct vmb_host_pci *p, uint64_t address, uint32_t data)
{
	if (address == MESSAGE_ADDRESS && data && data <= VMB_HOST_PCI_INTERRUPT_MAX &&
	    p->interrupts[data - 1].used)
		return data - 1;
	return VMB_HOST_PCI_INTERRUPT_MAX;
}

static int take_delete(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len)
{
	struct vmb_pci_delete_interrupt wanted;
	uint32_t i;

	memcpy(&wanted, bytes, sizeof(wanted));
	i = find(p, wanted.message.address, wanted.message.data);
	if (i == VMB_HOST_PCI_INTERRUPT_MAX)
		return refuse(p, VMB_PCI_BAD_DATA);
	p->interrupts[i].used = false;
	return accept(p, VMB_HOST_PCI_NOTHING);
}

int vmb_host_pci_interrupt(const struct vmb_host_pci *p, uint64_t address, uint32_t data,
			   struct vmb_host_pci_target *target)
{
	uint32_t i = find(p, address, data);

	if (i == VMB_HOST_PCI_INTERRUPT_MAX)
		return VMB_EINVAL;
	*target = p->interrupts[i].target;
	return 0;
}

int vmb_host_pci_retarget(struct vmb_host_pci *p, uint32_t address, uint32_t data,
			  const struct vmb_host_pci_target *target)
{
	uint32_t i = find(p, address, data);

	if (i == VMB_HOST_PCI_INTERRUPT_MAX ||
	    !is_target(p, target->vector, target->mode, target->vps))
		return VMB_EINVAL;
	p->interrupts[i].target = *target;
	return 0;
}

int vmb_host_pci_eject(struct vmb_host_pci *p)
{
	if (p->state != VMB_HOST_PCI_READY || !p->on)
		return VMB_ENODEV;
	p->eject_due |= !p->ejecting;
	p->ejecting = true;
	return 0;
}

/* What a guest may say, from which version on, and whether it concerns the function. */
static const struct row {
	enum vmb_pci_type type;
	uint32_t version;
	bool of_function;
	uint32_t len_min; /* bytes */
	int (*take)(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len);
} rows[] = {
	{ VMB_PCI_QUERY_RELATIONS, 0, false, sizeof(uint32_t), take_query_relations },
	{ VMB_PCI_POWER, 0, true, sizeof(struct vmb_pci_power), take_power },
	{ VMB_PCI_QUERY_REQUIREMENTS, 0, true, sizeof(struct vmb_pci_header),
	  take_query_requirements },
	{ VMB_PCI_D0_ENTRY, 0, false, sizeof(struct vmb_pci_d0_entry), take_d0_entry },
	{ VMB_PCI_D0_EXIT, 0, false, sizeof(uint32_t), take_d0_exit },
	{ VMB_PCI_READ_BLOCK, 0, false, sizeof(uint32_t), take_block },
	{ VMB_PCI_WRITE_BLOCK, 0, false, sizeof(uint32_t), take_block },
	{ VMB_PCI_EJECTED, 0, true, sizeof(struct vmb_pci_header), take_ejected },
	{ VMB_PCI_ASSIGNED, 0, true, sizeof(struct vmb_pci_assigned), take_assigned },
	{ VMB_PCI_ASSIGNED2, VMB_PCI_VERSION_1_2, true, sizeof(struct vmb_pci_assigned),
	  take_assigned },
	{ VMB_PCI_ASSIGNED3, VMB_PCI_VERSION_1_4, true, sizeof(struct vmb_pci_assigned),
	  take_assigned },
	{ VMB_PCI_RELEASED, 0, true, sizeof(struct vmb_pci_header), take_released },
	{ VMB_PCI_CREATE_INTERRUPT, 0, true,
	  sizeof(struct vmb_pci_header) + sizeof(struct vmb_pci_interrupt), take_interrupt },
	{ VMB_PCI_CREATE_INTERRUPT2, VMB_PCI_VERSION_1_2, true,
	  sizeof(struct vmb_pci_header) + sizeof(struct vmb_pci_interrupt2), take_interrupt2 },
	{ VMB_PCI_CREATE_INTERRUPT3, VMB_PCI_VERSION_1_4, true,
	  sizeof(struct vmb_pci_header) + sizeof(struct vmb_pci_interrupt3), take_interrupt3 },
	{ VMB_PCI_DELETE_INTERRUPT, 0, true, sizeof(struct vmb_pci_delete_interrupt), take_delete },
};

/* What is too short, unknown, or of another slot is refused, and the guest may go on. */
static int judge_request(struct vmb_host_pci *p, const uint8_t *bytes, uint32_t len, uint32_t type)
{
	uint32_t slot = 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];

		if (row->type != type || p->version < row->version)
			continue;
		if (len < row->len_min)
			return refuse(p, VMB_PCI_BAD_DATA);
		if (row->of_function)
			memcpy(&slot, bytes + sizeof(type), sizeof(slot));
		return slot ? refuse(p, VMB_PCI_BAD_DATA) : row->take(p, bytes, len);
	}
	return refuse(p, VMB_PCI_NOT_SUPPORTED);
}

static int judge(struct vmb_host_pci *p, const struct vmb_host_pci_packet *packet)
{
	uint32_t type;

	if (p->state == VMB_HOST_PCI_IDLE || p->reply_waits || !packet->inband ||
	    packet->len < sizeof(type) || packet->len > VMB_PCI_GUEST_LEN_MAX)
		return VMB_EPROTO;
	memcpy(&type, packet->payload, sizeof(type));
	if ((p->state == VMB_HOST_PCI_VERSIONS) != (type == VMB_PCI_QUERY_VERSION))
		return VMB_EPROTO;
	if (type != VMB_PCI_QUERY_VERSION)
		return judge_request(p, packet->payload, packet->len, type);
	if (packet->len < sizeof(struct vmb_pci_query_version))
		return VMB_EPROTO;
	return take_version(p, packet->payload, packet->len);
}

int vmb_host_pci_input(struct vmb_host_pci *p, const struct vmb_host_pci_packet *packet)
{
	int step = judge(p, packet);

	p->requests++;
	if (step == VMB_EPROTO) {
		vmb_host_pci_reset(p, false);
		return step;
	}
	p->reply_waits = packet->wants_completion;
	p->transaction_id = packet->transaction_id;
	return step;
}

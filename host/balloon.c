// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Asks a guest for pages, returns them, adds memory. The record of what is out is a map of bits,
 * because a guest may give single pages in any order, and each range of it must be checked.
 */
#include "host/balloon.h"

#define WORD_BITS   32u
#define MIB_PAGES   256u
#define ALIGN_PAGES (128u * MIB_PAGES) /* Linux adds no less */

/* Dynamic memory came with the first service pack of 2008 R2. */
static const struct {
	uint32_t version, since;
} known[] = {
	{ VMB_BALLOON_VERSION_1, VMB_VERSION_1_1 },
	{ VMB_BALLOON_VERSION_2, VMB_VERSION_2_4 },
	{ VMB_BALLOON_VERSION_3, VMB_VERSION_4_0 },
};

bool vmb_host_balloon_exists(uint32_t bus_version)
{
	return known[0].since <= bus_version;
}

static bool accepts(const struct vmb_host_balloon *b, uint32_t version)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(known); i++)
		if (known[i].version == version)
			return known[i].since <= b->config.bus_version;
	return false;
}

void vmb_host_balloon_init(struct vmb_host_balloon *b, const struct vmb_host_balloon_config *config)
{
	memset(b, 0, sizeof(*b));
	b->config = *config;
}

void vmb_host_balloon_reset(struct vmb_host_balloon *b)
{
	if (b->out)
		memset(b->config.map, 0, b->config.map_pages / 8);
	b->state = VMB_HOST_BALLOON_VERSIONS;
	b->version = 0;
	b->caps = b->out = b->wanted = b->done = b->giving = b->lowest = 0;
	b->info_due = b->refused = false;
	b->taken_count = b->output_len = 0;
	memset(&b->status, 0, sizeof(b->status));
}

/* The map */

static uint32_t bit_of(uint64_t page)
{
	return 1u << (page % WORD_BITS);
}

bool vmb_host_balloon_is_out(const struct vmb_host_balloon *b, uint64_t page)
{
	return page < b->config.map_pages && b->config.map[page / WORD_BITS] & bit_of(page);
}

static bool is_ram(const struct vmb_host_balloon *b, uint64_t first, uint64_t count)
{
	const struct vmb_host_ram *ram = b->config.ram;

	for (uint32_t i = 0; i < b->config.ram_count; i++)
		if (first >= ram[i].first_pfn && first - ram[i].first_pfn < ram[i].pfn_count)
			return count <= ram[i].pfn_count - (first - ram[i].first_pfn);
	return false;
}

/* Records a range that the guest gave. False: it may not give it. */
static bool take_range(struct vmb_host_balloon *b, uint64_t range)
{
	uint64_t first = VMB_BALLOON_RANGE_FIRST(range), count = VMB_BALLOON_RANGE_COUNT(range);

	if (!count || count > b->wanted - b->done || !is_ram(b, first, count) ||
	    first + count > b->config.map_pages)
		return false;
	for (uint64_t page = first; page < first + count; page++) {
		if (vmb_host_balloon_is_out(b, page))
			return false;
		b->config.map[page / WORD_BITS] |= bit_of(page);
		b->out++;
	}
	if (first < b->lowest)
		b->lowest = first - first % WORD_BITS;
	b->done += count;
	return true;
}

/* Finds the lowest page that is out. There is one. */
static uint64_t find_lowest(struct vmb_host_balloon *b)
{
	uint64_t page = b->lowest;

	while (!b->config.map[page / WORD_BITS])
		page += WORD_BITS;
	b->lowest = page;
	while (!vmb_host_balloon_is_out(b, page))
		page++;
	return page;
}

/* Takes the lowest range that is out off the record, most pages at most. */
static uint64_t pop_range(struct vmb_host_balloon *b, uint64_t most)
{
	uint64_t first = find_lowest(b), count = 0;

	if (most > VMB_BALLOON_RANGE_PAGE_MAX)
		most = VMB_BALLOON_RANGE_PAGE_MAX;
	while (count < most && vmb_host_balloon_is_out(b, first + count)) {
		b->config.map[(first + count) / WORD_BITS] &= ~bit_of(first + count);
		count++;
	}
	b->out -= count;
	return VMB_BALLOON_RANGE(first, count);
}

/* Output */

/* Completes a message whose header comes first; len bytes go into the packet. */
static void send(struct vmb_host_balloon *b, enum vmb_balloon_type type, const void *message,
		 uint32_t len)
{
	const struct vmb_balloon_header header = { .type = (uint16_t)type,
						   .len = (uint16_t)len,
						   .transaction_id = ++b->transaction_id };

	if (message)
		memcpy(b->packet, message, len);
	memcpy(b->packet, &header, sizeof(header));
	b->output_len = len;
}

static void make_info(struct vmb_host_balloon *b)
{
	struct vmb_balloon_info info = { .info_len = 16,
					 .type = VMB_BALLOON_INFO_PAGE_MAX,
					 .data_len = sizeof(info.page_max),
					 .page_max = b->config.page_max };

	b->info_due = false;
	send(b, VMB_BALLOON_INFO, &info, sizeof(info));
}

/* What is in a message is the guest's, whether it is sent or the channel closes before. */
static void make_return(struct vmb_host_balloon *b)
{
	struct vmb_balloon_return head = { .range_count = 0 };
	uint32_t len = sizeof(head);

	while (b->giving && head.range_count < VMB_BALLOON_RANGE_MAX) {
		uint64_t range = pop_range(b, b->giving);

		memcpy(b->packet + len, &range, sizeof(range));
		len += sizeof(range);
		head.range_count++;
		b->giving -= VMB_BALLOON_RANGE_COUNT(range);
	}
	head.more = b->giving > 0;
	memcpy(b->packet, &head, sizeof(head));
	send(b, VMB_BALLOON_RETURN, NULL, len);
}

const void *vmb_host_balloon_output(struct vmb_host_balloon *b, uint32_t *len)
{
	if (!b->output_len && b->info_due)
		make_info(b);
	if (!b->output_len && b->giving)
		make_return(b);
	*len = b->output_len;
	return b->output_len ? b->packet : NULL;
}

void vmb_host_balloon_output_done(struct vmb_host_balloon *b)
{
	b->output_len = 0;
}

static bool is_waiting_to_send(const struct vmb_host_balloon *b)
{
	return b->output_len || b->info_due || b->giving;
}

/* Input */

static int answer(struct vmb_host_balloon *b, enum vmb_balloon_type type, bool accepted)
{
	const struct vmb_balloon_accept message = { .flags = accepted ? VMB_BALLOON_ACCEPTED : 0 };

	send(b, type, &message, sizeof(message));
	return VMB_HOST_BALLOON_NOTHING;
}

static int take_version(struct vmb_host_balloon *b, const void *message)
{
	const struct vmb_balloon_version *proposed = message;
	bool accepted = accepts(b, proposed->version);

	if (accepted) {
		b->version = proposed->version;
		b->state = VMB_HOST_BALLOON_CAPABILITIES;
	}
	return answer(b, VMB_BALLOON_VERSION_RESPONSE, accepted);
}

static int take_caps(struct vmb_host_balloon *b, const void *message)
{
	const struct vmb_balloon_caps *caps = message;

	b->caps = caps->caps;
	b->state = VMB_HOST_BALLOON_OPEN;
	answer(b, VMB_BALLOON_CAPS_RESPONSE, true);
	b->info_due = b->version >= VMB_BALLOON_VERSION_2;
	return VMB_HOST_BALLOON_READY;
}

static int take_status(struct vmb_host_balloon *b, const void *message)
{
	memcpy(&b->status, message, sizeof(b->status));
	b->statuses++;
	return VMB_HOST_BALLOON_STATUS;
}

static int take_pages(struct vmb_host_balloon *b, const void *message)
{
	const struct vmb_balloon_response *head = message;
	uint32_t count = head->more_and_count >> 1;

	if (count > (head->header.len - sizeof(*head)) / sizeof(uint64_t))
		return VMB_EPROTO;
	memcpy(b->taken, head + 1, count * sizeof(uint64_t));
	for (uint32_t i = 0; i < count; i++)
		if (!take_range(b, b->taken[i]))
			return VMB_EPROTO;
	b->taken_count = count;
	if (!(head->more_and_count & 1))
		b->state = VMB_HOST_BALLOON_OPEN;
	else if (!count) /* a guest could go on with nothing for ever */
		return VMB_EPROTO;
	return VMB_HOST_BALLOON_TAKEN;
}

static int take_returned(struct vmb_host_balloon *b, const void *message)
{
	b->done = b->wanted;
	b->state = VMB_HOST_BALLOON_OPEN;
	return VMB_HOST_BALLOON_NOTHING;
}

static int take_added(struct vmb_host_balloon *b, const void *message)
{
	const struct vmb_balloon_add_response *response = message;

	if (response->page_count > b->wanted)
		return VMB_EPROTO;
	b->done = response->page_count;
	b->refused = !response->page_count && response->result;
	b->state = VMB_HOST_BALLOON_OPEN;
	return VMB_HOST_BALLOON_NOTHING;
}

/* What a guest may say, and when. asked: only when everything was sent that it can answer. */
static const struct row {
	enum vmb_balloon_type type;
	enum vmb_host_balloon_state from, to;
	bool asked;
	uint32_t len_min;
	int (*take)(struct vmb_host_balloon *b, const void *message);
} rows[] = {
	{ VMB_BALLOON_VERSION_REQUEST, VMB_HOST_BALLOON_VERSIONS, VMB_HOST_BALLOON_VERSIONS, true,
	  sizeof(struct vmb_balloon_version), take_version },
	{ VMB_BALLOON_CAPS, VMB_HOST_BALLOON_CAPABILITIES, VMB_HOST_BALLOON_CAPABILITIES, true,
	  sizeof(struct vmb_balloon_caps), take_caps },
	{ VMB_BALLOON_STATUS, VMB_HOST_BALLOON_OPEN, VMB_HOST_BALLOON_ADDING, false,
	  sizeof(struct vmb_balloon_status), take_status },
	{ VMB_BALLOON_RESPONSE, VMB_HOST_BALLOON_ASKING, VMB_HOST_BALLOON_ASKING, true,
	  sizeof(struct vmb_balloon_response), take_pages },
	{ VMB_BALLOON_RETURN_RESPONSE, VMB_HOST_BALLOON_GIVING, VMB_HOST_BALLOON_GIVING, true,
	  sizeof(struct vmb_balloon_header), take_returned },
	{ VMB_BALLOON_ADD_RESPONSE, VMB_HOST_BALLOON_ADDING, VMB_HOST_BALLOON_ADDING, true,
	  sizeof(struct vmb_balloon_add_response), take_added },
};

static int judge(struct vmb_host_balloon *b, const void *payload, uint32_t len)
{
	struct vmb_balloon_header header;

	if (len < sizeof(header) || len > VMB_BALLOON_LEN_MAX)
		return VMB_EPROTO;
	memcpy(&header, payload, sizeof(header));
	if (header.len < sizeof(header) || header.len > len)
		return VMB_EPROTO;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];

		if (row->type == header.type && header.len >= row->len_min &&
		    b->state >= row->from && b->state <= row->to &&
		    !(row->asked && is_waiting_to_send(b)))
			return row->take(b, payload);
	}
	return VMB_EPROTO;
}

int vmb_host_balloon_input(struct vmb_host_balloon *b, const void *payload, uint32_t len)
{
	int step;

	b->taken_count = 0;
	step = judge(b, payload, len);
	if (step == VMB_EPROTO) {
		b->state = VMB_HOST_BALLOON_IDLE;
		b->output_len = 0;
		b->info_due = false;
		b->giving = 0;
	}
	return step;
}

/* Requests */

static int may_ask(const struct vmb_host_balloon *b, uint32_t cap, uint64_t pages)
{
	if (b->state != VMB_HOST_BALLOON_OPEN || is_waiting_to_send(b))
		return VMB_EAGAIN;
	if (!(b->caps & cap))
		return VMB_EOPNOTSUPP;
	return pages && pages <= UINT32_MAX ? 0 : VMB_EINVAL;
}

static void begin(struct vmb_host_balloon *b, enum vmb_host_balloon_state state, uint64_t pages)
{
	b->state = state;
	b->wanted = pages;
	b->done = 0;
	b->requests++;
}

int vmb_host_balloon_ask(struct vmb_host_balloon *b, uint64_t pages)
{
	const struct vmb_balloon_request message = { .page_count = (uint32_t)pages };
	int error = may_ask(b, VMB_BALLOON_CAP_BALLOON, pages);

	if (error)
		return error;
	begin(b, VMB_HOST_BALLOON_ASKING, pages);
	send(b, VMB_BALLOON_REQUEST, &message, sizeof(message));
	return 0;
}

int vmb_host_balloon_give(struct vmb_host_balloon *b, uint64_t pages)
{
	int error;

	if (pages > b->out)
		pages = b->out;
	error = may_ask(b, VMB_BALLOON_CAP_BALLOON, pages);
	if (error)
		return error;
	begin(b, VMB_HOST_BALLOON_GIVING, pages);
	b->giving = pages;
	return 0;
}

uint64_t vmb_host_balloon_alignment(const struct vmb_host_balloon *b)
{
	uint32_t shift = b->caps >> VMB_BALLOON_CAP_ALIGN_SHIFT & VMB_BALLOON_CAP_ALIGN_MASK;
	uint64_t pages = (uint64_t)MIB_PAGES << shift;

	return pages > ALIGN_PAGES ? pages : ALIGN_PAGES;
}

int vmb_host_balloon_add(struct vmb_host_balloon *b, uint64_t first, uint64_t pages,
			 uint64_t region_first, uint64_t region_pages)
{
	const struct vmb_balloon_add message = { .range = VMB_BALLOON_RANGE(first, pages),
						 .region = VMB_BALLOON_RANGE(region_first,
									     region_pages) };
	bool has_region = b->version >= VMB_BALLOON_VERSION_2;
	int error = may_ask(b, VMB_BALLOON_CAP_ADD, pages);

	if (error)
		return error;
	if (pages > VMB_BALLOON_RANGE_PAGE_MAX || region_pages > VMB_BALLOON_RANGE_PAGE_MAX)
		return VMB_EINVAL;
	begin(b, VMB_HOST_BALLOON_ADDING, pages);
	b->refused = false;
	send(b, VMB_BALLOON_ADD, &message, has_region ? sizeof(message) : VMB_BALLOON_ADD_LEN_MIN);
	return 0;
}

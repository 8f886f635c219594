// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads the log and the boot events that a Generation 2 firmware keeps in guest memory. */
#include <string.h>

#include "devices/uefi/log.h"

/* The log: a header, then messages. Source: docs/protocol/firmware.md, "Diagnostics". */
#define LOG_SIGNATURE	    0x474F4C41u /* "ALOG" */
#define MESSAGE_SIGNATURE   0x534D4C41u /* "ALMS" */
#define MESSAGE_SIGNATURE_2 0x324D4C41u /* "ALM2" */
#define LOG_LEN_MAX	    (64u << 20)

struct log_header {
	uint32_t signature;
	uint16_t version;
	uint16_t reserved1[3];
	uint32_t messages_at;
	uint32_t reserved2;
	uint32_t end_at;
} VMB_PACKED;

struct message {
	uint32_t signature;
	uint32_t level;
	uint64_t ticks;
	uint16_t text_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct message, 18);

struct message_2 {
	uint32_t signature;
	uint8_t major, minor;
	uint32_t level;
	uint64_t ticks;
	uint16_t phase;
	uint16_t text_len;
	uint16_t text_at;
} VMB_PACKED;
VMB_ASSERT_LEN(struct message_2, 24);

/* A flush of events: which channel, then records, each a descriptor and its data. */
#define FLUSH_LEN_MAX	  (1u << 20)
#define EVENT_BOOT_DEVICE 1u

struct flush {
	uint8_t channel[16];
	uint32_t written, lost, len;
} VMB_PACKED;

struct event {
	uint8_t producer[16], correlation[16];
	uint64_t created, committed;
	uint32_t id, flags, header_len, data_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct event, 64);

struct boot_event {
	uint32_t status;
	uint32_t reserved;
	uint64_t extended;
	uint16_t option;
} VMB_PACKED;

static const uint8_t boot_channel[16] = { 0x3B, 0x71, 0xC6, 0x8C, 0x0D, 0x36, 0x06, 0x44,
					  0x92, 0x68, 0xF6, 0xB0, 0xCF, 0xDF, 0xCA, 0x91 };

static bool read_attempt(const struct vmb_dev_memory *m, uint64_t gpa,
			 struct vmb_dev_uefi_attempt *attempt)
{
	struct boot_event event;

	if (!vmb_dev_memory_read(m, gpa, &event, sizeof(event)))
		return false;
	attempt->status = event.status;
	attempt->extended = event.extended;
	attempt->option = event.option;
	return true;
}

uint32_t vmb_dev_uefi_log_attempts(const struct vmb_dev_memory *m, uint64_t gpa,
				   struct vmb_dev_uefi_attempt *attempts, uint32_t max)
{
	struct flush flush;
	struct event event;
	uint32_t count = 0;
	uint64_t at, end;

	if (!vmb_dev_memory_read(m, gpa, &flush, sizeof(flush)) || flush.len > FLUSH_LEN_MAX ||
	    memcmp(flush.channel, boot_channel, sizeof(boot_channel)) != 0)
		return 0;
	at = gpa + sizeof(flush);
	end = at + flush.len;
	while (count < max && at + sizeof(event) <= end &&
	       vmb_dev_memory_read(m, at, &event, sizeof(event)) &&
	       event.header_len >= sizeof(event) && event.header_len <= end - at &&
	       event.data_len <= end - at - event.header_len) {
		if (event.id == EVENT_BOOT_DEVICE && event.data_len >= sizeof(struct boot_event) &&
		    read_attempt(m, at + event.header_len, &attempts[count]))
			count++;
		at += event.header_len + event.data_len;
	}
	return count;
}

static const struct {
	uint32_t status;
	const char *text;
} statuses[] = {
	{ 0, "not finished" },
	{ 0x10000, "no file system that the firmware can read" },
	{ 0x10001, "no loader (\\EFI\\BOOT\\BOOTX64.EFI)" },
	{ 0x10002, "a loader for another processor" },
	{ 0x10003, "its loader returned with an error" },
	{ 0x10004, "its loader returned without starting a system" },
	{ 0x10005, "started" },
	{ 0x10006, "there is no device" },
	{ 0x10007, "its loader could not be read" },
	{ 0x20000, "Secure Boot refused it" },
	{ 0x20001, "Secure Boot's policy denies it" },
	{ 0x20002, "Secure Boot: its hash is in dbx" },
	{ 0x20003, "Secure Boot: its certificate is in dbx" },
	{ 0x20004, "Secure Boot: not a valid program" },
	{ 0x20005, "Secure Boot: not signed, and its hash is not in db" },
	{ 0x20006, "Secure Boot: its signature is not in db" },
	{ 0x20007, "Secure Boot: neither its certificate nor its hash is in db" },
	{ 0x30000, "network: no cable" },
	{ 0x30001, "network: no answer to DHCP" },
	{ 0x30002, "network: no server offers a boot file" },
	{ 0x30003, "network: the boot file is too large" },
	{ 0x30004, "network: the card failed" },
	{ 0x30005, "network: no resources" },
	{ 0x30006, "network: the server stopped answering" },
	{ 0x30007, "network: cancelled" },
	{ 0x30008, "network: ICMP error" },
	{ 0x30009, "network: TFTP error" },
	{ 0x3000A, "network: no boot file" },
	{ 0x3000B, "network: unexpected failure" },
};

const char *vmb_dev_uefi_log_status(uint32_t status)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "unknown status";
}

bool vmb_dev_uefi_log_is_start(uint32_t status)
{
	return status == 0x10005;
}

/* Where a message has its text, and how long, in either form. Returns the bytes of the entry. */
static uint32_t read_entry(const struct vmb_dev_memory *m, uint64_t gpa, uint32_t *level,
			   uint32_t *text_at, uint32_t *text_len)
{
	struct message_2 second;
	struct message first;

	if (!vmb_dev_memory_read(m, gpa, &second, sizeof(second)))
		return 0;
	memcpy(&first, &second, sizeof(first));
	if (second.signature == MESSAGE_SIGNATURE_2 && second.text_at >= sizeof(second)) {
		*level = second.level;
		*text_at = second.text_at;
		*text_len = second.text_len;
	} else if (first.signature == MESSAGE_SIGNATURE) {
		*level = first.level;
		*text_at = sizeof(first);
		*text_len = first.text_len;
	} else {
		return 0;
	}
	return (*text_at + *text_len + 7) & ~7u;
}

size_t vmb_dev_uefi_log_next(const struct vmb_dev_memory *m, uint64_t gpa, uint32_t *at,
			     uint32_t *level, char *text, size_t size)
{
	uint32_t entry, text_at, text_len;
	struct log_header header;

	if (!vmb_dev_memory_read(m, gpa, &header, sizeof(header)) ||
	    header.signature != LOG_SIGNATURE || header.end_at > LOG_LEN_MAX)
		return 0;
	if (!*at)
		*at = header.messages_at;
	if (*at < sizeof(header) || *at >= header.end_at)
		return 0;
	entry = read_entry(m, gpa + *at, level, &text_at, &text_len);
	if (!entry || entry > header.end_at - *at)
		return 0;
	text_len = text_len < size ? text_len : size - 1;
	if (!vmb_dev_memory_read(m, gpa + *at + text_at, text, text_len))
		return 0;
	text[text_len] = 0;
	*at += entry;
	return text_len;
}

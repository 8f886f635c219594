// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * --net KIND[=TARGET][,PROPERTY]...
 *
 * A card without mac= gets a locally administered address, the same in every run: of the card's
 * number on a network of its own, of the interface's name on a tap. Guests on one switch must not
 * have the same, and nothing is known of the others: there it is random.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>

#include "base/platform.h"
#include "devices/net/capture.h"
#include "devices/net/net.h"
#include "devices/report.h"
#include "devices/text.h"

#define QUEUE_MAX     64u
#define MTU_DEFAULT   1500u
#define MTU_MIN	      1500u
#define MTU_MAX	      65521u
#define PORT_MAX      65535u
#define DHCP_CODE_MAX 254u
#define HASH_START    2166136261u
#define HASH_FACTOR   16777619u

static const struct kind {
	const char *name;
	const char *target; /* what it needs, NULL: nothing */
	uint32_t target_len_max;
} kinds[] = {
	[VMB_DEV_NET_NULL] = { "null", NULL, 0 },
	[VMB_DEV_NET_USER] = { "user", NULL, 0 },
	[VMB_DEV_NET_TAP] = { "tap", "the interface's name", IFNAMSIZ - 1 },
	[VMB_DEV_NET_SWITCH] = { "switch", "the socket's path",
				 sizeof(((struct sockaddr_un *)0)->sun_path) - 1 },
};

static int refuse(const struct vmb_dev_net_option *option, const char *name, const char *value,
		  const char *why)
{
	vmb_dev_report("--net %s: %s=%s: %s", kinds[option->kind].name, name, value, why);
	return -EINVAL;
}

/* "PORT" up to the end or to end. */
static bool parse_port(const char *text, char end, uint16_t *port, const char **rest)
{
	uint64_t n;

	if (!vmb_dev_text_number(text, PORT_MAX, &n, rest) || !n || **rest != end)
		return false;
	*port = n;
	return true;
}

/* "[ADDRESS]:PORT" */
static bool parse_end(const char *text, char end, uint32_t *address, uint16_t *port,
		      const char **rest)
{
	char copy[INET_ADDRSTRLEN] = "";
	const char *colon = strchr(text, ':');

	if (!colon || colon - text >= (int)sizeof(copy))
		return false;
	memcpy(copy, text, colon - text);
	*address = 0;
	return (!*copy || inet_pton(AF_INET, copy, address) == 1) &&
	       parse_port(colon + 1, end, port, rest);
}

static int parse_forward(struct vmb_dev_net_option *option, char *value)
{
	struct vmb_dev_net_forward f = { .udp = strncmp(value, "udp:", 4) == 0 };
	const char *rest;

	if (option->kind != VMB_DEV_NET_USER)
		return refuse(option, "hostfwd", value, "only --net user forwards ports");
	if ((!f.udp && strncmp(value, "tcp:", 4) != 0) ||
	    !parse_end(value + 4, '-', &f.host_address, &f.host_port, &rest) ||
	    !parse_end(rest + 1, 0, &f.guest_address, &f.guest_port, &rest))
		return refuse(option, "hostfwd", value,
			      "give tcp or udp:[ADDRESS]:PORT-[ADDRESS]:PORT, for example "
			      "tcp:127.0.0.1:2222-:22");
	if (option->forward_count == VMB_DEV_NET_FORWARD_MAX)
		return refuse(option, "hostfwd", value, "at most 16 ports are forwarded");
	option->forwards[option->forward_count++] = f;
	return 0;
}

static int parse_redirect(struct vmb_dev_net_option *option, char *value)
{
	struct vmb_dev_net_redirect r;
	const char *rest;

	if (option->kind != VMB_DEV_NET_USER)
		return refuse(option, "redirect", value, "only --net user has it");
	if (!parse_end(value, '-', &r.from_address, &r.from_port, &rest) ||
	    !parse_end(rest + 1, 0, &r.to_address, &r.to_port, &rest) || !r.from_address ||
	    !r.to_address)
		return refuse(option, "redirect", value,
			      "give ADDRESS:PORT-ADDRESS:PORT, for example "
			      "169.254.169.254:80-127.0.0.1:8080");
	if (option->redirect_count == VMB_DEV_NET_REDIRECT_MAX)
		return refuse(option, "redirect", value, "at most 8 are redirected");
	option->redirects[option->redirect_count++] = r;
	return 0;
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		return -1;
	return at - digits < 16 ? at - digits : at - digits - 6;
}

/* Pairs of hexadecimal digits up to the end of text. */
static bool parse_bytes(const char *text, struct vmb_dev_net_dhcp_option *o)
{
	for (o->len = 0; *text; text += 2) {
		int high = hex(text[0]), low = hex(text[1]);

		if (high < 0 || low < 0 || o->len == sizeof(o->bytes))
			return false;
		o->bytes[o->len++] = high << 4 | low;
	}
	return o->len > 0;
}

static int parse_dhcp_option(struct vmb_dev_net_option *option, char *value)
{
	struct vmb_dev_net_dhcp_option o;
	const char *rest;
	uint64_t code;

	if (option->kind != VMB_DEV_NET_USER)
		return refuse(option, "dhcp-option", value, "only --net user has it");
	if (!vmb_dev_text_number(value, DHCP_CODE_MAX, &code, &rest) || !code || *rest != ':' ||
	    !parse_bytes(rest + 1, &o))
		return refuse(option, "dhcp-option", value,
			      "give CODE:HEX, 1 to 254 and at most 32 bytes, for example "
			      "245:a83f8110");
	if (option->dhcp_option_count == VMB_DEV_NET_DHCP_MAX)
		return refuse(option, "dhcp-option", value, "at most 4 are given");
	o.code = code;
	option->dhcp_options[option->dhcp_option_count++] = o;
	return 0;
}

static int parse_mac(struct vmb_dev_net_option *option, char *value)
{
	static const uint8_t zero[6];
	uint8_t mac[6] = { 0 };
	bool good = strlen(value) == 17;

	for (int i = 0; good && i < 6; i++) {
		int high = hex(value[3 * i]), low = hex(value[3 * i + 1]);

		good = high >= 0 && low >= 0 && value[3 * i + 2] == (i < 5 ? ':' : 0);
		mac[i] = good ? high << 4 | low : 0;
	}
	if (!good || mac[0] & 1 || memcmp(mac, zero, sizeof(mac)) == 0)
		return refuse(option, "mac", value,
			      "give one card's address, for example 02:00:00:00:00:01");
	memcpy(option->mac, mac, sizeof(mac));
	option->has_mac = true;
	return 0;
}

static int parse_queues(struct vmb_dev_net_option *option, char *value)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, QUEUE_MAX, &n, &rest) || *rest || !n)
		return refuse(option, "queues", value, "give a number from 1 to 64");
	option->queue_count = n;
	return 0;
}

static int parse_mtu(struct vmb_dev_net_option *option, char *value)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, MTU_MAX, &n, &rest) || *rest || n < MTU_MIN)
		return refuse(option, "mtu", value, "give a number from 1500 to 65521");
	option->mtu_max = n;
	return 0;
}

static int parse_monitor(struct vmb_dev_net_option *option, char *value)
{
	option->monitored = strcmp(value, "on") == 0;
	if (option->monitored || strcmp(value, "auto") == 0)
		return 0;
	return refuse(option, "monitor", value, "give on, or auto: as --monitor says");
}

static int parse_rsc(struct vmb_dev_net_option *option, char *value)
{
	option->no_rsc = strcmp(value, "off") == 0;
	if (option->no_rsc || strcmp(value, "auto") == 0)
		return 0;
	return refuse(option, "rsc", value, "give off, or auto: if the network has large frames");
}

static int parse_capture(struct vmb_dev_net_option *option, char *value)
{
	if (!*value)
		return refuse(option, "capture", value, "the file's name is missing");
	option->capture = value;
	return 0;
}

static int parse_capture_size(struct vmb_dev_net_option *option, char *value)
{
	if (!vmb_dev_text_size(value, &option->capture_len) || !option->capture_len)
		return refuse(option, "capture-size", value, "give a size, for example 100M");
	return 0;
}

/* "on" or "off" of a property that only a user network has. */
static int parse_switch(struct vmb_dev_net_option *option, const char *name, const char *value,
			bool *on)
{
	if (option->kind != VMB_DEV_NET_USER)
		return refuse(option, name, value, "only --net user has it");
	*on = strcmp(value, "on") == 0;
	return *on || strcmp(value, "off") == 0 ? 0 : refuse(option, name, value, "give on or off");
}

static int parse_restrict(struct vmb_dev_net_option *option, char *value)
{
	return parse_switch(option, "restrict", value, &option->restricted);
}

static int parse_loopback(struct vmb_dev_net_option *option, char *value)
{
	bool on = true;
	int error = parse_switch(option, "loopback", value, &on);

	option->no_loopback = !on;
	return error;
}

static const struct {
	const char *name;
	int (*parse)(struct vmb_dev_net_option *option, char *value);
} properties[] = {
	{ "hostfwd", parse_forward },	{ "mac", parse_mac },
	{ "queues", parse_queues },	{ "mtu", parse_mtu },
	{ "capture", parse_capture },	{ "capture-size", parse_capture_size },
	{ "restrict", parse_restrict }, { "loopback", parse_loopback },
	{ "redirect", parse_redirect }, { "dhcp-option", parse_dhcp_option },
	{ "monitor", parse_monitor },	{ "rsc", parse_rsc },
};

static int parse_property(struct vmb_dev_net_option *option, char *text)
{
	char *name = strsep(&text, "=");

	for (size_t i = 0; text && i < VMB_ARRAY_COUNT(properties); i++)
		if (strcmp(name, properties[i].name) == 0)
			return properties[i].parse(option, text);
	vmb_dev_report("--net %s: no property '%s'; there are hostfwd=, redirect=, dhcp-option=, "
		       "restrict=, loopback=, mac=, queues=, mtu=, monitor=, rsc=, capture= and "
		       "capture-size=",
		       kinds[option->kind].name, name);
	return -EINVAL;
}

static int parse_kind(struct vmb_dev_net_option *option, char *text)
{
	char *name = strsep(&text, "=");
	const struct kind *kind = kinds;

	while (kind < kinds + VMB_ARRAY_COUNT(kinds) && strcmp(name, kind->name))
		kind++;
	if (kind == kinds + VMB_ARRAY_COUNT(kinds) || (!kind->target && text)) {
		vmb_dev_report("--net %s: give user, tap=NAME, switch=SOCKET, null or none", name);
		return -EINVAL;
	}
	option->kind = kind - kinds;
	option->target = text;
	if (!kind->target)
		return 0;
	if (!text || !*text) {
		vmb_dev_report("--net %s: %s is missing", name, kind->target);
		return -EINVAL;
	}
	if (strlen(text) <= kind->target_len_max)
		return 0;
	vmb_dev_report("--net %s=%s: %s has at most %u characters", name, text, kind->target,
		       kind->target_len_max);
	return -EINVAL;
}

static void make_mac(struct vmb_dev_net_option *option, uint32_t number)
{
	uint32_t tail = number;

	if (option->kind == VMB_DEV_NET_TAP) {
		tail = HASH_START;
		for (const char *c = option->target; *c; c++)
			tail = (tail ^ (uint8_t)*c) * HASH_FACTOR;
	}
	if (option->kind == VMB_DEV_NET_SWITCH && getrandom(&tail, sizeof(tail), 0) != sizeof(tail))
		tail = number;
	option->mac[0] = 0x02;
	option->mac[1] = option->kind;
	for (int i = 0; i < 4; i++)
		option->mac[2 + i] = tail >> (24 - 8 * i);
}

int vmb_dev_net_parse(struct vmb_dev_net_option *option, char *value, uint32_t number)
{
	*option = (struct vmb_dev_net_option){ .queue_count = 1,
					       .mtu_max = MTU_DEFAULT,
					       .capture_len = VMB_DEV_CAPTURE_LEN_DEFAULT };
	if (parse_kind(option, strsep(&value, ",")))
		return -EINVAL;
	while (value)
		if (parse_property(option, strsep(&value, ",")))
			return -EINVAL;
	if (option->redirect_count && (option->restricted || option->no_loopback)) {
		vmb_dev_report("--net user: redirect= needs what restrict=on and loopback=off "
			       "forbid; leave them out");
		return -EINVAL;
	}
	if (!option->has_mac)
		make_mac(option, number);
	return 0;
}

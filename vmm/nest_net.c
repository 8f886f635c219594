// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Finds the forwarded ports of a command line that runs in a nest, and rewrites them for the
 * program in there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/report.h"
#include "vmm/nest_net.h"

#define GATEWAY "10.0.3.2" /* of the nest's own network (lab/nest/openvmbus-nest): this machine */

static const char prefix[] = "hostfwd=", redirect[] = "redirect=";

/* One "hostfwd=PROTOCOL:ADDRESS:PORT-..." between two commas. */
struct forward {
	const char *protocol, *address, *port, *guest; /* where each begins in the text */
};

/*
 * The value of a card that ends the argument, or NULL: how the option before it is spelt does not
 * matter.
 */
static const char *value_in(const struct vmb_vmm_options *o, const char *argument)
{
	const char *end = argument + strlen(argument);

	for (uint32_t i = 0; i < o->net_count; i++)
		if (o->nets[i].text >= argument && o->nets[i].text <= end)
			return o->nets[i].text;
	return NULL;
}

/* The first forwarded port of text; false: there is none. Its form was checked with the options. */
static bool next_forward(const char *text, struct forward *f)
{
	while (strncmp(text, prefix, sizeof(prefix) - 1)) {
		text = strchr(text, ',');
		if (!text)
			return false;
		text++;
	}
	f->protocol = text + sizeof(prefix) - 1;
	f->address = strchr(f->protocol, ':');
	f->guest = strchr(f->protocol, '-');
	if (!f->address || !f->guest || f->guest < f->address)
		return false;
	f->address++;
	f->port = memrchr(f->address, ':', f->guest - f->address);
	return f->port++ != NULL;
}

static bool is_udp(const struct forward *f)
{
	return strncmp(f->protocol, "udp:", 4) == 0;
}

static int address_len(const struct forward *f)
{
	return f->port - 1 - f->address;
}

/* QEMU would find it too, but report it in its own way and after the nest was prepared. */
static bool port_is_free(const struct forward *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(f->port)) };
	char address[INET_ADDRSTRLEN];
	int fd, one = 1, error = 0;

	snprintf(address, sizeof(address), "%.*s", address_len(f), f->address);
	if (*address && inet_pton(AF_INET, address, &at.sin_addr) != 1)
		error = EAFNOSUPPORT;
	fd = socket(AF_INET, is_udp(f) ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (fd < 0)
		return true;
	if (!is_udp(f))
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!error && bind(fd, (struct sockaddr *)&at, sizeof(at)))
		error = errno;
	close(fd);
	if (error)
		vmb_dev_report("--net hostfwd=%.*s: %s; give another port",
			       (int)(f->guest - f->protocol), f->protocol, strerror(error));
	return !error;
}

static bool card_is_possible(const struct vmb_dev_net_option *net)
{
	static const char *const outside[] = {
		[VMB_DEV_NET_TAP] = "tap", [VMB_DEV_NET_SWITCH] = "switch"
	};
	const char *what = net->kind < VMB_ARRAY_COUNT(outside) ? outside[net->kind] : NULL;

	if (what)
		vmb_dev_report("--net %s: a nest has no %s of this machine; use --net user, or "
			       "lab/warm-nest exec for all that belongs together",
			       net->text, what);
	return !what;
}

bool vmb_vmm_nest_net_check(const struct vmb_vmm_options *o)
{
	const char *value;
	struct forward f;

	for (uint32_t i = 0; i < o->net_count; i++) {
		if (!card_is_possible(&o->nets[i]))
			return false;
		for (value = o->nets[i].text; next_forward(value, &f); value = f.guest)
			if (!port_is_free(&f))
				return false;
	}
	return true;
}

uint32_t vmb_vmm_nest_net_port_count(const struct vmb_vmm_options *o)
{
	uint32_t count = 0;
	const char *value;
	struct forward f;

	for (uint32_t i = 0; i < o->net_count; i++)
		for (value = o->nets[i].text; next_forward(value, &f); value = f.guest)
			count++;
	return count;
}

char *vmb_vmm_nest_net_port(const struct vmb_vmm_options *o, uint32_t index)
{
	const char *value;
	struct forward f;

	for (uint32_t i = 0; i < o->net_count; i++)
		for (value = o->nets[i].text; next_forward(value, &f); value = f.guest)
			if (!index--)
				return strndup(f.protocol, f.guest - f.protocol);
	return NULL;
}

/*
 * One property, up to its comma. A forwarded port has any address of the nest; this machine's
 * loopback address is, from within the nest, that of its gateway.
 */
static void print_inner(FILE *out, const char *property, int len)
{
	static const char here[] = "-127.0.0.1:";
	struct forward f;
	const char *to;

	if (strncmp(property, prefix, sizeof(prefix) - 1) == 0 && next_forward(property, &f)) {
		fprintf(out, "%.*s%.*s", (int)(f.address - property), property,
			(int)(property + len - (f.port - 1)), f.port - 1);
		return;
	}
	to = memmem(property, len, here, sizeof(here) - 1);
	if (!to || strncmp(property, redirect, sizeof(redirect) - 1)) {
		fprintf(out, "%.*s", len, property);
		return;
	}
	fprintf(out, "%.*s-" GATEWAY ":", (int)(to - property), property);
	to += sizeof(here) - 1;
	fprintf(out, "%.*s", (int)(property + len - to), to);
}

char *vmb_vmm_nest_net_inner(const struct vmb_vmm_options *o, const char *argument)
{
	const char *value = value_in(o, argument), *end;
	size_t len;
	char *text;
	FILE *out;

	if (!value || (!strstr(value, prefix) && !strstr(value, redirect)))
		return NULL;
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fprintf(out, "%.*s", (int)(value - argument), argument);
	for (; *value; value = end + (*end == ',')) {
		end = strchrnul(value, ',');
		print_inner(out, value, end - value);
		if (*end)
			fputc(*end, out);
	}
	return fclose(out) ? NULL : text;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Answers frames. An answer is written over a copy of the frame's headers, with both addresses of
 * each layer exchanged. Lengths in a frame are the sender's word: each is compared with the
 * frame's own.
 * Sources: RFC 826 (ARP), 791 (IPv4), 792 (ICMP), 9293 (TCP).
 */
#include "ports/baremetal/internet.h"
#include "ports/baremetal/machine.h"

#define ETHERNET      14u
#define IP	      20u
#define TCP	      20u
#define ARP_LEN	      42u
#define TYPE_ARP      0x0806u
#define TYPE_IP	      0x0800u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP  6u
#define FIN	      0x01u
#define SYN	      0x02u
#define RST	      0x04u
#define PUSH	      0x08u
#define ACK	      0x10u
#define WINDOW	      4096u

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t add_words(uint32_t sum, const uint8_t *at, uint32_t len)
{
	for (; len > 1; len -= 2, at += 2)
		sum += get16(at);
	return len ? sum + ((uint32_t)at[0] << 8) : sum;
}

/* 0 over bytes that contain their own right checksum. */
static uint32_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return ~sum & 0xFFFF;
}

/* Of a TCP segment behind its IPv4 header: addresses, protocol and length count, too. */
static uint32_t tcp_checksum(const uint8_t *ip, uint32_t len)
{
	return checksum(add_words(add_words(PROTOCOL_TCP + len, ip + 12, 8), ip + IP, len));
}

static void exchange(uint8_t *a, uint8_t *b, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

/* frame has IP's addresses of the request; len bytes follow its header. */
static void answer_ip(struct vmb_metal_internet *n, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + ETHERNET;

	put16(ip + 2, IP + len);
	put16(ip + 6, 0x4000); /* not to be fragmented */
	ip[8] = 64; /* hops */
	put16(ip + 10, 0);
	put16(ip + 10, checksum(add_words(0, ip, IP)));
	exchange(frame, frame + 6, 6);
	memcpy(frame + 6, n->card->core.agreed.mac, 6);
	vmb_metal_card_send(n->card, frame, ETHERNET + IP + len);
}

static bool take_arp(struct vmb_metal_internet *n, uint8_t *frame, uint32_t len)
{
	static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t *arp = frame + ETHERNET;

	if (len < ARP_LEN || memcmp(arp, request, sizeof(request)) ||
	    memcmp(arp + 24, n->address, 4))
		return false;
	put16(arp + 6, 2);
	exchange(arp + 8, arp + 18, 10);
	memcpy(arp + 8, n->card->core.agreed.mac, 6);
	memcpy(frame, arp + 18, 6);
	memcpy(frame + 6, n->card->core.agreed.mac, 6);
	vmb_metal_card_send(n->card, frame, ARP_LEN);
	return true;
}

static bool take_icmp(struct vmb_metal_internet *n, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + ETHERNET, *icmp = ip + IP;

	if (len < 8 || icmp[0] != 8 || icmp[1] || checksum(add_words(0, icmp, len)))
		return false;
	icmp[0] = 0;
	put16(icmp + 2, 0);
	put16(icmp + 2, checksum(add_words(0, icmp, len)));
	exchange(ip + 12, ip + 16, 4);
	n->pings++;
	answer_ip(n, frame, len);
	return true;
}

/* Ours, for these addresses and ports, as the peer sees them. */
static uint32_t first_sequence(const struct vmb_metal_internet *n, const uint8_t *ip)
{
	uint32_t mixed = n->secret ^ get32(ip + 12);

	mixed = (mixed ^ mixed >> 16) * 0x45D9F3Bu ^ get32(ip + IP);
	mixed = (mixed ^ mixed >> 15) * 0x2C1B3C6Du;
	return mixed ^ mixed >> 16;
}

/* ip has the request's header; len bytes of data stand behind a header of TCP bytes. */
static void answer_tcp(struct vmb_metal_internet *n, uint8_t *frame, uint32_t sequence,
		       uint32_t acknowledged, uint32_t bits, uint32_t len)
{
	uint8_t *ip = frame + ETHERNET, *tcp = ip + IP;

	exchange(ip + 12, ip + 16, 4);
	exchange(tcp, tcp + 2, 2);
	put32(tcp + 4, sequence);
	put32(tcp + 8, acknowledged);
	put16(tcp + 12, (TCP / 4) << 12 | bits);
	put16(tcp + 14, WINDOW);
	put32(tcp + 16, 0); /* and no urgent data */
	put16(tcp + 16, tcp_checksum(ip, TCP + len));
	answer_ip(n, frame, TCP + len);
}

static void serve(struct vmb_metal_internet *n, uint8_t *frame, const uint8_t *data, uint32_t len,
		  uint32_t sequence, uint32_t acknowledged)
{
	static char request[VMB_METAL_FRAME_MAX + 1];

	memcpy(request, data, len);
	request[len] = 0;
	n->pages++;
	len = n->page(n->arg, request, (char *)frame + ETHERNET + IP + TCP, VMB_METAL_PAGE_MAX);
	answer_tcp(n, frame, sequence, acknowledged, FIN | PUSH | ACK, len);
}

/* len: bytes of the segment. The whole of a request stands in the first segment with data. */
static bool take_tcp(struct vmb_metal_internet *n, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + ETHERNET, *tcp = ip + IP;
	uint32_t header = len < TCP ? 0 : (tcp[12] >> 4) * 4u, bits, theirs, ours;

	if (header < TCP || header > len || tcp_checksum(ip, len) ||
	    get16(tcp + 2) != VMB_METAL_PORT)
		return false;
	bits = tcp[13];
	ours = first_sequence(n, ip);
	theirs = get32(tcp + 4) + (len - header);
	if (bits & RST)
		return true;
	if (bits & SYN)
		answer_tcp(n, frame, ours, theirs + 1, SYN | ACK, 0);
	else if (len > header && get32(tcp + 8) == ours + 1)
		serve(n, frame, tcp + header, len - header, ours + 1, theirs + !!(bits & FIN));
	else if (bits & FIN)
		answer_tcp(n, frame, get32(tcp + 8), theirs + 1, ACK, 0);
	return true;
}

static bool take_ip(struct vmb_metal_internet *n, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + ETHERNET;
	uint32_t total = len < ETHERNET + IP ? 0 : get16(ip + 2);

	/* No options, no fragments, and for us. */
	if (total < IP || total > len - ETHERNET || ip[0] != 0x45 || get16(ip + 6) & 0x3FFF ||
	    memcmp(ip + 16, n->address, 4) || checksum(add_words(0, ip, IP)))
		return false;
	if (ip[9] == PROTOCOL_ICMP)
		return take_icmp(n, frame, total - IP);
	return ip[9] == PROTOCOL_TCP && take_tcp(n, frame, total - IP);
}

static void take_frame(void *arg, const uint8_t *bytes, uint32_t len)
{
	static uint8_t frame[VMB_METAL_FRAME_MAX];
	struct vmb_metal_internet *n = arg;
	uint32_t type = len < ETHERNET ? 0 : get16(bytes + 12);
	bool taken;

	memcpy(frame, bytes, len);
	if (type == TYPE_ARP)
		taken = take_arp(n, frame, len);
	else
		taken = type == TYPE_IP && take_ip(n, frame, len);
	n->refused += !taken;
}

void vmb_metal_internet_start(struct vmb_metal_internet *n, struct vmb_metal_card *card)
{
	n->card = card;
	n->secret = (uint32_t)vmb_metal_now() * 2654435761u;
	card->frame = take_frame;
	card->arg = n;
}

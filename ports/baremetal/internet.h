/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * As much of ARP, IPv4, ICMP and TCP as it takes to answer a ping and to serve one page. TCP has no
 * state: what is answered follows from the segment alone (the first sequence number is made from
 * the addresses and a number of this boot), the page fits into one segment, and whatever is lost
 * comes again with the peer's own repetition. So there is no table of connections to fill.
 */
#ifndef PORTS_BAREMETAL_INTERNET_H
#define PORTS_BAREMETAL_INTERNET_H

#include "ports/baremetal/card.h"

#define VMB_METAL_PAGE_MAX 1400u
#define VMB_METAL_PORT	   80u

struct vmb_metal_internet {
	struct vmb_metal_card *card;
	uint8_t address[4];
	uint32_t secret;
	uint64_t pings, pages,
		refused; /* refused: what no rule here answers, or a wrong checksum */
	/* Writes the page for a request, which ends with a NUL, to dst; returns its length. */
	uint32_t (*page)(void *arg, const char *request, char *dst, uint32_t room);
	void *arg;
};

/* Answers this card's frames from now on. The caller sets page and address before. */
void vmb_metal_internet_start(struct vmb_metal_internet *n, struct vmb_metal_card *card);

#endif

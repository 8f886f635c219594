/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A test bed for the host's message engine: plays the port (takes events, answers them unless told
 * to hold back, keeps what was delivered) and offers a hand that writes a guest's messages byte by
 * byte, from the tables of docs/protocol/bus.md and not from wire/vmbus.h.
 */
#ifndef TESTS_HOST_BED_H
#define TESTS_HOST_BED_H

#include "host/server.h"

#define BED_VP_COUNT  4u
#define BED_FIRST_PFN 0x100u /* guest RAM: 64Ki pages from here */
#define BED_HIGH_PFN  0x100000u /* a second region, 16 pages */
#define BED_LOG_LEN   4096u

struct bed_message { /* a delivered one */
	uint32_t vp, sint, len;
	uint8_t bytes[240];
};

struct bed_event {
	enum vmb_host_event_type type;
	struct vmb_host_channel *channel;
	uint32_t gpadl_id;
};

struct bed {
	struct vmb_host_server s;
	struct vmb_host_server_config config;
	bool hold_events; /* take none */
	bool hold_open, hold_close, hold_modify; /* take the event, answer later */
	bool refuse_memory; /* GPADL_WANTED is answered with nothing */
	bool hold_memory; /* GPADL_WANTED is not answered */
	bool slot_busy; /* messages can not be delivered */
	uint32_t open_status;
	struct bed_message messages[BED_LOG_LEN];
	uint32_t message_count, message_next; /* delivered; looked at by the test */
	struct bed_event events[BED_LOG_LEN];
	uint32_t event_count, event_next;
	uint32_t gpadls_lent; /* supplied and not released */
};

/* A server with the default bounds, or with these; n devices are offered before any contact. */
struct bed *bed_new(uint32_t version_min, uint32_t version_max);
void bed_free(struct bed *bed);

struct vmb_host_channel *bed_device(struct bed *bed, uint8_t name, uint16_t index);

/* Does what a port does after each call: events first, then messages. */
void bed_pump(struct bed *bed);

/* Posts len bytes on this connection and pumps. Answers the hypercall's status. */
uint32_t bed_post_on(struct bed *bed, uint32_t connection_id, const void *bytes, uint32_t len);
/* The same on connection 1. */
uint32_t bed_post(struct bed *bed, const void *bytes, uint32_t len);

/*
 * The next delivered message: fails the test unless there is one with this number and this length.
 */
const uint8_t *bed_expect(struct bed *bed, uint32_t number, uint32_t len);
/* Fails the test when a message was delivered that the test has not looked at. */
void bed_expect_nothing(struct bed *bed);
/* The next event: fails the test unless it has this type. */
struct bed_event *bed_expect_event(struct bed *bed, enum vmb_host_event_type type);
void bed_expect_no_event(struct bed *bed);
/* Forgets what was delivered and told so far. */
void bed_forget(struct bed *bed);

uint32_t get32(const uint8_t *bytes, uint32_t offset);
void put16(uint8_t *bytes, uint32_t offset, uint16_t value);
void put32(uint8_t *bytes, uint32_t offset, uint32_t value);
void put64(uint8_t *bytes, uint32_t offset, uint64_t value);

/*
 * The guest's messages; each posts and answers the hypercall's status. A contact from 5.0 on is on
 * connection 4.
 */
uint32_t post_contact(struct bed *bed, uint32_t version, uint32_t vp);
uint32_t post_simple(struct bed *bed, uint32_t number);
uint32_t post_relid(struct bed *bed, uint32_t number, uint32_t relid);
uint32_t post_open(struct bed *bed, uint32_t relid, uint32_t open_id, uint32_t gpadl_id,
		   uint32_t vp, uint32_t downstream_page);
uint32_t post_teardown(struct bed *bed, uint32_t relid, uint32_t gpadl_id);
uint32_t post_modify(struct bed *bed, uint32_t relid, uint32_t vp);
/* Header and bodies for one range of pages pages at offset 0. */
uint32_t post_gpadl(struct bed *bed, uint32_t relid, uint32_t gpadl_id, uint32_t pages);

/* Connects with this version, asks for offers and forgets the answers. */
void bed_connect(struct bed *bed, uint32_t version);
/* Lends 8 pages as GPADL gpadl_id and opens relid with them. */
void bed_open(struct bed *bed, uint32_t relid, uint32_t gpadl_id);

#endif

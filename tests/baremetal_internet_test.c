// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the guest without an operating system answers, by the files that it is made of, on a card
 * that keeps the last frame. Expected checksums are counted by a sum of this test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ports/baremetal/internet.c"
#include "ports/baremetal/sha256.c"

static uint8_t sent[VMB_METAL_FRAME_MAX];
static uint32_t sent_len, sent_count;

uint64_t vmb_metal_now(void)
{
	return 12345;
}

void vmb_metal_card_send(struct vmb_metal_card *c, const void *bytes, uint32_t len)
{
	assert_in_range(len, 1, sizeof(sent));
	memcpy(sent, bytes, len);
	sent_len = len;
	sent_count++;
}

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t guest_ip[4] = { 10, 0, 2, 15 }, peer_ip[4] = { 10, 0, 2, 2 };

struct bed {
	struct vmb_metal_card card;
	struct vmb_metal_internet net;
	uint8_t frame[VMB_METAL_FRAME_MAX];
};

static uint32_t write_page(void *arg, const char *request, char *dst, uint32_t room)
{
	return (uint32_t)snprintf(dst, room, "page for %.20s", request);
}

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	memcpy(b->card.core.agreed.mac, guest_mac, 6);
	memcpy(b->net.address, guest_ip, 4);
	b->net.page = write_page;
	vmb_metal_internet_start(&b->net, &b->card);
	sent_len = sent_count = 0;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* The one's complement sum of 16-bit words, folded; 0xFFFF over what contains its checksum. */
static uint32_t plain_sum(const uint8_t *at, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum > 0xFFFF)
		sum = (sum >> 16) + (sum & 0xFFFF);
	return sum;
}

static void make_ip(uint8_t *frame, uint8_t protocol, uint32_t len)
{
	static const uint8_t type_ip[2] = { 8, 0 };
	uint8_t *ip = frame + 14;

	memcpy(frame, guest_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	memcpy(frame + 12, type_ip, 2);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + len);
	ip[8] = 3;
	ip[9] = protocol;
	memcpy(ip + 12, peer_ip, 4);
	memcpy(ip + 16, guest_ip, 4);
	put16(ip + 10, 0xFFFF & ~plain_sum(ip, 20, 0));
}

static uint32_t tcp_sum(const uint8_t *ip, uint32_t len)
{
	return plain_sum(ip + 20, len, plain_sum(ip + 12, 8, 6 + len));
}

static uint32_t make_tcp(uint8_t *frame, uint32_t bits, uint32_t sequence, uint32_t acknowledged,
			 const char *data)
{
	uint32_t len = 20 + (uint32_t)strlen(data);
	uint8_t *tcp = frame + 34;

	memset(tcp, 0, 20);
	put16(tcp, 40000);
	put16(tcp + 2, 80);
	put32(tcp + 4, sequence);
	put32(tcp + 8, acknowledged);
	put16(tcp + 12, 5u << 12 | bits);
	put16(tcp + 14, 1000);
	memcpy(tcp + 20, data, strlen(data));
	make_ip(frame, 6, len);
	put16(tcp + 16, 0xFFFF & ~tcp_sum(frame + 14, len));
	return 34 + len;
}

static uint32_t make_ping(uint8_t *frame, uint32_t len)
{
	uint8_t *icmp = frame + 34;

	for (uint32_t i = 0; i < len; i++)
		icmp[i] = i < 8 ? 0 : (uint8_t)i;
	icmp[0] = 8;
	put16(icmp + 6, 7);
	put16(icmp + 2, 0xFFFF & ~plain_sum(icmp, len, 0));
	make_ip(frame, 1, len);
	return 34 + len;
}

/* The answer goes back to the peer and its IPv4 header is right. */
static void check_answer(void)
{
	assert_memory_equal(sent, peer_mac, 6);
	assert_memory_equal(sent + 6, guest_mac, 6);
	assert_memory_equal(sent + 26, guest_ip, 4);
	assert_memory_equal(sent + 30, peer_ip, 4);
	assert_int_equal(plain_sum(sent + 14, 20, 0), 0xFFFF);
	assert_int_equal(get16(sent + 16), sent_len - 14);
}

static void test_ping_is_answered_with_its_bytes(void **state)
{
	struct bed *b = *state;
	uint32_t len = make_ping(b->frame, 57);

	b->card.frame(b->card.arg, b->frame, len);
	check_answer();
	assert_int_equal(sent_len, len);
	assert_int_equal(sent[34], 0);
	assert_int_equal(plain_sum(sent + 34, 57, 0), 0xFFFF);
	assert_memory_equal(sent + 38, b->frame + 38, 53);
	assert_int_equal(b->net.pings, 1);
}

static void test_arp_is_answered_for_our_address_only(void **state)
{
	static const uint8_t fixed[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct bed *b = *state;

	memset(b->frame, 0xFF, 6);
	memcpy(b->frame + 6, peer_mac, 6);
	put16(b->frame + 12, 0x0806);
	memcpy(b->frame + 14, fixed, 8);
	memcpy(b->frame + 22, peer_mac, 6);
	memcpy(b->frame + 28, peer_ip, 4);
	memcpy(b->frame + 38, guest_ip, 4);
	b->card.frame(b->card.arg, b->frame, 60);
	assert_int_equal(sent_len, 42);
	assert_int_equal(get16(sent + 20), 2);
	assert_memory_equal(sent, peer_mac, 6);
	assert_memory_equal(sent + 22, guest_mac, 6);
	assert_memory_equal(sent + 28, guest_ip, 4);
	assert_memory_equal(sent + 32, peer_mac, 6);
	assert_memory_equal(sent + 38, peer_ip, 4);
	b->frame[41]++;
	b->card.frame(b->card.arg, b->frame, 60);
	assert_int_equal(sent_count, 1);
}

static uint32_t sequence_of(struct bed *b)
{
	b->card.frame(b->card.arg, b->frame, make_tcp(b->frame, SYN, 1000, 0, ""));
	check_answer();
	assert_int_equal(sent[47], SYN | ACK);
	assert_int_equal(get32(sent + 42), 1001);
	assert_int_equal(tcp_sum(sent + 14, 20), 0xFFFF);
	return get32(sent + 38);
}

static void test_page_is_served_and_repeated(void **state)
{
	struct bed *b = *state;
	uint32_t ours = sequence_of(b), i;

	for (i = 0; i < 2; i++) {
		b->card.frame(b->card.arg, b->frame,
			      make_tcp(b->frame, ACK | PUSH, 1001, ours + 1,
				       "GET / HTTP/1.0\r\n\r\n"));
		check_answer();
		assert_int_equal(sent[47], FIN | PUSH | ACK);
		assert_int_equal(get32(sent + 38), ours + 1);
		assert_int_equal(get32(sent + 42), 1001 + 18);
		assert_int_equal(tcp_sum(sent + 14, sent_len - 34), 0xFFFF);
		assert_memory_equal(sent + 54, "page for GET / HTTP", 19);
	}
	b->card.frame(b->card.arg, b->frame, make_tcp(b->frame, ACK | FIN, 1019, ours + 30, ""));
	assert_int_equal(sent[47], ACK);
	assert_int_equal(get32(sent + 42), 1020);
}

/* Whoever has not seen our first number gets no page. */
static void test_guessed_sequence_gets_no_page(void **state)
{
	struct bed *b = *state;
	uint32_t ours = sequence_of(b);

	sent_count = 0;
	b->card.frame(b->card.arg, b->frame,
		      make_tcp(b->frame, ACK | PUSH, 1001, ours + 2, "GET / HTTP/1.0\r\n\r\n"));
	assert_int_equal(sent_count, 0);
	assert_int_equal(b->net.pages, 0);
}

/* Each frame at each length in memory of exactly that length, and with each byte changed. */
static void refuse_all_but(struct bed *b, uint32_t len)
{
	uint8_t *exact;

	sent_count = 0;
	for (uint32_t i = 0; i < len; i++) {
		exact = malloc(i + 1);
		memcpy(exact, b->frame, i);
		b->card.frame(b->card.arg, exact, i);
		free(exact);
	}
	assert_int_equal(sent_count, 0);
	for (uint32_t i = 14; i < len; i++) {
		b->frame[i] ^= 0x55;
		b->card.frame(b->card.arg, b->frame, len);
		b->frame[i] ^= 0x55;
	}
	assert_int_equal(sent_count, 0);
	b->card.frame(b->card.arg, b->frame, len);
	assert_int_equal(sent_count, 1);
}

static void test_short_or_changed_frames_get_no_answer(void **state)
{
	struct bed *b = *state;
	uint32_t ours = sequence_of(b);

	refuse_all_but(b, make_ping(b->frame, 30));
	refuse_all_but(b, make_tcp(b->frame, SYN, 1000, 0, ""));
	refuse_all_but(b, make_tcp(b->frame, ACK, 1001, ours + 1, "GET / HTTP/1.0\r\n\r\n"));
}

static void test_lengths_in_a_frame_are_not_believed(void **state)
{
	struct bed *b = *state;
	uint32_t len = make_tcp(b->frame, SYN, 1000, 0, "");
	uint8_t *ip = b->frame + 14;

	for (uint32_t header = 0; header < 16; header++) {
		b->frame[46] = (uint8_t)(header << 4);
		put16(b->frame + 50, 0);
		put16(b->frame + 50, 0xFFFF & ~tcp_sum(ip, 20));
		b->card.frame(b->card.arg, b->frame, len);
	}
	assert_int_equal(sent_count, 1);
	for (uint32_t total = 0; total < 0x10000; total += 19) {
		put16(ip + 2, total);
		put16(ip + 10, 0);
		put16(ip + 10, 0xFFFF & ~plain_sum(ip, 20, 0));
		b->card.frame(b->card.arg, b->frame, len);
	}
	assert_int_equal(sent_count, 1);
}

static void expect_digest(const char *text, uint32_t repeat, const char *expected)
{
	struct vmb_metal_sha256 h;
	uint8_t digest[32];
	char hex[65];

	vmb_metal_sha256_begin(&h);
	for (uint32_t i = 0; i < repeat; i++)
		vmb_metal_sha256_add(&h, text, (uint32_t)strlen(text));
	vmb_metal_sha256_end(&h, digest);
	for (uint32_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

/* Those of FIPS 180-4's examples, and lengths around the padding by sha256sum. */
static void test_sha256_of_known_texts(void **state)
{
	expect_digest("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_digest("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect_digest("a", 1000000,
		      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	expect_digest("a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	expect_digest("a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ping_is_answered_with_its_bytes),
		TEST(test_arp_is_answered_for_our_address_only),
		TEST(test_page_is_served_and_repeated),
		TEST(test_guessed_sequence_gets_no_page),
		TEST(test_short_or_changed_frames_get_no_answer),
		TEST(test_lengths_in_a_frame_are_not_believed),
		cmocka_unit_test(test_sha256_of_known_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

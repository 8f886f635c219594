// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A control message of a hostile host: what is told of it lies inside of it. */
#include "fuzz/fuzz.h"
#include "guest/rndis.h"

/* Types that get somewhere; the first byte of an input chooses one, or none. */
static const uint32_t types[] = { 0x80000002, 0x80000004, 0x80000005, 0x80000006, 0x80000008, 7 };

static void make_likely(uint8_t *message, uint32_t len, uint8_t how)
{
	if (how & 0x80 || len < sizeof(struct rndis_header))
		return;
	memcpy(message, &types[how % 6], sizeof(types[0]));
	if (!(how & 0x40))
		memcpy(message + 4, &len, sizeof(len));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz f = { bytes, size };
	struct vmb_guest_rndis_reply reply;
	uint8_t how = fuzz_u8(&f);
	uint32_t len = (uint32_t)f.len;
	uint8_t *message = fuzz_exact(&f, len);

	make_likely(message, len, how);
	if (!vmb_guest_rndis_reply(message, len, &reply)) {
		FUZZ_CHECK(len >= 16);
		FUZZ_CHECK(!memcmp(message, &reply.type, 4));
		FUZZ_CHECK(!reply.data_len == !reply.data);
		FUZZ_CHECK(!reply.data_len || (size_t)(reply.data - message) >= 20);
		FUZZ_CHECK(reply.data_len <= len);
		FUZZ_CHECK(!reply.data_len ||
			   (size_t)(reply.data - message) <= len - reply.data_len);
	}
	free(message);
	return 0;
}

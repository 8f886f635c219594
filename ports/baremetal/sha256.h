/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SHA-256 (FIPS 180-4), so that what was read can be compared with `sha256sum`. */
#ifndef PORTS_BAREMETAL_SHA256_H
#define PORTS_BAREMETAL_SHA256_H

#include "base/platform.h"

struct vmb_metal_sha256 {
	uint32_t state[8];
	uint64_t len;
	uint8_t block[64]; /* what did not fill one */
};

void vmb_metal_sha256_begin(struct vmb_metal_sha256 *h);
void vmb_metal_sha256_add(struct vmb_metal_sha256 *h, const void *bytes, uint32_t len);
void vmb_metal_sha256_end(struct vmb_metal_sha256 *h, uint8_t digest[32]);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Preloaded into DPDK's testpmd. Since 22.11.4 that passes over a queue that its driver does not
 * call started, and the driver for cards on VMBus says that of none before 23.11. So testpmd is
 * told that the driver cannot say, as it was before. What it prints is written at once.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

int rte_eth_rx_queue_info_get(uint16_t port, uint16_t queue, void *info);
int rte_eth_tx_queue_info_get(uint16_t port, uint16_t queue, void *info);

int rte_eth_rx_queue_info_get(uint16_t port, uint16_t queue, void *info)
{
	return -ENOTSUP;
}

int rte_eth_tx_queue_info_get(uint16_t port, uint16_t queue, void *info)
{
	return -ENOTSUP;
}

static void __attribute__((constructor)) write_at_once(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
}

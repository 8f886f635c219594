/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers in the values of options, as every option takes them.
 */
#ifndef DEVICES_TEXT_H
#define DEVICES_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Parses a decimal number of at most max; *rest is what follows it. Returns false if there is none.
 */
bool vmb_dev_text_number(const char *text, uint64_t max, uint64_t *value, const char **rest);

/* Parses "4096", "64K", "512M", "1G" or "1T" into bytes. Returns false if text is not a size. */
bool vmb_dev_text_size(const char *text, uint64_t *len);

#endif

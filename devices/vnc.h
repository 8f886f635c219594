/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A VNC server for the screen, the keyboard and the mouse of a machine, through libvncserver. It is
 * a device without a channel, so that it is made and closed as others are; its clients stay when
 * the machine starts again.
 *
 *   vmb_dev_vnc_parse(&option, text)
 *   vmb_dev_vnc_open(&device, &config)
 *
 * A thread serves all clients, one after the other, and another one ends the connection of a client
 * that holds the first for too long. None of them holds the machine.
 *
 * Source: RFC 6143 (RFB 3.8).
 */
#ifndef DEVICES_VNC_H
#define DEVICES_VNC_H

#include "devices/device.h"

#define VMB_DEV_VNC_PORT	 5900u /* of :0 */
#define VMB_DEV_VNC_DISPLAY_MAX	 99u
#define VMB_DEV_VNC_CLIENT_MAX	 4u
#define VMB_DEV_VNC_PATH_MAX	 108u
#define VMB_DEV_VNC_PASSWORD_MAX 8u /* characters: the protocol knows no more */

struct vmb_dev_video;
struct vmb_dev_input;

/* --vnc */
struct vmb_dev_vnc_option {
	bool used;
	char path[VMB_DEV_VNC_PATH_MAX]; /* of a UNIX socket; empty: TCP on 127.0.0.1 */
	uint16_t display; /* of TCP: port VMB_DEV_VNC_PORT + display */
	bool nest; /* of TCP: all addresses, for there is nobody else in a nest */
	const char *password_file; /* in the text that was parsed; NULL: no password */
};

struct vmb_dev_vnc_config {
	struct vmb_dev_vnc_option option;
	struct vmb_dev_video *video; /* outlive the device */
	struct vmb_dev_input *input;
	uint32_t limit_ms; /* that a client may do nothing when it is its turn; 0: the usual */
};

/*
 * Parses unix:PATH or :N, with ,password-file=FILE or without. text is not changed and must outlive
 * option. Opens no file. Returns 0, or -EINVAL: reported in one line.
 */
int vmb_dev_vnc_parse(struct vmb_dev_vnc_option *option, const char *text);

/*
 * Checks, for somebody else who will make the device, that the port is free and the password can be
 * read. Returns 0, or -errno: reported.
 */
int vmb_dev_vnc_check(const struct vmb_dev_vnc_config *config);
/* Makes the device, and reads the password. Returns 0, or -errno: reported. */
int vmb_dev_vnc_open(struct vmb_dev_device *device, const struct vmb_dev_vnc_config *config);

/* A key of a US keyboard. */
struct vmb_dev_vnc_key {
	uint8_t make_code; /* of set 1; 0: there is no such key */
	bool extended; /* with the prefix E0 */
	bool shift; /* the symbol needs Shift */
};

/* Finds the key of an X11 keysym. */
struct vmb_dev_vnc_key vmb_dev_vnc_find_key(uint32_t keysym);

#endif

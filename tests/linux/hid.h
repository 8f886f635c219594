/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * More of the kernel for ports/linux/input*.c: the input layer and the HID layer as a driver sees
 * them. The functions are linux_input_test.c's, which plays both.
 */
#ifndef TESTS_LINUX_HID_H
#define TESTS_LINUX_HID_H

#include <linux/input-event-codes.h>
#include <stdio.h>
#include "tests/linux/kernel.h"

#define BUS_VIRTUAL	       6
#define pr_info(...)	       shim_log("info", __VA_ARGS__)
#define dev_name(device)       ((void)(device), "vmbus_1")
#define strscpy(dst, src, len) ((void)snprintf(dst, len, "%s", src))
#define ERR_PTR(error)	       ((void *)(intptr_t)(error))
#define PTR_ERR(p)	       ((long)(intptr_t)(p))
#define IS_ERR(p)	       ((uintptr_t)(p) >= (uintptr_t)-4095)
#define __set_bit(bit, bits)   ((void)((bits)[(bit) / 64] |= 1ull << (bit) % 64))
#define test_bit(bit, bits)    ((bits)[(bit) / 64] >> (bit) % 64 & 1)
typedef u8 __u8;

struct input_dev {
	const char *name, *phys;
	struct {
		u16 bustype;
	} id;
	struct {
		struct device *parent;
	} dev;
	int (*event)(struct input_dev *dev, unsigned int type, unsigned int code, int value);
	void *keycode, *data;
	unsigned int keycodesize, keycodemax;
	unsigned long evbit[1], keybit[16], led[1];
};

struct input_dev *input_allocate_device(void);
void input_free_device(struct input_dev *dev);
int input_register_device(struct input_dev *dev);
void input_unregister_device(struct input_dev *dev);
void input_event(struct input_dev *dev, unsigned int type, unsigned int code, int value);
void input_reset_device(struct input_dev *dev);
void input_set_capability(struct input_dev *dev, unsigned int type, unsigned int code);
#define input_report_key(dev, code, value) input_event(dev, EV_KEY, code, value)
#define input_sync(dev)			   input_event(dev, EV_SYN, SYN_REPORT, 0)
#define input_set_drvdata(dev, p)	   ((void)((dev)->data = (p)))
#define input_get_drvdata(dev)		   ((dev)->data)

#define HID_MAX_BUFFER_SIZE		   16384
enum hid_report_type { HID_INPUT_REPORT };

struct hid_device;
struct hid_ll_driver {
	int (*start)(struct hid_device *hid);
	void (*stop)(struct hid_device *hid);
	int (*open)(struct hid_device *hid);
	void (*close)(struct hid_device *hid);
	int (*parse)(struct hid_device *hid);
	int (*raw_request)(struct hid_device *hid, unsigned char number, __u8 *buffer, size_t len,
			   unsigned char type, int what);
};
struct hid_device {
	struct hid_ll_driver *ll_driver;
	void *driver_data;
	u16 bus;
	u32 vendor, product, version;
	struct {
		struct device *parent;
	} dev;
	char name[128], phys[64];
};

struct hid_device *hid_allocate_device(void);
int hid_add_device(struct hid_device *hid);
void hid_destroy_device(struct hid_device *hid);
int hid_parse_report(struct hid_device *hid, u8 *start, unsigned int len);
int hid_input_report(struct hid_device *hid, enum hid_report_type type, u8 *data, u32 len,
		     int interrupt);

#endif

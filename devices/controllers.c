// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "devices/controllers.h"
#include "devices/report.h"

int vmb_dev_controllers_open(struct vmb_dev_controllers *c, const struct vmb_vmm_options *o)
{
	int error;

	c->count = 0;
	error = vmb_dev_storage_open(&c->all[c->count++], o);
	for (uint32_t place = 0; place < VMB_DEV_IDE_MAX && !error; place++)
		if (o->ides[place].path)
			error = vmb_dev_storage_open_ide(&c->all[c->count++], o, place);
	return error;
}

int vmb_dev_controllers_prepare(struct vmb_dev_controllers *c)
{
	int error = 0;

	for (uint32_t i = 0; i < c->count && !error; i++)
		error = vmb_dev_storage_prepare(&c->all[i]);
	return error;
}

int vmb_dev_controllers_attach(struct vmb_dev_controllers *c, struct vmb_dev_bus *bus)
{
	int error = 0;

	for (uint32_t i = 0; i < c->count && !error; i++)
		error = vmb_dev_storage_attach(&c->all[i], bus);
	return error;
}

void vmb_dev_controllers_close(struct vmb_dev_controllers *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		vmb_dev_storage_leave(&c->all[i]);
	for (uint32_t i = 0; i < c->count; i++)
		vmb_dev_storage_close(&c->all[i]);
}

uint16_t vmb_dev_controllers_version(const struct vmb_dev_controllers *c)
{
	uint16_t version = 0;

	for (uint32_t i = 0; i < c->count && !version; i++)
		version = c->all[i].version;
	return version;
}

void vmb_dev_controllers_report(const struct vmb_dev_controllers *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		vmb_dev_storage_report(&c->all[i]);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmm/controllers.h"
#include "vmm/report.h"

int vmb_vmm_controllers_open(struct vmb_vmm_controllers *c, const struct vmb_vmm_options *o)
{
	int error;

	c->count = 0;
	error = vmb_vmm_storage_open(&c->all[c->count++], o);
	for (uint32_t place = 0; place < VMB_VMM_IDE_MAX && !error; place++)
		if (o->ides[place].path)
			error = vmb_vmm_storage_open_ide(&c->all[c->count++], o, place);
	return error;
}

int vmb_vmm_controllers_prepare(struct vmb_vmm_controllers *c)
{
	int error = 0;

	for (uint32_t i = 0; i < c->count && !error; i++)
		error = vmb_vmm_storage_prepare(&c->all[i]);
	return error;
}

int vmb_vmm_controllers_attach(struct vmb_vmm_controllers *c, struct vmb_vmm_vmbus *bus)
{
	int error = 0;

	for (uint32_t i = 0; i < c->count && !error; i++)
		error = vmb_vmm_storage_attach(&c->all[i], bus);
	return error;
}

void vmb_vmm_controllers_close(struct vmb_vmm_controllers *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		vmb_vmm_storage_close(&c->all[i]);
}

uint16_t vmb_vmm_controllers_version(const struct vmb_vmm_controllers *c)
{
	uint16_t version = 0;

	for (uint32_t i = 0; i < c->count && !version; i++)
		version = c->all[i].version;
	return version;
}

void vmb_vmm_controllers_report(const struct vmb_vmm_controllers *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		vmb_vmm_storage_report(&c->all[i]);
}

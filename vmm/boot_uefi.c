// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Starts a machine by Hyper-V's Generation 2 firmware, or by ours, which is loaded in the same
 * way: the image goes to 1 MiB, page tables and the configuration blob behind it, and the first
 * processor begins in the image. Source: docs/protocol/firmware.md, "Image and entry".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/network.h"
#include "devices/report.h"
#include "devices/storage.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"
#include "vmm/options.h"
#include "vmm/boot_uefi.h"
#include "devices/uefi/blob.h"
#include "devices/uefi/image.h"

#define TABLES_GPA   0x700000u /* six pages, behind the image */
#define GDT_GPA	     0x706000u
#define STACK_GPA    0x6E0000u /* as Hyper-V has it; the firmware takes another at once */
#define TABLE_MAX    4096u
/* as on Hyper-V: from here to 4 GiB there are device memory and interrupt controllers */
#define MMIO_LOW_GPA 0xF8000000u

/* Returns the image in memory of its own; NULL: reported. */
static uint8_t *read_image(int fd, const char *path)
{
	uint8_t *image = malloc(VMB_DEV_UEFI_IMAGE_LEN);

	if (image && pread(fd, image, VMB_DEV_UEFI_IMAGE_LEN, 0) == (ssize_t)VMB_DEV_UEFI_IMAGE_LEN)
		return image;
	vmb_dev_report("--firmware %s: %s", path,
		       image ? "cannot be read as a whole" : strerror(ENOMEM));
	free(image);
	return NULL;
}

static int refuse_image(const char *path, const char *why)
{
	vmb_dev_report("--firmware %s: %s; give an OPENVMBUS.fd (make firmware), or the MSVM.fd of "
		       "Hyper-V's Generation 2 machines",
		       path, why);
	return -EINVAL;
}

static int open_image(struct vmb_vmm_boot_uefi *u)
{
	uint8_t *image;
	struct stat st;

	u->image = open(u->options->firmware, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (u->image < 0)
		return refuse_image(u->options->firmware, strerror(errno));
	if (fstat(u->image, &st) || !S_ISREG(st.st_mode))
		return refuse_image(u->options->firmware, "not a regular file");
	if (st.st_size != VMB_DEV_UEFI_IMAGE_LEN)
		return refuse_image(u->options->firmware, "not 6 MiB, as a firmware is");
	image = read_image(u->image, u->options->firmware);
	if (!image)
		return -EINVAL;
	u->entry = vmb_dev_uefi_image_entry(image);
	free(image);
	return u->entry ?
		       0 :
		       refuse_image(u->options->firmware, "its first code is not where it must be");
}

static void choose_boot(struct vmb_vmm_boot_uefi *u)
{
	struct vmb_dev_uefi_boot *b = &u->device.boot;

	switch (u->options->boot_device) {
	case VMB_VMM_BOOT_DISK:
	case VMB_VMM_BOOT_DVD:
		b->kind = VMB_DEV_UEFI_BOOT_SCSI;
		b->type_id = (struct vmb_guid)VMB_GUID_SCSI;
		b->instance_id = vmb_dev_storage_scsi_id;
		b->lun = vmb_vmm_options_boot_lun(u->options);
		break;
	case VMB_VMM_BOOT_NETWORK:
		u->network = true;
		b->kind = VMB_DEV_UEFI_BOOT_NETWORK;
		b->uri = u->options->boot_uri;
		b->type_id = (struct vmb_guid)VMB_GUID_NETWORK;
		b->instance_id = vmb_dev_network_id(0);
		break;
	default: break;
	}
}

int vmb_vmm_boot_uefi_open(struct vmb_vmm_boot_uefi *u, const struct vmb_vmm_options *o)
{
	int error;

	u->options = o;
	memcpy(u->uuid, o->uuid, sizeof(u->uuid));
	error = open_image(u);
	if (!error)
		error = vmb_dev_uefi_open(&u->device, o->nvram);
	u->device.watchdog.there = o->watchdog_s > 0;
	if (error)
		vmb_vmm_boot_uefi_close(u);
	else
		choose_boot(u);
	return error;
}

void vmb_vmm_boot_uefi_close(struct vmb_vmm_boot_uefi *u)
{
	if (!u->options)
		return;
	if (u->image >= 0)
		close(u->image);
	if (u->entry)
		vmb_dev_uefi_close(&u->device);
	u->options = NULL;
}

static bool write_blob(const struct vmb_vmm_boot_uefi *u, const struct vmb_dev_memory *m,
		       uint32_t vp_count)
{
	uint8_t *at = vmb_dev_memory_at(m, VMB_DEV_UEFI_BLOB_GPA, VMB_DEV_UEFI_BLOB_LEN_MAX);
	struct vmb_dev_uefi_machine machine = {
		.low_len = vmb_vmm_memory_low_len(m),
		.high_gpa = VMB_VMM_HIGH_BASE,
		.high_len = vmb_vmm_memory_high_len(m),
		.mmio_low_gpa = MMIO_LOW_GPA,
		.mmio_low_len = VMB_VMM_HIGH_BASE - MMIO_LOW_GPA,
		.mmio_high_gpa = vmb_vmm_acpi_high_window(m),
		.mmio_high_len = VMB_VMM_ACPI_HIGH_LEN,
		.vp_count = vp_count,
		.asset_tag = u->options->asset_tag,
		.network_boot = u->network,
	};
	uint8_t madt[TABLE_MAX], srat[TABLE_MAX];

	machine.madt = madt;
	machine.madt_len = vmb_vmm_acpi_madt(vp_count, madt, sizeof(madt));
	machine.srat = srat;
	machine.srat_len = vmb_vmm_acpi_srat(m, vp_count, srat, sizeof(srat));
	memcpy(machine.uuid, u->uuid, sizeof(machine.uuid));
	return at && machine.madt_len && machine.srat_len &&
	       getrandom(machine.entropy, sizeof(machine.entropy), 0) == sizeof(machine.entropy) &&
	       vmb_dev_uefi_blob(&machine, at, VMB_DEV_UEFI_BLOB_LEN_MAX);
}

int vmb_vmm_boot_uefi_load(struct vmb_vmm_boot_uefi *u, const struct vmb_dev_memory *m,
			   uint32_t vp_count, struct vmb_vmm_boot_state *state)
{
	uint8_t *image = read_image(u->image, u->options->firmware);
	bool written;

	if (!image)
		return -EIO;
	written = vmb_dev_memory_write(m, VMB_DEV_UEFI_IMAGE_GPA, image, VMB_DEV_UEFI_IMAGE_LEN);
	free(image);
	if (!written || !write_blob(u, m, vp_count) || !vmb_vmm_boot_tables(m, TABLES_GPA)) {
		vmb_dev_report("--firmware %s: it does not fit into this memory",
			       u->options->firmware);
		return -EINVAL;
	}
	vmb_dev_uefi_restart(&u->device, m);
	*state = (struct vmb_vmm_boot_state){ .long_mode = true,
					      .firmware = true,
					      .tables_gpa = TABLES_GPA,
					      .gdt_gpa = GDT_GPA,
					      .rip = VMB_DEV_UEFI_IMAGE_GPA + u->entry,
					      .rbp = STACK_GPA };
	return 0;
}

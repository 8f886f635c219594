// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control about disks and discs of the SCSI controller. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/report.h"
#include "devices/role.h"
#include "devices/storage.h"
#include "vmm/control.h"
#include "vmm/hotplug.h"
#include "vmm/machine.h"
#include "vmm/nest_files.h"
#include "vmm/opening.h"

#define IDLE_LIMIT_MS 10000
#define EMPTY_DISC    VMB_DEV_DISK_NULL_PREFIX "2048"

#define TEXT	      VMB_VMM_CONTROL_TEXT
#define NUMBER	      VMB_VMM_CONTROL_NUMBER
#define FLAG	      VMB_VMM_CONTROL_FLAG
#define LIST	      VMB_VMM_CONTROL_LIST
#define NO_MORE                         \
	{                               \
		NULL, TEXT, false, NULL \
	}

static struct vmb_dev_storage *controller(const struct vmb_vmm_call *call)
{
	const struct vmb_vmm_devices *d = vmb_vmm_control_config(call)->devices;
	int i = vmb_vmm_hotplug_find(d, "scsi");

	return i < 0 ? NULL : d->all[i].state;
}

static enum vmb_vmm_call_step fail(struct vmb_vmm_call *call, int error)
{
	uint32_t lun = vmb_vmm_call_number(call, "lun", 0);

	switch (error) {
	case -ENOENT:
		return vmb_vmm_call_fail(call, "no-such-device",
					 "no unit has LUN %u; the command disks lists them", lun);
	case -EBUSY: return vmb_vmm_call_fail(call, "failed", "LUN %u is taken already", lun);
	case -EPERM:
		return vmb_vmm_call_fail(call, "failed",
					 "the guest has locked the drive; give force");
	default: return vmb_vmm_call_fail(call, "failed", "%s", strerror(-error));
	}
}

/* Opening */

/* A disk that a call opens, and that is nobody's yet. call->state is one. */
struct opened {
	struct vmb_vmm_opening *opening; /* NULL: it has ended */
	struct vmb_dev_disk disk; /* zero: not open */
	struct vmb_dev_disk_option *option;
	uint32_t lun;
	int lock; /* of its file, in a nest; 0: none */
	enum vmb_vmm_call_step (*use)(struct vmb_vmm_call *call); /* once it is open */
};

static int find_place(struct opened *o, struct vmb_dev_disk_option *units, uint64_t taken)
{
	o->option = malloc(sizeof(*o->option));
	if (!o->option)
		return -ENOMEM;
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (units[lun].path && !(taken >> lun & 1)) {
			o->lun = lun;
			*o->option = units[lun];
		}
	return 0;
}

/* value: as of --disk or --cdrom. Errors are reported. */
static int parse(struct opened *o, const char *value, bool dvd, uint64_t taken)
{
	struct vmb_dev_disk_option *units = calloc(VMB_HOST_SCSI_LUN_MAX, sizeof(*units));
	struct vmb_dev_disk_parsed parsed = { .option.path = NULL };
	int error = units ? vmb_dev_disk_parse(&parsed, value, false, dvd) : -ENOMEM;

	for (uint32_t lun = 0; !error && lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (taken >> lun & 1)
			units[lun].path = "taken";
	if (!error && parsed.has_controller) {
		vmb_dev_report("controller=: a running machine takes disks on its first SCSI "
			       "controller only; leave it out");
		error = -EINVAL;
	}
	if (!error)
		error = vmb_dev_disk_place(units, &parsed);
	if (!error)
		error = find_place(o, units, taken);
	if (error)
		free((char *)parsed.option.path);
	free(units);
	return error;
}

/* A private NBD server is another program, which no confined thread may start. */
static int check_format(const struct vmb_dev_disk_option *option)
{
	if (!option->format || strcmp(option->format, "raw") == 0 || !vmb_dev_role_is_confined())
		return 0;
	vmb_dev_report("format=%s: an image needs another program, which this one cannot start "
		       "any more; give it with --disk, or run with --seccomp off",
		       option->format);
	return -EPERM;
}

/* The disk is lun's now; what was locked for the one before is not any more. */
static void keep_lock(struct vmb_vmm_call *call, uint32_t lun, int lock)
{
	int *locks = vmb_vmm_call_lun_locks(call);

	vmb_vmm_call_unlock(call, locks[lun]);
	locks[lun] = lock;
}

static int lock(struct vmb_vmm_call *call, struct opened *o)
{
	if (vmb_vmm_nest_files_is_file(o->option))
		o->lock = vmb_vmm_call_lock(call, o->option->path, o->option->read_only);
	return o->lock < 0 ? -EAGAIN : 0;
}

static int begin(struct vmb_vmm_call *call, struct opened *o, const char *value, bool dvd,
		 uint64_t taken)
{
	int error = parse(o, value, dvd, taken);

	if (!error)
		error = check_format(o->option);
	if (!error)
		error = lock(call, o);
	if (error)
		return error;
	o->opening = vmb_vmm_opening_start(o->option);
	return o->opening ? 0 : -errno;
}

/* Ends the call; what is still open is closed. */
static enum vmb_vmm_call_step end_open(struct vmb_vmm_call *call, enum vmb_vmm_call_step step)
{
	struct opened *o = call->state;

	vmb_vmm_call_release(call);
	if (o->opening)
		vmb_vmm_opening_drop(o->opening);
	else
		vmb_dev_storage_discard(&o->disk, o->option); /* a server may take its time */
	vmb_vmm_call_regain(call);
	vmb_vmm_call_unlock(call, o->lock);
	free(o);
	call->state = NULL;
	return step;
}

static enum vmb_vmm_call_step refuse(struct vmb_vmm_call *call, const char *why, int error)
{
	vmb_vmm_call_fail(call, "failed", "%s", *why ? why : strerror(-error));
	return end_open(call, VMB_VMM_CALL_FAILED);
}

static enum vmb_vmm_call_step await_open(struct vmb_vmm_call *call)
{
	char why[VMB_VMM_OPENING_WHY_LEN];
	struct opened *o = call->state;
	int error;

	if (call->over)
		return end_open(call, VMB_VMM_CALL_FAILED);
	if (!vmb_vmm_opening_ended(o->opening, &o->disk, &error, why))
		return VMB_VMM_CALL_LATER;
	o->opening = NULL;
	if (error)
		return refuse(call, why, error);
	call->began = vmb_vmm_control_now();
	return o->use(call);
}

/* Opens a disk; use gets it as call->state, and ends the call with end_open(). */
static enum vmb_vmm_call_step open_for(struct vmb_vmm_call *call, const char *value, bool dvd,
				       uint64_t taken,
				       enum vmb_vmm_call_step (*use)(struct vmb_vmm_call *call))
{
	char why[VMB_VMM_CONTROL_MESSAGE_LEN];
	struct opened *o = calloc(1, sizeof(*o));
	int error;

	if (!o)
		return fail(call, -ENOMEM);
	o->use = use;
	call->state = o;
	call->go_on = await_open;
	vmb_vmm_call_release(call);
	vmb_dev_report_into(why, sizeof(why));
	error = begin(call, o, value, dvd, taken);
	vmb_dev_report_into(NULL, 0);
	vmb_vmm_call_regain(call);
	return error ? refuse(call, why, error) : VMB_VMM_CALL_LATER;
}

/* disks */

static const struct vmb_vmm_control_field disks_results[] = {
	{ "disks", LIST, false, "the units of the SCSI controller" },
	{ "disks[].lun", NUMBER, false, "its number" },
	{ "disks[].file", TEXT, false, "its medium, as of `--disk`" },
	{ "disks[].dvd", FLAG, false, "it is a DVD drive" },
	{ "disks[].read_only", FLAG, false, "the guest cannot write" },
	{ "disks[].len", NUMBER, false, "bytes" },
	{ "disks[].block_len", NUMBER, false, "bytes of a logical block" },
	{ "disks[].busy", NUMBER, false, "requests at its backend" },
	{ "disks[].state", TEXT, false,
	  "`in`; `empty`: a drive without a disc; `leaving`: removed, but not idle yet; `gone`: "
	  "taken away by a fault" },
	{ "disks[].locked", FLAG, false, "the guest has locked the drive" },
	NO_MORE
};

static json_t *unit_object(uint32_t lun, const struct vmb_dev_storage_unit *u)
{
	const char *state = u->leaving	     ? "leaving" :
			    u->gone	     ? "gone" :
			    u->medium_absent ? "empty" :
					       "in";
	json_t *file = json_string(u->path);

	return json_pack("{s:I, s:o, s:b, s:b, s:I, s:I, s:I, s:s, s:b}", "lun", (json_int_t)lun,
			 "file", file ? file : json_string("(no UTF-8)"), "dvd", u->dvd,
			 "read_only", u->read_only, "len", (json_int_t)u->len, "block_len",
			 (json_int_t)u->block_len, "busy", (json_int_t)u->busy, "state", state,
			 "locked", u->locked);
}

static enum vmb_vmm_call_step run_disks(struct vmb_vmm_call *call)
{
	struct vmb_dev_storage *s = controller(call);
	struct vmb_dev_storage_unit unit;
	json_t *list = json_array();

	for (uint32_t lun = 0; s && lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (vmb_dev_storage_look(s, lun, &unit) == 0)
			json_array_append_new(list, unit_object(lun, &unit));
	vmb_vmm_call_set(call, "disks", list);
	return VMB_VMM_CALL_DONE;
}

/* disk-add, cdrom-add */

static const struct vmb_vmm_control_field add_arguments[] = {
	{ "disk", TEXT, false, "as the value of `--disk`, or of `--cdrom`" }, NO_MORE
};

static const struct vmb_vmm_control_field lun_result[] = { { "lun", NUMBER, false, "where it is" },
							   NO_MORE };

static enum vmb_vmm_call_step plug(struct vmb_vmm_call *call)
{
	struct opened *o = call->state;
	struct vmb_dev_storage *s = controller(call);
	int error = s ? vmb_dev_storage_plug(s, o->lun, &o->disk, o->option) : -ENODEV;

	if (error) {
		fail(call, error);
		return end_open(call, VMB_VMM_CALL_FAILED);
	}
	keep_lock(call, o->lun, o->lock);
	vmb_vmm_call_set_number(call, "lun", o->lun);
	vmb_vmm_control_event(call->control, "disk-added", "{s:I}", "lun", (json_int_t)o->lun);
	free(o);
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step add(struct vmb_vmm_call *call, bool dvd)
{
	struct vmb_dev_storage *s = controller(call);

	if (!s)
		return fail(call, -ENODEV);
	return open_for(call, vmb_vmm_call_text(call, "disk"), dvd, vmb_dev_storage_luns(s), plug);
}

static enum vmb_vmm_call_step run_disk_add(struct vmb_vmm_call *call)
{
	return add(call, false);
}

static enum vmb_vmm_call_step run_cdrom_add(struct vmb_vmm_call *call)
{
	return add(call, true);
}

/* disk-remove */

static const struct vmb_vmm_control_field lun_argument[] = {
	{ "lun", NUMBER, false, "of the unit" }, NO_MORE
};

static enum vmb_vmm_call_step await_idle(struct vmb_vmm_call *call)
{
	uint32_t lun = vmb_vmm_call_number(call, "lun", 0);
	struct vmb_dev_storage *s = call->over ? NULL : controller(call);
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;
	int error = s ? vmb_dev_storage_take_back(s, lun, &disk, &option) : -ENODEV;

	if (error == -EAGAIN && vmb_vmm_control_now() - call->began < IDLE_LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	if (error == -EAGAIN)
		return vmb_vmm_call_fail(call, "time-out",
					 "its backend did not end its requests within %d s; the "
					 "unit is gone for the guest all the same",
					 IDLE_LIMIT_MS / 1000);
	if (error)
		return fail(call, error);
	vmb_vmm_call_release(call);
	vmb_dev_storage_discard(&disk, option); /* a server may take its time */
	vmb_vmm_call_regain(call);
	keep_lock(call, lun, 0);
	vmb_vmm_control_event(call->control, "disk-removed", "{s:I}", "lun", (json_int_t)lun);
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step run_disk_remove(struct vmb_vmm_call *call)
{
	uint64_t lun = vmb_vmm_call_number(call, "lun", 0);
	struct vmb_dev_storage *s = controller(call);
	int error = s && lun < VMB_HOST_SCSI_LUN_MAX ? vmb_dev_storage_unplug(s, lun) : -ENOENT;

	if (error)
		return fail(call, error);
	call->go_on = await_idle;
	return VMB_VMM_CALL_LATER;
}

/* disk-resize */

static const struct vmb_vmm_control_field resize_arguments[] = {
	{ "lun", NUMBER, false, "of the disk" },
	{ "len", NUMBER, false, "bytes, whole blocks; less than now cuts off what is behind" },
	NO_MORE
};

static enum vmb_vmm_call_step run_disk_resize(struct vmb_vmm_call *call)
{
	uint64_t lun = vmb_vmm_call_number(call, "lun", 0);
	struct vmb_dev_storage *s = controller(call);
	int error = -ENOENT;

	if (s && lun < VMB_HOST_SCSI_LUN_MAX)
		error = vmb_dev_storage_resize(s, lun, vmb_vmm_call_number(call, "len", 0));
	if (error == -EINVAL)
		return vmb_vmm_call_fail(call, "bad-argument", "len: give whole blocks");
	if (error == -EOPNOTSUPP)
		return vmb_vmm_call_fail(call, "failed",
					 "only a raw file that can be written changes its length");
	return error ? fail(call, error) : VMB_VMM_CALL_DONE;
}

/* dvd-eject, dvd-insert */

static const struct vmb_vmm_control_field eject_arguments[] = {
	{ "lun", NUMBER, false, "of the drive" },
	{ "force", FLAG, true, "also if the guest has locked it (false)" },
	NO_MORE
};

static const struct vmb_vmm_control_field insert_arguments[] = {
	{ "lun", NUMBER, false, "of the drive" },
	{ "disc", TEXT, false, "an image, as the value of `--cdrom` without `lun=`" },
	{ "force", FLAG, true, "also if the guest has locked the drive (false)" },
	NO_MORE
};

/* Until the requests for the old disc have ended. */
static enum vmb_vmm_call_step await_disc(struct vmb_vmm_call *call)
{
	uint32_t lun = vmb_vmm_call_number(call, "lun", 0);
	bool empty = !vmb_vmm_call_text(call, "disc");
	struct opened *o = call->state;
	int error;

	if (call->over || !controller(call))
		return end_open(call, VMB_VMM_CALL_FAILED);
	error = vmb_dev_storage_exchange(controller(call), lun, &o->disk, &o->option, empty);
	if (error == -EAGAIN && vmb_vmm_control_now() - call->began < IDLE_LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	if (error) {
		fail(call, error);
		return end_open(call, VMB_VMM_CALL_FAILED);
	}
	keep_lock(call, lun, o->lock);
	o->lock = 0;
	vmb_vmm_control_event(call->control, empty ? "disc-ejected" : "disc-inserted", "{s:I}",
			      "lun", (json_int_t)lun);
	return end_open(call, VMB_VMM_CALL_DONE);
}

/* The new disc is open; the old one goes. */
static enum vmb_vmm_call_step eject(struct vmb_vmm_call *call)
{
	uint64_t lun = vmb_vmm_call_number(call, "lun", 0);
	struct vmb_dev_storage *s = controller(call);
	int error = s && lun < VMB_HOST_SCSI_LUN_MAX ?
			    vmb_dev_storage_eject(s, lun, vmb_vmm_call_flag(call, "force")) :
			    -ENOENT;

	call->go_on = await_disc;
	if (!error)
		return VMB_VMM_CALL_LATER;
	if (error == -EINVAL)
		vmb_vmm_call_fail(call, "failed", "LUN %u is no DVD drive", (uint32_t)lun);
	else
		fail(call, error);
	return end_open(call, VMB_VMM_CALL_FAILED);
}

static enum vmb_vmm_call_step change_disc(struct vmb_vmm_call *call, const char *value)
{
	return open_for(call, value, true, 0, eject);
}

static enum vmb_vmm_call_step run_eject(struct vmb_vmm_call *call)
{
	return change_disc(call, EMPTY_DISC);
}

static enum vmb_vmm_call_step run_insert(struct vmb_vmm_call *call)
{
	return change_disc(call, vmb_vmm_call_text(call, "disc"));
}

const struct vmb_vmm_command vmb_vmm_control_disk[] = {
	{ "disks", "The disks and DVD drives of the SCSI controller.", true, run_disks, NULL,
	  disks_results },
	{ "disk-add",
	  "Adds a disk to the SCSI controller. The guest hears of it by ENUMERATE_BUS. The file is "
	  "locked as that of `--disk` is, in a nest by the process outside. A server that does not "
	  "answer holds up nobody but this request.",
	  true, run_disk_add, add_arguments, lun_result },
	{ "cdrom-add", "Adds a DVD drive with a disc to the SCSI controller.", true, run_cdrom_add,
	  add_arguments, lun_result },
	{ "disk-remove",
	  "Removes a disk or drive. It is gone for the guest at once; the answer comes when its "
	  "requests have ended and its file is closed. After a `time-out` one may ask again.",
	  true, run_disk_remove, lun_argument, NULL },
	{ "disk-resize",
	  "Makes a disk longer or shorter. The guest hears of it, also when the file of a disk "
	  "grew by itself.",
	  true, run_disk_resize, resize_arguments, NULL },
	{ "dvd-eject", "Takes the disc out of a drive.", true, run_eject, eject_arguments, NULL },
	{ "dvd-insert", "Puts a disc into a drive, in place of the one that is there.", true,
	  run_insert, insert_arguments, NULL },
	{ NULL, NULL, false, NULL, NULL, NULL },
};

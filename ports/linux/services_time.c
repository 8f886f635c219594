// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's time: sets the clock when the host wants that, and keeps the last sample for a PTP
 * clock named "hyperv", which chrony and others follow.
 */
#include <asm/msr.h>
#include <linux/moduleparam.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "ports/linux/compat.h"
#include "ports/linux/services.h"

#define UNITS_PER_SECOND 10000000u /* of 100 ns */
#define UNIT_NS		 100
#define SAMPLE_AGE_MAX	 (600ull * UNITS_PER_SECOND)

static bool time = true;
module_param(time, bool, 0644);
MODULE_PARM_DESC(time, "Let the host set the clock, and offer its time as a PTP clock (Y)");

struct host_clock {
	spinlock_t lock; /* of sample */
	struct vmb_guest_ic_time sample;
	bool sampled;
	bool sync; /* in softirq only: the sample just taken sets the clock */
	struct ptp_clock_info info;
	struct ptp_clock *ptp; /* NULL: this kernel has no PTP clocks */
};

/* An exit, but one that needs no page of the host's, and the samples are seconds apart. */
static u64 reference_now(void)
{
	u64 count = 0;

	rdmsrq_safe(VMB_MSR_TIME_REF_COUNT, &count);
	return count;
}

/* Returns the host's time, or -ESTALE: it has not told it for long. */
static int host_time(struct host_clock *c, struct timespec64 *ts)
{
	u64 reference, utc, age;
	unsigned long flags;
	bool sampled;
	u32 rest;

	spin_lock_irqsave(&c->lock, flags);
	reference = reference_now();
	age = reference - c->sample.reference;
	utc = vmb_guest_ic_time_at(&c->sample, reference);
	sampled = c->sampled;
	spin_unlock_irqrestore(&c->lock, flags);
	if (!sampled || age > SAMPLE_AGE_MAX || utc < VMB_IC_TIME_UNIX)
		return -ESTALE;
	ts->tv_sec = div_u64_rem(utc - VMB_IC_TIME_UNIX, UNITS_PER_SECOND, &rest);
	ts->tv_nsec = rest * UNIT_NS;
	return 0;
}

static void set_clock(struct work_struct *work)
{
	struct service *s = container_of(work, struct service, work);
	struct timespec64 ts;
	int rc = host_time(s->data, &ts);

	if (!rc)
		rc = do_settimeofday64(&ts);
	if (rc)
		pr_warn("the host's time is not taken: %d\n", rc);
}

/* ---- the PTP clock ---- */

static int ptp_get(struct ptp_clock_info *info, struct timespec64 *ts)
{
	return host_time(container_of(info, struct host_clock, info), ts);
}

static int ptp_set(struct ptp_clock_info *info, const struct timespec64 *ts)
{
	return -EOPNOTSUPP;
}

static int ptp_adjust_frequency(struct ptp_clock_info *info, long ppm)
{
	return -EOPNOTSUPP;
}

static int ptp_adjust_time(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int ptp_enable(struct ptp_clock_info *info, struct ptp_clock_request *request, int on)
{
	return -EOPNOTSUPP;
}

static const struct ptp_clock_info ptp_info = {
	.owner = THIS_MODULE,
	.name = "hyperv",
	.gettime64 = ptp_get,
	.settime64 = ptp_set,
	.adjfine = ptp_adjust_frequency,
	.adjtime = ptp_adjust_time,
	.enable = ptp_enable,
};

/* ---- the service ---- */

static int start_time(struct service *s)
{
	struct host_clock *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return -ENOMEM;
	spin_lock_init(&c->lock);
	c->info = ptp_info;
	c->ptp = ptp_clock_register(&c->info, &s->device->dev);
	if (IS_ERR(c->ptp)) {
		pr_warn("no PTP clock: %ld\n", PTR_ERR(c->ptp));
		c->ptp = NULL;
	}
	INIT_WORK(&s->work, set_clock);
	s->data = c;
	return 0;
}

static void stop_time(struct service *s)
{
	struct host_clock *c = s->data;

	if (c->ptp)
		ptp_clock_unregister(c->ptp);
	kfree(c);
}

/* An old message does not say when its time was taken, and a host may lie: it is now then. */
static int take_time(struct service *s, struct vmb_guest_ic_request *request, u32 *status)
{
	u64 now = reference_now();
	struct host_clock *c = s->data;
	struct vmb_guest_ic_time sample;
	unsigned long flags;
	int rc = vmb_guest_ic_time(&s->ic, request, &sample);

	if (rc)
		return rc;
	if (!sample.reference || sample.reference > now)
		sample.reference = now;
	spin_lock_irqsave(&c->lock, flags);
	c->sample = sample;
	c->sampled = true;
	spin_unlock_irqrestore(&c->lock, flags);
	c->sync = sample.sync;
	*status = VMB_IC_OK;
	return 0;
}

static void time_answered(struct service *s)
{
	struct host_clock *c = s->data;

	if (c->sync)
		schedule_work(&s->work);
}

const struct service_kind service_time = {
	.type = VMB_IC_TIME,
	.enabled = &time,
	.start = start_time,
	.stop = stop_time,
	.take = take_time,
	.answered = time_answered,
};

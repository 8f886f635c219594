// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keeps the virtual processors out of the guest while the machine is paused. */
#include "vmm/machine.h"

void vmb_vmm_pause_init(struct vmb_vmm_pause *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
}

void vmb_vmm_pause_destroy(struct vmb_vmm_pause *p)
{
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
}

/* With the lock. */
static void change(struct vmb_vmm_pause *p, uint32_t reasons)
{
	__atomic_store_n(&p->reasons, reasons, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&p->changed);
}

bool vmb_vmm_pause_set(struct vmb_vmm_machine *machine, enum vmb_vmm_pause_reason reason, bool on)
{
	struct vmb_vmm_pause *p = &machine->pause;
	bool was;

	/* Whoever ends the machine sets the outcome first and ends the pause then. */
	pthread_mutex_lock(&p->lock);
	was = p->reasons & reason;
	on = on && vmb_vmm_power_outcome(machine) == VMB_VMM_RUNNING;
	change(p, on ? p->reasons | reason : p->reasons & ~reason);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; on && i < machine->dev.vp_count; i++)
		vmb_vmm_vcpu_kick(&machine->vcpus[i]);
	return was;
}

void vmb_vmm_pause_end(struct vmb_vmm_machine *machine)
{
	struct vmb_vmm_pause *p = &machine->pause;

	pthread_mutex_lock(&p->lock);
	change(p, 0);
	pthread_mutex_unlock(&p->lock);
}

bool vmb_vmm_pause_is_on(struct vmb_vmm_machine *machine)
{
	return __atomic_load_n(&machine->pause.reasons, __ATOMIC_SEQ_CST);
}

bool vmb_vmm_pause_is_for(struct vmb_vmm_machine *machine, enum vmb_vmm_pause_reason reason)
{
	return __atomic_load_n(&machine->pause.reasons, __ATOMIC_SEQ_CST) & reason;
}

bool vmb_vmm_pause_is_complete(struct vmb_vmm_machine *machine)
{
	struct vmb_vmm_pause *p = &machine->pause;
	bool complete;

	pthread_mutex_lock(&p->lock);
	complete = p->reasons && p->resting == machine->dev.vp_count;
	pthread_mutex_unlock(&p->lock);
	return complete;
}

bool vmb_vmm_pause_rest(struct vmb_vmm_machine *machine)
{
	struct vmb_vmm_pause *p = &machine->pause;

	if (!vmb_vmm_pause_is_on(machine))
		return false;
	pthread_mutex_lock(&p->lock);
	p->resting++;
	while (p->reasons)
		pthread_cond_wait(&p->changed, &p->lock);
	p->resting--;
	pthread_mutex_unlock(&p->lock);
	return true;
}

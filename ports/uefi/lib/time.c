// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Time from the hypervisor's reference counter: 100 ns a tick since the machine was made. Source:
 * docs/protocol/bus.md, "1 Discovery and registers".
 */
#include <Base.h>

#include <Library/BaseLib.h>
#include <Library/TimerLib.h>

#include "wire/synic.h"

#define TICK_NS	 100u
#define TICKS_HZ 10000000u

UINT64 EFIAPI GetPerformanceCounter(void)
{
	return AsmReadMsr64(VMB_MSR_TIME_REF_COUNT);
}

UINT64 EFIAPI GetPerformanceCounterProperties(UINT64 *start, UINT64 *end)
{
	if (start)
		*start = 0;
	if (end)
		*end = ~0ull;
	return TICKS_HZ;
}

UINT64 EFIAPI GetTimeInNanoSecond(UINT64 ticks)
{
	return ticks * TICK_NS;
}

UINTN EFIAPI NanoSecondDelay(UINTN ns)
{
	UINT64 until = GetPerformanceCounter() + (ns + TICK_NS - 1) / TICK_NS;

	while (GetPerformanceCounter() < until)
		CpuPause();
	return ns;
}

UINTN EFIAPI MicroSecondDelay(UINTN us)
{
	NanoSecondDelay(us * 1000);
	return us;
}

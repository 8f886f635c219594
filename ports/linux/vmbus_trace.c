// SPDX-License-Identifier: GPL-2.0-only
/* Makes the tracepoints that vmbus_trace.h declares. */
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "ports/linux/vmbus_trace.h"

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Key-value pairs. Other threads make the requests (vmb_dev_services_ask); none is sent unasked. */
#include "devices/services/services.h"

const struct vmb_dev_service_ops vmb_dev_service_kvp_ops = {
	.name = "kvp",
	.type = VMB_IC_KVP,
	.type_id = VMB_GUID_KVP,
	.instance_id = VMB_GUID_KVP_INSTANCE,
};

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The services of `openvmbus image --azure`, without a machine: tests/image/azure-check asks them.
exec "$(dirname "$0")/image/azure-check"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The lab's Python programs without booting anything; tests/lab has the tests. Prints TAP.
cd "$(dirname "$0")/.." || exit 2
exec /usr/bin/python3 -IS tests/lab/tap.py "$@"

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# The guest resets itself as soon as it runs. It is slowed down, and the end comes in the pause or in the run.
ways="signal twice hang-up"

row() {
	kernel=reset warm=3
}

clean() { :; }

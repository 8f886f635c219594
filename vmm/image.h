/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command `openvmbus image`: a program of its own, which starts this one.
 */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

/* argv: from "image" on. Becomes that program; returns an exit code if it cannot. */
int vmb_vmm_image_run(int argc, char **argv);

#endif

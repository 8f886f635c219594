# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Parts of openvmbus-image.

    options   the command line, and what is wrong with it
    formats   what kind of file an image is; broken ones are refused
    volumes   the file systems in an image, read by GRUB's own readers, without mounting
    grub      a grub.cfg, followed to its default entry
    kernels   finds kernel, initrd and command line in an image
    drivers   puts our modules behind an initrd
    stages    the stages of a boot, the signs of each, and what to say of one that was not reached
    azure     what Azure gives a machine at its first start: DVD, WireServer, metadata
    machine   runs openvmbus, watches console and host, and has the guest power off
    reports   the result as a table, JSON, JUnit's XML or a page

An image may be anybody's. What is read from it is bounded, and no path in it leads out of it.
"""

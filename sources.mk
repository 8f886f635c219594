# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The only list of core files. Plain assignments, because both the Makefile and ports/linux/Kbuild
# include this file. Paths are relative to the root.

CORE_RING = ring/ring.c ring/stream.c
CORE_GUEST = guest/connect.c guest/channel.c guest/gpadl.c guest/socket.c guest/doorbell.c guest/storage.c \
	guest/rndis.c guest/network.c guest/network_handshake.c guest/network_control.c \
	guest/network_offload.c guest/network_send.c guest/network_receive.c guest/ic.c guest/ic_kvp.c \
	guest/balloon.c guest/keyboard.c guest/mouse.c guest/video.c
CORE_HOST = host/server.c host/channel.c host/gpadl.c host/reserved.c host/socket.c host/doorbell.c \
	host/storage.c host/scsi.c \
	host/scsi_inquiry.c host/scsi_block.c host/scsi_mode.c \
	host/scsi_reserve.c host/scsi_dvd.c \
	host/offload.c host/offload_lso.c host/frame.c host/rndis.c host/rndis_oid.c host/rndis_offload.c \
	host/rndis_rss.c host/network.c host/network_send.c host/network_receive.c \
	host/ic.c host/ic_kvp.c host/balloon.c host/keyboard.c host/mouse.c host/video.c host/pci.c host/pci_function.c

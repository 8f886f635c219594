// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Compiled once for each file that tests/ring_model/mutate makes: RING_SOURCE is the file, VARIANT
 * its name. The ring's functions get names of their own, so that all variants fit into one program.
 */
#define JOIN_(variant, name)	   variant##_##name
#define JOIN(variant, name)	   JOIN_(variant, name)

#define vmb_ring_packet_len	   JOIN(VARIANT, packet_len_of)
#define vmb_ring_packet_len_max	   JOIN(VARIANT, packet_len_max)
#define vmb_ring_writer_init	   JOIN(VARIANT, writer_init)
#define vmb_ring_reader_init	   JOIN(VARIANT, reader_init)
#define vmb_ring_room		   JOIN(VARIANT, room)
#define vmb_ring_write		   JOIN(VARIANT, write)
#define vmb_ring_commit		   JOIN(VARIANT, commit)
#define vmb_ring_wait_room	   JOIN(VARIANT, wait_room)
#define vmb_ring_wait_cancel	   JOIN(VARIANT, wait_cancel)
#define vmb_ring_read		   JOIN(VARIANT, read)
#define vmb_ring_copy		   JOIN(VARIANT, copy)
#define vmb_ring_next		   JOIN(VARIANT, next)
#define vmb_ring_release	   JOIN(VARIANT, release)
#define vmb_ring_mask		   JOIN(VARIANT, mask)
#define vmb_ring_unmask		   JOIN(VARIANT, unmask)
#define vmb_ring_peer_signals_room JOIN(VARIANT, peer_signals_room)

#define VMB_PLATFORM_OVERRIDE	   "tests/ring_model/model.h"
#include RING_SOURCE
#include "tests/ring_model/variant.h"

#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

extern const struct ring_variant JOIN(ring_variant, VARIANT);
const struct ring_variant JOIN(ring_variant, VARIANT) = {
	.name = TEXT(VARIANT),
	.writer_init = vmb_ring_writer_init,
	.reader_init = vmb_ring_reader_init,
	.write = vmb_ring_write,
	.commit = vmb_ring_commit,
	.wait_room = vmb_ring_wait_room,
	.read = vmb_ring_read,
	.copy = vmb_ring_copy,
	.next = vmb_ring_next,
	.release = vmb_ring_release,
	.mask = vmb_ring_mask,
	.unmask = vmb_ring_unmask,
};

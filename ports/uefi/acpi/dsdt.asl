/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The devices of a Generation 2 machine, for a host that leaves this table to its firmware. acpi.c
 * puts the host's own numbers into the two windows. Source: docs/protocol/firmware.md, "ACPI, reset,
 * power"; docs/protocol/bus.md, "1 Discovery and registers".
 */
DefinitionBlock ("", "DSDT", 2, "VMBUS ", "OPENVMBS", 1)
{
	Name (\_S5, Package () { 0, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (VMOD)
		{
			Name (_HID, "ACPI0004")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					     Cacheable, ReadWrite, 0, 0xF8000000, 0xFBFFFFFF, 0,
					     0x04000000)
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					     Cacheable, ReadWrite, 0, 0xFE0000000, 0xFFFFFFFFF, 0,
					     0x20000000)
			})

			Device (VMBS)
			{
				Name (_HID, "MSFT1000")
				Name (_CID, "VMBus")
				Name (_UID, 0)
				Name (_DDN, "VMBUS")
				Name (_CRS, ResourceTemplate ()
				{
					IRQ (Edge, ActiveHigh, Exclusive) { 5 }
				})
			}
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x3F8, 0x3F8, 1, 8)
				IRQ (Edge, ActiveHigh, Exclusive) { 4 }
			})
		}

		Device (RTC0)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x70, 0x70, 1, 2)
			})
		}
	}
}

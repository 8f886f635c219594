-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
--
-- Shows recordings of `openvmbus run --trace` in Wireshark and tshark: docs/tracing.md of OpenVMBus
-- has the layout of a record, docs/protocol/ that of what is in it. Everything of link type USER0 is
-- taken for such a recording, so it is loaded for a session only:
--
--	wireshark -X lua_script:openvmbus.lua session.pcapng
--	tshark -X lua_script:openvmbus.lua -r session.pcapng -Y 'openvmbus.scsi.opcode == 0x28'

local proto = Proto("openvmbus", "Hyper-V VMBus")

-- Names

local kinds = { [0] = "control", "message", "packet", "signal", "data" }
local directions = { [0] = "to the host", "to the guest" }
local controls = { "recording begins", "channel opened", "channel closed", "records were lost", "recording ends",
	"options" }

local messages = {
	"OFFER_CHANNEL", "RESCIND_OFFER", "REQUEST_OFFERS", "OFFERS_DELIVERED", "OPEN_CHANNEL",
	"OPEN_CHANNEL_RESULT", "CLOSE_CHANNEL", "GPADL_HEADER", "GPADL_BODY", "GPADL_CREATED",
	"GPADL_TEARDOWN", "GPADL_TORNDOWN", "RELID_RELEASED", "INITIATE_CONTACT", "VERSION_RESPONSE",
	"UNLOAD", "UNLOAD_COMPLETE", "OPEN_RESERVED_CHANNEL", "CLOSE_RESERVED_CHANNEL",
	"CLOSE_RESERVED_RESPONSE", "TL_CONNECT_REQUEST", "MODIFY_CHANNEL", "TL_CONNECT_RESULT",
	"MODIFY_CHANNEL_RESPONSE", "MODIFY_CONNECTION", "MODIFY_CONNECTION_RESPONSE", "PAUSE",
	"PAUSE_RESPONSE", "RESUME",
}

-- By the bytes as they lie on the wire: class, and what speaks there.
local classes = {
	["D96361BAA104294DB60572E2FFB1DC7F"] = { "SCSI controller", "storage" },
	["32264132CB86A2449B5C50D1417354F5"] = { "IDE unit", "storage" },
	["635161F83EDFC546913FF2D2F965ED0E"] = { "network card", "network" },
	["31600B0E13523449818B38D90CED39DB"] = { "shutdown", "integration" },
	["30E62795AED07B49ADCEE80AB0175CAF"] = { "time synchronisation", "integration" },
	["394F16571591784EAB55382F3BD5422D"] = { "heartbeat", "integration" },
	["E7F4A0A9455A964DB8278A841E8C03E6"] = { "key-value pairs", "integration" },
	["292EFA3523EA364296AE3A6EBACBA440"] = { "backup", "integration" },
	["E34BD134E4DEC8419AE76B174977C192"] = { "file copy", "integration" },
	["DC7450528589E2468057A307DC18A502"] = { "dynamic memory" },
	["6DAD12F9172BEA48BD65F927A61C7684"] = { "keyboard" },
	["9EB6A8CF4A5BC04CB98B8BA1A1F3F95A"] = { "mouse" },
	["02780ADA77E3AC4A8E770558EB1073F8"] = { "video" },
	["1DF6C444444400449D52802E27EDE19F"] = { "PCI pass-through" },
}

local packet_types = {
	[6] = "in-band", [7] = "transfer pages", [8] = "GPADL", [9] = "GPA direct", [10] = "cancel",
	[11] = "completion",
}
local places = { [0] = "pages", "receive buffer", "send buffer" }

local operations = {
	"COMPLETE_IO", "REMOVE_DEVICE", "EXECUTE_SRB", "RESET_LUN", "RESET_ADAPTER", "RESET_BUS",
	"BEGIN_INITIALIZATION", "END_INITIALIZATION", "QUERY_PROTOCOL_VERSION", "QUERY_PROPERTIES",
	"ENUMERATE_BUS", "FCHBA_DATA", "CREATE_SUB_CHANNELS", "EVENT_NOTIFICATION",
}
local EXECUTE_SRB, QUERY_PROTOCOL_VERSION, QUERY_PROPERTIES, CREATE_SUB_CHANNELS = 3, 9, 10, 13
local nt_statuses = {
	[0] = "success", [0x80000005] = "buffer overflow", [0x80000011] = "device busy",
	[0xC0000001] = "unsuccessful", [0xC000000D] = "invalid parameter",
	[0xC0000010] = "invalid device request", [0xC0000059] = "revision mismatch",
	[0xC000009D] = "device not connected", [0xC00000B5] = "I/O timeout",
	[0xC00000C0] = "device does not exist", [0xC0000120] = "cancelled",
	[0xC0000184] = "invalid device state", [0xC0000185] = "I/O device error",
	[0x8000FFFF] = "failure", [0xC0000236] = "refused",
}
local srb_statuses = {
	[0x00] = "pending", [0x01] = "success", [0x02] = "aborted", [0x03] = "abort failed",
	[0x04] = "error", [0x05] = "busy", [0x06] = "invalid request", [0x07] = "invalid path",
	[0x08] = "no device", [0x09] = "timeout", [0x0A] = "selection timeout",
	[0x0B] = "command timeout", [0x0D] = "message rejected", [0x0E] = "bus reset",
	[0x0F] = "parity error", [0x10] = "request sense failed", [0x11] = "no adapter",
	[0x12] = "data overrun", [0x13] = "unexpected bus free", [0x14] = "phase sequence failure",
	[0x15] = "bad SRB length", [0x16] = "request flushed", [0x20] = "invalid LUN",
	[0x21] = "invalid target", [0x22] = "bad function", [0x23] = "error recovery",
	[0x24] = "not powered", [0x25] = "link down", [0x30] = "internal error",
}
local scsi_statuses = {
	[0] = "good", [2] = "check condition", [8] = "busy", [0x18] = "reservation conflict",
	[0x28] = "task set full",
}
local opcodes = {
	[0x00] = "TEST UNIT READY", [0x03] = "REQUEST SENSE", [0x04] = "FORMAT UNIT", [0x08] = "READ(6)",
	[0x0A] = "WRITE(6)", [0x12] = "INQUIRY", [0x15] = "MODE SELECT(6)", [0x16] = "RESERVE(6)",
	[0x17] = "RELEASE(6)", [0x1A] = "MODE SENSE(6)", [0x1B] = "START STOP UNIT",
	[0x1D] = "SEND DIAGNOSTIC", [0x1E] = "PREVENT ALLOW MEDIUM REMOVAL", [0x25] = "READ CAPACITY(10)",
	[0x28] = "READ(10)", [0x2A] = "WRITE(10)", [0x2E] = "WRITE AND VERIFY(10)", [0x2F] = "VERIFY(10)",
	[0x35] = "SYNCHRONIZE CACHE(10)", [0x41] = "WRITE SAME(10)", [0x42] = "UNMAP", [0x43] = "READ TOC",
	[0x46] = "GET CONFIGURATION", [0x4A] = "GET EVENT STATUS NOTIFICATION", [0x4D] = "LOG SENSE",
	[0x51] = "READ DISC INFORMATION", [0x52] = "READ TRACK INFORMATION", [0x55] = "MODE SELECT(10)",
	[0x5A] = "MODE SENSE(10)", [0x5E] = "PERSISTENT RESERVE IN", [0x5F] = "PERSISTENT RESERVE OUT",
	[0x85] = "ATA PASS-THROUGH(16)", [0x88] = "READ(16)", [0x8A] = "WRITE(16)", [0x8F] = "VERIFY(16)",
	[0x91] = "SYNCHRONIZE CACHE(16)", [0x93] = "WRITE SAME(16)", [0x9E] = "SERVICE ACTION IN(16)",
	[0xA0] = "REPORT LUNS", [0xA1] = "ATA PASS-THROUGH(12)", [0xA3] = "MAINTENANCE IN",
	[0xA4] = "MAINTENANCE OUT", [0xA8] = "READ(12)", [0xAA] = "WRITE(12)",
	[0xAD] = "READ DVD STRUCTURE", [0xBE] = "READ CD",
}
local data_directions = { [0] = "write", "read", "none" }

local nvsp_types = {
	[1] = "INIT", [2] = "INIT_COMPLETE", [100] = "SEND_NDIS_VERSION", [101] = "SEND_RECEIVE_BUFFER",
	[102] = "SEND_RECEIVE_BUFFER_COMPLETE", [103] = "REVOKE_RECEIVE_BUFFER",
	[104] = "SEND_SEND_BUFFER", [105] = "SEND_SEND_BUFFER_COMPLETE", [106] = "REVOKE_SEND_BUFFER",
	[107] = "SEND_RNDIS_PACKET", [108] = "SEND_RNDIS_PACKET_COMPLETE", [125] = "SEND_NDIS_CONFIG",
	[128] = "SEND_VF_ASSOCIATION", [129] = "SWITCH_DATA_PATH", [131] = "OID_QUERY_EX",
	[132] = "OID_QUERY_EX_COMPLETE", [133] = "SUBCHANNEL", [134] = "SEND_INDIRECTION_TABLE",
	[135] = "PD_API", [136] = "PD_POST_BATCH",
}
local nvsp_versions = {
	[0x00000002] = "1", [0x00030002] = "2", [0x00040000] = "4", [0x00050000] = "5",
	[0x00060000] = "6", [0x00060001] = "6.1",
}
local nvsp_statuses = {
	[0] = "none", [1] = "success", [2] = "fail", [5] = "invalid RNDIS packet", [6] = "busy",
	[7] = "unsupported",
}
local channel_types = { [0] = "data", "control" }

local rndis_types = {
	[1] = "PACKET", [2] = "INITIALIZE", [3] = "HALT", [4] = "QUERY", [5] = "SET", [6] = "RESET",
	[7] = "INDICATE_STATUS", [8] = "KEEPALIVE", [0x80000002] = "INITIALIZE_COMPLETE",
	[0x80000004] = "QUERY_COMPLETE", [0x80000005] = "SET_COMPLETE", [0x80000006] = "RESET_COMPLETE",
	[0x80000008] = "KEEPALIVE_COMPLETE",
}
local rndis_statuses = {
	[0] = "success", [0x103] = "pending", [0x4001000B] = "media connect",
	[0x4001000C] = "media disconnect", [0x40010013] = "link speed change",
	[0x40010018] = "network change", [0x40020006] = "offload current configuration",
	[0x80000005] = "buffer overflow", [0xC0000001] = "failure", [0xC00000BB] = "not supported",
	[0xC0010004] = "bad version", [0xC0010015] = "invalid data", [0xC0010016] = "buffer too short",
}
local oids = {
	[0x00010101] = "SUPPORTED_LIST", [0x00010102] = "HARDWARE_STATUS",
	[0x00010103] = "MEDIA_SUPPORTED", [0x00010104] = "MEDIA_IN_USE",
	[0x00010105] = "MAXIMUM_LOOKAHEAD", [0x00010106] = "MAXIMUM_FRAME_SIZE",
	[0x00010107] = "LINK_SPEED", [0x00010108] = "TRANSMIT_BUFFER_SPACE",
	[0x00010109] = "RECEIVE_BUFFER_SPACE", [0x0001010A] = "TRANSMIT_BLOCK_SIZE",
	[0x0001010B] = "RECEIVE_BLOCK_SIZE", [0x0001010C] = "VENDOR_ID",
	[0x0001010D] = "VENDOR_DESCRIPTION", [0x0001010E] = "CURRENT_PACKET_FILTER",
	[0x0001010F] = "CURRENT_LOOKAHEAD", [0x00010110] = "DRIVER_VERSION",
	[0x00010111] = "MAXIMUM_TOTAL_SIZE", [0x00010112] = "PROTOCOL_OPTIONS",
	[0x00010113] = "MAC_OPTIONS", [0x00010114] = "MEDIA_CONNECT_STATUS",
	[0x00010115] = "MAXIMUM_SEND_PACKETS", [0x00010116] = "VENDOR_DRIVER_VERSION",
	[0x00010118] = "NETWORK_LAYER_ADDRESSES", [0x00010203] = "RECEIVE_SCALE_CAPABILITIES",
	[0x00010204] = "RECEIVE_SCALE_PARAMETERS", [0x00010206] = "MAX_LINK_SPEED",
	[0x00010207] = "LINK_STATE", [0x00010208] = "LINK_PARAMETERS",
	[0x0001021B] = "RNDIS_CONFIG_PARAMETER", [0x00020101] = "XMIT_OK", [0x00020102] = "RCV_OK",
	[0x00020103] = "XMIT_ERROR", [0x00020104] = "RCV_ERROR", [0x00020105] = "RCV_NO_BUFFER",
	[0x00020216] = "FRIENDLY_NAME", [0x01010101] = "802_3_PERMANENT_ADDRESS",
	[0x01010102] = "802_3_CURRENT_ADDRESS", [0x01010103] = "802_3_MULTICAST_LIST",
	[0x01010104] = "802_3_MAXIMUM_LIST_SIZE", [0x0101010A] = "OFFLOAD_ENCAPSULATION",
	[0xFC01020B] = "TCP_OFFLOAD_CURRENT_CONFIG", [0xFC01020C] = "TCP_OFFLOAD_PARAMETERS",
	[0xFC01020D] = "TCP_OFFLOAD_HARDWARE_CAPABILITIES",
}
local info_types = {
	[0] = "checksum", [2] = "large send", [6] = "VLAN", [8] = "hash value", [9] = "hash type",
	[11] = "padding", [0x80000001] = "packet id",
}

local ic_types = {
	[0] = "NEGOTIATE", "HEARTBEAT", "KVP", "SHUTDOWN", "TIMESYNC", "VSS", "RDV", "FILE COPY",
	"VM SESSION",
}
local ic_statuses = {
	[0] = "ok", [0x80004005] = "fail", [0x80070103] = "no more items", [0x80070032] = "not supported",
	[0x80070057] = "invalid argument", [0x80041002] = "not found", [0x80070050] = "already exists",
	[0x80070070] = "disk full", [0x800704F7] = "machine locked", [0x8007048F] = "not connected",
}

-- Fields

local f = {}

local function field(name, make, text, ...)
	f[name] = make("openvmbus." .. name, text, ...)
end

local u8, u16, u32, u64 = ProtoField.uint8, ProtoField.uint16, ProtoField.uint32, ProtoField.uint64
local DEC, HEX = base.DEC, base.HEX

field("version", u8, "Layout of the record", DEC)
field("kind", u8, "Kind", DEC, kinds)
field("direction", u8, "Direction", DEC, directions)
field("flags", u8, "Flags", HEX)
field("relid", u32, "Channel", DEC)
field("connection_id", u32, "Connection id", HEX)
field("sint", u32, "SINT", DEC)
field("sub_channel", u16, "Sub-channel", DEC)
field("vp", u16, "Virtual processor", DEC)
field("service", ProtoField.string, "Service")
field("request_in", ProtoField.framenum, "Request in", base.NONE, frametype.REQUEST)
field("response_in", ProtoField.framenum, "Response in", base.NONE, frametype.RESPONSE)
field("time", ProtoField.relative_time, "Time since the request")
field("control", u32, "Control", DEC, controls)
field("options", ProtoField.string, "Options of an equal machine")
field("lost", u64, "Records lost", DEC)
field("hypercall.status", u32, "Status of the hypercall", HEX)

field("message.type", u32, "Message", DEC, messages)
field("message.version", u32, "Version", HEX)
field("message.features", u32, "Features", HEX)
field("message.target_vp", u32, "Target processor", DEC)
field("message.target_sint", u8, "Target SINT", DEC)
field("message.interrupt_page", u64, "Interrupt page", HEX)
field("message.monitor_page", u64, "Monitor page", HEX)
field("message.supported", u8, "Supported", DEC)
field("message.connection_state", u8, "Connection state", DEC)
field("message.status", u32, "Status", HEX, nt_statuses)
field("message.open_id", u32, "Open id", DEC)
field("offer.type", ProtoField.guid, "Class")
field("offer.instance", ProtoField.guid, "Instance")
field("offer.flags", u16, "Offer's flags", HEX)
field("offer.monitor_id", u8, "Monitor id", DEC)
field("offer.mmio", u16, "MMIO, MiB", DEC)
field("offer.user", ProtoField.bytes, "User data")
field("gpadl.id", u32, "GPADL", HEX)
field("gpadl.ranges_len", u16, "Bytes of the range list", DEC)
field("gpadl.range_count", u16, "Ranges", DEC)
field("gpadl.number", u32, "Number", DEC)
field("gpadl.byte_count", u32, "Bytes", DEC)
field("gpadl.byte_offset", u32, "Offset", DEC)
field("gpadl.pfn", u64, "Page frame", HEX)
field("downstream_page", u32, "Ring to the guest from page", DEC)
field("page_count", u32, "Pages of both rings", DEC)

field("packet.offset", u32, "Offset in the ring", DEC)
field("packet.type", u16, "Packet", DEC, packet_types)
field("packet.header_len", u16, "Payload at (8 bytes each)", DEC)
field("packet.len", u16, "Length (8 bytes each)", DEC)
field("packet.completion_requested", ProtoField.bool, "Completion requested", 16, nil, 1)
field("packet.transaction", u64, "Transaction id", HEX)
field("packet.range_count", u32, "Ranges", DEC)
field("packet.set_id", u16, "Buffer", HEX)
field("data.place", u32, "Place", DEC, places)
field("data.offset", u32, "Offset there", DEC)
field("data.bytes", ProtoField.bytes, "Bytes")

field("storage.operation", u32, "Operation", DEC, operations)
field("storage.flags", u32, "Flags", HEX)
field("storage.status", u32, "Status", HEX, nt_statuses)
field("storage.version", u16, "Storage version", HEX)
field("storage.sub_channels", u16, "Sub-channels", DEC)
field("storage.transfer_max", u32, "Longest transfer", DEC)
field("scsi.srb_status", u8, "SRB status", HEX, srb_statuses, 0x3F)
field("scsi.status", u8, "SCSI status", HEX, scsi_statuses)
field("scsi.path", u8, "Path", DEC)
field("scsi.target", u8, "Target", DEC)
field("scsi.lun", u8, "LUN", DEC)
field("scsi.cdb_len", u8, "Length of the CDB", DEC)
field("scsi.sense_len", u8, "Length of sense data", DEC)
field("scsi.data_direction", u8, "Data", DEC, data_directions)
field("scsi.data_len", u32, "Length of data", DEC)
field("scsi.opcode", u8, "Command", HEX, opcodes)
field("scsi.lba", u64, "Block", DEC)
field("scsi.blocks", u32, "Blocks", DEC)
field("scsi.cdb", ProtoField.bytes, "CDB")
field("scsi.sense_key", u8, "Sense key", HEX, nil, 0xF)
field("scsi.asc", u16, "Additional sense code", HEX)
field("scsi.sense", ProtoField.bytes, "Sense data")

field("nvsp.type", u32, "NVSP message", DEC, nvsp_types)
field("nvsp.version", u32, "NVSP version", HEX, nvsp_versions)
field("nvsp.status", u32, "Status", DEC, nvsp_statuses)
field("nvsp.ndis_major", u32, "NDIS major version", DEC)
field("nvsp.ndis_minor", u32, "NDIS minor version", DEC)
field("nvsp.buffer_id", u16, "Buffer", HEX)
field("nvsp.sections", u32, "Sections", DEC)
field("nvsp.suballoc_len", u32, "Length of a suballocation", DEC)
field("nvsp.suballoc_count", u32, "Suballocations", DEC)
field("nvsp.section_len", u32, "Length of a section", DEC)
field("nvsp.channel_type", u32, "Carries", DEC, channel_types)
field("nvsp.section_index", u32, "Section", DEC)
field("nvsp.mtu", u32, "MTU with Ethernet header", DEC)
field("nvsp.capabilities", u64, "Capabilities", HEX)
field("nvsp.count", u32, "Count", DEC)
field("nvsp.entry", u32, "Queue", DEC)

field("rndis.type", u32, "RNDIS message", HEX, rndis_types)
field("rndis.len", u32, "Length", DEC)
field("rndis.request_id", u32, "Request id", HEX)
field("rndis.oid", u32, "OID", HEX, oids)
field("rndis.status", u32, "Status", HEX, rndis_statuses)
field("rndis.buffer_len", u32, "Length of the buffer", DEC)
field("rndis.buffer", ProtoField.bytes, "Buffer")
field("rndis.transfer_max", u32, "Longest transfer", DEC)
field("rndis.data_len", u32, "Length of the frame", DEC)
field("rndis.info.type", u32, "Per-packet information", HEX, info_types)
field("rndis.info.value", u32, "Value", HEX)

field("ic.framework", u32, "Framework version", HEX)
field("ic.type", u16, "Integration message", DEC, ic_types)
field("ic.version", u32, "Message version", HEX)
field("ic.len", u16, "Length", DEC)
field("ic.status", u32, "Status", HEX, ic_statuses)
field("ic.transaction", u8, "Transaction id", DEC)
field("ic.flags", u8, "Flags", HEX)
field("ic.body", ProtoField.bytes, "Body")

proto.fields = f
local cut = ProtoExpert.new("openvmbus.cut", "Ends before this field", expert.group.UNDECODED,
	expert.severity.NOTE)
proto.experts = { cut }

-- State: what later records need of earlier ones. Records are seen in order once, and then in any.

local channels -- by relid: { service, class, sections = by transaction }
local waiting -- requests without an answer, by key
local memo -- by record: { service, class, request, delta, response, about }

function proto.init()
	channels, waiting, memo = {}, {}, {}
end

local function channel_of(relid)
	channels[relid] = channels[relid] or { sections = {} }
	return channels[relid]
end

local function learn_class(relid, range)
	local channel, known = channel_of(relid), classes[tostring(range:bytes())]
	channel.service = known and known[1] or "unknown service"
	channel.class = known and known[2]
	channel.sections = {}
end

local function class_name(range)
	local known = classes[tostring(range:bytes())]
	return known and known[1] or "unknown service"
end

-- A request: about is what its answer should say of it.
local function ask(key, pinfo, about)
	if pinfo.visited then return end
	waiting[key] = { number = pinfo.number, time = pinfo.rel_ts, about = about }
end

local function answer(key, pinfo)
	local request = waiting[key]
	if pinfo.visited or not request then return end
	waiting[key] = nil
	memo[pinfo.number].request = request.number
	memo[pinfo.number].delta = pinfo.rel_ts - request.time
	memo[pinfo.number].about = request.about
	if memo[request.number] then memo[request.number].response = pinfo.number end
end

local function show_match(tree, m)
	if m.response then tree:add(f.response_in, m.response):set_generated() end
	if not m.request then return end
	tree:add(f.request_in, m.request):set_generated()
	local seconds = math.floor(m.delta)
	tree:add(f.time, NSTime.new(seconds, math.floor((m.delta - seconds) * 1e9 + 0.5))):set_generated()
end

-- Reading: a field that the record is too short for is a note, never an error.

local function has(tvb, at, len)
	return at + len <= tvb:len()
end

local function put(tree, name, tvb, at, len)
	if has(tvb, at, len) then return tree:add_le(f[name], tvb(at, len)) end
	tree:add_proto_expert_info(cut)
end

local function put_all(tree, tvb, at, list)
	for _, entry in ipairs(list) do
		put(tree, entry[1], tvb, at + entry[2], entry[3])
	end
end

local function number(tvb, at, len)
	if not has(tvb, at, len) then return nil end
	return tvb(at, len):le_uint()
end

local function name_of(names, value)
	if not value then return "cut off" end
	return names[value] or string.format("0x%x", value)
end

local function version_text(value)
	if not value then return "?" end
	return string.format("%d.%d", math.floor(value / 65536), value % 65536)
end

local function say(pinfo, text)
	pinfo.cols.info:append(text)
end

-- Messages

-- What answers what, and the field that both share: { type of the request, offset }.
local answers = {
	[4] = { 3 }, [6] = { 5, 8 }, [10] = { 8, 12 }, [12] = { 11, 12, 8 }, [15] = { 14 }, [17] = { 16 },
	[20] = { 19, 8 }, [23] = { 21 }, [24] = { 22, 8 }, [26] = { 25 }, [28] = { 27 },
}

local function message_key(kind, tvb, at)
	return "message:" .. kind .. ":" .. tostring(at and number(tvb, at, 4) or "")
end

local function match_message(kind, tvb, pinfo)
	for response, about in pairs(answers) do
		if about[1] == kind then ask(message_key(kind, tvb, about[2]), pinfo) end
		if response == kind then answer(message_key(about[1], tvb, about[3] or about[2]), pinfo) end
	end
end

local show_message = {
	[1] = function(tvb, pinfo, tree)
		put(tree, "offer.type", tvb, 8, 16)
		put(tree, "offer.instance", tvb, 24, 16)
		put_all(tree, tvb, 0, { { "offer.flags", 56, 2 }, { "offer.mmio", 58, 2 },
			{ "offer.user", 60, 120 }, { "sub_channel", 180, 2 }, { "relid", 184, 4 },
			{ "offer.monitor_id", 188, 1 } })
		if has(tvb, 192, 4) then put(tree, "connection_id", tvb, 192, 4) end
		if not has(tvb, 184, 4) then return end
		local name = class_name(tvb(8, 16))
		if not pinfo.visited then learn_class(number(tvb, 184, 4), tvb(8, 16)) end
		tree:add(f.service, name):set_generated()
		say(pinfo, string.format(" %d: %s, sub-channel %d", number(tvb, 184, 4), name, number(tvb, 180, 2)))
	end,
	[5] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "message.open_id", 12, 4 }, { "gpadl.id", 16, 4 },
			{ "message.target_vp", 20, 4 }, { "downstream_page", 24, 4 } })
		say(pinfo, " " .. tostring(number(tvb, 8, 4)))
	end,
	[6] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "message.open_id", 12, 4 },
			{ "message.status", 16, 4 } })
		say(pinfo, string.format(" %s: %s", tostring(number(tvb, 8, 4)),
			name_of(nt_statuses, number(tvb, 16, 4))))
	end,
	[8] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "gpadl.id", 12, 4 }, { "gpadl.ranges_len", 16, 2 },
			{ "gpadl.range_count", 18, 2 }, { "gpadl.byte_count", 20, 4 }, { "gpadl.byte_offset", 24, 4 } })
		for at = 28, tvb:len() - 8, 8 do put(tree, "gpadl.pfn", tvb, at, 8) end
		say(pinfo, string.format(" 0x%x of %s", number(tvb, 12, 4) or 0, tostring(number(tvb, 8, 4))))
	end,
	[9] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "gpadl.number", 8, 4 }, { "gpadl.id", 12, 4 } })
		for at = 16, tvb:len() - 8, 8 do put(tree, "gpadl.pfn", tvb, at, 8) end
	end,
	[10] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "gpadl.id", 12, 4 }, { "message.status", 16, 4 } })
		say(pinfo, string.format(" 0x%x: %s", number(tvb, 12, 4) or 0,
			name_of(nt_statuses, number(tvb, 16, 4))))
	end,
	[11] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "gpadl.id", 12, 4 } })
	end,
	[12] = function(tvb, pinfo, tree) put(tree, "gpadl.id", tvb, 8, 4) end,
	[14] = function(tvb, pinfo, tree)
		local version = number(tvb, 8, 4)
		put_all(tree, tvb, 0, { { "message.version", 8, 4 }, { "message.target_vp", 12, 4 } })
		if version and version >= 0x50000 then
			put_all(tree, tvb, 0, { { "message.target_sint", 16, 1 }, { "message.features", 20, 4 } })
		else
			put(tree, "message.interrupt_page", tvb, 16, 8)
		end
		put_all(tree, tvb, 0, { { "message.monitor_page", 24, 8 }, { "message.monitor_page", 32, 8 } })
		if not pinfo.visited then channels.proposed = version end
		say(pinfo, " version " .. version_text(version))
	end,
	[15] = function(tvb, pinfo, tree)
		put(tree, "message.supported", tvb, 8, 1)
		if has(tvb, 9, 1) then put(tree, "message.connection_state", tvb, 9, 1) end
		if has(tvb, 12, 4) then put(tree, "connection_id", tvb, 12, 4) end
		if has(tvb, 16, 4) then put(tree, "message.features", tvb, 16, 4) end
		if not pinfo.visited then memo[pinfo.number].proposed = channels.proposed end
		local proposed = memo[pinfo.number].proposed
		say(pinfo, string.format(" version %s %s", version_text(proposed),
			number(tvb, 8, 1) == 1 and "accepted" or "refused"))
	end,
	[21] = function(tvb, pinfo, tree)
		put(tree, "offer.instance", tvb, 8, 16)
		put(tree, "offer.type", tvb, 24, 16)
	end,
	[22] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "message.target_vp", 12, 4 } })
	end,
	[23] = function(tvb, pinfo, tree)
		put(tree, "offer.instance", tvb, 8, 16)
		put(tree, "offer.type", tvb, 24, 16)
		put(tree, "message.status", tvb, 40, 4)
	end,
	[24] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "relid", 8, 4 }, { "message.status", 12, 4 } })
	end,
	[25] = function(tvb, pinfo, tree)
		put_all(tree, tvb, 0, { { "message.monitor_page", 8, 8 }, { "message.monitor_page", 16, 8 } })
	end,
	[26] = function(tvb, pinfo, tree) put(tree, "message.connection_state", tvb, 8, 1) end,
}
for _, kind in ipairs({ 2, 7, 13, 18, 19, 20 }) do
	show_message[kind] = function(tvb, pinfo, tree)
		put(tree, "relid", tvb, 8, 4)
		say(pinfo, " " .. tostring(number(tvb, 8, 4)))
	end
end

local function message(tvb, pinfo, tree)
	local kind = number(tvb, 0, 4)
	local sub = tree:add(proto, tvb(), "Message " .. name_of(messages, kind))
	put(sub, "message.type", tvb, 0, 4)
	say(pinfo, name_of(messages, kind))
	match_message(kind, tvb, pinfo)
	if show_message[kind] then show_message[kind](tvb, pinfo, sub) end
end

-- Storage

local function be(tvb, at, len)
	return has(tvb, at, len) and tvb(at, len):uint() or 0
end

-- Where blocks and their number are in a CDB: { at, len, at, len }.
local transfers = {
	[0x28] = { 2, 4, 7, 2 }, [0x2A] = { 2, 4, 7, 2 }, [0x2F] = { 2, 4, 7, 2 }, [0x35] = { 2, 4, 7, 2 },
	[0x41] = { 2, 4, 7, 2 }, [0xA8] = { 2, 4, 6, 4 }, [0xAA] = { 2, 4, 6, 4 },
	[0x88] = { 6, 4, 10, 4 }, [0x8A] = { 6, 4, 10, 4 }, [0x91] = { 6, 4, 10, 4 },
	[0x93] = { 6, 4, 10, 4 },
}

local function cdb(tvb, at, pinfo, tree)
	local opcode = number(tvb, at, 1)
	local where = transfers[opcode]
	put(tree, "scsi.opcode", tvb, at, 1)
	put(tree, "scsi.cdb", tvb, at, 16)
	if where and has(tvb, at, 16) then
		-- the upper half of a 16-byte command's block is beyond any disk of this host
		tree:add(f["scsi.lba"], tvb(at + where[1], where[2]), UInt64(be(tvb, at + where[1], where[2])))
		tree:add(f["scsi.blocks"], tvb(at + where[3], where[4]))
		return string.format("%s block %d, %d blocks", name_of(opcodes, opcode),
			be(tvb, at + where[1], where[2]), be(tvb, at + where[3], where[4]))
	end
	return name_of(opcodes, opcode)
end

local function sense(tvb, at, len, tree)
	if len == 0 or not has(tvb, at, 14) then return "" end
	tree:add(f["scsi.sense_key"], tvb(at + 2, 1))
	tree:add(f["scsi.asc"], tvb(at + 12, 2))
	tree:add(f["scsi.sense"], tvb(at, math.min(len, 20, tvb:len() - at)))
	return string.format(", sense %x/%02x/%02x", be(tvb, at + 2, 1) % 16, be(tvb, at + 12, 1),
		be(tvb, at + 13, 1))
end

local function srb(tvb, pinfo, tree, completed)
	local about
	put_all(tree, tvb, 12, { { "scsi.path", 5, 1 }, { "scsi.target", 6, 1 }, { "scsi.lun", 7, 1 },
		{ "scsi.data_direction", 10, 1 }, { "scsi.data_len", 12, 4 } })
	if completed then
		put_all(tree, tvb, 12, { { "scsi.srb_status", 2, 1 }, { "scsi.status", 3, 1 },
			{ "scsi.sense_len", 9, 1 } })
		about = string.format(": %s, SCSI %s", name_of(srb_statuses, (number(tvb, 14, 1) or 0) % 64),
			name_of(scsi_statuses, number(tvb, 15, 1)))
		return about .. sense(tvb, 28, number(tvb, 21, 1) or 0, tree)
	end
	put(tree, "scsi.cdb_len", tvb, 20, 1)
	return string.format("LUN %d: %s", number(tvb, 19, 1) or 0, cdb(tvb, 28, pinfo, tree))
end

-- Returns what its answer should say of it.
local function storage(tvb, pinfo, tree, completion)
	local operation = number(tvb, 0, 4)
	local about = memo[pinfo.number].about or {}
	local sub = tree:add(proto, tvb(), "Storage: " .. name_of(operations, operation))
	pinfo.cols.protocol = "VSTOR"
	put_all(sub, tvb, 0, { { "storage.operation", 0, 4 }, { "storage.flags", 4, 4 } })
	if completion then
		put(sub, "storage.status", tvb, 8, 4)
		say(pinfo, string.format("completion of %s", about.text or "?"))
		if about.operation == EXECUTE_SRB then
			say(pinfo, srb(tvb, pinfo, sub, true))
		else
			say(pinfo, ": " .. name_of(nt_statuses, number(tvb, 8, 4)))
		end
		if about.operation == QUERY_PROPERTIES then
			put_all(sub, tvb, 0, { { "storage.sub_channels", 16, 2 }, { "storage.transfer_max", 24, 4 } })
		end
		return nil
	end
	local text = name_of(operations, operation)
	if operation == EXECUTE_SRB then
		text = srb(tvb, pinfo, sub, false)
	elseif operation == QUERY_PROTOCOL_VERSION then
		put(sub, "storage.version", tvb, 12, 2)
		text = string.format("%s %d.%d", text, number(tvb, 13, 1) or 0, number(tvb, 12, 1) or 0)
	elseif operation == CREATE_SUB_CHANNELS then
		put(sub, "storage.sub_channels", tvb, 12, 2)
	end
	say(pinfo, text)
	return { operation = operation, text = text }
end

-- Network: NVSP

local show_nvsp = {
	[1] = { { "nvsp.version", 4, 4 } },
	[2] = { { "nvsp.status", 12, 4 } },
	[100] = { { "nvsp.ndis_major", 4, 4 }, { "nvsp.ndis_minor", 8, 4 } },
	[101] = { { "gpadl.id", 4, 4 }, { "nvsp.buffer_id", 8, 2 } },
	[102] = { { "nvsp.status", 4, 4 }, { "nvsp.sections", 8, 4 }, { "nvsp.suballoc_len", 16, 4 },
		{ "nvsp.suballoc_count", 20, 4 } },
	[103] = { { "nvsp.buffer_id", 4, 2 } },
	[104] = { { "gpadl.id", 4, 4 }, { "nvsp.buffer_id", 8, 2 } },
	[105] = { { "nvsp.status", 4, 4 }, { "nvsp.section_len", 8, 4 } },
	[106] = { { "nvsp.buffer_id", 4, 2 } },
	[107] = { { "nvsp.channel_type", 4, 4 }, { "nvsp.section_index", 8, 4 },
		{ "nvsp.section_len", 12, 4 } },
	[108] = { { "nvsp.status", 4, 4 } },
	[125] = { { "nvsp.mtu", 4, 4 }, { "nvsp.capabilities", 12, 8 } },
	[133] = { { "nvsp.status", 4, 4 }, { "nvsp.count", 8, 4 } },
	[134] = { { "nvsp.count", 4, 4 } },
}

local function nvsp(tvb, pinfo, tree, completion)
	local kind = number(tvb, 0, 4)
	local sub = tree:add(proto, tvb(), "NVSP: " .. name_of(nvsp_types, kind))
	local text = name_of(nvsp_types, kind)
	pinfo.cols.protocol = "NVSP"
	put(sub, "nvsp.type", tvb, 0, 4)
	put_all(sub, tvb, 0, show_nvsp[kind] or {})
	if kind == 1 then text = text .. " version " .. name_of(nvsp_versions, number(tvb, 4, 4)) end
	if kind == 2 then text = text .. " " .. name_of(nvsp_statuses, number(tvb, 12, 4)) end
	if kind == 102 or kind == 105 or kind == 108 then
		text = text .. " " .. name_of(nvsp_statuses, number(tvb, 4, 4))
	end
	if kind == 107 then text = text .. " " .. name_of(channel_types, number(tvb, 4, 4)) end
	say(pinfo, text)
	return { text = text, section = kind == 107 and number(tvb, 8, 4) ~= 0xFFFFFFFF }
end

-- Network: RNDIS

local ethernet = Dissector.get("eth_withoutfcs")

local function per_packet_information(tvb, at, len, tree)
	local left = len
	while left >= 12 and has(tvb, at, 12) do
		local size, offset = number(tvb, at, 4), number(tvb, at + 8, 4)
		if size < 12 or size > left then return end
		put(tree, "rndis.info.type", tvb, at + 4, 4)
		if size >= offset + 4 and has(tvb, at + offset, 4) then put(tree, "rndis.info.value", tvb, at + offset, 4) end
		at, left = at + size, left - size
	end
end

local function rndis_packet(tvb, pinfo, tree, root)
	local at, len = number(tvb, 8, 4), number(tvb, 12, 4)
	local info_at, info_len = number(tvb, 28, 4), number(tvb, 32, 4)
	put(tree, "rndis.data_len", tvb, 12, 4)
	if not info_len then return "" end
	per_packet_information(tvb, 8 + info_at, info_len, tree)
	local text = string.format(" frame of %d bytes", len)
	if len >= 14 and has(tvb, 8 + at, len) then
		say(pinfo, text)
		local info = tostring(pinfo.cols.info)
		ethernet:call(tvb(8 + at, len):tvb(), pinfo, root)
		pinfo.cols.protocol = "RNDIS"
		pinfo.cols.info = info
		return ""
	end
	return text
end

local function rndis_key(relid, request_id)
	return "rndis:" .. relid .. ":" .. tostring(request_id)
end

local function rndis_control(kind, tvb, pinfo, tree, relid)
	local id, text = number(tvb, 8, 4), ""
	put(tree, "rndis.request_id", tvb, 8, 4)
	if kind == 2 then put(tree, "rndis.transfer_max", tvb, 20, 4) end
	if kind == 4 or kind == 5 then
		local len, at = number(tvb, 16, 4), number(tvb, 20, 4)
		put_all(tree, tvb, 0, { { "rndis.oid", 12, 4 }, { "rndis.buffer_len", 16, 4 } })
		text = " " .. name_of(oids, number(tvb, 12, 4))
		if at and len > 0 and has(tvb, 8 + at, len) then put(tree, "rndis.buffer", tvb, 8 + at, len) end
	end
	if kind < 0x80000000 then
		if kind ~= 3 then ask(rndis_key(relid, id), pinfo, { text = text }) end
		return text
	end
	answer(rndis_key(relid, id), pinfo)
	put(tree, "rndis.status", tvb, 12, 4)
	text = (memo[pinfo.number].about or {}).text or ""
	if kind == 0x80000004 then
		local len, at = number(tvb, 16, 4), number(tvb, 20, 4)
		put(tree, "rndis.buffer_len", tvb, 16, 4)
		if at and len > 0 and has(tvb, 8 + at, len) then put(tree, "rndis.buffer", tvb, 8 + at, len) end
	end
	return text .. ": " .. name_of(rndis_statuses, number(tvb, 12, 4))
end

local function rndis_message(tvb, pinfo, tree, root, relid)
	local kind = number(tvb, 0, 4)
	local text
	put_all(tree, tvb, 0, { { "rndis.type", 0, 4 }, { "rndis.len", 4, 4 } })
	if kind == 1 then
		say(pinfo, name_of(rndis_types, kind))
		say(pinfo, rndis_packet(tvb, pinfo, tree, root))
		return
	elseif kind == 7 then
		put_all(tree, tvb, 0, { { "rndis.status", 8, 4 }, { "rndis.buffer_len", 12, 4 } })
		text = " " .. name_of(rndis_statuses, number(tvb, 8, 4))
	elseif kind == 6 or kind == 0x80000006 then
		text = ""
	else
		text = rndis_control(kind, tvb, pinfo, tree, relid)
	end
	say(pinfo, name_of(rndis_types, kind) .. text)
end

-- A send may carry several messages, each as long as it says.
local function rndis(tvb, pinfo, tree, relid)
	local at = 0
	pinfo.cols.protocol = "RNDIS"
	while has(tvb, at, 8) do
		local len = number(tvb, at + 4, 4)
		if at > 0 then say(pinfo, "; ") end
		local rest = tvb(at, math.min(math.max(len, 8), tvb:len() - at)):tvb()
		local sub = tree:add(proto, rest(), "RNDIS: " .. name_of(rndis_types, number(rest, 0, 4)))
		rndis_message(rest, pinfo, sub, tree, relid)
		if len < 8 then return end
		at = at + len
	end
end

-- Integration services

local function ic_version(tvb, at)
	return string.format("%d.%d", number(tvb, at, 2), number(tvb, at + 2, 2))
end

local function negotiation(tvb, tree)
	local count = (number(tvb, 20, 2) or 0) + (number(tvb, 22, 2) or 0)
	local text = {}
	for i = 0, math.min(count, 100) - 1 do
		if not has(tvb, 28 + 4 * i, 4) then break end
		text[#text + 1] = ic_version(tvb, 28 + 4 * i)
	end
	return " " .. table.concat(text, " ")
end

-- The pipe's header has eight bytes: type and length of what follows.
local function integration(tvb, pinfo, tree, relid, transaction)
	pinfo.cols.protocol = "IC"
	if not has(tvb, 0, 28) then
		say(pinfo, "pipe packet")
		return
	end
	local len = math.min(number(tvb, 4, 4), tvb:len() - 8)
	if len < 20 then return end
	local ic = tvb(8, len):tvb()
	local kind, flags = number(ic, 4, 2), number(ic, 17, 1)
	local sub = tree:add(proto, ic(), "Integration: " .. name_of(ic_types, kind))
	put_all(sub, ic, 0, { { "ic.framework", 0, 4 }, { "ic.type", 4, 2 }, { "ic.version", 6, 4 },
		{ "ic.len", 10, 2 }, { "ic.status", 12, 4 }, { "ic.transaction", 16, 1 }, { "ic.flags", 17, 1 } })
	if len > 20 then put(sub, "ic.body", ic, 20, len - 20) end
	local text = name_of(ic_types, kind)
	if kind == 0 then text = text .. negotiation(ic, sub) end
	local key = "ic:" .. relid .. ":" .. transaction
	if flags % 4 >= 2 then
		ask(key, pinfo, { text = text })
		say(pinfo, text)
	else
		answer(key, pinfo)
		say(pinfo, string.format("answer to %s: %s", text, name_of(ic_statuses, number(ic, 12, 4))))
	end
end

-- Packets

local function ranges(tvb, kind, payload_at, tree)
	if kind == 9 then
		local at, count = 24, number(tvb, 20, 4)
		put(tree, "packet.range_count", tvb, 20, 4)
		for _ = 1, math.min(count or 0, 64) do
			if not has(tvb, at, 8) or at >= payload_at then return end
			local len, offset = number(tvb, at, 4), number(tvb, at + 4, 4)
			put_all(tree, tvb, at, { { "gpadl.byte_count", 0, 4 }, { "gpadl.byte_offset", 4, 4 } })
			at = at + 8
			for _ = 1, math.ceil((offset + len) / 4096) do
				if at + 8 > payload_at then return end
				put(tree, "gpadl.pfn", tvb, at, 8)
				at = at + 8
			end
		end
	elseif kind == 7 then
		put_all(tree, tvb, 0, { { "packet.set_id", 16, 2 }, { "packet.range_count", 20, 4 } })
		for at = 24, math.min(payload_at, tvb:len()) - 8, 8 do
			put_all(tree, tvb, at, { { "gpadl.byte_count", 0, 4 }, { "gpadl.byte_offset", 4, 4 } })
		end
	end
end

local function packet_key(relid, direction, sub_channel, transaction)
	return string.format("packet:%d:%d:%s", relid, direction, transaction)
end

local function packet(tvb, pinfo, tree, relid, direction)
	local kind, payload_at = number(tvb, 0, 2), (number(tvb, 2, 2) or 2) * 8
	local sub = tree:add(proto, tvb(0, math.min(payload_at, tvb:len())), "Packet, " .. name_of(packet_types, kind))
	put_all(sub, tvb, 0, { { "packet.type", 0, 2 }, { "packet.header_len", 2, 2 },
		{ "packet.len", 4, 2 }, { "packet.completion_requested", 6, 2 }, { "packet.transaction", 8, 8 } })
	if not has(tvb, 8, 8) then return end
	local transaction = tostring(tvb(8, 8):le_uint64())
	local m, completion, about = memo[pinfo.number], kind == 11, nil
	ranges(tvb, kind, payload_at, sub)
	if completion then answer(packet_key(relid, 1 - direction, 0, transaction), pinfo) end
	if not has(tvb, payload_at, 4) then
		say(pinfo, name_of(packet_types, kind) .. " without payload")
	else
		local payload = tvb(payload_at):tvb()
		if m.class == "storage" then
			about = storage(payload, pinfo, tree, completion)
		elseif m.class == "network" then
			about = nvsp(payload, pinfo, tree, completion)
		elseif m.class == "integration" then
			integration(payload, pinfo, tree, relid, transaction)
		else
			say(pinfo, name_of(packet_types, kind) .. " packet")
			tree:add(f["data.bytes"], payload())
		end
	end
	if completion or m.class == "integration" then return end
	if not pinfo.visited and about and about.section then channel_of(relid).sections[transaction] = true end
	ask(packet_key(relid, direction, 0, transaction), pinfo, about)
end

-- Data: memory that a packet names. RNDIS begins in the send buffer's section if there is one.
local function data(tvb, pinfo, tree, relid, direction)
	local m = memo[pinfo.number]
	put_all(tree, tvb, 0, { { "packet.transaction", 0, 8 }, { "data.place", 8, 4 },
		{ "data.offset", 12, 4 } })
	if not has(tvb, 0, 17) then return end
	local place, offset = number(tvb, 8, 4), number(tvb, 12, 4)
	local transaction = tostring(tvb(0, 8):le_uint64())
	if not pinfo.visited then
		m.begins = place ~= 0 or (offset == 0 and not channel_of(relid).sections[transaction])
	end
	if m.class == "network" and m.begins then
		rndis(tvb(16):tvb(), pinfo, tree, relid)
		return
	end
	say(pinfo, string.format("%d bytes of %s", tvb:len() - 16, name_of(places, place)))
	tree:add(f["data.bytes"], tvb(16))
end

-- Control records

local function control(tvb, pinfo, tree, relid, what)
	say(pinfo, name_of(controls, what))
	if what == 1 then
		if not pinfo.visited then channels, waiting = {}, {} end
		put_all(tree, tvb, 0, { { "message.version", 0, 4 }, { "message.features", 4, 4 } })
		if (number(tvb, 0, 4) or 0) > 0 then say(pinfo, ", version " .. version_text(number(tvb, 0, 4))) end
	elseif what == 2 and has(tvb, 0, 48) then
		if not pinfo.visited then learn_class(relid, tvb(0, 16)) end
		put(tree, "offer.type", tvb, 0, 16)
		put(tree, "offer.instance", tvb, 16, 16)
		put_all(tree, tvb, 0, { { "connection_id", 32, 4 }, { "gpadl.id", 36, 4 },
			{ "downstream_page", 40, 4 }, { "page_count", 44, 4 } })
		say(pinfo, string.format(" %d: %s", relid, class_name(tvb(0, 16))))
	elseif what == 3 then
		say(pinfo, " " .. relid)
	elseif what == 4 then
		put(tree, "lost", tvb, 0, 8)
	elseif what == 6 then
		tree:add(f.options, tvb(), (tvb:raw():gsub("%z", " ")))
	end
end

-- A record

local function show_header(tvb, tree, kind, direction)
	local sub = tree:add(proto, tvb(0, 16), "Record: " .. name_of(kinds, kind) ..
		(kind ~= 0 and " " .. name_of(directions, direction) or ""))
	put_all(sub, tvb, 0, { { "version", 0, 1 }, { "kind", 1, 1 }, { "direction", 2, 1 }, { "flags", 3, 1 } })
	if kind == 1 then
		put(sub, direction == 0 and "connection_id" or "sint", tvb, 4, 4)
	elseif number(tvb, 4, 4) ~= 0 then
		put_all(sub, tvb, 0, { { "relid", 4, 4 }, { "sub_channel", 8, 2 } })
	end
	if number(tvb, 10, 2) ~= 0xFFFF then put(sub, "vp", tvb, 10, 2) end
	if kind == 0 then put(sub, "control", tvb, 12, 4) end
	if kind == 1 and direction == 0 then put(sub, "hypercall.status", tvb, 12, 4) end
	if kind == 2 then put(sub, "packet.offset", tvb, 12, 4) end
	if kind == 3 then put(sub, "connection_id", tvb, 12, 4) end
	return sub
end

local function dissect_body(kind, tvb, pinfo, tree, relid, direction, detail)
	if kind == 0 then
		control(tvb, pinfo, tree, relid, detail)
	elseif kind == 1 then
		message(tvb, pinfo, tree)
	elseif kind == 2 then
		packet(tvb, pinfo, tree, relid, direction)
	elseif kind == 4 then
		data(tvb, pinfo, tree, relid, direction)
	end
end

function proto.dissector(tvb, pinfo, root)
	if tvb:len() < 16 or number(tvb, 0, 1) ~= 1 then return 0 end
	local kind, direction = number(tvb, 1, 1), number(tvb, 2, 1)
	local relid, detail = number(tvb, 4, 4), number(tvb, 12, 4)
	local tree = root:add(proto, tvb())
	local sub = show_header(tvb, tree, kind, direction)

	if not memo[pinfo.number] then
		local channel = kind >= 2 and channels[relid] or {}
		memo[pinfo.number] = { service = channel.service, class = channel.class }
	end
	local m = memo[pinfo.number]
	pinfo.cols.protocol = "VMBus"
	pinfo.cols.info = ""
	if kind ~= 0 then
		pinfo.cols.src = direction == 0 and "guest" or "host"
		pinfo.cols.dst = direction == 0 and "host" or "guest"
	end
	if m.service then sub:add(f.service, m.service):set_generated() end
	if kind == 3 then
		say(pinfo, "signal, " .. (m.service or "channel") .. " " .. relid)
	elseif tvb:len() > 16 then
		dissect_body(kind, tvb(16):tvb(), pinfo, tree, relid, direction, detail)
	elseif kind == 0 then
		say(pinfo, name_of(controls, detail))
		if detail == 3 then say(pinfo, " " .. relid) end
	end
	show_match(tree, m)
	return tvb:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, proto)

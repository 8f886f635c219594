// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What of the adapter can be queried and set: the table `oids`, from which also the list of
 * supported OIDs is made.
 */
#include "host/rndis_internal.h"

#define NDIS_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define NDIS_6			   NDIS_VERSION(6, 0)
#define NDIS_6_30		   NDIS_VERSION(6, 30)
#define ETHERNET_LEN		   14u
#define MAC_OPTIONS		   0x24Du /* copy lookahead, no pending, no loopback, ... */
#define VENDOR_ID		   0x155Du
#define DRIVER_VERSION		   0x0100u
#define BUFFER_SPACE		   (256u << 10)
#define FRIENDLY_NAME_LEN	   512u
#define UNIT_OF_LINK_SPEED	   100u /* bit/s */
#define FILTER_ALL                                                                     \
	(RNDIS_FILTER_DIRECTED | RNDIS_FILTER_MULTICAST | RNDIS_FILTER_ALL_MULTICAST | \
	 RNDIS_FILTER_BROADCAST | RNDIS_FILTER_PROMISCUOUS)

/* A query's input and where its reply goes. */
struct answer {
	const uint8_t *data;
	uint32_t len;
	uint8_t *out;
	uint32_t *out_len;
};

typedef uint32_t query_fn(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a);
typedef uint32_t set_fn(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len);

static uint32_t put(const struct answer *a, const void *bytes, uint32_t len)
{
	memcpy(a->out, bytes, len);
	*a->out_len = len;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t put32(const struct answer *a, uint32_t value)
{
	return put(a, &value, sizeof(value));
}

static uint32_t query_zero(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	return put32(a, 0);
}

static uint32_t query_mtu(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	return put32(a, r->mtu);
}

static uint32_t query_frame_len(const struct vmb_host_rndis *r, uint32_t oid,
				const struct answer *a)
{
	return put32(a, r->mtu + ETHERNET_LEN);
}

/* Numbers that are the same for every adapter. */
static const struct {
	uint32_t oid;
	uint32_t value;
} constants[] = {
	{ RNDIS_OID_TX_BUFFER_SPACE, BUFFER_SPACE }, { RNDIS_OID_RX_BUFFER_SPACE, BUFFER_SPACE },
	{ RNDIS_OID_VENDOR_ID, VENDOR_ID },	     { RNDIS_OID_MAC_OPTIONS, MAC_OPTIONS },
	{ RNDIS_OID_SEND_PACKETS_MAX, 0xFFFFFFFFu },
};

static uint32_t query_constant(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(constants); i++)
		if (constants[i].oid == oid)
			return put32(a, constants[i].value);
	return (uint32_t)RNDIS_STATUS_FAILURE;
}

static uint32_t query_link_speed(const struct vmb_host_rndis *r, uint32_t oid,
				 const struct answer *a)
{
	return put32(a, r->config.link_speed);
}

static uint32_t query_link_speed_max(const struct vmb_host_rndis *r, uint32_t oid,
				     const struct answer *a)
{
	uint64_t speeds[2];

	speeds[0] = speeds[1] = (uint64_t)r->config.link_speed * UNIT_OF_LINK_SPEED;
	return put(a, speeds, sizeof(speeds));
}

static uint32_t query_link_state(const struct vmb_host_rndis *r, uint32_t oid,
				 const struct answer *a)
{
	struct ndis_link_state state = { .duplex = 2 };

	state.object.type = NDIS_OBJECT_DEFAULT;
	state.object.revision = 1;
	state.object.len = sizeof(state);
	state.connect = r->link_up ? 1 : 2;
	state.transmit_speed = (uint64_t)r->config.link_speed * UNIT_OF_LINK_SPEED;
	state.receive_speed = state.transmit_speed;
	return put(a, &state, sizeof(state));
}

static uint32_t query_connect_status(const struct vmb_host_rndis *r, uint32_t oid,
				     const struct answer *a)
{
	return put32(a, r->link_up ? 0 : 1);
}

static uint32_t query_filter(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	return put32(a, r->filter);
}

static uint32_t query_driver_version(const struct vmb_host_rndis *r, uint32_t oid,
				     const struct answer *a)
{
	const uint16_t version = DRIVER_VERSION;

	return put(a, &version, sizeof(version));
}

static const char *name_of(const struct vmb_host_rndis *r)
{
	return r->config.name ? r->config.name : "OpenVMBus network";
}

static uint32_t query_description(const struct vmb_host_rndis *r, uint32_t oid,
				  const struct answer *a)
{
	static const char description[] = "OpenVMBus network adapter";

	return put(a, description, sizeof(description));
}

/* The last character stays 0. */
static uint32_t query_friendly_name(const struct vmb_host_rndis *r, uint32_t oid,
				    const struct answer *a)
{
	const char *name = name_of(r);
	uint32_t i;

	memset(a->out, 0, FRIENDLY_NAME_LEN);
	for (i = 0; name[i] && i < FRIENDLY_NAME_LEN / 2 - 1; i++)
		a->out[2 * i] = (uint8_t)name[i];
	*a->out_len = FRIENDLY_NAME_LEN;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t query_permanent_mac(const struct vmb_host_rndis *r, uint32_t oid,
				    const struct answer *a)
{
	return put(a, r->config.mac, sizeof(r->config.mac));
}

static uint32_t query_current_mac(const struct vmb_host_rndis *r, uint32_t oid,
				  const struct answer *a)
{
	return put(a, r->mac, sizeof(r->mac));
}

/* Errors are not counted: a frame that is no good is refused, and the guest counts that. */
static uint32_t query_statistics(const struct vmb_host_rndis *r, uint32_t oid,
				 const struct answer *a)
{
	switch (oid) {
	case RNDIS_OID_TX_OK: return put32(a, (uint32_t)r->counters.tx_frames);
	case RNDIS_OID_RX_OK: return put32(a, (uint32_t)r->counters.rx_frames);
	case RNDIS_OID_RX_NO_BUFFER: return put32(a, (uint32_t)r->counters.rx_no_buffer);
	default: return put32(a, 0);
	}
}

static uint32_t query_rss(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	return vmb_host_rndis_rss_query(r, a->data, a->len, a->out, a->out_len);
}

/*
 * The revision that goes with the protocol's version, or an older one if the guest's own header has
 * no room for it.
 */
static uint32_t offload_revision(const struct vmb_host_rndis *r, const struct answer *a)
{
	struct ndis_object object;
	uint32_t revision = r->offload_revision;

	if (a->len < sizeof(object))
		return revision;
	memcpy(&object, a->data, sizeof(object));
	if (object.type != NDIS_OBJECT_OFFLOAD || object.len < NDIS_OFFLOAD_LEN_1)
		return revision;
	if (object.len < NDIS_OFFLOAD_LEN_3 && revision > 2)
		revision = 2;
	if (object.len < NDIS_OFFLOAD_LEN_2)
		revision = 1;
	return revision;
}

static uint32_t query_offload(const struct vmb_host_rndis *r, uint32_t oid, const struct answer *a)
{
	bool on = oid == (uint32_t)RNDIS_OID_OFFLOAD_CURRENT_CONFIG;
	struct ndis_offload offload;
	uint32_t len = vmb_host_rndis_offload_describe(r, offload_revision(r, a), on, &offload);

	return put(a, &offload, len);
}

static query_fn query_supported_list;

static uint32_t set_filter(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	uint32_t filter;

	if (len < sizeof(filter))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&filter, data, sizeof(filter));
	r->filter = filter & FILTER_ALL;
	return RNDIS_STATUS_SUCCESS;
}

/* Taken note of by nobody: lookahead, protocol options, network addresses. */
static uint32_t set_ignored(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	return RNDIS_STATUS_SUCCESS;
}

/* Groups are not told apart, see vmb_host_rndis_wants. */
static uint32_t set_multicast_list(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	return len % 6 ? (uint32_t)RNDIS_STATUS_INVALID_DATA : RNDIS_STATUS_SUCCESS;
}

/* Nothing but Ethernet with its plain header can be had. */
static uint32_t set_encapsulation(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	struct encapsulation {
		struct ndis_object object;
		struct {
			uint32_t enabled, encapsulation, header_len;
		} ip[2];
	} e;
	size_t i;

	if (len < sizeof(e))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&e, data, sizeof(e));
	if (e.object.type != NDIS_OBJECT_ENCAPSULATION || e.object.len < sizeof(e))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	for (i = 0; i < VMB_ARRAY_COUNT(e.ip); i++)
		if (e.ip[i].enabled == 1 && (e.ip[i].encapsulation != NDIS_ENCAPSULATION_802_3 ||
					     e.ip[i].header_len != ETHERNET_LEN))
			return (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	return RNDIS_STATUS_SUCCESS;
}

#define TEXT_LEN_MAX 64u

/* UTF-16LE to ASCII, at most room - 1 characters. False: too long, odd, or not ASCII. */
static bool read_text(const uint8_t *data, uint32_t len, char *text, uint32_t room)
{
	uint32_t i;

	if (len % 2 || len / 2 >= room)
		return false;
	for (i = 0; i < len / 2; i++) {
		if (data[2 * i + 1] || data[2 * i] > 0x7F)
			return false;
		text[i] = (char)data[2 * i];
	}
	text[i] = 0;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Twelve digits, with or without something between the bytes. */
static uint32_t set_mac(struct vmb_host_rndis *r, const char *text)
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	size_t i;

	for (i = 0; i < sizeof(mac); i++) {
		int high, low;

		if (i && (*text == '-' || *text == ':'))
			text++;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return (uint32_t)RNDIS_STATUS_INVALID_DATA;
		mac[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text || mac[0] & 1 || memcmp(mac, zero, sizeof(mac)) == 0)
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(r->mac, mac, sizeof(mac));
	return RNDIS_STATUS_SUCCESS;
}

static bool same_text(const char *a, const char *b)
{
	for (; *a == *b; a++, b++)
		if (!*a)
			return true;
	return false;
}

/*
 * A keyword with its value; those that nobody here knows are taken without effect, as unknown
 * settings are.
 */
static uint32_t set_config_parameter(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	char name[TEXT_LEN_MAX], text[TEXT_LEN_MAX];
	struct rndis_config_parameter p;
	uint32_t value, status;

	if (len < sizeof(p))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&p, data, sizeof(p));
	if ((uint64_t)p.name_offset + p.name_len > len ||
	    (uint64_t)p.value_offset + p.value_len > len)
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	if (!read_text(data + p.name_offset, p.name_len, name, sizeof(name)))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	if (p.type == RNDIS_CONFIG_STRING) {
		if (!same_text(name, "NetworkAddress"))
			return RNDIS_STATUS_SUCCESS;
		if (!read_text(data + p.value_offset, p.value_len, text, sizeof(text)))
			return (uint32_t)RNDIS_STATUS_INVALID_DATA;
		return set_mac(r, text);
	}
	if (p.type != RNDIS_CONFIG_INTEGER || p.value_len < sizeof(value))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&value, data + p.value_offset, sizeof(value));
	status = vmb_host_rndis_offload_keyword(r, name, value);
	return status == (uint32_t)RNDIS_STATUS_NOT_SUPPORTED ? RNDIS_STATUS_SUCCESS : status;
}

/* In the order of the list that a guest gets. ndis: the first version of NDIS that has it. */
static const struct {
	uint32_t oid;
	uint32_t ndis;
	query_fn *query;
	set_fn *set;
} oids[] = {
	{ RNDIS_OID_SUPPORTED_LIST, 0, query_supported_list, NULL },
	{ RNDIS_OID_HARDWARE_STATUS, 0, query_zero, NULL },
	{ RNDIS_OID_MEDIA_SUPPORTED, 0, query_zero, NULL },
	{ RNDIS_OID_MEDIA_IN_USE, 0, query_zero, NULL },
	{ RNDIS_OID_LOOKAHEAD_MAX, 0, query_mtu, NULL },
	{ RNDIS_OID_FRAME_LEN_MAX, 0, query_mtu, NULL },
	{ RNDIS_OID_LINK_SPEED, 0, query_link_speed, NULL },
	{ RNDIS_OID_TX_BUFFER_SPACE, 0, query_constant, NULL },
	{ RNDIS_OID_RX_BUFFER_SPACE, 0, query_constant, NULL },
	{ RNDIS_OID_TX_BLOCK_LEN, 0, query_frame_len, NULL },
	{ RNDIS_OID_RX_BLOCK_LEN, 0, query_frame_len, NULL },
	{ RNDIS_OID_VENDOR_ID, 0, query_constant, NULL },
	{ RNDIS_OID_VENDOR_DESCRIPTION, 0, query_description, NULL },
	{ RNDIS_OID_PACKET_FILTER, 0, query_filter, set_filter },
	{ RNDIS_OID_LOOKAHEAD, 0, query_mtu, set_ignored },
	{ RNDIS_OID_DRIVER_VERSION, 0, query_driver_version, NULL },
	{ RNDIS_OID_TOTAL_LEN_MAX, 0, query_frame_len, NULL },
	{ RNDIS_OID_PROTOCOL_OPTIONS, 0, NULL, set_ignored },
	{ RNDIS_OID_MAC_OPTIONS, 0, query_constant, NULL },
	{ RNDIS_OID_MEDIA_CONNECT_STATUS, 0, query_connect_status, NULL },
	{ RNDIS_OID_SEND_PACKETS_MAX, 0, query_constant, NULL },
	{ RNDIS_OID_VENDOR_DRIVER_VERSION, 0, query_driver_version, NULL },
	{ RNDIS_OID_NETWORK_ADDRESSES, 0, NULL, set_ignored },
	{ RNDIS_OID_RSS_CAPABILITIES, NDIS_6_30, query_rss, NULL },
	{ RNDIS_OID_RSS_PARAMETERS, NDIS_6_30, NULL, vmb_host_rndis_rss_set },
	{ RNDIS_OID_LINK_SPEED_MAX, NDIS_6, query_link_speed_max, NULL },
	{ RNDIS_OID_LINK_STATE, NDIS_6, query_link_state, NULL },
	{ RNDIS_OID_CONFIG_PARAMETER, 0, NULL, set_config_parameter },
	{ RNDIS_OID_TX_OK, 0, query_statistics, NULL },
	{ RNDIS_OID_RX_OK, 0, query_statistics, NULL },
	{ RNDIS_OID_TX_ERROR, 0, query_statistics, NULL },
	{ RNDIS_OID_RX_ERROR, 0, query_statistics, NULL },
	{ RNDIS_OID_RX_NO_BUFFER, 0, query_statistics, NULL },
	{ RNDIS_OID_FRIENDLY_NAME, 0, query_friendly_name, NULL },
	{ RNDIS_OID_PERMANENT_MAC, 0, query_permanent_mac, NULL },
	{ RNDIS_OID_CURRENT_MAC, 0, query_current_mac, NULL },
	{ RNDIS_OID_MULTICAST_LIST, 0, NULL, set_multicast_list },
	{ RNDIS_OID_MULTICAST_LIST_MAX, 0, query_zero, NULL },
	{ RNDIS_OID_OFFLOAD_ENCAPSULATION, NDIS_6, NULL, set_encapsulation },
	{ (uint32_t)RNDIS_OID_OFFLOAD_CURRENT_CONFIG, NDIS_6, query_offload, NULL },
	{ (uint32_t)RNDIS_OID_OFFLOAD_PARAMETERS, NDIS_6, NULL, vmb_host_rndis_offload_set },
	{ (uint32_t)RNDIS_OID_OFFLOAD_CAPABILITIES, NDIS_6, query_offload, NULL },
};

static uint32_t query_supported_list(const struct vmb_host_rndis *r, uint32_t oid,
				     const struct answer *a)
{
	size_t i;

	_Static_assert(sizeof(uint32_t) * VMB_ARRAY_COUNT(oids) <= VMB_HOST_RNDIS_DATA_LEN_MAX,
		       "the list does not fit a reply");
	*a->out_len = 0;
	for (i = 0; i < VMB_ARRAY_COUNT(oids); i++) {
		if (oids[i].ndis > r->ndis_version)
			continue;
		memcpy(a->out + *a->out_len, &oids[i].oid, sizeof(oids[i].oid));
		*a->out_len += sizeof(oids[i].oid);
	}
	return RNDIS_STATUS_SUCCESS;
}

/* Where it stands in the table, or the table's length. */
static size_t find(const struct vmb_host_rndis *r, uint32_t oid)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(oids); i++)
		if (oids[i].oid == oid && oids[i].ndis <= r->ndis_version)
			break;
	return i;
}

uint32_t vmb_host_rndis_oid_query(const struct vmb_host_rndis *r, uint32_t oid, const uint8_t *data,
				  uint32_t len, uint8_t *out, uint32_t *out_len)
{
	const struct answer a = { .data = data, .len = len, .out = out, .out_len = out_len };
	size_t i = find(r, oid);

	*out_len = 0;
	if (i == VMB_ARRAY_COUNT(oids) || !oids[i].query)
		return (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	return oids[i].query(r, oid, &a);
}

uint32_t vmb_host_rndis_oid_set(struct vmb_host_rndis *r, uint32_t oid, const uint8_t *data,
				uint32_t len)
{
	size_t i = find(r, oid);

	if (i == VMB_ARRAY_COUNT(oids) || !oids[i].set)
		return (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	return oids[i].set(r, data, len);
}

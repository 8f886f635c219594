// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Checks the signatures of writes to authenticated UEFI variables, with OpenSSL. The bytes of the
 * signature come from the guest.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "devices/uefi/auth.h"

#define CERTIFICATE_AT	     VMB_DEV_UEFI_TIME_LEN /* after the time stamp */
#define CERTIFICATE_HEADER   24u
#define CERTIFICATE_REVISION 0x0200u
#define CERTIFICATE_UEFI     0x0EF1u
#define LIST_HEADER_LEN	     28u
#define OWNER_LEN	     16u

static const uint8_t type_pkcs7[16] = { 0x9D, 0xD2, 0xAF, 0x4A, 0xDF, 0x68, 0xEE, 0x49,
					0x8A, 0xA9, 0x34, 0x7D, 0x37, 0x56, 0x65, 0xA7 };
static const uint8_t type_x509[16] = { 0xA1, 0x59, 0xC0, 0xA5, 0xE4, 0x94, 0xA7, 0x4A,
				       0x87, 0xB5, 0xAB, 0x15, 0x5C, 0x2B, 0xF0, 0x72 };

/* Which rule applies to a variable. */
enum rule { PLAIN, PLATFORM_KEY, EXCHANGE_KEY, DATABASE, PRIVATE };

static bool is_named(const struct vmb_dev_uefi_var *var, const struct vmb_dev_uefi_guid *guid,
		     const char *name)
{
	size_t len = strlen(name);

	if (memcmp(&var->guid, guid, sizeof(*guid)) != 0 || var->name_len != 2 * (len + 1))
		return false;
	for (size_t i = 0; i < len; i++)
		if (var->name[2 * i] != (uint8_t)name[i] || var->name[2 * i + 1])
			return false;
	return true;
}

static enum rule rule_of(const struct vmb_dev_uefi_var *var)
{
	static const char *const databases[] = { "db", "dbx", "dbt", "dbr" };

	if (is_named(var, &vmb_dev_uefi_global, "PK"))
		return PLATFORM_KEY;
	if (is_named(var, &vmb_dev_uefi_global, "KEK"))
		return EXCHANGE_KEY;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(databases); i++)
		if (is_named(var, &vmb_dev_uefi_security, databases[i]))
			return DATABASE;
	return var->attributes & VMB_DEV_UEFI_TIME_BASED ? PRIVATE : PLAIN;
}

static uint32_t read32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* A signed write, taken apart. */
struct signed_write {
	const uint8_t *time;
	const uint8_t *signature;
	uint32_t signature_len;
	uint8_t *payload;
	uint32_t payload_len;
};

static bool take_apart(const struct vmb_dev_uefi_var *var, struct signed_write *w)
{
	const uint8_t *header = var->data + CERTIFICATE_AT;
	uint32_t len;

	if (var->data_len < CERTIFICATE_AT + CERTIFICATE_HEADER)
		return false;
	len = read32(header);
	if (len < CERTIFICATE_HEADER || len > var->data_len - CERTIFICATE_AT ||
	    (header[4] | header[5] << 8) != CERTIFICATE_REVISION ||
	    (header[6] | header[7] << 8) != CERTIFICATE_UEFI ||
	    memcmp(header + 8, type_pkcs7, sizeof(type_pkcs7)) != 0)
		return false;
	w->time = var->data;
	w->signature = header + CERTIFICATE_HEADER;
	w->signature_len = len - CERTIFICATE_HEADER;
	w->payload = var->data + CERTIFICATE_AT + len;
	w->payload_len = var->data_len - CERTIFICATE_AT - len;
	return true;
}

/* A time stamp: the parts that may not be used are zero (nanoseconds, time zone, daylight). */
static bool time_is_valid(const uint8_t *time)
{
	return !time[7] && !read32(time + 8) && !read32(time + 12);
}

/* Years first, then the rest; as one number. */
static uint64_t time_number(const uint8_t *time)
{
	uint64_t n = time[0] | time[1] << 8;

	for (uint32_t i = 2; i < 7; i++)
		n = n << 8 | time[i];
	return n;
}

/*
 * Firmware tools leave out the outermost wrapping, which says that this is signed data; OpenSSL
 * wants it.
 */
static PKCS7 *parse_signature(const struct signed_write *w)
{
	const uint8_t *at = w->signature;
	PKCS7 *p7 = d2i_PKCS7(NULL, &at, w->signature_len);

	if (p7)
		return p7;
	ERR_clear_error();
	at = w->signature;
	p7 = PKCS7_new();
	if (!p7)
		return NULL;
	p7->type = OBJ_nid2obj(NID_pkcs7_signed);
	p7->d.sign = d2i_PKCS7_SIGNED(NULL, &at, w->signature_len);
	if (p7->d.sign)
		return p7;
	PKCS7_free(p7);
	return NULL;
}

/* What is signed: name without its end, vendor, attributes, time, data. */
static BIO *signed_bytes(const struct vmb_dev_uefi_var *var, const struct signed_write *w)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio)
		return NULL;
	BIO_write(bio, var->name, (int)var->name_len - 2);
	BIO_write(bio, &var->guid, sizeof(var->guid));
	BIO_write(bio, &var->attributes, sizeof(var->attributes));
	BIO_write(bio, w->time, VMB_DEV_UEFI_TIME_LEN);
	BIO_write(bio, w->payload, (int)w->payload_len);
	return bio;
}

static void add_certificate(X509_STORE *store, const uint8_t *bytes, uint32_t len)
{
	X509 *certificate = d2i_X509(NULL, &bytes, len);

	if (certificate)
		X509_STORE_add_cert(store, certificate);
	X509_free(certificate);
}

/* One list: signatures of one type and length, each with its owner in front. */
static void add_list(X509_STORE *store, const uint8_t *list, uint32_t len, uint32_t header)
{
	uint32_t each = read32(list + 24);

	if (memcmp(list, type_x509, sizeof(type_x509)) != 0 || each <= OWNER_LEN)
		return;
	for (uint32_t at = LIST_HEADER_LEN + header; at + each <= len; at += each)
		add_certificate(store, list + at + OWNER_LEN, each - OWNER_LEN);
}

/* The certificates of lists of signatures, such as PK, KEK and db are. */
static void add_lists(X509_STORE *store, const uint8_t *bytes, uint32_t len)
{
	uint32_t list, header;

	while (len >= LIST_HEADER_LEN) {
		list = read32(bytes + 16);
		header = read32(bytes + 20);
		if (list < LIST_HEADER_LEN || list > len || header > list - LIST_HEADER_LEN)
			return;
		add_list(store, bytes, list, header);
		bytes += list;
		len -= list;
	}
}

static void add_variable(X509_STORE *store, const struct vmb_dev_uefi_vars *v, const char *name)
{
	const struct vmb_dev_uefi_var *var = vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, name);

	if (var)
		add_lists(store, var->data, var->data_len);
}

/* A certificate of a platform key need be neither valid today nor made for mail. */
static X509_STORE *trusted_store(void)
{
	X509_STORE *store = X509_STORE_new();

	if (store)
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	if (store)
		X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	return store;
}

/* The SHA-256 of the certificate that signed. */
static bool signer_of(PKCS7 *p7, uint8_t *digest)
{
	STACK_OF(X509) *signers = PKCS7_get0_signers(p7, NULL, 0);
	bool found = signers && sk_X509_num(signers) == 1 &&
		     X509_digest(sk_X509_value(signers, 0), EVP_sha256(), digest, NULL);

	sk_X509_free(signers);
	return found;
}

/* store: NULL for a private variable, whose signer need not be trusted but must stay the same. */
static bool verify(const struct vmb_dev_uefi_var *var, const struct signed_write *w,
		   X509_STORE *store, uint8_t *signer)
{
	PKCS7 *p7 = parse_signature(w);
	BIO *bytes = p7 ? signed_bytes(var, w) : NULL;
	int flags = PKCS7_BINARY | (store ? 0 : PKCS7_NOVERIFY);
	bool good = bytes && PKCS7_type_is_signed(p7) &&
		    PKCS7_verify(p7, NULL, store, bytes, NULL, flags) == 1 && signer_of(p7, signer);

	BIO_free(bytes);
	PKCS7_free(p7);
	ERR_clear_error();
	return good;
}

/* Who may sign what, when Secure Boot's keys are written. */
static void add_trusted(X509_STORE *store, const struct vmb_dev_uefi_vars *v, enum rule rule,
			const struct signed_write *w)
{
	bool setup = !vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, "PK");

	if (setup && rule == PLATFORM_KEY)
		add_lists(store, w->payload, w->payload_len);
	add_variable(store, v, "PK");
	if (rule == DATABASE)
		add_variable(store, v, "KEK");
}

static bool is_signed_rightly(const struct vmb_dev_uefi_vars *v, struct vmb_dev_uefi_var *var,
			      const struct vmb_dev_uefi_var *old, const struct signed_write *w)
{
	bool setup = !vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, "PK"), good;
	enum rule rule = rule_of(var);
	X509_STORE *store;

	if (rule == PRIVATE)
		return verify(var, w, NULL, var->signer) &&
		       (!old || memcmp(old->signer, var->signer, sizeof(var->signer)) == 0);
	if (setup && rule != PLATFORM_KEY)
		return true;
	store = trusted_store();
	if (!store)
		return false;
	add_trusted(store, v, rule, w);
	good = verify(var, w, store, var->signer);
	X509_STORE_free(store);
	return good;
}

enum vmb_dev_uefi_status vmb_dev_uefi_auth_check(const struct vmb_dev_uefi_vars *v,
						 struct vmb_dev_uefi_var *var,
						 const struct vmb_dev_uefi_var *old)
{
	bool appends = var->attributes & VMB_DEV_UEFI_APPEND;
	struct signed_write w;

	if (rule_of(var) == PLAIN)
		return VMB_DEV_UEFI_SUCCESS;
	if (!(var->attributes & VMB_DEV_UEFI_TIME_BASED))
		return old ? VMB_DEV_UEFI_PROTECTED : VMB_DEV_UEFI_VIOLATION;
	if (!take_apart(var, &w) || !time_is_valid(w.time) ||
	    (old && !appends && time_number(w.time) <= time_number(old->time)) ||
	    !is_signed_rightly(v, var, old, &w))
		return VMB_DEV_UEFI_VIOLATION;
	memcpy(var->time, w.time, sizeof(var->time));
	if (old && appends && time_number(old->time) > time_number(w.time))
		memcpy(var->time, old->time, sizeof(var->time));
	var->data = w.payload;
	var->data_len = w.payload_len;
	return VMB_DEV_UEFI_SUCCESS;
}

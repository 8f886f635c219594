// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests signed UEFI variables: keys and signatures are made here with OpenSSL, in the form that
 * firmware gets from an installer or from `efi-updatevar`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "devices/uefi/vars.h"

#define SIGNED                                                                  \
	(VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME | \
	 VMB_DEV_UEFI_TIME_BASED)
#define ROOM 8192u

/* A key pair with its own certificate, and that certificate as a list of signatures. */
struct owner {
	EVP_PKEY *key;
	X509 *certificate;
	uint8_t list[ROOM];
	uint32_t list_len;
};

static struct vmb_dev_uefi_vars vars;
static struct owner platform, exchange, stranger;
static uint8_t hour; /* of the next signature: each is later than the one before */

static void make_list(struct owner *o)
{
	static const uint8_t x509[16] = { 0xA1, 0x59, 0xC0, 0xA5, 0xE4, 0x94, 0xA7, 0x4A,
					  0x87, 0xB5, 0xAB, 0x15, 0x5C, 0x2B, 0xF0, 0x72 };
	uint8_t *at = o->list + 28 + 16;
	uint32_t sizes[3];
	int len = i2d_X509(o->certificate, &at);

	memcpy(o->list, x509, sizeof(x509));
	sizes[0] = 28 + 16 + len;
	sizes[1] = 0;
	sizes[2] = 16 + len;
	memcpy(o->list + 16, sizes, sizeof(sizes));
	o->list_len = sizes[0];
}

static void make_owner(struct owner *o, const char *name)
{
	X509_NAME *subject;

	o->key = EVP_RSA_gen(2048);
	o->certificate = X509_new();
	X509_set_version(o->certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(o->certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(o->certificate), -7200);
	X509_gmtime_adj(X509_getm_notAfter(o->certificate), -3600); /* it need not be valid today */
	X509_set_pubkey(o->certificate, o->key);
	subject = X509_get_subject_name(o->certificate);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(o->certificate, subject);
	assert_true(X509_sign(o->certificate, o->key, EVP_sha256()) > 0);
	make_list(o);
}

static void free_owner(struct owner *o)
{
	EVP_PKEY_free(o->key);
	X509_free(o->certificate);
}

static int make_owners(void **state)
{
	make_owner(&platform, "platform");
	make_owner(&exchange, "exchange");
	make_owner(&stranger, "stranger");
	return 0;
}

static int free_owners(void **state)
{
	free_owner(&platform);
	free_owner(&exchange);
	free_owner(&stranger);
	return 0;
}

static int set_up(void **state)
{
	memset(&vars, 0, sizeof(vars));
	vmb_dev_uefi_vars_restart(&vars);
	hour = 1;
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_uefi_vars_clear(&vars);
	return 0;
}

static struct vmb_dev_uefi_key key(const char *name)
{
	static uint8_t wide[64];
	uint32_t len = strlen(name);

	memset(wide, 0, sizeof(wide));
	for (uint32_t i = 0; i < len; i++)
		wide[2 * i] = name[i];
	return (struct vmb_dev_uefi_key){ name[0] == 'd' ? vmb_dev_uefi_security :
							   vmb_dev_uefi_global,
					  wide, 2 * (len + 1) };
}

/* Without the outermost wrapping, as tools write it. Returns the bytes of the signature. */
static uint32_t sign(const struct owner *by, BIO *bytes, uint8_t *out)
{
	PKCS7 *p7 = PKCS7_sign(by->certificate, by->key, NULL, bytes,
			       PKCS7_BINARY | PKCS7_DETACHED | PKCS7_NOATTR);
	int len;

	assert_non_null(p7);
	len = i2d_PKCS7_SIGNED(p7->d.sign, &out);
	PKCS7_free(p7);
	return len;
}

struct write {
	const char *name;
	const struct owner *by;
	const uint8_t *data;
	uint32_t len;
	uint32_t attributes; /* 0: SIGNED */
	uint8_t hour; /* 0: the next */
	uint32_t spoil; /* this byte of the whole is changed after signing; 0: none */
};

/* Signs and writes. */
static enum vmb_dev_uefi_status put(const struct write *w)
{
	static const uint8_t pkcs7[16] = { 0x9D, 0xD2, 0xAF, 0x4A, 0xDF, 0x68, 0xEE, 0x49,
					   0x8A, 0xA9, 0x34, 0x7D, 0x37, 0x56, 0x65, 0xA7 };
	uint8_t time[16] = { 0xEA, 0x07, 11, 30, w->hour ? w->hour : hour++ };
	uint32_t attributes = w->attributes ? w->attributes : SIGNED, len;
	struct vmb_dev_uefi_key k = key(w->name);
	const uint16_t types[2] = { 0x0200, 0x0EF1 };
	BIO *bytes = BIO_new(BIO_s_mem());
	uint8_t whole[ROOM] = { 0 };

	BIO_write(bytes, k.name, k.name_len - 2);
	BIO_write(bytes, &k.guid, sizeof(k.guid));
	BIO_write(bytes, &attributes, sizeof(attributes));
	BIO_write(bytes, time, sizeof(time));
	BIO_write(bytes, w->data, w->len);
	memcpy(whole, time, sizeof(time));
	len = sign(w->by, bytes, whole + 40) + 24;
	BIO_free(bytes);
	memcpy(whole + 16, &len, sizeof(len));
	memcpy(whole + 20, types, sizeof(types));
	memcpy(whole + 24, pkcs7, sizeof(pkcs7));
	memcpy(whole + 16 + len, w->data, w->len);
	if (w->spoil)
		whole[w->spoil < 16 + len + w->len ? w->spoil : 16 + len] ^= 1;
	return vmb_dev_uefi_vars_set(&vars, &k, attributes, whole, 16 + len + w->len);
}

static enum vmb_dev_uefi_status put_list(const char *name, const struct owner *by,
					 const struct owner *of)
{
	return put(
		&(struct write){ .name = name, .by = by, .data = of->list, .len = of->list_len });
}

static bool has(const char *name)
{
	struct vmb_dev_uefi_key k = key(name);

	return vmb_dev_uefi_vars_find(&vars, &k);
}

static void enrol(void)
{
	assert_int_equal(put_list("db", &stranger, &platform), 0);
	assert_int_equal(put_list("KEK", &stranger, &exchange), 0);
	assert_int_equal(put_list("PK", &platform, &platform), 0);
}

static void test_enrolment_ends_setup_mode_and_starts_secure_boot_at_the_next_start(void **state)
{
	const struct vmb_dev_uefi_var *setup, *secure;

	enrol();
	setup = vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, "SetupMode");
	secure = vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, "SecureBoot");
	assert_int_equal(setup->data[0], 0);
	assert_int_equal(secure->data[0], 0);
	vmb_dev_uefi_vars_restart(&vars);
	secure = vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, "SecureBoot");
	assert_int_equal(secure->data[0], 1);
}

static void test_stored_data_is_without_its_signature(void **state)
{
	const struct vmb_dev_uefi_var *pk;

	enrol();
	pk = vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, "PK");
	assert_int_equal(pk->data_len, platform.list_len);
	assert_memory_equal(pk->data, platform.list, platform.list_len);
}

static void test_platform_key_must_be_signed_by_itself(void **state)
{
	assert_int_equal(put_list("PK", &stranger, &platform), VMB_DEV_UEFI_VIOLATION);
	assert_false(has("PK"));
}

static void test_only_the_right_owner_writes_after_enrolment(void **state)
{
	enrol();
	assert_int_equal(put_list("PK", &exchange, &exchange), VMB_DEV_UEFI_VIOLATION);
	assert_int_equal(put_list("KEK", &exchange, &stranger), VMB_DEV_UEFI_VIOLATION);
	assert_int_equal(put_list("db", &stranger, &stranger), VMB_DEV_UEFI_VIOLATION);
	assert_int_equal(put_list("KEK", &platform, &stranger), 0);
	assert_int_equal(put_list("KEK", &platform, &exchange), 0);
	assert_int_equal(put_list("db", &exchange, &stranger), 0);
	assert_int_equal(put_list("dbx", &exchange, &platform), 0);
}

static void test_changed_bytes_are_refused(void **state)
{
	struct write w = {
		.name = "db", .by = &exchange, .data = stranger.list, .len = stranger.list_len
	};

	enrol();
	w.spoil = ROOM; /* the data */
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.spoil = 5; /* the time */
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.spoil = 16; /* the length of the signature */
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.spoil = 24; /* its type */
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.spoil = 0;
	assert_int_equal(put(&w), 0);
}

static void test_older_write_is_refused_but_may_append(void **state)
{
	struct write w = { .name = "db",
			   .by = &exchange,
			   .data = stranger.list,
			   .len = stranger.list_len,
			   .hour = 1 };

	enrol();
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.attributes = SIGNED | VMB_DEV_UEFI_APPEND;
	assert_int_equal(put(&w), 0);
	assert_int_equal(vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_security, "db")->data_len,
			 platform.list_len + stranger.list_len);
}

static void test_signed_empty_platform_key_returns_to_setup_mode(void **state)
{
	enrol();
	assert_int_equal(
		put(&(struct write){ .name = "PK", .by = &stranger, .data = platform.list }),
		VMB_DEV_UEFI_VIOLATION);
	assert_int_equal(
		put(&(struct write){ .name = "PK", .by = &platform, .data = platform.list }), 0);
	assert_false(has("PK"));
	assert_int_equal(vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, "SetupMode")->data[0],
			 1);
}

static void test_unsigned_write_of_keys_is_refused(void **state)
{
	struct vmb_dev_uefi_key k = key("PK");

	assert_int_equal(vmb_dev_uefi_vars_set(&vars, &k, SIGNED & ~VMB_DEV_UEFI_TIME_BASED,
					       platform.list, platform.list_len),
			 VMB_DEV_UEFI_VIOLATION);
	enrol();
	k = key("PK");
	assert_int_equal(vmb_dev_uefi_vars_set(&vars, &k, SIGNED & ~VMB_DEV_UEFI_TIME_BASED,
					       platform.list, platform.list_len),
			 VMB_DEV_UEFI_PROTECTED);
	assert_int_equal(vmb_dev_uefi_vars_set(&vars, &k, 0, NULL, 0), VMB_DEV_UEFI_PROTECTED);
	assert_true(has("PK"));
}

static void test_private_variable_stays_with_its_first_signer(void **state)
{
	struct write w = { .name = "Mine", .by = &stranger, .data = (const uint8_t *)"x", .len = 1 };

	assert_int_equal(put(&w), 0);
	w.by = &exchange;
	assert_int_equal(put(&w), VMB_DEV_UEFI_VIOLATION);
	w.by = &stranger;
	assert_int_equal(put(&w), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_enrolment_ends_setup_mode_and_starts_secure_boot_at_the_next_start),
		CASE(test_stored_data_is_without_its_signature),
		CASE(test_platform_key_must_be_signed_by_itself),
		CASE(test_only_the_right_owner_writes_after_enrolment),
		CASE(test_changed_bytes_are_refused),
		CASE(test_older_write_is_refused_but_may_append),
		CASE(test_signed_empty_platform_key_returns_to_setup_mode),
		CASE(test_unsigned_write_of_keys_is_refused),
		CASE(test_private_variable_stays_with_its_first_signer),
	};

	return cmocka_run_group_tests(tests, make_owners, free_owners);
}

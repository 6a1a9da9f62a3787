/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of OpenSSL, 3 or 1.1, that tls.c uses, and the values of its macros: building needs
 * no header of OpenSSL, and what was built runs with either version. */
#ifndef REDCOL_OPENSSL_H
#define REDCOL_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OpenSSL's functions: result, name, parameters. Its structs are void here. */
#define OPENSSL_FUNCTIONS(F)                                                                       \
  F(int, OPENSSL_init_crypto, (uint64_t, const void *))                                            \
  F(void, ERR_clear_error, (void))                                                                 \
  F(unsigned long, ERR_get_error, (void))                                                          \
  F(const char *, ERR_reason_error_string, (unsigned long))                                        \
  F(void *, BIO_meth_new, (int, const char *))                                                     \
  F(int, BIO_meth_set_read, (void *, int (*)(void *, char *, int)))                                \
  F(int, BIO_meth_set_write, (void *, int (*)(void *, const char *, int)))                         \
  F(int, BIO_meth_set_ctrl, (void *, long (*)(void *, int, long, void *)))                         \
  F(void *, BIO_new, (const void *))                                                               \
  F(void, BIO_set_init, (void *, int))                                                             \
  F(void, BIO_set_data, (void *, void *))                                                          \
  F(void *, BIO_get_data, (void *))                                                                \
  F(void, BIO_set_flags, (void *, int))                                                            \
  F(void, BIO_clear_flags, (void *, int))                                                          \
  F(const void *, TLS_client_method, (void))                                                       \
  F(void *, SSL_CTX_new, (const void *))                                                           \
  F(void, SSL_CTX_free, (void *))                                                                  \
  F(long, SSL_CTX_ctrl, (void *, int, long, void *))                                               \
  F(uint64_t, SSL_CTX_set_options, (void *, uint64_t))                                             \
  F(void, SSL_CTX_set_default_read_buffer_len, (void *, size_t))                                   \
  F(void, SSL_CTX_set_verify, (void *, int, void *))                                               \
  F(int, SSL_CTX_load_verify_locations, (void *, const char *, const char *))                      \
  F(int, SSL_CTX_set_default_verify_paths, (void *))                                               \
  F(void, SSL_CTX_set_default_passwd_cb, (void *, int (*)(char *, int, int, void *)))              \
  F(void, SSL_CTX_set_default_passwd_cb_userdata, (void *, void *))                                \
  F(int, SSL_CTX_use_certificate_chain_file, (void *, const char *))                               \
  F(int, SSL_CTX_use_PrivateKey_file, (void *, const char *, int))                                 \
  F(int, SSL_CTX_check_private_key, (const void *))                                                \
  F(void *, SSL_new, (void *))                                                                     \
  F(void, SSL_free, (void *))                                                                      \
  F(long, SSL_ctrl, (void *, int, long, void *))                                                   \
  F(void, SSL_set_bio, (void *, void *, void *))                                                   \
  F(void *, SSL_get0_param, (void *))                                                              \
  F(void, SSL_set_connect_state, (void *))                                                         \
  F(int, SSL_do_handshake, (void *))                                                               \
  F(int, SSL_read, (void *, void *, int))                                                          \
  F(int, SSL_write, (void *, const void *, int))                                                   \
  F(int, SSL_get_error, (const void *, int))                                                       \
  F(int, SSL_has_pending, (const void *))                                                          \
  F(long, SSL_get_verify_result, (const void *))                                                   \
  F(int, SSL_set_session, (void *, void *))                                                        \
  F(void *, SSL_get1_session, (void *))                                                            \
  F(void, SSL_SESSION_free, (void *))                                                              \
  F(int, SSL_shutdown, (void *))                                                                   \
  F(void, SSL_set_shutdown, (void *, int))                                                         \
  F(int, X509_VERIFY_PARAM_set1_host, (void *, const char *, size_t))                              \
  F(int, X509_VERIFY_PARAM_set1_ip_asc, (void *, const char *))                                    \
  F(void, X509_VERIFY_PARAM_set_hostflags, (void *, unsigned int))                                 \
  F(const char *, X509_verify_cert_error_string, (long))                                           \
  F(const char *, X509_get_default_cert_file, (void))                                              \
  F(const char *, X509_get_default_cert_dir, (void))

#define OPENSSL_DECLARE(result, name, parameters) result(*name) parameters;
/* Filled once openssl_load has returned true. */
extern struct openssl {
  OPENSSL_FUNCTIONS(OPENSSL_DECLARE)
} openssl __attribute__((visibility("hidden")));

/* Loads OpenSSL at the first call. Returns false if the machine has no OpenSSL. */
__attribute__((visibility("hidden"))) bool openssl_load(void);

/* Values of OpenSSL's macros, the same in both versions. */
enum {
  OPENSSL_NO_ATEXIT = 0x80000,
  OPENSSL_BIO_TYPE = 0x400 | 127, /* a source and sink */
  OPENSSL_BIO_READ = 1,
  OPENSSL_BIO_WRITE = 2,
  OPENSSL_BIO_RETRY = 8,
  OPENSSL_BIO_FLAGS = 15, /* these, and one that means something else */
  OPENSSL_BIO_FLUSH = 11,
  OPENSSL_SET_MODE = 33,
  OPENSSL_SET_READ_AHEAD = 41,
  OPENSSL_SET_HOST_NAME = 55,
  OPENSSL_SET_MIN_VERSION = 123,
  /* A part may be written, from a buffer that has moved; reading continues after what is not data.
   * */
  OPENSSL_MODES = 1 | 2 | 4,
  OPENSSL_NO_RENEGOTIATION = 1 << 30,
  OPENSSL_PEM = 1,
  OPENSSL_FAILED = 1,
  OPENSSL_WANT_READ = 2,
  OPENSSL_WANT_WRITE = 3,
  OPENSSL_CLOSED = 6,
  OPENSSL_REASON = 0xFFF, /* of the bits of an error */
  OPENSSL_CERTIFICATE_REFUSED = 134,
  OPENSSL_KEY_TYPES_DIFFER = 115,
  OPENSSL_KEY_VALUES_DIFFER = 116,
  OPENSSL_NO_PARTIAL_WILDCARDS = 4,
  OPENSSL_SHUT_DOWN = 1 | 2 /* in both directions */
};

#endif /* REDCOL_OPENSSL_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tls.c says that a connection has to wait for, when sending must read first. OpenSSL is made
 * up: it takes from the socket what has come, never has enough of it, and wants to read more.
 */
#define _GNU_SOURCE
#include "CPlatform.h"
#include "openssl.h"

#include <stdio.h>

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "line %d: not true: %s\n", __LINE__, #condition);                            \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

struct openssl openssl;
static char something;
static int (*take)(void *, char *, int);
static void *connection;

static void *made(void *from) { return from == NULL ? NULL : &something; }
static void *made_of(const void *from) { return from == NULL ? NULL : &something; }
static const void *method(void) { return &something; }
static void *new_method(int type, const char *name) { return type == 0 ? NULL : made_of(name); }
static int set_read(void *bio, int (*function)(void *, char *, int)) {
  take = function;
  return bio != NULL;
}
static int set_write(void *bio, int (*function)(void *, const char *, int)) {
  return bio != NULL && function != NULL;
}
static int set_control(void *bio, long (*function)(void *, int, long, void *)) {
  return bio != NULL && function != NULL;
}
static void set_data(void *bio, void *data) { connection = bio == NULL ? NULL : data; }
static void *get_data(void *bio) { return bio == NULL ? NULL : connection; }
static void set_number(void *object, int number) { (void)object, (void)number; }
static void set_size(void *object, size_t size) { (void)object, (void)size; }
static void set_verify(void *object, int mode, void *function) {
  (void)object, (void)mode, (void)function;
}
static void set_bio(void *ssl, void *in, void *out) { (void)ssl, (void)in, (void)out; }
static uint64_t set_options(void *object, uint64_t options) { return object ? options : 0; }
static long control(void *object, int command, long number, void *pointer) {
  (void)command, (void)number, (void)pointer;
  return object != NULL;
}
static int paths(void *object) { return object != NULL; }
static void connects(void *ssl) { (void)ssl; }
static void clear(void) {}
static int has_pending(const void *ssl) { return ssl == NULL; }
static int wants_read(const void *ssl, int outcome) {
  return ssl != NULL && outcome < 0 ? OPENSSL_WANT_READ : 0;
}
static int reads(void *ssl, void *bytes, int length) {
  char taken[100];
  (void)bytes, (void)length;
  take(ssl, taken, sizeof taken);
  return -1;
}
static int writes(void *ssl, const void *bytes, int length) {
  (void)bytes;
  return reads(ssl, NULL, length);
}

/* What tls.c needs of the other files. */
bool openssl_load(void) { return true; }
void platform_opens_lock(void) {}
void platform_opens_unlock(void) {}
platform_lock *platform_lock_new(void) { return malloc(1); }
void platform_lock_free(platform_lock *lock) { free(lock); }
void platform_lock_acquire(platform_lock *lock) { (void)lock; }
void platform_lock_release(platform_lock *lock) { (void)lock; }
ssize_t platform_receive(int fd, void *bytes, size_t size) { return recv(fd, bytes, size, 0); }
ssize_t platform_send(int fd, const void *bytes, size_t size) { return send(fd, bytes, size, 0); }

int main(void) {
  openssl = (struct openssl){.ERR_clear_error = clear,
                             .BIO_meth_new = new_method,
                             .BIO_meth_set_read = set_read,
                             .BIO_meth_set_write = set_write,
                             .BIO_meth_set_ctrl = set_control,
                             .BIO_new = made_of,
                             .BIO_set_init = set_number,
                             .BIO_set_data = set_data,
                             .BIO_get_data = get_data,
                             .BIO_set_flags = set_number,
                             .BIO_clear_flags = set_number,
                             .TLS_client_method = method,
                             .SSL_CTX_new = made_of,
                             .SSL_CTX_ctrl = control,
                             .SSL_CTX_set_options = set_options,
                             .SSL_CTX_set_default_read_buffer_len = set_size,
                             .SSL_CTX_set_verify = set_verify,
                             .SSL_CTX_set_default_verify_paths = paths,
                             .SSL_new = made,
                             .SSL_set_bio = set_bio,
                             .SSL_set_connect_state = connects,
                             .SSL_ctrl = control,
                             .SSL_get_error = wants_read,
                             .SSL_has_pending = has_pending,
                             .SSL_read = reads,
                             .SSL_write = writes};
  platform_tls_options options = {.verifies = false, .min_version = 0x0303};
  platform_tls_fault fault;
  int ends[2];
  char bytes[100];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  platform_tls_context *context = platform_tls_context_new(&options, &fault);
  CHECK(context != NULL);
  platform_tls *tls = platform_tls_new(context, ends[0], "host");
  CHECK(tls != NULL);
  tls->is_established = true;

  CHECK(platform_tls_send(tls, "x", 1) == 0);
  CHECK(tls->send_wants_read && !tls->holds_bytes);

  /* Answers may be among what sending has read: the poller does not know of them. */
  CHECK(send(ends[1], "a", 1, 0) == 1);
  CHECK(platform_tls_send(tls, "x", 1) == 0);
  CHECK(tls->send_wants_read && tls->holds_bytes);

  /* Nothing has come. */
  CHECK(platform_tls_receive(tls, bytes, sizeof bytes) == 0);
  CHECK(tls->send_wants_read && !tls->holds_bytes);

  /* Receiving reads what sending waits for: sending may go on. */
  CHECK(send(ends[1], "a", 1, 0) == 1);
  CHECK(platform_tls_receive(tls, bytes, sizeof bytes) == 0);
  CHECK(!tls->send_wants_read);
  puts("fine");
  return 0;
}

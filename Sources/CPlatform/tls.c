/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over a socket that does not block. OpenSSL gets its bytes through functions of ours: its own
 * raise SIGPIPE in the host when a connection is lost. */
#define _GNU_SOURCE
#include "include/CPlatform.h"
#include "openssl.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

/* Bytes received at once. A record has at most 16 KiB. */
enum { READ_BUFFER = 64 * 1024 };

struct platform_tls_context {
  void *settings; /* SSL_CTX */
  platform_lock *lock;
  void *session; /* of the last connection, to be resumed by the next to the same host */
  char session_host[PLATFORM_TLS_HOST];
  int references;
  bool checks_host;
  pid_t owner; /* a child does not touch what its parent made */
};

/* THE SOCKET */

static int noted(platform_tls *tls, void *bio, ssize_t count, int direction) {
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    openssl.BIO_set_flags(bio, direction | OPENSSL_BIO_RETRY);
  else if (count < 0)
    tls->error = errno;
  return (int)count;
}

static int take(void *bio, char *bytes, int length) {
  platform_tls *tls = openssl.BIO_get_data(bio);
  openssl.BIO_clear_flags(bio, OPENSSL_BIO_FLAGS);
  ssize_t count = -1;
  errno = EAGAIN;
  /* When there was less than was asked for, the poller says when there is more. */
  if (!tls->is_short) {
    do
      count = platform_receive(tls->socket, bytes, (size_t)length);
    while (count < 0 && errno == EINTR);
    tls->is_short = count > 0 && count < length;
  }
  if (count > 0) {
    tls->has_taken = true;
    tls->send_wants_read = false; /* whoever has read it: sending may continue */
  }
  return noted(tls, bio, count, OPENSSL_BIO_READ);
}

static int transmit(void *bio, const char *bytes, int length) {
  platform_tls *tls = openssl.BIO_get_data(bio);
  openssl.BIO_clear_flags(bio, OPENSSL_BIO_FLAGS);
  ssize_t count;
  do
    count = platform_send(tls->socket, bytes, (size_t)length);
  while (count < 0 && errno == EINTR);
  return noted(tls, bio, count, OPENSSL_BIO_WRITE);
}

static long control(void *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == OPENSSL_BIO_FLUSH;
}

/* What OpenSSL calls a method: made once, and kept. */
static void *socket_method(void) {
  static void *method;
  platform_opens_lock();
  if (method == NULL &&
      (method = openssl.BIO_meth_new(OPENSSL_BIO_TYPE, "redcol socket")) != NULL) {
    openssl.BIO_meth_set_read(method, take);
    openssl.BIO_meth_set_write(method, transmit);
    openssl.BIO_meth_set_ctrl(method, control);
  }
  platform_opens_unlock();
  return method;
}

/* CONTEXTS */

bool platform_tls_is_there(void) { return openssl_load(); }

static bool has_entries(const char *folder) {
  DIR *entries = opendir(folder);
  if (entries == NULL)
    return false;
  struct dirent *entry;
  while ((entry = readdir(entries)) != NULL && entry->d_name[0] == '.')
    ;
  closedir(entries);
  return entry != NULL;
}

bool platform_tls_has_roots(void) {
  if (!openssl_load())
    return false;
  return getenv("SSL_CERT_FILE") != NULL || getenv("SSL_CERT_DIR") != NULL ||
         access(openssl.X509_get_default_cert_file(), R_OK) == 0 ||
         has_entries(openssl.X509_get_default_cert_dir());
}

struct password {
  const char *text;
  bool was_asked_for;
};

static int give_password(char *buffer, int capacity, int for_writing, void *data) {
  struct password *password = data;
  (void)for_writing;
  password->was_asked_for = true;
  size_t length = password->text == NULL ? 0 : strlen(password->text);
  if (length == 0 || length > (size_t)capacity)
    return -1;
  memcpy(buffer, password->text, length);
  return (int)length;
}

static int of_file(const char *path, int fault, platform_tls_fault *fault_out) {
  fault_out->code = access(path, R_OK) == 0 ? 0 : errno;
  return fault;
}

/* What is wrong with the files; 0 if nothing is. */
static int load_files(void *settings, const platform_tls_options *options,
                      platform_tls_fault *fault_out) {
  if (options->ca_path != NULL && !has_entries(options->ca_path))
    return of_file(options->ca_path, PLATFORM_TLS_CA_PATH, fault_out);
  if (options->ca_certs == NULL && options->ca_path == NULL)
    openssl.SSL_CTX_set_default_verify_paths(settings);
  else if (openssl.SSL_CTX_load_verify_locations(settings, options->ca_certs, options->ca_path) !=
           1)
    return of_file(options->ca_certs, PLATFORM_TLS_CA_CERTS, fault_out);
  if (options->certfile == NULL)
    return 0;
  if (openssl.SSL_CTX_use_certificate_chain_file(settings, options->certfile) != 1)
    return of_file(options->certfile, PLATFORM_TLS_CERTFILE, fault_out);
  const char *keyfile = options->keyfile != NULL ? options->keyfile : options->certfile;
  struct password password = {options->password, false};
  openssl.SSL_CTX_set_default_passwd_cb(settings, give_password);
  openssl.SSL_CTX_set_default_passwd_cb_userdata(settings, &password);
  int is_loaded = openssl.SSL_CTX_use_PrivateKey_file(settings, keyfile, OPENSSL_PEM);
  openssl.SSL_CTX_set_default_passwd_cb_userdata(settings, NULL);
  int reason = (int)(openssl.ERR_get_error() & OPENSSL_REASON);
  bool is_other = reason == OPENSSL_KEY_VALUES_DIFFER || reason == OPENSSL_KEY_TYPES_DIFFER;
  if (is_loaded != 1 && !is_other) {
    if (password.was_asked_for)
      return options->password == NULL ? PLATFORM_TLS_NO_PASSWORD : PLATFORM_TLS_PASSWORD;
    return of_file(keyfile, PLATFORM_TLS_KEYFILE, fault_out);
  }
  return is_loaded == 1 && openssl.SSL_CTX_check_private_key(settings) == 1
             ? 0
             : PLATFORM_TLS_OTHER_KEY;
}

static void drop(platform_tls_context *context) {
  if (context->owner != getpid() ||
      __atomic_sub_fetch(&context->references, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  openssl.SSL_SESSION_free(context->session);
  openssl.SSL_CTX_free(context->settings);
  platform_lock_free(context->lock);
  free(context);
}

platform_tls_context *platform_tls_context_new(const platform_tls_options *options,
                                               platform_tls_fault *fault_out) {
  *fault_out = (platform_tls_fault){.kind = PLATFORM_TLS_NO_OPENSSL};
  if (!openssl_load())
    return NULL;
  fault_out->kind = PLATFORM_TLS_MEMORY;
  platform_tls_context *context = calloc(1, sizeof *context);
  if (context == NULL)
    return NULL;
  context->references = 1;
  context->owner = getpid();
  context->checks_host = options->verifies && options->checks_host;
  context->lock = platform_lock_new();
  openssl.ERR_clear_error();
  void *settings = context->settings = openssl.SSL_CTX_new(openssl.TLS_client_method());
  if (settings != NULL && context->lock != NULL) {
    openssl.SSL_CTX_ctrl(settings, OPENSSL_SET_MODE, OPENSSL_MODES, NULL);
    openssl.SSL_CTX_ctrl(settings, OPENSSL_SET_READ_AHEAD, 1, NULL);
    /* No server needs a second handshake, and one in the middle of answers may never end. */
    openssl.SSL_CTX_set_options(settings, OPENSSL_NO_RENEGOTIATION);
    openssl.SSL_CTX_ctrl(settings, OPENSSL_SET_MIN_VERSION, options->min_version, NULL);
    openssl.SSL_CTX_set_default_read_buffer_len(settings, READ_BUFFER);
    openssl.SSL_CTX_set_verify(settings, options->verifies, NULL);
    fault_out->kind = load_files(settings, options, fault_out);
  }
  openssl.ERR_clear_error();
  if (fault_out->kind == 0)
    return context;
  drop(context);
  return NULL;
}

void platform_tls_context_free(platform_tls_context *context) { drop(context); }

/* CONNECTIONS */

platform_tls *platform_tls_new(platform_tls_context *context, int socket, const char *host) {
  platform_tls *tls = calloc(1, sizeof *tls);
  if (tls == NULL)
    return NULL;
  openssl.ERR_clear_error();
  void *ssl = tls->ssl = openssl.SSL_new(context->settings);
  void *method = socket_method();
  void *bio = ssl == NULL || method == NULL ? NULL : openssl.BIO_new(method);
  if (bio == NULL) {
    openssl.SSL_free(ssl);
    free(tls);
    return NULL;
  }
  tls->context = context;
  __atomic_add_fetch(&context->references, 1, __ATOMIC_RELAXED);
  tls->socket = socket;
  openssl.BIO_set_data(bio, tls);
  openssl.BIO_set_init(bio, 1);
  openssl.SSL_set_bio(ssl, bio, bio);
  openssl.SSL_set_connect_state(ssl);

  /* Certificates have neither the zone of an address nor the dot at the end of a name. */
  int length = (int)strcspn(host, "%");
  if (length > 1 && host[length - 1] == '.')
    length--;
  snprintf(tls->host, sizeof tls->host, "%.*s", length, host);
  unsigned char address[16];
  bool is_address =
      inet_pton(AF_INET, tls->host, address) == 1 || inet_pton(AF_INET6, tls->host, address) == 1;
  if (!is_address)
    openssl.SSL_ctrl(ssl, OPENSSL_SET_HOST_NAME, 0, tls->host);
  if (context->checks_host) {
    void *checked = openssl.SSL_get0_param(ssl);
    openssl.X509_VERIFY_PARAM_set_hostflags(checked, OPENSSL_NO_PARTIAL_WILDCARDS);
    int is_set = is_address ? openssl.X509_VERIFY_PARAM_set1_ip_asc(checked, tls->host)
                            : openssl.X509_VERIFY_PARAM_set1_host(checked, tls->host, 0);
    /* OpenSSL takes an empty name as leave to check none. */
    if (is_set != 1 || length == 0) {
      platform_tls_free(tls);
      return NULL;
    }
  }
  platform_lock_acquire(context->lock);
  if (context->session != NULL && strcmp(context->session_host, tls->host) == 0)
    openssl.SSL_set_session(ssl, context->session);
  platform_lock_release(context->lock);
  return tls;
}

void platform_tls_free(platform_tls *tls) {
  if (tls->context->owner == getpid()) {
    if (tls->is_established && tls->fault.kind == 0)
      openssl.SSL_shutdown(tls->ssl); /* tells the server, if that does not block */
    /* Otherwise the session could not be resumed. */
    openssl.SSL_set_shutdown(tls->ssl, OPENSSL_SHUT_DOWN);
    openssl.SSL_free(tls->ssl);
    openssl.ERR_clear_error();
    drop(tls->context);
  }
  free(tls);
}

static void keep_session(platform_tls_context *context, void *session, const char *host) {
  platform_lock_acquire(context->lock);
  void *old = context->session;
  context->session = session;
  memcpy(context->session_host, host, sizeof context->session_host);
  platform_lock_release(context->lock);
  openssl.SSL_SESSION_free(old);
}

/* Errors that the host has left in this thread would be taken for ours. */
static void begin(platform_tls *tls) {
  openssl.ERR_clear_error();
  tls->is_short = tls->has_taken = false;
}

/* Why a call has not done what it should: 0 when it waits for the socket, else -1. `is_odd` becomes
 * whether it waits for `odd`, which is not what such calls usually wait for. */
static int ended(platform_tls *tls, int outcome, int odd, bool *is_odd) {
  int how = openssl.SSL_get_error(tls->ssl, outcome);
  *is_odd = how == odd;
  if (how == OPENSSL_WANT_READ || how == OPENSSL_WANT_WRITE)
    return 0;
  platform_tls_fault *fault = &tls->fault;
  unsigned long code = openssl.ERR_get_error();
  openssl.ERR_clear_error();
  bool is_closed = tls->error == 0 || how == OPENSSL_CLOSED;
  fault->kind = is_closed ? PLATFORM_TLS_CLOSED : PLATFORM_TLS_SYSTEM;
  fault->code = tls->error;
  if (how == OPENSSL_FAILED) {
    fault->kind = PLATFORM_TLS_PROTOCOL;
    fault->code = (int)(code & OPENSSL_REASON);
    fault->text = openssl.ERR_reason_error_string(code);
    if (fault->code == OPENSSL_CERTIFICATE_REFUSED) {
      fault->kind = PLATFORM_TLS_CERTIFICATE;
      fault->code = (int)openssl.SSL_get_verify_result(tls->ssl);
      fault->text = openssl.X509_verify_cert_error_string(fault->code);
    }
  }
  if (!tls->is_established)
    keep_session(tls->context, NULL, tls->host);
  return -1;
}

int platform_tls_handshake(platform_tls *tls) {
  begin(tls);
  int outcome = openssl.SSL_do_handshake(tls->ssl);
  if (outcome != 1)
    return ended(tls, outcome, OPENSSL_WANT_WRITE, &tls->receive_wants_write);
  tls->is_established = true;
  tls->receive_wants_write = false;
  tls->holds_bytes = openssl.SSL_has_pending(tls->ssl) == 1;
  return 1;
}

static int at_most(size_t length) { return length > INT_MAX ? INT_MAX : (int)length; }

ssize_t platform_tls_receive(platform_tls *tls, void *bytes, size_t capacity) {
  size_t received = 0;
  int outcome = tls->has_ended ? -1 : 1;
  begin(tls);
  tls->receive_wants_write = false;
  while (received < capacity && outcome > 0) {
    outcome = openssl.SSL_read(tls->ssl, (char *)bytes + received, at_most(capacity - received));
    if (outcome > 0)
      received += (size_t)outcome;
    else
      outcome = ended(tls, outcome, OPENSSL_WANT_WRITE, &tls->receive_wants_write);
  }
  tls->has_ended = outcome < 0;
  /* What the poller cannot know of: bytes that fit no more, and the end after bytes. */
  tls->holds_bytes = outcome < 0 || (outcome > 0 && openssl.SSL_has_pending(tls->ssl) == 1);
  if (received == 0)
    return outcome < 0 ? -1 : 0;
  if (!tls->has_session) { /* a server sends what resuming needs before anything else */
    tls->has_session = true;
    keep_session(tls->context, openssl.SSL_get1_session(tls->ssl), tls->host);
  }
  return (ssize_t)received;
}

ssize_t platform_tls_send(platform_tls *tls, const void *bytes, size_t length) {
  begin(tls);
  int outcome = openssl.SSL_write(tls->ssl, bytes, at_most(length));
  if (tls->has_taken)
    tls->holds_bytes = true; /* answers may be among what it has read */
  tls->send_wants_read = false;
  return outcome > 0 ? outcome : ended(tls, outcome, OPENSSL_WANT_READ, &tls->send_wants_read);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay with TLS that changes keys in the middle of answers.
 *
 *   key_updates CERTIFICATE KEY UNIX_SOCKET update|renegotiate
 *
 * It prints the port on which it listens. Whatever a server answers goes on in pieces. Before each
 * piece it asks for new keys (TLS 1.3), or for another handshake (TLS 1.2). It ends with its
 * standard input.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Of OpenSSL, whose headers need not be here. */
extern const void *TLS_server_method(void);
extern void *SSL_CTX_new(const void *);
extern long SSL_CTX_ctrl(void *, int, long, void *);
extern int SSL_CTX_use_certificate_file(void *, const char *, int);
extern int SSL_CTX_use_PrivateKey_file(void *, const char *, int);
extern void *SSL_new(void *);
extern void SSL_free(void *);
extern int SSL_set_fd(void *, int);
extern int SSL_accept(void *);
extern int SSL_read(void *, void *, int);
extern int SSL_write(void *, const void *, int);
extern int SSL_pending(const void *);
extern int SSL_get_error(const void *, int);
extern int SSL_key_update(void *, int);
extern int SSL_renegotiate(void *);
extern int SSL_do_handshake(void *);
enum { PEM = 1, MIN_VERSION = 123, MAX_VERSION = 124, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };
enum { CLEAR_MODE = 78, AUTO_RETRY = 4, WANT_READ = 2, UPDATE_REQUESTED = 1, PIECE = 1000 };

static void *settings;
static struct sockaddr_un target = {.sun_family = AF_UNIX};
static int renegotiates;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Sends a piece with new keys; 0: the connection is lost. */
static int pass_on(void *ssl, const char *bytes, int length) {
  if (renegotiates) {
    if (SSL_renegotiate(ssl) != 1 || SSL_do_handshake(ssl) != 1)
      return 0;
  } else if (SSL_key_update(ssl, UPDATE_REQUESTED) != 1) {
    return 0;
  }
  return SSL_write(ssl, bytes, length) == length;
}

static void relay(void *ssl, int client, int server) {
  char bytes[65536];
  struct pollfd ends[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
  for (;;) {
    if (SSL_pending(ssl) == 0 && poll(ends, 2, -1) < 0)
      return;
    if (SSL_pending(ssl) > 0 || ends[0].revents != 0) {
      int length = SSL_read(ssl, bytes, sizeof bytes);
      if (length < 0 && SSL_get_error(ssl, length) == WANT_READ)
        continue; /* it was about keys */
      if (length <= 0 || send(server, bytes, (size_t)length, MSG_NOSIGNAL) != length)
        return;
    } else if (ends[1].revents != 0) {
      ssize_t length = recv(server, bytes, sizeof bytes, 0);
      if (length <= 0)
        return;
      for (ssize_t at = 0; at < length; at += PIECE)
        if (!pass_on(ssl, bytes + at, (int)(length - at < PIECE ? length - at : PIECE)))
          return;
    }
  }
}

static void *serve(void *argument) {
  int client = (int)(long)argument, server = socket(AF_UNIX, SOCK_STREAM, 0);
  void *ssl = SSL_new(settings);
  SSL_set_fd(ssl, client);
  if (connect(server, (struct sockaddr *)&target, sizeof target) == 0 && SSL_accept(ssl) == 1)
    relay(ssl, client, server);
  SSL_free(ssl);
  close(client);
  close(server);
  return NULL;
}

static void *accept_all(void *argument) {
  int listener = (int)(long)argument, client;
  pthread_t thread;
  while ((client = accept(listener, NULL, NULL)) >= 0)
    if (pthread_create(&thread, NULL, serve, (void *)(long)client) == 0)
      pthread_detach(thread);
  return NULL;
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  pthread_t thread;
  if (argc != 5)
    fail("usage: key_updates CERTIFICATE KEY UNIX_SOCKET update|renegotiate");
  signal(SIGPIPE, SIG_IGN);
  strncpy(target.sun_path, argv[3], sizeof target.sun_path - 1);
  renegotiates = strcmp(argv[4], "renegotiate") == 0;
  settings = SSL_CTX_new(TLS_server_method());
  SSL_CTX_ctrl(settings, MIN_VERSION, renegotiates ? TLS_1_2 : TLS_1_3, NULL);
  SSL_CTX_ctrl(settings, MAX_VERSION, renegotiates ? TLS_1_2 : TLS_1_3, NULL);
  SSL_CTX_ctrl(settings, CLEAR_MODE, AUTO_RETRY, NULL);
  if (SSL_CTX_use_certificate_file(settings, argv[1], PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(settings, argv[2], PEM) != 1)
    fail("certificate");
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  if (pthread_create(&thread, NULL, accept_all, (void *)(long)listener) != 0)
    fail("pthread_create");
  while (getchar() != EOF)
    ;
  return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Floors with TLS: recv, send and close go through OpenSSL, as a careful program uses it. OpenSSL's
 * functions are declared here, since its headers need not be installed. */
#ifndef FLOOR_TLS_H
#define FLOOR_TLS_H

extern const void *TLS_client_method(void);
extern void *SSL_CTX_new(const void *method);
extern void *SSL_new(void *settings);
extern void SSL_free(void *ssl);
extern int SSL_set_fd(void *ssl, int fd);
extern int SSL_connect(void *ssl);
extern int SSL_read(void *ssl, void *bytes, int length);
extern int SSL_write(void *ssl, const void *bytes, int length);

static void *tls; /* a floor has one connection at a time */

/* Whom it talks to is not checked: the floor is the lower for it. */
static inline int tls_connect(int fd) {
  static void *settings;
  if (settings == NULL)
    settings = SSL_CTX_new(TLS_client_method());
  tls = SSL_new(settings);
  return tls != NULL && SSL_set_fd(tls, fd) == 1 ? SSL_connect(tls) : -1;
}

static inline ssize_t tls_recv(int fd, void *bytes, size_t length) {
  (void)fd;
  return SSL_read(tls, bytes, (int)length);
}

static inline ssize_t tls_send(int fd, const void *bytes, size_t length) {
  (void)fd;
  return SSL_write(tls, bytes, (int)length);
}

static inline int tls_close(int fd) {
  SSL_free(tls);
  return close(fd);
}

#define recv(fd, bytes, length, flags) tls_recv(fd, bytes, length)
#define send(fd, bytes, length, flags) tls_send(fd, bytes, length)
#define close(fd) tls_close(fd)

#endif /* FLOOR_TLS_H */

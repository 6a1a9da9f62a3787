/* SPDX-License-Identifier: Apache-2.0 */
/* What the C programs share that measure floors: clocks, and connecting. */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef FLOOR_TLS
#include "floor_tls.h"
#else
static inline int tls_connect(int fd) { return fd; }
#endif

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Of this process, in user and kernel mode. */
static inline double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* Connects to a unix socket's path, or to a port of this host; with TLS if FLOOR_TLS is defined. */
static inline int connect_to(const char *address) {
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int is_path = strchr(address, '/') != NULL, yes = 1;
  int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  strncpy(path.sun_path, address, sizeof path.sun_path - 1);
  port.sin_port = htons((uint16_t)atoi(address));
  const struct sockaddr *target = is_path ? (struct sockaddr *)&path : (struct sockaddr *)&port;
  if (fd < 0 || connect(fd, target, is_path ? sizeof path : sizeof port) != 0)
    fail(address);
  if (!is_path)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (tls_connect(fd) < 0)
    fail("TLS");
  return fd;
}

#endif /* FLOOR_H */

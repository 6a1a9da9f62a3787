/* SPDX-License-Identifier: Apache-2.0 */
/* System calls in a form that Swift can call: no macros, no variadics, no unions. */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

int platform_errno(void) { return errno; }

int64_t platform_wall_clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t platform_wall_clock_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t platform_monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint32_t platform_random(void) {
  uint32_t value = 0;
  const unsigned int nonblocking = 1; /* GRND_NONBLOCK */
  /* The system call as such: libc has a function for it only since glibc 2.25. */
  if (syscall(SYS_getrandom, &value, sizeof value, nonblocking) != (long)sizeof value)
    value = (uint32_t)platform_monotonic_ms() * 2654435761u;
  return value;
}

uint32_t platform_process_random(void) {
  static _Atomic uint32_t kept;
  uint32_t value = atomic_load_explicit(&kept, memory_order_relaxed);
  if (value == 0) {
    uint32_t none = 0;
    value = platform_random() | 1;
    /* Another thread may have been faster. */
    if (!atomic_compare_exchange_strong(&kept, &none, value))
      value = none;
  }
  return value;
}

/* Embedded Swift seeds its hash tables with this, which libc has only since glibc 2.36. */
__attribute__((visibility("hidden"))) void arc4random_buf(void *buffer, size_t size) {
  for (size_t filled = 0; filled < size; filled += sizeof(uint32_t)) {
    uint32_t value = platform_random();
    size_t left = size - filled;
    memcpy((char *)buffer + filled, &value, left < sizeof value ? left : sizeof value);
  }
}

int platform_socket(int family, int type) {
  return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int platform_connect(int fd, const struct sockaddr *address, socklen_t length) {
  /* connect(2): after EINTR the connection is still being made, as after EINPROGRESS. */
  if (connect(fd, address, length) == 0)
    return 0;
  return errno == EINTR ? EINPROGRESS : errno;
}

int platform_connect_unix(int fd, const char *path, size_t path_length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path_length >= sizeof address.sun_path)
    return ENAMETOOLONG;
  memcpy(address.sun_path, path, path_length);
  return platform_connect(fd, (const struct sockaddr *)&address, sizeof address);
}

int platform_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void platform_tune_tcp(int fd, int64_t keepalive_ms, int64_t unanswered_ms) {
  int on = 1, probes = 3, unanswered = (int)unanswered_ms;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (keepalive_ms <= 0)
    return;
  /* The first probe after half of the time, and three more in the other half. */
  int idle = (int)(keepalive_ms / 2000), interval = (int)(keepalive_ms / 6000);
  /* Seconds: no system takes 0, and Linux at most 32767. */
  idle = idle < 1 ? 1 : idle > 32767 ? 32767 : idle;
  interval = interval < 1 ? 1 : interval > 32767 ? 32767 : interval;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof unanswered);
}

ssize_t platform_send(int fd, const void *bytes, size_t length) {
  return send(fd, bytes, length, MSG_NOSIGNAL);
}

ssize_t platform_receive(int fd, void *bytes, size_t capacity) {
  return recv(fd, bytes, capacity, 0);
}

void platform_error_text(int error, char *buffer, size_t capacity) {
  /* The GNU form of strerror_r may answer with a static text instead of the buffer. */
  const char *text = strerror_r(error, buffer, capacity);
  if (text != buffer)
    snprintf(buffer, capacity, "%s", text);
}

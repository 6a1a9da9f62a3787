/* SPDX-License-Identifier: Apache-2.0 */
/* One file descriptor that becomes readable when a read can continue: socket, cancel signal or
 * alarm. */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static int add(platform_poller *poller, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.fd = fd}};
  return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

int platform_poller_open(platform_poller *poller) {
  poller->alarm_fd = -1;
  poller->cancel_fd = -1;
  poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poller->epoll_fd < 0)
    return errno;
  poller->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int error = poller->cancel_fd < 0 ? errno : add(poller, poller->cancel_fd, EPOLLIN);
  if (error != 0)
    platform_poller_close(poller);
  return error;
}

void platform_poller_close(platform_poller *poller) {
  if (poller->alarm_fd >= 0)
    close(poller->alarm_fd);
  if (poller->cancel_fd >= 0)
    close(poller->cancel_fd);
  if (poller->epoll_fd >= 0)
    close(poller->epoll_fd);
  poller->alarm_fd = poller->cancel_fd = poller->epoll_fd = -1;
}

int platform_poller_watch(platform_poller *poller, int socket_fd, bool readable, bool writable,
                          bool is_new) {
  struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
                              .data = {.fd = socket_fd}};
  int operation = is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  return epoll_ctl(poller->epoll_fd, operation, socket_fd, &event) == 0 ? 0 : errno;
}

int platform_poller_share_cancel(platform_poller *poller, const platform_poller *other) {
  int fd = other != NULL ? fcntl(other->cancel_fd, F_DUPFD_CLOEXEC, 0)
                         : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    return errno;
  /* Closing it is not enough where another poller has it, too. */
  epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, poller->cancel_fd, NULL);
  close(poller->cancel_fd);
  poller->cancel_fd = fd;
  return add(poller, fd, EPOLLIN);
}

void platform_poller_unwatch(platform_poller *poller, int socket_fd) {
  epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, socket_fd, NULL);
}

int platform_poller_wait(platform_poller *poller, int timeout_ms) {
  int ready[4];
  int count;
  return platform_poller_wait_many(poller, timeout_ms, ready, 4, &count);
}

int platform_poller_wait_many(platform_poller *poller, int timeout_ms, int *ready, int most,
                              int *ready_count) {
  struct epoll_event events[PLATFORM_POLL_MOST];
  *ready_count = 0;
  if (platform_log_take_control())
    return PLATFORM_POLL_INTERRUPTED;
  int count = epoll_wait(poller->epoll_fd, events, most, timeout_ms);
  if (count < 0)
    return errno == EINTR ? PLATFORM_POLL_INTERRUPTED : PLATFORM_POLL_FAILED;
  int outcome = PLATFORM_POLL_TIMEOUT;
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == poller->cancel_fd) {
      if (platform_poller_take_cancel(poller))
        return PLATFORM_POLL_CANCELLED;
    } else if (events[i].data.fd == poller->alarm_fd) {
      platform_poller_set_alarm(poller, -1);
    } else {
      ready[(*ready_count)++] = events[i].data.fd;
      outcome = PLATFORM_POLL_SOCKET;
    }
  }
  return outcome;
}

void platform_poller_cancel(platform_poller *poller) {
  uint64_t one = 1;
  int error = errno; /* of what a signal handler has interrupted */
  ssize_t written = write(poller->cancel_fd, &one, sizeof one);
  (void)written; /* it fails only when a cancel is pending already */
  errno = error;
}

bool platform_poller_take_cancel(platform_poller *poller) {
  uint64_t count = 0;
  return read(poller->cancel_fd, &count, sizeof count) == (ssize_t)sizeof count;
}

int platform_poller_set_alarm(platform_poller *poller, int64_t delay_ms) {
  if (poller->alarm_fd < 0) {
    if (delay_ms < 0)
      return 0;
    poller->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (poller->alarm_fd < 0)
      return errno;
    int error = add(poller, poller->alarm_fd, EPOLLIN);
    if (error != 0) {
      close(poller->alarm_fd);
      poller->alarm_fd = -1;
      return error;
    }
  }
  struct itimerspec when = {0};
  if (delay_ms >= 0) {
    when.it_value.tv_sec = delay_ms / 1000;
    /* 0 would switch it off: at once is one nanosecond from now. */
    when.it_value.tv_nsec = (delay_ms % 1000) * 1000000 + 1;
  }
  return timerfd_settime(poller->alarm_fd, 0, &when, NULL) == 0 ? 0 : errno;
}

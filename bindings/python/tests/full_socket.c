/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded, it has sockets take a short message at the second attempt, as if they were full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

ssize_t send(int descriptor, const void *bytes, size_t length, int flags) {
  static ssize_t (*real)(int, const void *, size_t, int);
  static int attempts;
  if (real == 0)
    real = (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
  if (length < 64 && ++attempts % 2 == 1) {
    errno = EAGAIN;
    return -1;
  }
  return real(descriptor, bytes, length, flags);
}

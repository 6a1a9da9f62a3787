/* SPDX-License-Identifier: Apache-2.0 */
/* A whole small file, for data that the system keeps in files. */
#include "include/CPlatform.h"

long platform_read_file(const char *path, void *buffer, size_t size) {
  int descriptor;
  /* Opening a pipe would wait for somebody who writes. */
  do
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    return -1;
  size_t length = 0;
  /* A pipe has no places; asking for its kind would need a newer libc. */
  ssize_t count = lseek(descriptor, 0, SEEK_CUR) < 0 ? -1 : 1;
  if (count < 0)
    size = 0;
  while (length < size && count != 0) {
    count = read(descriptor, (char *)buffer + length, size - length);
    if (count > 0)
      length += (size_t)count;
    if (count < 0 && errno != EINTR)
      break;
  }
  close(descriptor);
  return count < 0 ? -1 : (long)length;
}

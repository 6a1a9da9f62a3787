/* SPDX-License-Identifier: Apache-2.0 */
/* A whole small file, for data that the system keeps in files. */
#include "include/CPlatform.h"

long platform_read_file(const char *path, void *buffer, size_t size) {
  int descriptor;
  do
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    return -1;
  size_t length = 0;
  ssize_t count = 1;
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

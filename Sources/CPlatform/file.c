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

int platform_map_file(const char *path, size_t slack, void **start_out, size_t *size_out) {
  int descriptor, error = 0;
  *start_out = NULL;
  *size_out = 0;
  do
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    return errno;
  /* A pipe has no places, and a folder no bytes. */
  off_t size = lseek(descriptor, 0, SEEK_END);
  char byte;
  if (size < 0 || pread(descriptor, &byte, 1, 0) < 0) {
    error = errno;
  } else {
    /* Zeros after the file's last page: a file may end where a page does. */
    void *start = mmap(NULL, (size_t)size + slack, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
      error = errno;
    } else if (size > 0 && mmap(start, (size_t)size, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor,
                                0) == MAP_FAILED) {
      error = errno;
      munmap(start, (size_t)size + slack);
    } else {
      *start_out = start;
      *size_out = (size_t)size;
    }
  }
  close(descriptor);
  return error;
}

void platform_unmap_file(void *start, size_t size, size_t slack) {
  if (start != NULL)
    munmap(start, size + slack);
}

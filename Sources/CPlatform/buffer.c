/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for columns that grow. From 2 MiB on it is mapped pages, which the kernel gives another
 * address without touching them. realloc does so only beyond malloc's own limit, and glibc moves
 * that up to 32 MiB as larger blocks are freed: a program that has read before would copy every
 * column each time it doubles, milliseconds in which nothing is received.
 */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <sys/mman.h>

enum { MAPPED_FROM = 2 * 1024 * 1024 };

/* In front of every buffer. Mapped pages begin with it, and what follows on a cache line; malloc
   promises less, and so must the type. */
typedef struct {
  size_t size; /* its own bytes included */
  bool is_mapped;
  char rest[64 - sizeof(size_t) - sizeof(bool)];
} header;

_Static_assert(sizeof(header) == 64, "buffers in mapped pages begin on a cache line");

static header *header_of(void *buffer) { return (header *)buffer - 1; }

static void *made(void *block, size_t size, bool is_mapped) {
  if (block == NULL || block == MAP_FAILED)
    return NULL;
  *(header *)block = (header){.size = size, .is_mapped = is_mapped};
  return (header *)block + 1;
}

static void *new_mapping(header *old, size_t size) {
  const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
  void *buffer = made(mmap(NULL, size, protection, flags, -1, 0), size, true);
  if (buffer != NULL && old != NULL) {
    memcpy(buffer, old + 1, (old->size < size ? old->size : size) - sizeof *old);
    free(old);
  }
  return buffer;
}

void *platform_buffer_resize(void *buffer, size_t size) {
  header *old = buffer == NULL ? NULL : header_of(buffer);
  if (size > SIZE_MAX / 2)
    return NULL;
  size += sizeof *old;
  if (old != NULL && old->is_mapped)
    return made(mremap(old, old->size, size, MREMAP_MAYMOVE), size, true);
  if (size < MAPPED_FROM)
    return made(realloc(old, size), size, false);
  return new_mapping(old, size);
}

void platform_buffer_free(void *buffer) {
  if (buffer == NULL)
    return;
  header *old = header_of(buffer);
  if (old->is_mapped)
    munmap(old, old->size);
  else
    free(old);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the system refuses. What is large is asked for with malloc, and an error says that it
 * was refused. But the language's runtime cannot continue without its small objects: for them there
 * is a reserve, which is given up when the system has nothing else. What a caller or a server can
 * make large and the runtime keeps is looked for before: is so much there?
 */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <malloc.h>
#include <stdatomic.h>

enum {
  RESERVE_BYTES = 2 * 1024 * 1024, /* more than malloc keeps: giving it up gives it back */
  SMALL_BYTES = 32 * 1024          /* for which the reserve is there */
};

static _Atomic(void *) reserve;

/* A compiler may leave out an allocation that nobody uses. */
static void *asked_for(size_t bytes) {
  void *memory = realloc(NULL, bytes);
  __asm__ volatile("" : : "r"(memory) : "memory");
  return memory;
}

bool platform_memory_has_reserve(void) {
  if (atomic_load_explicit(&reserve, memory_order_relaxed) != NULL)
    return true;
  void *memory = asked_for(RESERVE_BYTES), *nothing = NULL;
  if (memory == NULL)
    return false;
  if (!atomic_compare_exchange_strong(&reserve, &nothing, memory))
    free(memory);
  return true;
}

bool platform_memory_is_there(size_t bytes) {
  /* After the reserve was given up, nothing continues before there is a new one. */
  if (!platform_memory_has_reserve())
    return false;
  if (bytes <= SMALL_BYTES)
    return true;
  if (bytes > SIZE_MAX / 2)
    return false;
  void *memory = asked_for(bytes);
  free(memory);
  return memory != NULL;
}

/* In a program under AddressSanitizer this would hide its own from the runtime, and not from us. */
#if !defined(__has_feature)
#define __has_feature(name) 0
#endif
#if !__has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
static void *aligned(size_t alignment, size_t size) {
  return alignment <= sizeof(max_align_t) ? malloc(size) : memalign(alignment, size);
}

/* The one function of libc with which the runtime makes objects and arrays. This one is found first
   within the library, and nowhere else. */
__attribute__((visibility("hidden"))) int posix_memalign(void **out, size_t alignment,
                                                         size_t size) {
  void *memory = aligned(alignment, size);
  if (memory == NULL) {
    int error = errno;
    free(atomic_exchange(&reserve, NULL));
    errno = error;
    memory = aligned(alignment, size);
  }
  if (memory == NULL)
    return ENOMEM;
  *out = memory;
  return 0;
}
#endif

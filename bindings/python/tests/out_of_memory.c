/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded, it refuses memory to the library: after refuse(n, count), its next n requests for
 * memory that grows or is to be cleared are granted, the count after them are refused, and all
 * others are granted. So are those of other callers. Its requests for malloc, which are also those
 * of the language's runtime, are granted unless with_malloc(1) was called.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static long granted_left, refusals_left, asked;

static bool includes_malloc;

void with_malloc(int include) { includes_malloc = include != 0; }

void refuse(long granted, long refusals) {
  granted_left = granted;
  refusals_left = refusals;
  asked = 0;
}

/* How many requests there were since. */
long requests(void) { return asked; }

static bool is_refused(const void *caller) {
  Dl_info info;
  if (!dladdr(caller, &info) || info.dli_fname == NULL)
    return false;
  if (strstr(info.dli_fname, "libredcol") == NULL)
    return false;
  asked++;
  if (granted_left-- > 0 || refusals_left <= 0)
    return false;
  refusals_left--;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t size) {
  if (!includes_malloc)
    return __libc_malloc(size);
  return is_refused(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return is_refused(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  return is_refused(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  if (is_refused(__builtin_return_address(0)))
    return MAP_FAILED;
  void *(*next)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
  return next(address, size, protection, flags, file, offset);
}

void *mremap(void *memory, size_t before, size_t size, int flags, ...) {
  if (is_refused(__builtin_return_address(0)))
    return MAP_FAILED;
  void *(*next)(void *, size_t, size_t, int, ...) = dlsym(RTLD_NEXT, "mremap");
  return next(memory, before, size, flags); /* the library names no address */
}

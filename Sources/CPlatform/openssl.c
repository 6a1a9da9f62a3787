/* SPDX-License-Identifier: Apache-2.0 */
/* Finds OpenSSL: the one that the process has loaded already, else the system's. Nothing is linked,
 * and a process without TLS loads nothing. */
#define _GNU_SOURCE
#include "openssl.h"
#include "include/CPlatform.h"

#include <dlfcn.h>

/* glibc has dlopen in libc since 2.34, and in libdl before. By its old version it is found in both.
 * Where nobody has loaded libdl, it is NULL. */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5\n.symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver dlopen, dlopen@GLIBC_2.17\n.symver dlsym, dlsym@GLIBC_2.17");
#endif
#pragma weak dlopen
#pragma weak dlsym

struct openssl openssl;

#define NAME(result, name, parameters) #name "\0"
static const char names[] = OPENSSL_FUNCTIONS(NAME);
static const char libraries[][16] = {"libssl.so.3", "libssl.so.1.1"};

static bool find(void) {
  void *library = NULL;
  if (dlopen == NULL || dlsym == NULL)
    return false;
  for (int i = 0; i < 4 && library == NULL; i++)
    library =
        dlopen(libraries[i % 2], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | (i < 2 ? RTLD_NOLOAD : 0));
  if (library == NULL)
    return false;
  /* Also finds what libcrypto has, since libssl needs it. */
  void **function = (void **)&openssl;
  for (const char *name = names; *name != '\0'; name += strlen(name) + 1)
    if ((*function++ = dlsym(library, name)) == NULL)
      return false;
  /* Unless the host has begun to use it in another way: a thread that is inside when the process
   * ends must not find OpenSSL's tables freed. */
  openssl.OPENSSL_init_crypto(OPENSSL_NO_ATEXIT, NULL);
  return true;
}

bool openssl_load(void) {
  static int is_loaded;
  if (__atomic_load_n(&is_loaded, __ATOMIC_ACQUIRE))
    return true;
  platform_opens_lock();
  bool found = is_loaded || find();
  __atomic_store_n(&is_loaded, found, __ATOMIC_RELEASE);
  platform_opens_unlock();
  return found;
}

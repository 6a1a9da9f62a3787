/* SPDX-License-Identifier: Apache-2.0 */
/* A thread for work that may block for as long as it likes, and an event that says when it is done.
 */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

/* Until glibc 2.34 these were libpthread's. Under their first version, and weak, the library can be
 * loaded on older machines too, and in programs without threads. A sanitizer has its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__x86_64__) && !defined(SANITIZED)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setstacksize, pthread_attr_setstacksize@GLIBC_2.2.5");
#elif defined(__aarch64__) && !defined(SANITIZED)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.17");
__asm__(".symver pthread_attr_setstacksize, pthread_attr_setstacksize@GLIBC_2.17");
#endif
#pragma weak pthread_create
#pragma weak pthread_attr_setstacksize

bool platform_thread_start(void *(*work)(void *), void *context, size_t stack_bytes) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before, pending;
  if (!pthread_create || !pthread_attr_setstacksize || pthread_attr_init(&attributes) != 0)
    return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (stack_bytes > 0)
    pthread_attr_setstacksize(&attributes, stack_bytes);
  /* Signals are for the host's threads. The new thread begins with what is blocked here. */
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, &attributes, work, context);
  /* A signal that comes here ends no wait: the next wait begins too late for it. */
  sigpending(&pending);
  for (int number = 1; number < NSIG; number++)
    if (sigismember(&pending, number) == 1 && sigismember(&before, number) == 0)
      platform_log_want_control();
  sigprocmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

int platform_event_new(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void platform_event_set(int event) {
  uint64_t one = 1;
  ssize_t written = write(event, &one, sizeof one);
  (void)written; /* it fails only when it is set many times */
}

bool platform_event_take(int event) {
  uint64_t count = 0;
  return read(event, &count, sizeof count) == (ssize_t)sizeof count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who is inside a call on a handle, so that a second call is refused; and whether the first one
 * will never come out: its thread was ended by pthread_cancel, or left it by longjmp. */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* The other models need a function of ld.so's, and so one more library at run time. */
#define OF_THIS_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

struct platform_turn {
  _Atomic int32_t thread; /* the kernel's number of the thread inside; 0: none is */
};

/* The host's functions that the library has called on this thread and that have not returned. */
static OF_THIS_THREAD int callbacks;

int32_t platform_this_thread(void) { return (int32_t)syscall(SYS_gettid); }

platform_turn *platform_turn_new(void) { return calloc(1, sizeof(platform_turn)); }
void platform_turn_free(platform_turn *turn) { free(turn); }

bool platform_turn_begin(platform_turn *turn) {
  int32_t nobody = 0;
  return atomic_compare_exchange_strong_explicit(&turn->thread, &nobody, platform_this_thread(),
                                                 memory_order_acquire, memory_order_relaxed);
}

void platform_turn_end(platform_turn *turn) {
  atomic_store_explicit(&turn->thread, 0, memory_order_release);
}

bool platform_turn_is_left(platform_turn *turn) {
  int32_t thread = atomic_load_explicit(&turn->thread, memory_order_acquire);
  if (thread == 0)
    return false;
  /* This thread is here and not there, unless the host was called from there and calls back. */
  if (thread == platform_this_thread())
    return callbacks == 0 && !platform_log_is_running_here();
  int error = errno;
  bool is_gone = syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH;
  errno = error;
  return is_gone;
}

void platform_callback_begins(void) { callbacks++; }
void platform_callback_ended(void) { callbacks--; }

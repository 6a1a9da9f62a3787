/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex behind a pointer: its address must not change, which Swift does not promise for a field.
 * pthread's trylock stands in libc itself only since glibc 2.34; so this one waits by futex(2). */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { FREE, TAKEN, AWAITED /* taken, and somebody may be waiting */ };

struct platform_lock {
  _Atomic uint32_t state;
};

static void futex(platform_lock *lock, int operation, uint32_t value) {
  int error = errno; /* a wait ends with EAGAIN when the lock was released before it began */
  syscall(SYS_futex, &lock->state, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
  errno = error;
}

platform_lock *platform_lock_new(void) { return calloc(1, sizeof(platform_lock)); }
void platform_lock_free(platform_lock *lock) { free(lock); }

bool platform_lock_try(platform_lock *lock) {
  uint32_t expected = FREE;
  return atomic_compare_exchange_strong_explicit(&lock->state, &expected, TAKEN,
                                                 memory_order_acquire, memory_order_relaxed);
}

void platform_lock_acquire(platform_lock *lock) {
  if (platform_lock_try(lock))
    return;
  /* Whoever has waited takes it as awaited: there may be others, whom its release must wake. */
  while (atomic_exchange_explicit(&lock->state, AWAITED, memory_order_acquire) != FREE)
    futex(lock, FUTEX_WAIT, AWAITED);
}

void platform_lock_release(platform_lock *lock) {
  if (atomic_exchange_explicit(&lock->state, FREE, memory_order_release) == AWAITED)
    futex(lock, FUTEX_WAKE, 1);
}

/* One lock for the process, which a child starts again: whoever held it when the parent forked
   is not there. */
static platform_lock opens_lock;
static _Atomic pid_t opens_owner;

void platform_opens_lock(void) {
  pid_t mine = getpid(), owner = atomic_load(&opens_owner);
  if (owner != mine && atomic_compare_exchange_strong(&opens_owner, &owner, mine))
    atomic_store(&opens_lock.state, FREE);
  platform_lock_acquire(&opens_lock);
}

void platform_opens_unlock(void) { platform_lock_release(&opens_lock); }

/* A mutex and a turn behind pointers: their addresses must not change, which Swift does not promise
 * for a field. */
#include "include/CPlatform.h"

#include <pthread.h>
#include <stdatomic.h>

struct platform_lock {
  pthread_mutex_t mutex;
};

platform_lock *platform_lock_new(void) {
  platform_lock *lock = malloc(sizeof *lock);
  if (lock != NULL && pthread_mutex_init(&lock->mutex, NULL) != 0) {
    free(lock);
    lock = NULL;
  }
  return lock;
}

void platform_lock_free(platform_lock *lock) {
  if (lock == NULL) return;
  pthread_mutex_destroy(&lock->mutex);
  free(lock);
}

void platform_lock_acquire(platform_lock *lock) { pthread_mutex_lock(&lock->mutex); }
void platform_lock_release(platform_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

/* pthread_mutex_trylock would do, but stands in libc itself only since glibc 2.34. */
struct platform_turn {
  atomic_flag is_taken;
};

platform_turn *platform_turn_new(void) {
  platform_turn *turn = malloc(sizeof *turn);
  if (turn != NULL) atomic_flag_clear(&turn->is_taken);
  return turn;
}

void platform_turn_free(platform_turn *turn) { free(turn); }

bool platform_turn_take(platform_turn *turn) {
  return !atomic_flag_test_and_set_explicit(&turn->is_taken, memory_order_acquire);
}

void platform_turn_end(platform_turn *turn) {
  atomic_flag_clear_explicit(&turn->is_taken, memory_order_release);
}

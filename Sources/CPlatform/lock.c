/* A mutex behind a pointer: its address must not change, which Swift does not promise for a field.
 * */
#include "include/CPlatform.h"

#include <pthread.h>

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
bool platform_lock_try(platform_lock *lock) { return pthread_mutex_trylock(&lock->mutex) == 0; }
void platform_lock_release(platform_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

/* Objects alive in this process, counted for tests that look for leaks. */
#include "include/CPlatform.h"

#include <stdatomic.h>

static _Atomic int64_t live_objects;

void platform_live_objects_add(int64_t change) {
  atomic_fetch_add_explicit(&live_objects, change, memory_order_relaxed);
}

int64_t platform_live_objects(void) {
  return atomic_load_explicit(&live_objects, memory_order_relaxed);
}

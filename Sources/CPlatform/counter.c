/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that threads share: objects alive in this process, and what a read or write has done. */
#include "include/CPlatform.h"

#include <stdatomic.h>

static _Atomic int64_t live_objects;

void platform_live_objects_add(int64_t change) {
  atomic_fetch_add_explicit(&live_objects, change, memory_order_relaxed);
}

int64_t platform_live_objects(void) {
  return atomic_load_explicit(&live_objects, memory_order_relaxed);
}

struct platform_counters {
  int count;
  _Atomic int64_t values[];
};

platform_counters *platform_counters_new(int count) {
  platform_counters *counters = calloc(1, sizeof *counters + (size_t)count * sizeof(int64_t));
  if (counters != NULL)
    counters->count = count;
  return counters;
}

void platform_counters_free(platform_counters *counters) { free(counters); }

void platform_counters_add(platform_counters *counters, int index, int64_t change) {
  if (index < 0 || index >= counters->count)
    return;
  atomic_fetch_add_explicit(&counters->values[index], change, memory_order_relaxed);
}

void platform_counters_set(platform_counters *counters, int index, int64_t value) {
  if (index < 0 || index >= counters->count)
    return;
  atomic_store_explicit(&counters->values[index], value, memory_order_relaxed);
}

int64_t platform_counters_get(platform_counters *counters, int index) {
  if (index < 0 || index >= counters->count)
    return 0;
  return atomic_load_explicit(&counters->values[index], memory_order_relaxed);
}

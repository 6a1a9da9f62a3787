/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one callback of the host for the whole process, and at most one line a second for the
 * same thing. Nothing is locked while the callback runs: it may call the library, and a thread that
 * holds a lock of the host's (Python's GIL) may write a line meanwhile. */
#define _GNU_SOURCE
#include "include/CPlatform.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
  PLACES = 256,     /* things whose last line is remembered */
  PAUSE_MS = 1000,  /* between two lines about the same thing */
  TEXT_MAX = 2048,  /* bytes of a line; what goes past them is cut */
  SPINS_MAX = 10000 /* a thread that a fork left behind never unlocks */
};

/* The other models need a function of ld.so's, and so one more library at run time. */
#define OF_THIS_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

typedef struct {
  uint64_t key;
  int64_t written_ms; /* 0: a free place */
  int64_t left_out;
} place;

static atomic_flag guard = ATOMIC_FLAG_INIT;
static place places[PLACES];

static platform_log_callback *callback;
static void *callback_data;
static atomic_int callback_level;
/* Calls of the callback that have not returned, and the process that counts them. */
static atomic_int running;
static atomic_int running_process;
/* Of this thread alone; and whether its host wants the running call to end. */
static OF_THIS_THREAD int running_here;
static OF_THIS_THREAD bool wants_control;

static void lock(void) {
  for (int spins = 0; spins < SPINS_MAX; spins++) {
    if (!atomic_flag_test_and_set_explicit(&guard, memory_order_acquire))
      return;
    sched_yield();
  }
}

static void unlock(void) { atomic_flag_clear_explicit(&guard, memory_order_release); }

static void count_running(int change) {
  int process = getpid();
  /* Calls in other threads did not come along through a fork. */
  if (atomic_exchange(&running_process, process) != process)
    atomic_store(&running, change > 0 ? running_here : running_here + 1);
  atomic_fetch_add(&running, change);
  running_here += change;
}

void platform_log_set(int level, platform_log_callback *wanted, void *data) {
  lock();
  callback = wanted;
  callback_data = data;
  atomic_store(&callback_level, wanted ? level : 0);
  unlock();
  if (atomic_load(&running_process) != getpid())
    return;
  while (atomic_load(&running) > running_here)
    sched_yield();
}

bool platform_log_wants(int level) { return level <= atomic_load(&callback_level); }

/* Whether a line about `key` is due; and how many have been left out since the last one. Locked. */
static bool is_due(uint64_t key, int64_t *left_out) {
  int64_t now = platform_monotonic_ms();
  place *oldest = &places[0];
  *left_out = 0;
  for (int index = 0; index < PLACES; index++) {
    place *here = &places[index];
    if (here->written_ms && here->key == key) {
      if (now - here->written_ms < PAUSE_MS) {
        here->left_out++;
        return false;
      }
      *left_out = here->left_out;
      oldest = here;
      break;
    }
    if (here->written_ms < oldest->written_ms)
      oldest = here;
  }
  *oldest = (place){.key = key, .written_ms = now > 0 ? now : 1};
  return true;
}

bool platform_log_write(int level, const char *topic, uint64_t key, const char *text) {
  char line[TEXT_MAX];
  int64_t left_out;
  lock();
  platform_log_callback *wanted = callback;
  void *data = callback_data;
  bool due = wanted && platform_log_wants(level) && is_due(key, &left_out);
  /* Counted before the lock is given back: whoever takes the callback away waits for this call. */
  if (due)
    count_running(1);
  unlock();
  if (!due)
    return false;
  if (left_out > 0)
    snprintf(line, sizeof line, "%s (%lld more such lines were left out)", text,
             (long long)left_out);
  else
    snprintf(line, sizeof line, "%s", text);
  if (wanted(level, topic, line, data) != 0)
    wants_control = true;
  count_running(-1);
  return true;
}

int32_t platform_log_to_python(int32_t level, const char *topic, const char *message,
                               void *user_data) {
  struct {
    platform_log_callback *callback;
    _Atomic int64_t unfinished;
  } *python = user_data;
  int32_t finished = 0;
  if (!python || !python->callback)
    return 0;
  int32_t result = python->callback(level, topic, message, &finished);
  if (finished)
    return result;
  atomic_fetch_add(&python->unfinished, 1);
  return 1;
}

bool platform_log_is_running_here(void) { return running_here > 0; }

void platform_log_want_control(void) { wants_control = true; }

bool platform_log_take_control(void) {
  bool wants = wants_control;
  wants_control = false;
  return wants;
}

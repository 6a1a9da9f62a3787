/* SPDX-License-Identifier: Apache-2.0 */
/* Calls into Python from threads that are not Python's. Such a thread waits for the interpreter's
 * lock, and must not be there when the interpreter ends. So no call begins any more when Python is
 * about to end, and Python waits for those that have not got the lock yet. */
#include "include/CPlatform.h"

#include <poll.h>
#include <stdatomic.h>

/* The other models need a function of ld.so's, and so one more library at run time. */
#define OF_THIS_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

/* A thread that a fork left behind never enters. */
enum { WAITS_MAX = 1000 };

static _Atomic(platform_credentials_callback *) callback;
/* Threads that may be about to wait for the interpreter's lock. */
static atomic_int entering;
static OF_THIS_THREAD bool is_entering;

void platform_python_entered(void) {
  if (is_entering)
    atomic_fetch_sub(&entering, 1);
  is_entering = false;
}

int32_t platform_ask_python(struct redcol_credentials_request *request, void *user_data) {
  is_entering = true;
  /* Before it looks: either it sees that Python ends, or Python sees that it enters. */
  atomic_fetch_add(&entering, 1);
  platform_credentials_callback *wanted = atomic_load(&callback);
  int32_t result = wanted ? wanted(request, user_data) : -1;
  platform_python_entered();
  return result;
}

void platform_python_set(platform_credentials_callback *wanted) {
  atomic_store(&callback, wanted);
  for (int waits = 0; !wanted && atomic_load(&entering) > 0 && waits < WAITS_MAX; waits++)
    poll(NULL, 0, 1);
}

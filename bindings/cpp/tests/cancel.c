/* SPDX-License-Identifier: Apache-2.0 */
/* Cancels waits from another thread: cancel URL STREAM GROUP. Says "waiting" before the last read,
   which shows that the iterator goes on. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "redcol.h"

static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t cancelled_at;

static void *cancel_soon(void *iter) {
  struct timespec soon = {0, 200000000};
  nanosleep(&soon, NULL);
  cancelled_at = clock_ms();
  return redcol_cancel(iter) == REDCOL_OK ? iter : NULL;
}

/* A call that waits forever, ended by another thread. */
static int wait_and_cancel(redcol_iter *iter) {
  pthread_t thread;
  void *answer = NULL;
  struct ArrowArray batch;
  redcol_error *error = NULL;
  if (pthread_create(&thread, NULL, cancel_soon, iter) != 0)
    return 0;
  redcol_status status = redcol_iter_next(iter, -1, NULL, &batch, &error);
  int64_t ended_at = clock_ms();
  pthread_join(thread, &answer);
  int good = status == REDCOL_ERROR_CANCELLED && batch.release == NULL && answer == iter &&
             redcol_error_status(error) == status && ended_at - cancelled_at < 250;
  if (!good)
    fprintf(stderr, "status %d, %" PRId64 " ms: %s\n", (int)status, ended_at - cancelled_at,
            redcol_error_message(error));
  redcol_free(error);
  return good;
}

int main(int argc, char **argv) {
  redcol_client *client = NULL;
  redcol_iter *iter = NULL;
  redcol_error *error = NULL;
  struct ArrowArray batch;
  if (argc != 4)
    return 2;
  const char *options[] = {"group",    argv[3], "consumer", "c", "follow", "true",
                           "auto_ack", "true",  "count",    "2", NULL};
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_read_stream(client, argv[2], -1, NULL, options, &iter, &error);
  for (int i = 0; i < 3 && status == REDCOL_OK; i++)
    if (!wait_and_cancel(iter))
      return 1;
  /* A cancel that nobody waits for ends the next wait, and only that. */
  if (status == REDCOL_OK && redcol_cancel(iter) == REDCOL_OK)
    status = redcol_iter_next(iter, -1, NULL, &batch, &error);
  if (status != REDCOL_ERROR_CANCELLED)
    return fprintf(stderr, "status %d: %s\n", (int)status, redcol_error_message(error)), 1;
  redcol_free(error);
  error = NULL;
  printf("waiting\n");
  fflush(stdout);
  int64_t entries = 0;
  while ((status = redcol_iter_next(iter, 10000, NULL, &batch, &error)) == REDCOL_OK) {
    entries += batch.length;
    batch.release(&batch);
  }
  printf("%" PRId64 " entries, %s\n", entries, status == REDCOL_END ? "the end" : "no end");
  redcol_free(error);
  redcol_free(iter);
  redcol_free(client);
  return redcol_live_objects() == 0 ? 0 : 1;
}

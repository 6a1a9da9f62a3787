/* SPDX-License-Identifier: Apache-2.0 */
/* A group read in an event loop: poll() on the iterator's descriptor and on standard input, which
   stands for the loop's other work. event_loop URL STREAM GROUP ENTRIES; prints a line for each
   batch, and "tick" for each byte of standard input. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "redcol.h"

static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int failed(redcol_error *error) {
  fprintf(stderr, "%s\n", redcol_error_message(error));
  redcol_free(error);
  return 1;
}

/* Takes all batches that are there, without waiting. */
static redcol_status drain(redcol_iter *iter, int64_t *entries, redcol_error **error) {
  redcol_status status;
  struct ArrowArray batch;
  do {
    int64_t acknowledged = 0, rows = 0, before = clock_ms();
    status = redcol_iter_next(iter, 0, NULL, &batch, error);
    /* One that waits would wait for the next entry, for 2.5 seconds or more. */
    if (clock_ms() - before > 2000)
      fprintf(stderr, "a call that should not wait took %" PRId64 " ms\n", clock_ms() - before);
    if (status != REDCOL_OK)
      break;
    rows = batch.length;
    *entries += rows;
    batch.release(&batch);
    status = redcol_iter_ack(iter, NULL, -1, NULL, -1, &acknowledged, error);
    printf("%" PRId64 " entries, %" PRId64 " acknowledged\n", rows, acknowledged);
  } while (status == REDCOL_OK);
  return status;
}

int main(int argc, char **argv) {
  redcol_client *client = NULL;
  redcol_iter *iter = NULL;
  redcol_error *error = NULL;
  int64_t entries = 0, calls = 0;
  if (argc != 5)
    return 2;
  const char *options[] = {"group", argv[3], "consumer",   "loop", "follow", "true",
                           "count", argv[4], "batch_rows", "100",  NULL};
  if (redcol_open(argv[1], NULL, &client, &error) != REDCOL_OK)
    return failed(error);
  if (redcol_read_stream(client, argv[2], -1, NULL, options, &iter, &error) != REDCOL_OK)
    return failed(error);
  printf("ready\n");
  int descriptor = redcol_iter_descriptor(iter);
  struct pollfd ends[2] = {{descriptor, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  redcol_status status;
  while (calls++, (status = drain(iter, &entries, &error)) == REDCOL_TIMEOUT) {
    fflush(stdout);
    do {
      if (poll(ends, 2, 10000) <= 0) {
        fprintf(stderr, "the loop heard nothing for 10 seconds\n");
        return 1;
      }
      char byte;
      if (ends[1].revents != 0) {
        if (read(STDIN_FILENO, &byte, 1) == 1)
          printf("tick\n"), fflush(stdout);
        else
          ends[1].fd = -1;
      }
    } while (ends[0].revents == 0);
    if (redcol_iter_descriptor(iter) != descriptor)
      fprintf(stderr, "the descriptor has changed\n");
  }
  if (status < 0)
    return failed(error);
  printf("end after %" PRId64 " entries\n", entries);
  fprintf(stderr, "%" PRId64 " calls\n", calls);
  redcol_free(iter);
  redcol_free(client);
  return redcol_live_objects() == 0 ? 0 : 1;
}

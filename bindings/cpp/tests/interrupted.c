/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that waits, under a timer whose signal comes again and again:
 *
 *   interrupted URL STREAM ENTRIES INTERVAL_US
 *
 * Each call is made until it does not return REDCOL_TIMEOUT. For each it prints its name, its last
 * status and how often it was made, and at the end how many entries were acknowledged. The stream
 * has so many entries, and "slow" a group of that name to acknowledge in.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "redcol.h"

static void look(int number) { (void)number; }

static void every(long microseconds) {
  struct itimerval timer = {{microseconds / 1000000, microseconds % 1000000},
                            {microseconds / 1000000, microseconds % 1000000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static redcol_error *error;

/* Makes CALL until it is not interrupted, and says how that went. */
#define UNTIL_DONE(name, call)                                                                     \
  do {                                                                                             \
    redcol_status status = REDCOL_TIMEOUT;                                                         \
    int calls = 0;                                                                                 \
    while (status == REDCOL_TIMEOUT) {                                                             \
      status = (call);                                                                             \
      calls++;                                                                                     \
      acknowledged += count;                                                                       \
      count = 0;                                                                                   \
    }                                                                                              \
    printf("%s %d %d\n", name, (int)status, calls);                                                \
    if (status < 0)                                                                                \
      return fprintf(stderr, "%s: %s\n", name, redcol_error_message(error)), 1;                    \
  } while (0)

int main(int argc, char **argv) {
  if (argc != 5)
    return 2;
  const char *stream = argv[2];
  int64_t entries = atol(argv[3]), acknowledged = 0, count = 0;
  struct sigaction action = {.sa_handler = look};
  sigaction(SIGALRM, &action, NULL);
  every(atol(argv[4]));

  redcol_client *client = NULL;
  redcol_iter *iter = NULL, *tail = NULL;
  struct ArrowArray batch;
  uint64_t milliseconds, sequence;
  const char *member[] = {"group", "g", "consumer", "c", "follow", "true", NULL};
  const char *newest[] = {"group",          "n", "consumer", "c", "follow", "true",
                          "group_start_id", "$", NULL};
  const char *after[] = {"start_id", "$", "follow", "true", NULL};

  UNTIL_DONE("open", redcol_open(argv[1], NULL, &client, &error));
  UNTIL_DONE("last_id", redcol_last_id(client, stream, -1, &milliseconds, &sequence, &error));
  UNTIL_DONE("group_at_end", redcol_read_stream(client, stream, -1, NULL, newest, &tail, &error));
  redcol_free(tail);
  UNTIL_DONE("follow_at_end",
             redcol_read_streams(client, &stream, NULL, 1, NULL, after, &tail, &error));
  redcol_free(tail);
  UNTIL_DONE("group", redcol_read_stream(client, stream, -1, NULL, member, &iter, &error));
  for (int64_t rows = 0; rows < entries; rows += batch.length, batch.release(&batch))
    UNTIL_DONE("next", redcol_iter_next(iter, -1, NULL, &batch, &error));
  UNTIL_DONE("iter_ack", redcol_iter_ack(iter, NULL, -1, NULL, -1, &count, &error));
  printf("acknowledged %" PRId64 "\n", acknowledged);

  /* The same entries once more, by their ids and in another group. */
  char *ids = malloc((size_t)entries * 24 + 1), *end = ids;
  if (ids == NULL)
    return 1;
  for (int64_t entry = 1; entry <= entries; entry++)
    end += sprintf(end, "%" PRId64 "-1\n", entry);
  acknowledged = 0;
  UNTIL_DONE("ack", redcol_ack(client, stream, -1, "slow", -1, ids, end - ids, &count, &error));
  printf("acknowledged %" PRId64 "\n", acknowledged);
  free(ids);
  redcol_free(iter);
  redcol_free(client);
  return redcol_live_objects() == 0 ? 0 : 1;
}

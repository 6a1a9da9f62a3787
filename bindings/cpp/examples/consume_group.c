/* SPDX-License-Identifier: Apache-2.0 */
/* Sums a stream's values as a member of a consumer group, until ENTRIES of them or Ctrl-C:
   consume_group URL STREAM GROUP CONSUMER ENTRIES */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "redcol.h"

static redcol_iter *iter; /* for the handler */

static void stop(int number) {
  (void)number;
  redcol_cancel(iter); /* ends the wait, or else the next one */
}

static void keep(struct ArrowSchema *schema) { (void)schema; /* nothing to free */ }

static int64_t sum(const struct ArrowArray *batch, int64_t child) {
  const struct ArrowArray *column = batch->children[child];
  const uint8_t *validity = (const uint8_t *)column->buffers[0]; /* NULL: there are no nulls */
  const int64_t *values = (const int64_t *)column->buffers[1];
  int64_t total = 0;
  for (int64_t i = column->offset; i < column->offset + column->length; i++)
    if (validity == NULL || ((validity[i / 8] >> (i % 8)) & 1) != 0)
      total += values[i];
  return total;
}

int main(int argc, char **argv) {
  struct ArrowSchema value = {"l", "value", NULL, ARROW_FLAG_NULLABLE, 0, NULL, NULL, keep, NULL};
  struct ArrowSchema *columns[] = {&value};
  struct ArrowSchema wanted = {"+s", "", NULL, 0, 1, columns, NULL, keep, NULL};
  struct ArrowArray batch;
  redcol_client *client = NULL;
  redcol_error *error = NULL;
  int64_t entries = 0, total = 0;
  int result = 0;

  if (argc != 6)
    return fprintf(stderr, "usage: %s URL STREAM GROUP CONSUMER ENTRIES\n", argv[0]), 2;
  /* auto_ack: asking for the next batch acknowledges the one before. */
  const char *options[] = {"group", argv[3], "consumer", argv[4],      "follow", "true", "auto_ack",
                           "true",  "count", argv[5],    "batch_rows", "100",    NULL};
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_read_stream(client, argv[2], -1, &wanted, options, &iter, &error);
  if (status == REDCOL_OK)
    signal(SIGINT, stop);
  while (status == REDCOL_OK || status == REDCOL_TIMEOUT) {
    status = redcol_iter_next(iter, 1000, NULL, &batch, &error);
    if (status == REDCOL_TIMEOUT)
      fprintf(stderr, "waiting\n"); /* for a second, or a signal came: time for other things */
    if (status == REDCOL_OK) {
      entries += batch.length;
      total += sum(&batch, 2); /* the columns are _id, _ts, value */
      batch.release(&batch);
    }
  }
  signal(SIGINT, SIG_DFL);
  printf("%" PRId64 " entries, sum %" PRId64 "\n", entries, total);
  if (status != REDCOL_END && status != REDCOL_ERROR_CANCELLED) {
    fprintf(stderr, "%s\n", redcol_error_message(error));
    result = 1;
  }
  redcol_free(error);
  redcol_free(iter);
  redcol_free(client);
  return result;
}

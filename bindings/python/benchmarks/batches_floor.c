/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read in small batches without Python: what Python and the hand-over to it add to.
 *
 *   batches_floor URL STREAM BATCH_ROWS ENTRIES
 *
 * For every line on standard input it reads so many entries through the library's C interface,
 * following the stream as an iterator in Python does, releases every batch, and prints the
 * seconds, its own CPU seconds and the batches.
 */
#include "floor.h"
#include "redcol.h"

static long read_batches(redcol_client *client, const char *stream, const char *rows,
                         const char *entries) {
  const char *options[] = {"follow", "true", "batch_rows", rows, "count", entries, NULL};
  struct ArrowSchema schema;
  struct ArrowArray batch;
  redcol_error *error = NULL;
  redcol_iter *iter = NULL;
  long batches = 0;
  redcol_status status = redcol_read_stream(client, stream, -1, NULL, options, &iter, &error);
  while (status == REDCOL_OK || status == REDCOL_TIMEOUT) {
    status = redcol_iter_next(iter, 100, &schema, &batch, &error);
    if (status != REDCOL_OK)
      continue;
    batches++;
    batch.release(&batch);
    schema.release(&schema);
  }
  if (status != REDCOL_END) {
    fprintf(stderr, "batches_floor: %s\n", redcol_error_message(error));
    exit(1);
  }
  redcol_free(iter);
  return batches;
}

int main(int argc, char **argv) {
  char line[64];
  redcol_client *client = NULL;
  if (argc != 5 || redcol_open(argv[1], NULL, &client, NULL) != REDCOL_OK)
    return fprintf(stderr, "usage: batches_floor URL STREAM BATCH_ROWS ENTRIES\n"), 2;
  while (fgets(line, sizeof line, stdin) != NULL) {
    double cpu_before = cpu_seconds(), before = clock_seconds();
    long batches = read_batches(client, argv[2], argv[3], argv[4]);
    double seconds = clock_seconds() - before, cpu = cpu_seconds() - cpu_before;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"batches\": %ld}\n", seconds, cpu, batches);
    fflush(stdout);
  }
  redcol_free(client);
  return 0;
}

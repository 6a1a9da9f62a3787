/* SPDX-License-Identifier: Apache-2.0 */
/* Sums a stream's values through the Arrow stream that a query engine would be given, one batch in
   memory at a time: stream_batches URL STREAM */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "redcol.h"

/* Stands for the engine: it knows Arrow, and nothing of Redis. The stream is moved to it. */
static int sum(struct ArrowArrayStream *stream, const char *name, int64_t *total) {
  struct ArrowSchema schema;
  struct ArrowArray batch;
  int64_t at = -1;
  int error = stream->get_schema(stream, &schema);
  if (error == 0) {
    for (int64_t i = 0; i < schema.n_children; i++)
      if (strcmp(schema.children[i]->name, name) == 0)
        at = i;
    schema.release(&schema);
  }
  while (error == 0 && at >= 0) {
    error = stream->get_next(stream, &batch);
    if (error != 0 || batch.release == NULL) /* a released batch: the end */
      break;
    const struct ArrowArray *column = batch.children[at];
    const uint8_t *validity = (const uint8_t *)column->buffers[0]; /* NULL: there are no nulls */
    const int64_t *values = (const int64_t *)column->buffers[1];
    for (int64_t i = column->offset; i < column->offset + column->length; i++)
      if (validity == NULL || ((validity[i / 8] >> (i % 8)) & 1) != 0)
        *total += values[i];
    batch.release(&batch);
  }
  if (error != 0)
    fprintf(stderr, "error %d: %s\n", error, stream->get_last_error(stream));
  stream->release(stream);
  return error;
}

int main(int argc, char **argv) {
  struct ArrowSchema wanted = {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL};
  struct ArrowArrayStream stream;
  redcol_client *client = NULL;
  redcol_iter *iter = NULL;
  redcol_error *error = NULL;
  int64_t total = 0;
  int result = 1;

  if (argc != 3)
    return fprintf(stderr, "usage: %s URL STREAM\n", argv[0]), 2;
  const char *options[] = {"batch_rows", "10000", NULL};
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_schema_new("value:l", &wanted, &error);
  if (status == REDCOL_OK)
    status = redcol_read_stream(client, argv[2], -1, &wanted, options, &iter, &error);
  if (status == REDCOL_OK)
    status = redcol_iter_stream(iter, &stream, &error);
  if (status == REDCOL_OK)
    result = sum(&stream, "value", &total) == 0 ? 0 : 1;
  else
    fprintf(stderr, "%s: %s\n", redcol_status_name(status), redcol_error_message(error));
  if (result == 0)
    printf("%" PRId64 " entries, sum %" PRId64 "\n", redcol_iter_statistic(iter, "delivered"),
           total);
  if (wanted.release != NULL)
    wanted.release(&wanted);
  redcol_free(error);
  redcol_free(iter);
  redcol_free(client);
  return result;
}

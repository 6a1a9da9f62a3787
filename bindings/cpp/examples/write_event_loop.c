/* SPDX-License-Identifier: Apache-2.0 */
/* Writes ROWS rows from an event loop that never waits for the server: poll() on the writer's
   descriptor and on standard input, which stands for the loop's other work. Prints "tick" for each
   byte of standard input: write_event_loop URL STREAM ROWS */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "redcol.h"

#define BATCH 1000

/* The rows: one column, "value", of the numbers from 0 on, made a batch at a time. */
struct numbers {
  int64_t next, end;
};

/* A batch is one piece of memory: the writer keeps several until the server has answered. */
struct batch {
  struct ArrowArray column, *columns[1];
  const void *row_buffers[1], *buffers[2];
  int64_t values[BATCH];
};

static void release_column(struct ArrowArray *array) { array->release = NULL; }
static void release_frame(struct ArrowArrayStream *frame) { frame->release = NULL; }

static int get_schema(struct ArrowArrayStream *frame, struct ArrowSchema *out) {
  (void)frame;
  return redcol_schema_new("value:l", out, NULL) == REDCOL_OK ? 0 : ENOMEM;
}

static void release_batch(struct ArrowArray *array) {
  free(array->private_data);
  array->release = NULL;
}

static int get_next(struct ArrowArrayStream *frame, struct ArrowArray *out) {
  struct numbers *numbers = (struct numbers *)frame->private_data;
  int64_t rows = numbers->end - numbers->next < BATCH ? numbers->end - numbers->next : BATCH;
  struct batch *batch;
  memset(out, 0, sizeof *out);
  if (rows == 0)
    return 0; /* the end: an array that is released */
  batch = (struct batch *)calloc(1, sizeof *batch);
  if (batch == NULL)
    return ENOMEM;
  for (int64_t row = 0; row < rows; row++)
    batch->values[row] = numbers->next++;
  batch->buffers[1] = batch->values; /* no bits of validity: there are no nulls */
  batch->columns[0] = &batch->column;
  batch->column.length = out->length = rows;
  batch->column.n_buffers = 2;
  batch->column.buffers = batch->buffers;
  batch->column.release = release_column;
  out->n_buffers = out->n_children = 1;
  out->buffers = batch->row_buffers;
  out->children = batch->columns;
  out->private_data = batch;
  out->release = release_batch;
  return 0;
}

static const char *get_last_error(struct ArrowArrayStream *frame) {
  (void)frame;
  return "no memory for a batch";
}

int main(int argc, char **argv) {
  struct ArrowArrayStream frame = {get_schema, get_next, get_last_error, release_frame, NULL};
  struct numbers numbers = {0, 0};
  redcol_client *client = NULL;
  redcol_writer *writer = NULL;
  redcol_error *error = NULL;
  int64_t calls = 0;

  if (argc != 4)
    return fprintf(stderr, "usage: %s URL STREAM ROWS\n", argv[0]), 2;
  numbers.end = strtoll(argv[3], NULL, 10);
  frame.private_data = &numbers;
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_write_stream(client, argv[2], -1, &frame, NULL, &writer, &error);
  if (status == REDCOL_OK) {
    struct pollfd ends[2] = {{redcol_writer_descriptor(writer), POLLIN, 0},
                             {STDIN_FILENO, POLLIN, 0}};
    while (calls++, (status = redcol_writer_run(writer, 0, &error)) == REDCOL_TIMEOUT)
      do {
        char byte;
        poll(ends, 2, -1);
        if (ends[1].revents != 0 && read(STDIN_FILENO, &byte, 1) == 1)
          printf("tick\n"), fflush(stdout);
        else if (ends[1].revents != 0)
          ends[1].fd = -1; /* the other work is done */
      } while (ends[0].revents == 0);
  }
  if (status == REDCOL_OK)
    printf("%" PRId64 " rows in %" PRId64 " calls\n", redcol_writer_statistic(writer, "written"),
           calls);
  else
    fprintf(stderr, "%s: %s\n", redcol_status_name(status), redcol_error_message(error));
  redcol_free(error);
  redcol_free(writer);
  redcol_free(client);
  return status == REDCOL_OK ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes three rows as entries of a stream and prints their ids: write_stream URL STREAM */
#include <stdio.h>
#include <string.h>

#include "redcol.h"

/* The rows: two columns, "user" and "value". The second row has no value. */
static const int32_t user_ends[] = {0, 3, 6, 13}; /* where the texts begin, and the last one ends */
static const char users[] = "annbobcharlie";
static const int64_t values[] = {-7, 0, 42};
static const uint8_t values_valid[] = {0x05}; /* one bit a row, the lowest first: 101 */

/* All of it is static: releasing marks the struct, and there is nothing to free. */
static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }
static void release_array(struct ArrowArray *array) { array->release = NULL; }
static void release_frame(struct ArrowArrayStream *frame) { frame->release = NULL; }

static int get_schema(struct ArrowArrayStream *frame, struct ArrowSchema *out) {
  static struct ArrowSchema user, value, *columns[] = {&user, &value};
  struct ArrowSchema text = {"u", "user", NULL, 0, 0, NULL, NULL, release_schema, NULL};
  struct ArrowSchema number = {"l",  "value",        NULL, ARROW_FLAG_NULLABLE, 0, NULL,
                               NULL, release_schema, NULL};
  struct ArrowSchema rows = {"+s", "", NULL, 0, 2, columns, NULL, release_schema, NULL};
  (void)frame;
  user = text;
  value = number;
  *out = rows;
  return 0;
}

static int get_next(struct ArrowArrayStream *frame, struct ArrowArray *out) {
  static const void *user_buffers[] = {NULL, user_ends, users}; /* no bits: there are no nulls */
  static const void *value_buffers[] = {values_valid, values};
  static const void *row_buffers[] = {NULL};
  static struct ArrowArray user, value, *columns[] = {&user, &value};
  struct ArrowArray text = {3, 0, 0, 3, 0, user_buffers, NULL, NULL, release_array, NULL};
  struct ArrowArray number = {3, 1, 0, 2, 0, value_buffers, NULL, NULL, release_array, NULL};
  struct ArrowArray rows = {3, 0, 0, 1, 2, row_buffers, columns, NULL, release_array, NULL};
  int *batches = (int *)frame->private_data;
  if (*batches == 0) { /* the end: an array that is released */
    memset(out, 0, sizeof *out);
    return 0;
  }
  *batches -= 1;
  user = text;
  value = number;
  *out = rows;
  return 0;
}

static const char *get_last_error(struct ArrowArrayStream *frame) {
  (void)frame;
  return NULL; /* nothing here can fail */
}

/* The ids that came back: one string view a row, which read_stream.c explains. */
static void print_ids(const struct ArrowArray *batch) {
  const struct ArrowArray *ids = batch->children[0];
  const uint8_t *valid = (const uint8_t *)ids->buffers[0];
  for (int64_t row = ids->offset; row < ids->offset + ids->length; row++) {
    const char *view = (const char *)ids->buffers[1] + 16 * row;
    int32_t parts[4];
    memcpy(parts, view, sizeof parts);
    const char *text = view + 4;
    if (parts[0] > 12)
      text = (const char *)ids->buffers[2 + parts[2]] + parts[3];
    if (valid != NULL && ((valid[row / 8] >> (row % 8)) & 1) == 0)
      printf("not written\n");
    else
      printf("%.*s\n", (int)parts[0], text);
  }
}

int main(int argc, char **argv) {
  int batches = 1;
  struct ArrowArrayStream frame = {get_schema, get_next, get_last_error, release_frame, &batches};
  struct ArrowArray ids;
  redcol_client *client = NULL;
  redcol_writer *writer = NULL;
  redcol_error *error = NULL, *ids_error = NULL;

  if (argc != 3)
    return fprintf(stderr, "usage: %s URL STREAM\n", argv[0]), 2;
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK) /* takes the frame over in every case */
    status = redcol_write_stream(client, argv[2], -1, &frame, NULL, &writer, &error);
  if (status == REDCOL_OK) {
    do
      status = redcol_writer_run(writer, -1, &error);
    while (status == REDCOL_TIMEOUT); /* a signal came */
  }
  /* Also after an error: some rows may be written. */
  if (writer != NULL && redcol_writer_ids(writer, NULL, &ids, &ids_error) == REDCOL_OK) {
    print_ids(&ids);
    ids.release(&ids);
  }
  if (status != REDCOL_OK)
    fprintf(stderr, "%s\n", redcol_error_message(error));
  redcol_free(ids_error);
  redcol_free(error);
  redcol_free(writer);
  redcol_free(client);
  return status == REDCOL_OK ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a stream of events, one entry a line: read_stream URL STREAM */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "redcol.h"

static void print_value(const char *format, const struct ArrowArray *column, int64_t row) {
  const uint8_t *validity = (const uint8_t *)column->buffers[0]; /* NULL: there are no nulls */
  row += column->offset;
  if (validity != NULL && ((validity[row / 8] >> (row % 8)) & 1) == 0) {
    printf("null");
  } else if (strcmp(format, "l") == 0) {
    printf("%" PRId64, ((const int64_t *)column->buffers[1])[row]);
  } else if (strcmp(format, "g") == 0) {
    printf("%.17g", ((const double *)column->buffers[1])[row]);
  } else if (strcmp(format, "vu") == 0) {
    /* 16 bytes: the length, then up to 12 bytes of text; of longer text, its first 4 bytes, the
       number of the buffer that holds the whole of it, and the place where it begins there. */
    const char *view = (const char *)column->buffers[1] + 16 * row;
    int32_t parts[4];
    memcpy(parts, view, sizeof parts);
    const char *text = view + 4;
    if (parts[0] > 12)
      text = (const char *)column->buffers[2 + parts[2]] + parts[3];
    fwrite(text, 1, (size_t)parts[0], stdout);
  }
}

static void print_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch) {
  for (int64_t row = 0; row < batch->length; row++)
    for (int64_t i = 0; i < batch->n_children; i++) {
      printf("%s%s=", i == 0 ? "" : " ", schema->children[i]->name);
      print_value(schema->children[i]->format, batch->children[i], row);
      printf("%s", i + 1 == batch->n_children ? "\n" : "");
    }
}

static void keep(struct ArrowSchema *column) { (void)column; /* nothing to free */ }

static struct ArrowSchema column(const char *name, const char *format) {
  struct ArrowSchema column = {format, name, NULL, ARROW_FLAG_NULLABLE, 0, NULL, NULL, keep, NULL};
  return column;
}

int main(int argc, char **argv) {
  struct ArrowSchema user = column("user", "vu"), value = column("value", "l");
  struct ArrowSchema amount = column("amount", "g"), schema;
  struct ArrowSchema *columns[] = {&user, &value, &amount};
  struct ArrowSchema wanted = {"+s", "", NULL, 0, 3, columns, NULL, keep, NULL};
  struct ArrowArray batch;
  redcol_client *client = NULL;
  redcol_iter *iter = NULL;
  redcol_error *error = NULL;

  if (argc != 3)
    return fprintf(stderr, "usage: %s URL STREAM\n", argv[0]), 2;
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_read_stream(client, argv[2], -1, &wanted, NULL, &iter, &error);
  while (status == REDCOL_OK) {
    status = redcol_iter_next(iter, -1, &schema, &batch, &error);
    if (status == REDCOL_OK) {
      print_batch(&schema, &batch);
      schema.release(&schema);
      batch.release(&batch);
    }
  }
  if (status != REDCOL_END)
    fprintf(stderr, "%s\n", redcol_error_message(error));
  redcol_free(error);
  redcol_free(iter);
  redcol_free(client);
  return status == REDCOL_END ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads entries and drops the batches, for those who count what that takes.
 *
 *   counted_read URL STREAM columns|discover KEY VALUE …
 *
 * The columns are user_id (text), value (an integer) and amount (a float), or those that are found;
 * KEY and VALUE are options of redcol_read_stream. It prints the rows.
 */
#include <stdio.h>
#include <string.h>

#include "redcol.h"

/* The caller's memory: nothing to release, but NULL would mean that it has been. */
static void keep(struct ArrowSchema *schema) { (void)schema; }

int main(int argc, char **argv) {
  struct ArrowSchema user = {.format = "vu", .name = "user_id", .flags = 2, .release = keep};
  struct ArrowSchema value = {.format = "l", .name = "value", .flags = 2, .release = keep};
  struct ArrowSchema amount = {.format = "g", .name = "amount", .flags = 2, .release = keep};
  struct ArrowSchema *columns[] = {&user, &value, &amount};
  struct ArrowSchema schema = {
      .format = "+s", .name = "", .n_children = 3, .children = columns, .release = keep};
  redcol_client *client = NULL;
  redcol_iter *iter = NULL;
  redcol_error *error = NULL;
  struct ArrowArray batch;
  long long rows = 0;
  if (argc < 4)
    return fprintf(stderr, "usage: counted_read URL STREAM columns|discover KEY VALUE …\n"), 2;
  const struct ArrowSchema *wanted = strcmp(argv[3], "columns") == 0 ? &schema : NULL;
  const char *const *options = (const char *const *)(argv + 4); /* argv ends with a NULL, too */
  redcol_status status = redcol_open(argv[1], NULL, &client, &error);
  if (status == REDCOL_OK)
    status = redcol_read_stream(client, argv[2], -1, wanted, options, &iter, &error);
  while (status == REDCOL_OK || status == REDCOL_TIMEOUT) {
    status = redcol_iter_next(iter, -1, NULL, &batch, &error);
    if (status == REDCOL_OK) {
      rows += batch.length;
      batch.release(&batch);
    }
  }
  if (status == REDCOL_END)
    printf("%lld\n", rows);
  else
    fprintf(stderr, "%s\n", redcol_error_message(error));
  redcol_free(iter);
  redcol_free(client);
  redcol_free(error);
  return status == REDCOL_END ? 0 : 1;
}

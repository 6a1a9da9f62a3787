/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of following a stream, with hiredis, and the producer that all are measured with.
 *
 *   tail_floor read SOCKET
 *     For every line "STREAM ENTRIES" on standard input it follows the (empty) stream, and says
 *     {"ready": true} and then how many nanoseconds each entry took from XADD to the reply in hand.
 *   tail_floor write SOCKET STREAM ENTRIES PER_SECOND
 *     Adds entries with the monotonic clock's nanoseconds in them.
 */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "tail_floor: %s\n", what);
  exit(1);
}

static redisContext *connect_to(const char *path) {
  redisContext *context = redisConnectUnix(path);
  if (context == NULL || context->err)
    fail(path);
  return context;
}

static redisReply *check(redisContext *context, void *answer) {
  redisReply *reply = (redisReply *)answer;
  if (reply == NULL)
    fail(context->errstr);
  if (reply->type == REDIS_REPLY_ERROR)
    fail(reply->str);
  return reply;
}

static void write_entries(redisContext *context, const char *stream, long entries, long rate) {
  int64_t begin = clock_ns();
  for (long i = 0; i < entries; i++) {
    int64_t due = begin + i * 1000000000 / rate;
    struct timespec until = {due / 1000000000, due % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
      continue;
    const char *command = "XADD %s * sent_ns %lld user_id user_%ld action view value %ld";
    freeReplyObject(
        check(context, redisCommand(context, command, stream, (long long)clock_ns(), i, i % 1000)));
  }
}

/* The value of the first field, and the id, which is kept for the next XREAD. */
static int64_t take_entry(const redisReply *entry, char *last_id, size_t last_id_size) {
  snprintf(last_id, last_id_size, "%s", entry->element[0]->str);
  return strtoll(entry->element[1]->element[1]->str, NULL, 10);
}

static void read_entries(redisContext *context, const char *stream, long entries) {
  char last_id[64] = "0";
  int64_t *taken = malloc(sizeof *taken * (size_t)entries);
  long count = 0;
  if (taken == NULL)
    fail("no memory");
  printf("{\"ready\": true}\n");
  fflush(stdout);
  while (count < entries) {
    const char *command = "XREAD COUNT 100 BLOCK 1000 STREAMS %s %s";
    redisReply *reply = check(context, redisCommand(context, command, stream, last_id));
    int64_t now = clock_ns();
    if (reply->type == REDIS_REPLY_ARRAY) {
      const redisReply *found = reply->element[0]->element[1];
      for (size_t i = 0; i < found->elements && count < entries; i++)
        taken[count++] = now - take_entry(found->element[i], last_id, sizeof last_id);
    }
    freeReplyObject(reply);
  }
  printf("{\"ns\": [");
  for (long i = 0; i < count; i++)
    printf("%s%lld", i == 0 ? "" : ", ", (long long)taken[i]);
  printf("]}\n");
  fflush(stdout);
  free(taken);
}

int main(int argc, char **argv) {
  char line[512], stream[256];
  long entries;
  if (argc == 6 && strcmp(argv[1], "write") == 0) {
    redisContext *context = connect_to(argv[2]);
    write_entries(context, argv[3], atol(argv[4]), atol(argv[5]));
    redisFree(context);
    return 0;
  }
  if (argc != 3 || strcmp(argv[1], "read") != 0)
    fail("usage: tail_floor read SOCKET | tail_floor write SOCKET STREAM ENTRIES PER_SECOND");
  redisContext *context = connect_to(argv[2]);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%255s %ld", stream, &entries) != 2)
      fail("not STREAM ENTRIES");
    read_entries(context, stream, entries);
  }
  redisFree(context);
  return 0;
}

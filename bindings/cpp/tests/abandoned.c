/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that never return, since their thread was ended or has jumped out of them: that is
 * forbidden, and the handle can be closed and freed all the same. Then what was freed before is
 * used. abandoned URL STREAM
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "redcol.h"

static sigjmp_buf way_out;
static void jump(int number) {
  (void)number;
  siglongjmp(way_out, 1);
}

static int descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

static void *wait_for_ever(void *iter) {
  struct ArrowArray batch;
  redcol_iter_next(iter, -1, NULL, &batch, NULL);
  return NULL;
}

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition))                                                                              \
      return fprintf(stderr, "line %d: %s\n", __LINE__, #condition), 1;                            \
  } while (0)

/* One iterator, left by pthread_cancel or by longjmp, closed first or not. */
static int leave(redcol_client *client, const char *stream, int by_jump, int closed_first) {
  redcol_iter *iter = NULL;
  struct ArrowArray batch;
  const char *options[] = {"follow", "true", NULL};
  CHECK(redcol_read_stream(client, stream, -1, NULL, options, &iter, NULL) == REDCOL_OK);
  if (by_jump) {
    struct itimerval once = {{0, 0}, {0, 100000}};
    setitimer(ITIMER_REAL, &once, NULL);
    if (sigsetjmp(way_out, 1) == 0) {
      wait_for_ever(iter);
      return 1;
    }
  } else {
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, wait_for_ever, iter) == 0);
    usleep(100000);
    CHECK(redcol_close(iter) == REDCOL_ERROR_BUSY || !closed_first);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0);
  }
  if (closed_first) {
    /* The system may still know a thread that was joined a moment ago. */
    redcol_status status = redcol_close(iter);
    for (int tries = 0; status == REDCOL_ERROR_BUSY && tries < 60000; tries++) {
      usleep(1000);
      status = redcol_close(iter);
    }
    CHECK(status == REDCOL_OK);
    CHECK(redcol_iter_next(iter, 0, NULL, &batch, NULL) == REDCOL_ERROR_CLOSED);
    CHECK(redcol_close(iter) == REDCOL_OK);
  }
  redcol_free(iter);
  return 0;
}

int main(int argc, char **argv) {
  redcol_client *client = NULL;
  if (argc != 3)
    return 2;
  struct sigaction action = {.sa_handler = jump};
  sigaction(SIGALRM, &action, NULL);
  int before = descriptors();
  CHECK(redcol_open(argv[1], NULL, &client, NULL) == REDCOL_OK);
  for (int way = 0; way < 4; way++)
    if (leave(client, argv[2], way & 1, way & 2))
      return fprintf(stderr, "way %d\n", way), 1;
  redcol_free(client);
  CHECK(descriptors() == before);
  CHECK(redcol_live_objects() == 0);

  /* What was freed is noticed, at least until its memory is used again. */
  CHECK(redcol_open(argv[1], NULL, &client, NULL) == REDCOL_OK);
  redcol_iter *iter = NULL;
  const char *options[] = {"follow", "true", NULL};
  CHECK(redcol_read_stream(client, argv[2], -1, NULL, options, &iter, NULL) == REDCOL_OK);
  redcol_free(client); /* the iterator still holds it */
  redcol_error *error = NULL;
  CHECK(redcol_last_id(client, argv[2], -1, NULL, NULL, &error) == REDCOL_ERROR_INVALID_ARGUMENT);
  printf("%s\n", redcol_error_message(error));
  redcol_free(client);
  redcol_free(error);
  redcol_free(iter);
  CHECK(redcol_live_objects() == 0);
  return 0;
}

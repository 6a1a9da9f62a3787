/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw drain: what reading costs if nothing is done with what is read.
 *
 *   drain ADDRESS COMMANDS [copy]
 *
 * For every line on standard input it connects to the address (a unix socket or a port), sends the
 * commands of the file (inline commands, one a line), each when the reply to the one before is
 * complete, looks at none of the bytes, and prints the seconds, its own CPU seconds and the bytes.
 * With "copy" it also copies them to fresh memory once: the floor of everything that keeps what it
 * reads.
 */
#include "floor.h"

/* A ping goes with every command. Its answer ends the reply, so that nothing else must be read. */
static const char ping[] = "PING redcol-drain-end\r\n";
static const char pong[] = "$16\r\nredcol-drain-end\r\n";
enum { END = sizeof pong - 1, BUFFER = 256 * 1024, COMMAND_MAX = 1024 };

/* Bytes that were kept so far, if they are. */
struct kept {
  char *bytes;
  size_t length, capacity;
};

static void keep(struct kept *kept, const char *bytes, size_t length) {
  if (kept->capacity - kept->length < length) {
    kept->capacity = 2 * kept->capacity + BUFFER;
    kept->bytes = realloc(kept->bytes, kept->capacity);
    if (kept->bytes == NULL)
      fail("realloc");
  }
  memcpy(kept->bytes + kept->length, bytes, length);
  kept->length += length;
}

static size_t drain_reply(int fd, struct kept *kept) {
  static char buffer[END + BUFFER]; /* the last END bytes of what came before stand first */
  size_t total = 0;
  memset(buffer, 0, END);
  while (memcmp(buffer, pong, END) != 0) {
    ssize_t length = recv(fd, buffer + END, BUFFER, 0);
    if (length <= 0)
      fail("recv");
    if (kept != NULL)
      keep(kept, buffer + END, (size_t)length);
    memmove(buffer, buffer + length, END);
    total += (size_t)length;
  }
  return total - END;
}

static size_t drain(const char *path, FILE *commands, struct kept *kept) {
  char command[COMMAND_MAX + sizeof ping];
  size_t total = 0;
  int fd = connect_to(path);
  rewind(commands);
  while (fgets(command, COMMAND_MAX, commands) != NULL) {
    strcat(command, ping);
    if (send(fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command))
      fail("send");
    total += drain_reply(fd, kept);
  }
  close(fd);
  return total;
}

int main(int argc, char **argv) {
  char line[64];
  FILE *commands = argc >= 3 ? fopen(argv[2], "r") : NULL;
  if (commands == NULL)
    fail("usage: drain ADDRESS COMMANDS [copy]");
  while (fgets(line, sizeof line, stdin) != NULL) {
    struct kept kept = {NULL, 0, 0};
    double cpu_before = cpu_seconds(), before = clock_seconds();
    size_t bytes = drain(argv[1], commands, argc > 3 ? &kept : NULL);
    double seconds = clock_seconds() - before, cpu = cpu_seconds() - cpu_before;
    free(kept.bytes);
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"bytes\": %zu}\n", seconds, cpu, bytes);
    fflush(stdout);
  }
  return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a list costs if nothing is done with the answers.
 *
 *   inspect_floor ADDRESS COMMANDS
 *
 * For every line on standard input it connects to the address (a unix socket or a port), sends the
 * commands of the file as they stand there, as fast as the server takes them, receives until the
 * answer to a last PING has come, and prints the seconds, its own CPU seconds and the bytes.
 */
#include <fcntl.h>
#include <poll.h>

#include "floor.h"

static const char ping[] = "PING redcol-list-end\r\n";
static const char pong[] = "$15\r\nredcol-list-end\r\n";
enum { END = sizeof pong - 1, BUFFER = 256 * 1024 };

static size_t run(const char *address, const char *commands, size_t length) {
  static char buffer[END + BUFFER]; /* the last END bytes of what came before stand first */
  size_t sent = 0, total = 0;
  int fd = connect_to(address);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  memset(buffer, 0, END);
  while (memcmp(buffer, pong, END) != 0) {
    struct pollfd waiting = {fd, sent < length ? POLLIN | POLLOUT : POLLIN, 0};
    if (poll(&waiting, 1, -1) < 0)
      fail("poll");
    if (waiting.revents & POLLOUT) {
      ssize_t count = send(fd, commands + sent, length - sent, MSG_NOSIGNAL);
      if (count < 0)
        fail("send");
      sent += (size_t)count;
    }
    if (waiting.revents & POLLIN) {
      ssize_t count = recv(fd, buffer + END, BUFFER, 0);
      if (count <= 0)
        fail("recv");
      memmove(buffer, buffer + count, END);
      total += (size_t)count;
    }
  }
  close(fd);
  return total - END;
}

int main(int argc, char **argv) {
  char line[64];
  FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0)
    fail("usage: inspect_floor ADDRESS COMMANDS");
  size_t length = (size_t)ftell(file);
  char *commands = malloc(length + sizeof ping);
  rewind(file);
  if (commands == NULL || fread(commands, 1, length, file) != length)
    fail(argv[2]);
  memcpy(commands + length, ping, sizeof ping);
  while (fgets(line, sizeof line, stdin) != NULL) {
    double cpu_before = cpu_seconds(), before = clock_seconds();
    size_t bytes = run(argv[1], commands, length + sizeof ping - 1);
    double seconds = clock_seconds() - before, cpu = cpu_seconds() - cpu_before;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"bytes\": %zu}\n", seconds, cpu, bytes);
    fflush(stdout);
  }
  free(commands);
  return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of writing: what it costs to send commands that lie ready, and to take the answers.
 *
 *   write_floor SOCKET COMMANDS
 *
 * COMMANDS is a file of bytes in Redis' protocol. For every line "LINES" on standard input it
 * connects to the unix socket, sends them all, and reads, while it sends, until so many line ends
 * have come back, of which it looks at nothing else. It prints the seconds and its own CPU seconds.
 */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { CHUNK = 256 * 1024 };

static long count_lines(const char *bytes, ssize_t length) {
  long lines = 0;
  for (const char *at = bytes, *end = bytes + length;
       (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    lines++;
  return lines;
}

static void write_all(const char *path, const char *commands, size_t length, long lines) {
  static char answers[CHUNK];
  int fd = connect_to(path);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    fail("fcntl");
  for (size_t sent = 0; lines > 0;) {
    struct pollfd wanted = {fd, (short)(POLLIN | (sent < length ? POLLOUT : 0)), 0};
    if (poll(&wanted, 1, -1) < 0)
      fail("poll");
    if (wanted.revents & POLLOUT) {
      size_t some = length - sent < CHUNK ? length - sent : CHUNK;
      ssize_t count = send(fd, commands + sent, some, MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN)
        fail("send");
      sent += count > 0 ? (size_t)count : 0;
    }
    if (wanted.revents & (POLLIN | POLLHUP)) {
      ssize_t count = recv(fd, answers, sizeof answers, 0);
      if (count == 0 || (count < 0 && errno != EAGAIN))
        fail("recv");
      if (count > 0)
        lines -= count_lines(answers, count);
    }
  }
  close(fd);
}

int main(int argc, char **argv) {
  char line[64];
  struct stat status;
  int file = argc == 3 ? open(argv[2], O_RDONLY) : -1;
  if (file < 0 || fstat(file, &status) != 0)
    fail("usage: write_floor SOCKET COMMANDS");
  size_t length = (size_t)status.st_size;
  /* Read before, and mapped: the bytes are there when the clock starts. */
  char *commands = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (commands == MAP_FAILED)
    fail("mmap");
  while (fgets(line, sizeof line, stdin) != NULL) {
    double cpu_before = cpu_seconds(), before = clock_seconds();
    write_all(argv[1], commands, length, atol(line));
    double seconds = clock_seconds() - before, cpu = cpu_seconds() - cpu_before;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n", seconds, cpu);
    fflush(stdout);
  }
  return 0;
}

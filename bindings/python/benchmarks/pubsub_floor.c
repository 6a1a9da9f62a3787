/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of listening to a channel, and the publisher that all are measured with.
 *
 *   pubsub_floor read SOCKET
 *     For every line "CHANNEL MESSAGES" on standard input it subscribes, says {"ready": true},
 *     receives as many bytes as the messages have, looks at none of them, and says how many seconds
 *     that took since the first, and how much of a processor.
 *   pubsub_floor write SOCKET CHANNEL MESSAGES
 *     Publishes messages of 100 bytes, and waits until the server has read them.
 */
#include "floor.h"

enum { PAYLOAD = 100, PER_WRITE = 1000, BUFFER = 1 << 20 };

static char buffer[BUFFER];

static void send_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = write(fd, bytes, count);
    if (sent <= 0)
      fail("write");
    bytes += sent;
    count -= (size_t)sent;
  }
}

static size_t receive(int fd) {
  ssize_t count = read(fd, buffer, sizeof buffer);
  if (count <= 0)
    fail("read");
  return (size_t)count;
}

static void listen_to(const char *address, const char *channel, long messages) {
  char command[256];
  int fd = connect_to(address);
  size_t length = strlen(channel);
  int count =
      snprintf(command, sizeof command, "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n", length, channel);
  send_all(fd, command, (size_t)count);
  receive(fd);
  printf("{\"ready\": true}\n");
  fflush(stdout);
  /* What stands around a message, and the message. */
  count = snprintf(command, sizeof command, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%d\r\n\r\n",
                   length, channel, PAYLOAD);
  size_t left = (size_t)messages * ((size_t)count + PAYLOAD);
  size_t came = receive(fd);
  double begin = clock_seconds(), cpu = cpu_seconds();
  while (came < left) {
    left -= came;
    came = receive(fd);
  }
  printf("{\"seconds\": %.9f, \"cpu\": %.9f}\n", clock_seconds() - begin, cpu_seconds() - cpu);
  fflush(stdout);
  close(fd);
}

static void publish(const char *address, const char *channel, long messages) {
  static char commands[PER_WRITE * 256];
  char payload[PAYLOAD + 1];
  int fd = connect_to(address);
  memset(payload, 'x', PAYLOAD);
  payload[PAYLOAD] = 0;
  while (messages > 0) {
    long some = messages < PER_WRITE ? messages : PER_WRITE;
    size_t count = 0;
    for (long i = 0; i < some; i++)
      count += (size_t)snprintf(commands + count, sizeof commands - count,
                                "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n",
                                strlen(channel), channel, PAYLOAD, payload);
    send_all(fd, commands, count);
    /* ":1\r\n" for each. */
    for (size_t left = (size_t)some * 4, came = 0; left > 0; left -= came)
      came = receive(fd);
    messages -= some;
  }
  close(fd);
}

int main(int argc, char **argv) {
  char line[256], channel[128];
  long messages;
  if (argc == 5 && strcmp(argv[1], "write") == 0) {
    publish(argv[2], argv[3], atol(argv[4]));
    return 0;
  }
  if (argc != 3 || strcmp(argv[1], "read") != 0)
    return 2;
  while (fgets(line, sizeof line, stdin) != NULL)
    if (sscanf(line, "%127s %ld", channel, &messages) == 2)
      listen_to(argv[2], channel, messages);
  return 0;
}

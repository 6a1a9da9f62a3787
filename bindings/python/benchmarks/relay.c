/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay that makes a server far away: every byte that passes through it is late.
 *
 *   relay SOCKET DELAY_MS [MBITS]
 *
 * It listens on a free port of this host, prints it, and connects each client to the unix socket.
 * What comes from either side goes on DELAY_MS later, as fast as it came: a round trip takes twice
 * that, and how much is under way does not matter. With MBITS no more than so many million bits go
 * on in a second, each way. It ends when its standard input does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "floor.h"

enum { CHUNK = 64 * 1024, PAIRS = 64 };

/* What was received together, and when it goes on. */
struct chunk {
  struct chunk *next;
  double due;
  size_t length, sent;
  char bytes[CHUNK];
};

/* One direction of a connection. */
struct way {
  int from, to;
  struct chunk *first, *last;
  double free_at; /* when all that came so far has passed */
  int has_ended;
};

static double delay_seconds, byte_seconds;

static void take(struct way *way) {
  struct chunk *chunk = malloc(sizeof *chunk);
  if (chunk == NULL)
    fail("malloc");
  ssize_t length = recv(way->from, chunk->bytes, CHUNK, 0);
  if (length <= 0) {
    way->has_ended = length == 0 || errno != EAGAIN;
    free(chunk);
    return;
  }
  chunk->next = NULL;
  double now = clock_seconds();
  way->free_at = (way->free_at > now ? way->free_at : now) + (double)length * byte_seconds;
  chunk->due = way->free_at + delay_seconds;
  chunk->length = (size_t)length;
  chunk->sent = 0;
  if (way->first == NULL)
    way->first = chunk;
  else
    way->last->next = chunk;
  way->last = chunk;
}

static void give(struct way *way, double now) {
  while (way->first != NULL && way->first->due <= now) {
    struct chunk *chunk = way->first;
    ssize_t sent =
        send(way->to, chunk->bytes + chunk->sent, chunk->length - chunk->sent, MSG_NOSIGNAL);
    if (sent < 0) {
      way->has_ended |= errno != EAGAIN;
      return;
    }
    chunk->sent += (size_t)sent;
    if (chunk->sent < chunk->length)
      return;
    way->first = chunk->next;
    free(chunk);
  }
}

static void end_way(struct way *way) {
  while (way->first != NULL) {
    struct chunk *chunk = way->first;
    way->first = chunk->next;
    free(chunk);
  }
}

static void relay(int listener, const char *path) {
  static struct way ways[2 * PAIRS];
  int count = 0;
  for (;;) {
    struct pollfd polled[2 + 2 * PAIRS] = {{.fd = 0, .events = POLLIN},
                                           {.fd = listener, .events = POLLIN}};
    double now = clock_seconds(), next = now + 1;
    for (int i = 0; i < count; i++) {
      const struct chunk *first = ways[i].first;
      polled[2 + i] = (struct pollfd){.fd = ways[i].from, .events = POLLIN};
      if (first != NULL && first->due < next)
        next = first->due > now ? first->due : now;
    }
    /* The other way's socket is where this way's bytes go: wait for room there. */
    for (int i = 0; i < count; i++)
      if (ways[i].first != NULL && ways[i].first->due <= now) {
        polled[2 + (i ^ 1)].events |= POLLOUT;
        next = now + 1;
      }
    struct timespec wait = {(time_t)(next - now), (long)((next - now) * 1e9) % 1000000000};
    ppoll(polled, (nfds_t)(2 + count), &wait, NULL);
    if (polled[0].revents != 0)
      return;
    now = clock_seconds();
    for (int i = 0; i < count; i++) {
      if (polled[2 + i].revents & (POLLIN | POLLHUP | POLLERR))
        take(&ways[i]);
      give(&ways[i], now);
    }
    for (int i = 0; i < count; i += 2) {
      if (!ways[i].has_ended && !ways[i + 1].has_ended)
        continue;
      close(ways[i].from);
      close(ways[i].to);
      end_way(&ways[i]);
      end_way(&ways[i + 1]);
      count -= 2;
      ways[i] = ways[count];
      ways[i + 1] = ways[count + 1];
      i -= 2;
    }
    if (polled[1].revents != 0 && count < 2 * PAIRS) {
      int yes = 1, client = accept(listener, NULL, NULL), server = connect_to(path);
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      fcntl(client, F_SETFL, O_NONBLOCK);
      fcntl(server, F_SETFL, O_NONBLOCK);
      ways[count++] = (struct way){.from = client, .to = server};
      ways[count++] = (struct way){.from = server, .to = client};
    }
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (argc < 3)
    return fprintf(stderr, "usage: relay SOCKET DELAY_MS [MBITS]\n"), 2;
  delay_seconds = atof(argv[2]) / 1000;
  byte_seconds = argc > 3 ? 8e-6 / atof(argv[3]) : 0;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
      listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0)
    fail("listen");
  printf("{\"port\": %d}\n", ntohs(address.sin_port));
  fflush(stdout);
  relay(listener, argv[1]);
  return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of a group read: what the commands cost if nothing is done with the entries.
 *
 *   group_floor ADDRESS STREAM
 *
 * For every line "GROUP BATCH ENTRIES" on standard input it connects to the address (a unix socket
 * or a port) and reads so many entries as a member of the group, lock-step: XACK of the batch
 * before and the next XREADGROUP in one write. Of a reply it looks at lengths, since it must find
 * the ids, and at no value. It prints the seconds, its own CPU seconds and the entries.
 */
#include "floor.h"

#include <stdbool.h>

enum { RECEIVE = 256 * 1024 };

/* Bytes that grow at the end. */
struct bytes {
  char *start;
  size_t length, capacity;
};

static void reserve(struct bytes *bytes, size_t room) {
  if (bytes->capacity - bytes->length >= room)
    return;
  bytes->capacity = 2 * bytes->capacity + room;
  bytes->start = realloc(bytes->start, bytes->capacity);
  if (bytes->start == NULL)
    fail("realloc");
}

static void append(struct bytes *bytes, const char *text, size_t length) {
  reserve(bytes, length);
  memcpy(bytes->start + bytes->length, text, length);
  bytes->length += length;
}

static void append_word(struct bytes *bytes, const char *word) {
  char length[32];
  append(bytes, length, (size_t)snprintf(length, sizeof length, "$%zu\r\n", strlen(word)));
  append(bytes, word, strlen(word));
  append(bytes, "\r\n", 2);
}

/* A place in what was received; `is_short` once something was looked for behind the end. */
struct cursor {
  const char *at, *end;
  bool is_short;
};

/* The number of the line that begins with `mark`, such as "*100\r\n". */
static long take_header(struct cursor *cursor, char mark) {
  long number = 0;
  const char *at = cursor->at;
  if (!cursor->is_short && at < cursor->end && *at != mark) {
    fprintf(stderr, "group_floor: not %c: %.*s\n", mark, (int)(cursor->end - at), at);
    exit(1);
  }
  for (at++; at < cursor->end && *at != '\r'; at++)
    number = number * 10 + (*at - '0');
  cursor->is_short |= cursor->end - at < 2;
  cursor->at = at + 2;
  return number;
}

static void skip_text(struct cursor *cursor) {
  long length = take_header(cursor, '$');
  cursor->is_short |= cursor->end - cursor->at < length + 2;
  if (!cursor->is_short)
    cursor->at += length + 2;
}

struct reader {
  int fd;
  struct bytes received;
  size_t used;      /* of what was received */
  struct bytes ids; /* of the batch, as they came: "$15\r\n1704067200000-0\r\n…" */
};

static struct cursor begin(const struct reader *reader) {
  const char *start = reader->received.start;
  return (struct cursor){start + reader->used, start + reader->received.length, false};
}

/* Keeps what was looked at, or receives more. True: done. */
static bool settle(struct reader *reader, struct cursor cursor) {
  if (!cursor.is_short) {
    reader->used = (size_t)(cursor.at - reader->received.start);
    return true;
  }
  if (reader->used == reader->received.length)
    reader->used = reader->received.length = 0;
  reserve(&reader->received, RECEIVE);
  ssize_t length = recv(reader->fd, reader->received.start + reader->received.length, RECEIVE, 0);
  if (length <= 0)
    fail("recv");
  reader->received.length += (size_t)length;
  return false;
}

static void take_acknowledged(struct reader *reader) {
  struct cursor cursor;
  do {
    cursor = begin(reader);
    take_header(&cursor, ':');
  } while (!settle(reader, cursor));
}

static long take_batch(struct reader *reader) {
  struct cursor cursor;
  long entries, fields;
  do { /* one stream: its name and its entries */
    cursor = begin(reader);
    take_header(&cursor, '*');
    take_header(&cursor, '*');
    skip_text(&cursor);
    entries = take_header(&cursor, '*');
  } while (!settle(reader, cursor));
  for (long i = 0; i < entries; i++) {
    const char *id, *id_end;
    do {
      cursor = begin(reader);
      take_header(&cursor, '*');
      id = cursor.at;
      skip_text(&cursor);
      id_end = cursor.at;
      fields = take_header(&cursor, '*');
      for (long k = 0; k < fields && !cursor.is_short; k++)
        skip_text(&cursor);
    } while (!settle(reader, cursor));
    append(&reader->ids, id, (size_t)(id_end - id));
  }
  return entries;
}

static void send_all(int fd, const struct bytes *bytes) {
  for (size_t sent = 0; sent < bytes->length;) {
    ssize_t length = send(fd, bytes->start + sent, bytes->length - sent, MSG_NOSIGNAL);
    if (length < 0)
      fail("send");
    sent += (size_t)length;
  }
}

static long read_group(const char *path, const char *stream, const char *group, const char *batch,
                       long entries) {
  const char *words[] = {"XREADGROUP", "GROUP", group,     "bench", "COUNT", batch,
                         "BLOCK",      "1000",  "STREAMS", stream,  ">"};
  struct bytes command = {NULL, 0, 0}, ask = {NULL, 0, 0};
  struct reader reader = {.fd = connect_to(path)};
  char header[32];
  long total = 0, rows = 0;
  append(&ask, "*11\r\n", 5);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    append_word(&ask, words[i]);
  do {
    command.length = 0;
    if (rows > 0) {
      append(&command, header, (size_t)snprintf(header, sizeof header, "*%ld\r\n", 3 + rows));
      append_word(&command, "XACK");
      append_word(&command, stream);
      append_word(&command, group);
      append(&command, reader.ids.start, reader.ids.length);
      reader.ids.length = 0;
    }
    if (total < entries)
      append(&command, ask.start, ask.length);
    send_all(reader.fd, &command);
    if (rows > 0)
      take_acknowledged(&reader);
    rows = total < entries ? take_batch(&reader) : 0;
    total += rows;
  } while (rows > 0);
  close(reader.fd);
  free(command.start);
  free(ask.start);
  free(reader.received.start);
  free(reader.ids.start);
  return total;
}

int main(int argc, char **argv) {
  char line[512], group[256], batch[32];
  long entries;
  if (argc != 3)
    return fprintf(stderr, "usage: group_floor ADDRESS STREAM\n"), 2;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%255s %31s %ld", group, batch, &entries) != 3)
      return fprintf(stderr, "group_floor: not GROUP BATCH ENTRIES: %s", line), 2;
    double cpu_before = cpu_seconds(), before = clock_seconds();
    long rows = read_group(argv[1], argv[2], group, batch, entries);
    double seconds = clock_seconds() - before, cpu = cpu_seconds() - cpu_before;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"rows\": %ld}\n", seconds, cpu, rows);
    fflush(stdout);
  }
  return 0;
}

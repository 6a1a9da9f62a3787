/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded, it lets a host name stand for the addresses in REDCOL_TEST_ADDRESSES, in that order,
 * separated by commas. No name server is asked. If REDCOL_TEST_RESOLVED is set, the look-up of a
 * name takes until there is a file of that name. Each address that is connected to is written to
 * the file REDCOL_TEST_CONNECTED, if that is set.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct addrinfo *address(const char *text, const char *service) {
  struct addrinfo *found = calloc(1, sizeof *found);
  struct sockaddr_in6 *six = calloc(1, sizeof *six);
  struct sockaddr_in *four = (struct sockaddr_in *)six;
  found->ai_socktype = SOCK_STREAM;
  found->ai_addr = (struct sockaddr *)six;
  if (strchr(text, ':') != NULL) {
    found->ai_family = six->sin6_family = AF_INET6;
    found->ai_addrlen = sizeof *six;
    six->sin6_port = htons((uint16_t)atoi(service));
    inet_pton(AF_INET6, text, &six->sin6_addr);
  } else {
    found->ai_family = four->sin_family = AF_INET;
    found->ai_addrlen = sizeof *four;
    four->sin_port = htons((uint16_t)atoi(service));
    inet_pton(AF_INET, text, &four->sin_addr);
  }
  return found;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  struct in6_addr parsed;
  *result = NULL;
  if (inet_pton(AF_INET, name, &parsed) == 1 || inet_pton(AF_INET6, name, &parsed) == 1) {
    *result = address(name, service);
    return 0;
  }
  if (hints->ai_flags & AI_NUMERICHOST)
    return EAI_NONAME;
  const char *gate = getenv("REDCOL_TEST_RESOLVED");
  while (gate != NULL && access(gate, F_OK) != 0)
    usleep(1000);
  const char *addresses = getenv("REDCOL_TEST_ADDRESSES");
  char *list = strdup(addresses == NULL ? "" : addresses), *rest = list, *word;
  while ((word = strsep(&rest, ",")) != NULL) {
    *result = address(word, service);
    while (*result != NULL)
      result = &(*result)->ai_next;
  }
  free(list);
  return 0;
}

void freeaddrinfo(struct addrinfo *list) {
  while (list != NULL) {
    struct addrinfo *next = list->ai_next;
    free(list->ai_addr);
    free(list);
    list = next;
  }
}

int connect(int fd, const struct sockaddr *to, socklen_t length) {
  int (*next)(int, const struct sockaddr *, socklen_t) =
      (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
  const char *path = getenv("REDCOL_TEST_CONNECTED");
  if (path != NULL && (to->sa_family == AF_INET || to->sa_family == AF_INET6)) {
    char text[INET6_ADDRSTRLEN];
    const void *bytes = to->sa_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)to)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr;
    FILE *file = fopen(path, "a");
    fprintf(file, "%s\n", inet_ntop(to->sa_family, bytes, text, sizeof text));
    fclose(file);
  }
  return next(fd, to, length);
}

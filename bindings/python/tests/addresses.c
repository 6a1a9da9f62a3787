/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded, it lets a host name stand for the addresses in REDCOL_TEST_ADDRESSES, in that order:
 * IPv4, separated by commas. No name server is asked.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  (void)name;
  (void)hints;
  const char *addresses = getenv("REDCOL_TEST_ADDRESSES");
  char *list = strdup(addresses == NULL ? "" : addresses), *rest = list, *word;
  *result = NULL;
  while ((word = strsep(&rest, ",")) != NULL) {
    struct addrinfo *found = calloc(1, sizeof *found);
    struct sockaddr_in *address = calloc(1, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)atoi(service));
    inet_pton(AF_INET, word, &address->sin_addr);
    found->ai_family = AF_INET;
    found->ai_socktype = SOCK_STREAM;
    found->ai_addr = (struct sockaddr *)address;
    found->ai_addrlen = sizeof *address;
    while (*result != NULL)
      result = &(*result)->ai_next;
    *result = found;
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

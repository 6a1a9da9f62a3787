/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little of redcol that must be C or C++: the system calls that Swift imports from here (so
 * that nothing depends on a Swift overlay of libc), numbers from text, and what only a C
 * file can promise.
 */
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

struct redcol_credentials_request;

/* numbers.cpp: decimal text to the nearest float, the whole of it or nothing. No NUL is needed. */
bool platform_parse_double(const char *text, size_t length, double *value_out);
bool platform_parse_float(const char *text, size_t length, float *value_out);

/* counter.c: objects alive in this process, and counters of a caller's own. */
void platform_live_objects_add(int64_t change);
int64_t platform_live_objects(void);
/* A few counters that any thread may change and read. An index out of range is ignored, or reads 0.
 * */
typedef struct platform_counters platform_counters;
platform_counters *platform_counters_new(int count);
void platform_counters_free(platform_counters *counters);
void platform_counters_add(platform_counters *counters, int index, int64_t change);
void platform_counters_set(platform_counters *counters, int index, int64_t value);
int64_t platform_counters_get(platform_counters *counters, int index);

/* buffer.c: memory for columns that grow, which is not copied when it is large. Bytes past the old
 * size are not set. NULL when there is no memory; the buffer is then as it was. Freed by
 * platform_buffer_free alone. */
void *platform_buffer_resize(void *buffer, size_t size);
void platform_buffer_free(void *buffer);

/* memory.c: whether so much memory could be had just now; of some kilobytes only whether the
 * reserve is there that is kept for them. */
bool platform_memory_is_there(size_t bytes);
/* Keeps that reserve; false when there is no memory for it. */
bool platform_memory_has_reserve(void);

/* file.c: the first `size` bytes of a file, or all of it; how many there are, or -1 if it cannot be
 * read, with ESPIPE as errno if it is a pipe. Does not wait. */
long platform_read_file(const char *path, void *buffer, size_t size);
/* A file as memory that can only be read, with `slack` bytes after it that can be read too; 0 or
 * an errno value. The file must not get shorter meanwhile. */
int platform_map_file(const char *path, size_t slack, void **start_out, size_t *size_out);
void platform_unmap_file(void *start, size_t size, size_t slack);

/* capsules.c: names for Python capsules, which keep the pointer they are given. */
extern const char *platform_capsule_schema_name(void);
extern const char *platform_capsule_array_name(void);
extern const char *platform_capsule_stream_name(void);
extern const char *platform_capsule_handle_name(void);

/* poller.c: a set of sockets, mostly one, a cancel signal and an alarm, as one file descriptor. */
typedef struct {
  int epoll_fd;
  int cancel_fd; /* eventfd */
  int alarm_fd;  /* timerfd, or -1 until the first alarm */
} platform_poller;

enum {
  PLATFORM_POLL_TIMEOUT = 0,
  PLATFORM_POLL_SOCKET = 1,
  PLATFORM_POLL_CANCELLED = 2,
  PLATFORM_POLL_INTERRUPTED = 3,
  PLATFORM_POLL_FAILED = 4
};

/* All return 0 or an errno value, unless said otherwise. */
int platform_poller_open(platform_poller *poller);
void platform_poller_close(platform_poller *poller);
int platform_poller_watch(platform_poller *poller, int socket_fd, bool readable, bool writable,
                          bool is_new);
void platform_poller_unwatch(platform_poller *poller, int socket_fd);
/* A cancel of `other` is one of `poller`, too, in place of its own; NULL: its own again. */
int platform_poller_share_cancel(platform_poller *poller, const platform_poller *other);
/* Waits up to timeout_ms (-1: forever); returns one of PLATFORM_POLL_…. A cancel is consumed. */
int platform_poller_wait(platform_poller *poller, int timeout_ms);
/* The same, of a poller that watches many descriptors: `ready` gets those that are ready, at most
 * `most` (1 to PLATFORM_POLL_MOST) at once, each in its turn. */
enum { PLATFORM_POLL_MOST = 16 };
int platform_poller_wait_many(platform_poller *poller, int timeout_ms, int *ready, int most,
                              int *ready_count);
/* Async-signal-safe; may be called from any thread. */
void platform_poller_cancel(platform_poller *poller);
/* Takes a cancel that nobody has seen yet; returns whether there was one. */
bool platform_poller_take_cancel(platform_poller *poller);
/* Makes epoll_fd readable after delay_ms; a negative delay switches the alarm off. */
int platform_poller_set_alarm(platform_poller *poller, int64_t delay_ms);

/* system.c: what Swift cannot call directly. */
int platform_errno(void);
int64_t platform_monotonic_ms(void);

/* Milliseconds since 1970, as far as the system knows. */
int64_t platform_wall_clock_ms(void);
/* Microseconds since 1970. */
int64_t platform_wall_clock_us(void);
uint32_t platform_random(void);
/* The same number each time in this process. */
uint32_t platform_process_random(void);
/* A socket that does not block and is closed on exec, or -1 with errno. */
int platform_socket(int family, int type);
/* Starts connecting: 0 done, EINPROGRESS, or another errno value. */
int platform_connect(int fd, const struct sockaddr *address, socklen_t length);
int platform_connect_unix(int fd, const char *path, size_t path_length);
/* The result of a connect that was in progress: 0 or an errno value. */
int platform_socket_error(int fd);
/* A vanished peer is noticed after about `keepalive_ms` (0: never), and of bytes that are on their
 * way after `unanswered_ms`. */
void platform_tune_tcp(int fd, int64_t keepalive_ms, int64_t unanswered_ms);
/* send without SIGPIPE, and recv; -1 with errno. */
ssize_t platform_send(int fd, const void *bytes, size_t length);
ssize_t platform_receive(int fd, void *bytes, size_t capacity);
/* Text of an errno value, copied into `buffer`. */
void platform_error_text(int error, char *buffer, size_t capacity);

/* tls.c: TLS by the OpenSSL, 3 or 1.1, that the process has loaded or that the system has. */
typedef struct platform_tls_context platform_tls_context;
typedef struct {
  char *ca_certs, *ca_path;            /* NULL both: those of the system */
  char *certfile, *keyfile, *password; /* NULL: none; the key may stand beside the certificate */
  bool verifies, checks_host;
  int min_version; /* 0x0303: TLS 1.2 */
} platform_tls_options;

/* What went wrong. */
enum {
  PLATFORM_TLS_NO_OPENSSL = 1,
  PLATFORM_TLS_MEMORY,
  /* A file: `code` is an errno value, or 0 if it does not hold what it should. */
  PLATFORM_TLS_CA_CERTS,
  PLATFORM_TLS_CA_PATH,
  PLATFORM_TLS_CERTFILE,
  PLATFORM_TLS_KEYFILE,
  PLATFORM_TLS_OTHER_KEY, /* the key is not the certificate's */
  PLATFORM_TLS_NO_PASSWORD,
  PLATFORM_TLS_PASSWORD,
  PLATFORM_TLS_SYSTEM,      /* of the socket: `code` is an errno value */
  PLATFORM_TLS_CLOSED,      /* by the server */
  PLATFORM_TLS_CERTIFICATE, /* the server's: `code` is OpenSSL's X509_V_ERR_… */
  PLATFORM_TLS_PROTOCOL     /* `code` is OpenSSL's SSL_R_…; 1000 and an alert of the server's */
};
typedef struct {
  int kind, code;
  const char *text; /* OpenSSL's words for the code, static; may be NULL */
} platform_tls_fault;

enum { PLATFORM_TLS_HOST = 256 };
/* One connection. One thread at a time. */
typedef struct {
  /* Bytes, or the end, were received that the poller does not know of. */
  bool holds_bytes;
  /* Handshake or receiving cannot continue before something is sent; and the reverse. */
  bool receive_wants_write, send_wants_read;
  platform_tls_fault fault;
  /* The rest is for tls.c. */
  bool is_established, is_short, has_taken, has_ended, has_session;
  int socket, error;
  void *ssl;
  platform_tls_context *context;
  char host[PLATFORM_TLS_HOST];
} platform_tls;

bool platform_tls_is_there(void);
/* Whether OpenSSL finds certificates of the system. */
bool platform_tls_has_roots(void);
/* What the connections to a server share. Any thread. NULL: `fault_out` says why. */
platform_tls_context *platform_tls_context_new(const platform_tls_options *options,
                                               platform_tls_fault *fault_out);
void platform_tls_context_free(platform_tls_context *context);
/* `host` is a name or an address; NULL when there is no memory. The socket stays the caller's. */
platform_tls *platform_tls_new(platform_tls_context *context, int socket, const char *host);
void platform_tls_free(platform_tls *tls);
/* These return how many bytes, or 1 for a handshake that is done; 0 when the socket is to be waited
 * for; -1 with `fault`. None waits, and none raises a signal. */
int platform_tls_handshake(platform_tls *tls);
ssize_t platform_tls_receive(platform_tls *tls, void *bytes, size_t capacity);
ssize_t platform_tls_send(platform_tls *tls, const void *bytes, size_t length);

/* log.c: the host's callback, and at most one line a second for the same key. A callback that
 * returns another value than 0 makes the next wait of its thread end as a signal would. */
typedef int32_t platform_log_callback(int32_t level, const char *topic, const char *message,
                                      void *user_data);
/* Lines up to `level` go to `callback`; NULL: none do, and none is running any more in another
 * thread when this returns. */
void platform_log_set(int level, platform_log_callback *callback, void *user_data);
/* A callback for Python; see redcol_capsule_logger in redcol.h. */
int32_t platform_log_to_python(int32_t level, const char *topic, const char *message,
                               void *user_data);
/* Whether a line of that level goes anywhere. */
bool platform_log_wants(int level);
/* False if no line is written: nobody wants it, or the last one with this key is too new. */
bool platform_log_write(int level, const char *topic, uint64_t key, const char *text);
/* Asks for the end of the running call of this thread, and whether somebody has; asks once. */
void platform_log_want_control(void);
bool platform_log_take_control(void);
/* Whether this thread is inside the callback. */
bool platform_log_is_running_here(void);

/* thread.c: runs `work` in a thread of its own, with signals blocked; false if that cannot be.
 * `stack_bytes` 0: as much stack as threads usually have. */
bool platform_thread_start(void *(*work)(void *), void *context, size_t stack_bytes);
/* A descriptor that is readable from `set` until `take`, which returns whether it was set; -1 with
 * errno. */
int platform_event_new(void);
void platform_event_set(int event);
bool platform_event_take(int event);

/* interpreter.c: a callback written in Python; see redcol_capsule_credentials in redcol.h. */
typedef int32_t platform_credentials_callback(struct redcol_credentials_request *request,
                                              void *user_data);
int32_t platform_ask_python(struct redcol_credentials_request *request, void *user_data);
void platform_python_set(platform_credentials_callback *callback);
void platform_python_entered(void);

/* lock.c: a mutex, which may also be tried for. Leaves errno alone. */
typedef struct platform_lock platform_lock;
platform_lock *platform_lock_new(void);
void platform_lock_free(platform_lock *lock);
void platform_lock_acquire(platform_lock *lock);
bool platform_lock_try(platform_lock *lock);
void platform_lock_release(platform_lock *lock);
/* The lock of what redcol_open keeps between its calls; also right after a fork. */
void platform_opens_lock(void);
void platform_opens_unlock(void);

/* turn.c: one call at a time. */
typedef struct platform_turn platform_turn;
platform_turn *platform_turn_new(void);
void platform_turn_free(platform_turn *turn);
bool platform_turn_begin(platform_turn *turn); /* false: a call is inside */
void platform_turn_end(platform_turn *turn);
/* Whether the call inside will never end: its thread is gone, or has jumped out of it. */
bool platform_turn_is_left(platform_turn *turn);
/* The kernel's number of this thread. */
int32_t platform_this_thread(void);
/* Around calls of a function of the host's, which may call the library. */
void platform_callback_begins(void);
void platform_callback_ended(void);

#ifdef __cplusplus
}
#endif

#endif /* CPLATFORM_H */

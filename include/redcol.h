/*
 * redcol.h - Redis Streams as Arrow columns: the whole C interface, and its manual.
 *
 * The five verbs
 *   redcol_open         connect to a server
 *   redcol_read_stream  start reading a stream
 *   redcol_iter_next    take the next batch of entries, as Arrow columns
 *   redcol_ack          acknowledge entries in a consumer group
 *   redcol_free         free any object of redcol
 *
 * A program that prints the number of entries in a stream:
 *
 *   redcol_client *client = NULL;
 *   redcol_iter *iter = NULL;
 *   redcol_error *error = NULL;
 *   struct ArrowArray batch;
 *   long entries = 0;
 *   redcol_status status = redcol_open("redis://localhost", NULL, &client, &error);
 *   if (status == REDCOL_OK)
 *     status = redcol_read_stream(client, "events", -1, NULL, NULL, &iter, &error);
 *   while (status == REDCOL_OK) {
 *     status = redcol_iter_next(iter, -1, NULL, &batch, &error);
 *     if (status == REDCOL_OK) {
 *       entries += batch.length;
 *       batch.release(&batch);
 *     }
 *   }
 *   if (status == REDCOL_END)
 *     printf("%ld entries\n", entries);
 *   else
 *     fprintf(stderr, "%s\n", redcol_error_message(error));
 *   redcol_free(error);
 *   redcol_free(iter);
 *   redcol_free(client);
 *
 * Contents
 *   THE LIBRARY     redcol_version, redcol_version_number, redcol_feature, redcol_live_objects
 *   CONNECTING      redcol_open, redcol_credentials_new, redcol_credentials_set,
 *                   redcol_open_with_credentials
 *   SCHEMAS         redcol_schema_new
 *   READING         redcol_read_stream, redcol_read_streams, redcol_read_ranges,
 *                   redcol_subscribe
 *   BATCHES         redcol_iter_connect, redcol_iter_next, redcol_iter_unread, redcol_iter_stream
 *   OBSERVING       redcol_iter_descriptor, redcol_iter_statistic, redcol_iter_position,
 *                   redcol_iter_lag, redcol_iter_last_error
 *   TABLES          redcol_iter_collect, redcol_table_stream, redcol_table_schema,
 *                   redcol_table_rows, redcol_infer_schema
 *   ACKNOWLEDGING   redcol_ack, redcol_iter_ack, redcol_iter_ack_start
 *   ENTRY IDS       redcol_last_id
 *   LISTS           redcol_list_streams, redcol_list_groups, redcol_list_consumers,
 *                   redcol_list_pending, redcol_partitions
 *   STEERING        redcol_create_group, redcol_delete_group, redcol_seek_group,
 *                   redcol_delete_consumer, redcol_release_entries, redcol_claim_entries,
 *                   redcol_trim_stream, redcol_delete_entries
 *   WRITING         redcol_write_stream, redcol_write_hashes, redcol_write_messages,
 *                   redcol_writer_run, redcol_writer_stop, redcol_writer_ids,
 *                   redcol_writer_descriptor, redcol_writer_statistic
 *   HANDLES         redcol_cancel, redcol_forget, redcol_close, redcol_free
 *   ERRORS          redcol_status_name, redcol_error_status, redcol_error_message,
 *                   redcol_error_detail
 *   LOGGING         redcol_set_logger
 *   PYTHON          redcol_capsule_setup and its neighbors, for bindings to Python
 *
 * Rules that hold everywhere
 *   Handles    are opaque pointers. Free them with redcol_free, in any order: an iterator keeps
 *              what it needs of its client, and batches and schemas need no handle. A call with a
 *              handle that was closed returns REDCOL_ERROR_CLOSED. Never use a handle that was
 *              freed: the behavior is undefined. Often the library notices and returns
 *              REDCOL_ERROR_INVALID_ARGUMENT or does nothing, but do not rely on that.
 *   Ownership  has four words. "Owned by the caller": free it with the function that is named.
 *              "Borrowed": read during the call only, unless a longer time is named. "Moved": the
 *              struct changes hands, and its new owner must call its release callback. "Copied":
 *              the caller's memory may go away when the call returns.
 *   Outcome    is a redcol_status. 0 and positive values are not errors; negative values are. A
 *              call returns either what was asked for or an error, never both.
 *   Errors     `error_out` may be NULL. Otherwise every call writes it: NULL unless the status is
 *              negative, and then an object owned by the caller (redcol_free). Each function lists
 *              its statuses, without REDCOL_ERROR_. A function with an `error_out` may also return
 *              MEMORY: the system has no more memory or file descriptors.
 *   Options    are strings, "key" and "value" in turn. An option that does not exist returns
 *              INVALID_ARGUMENT, and the message lists those that do, the most similar first. An
 *              option that has no effect in the call it is given for is INVALID_ARGUMENT, too.
 *              (Only the names of columns that are left out are ignored.) Lists of options have
 *              four columns: the key, the values, the default, what it does. Values are:
 *              boolean     "true" or "false"
 *              0 to 1000   an integer in this range, in decimal digits
 *              0 or more   an integer of at most 63 bits
 *              word        one of the words that the entry lists
 *              text, name  any UTF-8; a name is not empty
 *              id          an entry id, "1704067200000-0", or its milliseconds alone
 *              netstrings  texts, each with its length in bytes before it: "1:a,4:blue,"
 *              Where the default is none, the text says what happens without the option, unless
 *              that is clear.
 *   Memory     A call returns REDCOL_ERROR_MEMORY when the system refuses memory for anything
 *              whose size a caller or a server chooses: columns and buffers, texts and keys, ids,
 *              names of streams and fields, options, schemas, commands and answers, and the entries
 *              that a group's iterator holds. Small objects of a few hundred bytes are different:
 *              if the system refuses one, the language's runtime ends the process (SIGILL). For
 *              them the library keeps a reserve of 2 MiB of address space. When nothing else is
 *              left, it gives the reserve up, and calls return MEMORY until there is a new one. So
 *              the process ends in two cases only: the 2 MiB do not last until the next check, or
 *              another thread takes memory that a check has just found for a large object.
 *   NULL       is allowed for every pointer. Where a pointer is needed, NULL returns
 *              REDCOL_ERROR_INVALID_ARGUMENT and does not crash.
 *   Text       is UTF-8 and ends with a NUL byte, except where a length stands beside it: then it
 *              is any bytes, and a length of -1 means that it ends with a NUL byte. Text of more
 *              than 512 MiB, which no server takes, returns REDCOL_ERROR_INVALID_ARGUMENT.
 *   Waiting    `wait_ms` says how long a call may wait: so many milliseconds, 0 for not at all, or
 *              -1 for as long as it takes. With -1, "timeout_ms" and "answer_timeout_ms" still
 *              bound each exchange with the server, and "connect_timeout_ms" bounds connecting.
 *   Threads    A client can be used from any number of threads. An iterator or writer serves one
 *              call at a time: a second call during the first returns REDCOL_ERROR_BUSY.
 *              redcol_cancel may be called on all of them from any thread. Batches and schemas may
 *              be released on any thread. No call may be left by pthread_cancel, longjmp or a C++
 *              exception. If one is, the iterator or writer returns REDCOL_ERROR_BUSY until it is
 *              closed: redcol_close and redcol_free work once that thread has ended, or on that
 *              thread itself. A few kilobytes are then never freed.
 *   fork       A child process gets REDCOL_ERROR_FORKED from handles that its parent made. Freeing
 *              them there is safe and does not disturb the parent.
 *   Signals    The library installs no handler. A signal that interrupts a wait ends the call with
 *              REDCOL_TIMEOUT. The host can then look at its signals, and make the same call with
 *              the same arguments again. This continues the first call: it does not connect a
 *              second time, and the time limits still count from the beginning. So a timer that
 *              sends a signal every few milliseconds does no harm. To continue, the same thread
 *              must make the call again within two seconds, and no other call on the same client
 *              before (for redcol_open: no other redcol_open). Otherwise the call begins again.
 *              redcol_forget says that it will not be made again. At most 64 unfinished calls are
 *              kept, and the oldest is dropped first.
 *
 * A function that is not in this file is not part of the interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef REDCOL_H
#define REDCOL_H

#include <stddef.h>
#include <stdint.h>

#include "redcol/arrow_c_data.h"

#ifdef __cplusplus
extern "C" {
#endif

#define REDCOL_VERSION_MAJOR 0
#define REDCOL_VERSION_MINOR 1
#define REDCOL_VERSION_PATCH 0
#define REDCOL_VERSION "0.1.0"
#define REDCOL_VERSION_NUMBER                                                                      \
  (REDCOL_VERSION_MAJOR * 10000 + REDCOL_VERSION_MINOR * 100 + REDCOL_VERSION_PATCH)

/* A server: an address, credentials, and an idle connection if there is one. */
typedef struct redcol_client redcol_client;
/* A function that returns credentials when a connection begins. */
typedef struct redcol_credentials redcol_credentials;
/* A read in progress: returns batches until it ends. */
typedef struct redcol_iter redcol_iter;
/* A write in progress: a frame's rows on their way to the server. */
typedef struct redcol_writer redcol_writer;
/* The batches of a read that has ended, or a list. It can be read any number of times. */
typedef struct redcol_table redcol_table;
/* What went wrong: a message for people and details for programs. */
typedef struct redcol_error redcol_error;

/* Outcome of a call. Values are never reused or renumbered; later versions may add some. */
typedef int32_t redcol_status;
enum {
  REDCOL_OK = 0,      /* what was asked for is there */
  REDCOL_END = 1,     /* there is nothing more, now or later */
  REDCOL_TIMEOUT = 2, /* nothing yet; call again */

  REDCOL_ERROR_INVALID_ARGUMENT = -1, /* the call cannot be right; nothing was sent */
  REDCOL_ERROR_CONNECTION = -2,       /* refused, reset or closed by the other side */
  REDCOL_ERROR_NAME = -3,             /* the host's name could not be resolved */
  REDCOL_ERROR_TIMED_OUT = -4,        /* the server did not answer within the time allowed */
  REDCOL_ERROR_AUTHENTICATION = -5,   /* wrong or missing user or password */
  REDCOL_ERROR_PERMISSION = -6,       /* the server's access rules do not allow the command */
  REDCOL_ERROR_WRONG_TYPE = -7,       /* the key holds something that is not a stream */
  REDCOL_ERROR_LOADING = -8,          /* the server is still loading its data */
  REDCOL_ERROR_SERVER = -9,           /* any other error that the server answered */
  REDCOL_ERROR_PROTOCOL = -10,        /* bytes that no Redis server should send */
  REDCOL_ERROR_VALUE = -11,           /* a value does not fit its column */
  REDCOL_ERROR_SCHEMA = -12,          /* a schema or column type that cannot be read */
  REDCOL_ERROR_MEMORY = -13,          /* the system has no more memory or file descriptors */
  REDCOL_ERROR_UNSUPPORTED = -14,     /* known, but not offered by this machine or server */
  REDCOL_ERROR_CANCELLED = -15,       /* redcol_cancel was called */
  REDCOL_ERROR_CLOSED = -16,          /* the handle was closed before */
  REDCOL_ERROR_BUSY = -17,            /* another thread is inside a call on this handle */
  REDCOL_ERROR_FORKED = -18,          /* the parent process made the handle, before fork */
  REDCOL_ERROR_NO_GROUP = -19,        /* the consumer group does not exist */
  REDCOL_ERROR_KEY_EXISTS = -20,      /* a key that was to be created exists already */
  REDCOL_ERROR_TOO_LARGE = -21,       /* an entry is larger than the limits of the read */
  REDCOL_ERROR_TLS = -22,             /* a certificate or a version of TLS that is not accepted */
  REDCOL_ERROR_PENDING = -23,         /* a consumer has pending entries, and stays */
  REDCOL_ERROR_GAP = -24,             /* entries were gone before they were read */
  REDCOL_ERROR_NO_STREAM = -25        /* a stream is missing that has to be there */
};

/*
 * THE LIBRARY
 */

/*
 * Return the version of the library at run time, as "major.minor.patch". Compare it with
 * REDCOL_VERSION, which is the version of this header. Static text, never NULL. Does not block. Any
 * thread.
 */
const char *redcol_version(void);

/*
 * Return the same version as a number: major * 10000 + minor * 100 + patch. Compare it with
 * REDCOL_VERSION_NUMBER. Does not block. Any thread.
 */
int32_t redcol_version_number(void);

/*
 * Return whether the library has a feature on this machine: 1 if it does; 0 if it does not, if the
 * name is not known, or if it is NULL. Loads OpenSSL, unless it is loaded. Does not block. Any
 * thread.
 *   "tls"        connections with TLS (rediss://): OpenSSL, 3 or 1.1, can be loaded
 *   "tls_roots"  OpenSSL finds certificates of authorities on this machine
 */
int redcol_feature(const char *name);

/*
 * Return how many objects of the library are alive in this process: handles, errors, and exported
 * arrays and schemas that were not released. For tests that look for leaks. Does not block. Any
 * thread.
 */
int64_t redcol_live_objects(void);

/*
 * CONNECTING
 */

/*
 * Connect to a server and log in.
 *
 * url         redis://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=n];
 *             copied. Parts are percent-decoded. IPv6 addresses stand in brackets. `?db=n` may
 *             replace `/db`; `?username=` and `?password=` may replace the part before the @. The
 *             default port is 6379, the default db 0.
 *             redis://[[user]:password@]host[:port],host2[:port]… names several nodes of a
 *             cluster; one is enough.
 *             redis+sentinel://[[user]:password@]host[:port][,host2[:port]…]/service[/db] names
 *             Sentinels, whose default port is 26379, and the service whose servers they know.
 *             rediss://, valkeys:// and rediss+sentinel:// are the same with TLS; the options of
 *             TLS may stand in the URL, too, as in "?ssl_ca_certs=/etc/ca.pem". valkey:// is
 *             another name of redis://.
 *             rdb:///path[?db=n] is a backup file (RDB) of a server, which is opened and gone
 *             through by this call; "?verify=false" does not look at its checksum. From it can be
 *             read: ranges of entries (redcol_read_stream, redcol_read_ranges), what "follow" with
 *             "until" "now" or "on_idle" "stop" gives, redcol_last_id, redcol_partitions, and the
 *             lists of streams, groups, consumers and pending entries. All else is UNSUPPORTED.
 *             The file must not get shorter while the client or a read of it lives.
 * options     NULL, or an array of strings "key", "value", "key", "value", …, NULL; copied.
 *   "connect_timeout_ms"  1 to 2147483647  "5000"   time to connect, logging in included
 *   "timeout_ms"          1 to 2147483647  "5000"   longest silence while an answer is awaited
 *   "answer_timeout_ms"   1 to 2147483647  none     longest time for a whole answer that is slow
 *   "keepalive_ms"        0 to 2147483647  "30000"  a vanished server is noticed after it; 0: never
 *   "client_name"         name             none     what CLIENT LIST calls the connections
 *   "password_file"       name             none     file with the password, read at each connect
 *   "connect"             word             "now"    "now", or "later": the first call that asks
 *                                                   the server connects; this one does not block
 * Sentinels and clusters: these may stand in the URL too
 *   "sentinel_username"   text                none       user for the Sentinels
 *   "sentinel_password"   text                none       password for the Sentinels
 *   "read_from"           word                "primary"  ranges from "primary", "replica" or "any"
 *   "address_map"         name                none       where a cluster's nodes are, if elsewhere
 * TLS: only with rediss://, valkeys:// and rediss+sentinel://; these may stand in the URL too
 *   "ssl_ca_certs"        name     none        file with the authorities' certificates to trust
 *   "ssl_ca_path"         name     none        folder with such files ("openssl rehash")
 *   "ssl_certfile"        name     none        file with our certificate, if the server wants one
 *   "ssl_keyfile"         name     none        file with its key; none: in "ssl_certfile"
 *   "ssl_password"        text     none        password of that key
 *   "ssl_cert_reqs"       word     "required"  "required", or "none": trust any certificate
 *   "ssl_check_hostname"  boolean  "true"      the certificate must be for the host of the URL
 *   "ssl_min_version"     word     "TLSv1.2"   oldest version allowed, "TLSv1.2" or "TLSv1.3"
 * client_out  on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * "answer_timeout_ms" bounds an answer that comes at less than 4 KiB a second. Without it the bound
 * is ten times "timeout_ms". An answer that flows faster may take any time, and so may a caller
 * between two calls. Both times are on top of the time for which the server is asked to wait for
 * entries. After either of them a call returns TIMED_OUT, or connects again where it continues over
 * lost connections.
 * Sentinels are asked in turn, beginning with the one that answered last, where the master of the
 * service is. They are asked each time that a connection begins: so after each connection that was
 * lost, and after each answer READONLY, MASTERDOWN or LOADING. A server that says it is a replica
 * is not used as the master. "user" and "password" are for the servers, not for the Sentinels.
 * "read_from" "replica" reads ranges from a replica that is in order, or else from the primary
 * (the master of a service); "any" from any of them. Entries that were just written may then be
 * missing, and a read that continues on another server after a lost connection sees what that one
 * has. Following, groups and writing use the primary. It has no effect on a single server. With
 * "any", a large range of one stream is read from the primary and its replicas at once, its entries
 * in their order: of each replica what it has, and the rest from the primary.
 * NAME also means that no Sentinel knows the service; CONNECTION, that no Sentinel could be asked.
 * A cluster is found by itself: a server says that it is one of the nodes, and is asked for the
 * others and their slots (CLUSTER SLOTS, or else CLUSTER SHARDS). Each connection then goes to the
 * node that has the stream, and follows it when its slot moves. Nodes have the credentials and the
 * TLS of the URL. "address_map" says where nodes are reached that are behind NAT or a tunnel:
 * "10.0.0.1:7000=127.0.0.1:17000,10.0.0.2:7000=127.0.0.1:17001".
 * A name is resolved in a thread of the library's own, since the system may need long for it; an
 * address needs no thread. The addresses of a name are tried with IPv6 and IPv4 in turn, the next
 * one after 250 ms or when one has refused. The first that answers is used.
 * "keepalive_ms" is for a server that vanishes without closing the connection (TCP keepalive, and
 * TCP_USER_TIMEOUT, which is at least "timeout_ms" and "connect_timeout_ms"). It is refused with
 * unix://.
 * "client_name" is ASCII without spaces, at most 1024 characters (CLIENT SETNAME). The library's
 * name and version are told to servers from 7.2 on (CLIENT SETINFO). A user who may not do that is
 * connected anyway; for "client_name" the log says so.
 * The file of "password_file" is a regular one. It has the password of the URL's user, at most
 * 65536 bytes; a line break at its end is not part of it. If it cannot be read, the status is
 * AUTHENTICATION.
 * TLS is OpenSSL's, 3 or 1.1: the one that the process has loaded, else the system's. Nothing needs
 * to be linked, except for libdl (-ldl) with a glibc older than 2.34. Files are in PEM format, and
 * read when the first connection is made. When TLS fails later, they are read again, and it is
 * tried once more: they may have been replaced. Without "ssl_ca_certs" and "ssl_ca_path" the
 * system's certificates are trusted, or those of the environment variables SSL_CERT_FILE and
 * SSL_CERT_DIR. The server is told which name is asked for (SNI). Later connections resume the
 * session of an earlier one. An option holds instead of the same parameter of the URL. With
 * "ssl_cert_reqs" "none" no host is checked, and "ssl_check_hostname" "true" is refused. The status
 * TLS means: one side does not accept the other's certificate, a file cannot be used, or the two
 * have no version of TLS in common.
 * REDCOL_TIMEOUT means that a signal came: call again with the same arguments to continue. If the
 * call is not repeated, there is nothing to free.
 * Blocks for up to "connect_timeout_ms". Any thread.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, LOADING,
 * SERVER, PROTOCOL, UNSUPPORTED (rediss:// where there is no OpenSSL, redis:// of a Sentinel, or
 * several hosts that are not nodes of a cluster).
 */
redcol_status redcol_open(const char *url, const char *const *options, redcol_client **client_out,
                          redcol_error **error_out);

/* A question for credentials, which redcol_credentials_set answers. */
typedef struct redcol_credentials_request redcol_credentials_request;

/*
 * Answers a question: calls redcol_credentials_set and returns 0. Another value means that there
 * are no credentials; the error then has it as the detail "provider_code".
 * It runs in a thread of the library's in which all signals are blocked (or in the caller's, if the
 * system has no thread to spare), and may run in several threads at once. It may block: the
 * connection that waits for it gives up after "connect_timeout_ms", and the next attempt takes the
 * answer if it has come by then. It may call the library, but not with the client that it serves:
 * each new connection of that client calls it again. It must not use longjmp or throw.
 * `request` is borrowed for the call.
 */
typedef int32_t (*redcol_credentials_callback)(redcol_credentials_request *request,
                                               void *user_data);

/* Called with `user_data` when the library is done with it. */
typedef void (*redcol_release)(void *user_data);

/*
 * Make credentials that a function returns, for passwords that change: tokens, for example.
 *
 * callback         asked each time that a connection begins, also a connection that replaces a lost
 *                  one.
 * user_data        passed to the callback; may be NULL.
 * release          NULL, or called with `user_data` once the callback will never be called again:
 *                  when the credentials, the clients that were opened with them and their iterators
 *                  and writers are freed, and no callback is running. Called in any thread. Not
 *                  called if this function returns an error.
 * credentials_out  on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * Does not block. Any thread.
 * Errors: INVALID_ARGUMENT.
 */
redcol_status redcol_credentials_new(redcol_credentials_callback callback, void *user_data,
                                     redcol_release release, redcol_credentials **credentials_out,
                                     redcol_error **error_out);

/*
 * Answer a question for credentials, inside the callback only. The last call counts.
 *
 * user      NULL or empty: the server's default user; any bytes, at most 65536; copied.
 * password  any bytes, at most 65536; copied.
 * Does not block. Any thread.
 * Errors: INVALID_ARGUMENT.
 */
redcol_status redcol_credentials_set(redcol_credentials_request *request, const char *user,
                                     int64_t user_length, const char *password,
                                     int64_t password_length, redcol_error **error_out);

/*
 * Connect to a server with credentials that a function returns. As redcol_open, except for:
 *
 * url          has no user and no password.
 * credentials  of redcol_credentials_new; the client keeps what it needs of it.
 * If the callback fails, or the server refuses what it returned, this returns AUTHENTICATION. Later
 * connections are then made again, like those that are lost, since the next answer may be right.
 * The same holds for "password_file".
 * Blocks for up to "connect_timeout_ms". Any thread.
 * Errors: those of redcol_open.
 */
redcol_status redcol_open_with_credentials(const char *url, const char *const *options,
                                           redcol_credentials *credentials,
                                           redcol_client **client_out, redcol_error **error_out);

/*
 * SCHEMAS
 *
 * A schema is a struct ("+s") whose children are the columns wanted, in their order. A read takes
 * these types of columns, as Arrow formats:
 *   b                       booleans
 *   c C s S i I l L         integers
 *   _pli128 _plu128         integers of 128 bits, under Polars' own names
 *   f g                     floats
 *   d:p,s                   decimals of 128 bits
 *   vu u U                  strings
 *   vz z Z                  bytes
 *   tdD                     dates
 *   tts ttm ttu ttn         times
 *   tss: tsm: tsu: tsn:     timestamps, with any time zone
 *   tDs tDm tDu tDn         durations
 *   an integer              with a dictionary of strings: categories
 *   +s +l +L +w:n           structs, lists and lists of n values each of the above, from JSON
 *                           text, nested at most 64 deep; no bytes (vz z Z) there
 * Any other type is SCHEMA. docs/dtypes.md says which texts each type reads. Batches have the types
 * that were asked for. u, z and dictionaries of u copy the text, and a batch holds at most 2 GiB of
 * it (see redcol_iter_next). Text with an offset (Z, +02:00) does not fit a timestamp without a
 * time zone. Text without an offset is local time in a column's time zone, whose offsets are the
 * system's data (TZDIR, else /usr/share/zoneinfo); a local time that does not exist or exists twice
 * does not fit.
 */

/*
 * Make a schema from text, for redcol_read_stream and the others:
 * "value:l,name:vu,at:tsm:Europe/Berlin,price:d:9,2".
 *
 * text        columns, with a comma between two of them; copied. Each is a name, a ":" and an Arrow
 *             format of those above, which is kept as it is written. A dictionary is the format of
 *             its indices with that of its strings in braces: "color:I{vu}". In a name, "\" stands
 *             before a ":", a "," or a "\" of its own. Space before a name and after a format is
 *             ignored; "\ " begins a name with a space. "" makes a schema without columns. Nested
 *             types cannot be written.
 * schema_out  moved to the caller: a struct ("+s"), each child of which may be null.
 * Unless REDCOL_OK is returned, `*schema_out` has a NULL release callback. Does not block. Any
 * thread, and a forked child.
 * Errors: INVALID_ARGUMENT (NULL, or `text` is not UTF-8), SCHEMA (the message says which column is
 * wrong; also two columns of one name).
 */
redcol_status redcol_schema_new(const char *text, struct ArrowSchema *schema_out,
                                redcol_error **error_out);

/*
 * READING
 *
 * A read takes a key, a schema and options. With a schema, batches have exactly its columns, in its
 * order, after those that the options add; an entry without the field has null there, and other
 * fields are ignored. Without a schema (NULL), every field that is found becomes a column, in order
 * of first appearance. A field that is in an entry twice counts with its last value.
 *
 * The options of redcol_read_stream, redcol_read_streams and redcol_read_ranges, each with its
 * values, its default and what it does:
 *
 * Which entries
 *   "start_id"              id               "-"           the first entry; "(id" excludes it
 *   "end_id"                id               "+"           the last entry; "(id" excludes it
 *   "count"                 0 or more        none          at most this many entries
 *   "last"                  0 or more        none          only the newest entries of a range
 *   "if_missing"            word             "empty"       "empty" or "raise": a missing stream
 *   "batch_rows"            0 or more        "65536"       most rows per batch; "0": one batch
 *   "page_rows"             0 to 1000000     "0"           per request of a range; "0": by size
 *   "transfer"              word             "entries"     "entries" or "dump": all at once
 *   "dump_entries_max"      0 or more        none          most entries of a stream for a dump
 * Columns
 *   "include_id"            boolean          "true"        column of entry ids (string)
 *   "include_timestamp"     boolean          "true"        column of their milliseconds (int64)
 *   "include_sequence"      boolean          none          column of their sequences (uint64)
 *   "id_column"             text             "_id"         name of the column of ids
 *   "timestamp_column"      text             "_ts"         name of the column of milliseconds
 *   "sequence_column"       text             "_seq"        name of the column of sequences
 *   "timestamp_format"      text             "l"           "l", "tsm:", or "tsm:" and a time zone
 *   "stream_column"         text             none          name of a column of streams' keys
 *   "string_layout"         word             none          "view", "large" or "string"
 *   "field:N"               text             none          field of the schema's column N
 *   "categories:N"          netstrings       none          values of dictionary column N
 *   "reserved"              netstrings       none          names of columns that the caller adds
 *   "discovered"            netstrings       none          fields that an earlier read found
 * Columns: only with a schema
 *   "missing_field"         word             "null"        "null" or "raise": no such field
 * Columns: only without a schema
 *   "columns_max"           1 to 1000000     "10000"       most columns
 *   "discover"              word             "string"      "string", "binary" or "auto"
 * Values and sizes
 *   "on_error"              word             "raise"       "raise", "null", "skip", "dead_letter"
 *   "entry_bytes_max"       1 to 2147483647  "1073741824"  most bytes of an entry
 *   "entry_fields_max"      1 to 2147483647  "1048576"     most fields of an entry
 * Many streams: only in redcol_read_ranges
 *   "count_per_stream"      0 or more        none          at most this many entries per stream
 *   "scan_count"            1 to 100000      "1000"        keys that the server visits per SCAN
 *   "streams_at_once"       0 or more        "0"           most streams read at once; "0": chosen
 *   "count_wrong_types"     boolean          "false"       count keys that are not streams
 * Waiting
 *   "follow"                boolean          "false"       read what is there, then what is added
 *   "block_ms"              0 to 2147483647  none          how long to wait; "0": forever
 *   "connect"               word             "now"         "now", or "later": in the first call
 * Waiting: only with "follow"
 *   "on_idle"               word             "wait"        "wait", "stop" or "empty"
 *   "on_gap"                word             "log"         "log" or "raise"
 *   "reconnect_timeout_ms"  0 to 2147483647  none          how long to reconnect; "0": forever
 *   "start_last"            0 or more        none          begin with the newest entries
 *   "until"                 word             none          "now": end with what is there
 * Consumer groups
 *   "group"                 name             none          the group; needs "consumer"
 *   "consumer"              name             none          this reader's name; needs "group"
 * Consumer groups: only with "group"
 *   "create_group"          boolean          "true"        create the group if it is missing
 *   "group_start_id"        id               "0"           where a created group begins; or "$"
 *   "auto_ack"              boolean          "false"       acknowledge with the next request
 *   "after_ack"             word             "keep"        "keep" or "delete"
 *   "claim_idle_ms"         0 to 2147483647  none          claim what others hold for so long
 *   "heartbeat_ms"          1 to 2147483647  none          keep what is in hand from being claimed
 *   "max_deliveries"        1 to 2147483647  none          deliveries until it is a dead letter
 *   "dead_letter"           name             none          the stream that dead letters go to
 *
 * Which entries. With "follow" or "block_ms", "start_id" means "after this id", "-" is the
 * beginning, and "$" is the stream's last entry at the time of this call. "end_id" "+" is the last
 * entry at the time of reading. "count" of redcol_read_ranges counts all streams together. A group
 * remembers where it reads: it takes none of "start_id", "end_id", "start_last" and "until".
 * "start_id" and "end_id" may also be a date or a time in ISO text ("2024-01-01T12:00:00Z"; UTC
 * without an offset), or a time before now, by the server's clock: "-1h", "-1d12h", "-500ms", with
 * the units w, d, h, m, s and ms. The clock is asked (TIME) before the read begins. So
 * redcol_read_stream then connects even for a range, unless "connect" is "later".
 * "last" reads that many of the newest entries of one stream's range, and returns them oldest
 * first. Only these are requested, from the end (XREVRANGE). They are held in memory: the first
 * batch comes when all of them have arrived. "last" excludes "count". "start_last" begins with that
 * many of the newest entries of each stream. To find them, redcol requests them once more.
 * "transfer" "dump" requests the whole stream at once, in the form in which the server stores it
 * (DUMP), and decodes the entries of the range: a fifth of the bytes. The server serves nobody else
 * while it makes them, about 0.2 s for a million entries. "dump_entries_max" says how many entries
 * a stream may have (XLEN is asked first); more are INVALID_ARGUMENT. Without it, that is
 * 1,000,000, and no limit where the client reads from replicas. A stream in a form that this
 * library does not know, of a later server, is UNSUPPORTED. Not for redcol_read_ranges, and not
 * with "last", "follow", "block_ms" or "group". "until" "now" ends with the entries that are there
 * at the time of this call, and does not wait. "if_missing" "raise" returns NO_STREAM if a stream
 * is missing when the read begins, or if no stream matches a pattern. It is asked for once (EXISTS;
 * the user needs +exists): by redcol_read_stream and redcol_read_streams, which then connect; in
 * redcol_read_ranges before each stream that is named. A read that follows does not wait for the
 * stream to be created then, and a group's member does not create it. A key that holds something
 * else is not missing. With "empty" the same is asked if a name has one of the characters `*`, `?`
 * and `[`, and the log has a warning if there is no such stream: it may be a pattern that was meant
 * for redcol_read_ranges.
 *
 * Columns of the entry id. They come first, except those that the schema names: a column of the
 * schema with their name and type is theirs (the milliseconds may also be tsm:). Such a column with
 * another type is SCHEMA. Without "include_sequence" there are sequences only if the schema names
 * them so. With "false" the name is free for a field. An entry's own field of such a name, "_id"
 * for example, becomes the column "_id_field", or "_id_field2", and so on, if another field has
 * that name. The column's schema then has Arrow metadata with the key "redcol.field": the field's
 * name, bytes that are not UTF-8 and NUL as \xNN (and so a backslash that begins such a text). With
 * a schema such a column is filled in the same way, but a field of the column's own name takes
 * precedence. Without a schema, a field whose name another column already has is treated alike: a
 * later field "_id_field" becomes the column "_id_field_field". A schema finds that column's field
 * only by the field's own name, so the log says when this happens. All this also holds for
 * "stream_column" and for the names in "reserved".
 *
 * Other columns:
 *   "string_layout"  the layout of strings and bytes that are not in the schema: "view" is vu and
 *                    vz, "large" U and Z, "string" u and z. By default it is that of the first
 *                    string or bytes column in the schema, else "view".
 *   "discover"       what the columns of a read without a schema are. "auto": a column of strings
 *                    becomes a column of bytes with the first value that is not UTF-8, and stays
 *                    one.
 *   "field:N"        column N of the schema, counted from 0, is filled from the field of this name,
 *                    spelled as in "discovered". By default it is the column's name.
 *   "categories:N"   the only values allowed in column N of the schema, in order. "categories:N.M"
 *                    is for the child M of a struct or list column N, and so on. By default any
 *                    value is allowed.
 *   "discovered"     of each column of the earlier read the "redcol.field" of its metadata, or its
 *                    name. The schema then has columns for the fields that are wanted, and a field
 *                    that is not in the list is SCHEMA, with "entry_id" and "field", instead of
 *                    being ignored.
 *
 * Values and sizes:
 *   "on_error"       what happens to a value that does not fit its column, or to its entry:
 *                    "raise"        VALUE; see redcol_iter_next
 *                    "null"         the value is null
 *                    "skip"         the entry has no row; the log says how many there were. In a
 *                                   group it is acknowledged with the first row of its batch that
 *                                   is, or if that has no rows, with the next acknowledgement or at
 *                                   the end; without "follow", all are acknowledged at the end.
 *                                   redcol_ack acknowledges nothing but the ids that it is given
 *                    "dead_letter"  only in a group: the entry has no row, is copied to the stream
 *                                   "dead_letter" at once, and acknowledged
 *                    In a group, "skip" and "dead_letter" also pass an entry that is too large. It
 *                    is acknowledged at once, and its dead letter has none of its fields.
 *   "missing_field"  "raise": an entry without a field that the schema has is treated as one with a
 *                    value that does not fit: "on_error" says what happens to it, and if that is
 *                    "raise" or "null", it is VALUE, with "entry_id" and "field". An empty value is
 *                    not missing.
 *   "entry_bytes_max", "entry_fields_max"
 *                    an entry is kept in memory until all of it has come. A larger one is
 *                    TOO_LARGE (see also "on_error"). A single value never has more than 512 MiB.
 *
 * Waiting:
 *   "follow"         the read does not end, unless "count", "end_id" or "on_idle" ends it. It
 *                    continues over lost connections. Without a group, redcol prefetches the
 *                    backlog when it hands over the last batch of an answer: up to eight small
 *                    batches of one stream together, of 800 entries and about 128 KiB, or one of
 *                    about 256 KiB.
 *   "block_ms"       without "follow": return what is there, or wait for the first entries. By
 *                    default it does not wait: it reads a range, or what a group has. With "follow"
 *                    and "on_idle" "wait": how long the server waits at a time, at most and by
 *                    default 1000. With another "on_idle": how long there is nothing to read before
 *                    that happens; by default the server is asked once and does not wait.
 *   "on_idle"        with "follow": what happens when the server has had nothing to read for
 *                    "block_ms". "wait": the read keeps waiting. "empty": redcol_iter_next
 *                    returns a batch without rows. "stop": the read ends, "block_ms" after it has
 *                    caught up, which means that the server had fewer entries than were asked for.
 *                    Entries that are added within that time are returned too, and do not make it
 *                    longer. A server that does not answer is not idle.
 *   "on_gap"         what happens when entries were gone before this read, or its group, had them:
 *                    they were trimmed or deleted, or the stream was deleted and begun again. They
 *                    are counted in the statistic "lost_entries", and the log has a warning.
 *                    "raise": redcol_iter_next also returns GAP. Call it again, and the read
 *                    continues after the gap. "Gaps" below says when that is noticed.
 *   "reconnect_timeout_ms"
 *                    when the server has not answered for this long, redcol_iter_next returns the
 *                    last error (CONNECTION, TIMED_OUT, NAME, LOADING or another), and can be
 *                    called again. A silent connection is first given up after "timeout_ms". By
 *                    default it is "0" with "on_idle" "wait", else "10000".
 *   "connect"        "later": this call sends nothing, even in a read that follows, waits or has a
 *                    group. redcol_iter_connect, or else the first redcol_iter_next, connects,
 *                    creates the group and looks "$" up, and returns the errors of that. For event
 *                    loops.
 *
 * Gaps. A read that follows asks now and then how far its streams have come, and how many entries
 * were ever added to them. Without a group it asks after each reconnect and about every 5 seconds,
 * from the first entry on (XINFO STREAM). It notices what is missing once it has read all that was
 * there when it asked; a read that begins in the middle of a stream counts from there on. In a
 * group it asks after each connect, about every 30 seconds, and once a second while there is a
 * backlog (XINFO GROUPS, XINFO STREAM). Before "on_idle" "stop" or "until" "now" ends a read, it
 * asks once more; if the last entry of "until" "now" is missing and the number is not known, that
 * counts as 1. In a group it notices a gap that comes next for the group; each of its members may
 * notice it. What was trimmed before the read began, or before the group was created, is no gap.
 * Since Redis 7.0 the numbers are exact, with one exception: Redis 7.0 to 7.2.5 do not correct
 * "entries-read" after a gap, so the numbers of a group's later gaps may be too large. Before 7.0,
 * a gap is only noticed if it includes the entry that was the stream's last when it was asked
 * before, and counts as 1. A stream that was begun again is a gap only without a group.
 *
 * Consumer groups. The server delivers entries to this consumer, and they stay pending until they
 * are acknowledged. First come the consumer's own pending entries, then those it may claim, then
 * new ones.
 *   "create_group"   create the group (and the stream) now, and whenever it vanishes: then after
 *                    the entries that this iterator knows to be handled. Earlier entries that other
 *                    consumers had pending are not delivered again.
 *   "group_start_id" is not allowed where "create_group" is "false".
 *   "auto_ack"       a batch is acknowledged when the next one is asked for. With "follow" that is
 *                    sent at the latest just before the next batch is handed over, and the server's
 *                    answer is checked in the call after that. Without "follow", the end comes when
 *                    the last batch is acknowledged, or if that fails: then the log has a warning,
 *                    and what was not acknowledged comes again.
 *   "after_ack"      "delete": an entry that is acknowledged, by "auto_ack", redcol_iter_ack or
 *                    redcol_iter_ack_start, is deleted from the stream, unless another group has
 *                    it pending or still to come: the last group to acknowledge it in this way
 *                    deletes it. Both are one step, a script: XACKDEL … ACKED since Redis 8.2;
 *                    before, and in Valkey, XACK, XINFO GROUPS, XPENDING and XDEL. The user needs
 *                    these and +eval; without one of them nothing is acknowledged, and the call
 *                    fails. The server knows nothing of readers without a group, which may miss
 *                    what is deleted. What becomes a dead letter, or is acknowledged by redcol_ack,
 *                    stays.
 *   "heartbeat_ms"   how often, in milliseconds, the idle time of entries that were handed over and
 *                    not acknowledged is set back, so that no member claims them by
 *                    "claim_idle_ms" while the caller works on them. A third of "claim_idle_ms" is
 *                    a good choice. A script of XPENDING and XCLAIM … JUSTID looks and claims in
 *                    one step: an entry that another member has claimed stays there, and nothing
 *                    counts as a delivery. A thread of the library does it, on a connection of its
 *                    own (in a cluster one for each slot), until the iterator is closed or freed.
 *                    If it fails, the log has a warning with the next redcol_iter_next. The user
 *                    needs +eval, +xpending and +xclaim.
 *   "max_deliveries" needs "dead_letter". Deliveries that this iterator asked for and never handed
 *                    over, since their answers were lost, do not count.
 *   "dead_letter"    needs "max_deliveries" or "on_error" "dead_letter". Copying to this stream and
 *                    acknowledging are done together or not at all. In a cluster, if this stream is
 *                    in another slot, the copies are made first, several at a time; a lost
 *                    connection can then lead to second copies with the same dead_id. The copy has
 *                    the entry's fields, and dead_id, dead_stream, dead_group, dead_consumer and
 *                    dead_deliveries (how often it was delivered); for "on_error" also dead_field
 *                    (not if it is too large) and dead_reason. An entry's own field of one of these
 *                    names becomes dead_id_field, or dead_id_field2, and so on. An entry that was
 *                    acknowledged or delivered again meanwhile stays as it is. The user needs
 *                    +xrange and +xadd, and either +eval, or +watch, +multi, +exec, +xlen and +xdel
 *                    and their like.
 */

/*
 * Start reading a stream: the entries of a range of ids, oldest first, or as the options say.
 *
 * client      borrowed; the iterator may outlive it.
 * stream      the key, `stream_length` bytes or -1; copied.
 * schema      NULL, or a struct schema ("+s") of the columns wanted, see SCHEMAS; copied, and its
 *             release callback is not called.
 * options     NULL, or an array of strings "key", "value", …, NULL, see READING; copied.
 * iter_out    on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * REDCOL_TIMEOUT means that a signal came: call again with the same arguments to continue.
 * A range read does not block: it sends nothing before the first redcol_iter_next. A read that
 * follows, waits or has a group connects here, creates the group and looks "$" up, so that it
 * misses nothing that is added afterwards. So does a range of times before now, to ask for the
 * server's time, and one with "if_missing" "raise". It blocks for up to "connect_timeout_ms" and
 * "timeout_ms". In a cluster, a read that follows waits here for a node that is silent or gone, or
 * for its replica, for up to "reconnect_timeout_ms". Any thread.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED; of a read that connects here also CONNECTION,
 * NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL,
 * UNSUPPORTED, NO_GROUP ("create_group" is "false"), NO_STREAM ("if_missing" is "raise").
 */
redcol_status redcol_read_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                 const struct ArrowSchema *schema, const char *const *options,
                                 redcol_iter **iter_out, redcol_error **error_out);

/*
 * Start reading several streams at once, by following them or as a group's member. It is as
 * redcol_read_stream, with `stream_count` keys and their lengths (`stream_lengths` NULL: each ends
 * with a NUL byte); all copied. The option "stream_column" names a column for the stream's key; ids
 * increase within each stream. Ownership, blocking and threads are those of redcol_read_stream, and
 * REDCOL_TIMEOUT means that a signal came: call again. In a cluster, the streams take a connection
 * for each slot that they are in, 1,000 at most.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED, CONNECTION, NAME, TLS, TIMED_OUT,
 * AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, NO_GROUP,
 * NO_STREAM.
 */
redcol_status redcol_read_streams(redcol_client *client, const char *const *streams,
                                  const int64_t *stream_lengths, int64_t stream_count,
                                  const struct ArrowSchema *schema, const char *const *options,
                                  redcol_iter **iter_out, redcol_error **error_out);

/*
 * Start reading the same range of ids of many streams: one stream after the other, each in the
 * order of its ids. Requests for many of them are under way at once on one connection.
 *
 * client      borrowed; the iterator may outlive it.
 * pattern     NULL, or a pattern of keys, `pattern_length` bytes or -1, copied: `*`, `?`, `[abc]`,
 *             `[^a]`, `[a-z]`, and `\` before a character that stands for itself. SCAN (never KEYS)
 *             finds the streams whose keys match. They are read in the order of their keys' bytes,
 *             each once. Streams that exist during the whole search are found; those that are
 *             created or deleted meanwhile may be. A pattern without a special character is a key,
 *             and read without a search.
 * streams     with `pattern` NULL: `stream_count` keys (0 to 10000000) and their lengths
 *             (`stream_lengths` NULL: each ends with a NUL byte), all copied; read in this order.
 *             No key may be there twice. With a pattern: NULL and 0.
 * schema      as in redcol_read_stream.
 * options     as in redcol_read_stream for a range. "stream_column" shows a key's NUL and bytes
 *             that are not UTF-8 as \xNN. "streams_at_once" "0" chooses from the size of the
 *             streams and the distance to the server. "count_wrong_types" counts in the statistic
 *             "wrong_types", and sends SCAN twice for that.
 * iter_out    on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * A stream is read to the entry that is its last when it is asked for, perhaps before its turn. A
 * key that is gone or that holds something else is skipped; redcol_iter_statistic counts those. An
 * iterator over no stream at all returns one batch without rows, and no other. Without a schema,
 * the columns grow by the fields of later streams.
 * Nothing is sent before the first redcol_iter_next, whose errors name the stream. For a pattern it
 * may also return PERMISSION for SCAN. In a cluster the search asks every primary, and nodes are
 * read at once: of each, up to 4 MiB that have come before their turn are kept. The rows come in
 * the same order. After a lost connection a search begins again, and a stream continues where it
 * was. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also a pattern together with streams), SCHEMA, CLOSED, FORKED.
 */
redcol_status redcol_read_ranges(redcol_client *client, const char *pattern, int64_t pattern_length,
                                 const char *const *streams, const int64_t *stream_lengths,
                                 int64_t stream_count, const struct ArrowSchema *schema,
                                 const char *const *options, redcol_iter **iter_out,
                                 redcol_error **error_out);

/*
 * Listen to channels (Pub/Sub): each message that is published from now on is a row.
 *
 * client      borrowed; the iterator may outlive it.
 * channels    `channel_count` names of channels (0 to 100000) and their lengths (`channel_lengths`
 *             NULL: each ends with a NUL byte), all copied. None may be there twice.
 * patterns    the same for patterns of channels' names (PSUBSCRIBE). A message that matches two of
 *             them, or a pattern and a channel, comes twice, as the server sends it. There must be
 *             at least one channel or pattern.
 * schema      borrowed, or NULL. NULL: a message is one string. With a schema, messages are JSON
 *             objects, whose keys are its columns, as in a struct column (see SCHEMAS): a key that
 *             is missing is null, and other keys are ignored. With "message_format" "raw", a schema
 *             has one column named as "message_column", and a message is read as the text of a
 *             field is.
 * options     borrowed, or NULL; these, each with its values, its default and what it does:
 *   "sharded"               boolean          "false"         SSUBSCRIBE: channels of one slot
 *   "count"                 0 or more        none            end after so many messages
 *   "batch_rows"            1 or more        "65536"         most rows per batch
 *   "batch_ms"              0 to 2147483647  "0"             a batch may wait so long to fill
 *   "window_ms"             0 to 2147483647  none            end so long after it began
 *   "block_ms"              0 to 2147483647  none            how long until idle; "0": never; with
 *                                                            "on_idle" "stop" or "empty" needed
 *   "on_idle"               word             "wait"          "wait", "stop" or "empty"
 *   "on_gap"                word             "log"           "log" or "raise"
 *   "reconnect_timeout_ms"  0 to 2147483647  none            as in redcol_read_stream
 *   "connect"               word             "now"           "now" or "later"
 *   "message_format"        word             none            "raw" or "json"; none: by the schema
 *   "include_channel"       boolean          "true"          column of channels' names (string)
 *   "include_timestamp"     boolean          "true"          column of when they arrived
 *   "channel_column"        text             "_channel"      name of the column of channels
 *   "pattern_column"        text             none            name of a column of patterns
 *   "message_column"        text             "message"       name of the column of raw messages
 *   "timestamp_column"      text             "_received_at"  name of the column of arrivals
 *   "timestamp_format"      text             "g"             "g" (seconds), or a timestamp's format
 *   "categories:N"          netstrings       none            values of dictionary column N
 *   "on_error"              word             "raise"         "raise", "null" or "skip"
 *   "message_bytes_max"     1 to 536870912   "536870912"     the largest message
 * iter_out    on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * When this returns, the server has confirmed every channel, unless "connect" is "later"; then
 * redcol_iter_connect does that. A batch is returned when it has "batch_rows" rows, or when it has
 * any and "batch_ms" have passed since the last one (or since the beginning): "0" returns what has
 * come. Arrival is when redcol received the message, by this machine's clock. While a batch waits
 * for the caller nothing is received, so memory is bounded; the server then keeps messages up to
 * its client-output-buffer-limit, and closes the connection of a reader that is slower.
 * A server keeps no messages for a reader that is away. After a lost connection redcol subscribes
 * again, at the new master of a service, or at the node that has the slot. The statistic "gaps"
 * counts the times without a subscription, and "gap_ms" their milliseconds; "on_gap" "raise" also
 * returns GAP, once, after which the iterator goes on. On a connection where nothing comes for
 * "timeout_ms" (a second at least), redcol asks the server whether it is there (PING).
 * redcol_iter_next returns the batches, with VALUE for a message that does not fit (the next call
 * goes on after it), and TOO_LARGE for a message that is larger than "message_bytes_max" (the next
 * call subscribes again, after a gap). redcol_iter_unread does nothing, and
 * redcol_iter_position knows no position. Blocks as redcol_read_stream does. Any thread.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED, CONNECTION, NAME, TLS, TIMED_OUT,
 * AUTHENTICATION, PERMISSION, LOADING, SERVER, PROTOCOL, UNSUPPORTED.
 */
redcol_status redcol_subscribe(redcol_client *client, const char *const *channels,
                               const int64_t *channel_lengths, int64_t channel_count,
                               const char *const *patterns, const int64_t *pattern_lengths,
                               int64_t pattern_count, const struct ArrowSchema *schema,
                               const char *const *options, redcol_iter **iter_out,
                               redcol_error **error_out);

/*
 * BATCHES
 */

/*
 * Connect, create the group and look "$" up, for a read with the option "connect" = "later":
 * nothing that is added after REDCOL_OK is missed. For other reads, and a second time, this does
 * nothing.
 *
 * wait_ms         how long to wait, see "Waiting".
 * REDCOL_OK       done, now or before.
 * REDCOL_TIMEOUT  not done within `wait_ms`, or a signal came; call again to continue. After
 *                 wait_ms 0, redcol_iter_descriptor becomes readable once that is worth it.
 * negative        an error. Calling again begins again, except for a read that does not follow.
 * redcol_iter_next does the same first. This call does not reconnect. Blocks up to `wait_ms`. Any
 * thread, one at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, NO_GROUP, NO_STREAM, CANCELLED, CLOSED, BUSY,
 * FORKED.
 */
redcol_status redcol_iter_connect(redcol_iter *iter, int64_t wait_ms, redcol_error **error_out);

/*
 * Take the next batch.
 *
 * wait_ms         how long to wait for it, see "Waiting".
 * schema_out      NULL, or a struct that is written in every case.
 * batch_out       a struct that is written in every case.
 * REDCOL_OK       `*batch_out` is a struct array with one child per column, and `*schema_out` its
 *                 schema: both moved to the caller. Without a schema, a later batch may have more
 *                 columns than an earlier one, never fewer, and the earlier ones stay in their
 *                 places; with "discover" "auto" a column of strings may have become one of bytes.
 * REDCOL_END      there are no more batches. Calling again returns REDCOL_END again.
 * REDCOL_TIMEOUT  nothing within `wait_ms`, or a signal came; call again. Nothing is lost.
 * negative        an error. After CANCELLED and BUSY the iterator continues. After other errors a
 *                 range read returns the same error again. A read that follows tries again: after
 *                 MEMORY (and SCHEMA for too much text) with the rows that could not be handed
 *                 over; after VALUE with the next entry, while the entry stays pending in a group;
 *                 after TOO_LARGE also with the next entry, but in a group the error comes again
 *                 until the entry is acknowledged or deleted, or "on_error" passes it.
 * Unless REDCOL_OK is returned, both structs have a NULL release callback.
 * An empty or missing stream is not an error (but see "if_missing"): the read returns one batch
 * without rows, then REDCOL_END. Only the first batch may be empty, so that there always is one
 * that shows the columns. A read that follows returns no empty batch, unless "on_idle" is "empty".
 * After a lost connection redcol connects again: at once, then after 50 ms, then after longer and
 * longer times, up to 5 s, until a new entry or answer comes. It does the same when the server
 * refuses for now, having executed nothing: LOADING, BUSY, READONLY, MASTERDOWN, NOREPLICAS,
 * MISCONF, CLUSTERDOWN, TRYAGAIN, UNBLOCKED and too many clients. The nodes that MOVED and ASK
 * name are asked at once, as long as they do not send it round in circles. A range read gives up
 * after "timeout_ms" without any progress.
 * When answers do not get through, redcol asks for fewer entries at once.
 * Blocks up to `wait_ms`. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE, SCHEMA (more columns than
 * "columns_max"; more than 2 GiB of text, or 2^31 values, for u, z or +l in a batch: ask for U, Z,
 * +L or views, or for smaller batches), NO_GROUP, NO_STREAM, TOO_LARGE, GAP, CANCELLED, CLOSED,
 * BUSY, FORKED.
 * A read that follows connects again, for "reconnect_timeout_ms", in place of CONNECTION, NAME,
 * TIMED_OUT, LOADING and PROTOCOL. So does every read in place of AUTHENTICATION, if the
 * credentials are fetched at each connect.
 */
redcol_status redcol_iter_next(redcol_iter *iter, int64_t wait_ms, struct ArrowSchema *schema_out,
                               struct ArrowArray *batch_out, redcol_error **error_out);

/*
 * Take back the batch that redcol_iter_next returned last, because the caller could not use it (an
 * exception came, memory ran out). Its entries come again, except those that were acknowledged.
 * This works for a read that follows, before the next batch is asked for; otherwise it does
 * nothing. The iterator connects again. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also if the read does not follow), CLOSED, BUSY, FORKED.
 */
redcol_status redcol_iter_unread(redcol_iter *iter, redcol_error **error_out);

/*
 * Return the batches of an iterator as an Arrow stream, for a consumer that takes one: a query
 * engine, or another language. Each batch is read when get_next is called, and none is kept, so
 * that memory does not grow with the read. For a stream that may be read several times, see
 * redcol_iter_collect.
 *
 * iter        borrowed; the stream keeps what it needs, and may outlive it. Until the iterator is
 *             freed, redcol_cancel, redcol_close, redcol_iter_statistic and redcol_iter_ack work as
 *             before. A batch that redcol_iter_next takes is not in the stream. The read must end:
 *             one that follows needs "count", "end_id" or "on_idle" "stop". A group's member must
 *             not have "auto_ack", which would acknowledge what the consumer has only asked for:
 *             call redcol_iter_ack when the consumer is done.
 * stream_out  moved to the caller. One thread at a time may use it.
 * Without a schema, the stream's columns are those of the first batch, which get_schema then waits
 * for. A batch with another column is an error that names it; so is a column that "discover" "auto"
 * turns into bytes later. There are no batches without rows, unless "on_idle" is "empty".
 * The callbacks wait as long as it takes, as redcol_iter_next with -1; redcol_cancel ends that,
 * signals do not. They return 0, or ENOMEM (MEMORY), ECANCELED (CANCELLED: call again), EBUSY
 * (BUSY: call again), ETIMEDOUT (TIMED_OUT), EACCES (AUTHENTICATION, PERMISSION), EINVAL
 * (INVALID_ARGUMENT, VALUE, SCHEMA), or EIO for all other errors of redcol_iter_next;
 * get_last_error then returns the message.
 * Unless REDCOL_OK is returned, `*stream_out` has a NULL release callback. Does not block. Any
 * thread.
 * Errors: INVALID_ARGUMENT (also for a read that does not end, or has "auto_ack"), FORKED.
 */
redcol_status redcol_iter_stream(redcol_iter *iter, struct ArrowArrayStream *stream_out,
                                 redcol_error **error_out);

/*
 * OBSERVING
 */

/*
 * Return a file descriptor for an event loop: when redcol_iter_next with wait_ms 0 has returned
 * REDCOL_TIMEOUT, it becomes readable (poll, epoll, kqueue) once the call is worth making again.
 * Only wait on it. It stays the same over reconnects. Borrowed until the iterator is freed; -1 if
 * `iter` is not an iterator. Does not block. Any thread.
 */
int redcol_iter_descriptor(const redcol_iter *iter);

/*
 * Return a number that an iterator keeps, by name; -1 if there is no such name, or if `iter` is
 * not an iterator. Does not block. Any thread.
 *   "delivered"      rows handed over
 *   "rows_read"      rows read so far, including those that were not handed over yet. With
 *                    "bytes_received" it shows how far redcol_iter_next or redcol_iter_collect is
 *                    while another thread is inside it
 *   "acknowledged"   entries that were pending and were acknowledged through this iterator, as far
 *                    as the server has answered; a lower bound if an answer was lost
 *   "acknowledging"  entries that redcol_iter_ack_start or "auto_ack" noted and that the server has
 *                    not yet confirmed; this number also falls
 *   "redelivered"    rows that had been delivered before, to this consumer or another, as far as
 *                    the server or this iterator knows
 *   "claimed"        those of them that were claimed from another consumer
 *   "deleted"        pending entries that had been deleted: acknowledged without a row
 *   "dead_lettered"  entries moved to "dead_letter", by "max_deliveries" or "on_error"
 *   "nulled"         values that became null by "on_error"
 *   "skipped"        entries without a row by "on_error"
 *   "lost_entries"   entries that were gone before they were read, see "on_gap"
 *   "reconnects"     connections that were lost
 *   "bytes_received" bytes that servers have sent to it
 *   "started_at"     when it was made, in milliseconds since 1970
 *   "connected"      1 while there is a connection, as far as the iterator has looked; else 0: then
 *                    redcol_iter_last_error says why
 *   "empty_answers"  answers without entries, when there was nothing else to read either
 *   "idle_answers"   those of them that came after the last batch
 *   "resets"         groups created again, and streams that were deleted and begun again
 *   "streams"        of redcol_read_ranges: keys that were read to their end
 *   "empty_streams"  those of them that had no entry in the range, or were gone
 *   "wrong_types"    keys that held something other than a stream, at first or later; those that a
 *                    pattern matches only with "count_wrong_types"
 *   "gaps"           of redcol_subscribe: times without a subscription, after it had begun
 *   "gap_ms"         how many milliseconds those took, as far as they are over
 */
int64_t redcol_iter_statistic(const redcol_iter *iter, const char *name);

/*
 * Say where a read that follows or waits, or a group's member, is in a stream. Without a group, a
 * new read with this id as "start_id" continues there.
 *
 * stream            the key, with its length or -1; borrowed. NULL: the last row that was handed
 *                   over, of whatever stream.
 * milliseconds_out, sequence_out  each NULL, or written with a part of the id; 0 unless REDCOL_OK.
 * REDCOL_OK         they hold the id. Without a group, all entries up to it were handed over, or
 *                   left out by "on_error"; before the first, it is where the read begins. In a
 *                   group it is the largest id that this member has handed over or left out.
 * REDCOL_END        there is no id yet: nothing was handed over, in a group or in a read that
 *                   begins with the stream's first entry; or the iterator has not connected.
 * redcol_iter_unread moves the position back. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also for a stream that is not one of its own, and for a range), FORKED.
 */
redcol_status redcol_iter_position(const redcol_iter *iter, const char *stream,
                                   int64_t stream_length, uint64_t *milliseconds_out,
                                   uint64_t *sequence_out, redcol_error **error_out);

/*
 * Ask how many entries of a stream are still to come: for a group's member those that the group has
 * delivered to nobody, else those after redcol_iter_position. It uses a connection of its own, so
 * that it may be called while another thread waits in redcol_iter_next.
 *
 * stream          the key, with its length or -1; borrowed.
 * lag_out         NULL, or written with the number; 0 unless REDCOL_OK.
 * REDCOL_OK       it is written.
 * REDCOL_END      there is no such group, or its number is not known (see below).
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * If the position is after or before all entries, the number is 0 or the length of the stream
 * (XINFO STREAM). Otherwise, for a group, servers since Redis 7.0 keep this number (XINFO GROUPS),
 * and lose it when entries are deleted or the position is set. Without it, as without a group, the
 * entries are counted, which transfers them (XRANGE), 500 at a time, up to the one that was the
 * last when the count began. Servers before Redis 8 and Valkey 9 go on counting entries that were
 * trimmed before the group had them. So there, unless nothing was ever removed from the stream,
 * entries are counted, too. If there are more than 10,000, it is the server's number, which may be
 * too large; or not known, if it is larger than the stream. It may also be called after
 * redcol_close of the iterator; after redcol_close of its client it returns CLOSED. redcol_cancel
 * of the client ends it. Blocks for as long as the server takes, each answer up to
 * "answer_timeout_ms". Any thread.
 * Errors: INVALID_ARGUMENT (also for a stream that is not one of its own, and for a range),
 * CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER,
 * PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_iter_lag(const redcol_iter *iter, const char *stream, int64_t stream_length,
                              int64_t *lag_out, redcol_error **error_out);

/*
 * Return why a read has no connection: the last error by which it was lost, or the last answer of a
 * server that refuses for now. A caller that waits over lost connections can show it. NULL while
 * there is a connection, if none was lost, or if `iter` is not an iterator. Owned by the caller
 * (redcol_free). Does not block. Any thread.
 */
redcol_error *redcol_iter_last_error(const redcol_iter *iter);

/*
 * TABLES
 */

/*
 * Read to the end, and keep everything: what redcol_iter_next has not returned yet becomes a table,
 * which depends on nothing. Only for a read that can be repeated: a range, or one that waits once
 * ("block_ms"). Not for one that follows, nor for a group's member, whose batches are acknowledged
 * one by one.
 *
 * wait_ms         how long this call may take, see "Waiting".
 * table_out       on REDCOL_OK owned by the caller (redcol_free); otherwise NULL. There is a table
 *                 for an empty stream too: it has no rows.
 * REDCOL_END      redcol_iter_next or an earlier call has returned everything.
 * REDCOL_TIMEOUT  not everything within `wait_ms`, or a signal came; call again. What has been read
 *                 is kept for that call; redcol_iter_next would continue after it.
 * negative        an error, after which nothing is kept, except for CANCELLED and BUSY.
 * Blocks up to `wait_ms`. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT (also for a read that follows or has a group), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE,
 * SCHEMA, NO_STREAM, TOO_LARGE, CANCELLED, CLOSED, BUSY, FORKED.
 */
redcol_status redcol_iter_collect(redcol_iter *iter, int64_t wait_ms, redcol_table **table_out,
                                  redcol_error **error_out);

/*
 * Return a table as an Arrow stream, from its first batch on, any number of times. Its callbacks
 * wait for nothing. Streams, arrays and the table are released in any order and on any thread.
 * Batches share their buffers.
 *
 * table             borrowed; the stream may outlive it.
 * requested_schema  NULL, or a struct schema ("+s"); borrowed. A column of strings or bytes gets
 *                   the layout that the column of the same name has there: vu, u or U, and vz, z or
 *                   Z; of a dictionary, its values do; in structs and lists likewise. Everything
 *                   else in it is ignored, and so are u and z where a batch has more than 2 GiB of
 *                   text. Other columns, and all columns with NULL, have the layouts that the read
 *                   asked for. All layouts but views are a copy for each stream.
 * stream_out        moved to the caller. One thread at a time may use it.
 * Unless REDCOL_OK is returned, `*stream_out` has a NULL release callback. Does not block. Any
 * thread, and a forked child.
 * Errors: INVALID_ARGUMENT, SCHEMA (`requested_schema` is released or not a struct).
 */
redcol_status redcol_table_stream(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowArrayStream *stream_out, redcol_error **error_out);

/*
 * Return the schema of a table, as redcol_table_stream would return it: moved to `*schema_out`.
 * Does not block. Any thread, and a forked child.
 * Errors: INVALID_ARGUMENT, SCHEMA.
 */
redcol_status redcol_table_schema(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowSchema *schema_out, redcol_error **error_out);

/* Return how many rows a table has; -1 if `table` is not one. Does not block. Any thread. */
int64_t redcol_table_rows(const redcol_table *table);

/*
 * Find out which types the values of a table have. First read a sample without a schema and with
 * "discover" "binary", such as the newest 1,000 entries ("last" "1000"), and collect it as a table.
 * Then read the stream with the schema that this returns.
 *
 * table       borrowed.
 * schema_out  moved to the caller: the columns of the table. A column of bytes has the narrowest
 *             type that fits all its values: l, g, b, tdD, tsu: or tsn:, tsu:UTC or tsn:UTC (where
 *             each value has an offset), +s and +L (JSON), vu, or else vz. Columns of other types
 *             stay as they are. Where a read with this schema takes the values of two fields into
 *             one column ("_id" and "_id_field"), there is that column alone, as vu or vz.
 * Each value has been read as a read with this schema reads it, so such a read cannot fail on the
 * sample. Numbers with a plus or with leading zeros stay text, and so do numbers with more
 * digits than the type keeps: integers beyond 64 bits, and more than 17 digits of a float. Whole
 * numbers are l, even if they are only 0 and 1. Needs memory for the values of one column.
 * Unless REDCOL_OK is returned, `*schema_out` has a NULL release callback. Does not block. Any
 * thread, and a forked child.
 * Errors: INVALID_ARGUMENT.
 */
redcol_status redcol_infer_schema(const redcol_table *table, struct ArrowSchema *schema_out,
                                  redcol_error **error_out);

/*
 * ACKNOWLEDGING
 */

/*
 * Acknowledge entries of a consumer group (XACK): the server removes them from the pending entries
 * list.
 *
 * stream, group     the key and the group's name, with their lengths or -1; borrowed.
 * entry_ids         entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1;
 *                   borrowed. Any number.
 * acknowledged_out  NULL, or written with the number of entries that were pending and no longer
 *                   are.
 * REDCOL_OK         done. Entries that were not pending are not an error and do not count.
 * REDCOL_TIMEOUT    a signal came; call again to acknowledge the rest.
 * After a lost connection it is done again, since acknowledging twice does no harm; the count is
 * then a lower bound. Blocks for as long as the server takes, each answer up to
 * "answer_timeout_ms". Any thread.
 * Errors: INVALID_ARGUMENT (also a text that is not an id: nothing was sent), NO_GROUP, CONNECTION,
 * NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL,
 * UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_ack(redcol_client *client, const char *stream, int64_t stream_length,
                         const char *group, int64_t group_length, const char *entry_ids,
                         int64_t entry_ids_length, int64_t *acknowledged_out,
                         redcol_error **error_out);

/*
 * Acknowledge entries that an iterator has handed over as a group's member, and those that
 * "on_error" "skip" left out of the same batches. It uses a connection of its own, so that it may
 * be called while another thread waits in redcol_iter_next.
 *
 * stream     the key, with its length or -1; NULL if the iterator has only one; borrowed.
 * entry_ids  entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1; borrowed.
 *            NULL: all that were handed over and not acknowledged, of all its streams.
 * acknowledged_out, the outcomes and blocking are those of redcol_ack; REDCOL_TIMEOUT means that a
 * signal came: call again to acknowledge the rest. It may also be called after redcol_close of the
 * iterator, since what was handed over is still to be acknowledged; after redcol_close of its
 * client it returns CLOSED. redcol_cancel of the client ends it. If the group is gone and the
 * iterator creates it again ("create_group"), nothing is left to acknowledge: the count is 0, and
 * the log has a warning. Any thread.
 * Errors: INVALID_ARGUMENT (also if the iterator reads without a group), NO_GROUP ("create_group"
 * is "false"), CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING,
 * SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_iter_ack(redcol_iter *iter, const char *stream, int64_t stream_length,
                              const char *entry_ids, int64_t entry_ids_length,
                              int64_t *acknowledged_out, redcol_error **error_out);

/*
 * Acknowledge entries as redcol_iter_ack does, but without waiting: the iterator sends it on its
 * own connection, with its next request. For event loops, and for speed.
 *
 * stream, entry_ids  as in redcol_iter_ack.
 * REDCOL_OK   noted. The next redcol_iter_next sends it, unless the server is being asked to wait
 *             for entries at this moment: then it goes after that answer, at most "block_ms" later.
 *             The calls of redcol_iter_next that follow check the server's answer, and return its
 *             errors. After a lost connection it is sent again. The iterator ends only after all of
 *             it is answered, and a call after that sends what was noted since.
 * The statistic "acknowledging" says how many entries have no answer yet. Those that have none when
 * the iterator is closed or freed may stay pending: end with calls of redcol_iter_next, or with
 * redcol_iter_ack, whose NULL includes them. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also if the iterator reads without a group, and for a stream that is
 * not one of its own), CLOSED (the iterator was closed), FORKED.
 */
redcol_status redcol_iter_ack_start(redcol_iter *iter, const char *stream, int64_t stream_length,
                                    const char *entry_ids, int64_t entry_ids_length,
                                    redcol_error **error_out);

/*
 * ENTRY IDS
 */

/*
 * Ask for the id of a stream's last entry, where it ends now. As "end_id" it makes several reads
 * see the same entries, whatever is added meanwhile.
 *
 * stream            the key, with its length or -1; borrowed.
 * milliseconds_out, sequence_out  each NULL, or written with a part of the id; 0 unless REDCOL_OK.
 * REDCOL_OK         they hold the id.
 * REDCOL_END        the stream is empty or missing.
 * REDCOL_TIMEOUT    a signal came; call again to continue.
 * After a lost connection it is asked again. The user needs +xrevrange. Blocks for as long as the
 * server takes, each exchange up to "answer_timeout_ms". Any thread.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_last_id(redcol_client *client, const char *stream, int64_t stream_length,
                             uint64_t *milliseconds_out, uint64_t *sequence_out,
                             redcol_error **error_out);

/*
 * LISTS
 *
 * What is there, as tables: redcol_table_stream, redcol_table_schema and redcol_table_rows take
 * them, and redcol_free frees them. Nothing is changed on the server. Columns of texts are vu,
 * numbers l, and times tsm:UTC. A value that the server does not say is null, as is a number that
 * it says is negative. Names with NUL or bytes that are not UTF-8 show those as \xNN. Many commands
 * are under way at once; in a cluster each stream is asked for on its node. The primary is asked,
 * whatever "read_from" says. A list is no snapshot: streams may change while it is made.
 *
 * The options of redcol_list_groups and redcol_list_pending:
 *
 * Groups: only in redcol_list_groups
 *   "exact"        boolean    "false"  count the entries of lag_exact
 * Pending entries: only in redcol_list_pending
 *   "consumer"     name       none     only those of this consumer
 *   "min_idle_ms"  0 or more  "0"      only those that were delivered at least so long ago
 *   "start_id"     id         "-"      the first entry; "(id" excludes it
 *   "end_id"       id         "+"      the last entry; "(id" excludes it
 *   "count"        0 or more  none     at most this many entries
 */

/*
 * List streams: one row for each, sorted by key.
 *
 * client     borrowed.
 * pattern    NULL, or a pattern of keys as in redcol_read_ranges, `pattern_length` bytes or -1;
 *            borrowed. "*" lists all streams of the database.
 * streams    with `pattern` NULL: `stream_count` keys (0 to 10000000) and their lengths
 *            (`stream_lengths` NULL: each ends with a NUL byte); borrowed. With a pattern: NULL, 0.
 * table_out  on REDCOL_OK owned by the caller (redcol_free); otherwise NULL. Its columns:
 *   stream               the key
 *   length               the number of entries
 *   first_id, last_id    the ids of the first and the last entry; null in an empty stream
 *   first_ts, last_ts    the times in these ids
 *   entries_added        entries that were ever added; null before Redis 7.0
 *   groups               the number of consumer groups
 *   bytes                the memory it takes, estimated by the server (MEMORY USAGE); null if the
 *                        user has no right to that command
 * A key that is missing has no row. A key of another type is WRONG_TYPE if it is named, and left
 * out if a pattern has found it. The server sends the first and the last entry of each stream with
 * all fields; they are passed over as they come.
 * REDCOL_TIMEOUT means that a signal came: call again with the same arguments to continue. After a
 * lost connection, questions without an answer are asked again. The user needs +xinfo, and +scan
 * for a pattern. Blocks for as long as the server takes, each answer up to "answer_timeout_ms". Any
 * thread.
 * Errors: INVALID_ARGUMENT (also a pattern together with streams), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_list_streams(redcol_client *client, const char *pattern,
                                  int64_t pattern_length, const char *const *streams,
                                  const int64_t *stream_lengths, int64_t stream_count,
                                  redcol_table **table_out, redcol_error **error_out);

/*
 * List the consumer groups of streams: one row for each, sorted by key and name. Parameters,
 * ownership, outcomes, blocking and threads are those of redcol_list_streams, except for:
 *
 * options    NULL, or an array of strings "key", "value", …, NULL, see LISTS; borrowed.
 * table_out  Its columns:
 *   stream, group        the key, and the group's name
 *   consumers            the number of consumers
 *   pending              entries that were delivered and not acknowledged
 *   last_delivered_id    the id of the last entry that was delivered
 *   entries_read         entries that were delivered in all; null before Redis 7.0, and where the
 *                        server does not know
 *   lag                  entries that were not delivered yet; null before Redis 7.0, and where the
 *                        server does not know, as after entries were deleted. Servers before
 *                        Redis 8 and Valkey 9 go on counting entries that were trimmed before the
 *                        group had them
 *   lag_exact            with "exact": the same, counted; else null
 *   oldest_pending_ms    how long ago the first pending entry was delivered last, in milliseconds;
 *                        null if none is pending, or if the user has no right to XPENDING
 * Counting transfers all the entries that were not delivered (XRANGE), page by page, and keeps none
 * of them. It counts to the entry that is the last when it begins. Then the user also needs +xrange
 * and +xrevrange.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_list_groups(redcol_client *client, const char *pattern, int64_t pattern_length,
                                 const char *const *streams, const int64_t *stream_lengths,
                                 int64_t stream_count, const char *const *options,
                                 redcol_table **table_out, redcol_error **error_out);

/*
 * List the consumers of groups: one row for each, sorted by key, group and name. Parameters,
 * ownership, outcomes, blocking and threads are those of redcol_list_streams, except for:
 *
 * group      NULL for all groups, or the name of one, `group_length` bytes or -1; borrowed. A
 *            stream that a pattern has found and that lacks this group has no row.
 * table_out  Its columns:
 *   stream, group        the key, and the group's name
 *   consumer             the consumer's name
 *   pending              entries that were delivered to it and not acknowledged
 *   idle_ms              milliseconds since it tried to read, claim or acknowledge
 *   inactive_ms          milliseconds since it got an entry; null before Redis 7.2, and if it never
 *                        got one
 * Errors: INVALID_ARGUMENT, NO_GROUP (a stream that is named lacks `group`), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_list_consumers(redcol_client *client, const char *pattern,
                                    int64_t pattern_length, const char *const *streams,
                                    const int64_t *stream_lengths, int64_t stream_count,
                                    const char *group, int64_t group_length,
                                    redcol_table **table_out, redcol_error **error_out);

/*
 * List the pending entries of a group, in the order of their ids: those that were delivered and
 * not acknowledged. Outcomes, blocking and threads are those of redcol_list_streams.
 *
 * client         borrowed.
 * stream, group  the key and the group's name, with their lengths or -1; borrowed.
 * options        NULL, or an array of strings "key", "value", …, NULL, see LISTS; borrowed.
 * table_out      on REDCOL_OK owned by the caller (redcol_free); otherwise NULL. Its columns:
 *   _id            the entry's id
 *   _ts            its milliseconds (l)
 *   consumer       who has it
 *   idle_ms        milliseconds since it was delivered last
 *   deliveries     how often it was delivered
 * Entries are asked for in pages of 4096 (XPENDING). An entry that was deleted from its stream is
 * listed as long as it is pending. The user needs +xpending.
 * Errors: INVALID_ARGUMENT, NO_GROUP (also if the stream is missing), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_list_pending(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length,
                                  const char *const *options, redcol_table **table_out,
                                  redcol_error **error_out);

/*
 * Cut streams into ranges of ids that can be read side by side, without reading them: one row for
 * each range, sorted by key and id. Parameters, ownership, outcomes, blocking and threads are those
 * of redcol_list_streams, except for:
 *
 * options    NULL, or an array of strings "key", "value", …, NULL; borrowed:
 *   "rows"      1 or more  "1000000"  about how many entries a range has at most
 *   "start_id"  id         "-"        the first entry; "(id" excludes it
 *   "end_id"    id         "+"        the last entry; "(id" excludes it
 *   "entries"   0 or more  none       how many entries there are from "start_id" to "end_id", if
 *                                     you know; 0: it is not known
 * table_out  Its columns:
 *   stream            the key
 *   start_id, end_id  the range, both included: "start_id" and "end_id" of redcol_read_stream
 *   rows              about how many entries it has
 *
 * The last entry of each stream is looked up first, and nothing that is added later is in a range.
 * Together the ranges of a stream have each entry up to there once. A stream that is missing or has
 * no entry in the range has no row. The sizes are estimates, from a few entries at several places
 * (XRANGE and XREVRANGE) and from the number of entries: the length of the stream, if all of it is
 * cut, or "entries". With "entries" the same ids are cut at the same places again, whatever has
 * been added after them, as long as none is trimmed or deleted. Questions for all streams are under
 * way at once: about 8 for each range, and at most 16 (and 128 for each stream besides), in about
 * as many round trips as the number of ranges of a stream can be halved. The user needs +xinfo, and
 * +xrange and +xrevrange for a stream that has more than "rows" entries.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_partitions(redcol_client *client, const char *pattern, int64_t pattern_length,
                                const char *const *streams, const int64_t *stream_lengths,
                                int64_t stream_count, const char *const *options,
                                redcol_table **table_out, redcol_error **error_out);

/*
 * STEERING
 *
 * These functions change groups and streams: for the person who has to put something right. Except
 * for redcol_claim_entries, each has one outcome for a signal: REDCOL_TIMEOUT means that one came,
 * and that the same call continues it. Each blocks for as long as the server takes, each answer up
 * to "answer_timeout_ms". After a lost connection what has no answer is sent again, since doing it
 * twice does no harm. What the first try did is then not counted: a count is a lower bound, and a
 * group may be told as being there already, or as gone already. Numbers that are written for an
 * error say how far it came. Names of streams, groups and consumers must not be empty.
 */

/*
 * Create a consumer group (XGROUP CREATE).
 *
 * stream, group  the key and the group's name, with their lengths or -1; borrowed.
 * start_id       the group's first entry is the one after this id: "0" for all entries, "$" for
 *                those that are added from now on, an entry id or its milliseconds; borrowed.
 * create_stream  1: create the stream if it is missing, without entries. 0: then it is NO_GROUP.
 * created_out    NULL, or written with 1; with 0 if there was a group of this name, which stays as
 *                it is.
 * REDCOL_TIMEOUT a signal came; call again to continue.
 * Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT, NO_GROUP, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_create_group(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length, const char *start_id,
                                  int32_t create_stream, int64_t *created_out,
                                  redcol_error **error_out);

/*
 * Delete a consumer group, with its consumers and what it has pending (XGROUP DESTROY). The entries
 * stay in the stream. Iterators that have "create_group" create it again.
 *
 * stream, group  the key and the group's name, with their lengths or -1; borrowed.
 * deleted_out    NULL, or written with 1; with 0 if there was no such group or stream.
 * REDCOL_TIMEOUT a signal came; call again to continue.
 * Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_delete_group(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length, int64_t *deleted_out,
                                  redcol_error **error_out);

/*
 * Set where a consumer group reads on (XGROUP SETID): to deliver entries once more, or to pass over
 * some. Entries that are pending stay pending. Those after the new position are also delivered
 * again, and are then pending for the consumer that asks first.
 *
 * stream, group  the key and the group's name, with their lengths or -1; borrowed.
 * start_id       the next entry is the one after this id: "0", "$" for the stream's end at this
 *                moment, an entry id or its milliseconds; borrowed.
 * milliseconds_out, sequence_out
 *                each NULL, or written with a part of the id that the group was set to; 0 unless
 *                REDCOL_OK.
 * REDCOL_TIMEOUT a signal came; call again to continue.
 * The group's entries_read is set with it where the server can tell (Redis 7 and later): at the end
 * of the stream, and before its first entry. After another id the server knows neither that nor the
 * group's lag until the group has come to the end. The user needs +xinfo|stream and +xgroup|setid.
 * Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT, NO_GROUP (also if the stream is missing), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_seek_group(redcol_client *client, const char *stream, int64_t stream_length,
                                const char *group, int64_t group_length, const char *start_id,
                                uint64_t *milliseconds_out, uint64_t *sequence_out,
                                redcol_error **error_out);

/*
 * Delete a consumer of a group (XGROUP DELCONSUMER).
 *
 * stream, group, consumer
 *              the key and the names, with their lengths or -1; borrowed.
 * force        0: a consumer that has pending entries stays, which is PENDING. 1: it is deleted
 *              with them. Those entries were delivered and never come again, unless the group is
 *              set back: see redcol_seek_group.
 * pending_out  NULL, or written with the number of entries that were pending and no longer are. It
 *              is 0 for a consumer that the group does not have.
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * Without force a script looks and deletes in one step, so that nothing is delivered in between:
 * the user needs +eval, +xpending and +xgroup|delconsumer. Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT, PENDING, NO_GROUP (also if the stream is missing), CONNECTION, NAME,
 * TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_delete_consumer(redcol_client *client, const char *stream,
                                     int64_t stream_length, const char *group, int64_t group_length,
                                     const char *consumer, int64_t consumer_length, int32_t force,
                                     int64_t *pending_out, redcol_error **error_out);

/*
 * Give pending entries back, so that others may claim them at once: their idle time becomes
 * 2147483647 ms, the largest "claim_idle_ms" (XCLAIM … IDLE … JUSTID). Until somebody claims them
 * they stay pending for this consumer, which is delivered them when it begins again; how often they
 * were delivered stays, too.
 *
 * stream, group, consumer
 *               the key and the names, with their lengths or -1; borrowed.
 * entry_ids     entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1;
 *               borrowed. Any number.
 * released_out  NULL, or written with the number of entries that were released. Entries that are
 *               not pending for this consumer are left alone and do not count. An id that is given
 *               twice counts twice.
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * A script looks and releases in one step, so that no entry is taken from a consumer that has
 * claimed it meanwhile: the user needs +eval, +xpending and +xclaim. Blocks, see STEERING. Any
 * thread.
 * Errors: INVALID_ARGUMENT (also a text that is not an id: nothing was sent), NO_GROUP (also if the
 * stream is missing), CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_release_entries(redcol_client *client, const char *stream,
                                     int64_t stream_length, const char *group, int64_t group_length,
                                     const char *consumer, int64_t consumer_length,
                                     const char *entry_ids, int64_t entry_ids_length,
                                     int64_t *released_out, redcol_error **error_out);

/*
 * Start claiming pending entries of a group for a consumer, and reading them: a read that ends, as
 * of a group's member.
 *
 * client     borrowed; the iterator may outlive it.
 * stream     the key, `stream_length` bytes or -1; copied.
 * entry_ids  NULL, or entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1;
 *            copied. Those that nobody has pending are left out. NULL: all that have been idle for
 *            "claim_idle_ms".
 * schema     as in redcol_read_stream.
 * options    as in redcol_read_stream: "group", "consumer" and "claim_idle_ms" (default "0" with
 *            `entry_ids`: whoever holds them; with NULL it is needed), "count", "batch_rows", and
 *            what is about columns, values and sizes, but no dead letters; copied.
 * iter_out   on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * Entries come in the order of their ids. They are pending for the consumer afterwards; acknowledge
 * them by their ids. Those that were deleted from the stream are left out, and are no longer
 * pending (in Redis 6.2 they stay pending). A page of entries is claimed when the iterator asks for
 * it; the statistic "claimed" counts them. If a connection is lost while an answer is awaited,
 * redcol_iter_next returns CONNECTION and does not ask again: what was claimed by then is pending
 * for the consumer, and comes when it reads as the group's member. A missing group is NO_GROUP
 * there.
 * Nothing is sent before the first redcol_iter_next. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED.
 */
redcol_status redcol_claim_entries(redcol_client *client, const char *stream, int64_t stream_length,
                                   const char *entry_ids, int64_t entry_ids_length,
                                   const struct ArrowSchema *schema, const char *const *options,
                                   redcol_iter **iter_out, redcol_error **error_out);

/*
 * Delete the oldest entries of a stream (XTRIM).
 *
 * stream       the key, with its length or -1; borrowed.
 * maxlen       keep so many entries; -1 with `min_id`.
 * min_id       NULL, or keep the entries from this id on: an entry id or its milliseconds;
 *              borrowed.
 * approximate  1: leave a few more where deleting them costs the server much (~). 0: exactly.
 * deleted_out  NULL, or written with the number of deleted entries; 0 for a missing stream.
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * Entries that a group has not read are deleted, too. The server deletes about 10,000 entries at a
 * time, between which other clients have their turn. Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT (also both of maxlen and min_id, or neither), CONNECTION, NAME, TLS,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_trim_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                 int64_t maxlen, const char *min_id, int32_t approximate,
                                 int64_t *deleted_out, redcol_error **error_out);

/*
 * Delete entries of a stream (XDEL). Groups that have them pending keep their ids as pending.
 *
 * stream       the key, with its length or -1; borrowed.
 * entry_ids    entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1;
 *              borrowed. Any number.
 * deleted_out  NULL, or written with the number of entries that were there and no longer are.
 * REDCOL_TIMEOUT  a signal came; call again to continue.
 * Blocks, see STEERING. Any thread.
 * Errors: INVALID_ARGUMENT (also a text that is not an id: nothing was sent), CONNECTION, NAME,
 * TLS, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_delete_entries(redcol_client *client, const char *stream,
                                    int64_t stream_length, const char *entry_ids,
                                    int64_t entry_ids_length, int64_t *deleted_out,
                                    redcol_error **error_out);

/*
 * WRITING
 *
 * A frame is a stream of struct arrays ("+s"), one child per column. A column becomes the field of
 * its name; null values are not written. The types that can be written, and the text that their
 * values become:
 *   c C s S i I l L  digits; also Polars' own _pli128 and _plu128
 *   e f g            the shortest text that reads back the same; NaN, inf
 *   b                true, false
 *   d:p,s            all digits of the scale; 32, 64 or 128 bits
 *   u U vu           their bytes
 *   z Z vz w:n       their bytes
 *   tdD tdm, tt.     2024-01-31; 23:59:59 with the digits of the unit
 *   ts.:             2024-01-31T23:59:59 likewise; with a time zone in UTC, followed by +0000.
 *                    Years of more than six digits: ticks
 *   tD.              ISO 8601, as P1DT2H3M4.5S
 *   n                null
 *   +s +l +L +w:n    JSON of the above: durations in ticks, decimals and times as strings. No NaN,
 *                    no infinity and no bytes there
 *   an integer       with a dictionary of any of these that is not nested: the dictionary's value
 * What redcol_read_stream reads in the same types are the same values.
 */

/*
 * Start writing a frame's rows as entries of a stream (XADD), in their order.
 *
 * client      borrowed; the writer may outlive it.
 * stream      the key, `stream_length` bytes or -1; copied. NULL with "stream_column".
 * frame       see WRITING; moved to the library in every case, which releases it.
 * options     NULL, or an array of strings "key", "value", …, NULL; copied.
 *   "id_column"      text       none     column of ids; by default the server chooses them
 *   "stream_column"  text       none     column of each row's stream
 *   "maxlen"         0 or more  none     trim the stream to this many entries
 *   "min_id"         id         none     trim the stream to the entries from this id on
 *   "approximate"    boolean    "true"   with these: trim when it costs little (~), or exactly (=)
 *   "metadata"       word       "check"  "check", "omit" or "write": the columns that reads add
 *   "fence_key"      name       none     hash that says up to which row was written
 *   "fence_field"    text       ""       its field, for what writes the same rows again
 *   "fence_epoch"    0 to 4503599627370496  "0"  rows are numbered anew in each epoch
 *   "fence_row"      0 to 4503599627370496  "0"  number of the frame's first row in its epoch
 * writer_out  on REDCOL_OK owned by the caller (redcol_free); otherwise NULL.
 * Ids are "5-1", "5", "5-*" or "*"; null lets the server choose. "maxlen" and "min_id" exclude each
 * other. The columns that reads add are _id (a string), _ts (int64 or a timestamp), _seq (uint64),
 * _stream and _key (strings) and _index (uint64). "metadata" says what happens to them:
 *   "check"  _id is not written, and must hold whole entry ids. _ts and _seq are not written, and
 *            must say the same as _id, or else as the column of "id_column". All of them may be
 *            null. Where that does not hold, something would be lost: VALUE, or SCHEMA if there is
 *            no column of ids. The other three are SCHEMA, unless they are the "stream_column".
 *   "omit"   none of them is written.
 *   "write"  all of them are fields.
 * With "fence_key" a row that was written before is skipped; its id is null. So a program that died
 * can write all again, and a lost connection is made again. The field holds "EPOCH:ROW", the last
 * row that was written. Rows must be numbered without gaps, and have the same numbers each time. A
 * row of an earlier epoch than the field's counts as written. In a cluster, the hash and the stream
 * must be in one slot. A script writes each row (EVAL, HGET, HSET, XADD), at most 3,000 columns.
 * Nothing is sent. Only the frame's get_schema, which is called here, may block. Any thread.
 * Errors: INVALID_ARGUMENT (also if the frame is released, or lacks the id_column or
 * stream_column), SCHEMA (types that cannot be written, and what "metadata" has to decide), VALUE
 * (an error of the frame's own), MEMORY (also the frame's ENOMEM), CLOSED, FORKED.
 */
redcol_status redcol_write_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                  struct ArrowArrayStream *frame, const char *const *options,
                                  redcol_writer **writer_out, redcol_error **error_out);

/*
 * Start writing a frame's rows as hashes, one key per row. Parameters, ownership, blocking and
 * threads are those of redcol_write_stream, except for:
 *
 * options
 *   "key_column"  text                   "_key"     column of the keys; it is not a field
 *   "key_prefix"  text                   ""         stands before each key
 *   "ttl_ms"      1 to 4503599627370496  none       time to live of the keys, in milliseconds
 *   "if_exists"   word                   "replace"  "replace", "append" or "fail"
 * Keys are text, bytes or anything whose text is a key. Without "ttl_ms" a key that is created or
 * replaced lives forever, and one that is appended to lives as long as before. What happens to a
 * key that exists:
 *   "replace"  the hash has the row's fields and no others, whatever the key held; a row without
 *              values deletes it. MULTI, DEL, HSET, EXEC.
 *   "append"   fields are added to those it has. HSET, or EVAL with "ttl_ms".
 *   "fail"     KEY_EXISTS, and the key stays as it is. EVAL. Rows after it that are under way by
 *              then are still written: see "refused_rows".
 * Each key is written as a whole or not at all. A key that is twice in the frame is written twice,
 * in order. All columns but the keys' are fields.
 * Errors: INVALID_ARGUMENT (also if the frame lacks the column of the keys), SCHEMA, VALUE, MEMORY,
 * CLOSED, FORKED.
 */
redcol_status redcol_write_hashes(redcol_client *client, struct ArrowArrayStream *frame,
                                  const char *const *options, redcol_writer **writer_out,
                                  redcol_error **error_out);

/*
 * Start publishing a frame's rows as messages of a channel (PUBLISH), in their order. Parameters,
 * ownership, blocking and threads are those of redcol_write_stream, except for:
 *
 * channel     the channel, `channel_length` bytes or -1; copied. NULL with "channel_column".
 * options
 *   "channel_column"  text     none     column of each row's channel; it is not in the message
 *   "message_format"  word     "json"   "json" or "raw"
 *   "sharded"         boolean  "false"  SPUBLISH: at the node that has the channel's slot
 * With "json" a message is a JSON object with a key for each column, as in a struct column (see
 * WRITING): null values are there, and bytes are SCHEMA. With "raw" there is one column, besides
 * that of the channels, whose text is the message; null values are not published. redcol_subscribe
 * with the frame's schema reads the same values. In a cluster, a message that is not sharded is
 * published at one node, which passes it on to the others.
 * The statistic "receivers" counts the clients that have received the messages. A message whose
 * answer is missing is never sent again: "written" says how many are known to be published.
 * Errors: INVALID_ARGUMENT (also if the frame lacks the channel_column), SCHEMA, VALUE, MEMORY,
 * CLOSED, FORKED.
 */
redcol_status redcol_write_messages(redcol_client *client, const char *channel,
                                    int64_t channel_length, struct ArrowArrayStream *frame,
                                    const char *const *options, redcol_writer **writer_out,
                                    redcol_error **error_out);

/*
 * Write. Many rows are under way at once, at most 1 MiB of commands (or one row that is larger).
 *
 * wait_ms         how long to continue, see "Waiting".
 * REDCOL_OK       all rows are written, except those that have no values; the frame and all its
 *                 batches are released.
 * REDCOL_TIMEOUT  `wait_ms` is over, or a signal came; call again to continue.
 * negative        an error. After INVALID_ARGUMENT, CANCELLED and BUSY the writer continues. After
 *                 the first of the other errors it sends nothing more, still awaits what is under
 *                 way, and returns the same error again; "row" is the first row that it is about.
 *                 Rows before and after may be written: redcol_writer_statistic, redcol_writer_ids
 *                 and the detail "refused_rows" tell.
 * After a lost connection redcol connects again for up to "timeout_ms", where rows can be sent
 * twice without harm: hashes, unless "if_exists" is "fail", and rows that cannot have reached the
 * server. An XADD or PUBLISH whose answer is missing is never sent again: CONNECTION, and "unknown"
 * counts the rows. Rows that the server refuses for now, having executed nothing (see
 * redcol_iter_next), are sent again for as long, unless a row after them was written: rows come in
 * their order.
 * The frame's get_next is called here, and must not free the writer. Blocks up to `wait_ms`, and as
 * long as the frame takes. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE (a null key, a text that is not an id,
 * a value that no text holds, a column that "metadata" refuses, an error of the frame's own),
 * SCHEMA (a malformed batch), MEMORY (also the frame's ENOMEM), KEY_EXISTS, CANCELLED, CLOSED (also
 * after redcol_writer_stop), BUSY, FORKED.
 */
redcol_status redcol_writer_run(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);

/*
 * Send no more rows, and wait for the answers to those that were sent. Later calls of
 * redcol_writer_run return CLOSED, unless all rows were written before.
 *
 * wait_ms         how long to wait, see "Waiting".
 * REDCOL_OK       all that was sent is answered, without an error.
 * REDCOL_TIMEOUT  `wait_ms` is over, or a signal came; call again.
 * negative        the error of an answer, or the one that redcol_writer_run returned before.
 * It makes no new connection, and does not ask the frame. Blocks up to `wait_ms`. Any thread, one
 * at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TLS, TIMED_OUT, AUTHENTICATION, PERMISSION,
 * WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE, SCHEMA, MEMORY, KEY_EXISTS, CANCELLED,
 * CLOSED (after redcol_close), BUSY, FORKED.
 */
redcol_status redcol_writer_stop(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);

/*
 * Return the ids of the entries that were written since the last call of this function: a struct
 * array with one string column, "_id", and one row for each row of the frame whose outcome is
 * known. Null: no values, or refused. After MEMORY no more ids are returned, since one could be
 * taken for another row's. `schema_out` and `batch_out` are as in redcol_iter_next. It also works
 * after an error of redcol_writer_run, after redcol_writer_stop and after redcol_close. Does not
 * block. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT (hashes and messages have no ids), BUSY, FORKED.
 */
redcol_status redcol_writer_ids(redcol_writer *writer, struct ArrowSchema *schema_out,
                                struct ArrowArray *batch_out, redcol_error **error_out);

/*
 * Return a file descriptor for an event loop: when redcol_writer_run or redcol_writer_stop with
 * wait_ms 0 has returned REDCOL_TIMEOUT, it becomes readable (poll, epoll, kqueue) once the call is
 * worth making again. Only wait on it. It stays the same over reconnects. Borrowed until the writer
 * is freed; -1 if `writer` is not a writer. Does not block. Any thread.
 */
int redcol_writer_descriptor(const redcol_writer *writer);

/*
 * Return how far a write has come, by name; -1 if there is no such name, or if `writer` is not a
 * writer. Also while another thread is inside a call on it, and after redcol_close. Does not block.
 * Any thread.
 *   "written"     rows that the server has confirmed
 *   "refused"     rows that the server has answered with an error
 *   "empty"       rows without values, of which nothing was written
 *   "known"       leading rows of the frame whose outcome is known
 *   "bytes_sent"  bytes of the commands, those included that were sent again
 *   "receivers"   of redcol_write_messages: clients that have received a message, summed up over
 *                 the messages; in a cluster, those of the nodes that were asked
 *   "unknown"     rows after those that were sent and have no answer: they may be written or not.
 *                 The rows after them were not sent. In a cluster, rows that other nodes have
 *                 answered may stand between them: see the detail "unknown_rows". -1 while another
 *                 thread is inside a call on the writer
 */
int64_t redcol_writer_statistic(const redcol_writer *writer, const char *name);

/*
 * HANDLES
 */

/*
 * End the call that waits on `handle` (a redcol_client, redcol_iter or redcol_writer) on another
 * thread with REDCOL_ERROR_CANCELLED. If no call waits, the next call that would wait ends so.
 * Never blocks. Any thread; for an iterator and a writer also in a signal handler. On a closed
 * handle it does nothing.
 * Errors: INVALID_ARGUMENT (`handle` is not one of them), FORKED.
 */
redcol_status redcol_cancel(void *handle);

/*
 * Forget the call on `client` that a signal has ended with REDCOL_TIMEOUT on this thread, since it
 * will not be made again: an equal call later then begins again (see "Signals"). For hosts whose
 * signal handlers raise exceptions. NULL: the call of redcol_open. Does not block. Any thread.
 */
void redcol_forget(redcol_client *client);

/*
 * Close the connection of `handle` (a redcol_client, redcol_iter or redcol_writer) now. Later calls
 * on it return REDCOL_ERROR_CLOSED. Closing a client does not close its iterators and writers.
 * Closing twice is not an error. An iterator or writer that is inside a call on another thread is
 * cancelled first, and this returns REDCOL_ERROR_BUSY: call again. Does not block. Any thread, but
 * not in a signal handler.
 * Errors: INVALID_ARGUMENT (`handle` is not one of them), BUSY, FORKED.
 */
redcol_status redcol_close(void *handle);

/*
 * Free a redcol_client, redcol_iter, redcol_writer, redcol_table, redcol_credentials or
 * redcol_error. NULL is a no-op. Not while another thread is inside a call on it. Never blocks. Any
 * thread.
 */
void redcol_free(void *handle);

/*
 * ERRORS
 */

/*
 * Return the name of a status as in this header, such as "REDCOL_ERROR_CONNECTION", for logs;
 * "unknown status" for any other number. Static text, never NULL. Does not block. Any thread.
 */
const char *redcol_status_name(redcol_status status);

/* Return the status of an error; REDCOL_OK if `error` is not one. Does not block. Any thread. */
redcol_status redcol_error_status(const redcol_error *error);

/*
 * Return what was asked, what came back and what to do, in one or two sentences, without
 * credentials. Borrowed until the error is freed; never NULL ("" if `error` is not an error). Does
 * not block. Any thread.
 */
const char *redcol_error_message(const redcol_error *error);

/*
 * Return one detail of an error by name. Borrowed until the error is freed; NULL if it has no such
 * detail, or is not an error. Names of streams and keys are shown as they are, except for bytes
 * that are not UTF-8, control characters and those that reorder text: \xNN. A backslash is doubled.
 * Does not block. Any thread.
 *   "server_code"   the first word of the server's answer, such as "WRONGTYPE"
 *   "stream"        the stream's key
 *   "entry_id"      the entry that holds the value, or is too large
 *   "field"         the column of the field whose value does not fit: its name as in the schema
 *   "dtype"         the column's type, as an Arrow format string
 *   "value"         the value, cut at 80 bytes; everything but printable ASCII is \xNN
 *   "path"          of JSON text: where in the value it is that does not fit, as in "v.a[3]"; not
 *                   there if the text is not JSON
 *   "row"           the row of the frame that was to be written, counted from 0
 *   "key"           the key of the hash that was to be written
 *   "refused_rows"  the rows that the server refused in the same write, as in "3,7-9": the first of
 *                   them ended it, and the others were under way by then
 *   "lost_entries"  of a gap: how many entries are missing, if that is known
 *   "after_id", "before_id"
 *                   of a gap: the missing entries came after the first id, which was read or is
 *                   where the read began, and before the second; the second is not there if no
 *                   entry comes after them. Of a stream that was begun
 *                   again: the id up to which it was read, and how far it has come now
 *   "unknown_rows"  the rows of a write to several nodes of a cluster that were sent and have no
 *                   answer, in the same way
 *   "provider_code"  what a redcol_credentials_callback returned, if that was not 0
 */
const char *redcol_error_detail(const redcol_error *error, const char *name);

/*
 * LOGGING
 */

/* How important a line of the log is. */
enum {
  REDCOL_LOG_OFF = 0,
  REDCOL_LOG_ERROR = 1,
  REDCOL_LOG_WARNING = 2, /* somebody should look at it */
  REDCOL_LOG_INFO = 3,
  REDCOL_LOG_DEBUG = 4
};

/*
 * Takes a line of the log. `level` is one of REDCOL_LOG_…; `topic` is one word, such as
 * "connection"; `message` is one line of UTF-8 without values of entries and without credentials.
 * Both are borrowed for the call. Returns 0; another value ends the call of the library that wrote
 * the line with REDCOL_TIMEOUT, as a signal would, if it waits for a server.
 * It runs in the thread that is inside the library, and may run in several threads at once. It may
 * call the library, but must not free or close the handle that is in use, use longjmp or throw.
 */
typedef int32_t (*redcol_logger)(int32_t level, const char *topic, const char *message,
                                 void *user_data);

/*
 * Send the log of the process to `callback`: what no call returns, such as connections that were
 * lost and came back. About the same thing there is at most one line a second.
 *
 * level      the last level wanted: REDCOL_LOG_WARNING logs warnings and errors.
 * callback   NULL: no log, which is how the library starts.
 * user_data  passed to the callback; may be NULL. It may go away when this returns after another
 *            call has set another callback: the old one is no longer running then.
 * Blocks while the old callback runs in another thread. Any thread, and inside a callback.
 */
void redcol_set_logger(int32_t level, redcol_logger callback, void *user_data);

/*
 * PYTHON
 */

/*
 * For bindings to Python: the Arrow PyCapsule interface needs destructors that are C functions and
 * names that live as long as the process.
 *
 * redcol_capsule_setup          tell the library where CPython's PyCapsule_GetPointer is; once.
 * redcol_capsule_schema_name    "arrow_schema", static.
 * redcol_capsule_array_name     "arrow_array", static.
 * redcol_capsule_stream_name    "arrow_array_stream", static.
 * redcol_capsule_schema_new     memory for a struct ArrowSchema, zeroed; owned by the capsule.
 * redcol_capsule_array_new      memory for a struct ArrowArray, zeroed; owned by the capsule.
 * redcol_capsule_stream_new     memory for a struct ArrowArrayStream, zeroed; likewise.
 * redcol_capsule_schema_free    a PyCapsule_Destructor: releases the struct, unless it was moved
 * redcol_capsule_array_free     out, and frees its memory.
 * redcol_capsule_stream_free
 * redcol_capsule_schema_copy    fills `copy_out` with a copy of a schema that redcol_iter_next
 *                               returned; `schema` is borrowed, the copy moved to the caller. 0, or
 *                               -1 if there is no memory or `schema` is not one: then nothing is
 *                               moved.
 * redcol_capsule_handle_name    "redcol_handle", static.
 * redcol_capsule_handle_new     memory for a pointer to a handle, NULL at first, to be passed as
 *                               `client_out`, `iter_out` or `error_out`; owned by the capsule.
 * redcol_capsule_handle_free    a PyCapsule_Destructor: redcol_free of what the pointer points to.
 * redcol_capsule_logger         a redcol_logger for callbacks written in Python, which a signal's
 *                               handler can end before their first line. `user_data` points to a
 *                               redcol_logger and an int64_t, 0 at first. It calls that logger with
 *                               a pointer to an int32_t as `user_data`, which the logger sets to 1
 *                               when it is done. If it does not, the int64_t becomes 1 larger, and
 *                               the library's call ends as if the logger had asked for that.
 * redcol_capsule_credentials          a redcol_credentials_callback for callbacks in Python.
 * redcol_capsule_credentials_setup    set what it calls: a callback that begins by calling
 *                                     redcol_capsule_credentials_entered. NULL, before Python ends:
 *                                     none is called any more, and those that have not entered yet
 *                                     are waited for, at most a second.
 * The _new functions return NULL when there is no memory. Any thread that holds the GIL.
 */
void redcol_capsule_setup(void *(*capsule_get_pointer)(void *capsule, const char *name));
const char *redcol_capsule_schema_name(void);
const char *redcol_capsule_array_name(void);
struct ArrowSchema *redcol_capsule_schema_new(void);
struct ArrowArray *redcol_capsule_array_new(void);
void redcol_capsule_schema_free(void *capsule);
void redcol_capsule_array_free(void *capsule);
const char *redcol_capsule_stream_name(void);
struct ArrowArrayStream *redcol_capsule_stream_new(void);
void redcol_capsule_stream_free(void *capsule);
int redcol_capsule_schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *copy_out);
const char *redcol_capsule_handle_name(void);
void **redcol_capsule_handle_new(void);
void redcol_capsule_handle_free(void *capsule);
int32_t redcol_capsule_logger(int32_t level, const char *topic, const char *message,
                              void *user_data);
int32_t redcol_capsule_credentials(redcol_credentials_request *request, void *user_data);
void redcol_capsule_credentials_setup(redcol_credentials_callback callback);
void redcol_capsule_credentials_entered(void);

#ifdef __cplusplus
}
#endif

#endif /* REDCOL_H */

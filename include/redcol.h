/*
 * redcol.h - Redis Streams as Arrow columns: the whole C interface, and its manual.
 *
 * The five verbs
 *   redcol_open         connect to a server
 *   redcol_read_stream  start reading a stream
 *   redcol_iter_next    take the next batch of entries, as Arrow columns
 *   redcol_ack          acknowledge entries in a consumer group
 *   redcol_free         free whatever redcol gave you
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
 * Rules that hold everywhere
 *   Handles    are opaque. They are freed with redcol_free, in any order: an iterator keeps what it
 *              needs of its client, and batches and schemas depend on nothing. Using a handle after
 *              redcol_close gives REDCOL_ERROR_CLOSED. Using one after it was freed is undefined:
 *              as long as its memory has not been used again, that is noticed and gives
 *              REDCOL_ERROR_INVALID_ARGUMENT, or does nothing.
 *   Ownership  is said in four words. "Owned by the caller": free it with the function that is
 *              named. "Borrowed": read during the call only, unless a longer time is named.
 *              "Moved": the struct is filled for the caller, who must call its release callback.
 *              "Copied": the caller's memory can go when the call returns.
 *   Outcome    is a redcol_status. 0 and positive values are outcomes that are no errors; negative
 *              values are errors. A call returns either what was asked for or an error, never both.
 *   Errors     `error_out` may be NULL. Otherwise it is written by every call: NULL unless the
 *              status is negative, and then an object that is owned by the caller (redcol_free).
 *              Each function lists its statuses, without REDCOL_ERROR_; those with an `error_out`
 *              may also give MEMORY: the system has no more memory or file descriptors.
 *   Options    are strings, "key" and "value" in turn. One that does not exist is
 *              INVALID_ARGUMENT, and the message lists those that do, the most similar first. So is
 *              one that has no effect in the read it is given for.
 *   Memory     REDCOL_ERROR_MEMORY is the answer when the system refuses memory for anything whose
 *              size a caller or a server chooses: columns and buffers, texts and keys, ids, names
 *              of streams and fields, options, schemas, commands and answers, and what a group's
 *              iterator has in hand. The objects of the language's runtime are small, a few
 *              hundred bytes, and it ends the process (SIGILL) if one is refused. For them the
 *              library keeps a reserve of 2 MiB of addresses, which is given up when nothing else
 *              is left; calls then give MEMORY until there is a new one. So the process ends only
 *              if 2 MiB are not enough until the next look, or if another thread takes, between
 *              look and use, what was there for a large one.
 *   NULL       is allowed for every pointer. Where a pointer is needed, NULL gives
 *              REDCOL_ERROR_INVALID_ARGUMENT, not a crash.
 *   Text       is UTF-8 and ends with a NUL byte, except where a length stands beside it: then it
 *              is any bytes, and a length of -1 means that it ends with a NUL byte. More than
 *              512 MiB, which no server takes, give REDCOL_ERROR_INVALID_ARGUMENT.
 *   Threads    A client can be used from any number of threads. An iterator serves one call at a
 *              time: a second one that comes while the first runs gets REDCOL_ERROR_BUSY.
 *              redcol_cancel may be called on both from any thread. Batches and schemas may be
 *              released on any thread. No call may be left by pthread_cancel, longjmp or a C++
 *              exception. If one is, the iterator or writer gives REDCOL_ERROR_BUSY until it is
 *              closed: redcol_close and redcol_free work once that thread has ended, or on that
 *              thread itself. Up to some kilobytes are then never freed.
 *   fork       A child process gets REDCOL_ERROR_FORKED from handles that its parent made; freeing
 *              them there is safe and does not disturb the parent.
 *   Signals    The library installs no handler. A signal that interrupts a wait ends the call with
 *              REDCOL_TIMEOUT, so that the host can look at its signals and call again. The same
 *              call with the same arguments goes on where it was: it connects no second time, and
 *              its time limits go on from the first call. So a timer that sends a signal every few
 *              milliseconds does no harm. What was begun is kept by the client (by the process for
 *              redcol_open) for two seconds, then dropped at the next call. At most 64 calls are
 *              kept; the oldest is dropped first, and begins again.
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

/* A server that can be asked: an address, credentials, and an idle connection if there is one. */
typedef struct redcol_client redcol_client;
/* A read in progress: gives batches until it ends. */
typedef struct redcol_iter redcol_iter;
/* A write in progress: a frame's rows on their way to the server. */
typedef struct redcol_writer redcol_writer;
/* Batches of a read that has ended: can be looked at any number of times. */
typedef struct redcol_table redcol_table;
/* What went wrong, with the words to show to a person and the details to show to a program. */
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
  REDCOL_ERROR_WRONG_TYPE = -7,       /* the key holds something that is no stream */
  REDCOL_ERROR_LOADING = -8,          /* the server is still loading its data */
  REDCOL_ERROR_SERVER = -9,           /* any other error that the server answered */
  REDCOL_ERROR_PROTOCOL = -10,        /* bytes that no Redis server should send */
  REDCOL_ERROR_VALUE = -11,           /* a value does not fit its column */
  REDCOL_ERROR_SCHEMA = -12,          /* a schema or column type that cannot be read */
  REDCOL_ERROR_MEMORY = -13,          /* the system gave no memory, or no file descriptor */
  REDCOL_ERROR_UNSUPPORTED = -14,     /* known, but not offered by this build or server */
  REDCOL_ERROR_CANCELLED = -15,       /* redcol_cancel was called */
  REDCOL_ERROR_CLOSED = -16,          /* the handle was closed before */
  REDCOL_ERROR_BUSY = -17,            /* another thread is inside a call on this iterator */
  REDCOL_ERROR_FORKED = -18,          /* the handle was made before fork, by the parent */
  REDCOL_ERROR_NO_GROUP = -19,        /* the consumer group does not exist */
  REDCOL_ERROR_KEY_EXISTS = -20,      /* a key that was to be made exists already */
  REDCOL_ERROR_TOO_LARGE = -21        /* an entry is larger than the limits of the read */
};

/*
 * The version of the library at run time, as "major.minor.patch". Compare it with REDCOL_VERSION,
 * which is the version of this header. Static text, never NULL. Does not block. Any thread.
 */
const char *redcol_version(void);

/*
 * The same version as a number: major * 10000 + minor * 100 + patch. Compare it with
 * REDCOL_VERSION_NUMBER. Does not block. Any thread.
 */
int32_t redcol_version_number(void);

/*
 * Whether this build of the library has a feature: 1 if it does, 0 if it does not, if the name is
 * not known, or if it is NULL. Does not block. Any thread.
 *   "tls"  connections under TLS (rediss://)
 */
int redcol_feature(const char *name);

/*
 * The name of a status as this header has it, such as "REDCOL_ERROR_CONNECTION", for logs; "unknown
 * status" for a number that is none of them. Static text, never NULL. Does not block. Any thread.
 */
const char *redcol_status_name(redcol_status status);

/*
 * Make a schema from text, to be given to redcol_read_stream and the others:
 * "value:l,name:vu,at:tsm:Europe/Berlin,price:d:9,2".
 *
 * text        columns, with a comma between two of them; copied. Each is a name, a ":" and an Arrow
 *             format of those that redcol_read_stream lists, which stays as it is written. A
 *             dictionary is the format of its indices with that of its strings in braces:
 *             "color:I{vu}". In a name, "\" stands before a ":", a "," or a "\" of its own. Space
 *             before a name and after a format is ignored; "\ " begins a name with a space. ""
 *             makes a schema without columns. Nested types cannot be written.
 * schema_out  moved to the caller: a struct ("+s"), each child of which may be null.
 * Unless REDCOL_OK is returned, `*schema_out` has a NULL release callback. Does not block. Any
 * thread, and a forked child.
 * Errors: INVALID_ARGUMENT (NULL, or `text` is not UTF-8), SCHEMA (the message says which column is
 * wrong; also two columns of one name).
 */
redcol_status redcol_schema_new(const char *text, struct ArrowSchema *schema_out,
                                redcol_error **error_out);

/*
 * Connect to a server and log in.
 *
 * url      redis://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=n];
 *          copied. Parts are percent-decoded. IPv6 addresses stand in brackets. `?db=n` may stand
 *          in for `/db`, `?username=` and `?password=` for the part before the @. Default port
 *          6379, default db 0.
 * options  NULL, or an array of strings "key", "value", "key", "value", …, NULL; copied.
 *            "connect_timeout_ms"  connecting, logging in included; default "5000"
 *            "timeout_ms"          how long the server may stay silent while an answer is awaited;
 *                                  default "5000"
 *            "answer_timeout_ms"   how long a whole answer may take that comes at less than 4 KiB a
 *                                  second; default: ten times timeout_ms. An answer that flows
 *                                  faster may take any time, and so may a caller between two calls
 *            "connect"             "now", or "later": this call sends nothing and does not block.
 *                                  The first call that asks the server connects. Default "now"
 *          timeout_ms and answer_timeout_ms are over and above the time that the server is asked to
 *          wait for entries. After either the call gives TIMED_OUT, or connects again where it goes
 *          on over lost connections.
 * On REDCOL_OK `*client_out` is owned by the caller (redcol_free); otherwise it is NULL.
 * REDCOL_TIMEOUT means that a signal came: call again with the same arguments, which goes on. If it
 * is not made again, there is nothing to free.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, LOADING,
 * SERVER, PROTOCOL, UNSUPPORTED (rediss:// in a build without TLS).
 * The addresses of a name are tried in their order, the next one after 250 ms or when one has
 * refused; the first that answers is taken.
 * Blocks up to connect_timeout_ms, and as long as the system takes to resolve a name. Any thread.
 */
redcol_status redcol_open(const char *url, const char *const *options, redcol_client **client_out,
                          redcol_error **error_out);

/*
 * Start reading a stream: the entries of a range of ids, oldest first.
 *
 * client          borrowed; the iterator may outlive it.
 * stream          the key, `stream_length` bytes or -1; copied.
 * schema          NULL, or a struct schema ("+s") whose children are the columns wanted; copied,
 *                 its release callback is not called. Given: the batches have exactly these
 *                 columns, in this order; an entry that lacks a field has null there; other fields
 *                 are ignored. NULL: every field that is found, as "discover" says, in order of
 *                 first appearance. Types: b, c C s S i I l L, f g, vu u U, vz z Z, d:p,s
 *                 (128 bit), tdD, tts ttm ttu ttn, tss: tsm: tsu: tsn: with any time zone, tDs tDm
 *                 tDu tDn, integers with a dictionary of strings, and from JSON text +s, +l and +L
 *                 of these (but for vz z Z), nested 64 deep at most. Others: ERROR_SCHEMA. Batches
 *                 have the types that were asked for; u and z, and dictionaries of u, take a copy
 *                 of the text, and hold 2 GiB of it in a batch (see redcol_iter_next).
 *                 docs/dtypes.md says which texts each type reads. Text with an offset (Z, +02:00)
 *                 does not fit a timestamp without a time zone; text without one is local time in a
 *                 column's time zone, whose offsets are the system's data (TZDIR, else
 *                 /usr/share/zoneinfo), and does not fit where that does not exist or exists twice.
 * options         NULL, or an array of strings "key", "value", …, NULL; copied.
 *   "start_id"          "-" or an id: where to begin, inclusive; "(id" excludes it; default "-"
 *   "end_id"            "+" or an id: where to end, inclusive; "(id" excludes it; default "+", the
 *                       stream's last entry at the time of reading
 *   "count"             how many entries at the most; default: all
 *   "batch_rows"        how many rows a batch has at the most; default "65536"; "0" means one batch
 *                       for all of it
 *   "page_rows"         how many entries are asked of the server at once; default "0": chosen from
 *                       the size of the entries
 *   "include_id", "include_timestamp", "include_sequence"   "true" or "false": whether there is a
 *                       column for the whole id (string), for its milliseconds (int64) and for its
 *                       sequence number (uint64); default "true", "true", "false". They come first,
 *                       except those that the schema has, which stand where it has them: a column
 *                       of the schema with their name and type is theirs (for the milliseconds also
 *                       tsm:), even if "include_sequence" is not given. A column of their name and
 *                       another type is ERROR_SCHEMA. With "false" the name is free for a field
 *   "id_column", "timestamp_column", "sequence_column"
 *                       their names; default "_id", "_ts", "_seq". An entry's own field of such a
 *                       name, "_id" for instance, becomes the column "_id_field", or "_id_field2",
 *                       and so on, if another field has that name. The column's schema then has
 *                       Arrow metadata with the key "redcol.field": the field's name, bytes that
 *                       are not UTF-8 and NUL as \xNN (and so a backslash that begins such a text).
 *                       With a schema such a column is filled in the same way, and a field of the
 *                       column's own name goes before. Without a schema, a field whose name another
 *                       column already has is treated alike: a later field "_id_field" becomes the
 *                       column "_id_field_field". A schema finds that column's field only by the
 *                       field's own name, so the log says when it happens
 *   "on_error"          what becomes of a value that does not fit its column, or of its entry;
 *                       default "raise"
 *                         "raise"        VALUE; see redcol_iter_next
 *                         "null"         the value is null
 *                         "skip"         the entry gives no row; the log says how many there were.
 *                                        In a group it is acknowledged as the rest of its batch, or
 *                                        once a later entry of its stream is
 *                         "dead_letter"  only in a group: the entry gives no row, is copied to the
 *                                        stream "dead_letter" at once, and acknowledged
 *   "discovered"        the fields that a read without a schema has found before, as netstrings
 *                       ("1:a,4:blue,"): of each column the "redcol.field" of its metadata, or its
 *                       name. The schema then has columns for those that are wanted, and a field
 *                       that is none of them is ERROR_SCHEMA, with "entry_id" and "field", instead
 *                       of being ignored
 *   "field:N"           for column N of the schema (counted from 0): the name of its field;
 *                       default: the column's name. Spelled as in "discovered"
 *   "reserved"          names of columns that the caller adds, as netstrings: an entry's own field
 *                       of such a name becomes another column, as one called "_id" does
 *   "discover"          without a schema, what the columns are: "string", "binary", or "auto": a
 *                       column of strings becomes one of bytes with the first value that is not
 *                       UTF-8, and stays so. Default "string". With a schema: INVALID_ARGUMENT
 *   "string_layout"     "view", "large" or "string": the layout of texts in columns that are not in
 *                       the schema: vu and vz, U and Z, or u and z. Default: that of the first text
 *                       in the schema, else "view"
 *   "entry_bytes_max", "entry_fields_max"
 *                       how large an entry may be, and how many fields it may have: it is kept in
 *                       memory until it has come in full. Beyond that: ERROR_TOO_LARGE. Default
 *                       "1073741824" and "1048576"; a single value never has more than 512 MiB
 *   "columns_max"       how many columns may be discovered without a schema; default "10000"
 *   "categories:N"      for the dictionary column N of the schema (counted from 0): the only values
 *                       allowed, in order, as netstrings ("1:a,4:blue,"); default: any value.
 *                       "categories:N.M" for the child M of a struct or list column N, and so on
 *   "stream_column"     the name of a column for the stream's key, to which the same applies as to
 *                       the three above; default: none
 *   Waiting for entries. start_id then means "after this id", "-" the beginning and "$" the
 *   stream's last entry at the time of this call.
 *   "follow"            "true": read what is there and then what is added, without end (unless
 *                       count, end_id or "on_idle" gives one); over lost connections too. Default
 *                       "false". Without a group, what is there already is asked for ahead, when
 *                       the last batch of an answer is handed over: of one stream up to eight small
 *                       batches together, of 800 entries and about 128 KiB, or one of about 256 KiB
 *   "block_ms"          without "follow": read what is there, or wait so long for the first
 *                       entries; "0" waits for ever. Default: a read of a range, or of what a group
 *                       has. With "follow" and "on_idle" "wait": how long the server is asked to
 *                       wait at a time, at most and by default 1000; else what "on_idle" says
 *   "on_idle"           with "follow": what happens when the server has nothing to read for
 *                       "block_ms" ("0": never; without it, the server is asked once and does not
 *                       wait). "wait": go on waiting; the default. "empty": redcol_iter_next gives
 *                       a batch without rows. "stop": the end, "block_ms" after the read has
 *                       caught up, that is, after the server had fewer entries than were asked for.
 *                       Entries that are added within that time are given too, and do not make it
 *                       longer. A server that does not answer is not idle
 *   "reconnect_timeout_ms"
 *                       with "follow": when the server has not answered for so long,
 *                       redcol_iter_next gives the last error (CONNECTION, TIMED_OUT, NAME, LOADING
 *                       or what else it was), and can be called again; "0" is for ever. A
 *                       connection that is silent is first given up after "timeout_ms". Default:
 *                       "0" with "on_idle" "wait", else "10000"
 *   "connect"           "now", or "later": this call sends nothing and does not block, also in a
 *                       read that follows, waits or has a group. redcol_iter_connect, or else the
 *                       first redcol_iter_next, connects, makes the group and looks "$" up, and
 *                       gives the errors of that. For event loops. Default "now"
 *   Consumer groups. Entries are delivered to this consumer and pending until they are
 *   acknowledged. First come its own pending entries, then those it may claim, then new ones.
 *   "group", "consumer"  their names; both or neither. The options below need them
 *   "create_group"      "true": make the group (and the stream) if it is missing, now and whenever
 *                       it vanishes: then behind what this iterator knows to be handled. Entries
 *                       before that which other consumers had pending are not given again. Default
 *                       "true"
 *   "group_start_id"    where a group that is made begins: "0", "$" or an id; default "0".
 *                       Checked even if no group is made
 *   "auto_ack"          "true": a batch is acknowledged when the next is asked for. With "follow",
 *                       at the latest just before that one is handed over, and the server's answer
 *                       is looked at in the call after that. Without "follow", the end comes
 *                       when the last batch is acknowledged, and whatever becomes of that: a
 *                       warning is logged, and what was not acknowledged comes again. Default
 *                       "false"
 *   "claim_idle_ms"     take over entries that another consumer has held for so long; default:
 *                       never
 *   "max_deliveries"    how often an entry is delivered before it is put away; needs "dead_letter".
 *                       Default: for ever. Deliveries that this iterator asked for and never handed
 *                       over, since their answers were lost, do not count
 *   "dead_letter"       the stream to which it is then copied, and acknowledged, both or neither:
 *                       its fields, and dead_id, dead_stream, dead_group, dead_consumer and
 *                       dead_deliveries (how often it was delivered), for "on_error" also
 *                       dead_field and dead_reason. A field of its own with one
 *                       of these names becomes dead_id_field, or dead_id_field2, …. An entry that
 *                       was acknowledged or delivered again meanwhile stays as it is. The user
 *                       needs +xrange and +xadd, and either +eval, or +watch, +multi, +exec, +xlen
 *                       and +xdel and their like
 * On REDCOL_OK `*iter_out` is owned by the caller (redcol_free); otherwise it is NULL.
 * REDCOL_TIMEOUT means that a signal came: call again with the same arguments, which goes on.
 * A range read does not block: nothing is sent before the first redcol_iter_next. A read that
 * follows, waits or has a group connects here, makes the group and looks "$" up, so that nothing
 * that is added afterwards is missed: it blocks for up to connect_timeout_ms and timeout_ms. Any
 * thread.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED; of a read that connects here also CONNECTION,
 * NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED
 * (a key on another node of a cluster), NO_GROUP ("create_group" is "false").
 */
redcol_status redcol_read_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                 const struct ArrowSchema *schema, const char *const *options,
                                 redcol_iter **iter_out, redcol_error **error_out);

/*
 * Connect, make the group and look "$" up, for a read with the option "connect" = "later": nothing
 * that is added after REDCOL_OK is missed. Of other reads, and done twice, it does nothing.
 *
 * wait_ms         how long to wait for it: -1 as long as it takes, 0 not at all, else milliseconds.
 * REDCOL_OK       done, now or before.
 * REDCOL_TIMEOUT  not within `wait_ms`, or a signal came; call again, which goes on. After
 *                 wait_ms 0, redcol_iter_descriptor becomes readable once that is worth it.
 * negative        an error. Calling again begins again, except of a read that does not follow.
 * redcol_iter_next does the same first. A lost connection is not made again here. Blocks up to
 * `wait_ms`, and as long as the system takes to resolve a name. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, NO_GROUP, CANCELLED, CLOSED, BUSY, FORKED.
 */
redcol_status redcol_iter_connect(redcol_iter *iter, int64_t wait_ms, redcol_error **error_out);

/*
 * Take the next batch.
 *
 * wait_ms     how long to wait for it: -1 as long as it takes (each exchange with the server is
 *             still bounded by timeout_ms and answer_timeout_ms), 0 not at all, else
 *             milliseconds.
 * schema_out  NULL, or a struct that is written in every case.
 * batch_out   a struct that is written in every case.
 * REDCOL_OK       `*batch_out` is a struct array with one child per column, and `*schema_out` its
 *                 schema: both moved to the caller. Without a schema, a later batch may have more
 *                 columns than an earlier one, never fewer, and the earlier ones in the same
 *                 places; with "discover" as "auto" a column of strings may have become one of
 *                 bytes.
 * REDCOL_END      there are no more batches. Calling again gives REDCOL_END again.
 * REDCOL_TIMEOUT  nothing within `wait_ms`, or a signal came; call again. Nothing is lost.
 * negative        an error. After CANCELLED and BUSY the iterator goes on. After the others a range
 *                 read gives the same error again; one that follows tries again, after MEMORY (and
 *                 SCHEMA for too much text) with the rows that could not be handed over, and after
 *                 VALUE goes on behind that entry, which stays pending in a group. So it does after
 *                 TOO_LARGE, but in a group that comes again until the entry is acknowledged or
 *                 deleted.
 * Unless REDCOL_OK is returned, both structs have a NULL release callback.
 * An empty or missing stream is no error: it gives one batch without rows, then REDCOL_END. The
 * first batch may be empty, so that there always is one that shows the columns; the others never
 * are. A read that follows gives no empty batch, unless "on_idle" is "empty".
 * A lost connection is made again: at once, then after 50 ms, and then ever later, up to 5 s, until
 * an entry or an answer comes that was not there before. So is what the server refuses for now,
 * having executed nothing: LOADING, BUSY, READONLY, MASTERDOWN, NOREPLICAS, MISCONF, CLUSTERDOWN,
 * TRYAGAIN and too many clients. A range read gives up after timeout_ms without any progress. When
 * answers do not get through, fewer entries are asked for at once.
 * Blocks up to `wait_ms`, and as long as the system takes to resolve a name. Any thread, one at a
 * time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE, SCHEMA (more columns than "columns_max"; more
 * than 2 GiB of text, or 2^31 values, for u, z or +l in a batch: ask for U, Z, +L or views, or for
 * smaller batches), NO_GROUP, TOO_LARGE, CANCELLED, CLOSED, BUSY, FORKED. A read that follows
 * connects again, for "reconnect_timeout_ms", in place of CONNECTION, NAME, TIMED_OUT, LOADING and
 * PROTOCOL.
 */
redcol_status redcol_iter_next(redcol_iter *iter, int64_t wait_ms, struct ArrowSchema *schema_out,
                               struct ArrowArray *batch_out, redcol_error **error_out);

/*
 * Start reading several streams at once, by following them or as a group's member: as
 * redcol_read_stream, with `stream_count` keys and their lengths (`stream_lengths` NULL: each ends
 * with a NUL byte); all copied. The option "stream_column" names a column for the stream's key; ids
 * increase within each stream. Ownership, blocking and threads are those of redcol_read_stream, and
 * REDCOL_TIMEOUT means that a signal came: call again.
 * Errors: INVALID_ARGUMENT, SCHEMA, CLOSED, FORKED, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION,
 * PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, NO_GROUP.
 */
redcol_status redcol_read_streams(redcol_client *client, const char *const *streams,
                                  const int64_t *stream_lengths, int64_t stream_count,
                                  const struct ArrowSchema *schema, const char *const *options,
                                  redcol_iter **iter_out, redcol_error **error_out);

/*
 * Start reading the same range of ids of many streams: one stream after the other, each in the
 * order of its ids, with the requests for many of them under way at once on one connection.
 *
 * client          borrowed; the iterator may outlive it.
 * pattern         NULL, or a pattern of keys, `pattern_length` bytes or -1, copied: `*`, `?`,
 *                 `[abc]`, `[^a]`, `[a-z]`, and `\` before a character that stands for itself. The
 *                 streams whose keys match are looked for with SCAN (never KEYS) and read in the
 *                 order of their keys' bytes, each once. Streams that are there during the whole
 *                 search are found; those that are made or deleted meanwhile may be. A pattern
 *                 without a special character is a key, and read without a search.
 * streams         with `pattern` NULL: `stream_count` keys (0 to 10000000) and their lengths
 *                 (`stream_lengths` NULL: each ends with a NUL byte), all copied; read in this
 *                 order. None may be there twice. With a pattern: NULL and 0.
 * schema, options those of redcol_read_stream for a range, where "count" is the number of entries
 *                 of all streams together, and "stream_column" names a column for the stream's key
 *                 (bytes that are no UTF-8, and NUL, as \xNN). And:
 *   "count_per_stream"  how many entries of each stream at the most; default: all
 *   "scan_count"        how many keys the server looks at for each answer to SCAN; default "1000"
 *   "count_wrong_types" "true": keys that match the pattern and hold something else are counted in
 *                       the statistic "wrong_types". SCAN is sent twice for that; default "false"
 *   "streams_at_once"   how many streams are asked for at once at the most; default "0": chosen
 *                       from the size of the streams and the way to the server
 * A stream is read to the entry that is its last when it is come to. A key that is gone or that
 * holds something else is passed over; redcol_iter_statistic counts those. An iterator over no
 * stream at all gives one batch without rows, and no other. Without a schema, the columns grow by
 * the fields of later streams.
 * On REDCOL_OK `*iter_out` is owned by the caller (redcol_free); otherwise it is NULL. Nothing is
 * sent before the first redcol_iter_next, whose errors name the stream. For a pattern it may also
 * give PERMISSION for SCAN, and UNSUPPORTED if the server is a node of a cluster, since SCAN finds
 * only the streams of that node. After a lost connection a search begins anew, and a stream is read
 * on from where it was. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also a pattern together with streams), SCHEMA, CLOSED, FORKED.
 */
redcol_status redcol_read_ranges(redcol_client *client, const char *pattern, int64_t pattern_length,
                                 const char *const *streams, const int64_t *stream_lengths,
                                 int64_t stream_count, const struct ArrowSchema *schema,
                                 const char *const *options, redcol_iter **iter_out,
                                 redcol_error **error_out);

/*
 * Acknowledge entries that an iterator has handed over as a group's member, on a connection of its
 * own, so that it may be called while another thread waits in redcol_iter_next.
 *
 * stream     the key, with its length or -1; NULL if the iterator has only one; borrowed.
 * entry_ids  entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1; borrowed.
 *            NULL: all that were handed over and not acknowledged, of all its streams.
 * acknowledged_out, the outcomes and blocking are those of redcol_ack; REDCOL_TIMEOUT means that a
 * signal came: call again, which acknowledges what is left. It may be called after
 * redcol_close of the iterator too, since what was handed over is still to be acknowledged; after
 * that of its client it gives CLOSED. redcol_cancel of the client ends it. Any thread.
 * Errors: INVALID_ARGUMENT (also if the iterator reads without a group), NO_GROUP, CONNECTION,
 * NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_iter_ack(redcol_iter *iter, const char *stream, int64_t stream_length,
                              const char *entry_ids, int64_t entry_ids_length,
                              int64_t *acknowledged_out, redcol_error **error_out);

/*
 * Acknowledge entries as redcol_iter_ack does, but without waiting: the iterator sends it itself,
 * on its own connection, with its next request. For event loops, and for the speed of it.
 *
 * stream, entry_ids  as in redcol_iter_ack.
 * REDCOL_OK   noted. The next redcol_iter_next sends it, unless the server is just being asked to
 *             wait for entries: then it goes after that answer, at most "block_ms" later. What the
 *             server says to it is looked at in the calls of redcol_iter_next that follow, which
 *             give its errors. Over a lost connection it is sent again. The iterator's end comes
 *             only after all of it is answered, and a call after that sends what was noted since.
 * The statistic "acknowledging" says how many entries have no answer yet. Those that have none when
 * the iterator is closed or freed may stay pending: end with calls of redcol_iter_next, or with
 * redcol_iter_ack, whose NULL means these too. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also if the iterator reads without a group, and for a stream that is
 * none of its own), CLOSED (the iterator was closed), FORKED.
 */
redcol_status redcol_iter_ack_start(redcol_iter *iter, const char *stream, int64_t stream_length,
                                    const char *entry_ids, int64_t entry_ids_length,
                                    redcol_error **error_out);

/*
 * Take back the batch that redcol_iter_next gave last, because the caller could make nothing of it
 * (an exception came, memory ran out): its entries come again, but for those that were
 * acknowledged. Only of a read that follows, and before the next batch is asked for; else nothing
 * is done. The connection is made anew. Does not block. Any thread.
 * Errors: INVALID_ARGUMENT (also if it does not follow), CLOSED, BUSY, FORKED.
 */
redcol_status redcol_iter_unread(redcol_iter *iter, redcol_error **error_out);

/*
 * A file descriptor for an event loop: when redcol_iter_next with wait_ms 0 has given
 * REDCOL_TIMEOUT, it becomes readable (poll, epoll, kqueue) once the call is worth making again.
 * Only wait on it; it stays the same over reconnects. Borrowed until the iterator is freed; -1 if
 * `iter` is no iterator. Does not block. Any thread.
 */
int redcol_iter_descriptor(const redcol_iter *iter);

/*
 * What an iterator has done so far, by name; -1 for a name that there is not, or if `iter` is no
 * iterator. Does not block. Any thread.
 *   "delivered"      rows handed over
 *   "acknowledged"   entries that were pending and were acknowledged through this iterator, as far
 *                    as the server has answered; a lower bound if an answer was lost
 *   "acknowledging"  entries of which the server has not yet answered that they are acknowledged,
 *                    noted by redcol_iter_ack_start or "auto_ack"; it falls, too
 *   "redelivered"    rows that had been delivered before, to this consumer or another
 *   "claimed"        those of them that were taken over from another consumer
 *   "deleted"        pending entries that had been deleted: acknowledged without a row
 *   "dead_lettered"  entries put away after "max_deliveries", or by "on_error"
 *   "nulled"         values that became null by "on_error"
 *   "skipped"        entries that gave no row by "on_error"
 *   "reconnects"     connections that were lost
 *   "connected"      1 while there is a connection, as far as the iterator has looked; else 0: then
 *                    redcol_iter_last_error says why
 *   "empty_answers"  answers without entries, when there was nothing else to read either
 *   "idle_answers"   those of them that came after the last batch
 *   "resets"         groups made again, and streams that were deleted and begun anew
 *   "streams"        of redcol_read_ranges: keys that were read to their end
 *   "empty_streams"  those of them that had no entry in the range, or were gone
 *   "wrong_types"    keys that held something else than a stream, or did so after a while; those
 *                    that a pattern matches only with "count_wrong_types"
 */
int64_t redcol_iter_statistic(const redcol_iter *iter, const char *name);

/*
 * The batches of an iterator as an Arrow stream, for a consumer that takes one: a query engine, or
 * another language. Each batch is read when get_next is called, and none is kept, so that memory
 * does not grow with the read. For a stream that may be read several times, see
 * redcol_iter_collect.
 *
 * iter        borrowed; the stream keeps what it needs, and may outlive it. Until the iterator is
 *             freed, redcol_cancel, redcol_close, redcol_iter_statistic and redcol_iter_ack work as
 *             before. A batch that redcol_iter_next takes is not in the stream. It must come to an
 *             end: one that follows needs "count", "end_id" or "on_idle" "stop". As a group's
 *             member without "auto_ack", which would acknowledge what the consumer has only asked
 *             for: call redcol_iter_ack when the consumer is done.
 * stream_out  moved to the caller. One thread at a time may use it.
 * Without a schema, the stream's columns are those of the first batch, which get_schema then waits
 * for; a batch with a column more is an error that names it, as is a column that "discover" as
 * "auto" makes one of bytes later. There are no batches without rows,
 * unless "on_idle" is "empty".
 * The callbacks wait as long as it takes, as redcol_iter_next with -1; signals do not end that,
 * redcol_cancel does. They return 0, or ENOMEM (MEMORY), ECANCELED (CANCELLED: call again), EBUSY
 * (BUSY: call again), ETIMEDOUT (TIMED_OUT), EACCES (AUTHENTICATION, PERMISSION), EINVAL
 * (INVALID_ARGUMENT, VALUE, SCHEMA), or EIO for all other errors of redcol_iter_next;
 * get_last_error then gives the message.
 * Unless REDCOL_OK is returned, `*stream_out` has a NULL release callback. Does not block. Any
 * thread.
 * Errors: INVALID_ARGUMENT (also for a read that does not end, or has "auto_ack"), FORKED.
 */
redcol_status redcol_iter_stream(redcol_iter *iter, struct ArrowArrayStream *stream_out,
                                 redcol_error **error_out);

/*
 * Why a read has no connection: the last error by which it was lost, or that a server answered
 * which refuses for now. A wait that goes on over lost connections is not blind with it. NULL while
 * there is a connection, if none was lost, or if `iter` is no iterator. Owned by the caller
 * (redcol_free). Does not block. Any thread.
 */
redcol_error *redcol_iter_last_error(const redcol_iter *iter);

/*
 * Read to the end, and keep all of it: what redcol_iter_next has not given yet becomes a table,
 * which depends on nothing. Only of a read that can be made again: a range, or one that waits once
 * ("block_ms"); neither one that follows nor a group's member, whose batches are acknowledged one
 * by one.
 *
 * wait_ms  how long this call may take: -1 as long as it needs, 0 what can be had without waiting,
 *          else milliseconds.
 * REDCOL_OK       `*table_out` is owned by the caller (redcol_free). There is one for an empty
 *                 stream too: it has no rows.
 * REDCOL_END      redcol_iter_next or an earlier call has given all of it.
 * REDCOL_TIMEOUT  not all of it within `wait_ms`, or a signal came; call again. What has been read
 *                 is kept for that call; redcol_iter_next would go on behind it.
 * negative        an error, after which nothing is kept, but for CANCELLED and BUSY.
 * Unless REDCOL_OK is returned, `*table_out` is NULL. Blocks up to `wait_ms`. Any thread, one at a
 * time.
 * Errors: INVALID_ARGUMENT (also for a read that follows or has a group), CONNECTION, NAME,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE,
 * SCHEMA, TOO_LARGE, CANCELLED, CLOSED, BUSY, FORKED.
 */
redcol_status redcol_iter_collect(redcol_iter *iter, int64_t wait_ms, redcol_table **table_out,
                                  redcol_error **error_out);

/*
 * A table as an Arrow stream, from its first batch on, any number of times. Its callbacks wait for
 * nothing; streams, arrays and the table are released in any order and on any thread. Batches share
 * their buffers.
 *
 * table             borrowed; the stream may outlive it.
 * requested_schema  NULL, or a struct schema ("+s"); borrowed. Texts of a column are given in the
 *                   layout that its column of the same name has there: vu, u or U, and vz, z or Z;
 *                   of a dictionary, those of its values; in structs and lists likewise. All else
 *                   in it is ignored, and u and z where the texts of a batch are more than 2 GiB.
 *                   Other columns, and NULL: the layouts that the read asked for. All layouts but
 *                   views are a copy for each stream.
 * stream_out        moved to the caller. One thread at a time may use it.
 * Unless REDCOL_OK is returned, `*stream_out` has a NULL release callback. Does not block. Any
 * thread, and a forked child.
 * Errors: INVALID_ARGUMENT, SCHEMA (`requested_schema` is released or no struct).
 */
redcol_status redcol_table_stream(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowArrayStream *stream_out, redcol_error **error_out);

/*
 * The schema of a table, as redcol_table_stream would give it: moved to `*schema_out`.
 * Does not block. Any thread, and a forked child.
 * Errors: INVALID_ARGUMENT, SCHEMA.
 */
redcol_status redcol_table_schema(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowSchema *schema_out, redcol_error **error_out);

/* How many rows a table has; -1 if `table` is none. Does not block. Any thread. */
int64_t redcol_table_rows(const redcol_table *table);

/*
 * Acknowledge entries of a consumer group (XACK), so that the server forgets that they were
 * pending.
 *
 * stream, group   the key and the group's name, with their lengths or -1; borrowed.
 * entry_ids       entry ids, separated by spaces or line ends, `entry_ids_length` bytes or -1;
 *                 borrowed. Any number.
 * acknowledged_out  NULL, or written with the number of entries that were pending and are no
 *                   longer.
 * REDCOL_OK       done. Entries that were not pending are no error and do not count.
 * REDCOL_TIMEOUT  a signal came; call again, which acknowledges what is left.
 * After a lost connection it is done again, since acknowledging twice does no harm; the count is
 * then a lower bound. Blocks for as long as the server takes, each answer up to answer_timeout_ms.
 * Any thread.
 * Errors: INVALID_ARGUMENT (an id that is none: nothing was sent), NO_GROUP, CONNECTION, NAME,
 * TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE, LOADING, SERVER, PROTOCOL, UNSUPPORTED,
 * CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_ack(redcol_client *client, const char *stream, int64_t stream_length,
                         const char *group, int64_t group_length, const char *entry_ids,
                         int64_t entry_ids_length, int64_t *acknowledged_out,
                         redcol_error **error_out);

/*
 * Ask for the id of a stream's last entry, where it ends now: as "end_id" it makes several reads
 * see the same entries, whatever is added meanwhile.
 *
 * stream            the key, with its length or -1; borrowed.
 * milliseconds_out, sequence_out  each NULL, or written with a part of the id; 0 unless REDCOL_OK.
 * REDCOL_OK       they hold the id.
 * REDCOL_END      the stream is empty or missing.
 * REDCOL_TIMEOUT  a signal came; call again, which goes on.
 * After a lost connection it is asked again. The user needs +xrevrange. Blocks for as long as the
 * server takes, each exchange up to answer_timeout_ms. Any thread.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, CANCELLED, CLOSED, FORKED.
 */
redcol_status redcol_last_id(redcol_client *client, const char *stream, int64_t stream_length,
                             uint64_t *milliseconds_out, uint64_t *sequence_out,
                             redcol_error **error_out);

/*
 * Start writing a frame's rows as entries of a stream (XADD), in their order.
 *
 * client          borrowed; the writer may outlive it.
 * stream          the key, `stream_length` bytes or -1; copied. NULL with "stream_column".
 * frame           a stream of struct arrays ("+s"), one child per column; moved, in every case and
 *                 to be released by the library. A column becomes the field of its name; null
 *                 values are not written. Types and the text they become:
 *                   c C s S i I l L       digits; _pli128 and _plu128, Polars' own, too
 *                   e f g                 the shortest text that reads back the same; NaN, inf
 *                   b                     true, false
 *                   d:p,s                 all digits of the scale; 32, 64 or 128 bits
 *                   u U vu, z Z vz w:n    their bytes
 *                   tdD tdm, tt.          2024-01-31; 23:59:59 with the digits of the unit
 *                   ts.:                  2024-01-31T23:59:59 likewise; with a time zone in UTC,
 *                                         and +0000 behind it. Years of more than six digits: ticks
 *                   tD.                   ISO 8601, as P1DT2H3M4.5S
 *                   n                     null
 *                   +s +l +L +w:n         JSON of the above: durations in ticks, decimals and times
 *                                         as strings. No NaN, no infinity and no binary there
 *                   integers with a dictionary of any of these that is not nested
 *                 What redcol_read_stream reads in the same types are the same values.
 * options         NULL, or an array of strings "key", "value", …, NULL; copied.
 *   "id_column"         the column of the entries' ids ("5-1", "5", "5-*", "*"); null lets the
 *                       server choose. Default: the server chooses
 *   "stream_column"     the column of each row's stream
 *   "maxlen", "min_id"  trim the stream to a length, or from an id on; at most one of them
 *   "approximate"       "true": trim when it costs little (~); "false": exactly (=). Default "true"
 *   "metadata"          what becomes of columns that reads add: _id (a string), _ts (int64 or a
 *                       timestamp), _seq (uint64), _stream and _key (strings), _index (uint64).
 *                       "check": _id is not written, and must hold whole entry ids; _ts and _seq
 *                       are not written, and must say the same as _id, else as the column of
 *                       "id_column"; all of them may be null. Where that does not hold, something
 *                       would be lost: VALUE, or SCHEMA if there is no column of ids. The other
 *                       three are SCHEMA, unless they are the "stream_column". Default
 *                       "omit": none of them is written. "write": all of them are fields
 * On REDCOL_OK `*writer_out` is owned by the caller (redcol_free); otherwise it is NULL.
 * Nothing is sent, and nothing blocks but the frame's get_schema, which is called here. Any thread.
 * Errors: INVALID_ARGUMENT (also of a frame that is released, and of an id_column or stream_column
 * that it has not), SCHEMA (types that cannot be written, and what "metadata" has to decide), VALUE
 * (an error of the frame's own), MEMORY (the frame's ENOMEM, too), CLOSED, FORKED.
 */
redcol_status redcol_write_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                  struct ArrowArrayStream *frame, const char *const *options,
                                  redcol_writer **writer_out, redcol_error **error_out);

/*
 * Start writing a frame's rows as hashes, one key a row, as redcol_write_stream but for:
 *
 * options
 *   "key_column"   the column of the keys: text, binary or anything whose text is a key; it is no
 *                  field. Default "_key"
 *   "key_prefix"   stands before each key; default ""
 *   "ttl_ms"       the keys' time to live in milliseconds; default: they live for ever if they are
 *                  made or replaced, and as long as before if they are appended to
 *   "if_exists"    "replace": the hash has the row's fields and no others, whatever the key held;
 *                  a row without values deletes it. MULTI, DEL, HSET, EXEC. Default
 *                  "append": fields are set besides those it has (HSET, or EVAL with ttl_ms)
 *                  "fail": a key that exists is KEY_EXISTS, and stays as it is (EVAL). Rows after
 *                  it that are under way by then are still written: see "refused_rows"
 * Each key is written as a whole or not at all. A key twice in the frame is written twice, in
 * order. All columns but the keys' are fields. Ownership, blocking and threads are those of
 * redcol_write_stream.
 * Errors: INVALID_ARGUMENT (also of a frame without the column of the keys), SCHEMA, VALUE, MEMORY,
 * CLOSED, FORKED.
 */
redcol_status redcol_write_hashes(redcol_client *client, struct ArrowArrayStream *frame,
                                  const char *const *options, redcol_writer **writer_out,
                                  redcol_error **error_out);

/*
 * Write. Many rows are under way at once, at most 1 MiB of commands (or one row that is larger).
 *
 * wait_ms         how long to go on: -1 as long as it takes (each exchange with the server
 *                 is still bounded by timeout_ms and answer_timeout_ms), 0 without a wait, else
 *                 milliseconds.
 * REDCOL_OK       all rows are written, but for those that have no values; the frame and all its
 *                 batches are released.
 * REDCOL_TIMEOUT  `wait_ms` is over, or a signal came; call again, which goes on.
 * negative        an error. After INVALID_ARGUMENT, CANCELLED and BUSY the writer goes on. After
 *                 the first of the others nothing more is sent, what is under way is still awaited,
 *                 and the same error comes again; "row" is the first row that it is about. Rows
 *                 before and after may be written: redcol_writer_statistic, redcol_writer_ids and
 *                 the detail "refused_rows" tell.
 * A lost connection is made again for up to timeout_ms where rows can be sent twice without harm:
 * hashes, unless "if_exists" is "fail", and rows that cannot have reached the server. An XADD whose
 * answer is missing is never sent again: CONNECTION, and "unknown" counts the rows. Rows that the
 * server refuses for now, having executed nothing (see redcol_iter_next), are sent again for as
 * long, unless a row after them was written: rows come in their order.
 * The frame's get_next is called here, and must not free the writer. Blocks up to `wait_ms`, and as
 * long as the frame takes, or the system to resolve a name. Any thread, one at a time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE (a null key, an id that is none, a value that no
 * text holds, one that "metadata" does not let go, an error of the frame's own), SCHEMA
 * (a malformed batch), MEMORY (the frame's ENOMEM, too), KEY_EXISTS, CANCELLED, CLOSED (also after
 * redcol_writer_stop), BUSY, FORKED.
 */
redcol_status redcol_writer_run(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);

/*
 * Send no more rows, and wait for the answers to those that were sent. Later calls of
 * redcol_writer_run give CLOSED, unless all rows were written before.
 *
 * wait_ms         as in redcol_writer_run.
 * REDCOL_OK       all that was sent is answered, without an error.
 * REDCOL_TIMEOUT  `wait_ms` is over, or a signal came; call again.
 * negative        the error of an answer, or the one that redcol_writer_run gave before.
 * Makes no new connection, and does not ask the frame. Blocks up to `wait_ms`. Any thread, one at a
 * time.
 * Errors: INVALID_ARGUMENT, CONNECTION, NAME, TIMED_OUT, AUTHENTICATION, PERMISSION, WRONG_TYPE,
 * LOADING, SERVER, PROTOCOL, UNSUPPORTED, VALUE, SCHEMA, MEMORY, KEY_EXISTS, CANCELLED, CLOSED
 * (after redcol_close), BUSY, FORKED.
 */
redcol_status redcol_writer_stop(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);

/*
 * The ids of the entries that were written since the last call of this function: a struct array
 * with one string column, "_id", and one row for each row of the frame of which it is known what
 * became of it. Null: no values, or refused. After MEMORY no ids are given any more, since one
 * could be taken for another row's. `schema_out` and `batch_out` as in redcol_iter_next. Also after
 * an error of redcol_writer_run, after redcol_writer_stop and after redcol_close. Does not block.
 * Any thread, one at a time.
 * Errors: INVALID_ARGUMENT (hashes have no ids), BUSY, FORKED.
 */
redcol_status redcol_writer_ids(redcol_writer *writer, struct ArrowSchema *schema_out,
                                struct ArrowArray *batch_out, redcol_error **error_out);

/*
 * A file descriptor for an event loop: when redcol_writer_run or redcol_writer_stop with wait_ms 0
 * has given REDCOL_TIMEOUT, it becomes readable (poll, epoll, kqueue) once the call is worth making
 * again. Only wait on it; it stays the same over reconnects. Borrowed until the writer is freed; -1
 * if `writer` is no writer. Does not block. Any thread.
 */
int redcol_writer_descriptor(const redcol_writer *writer);

/*
 * How far a write has come, by name; -1 for a name that there is not, if `writer` is no writer, or
 * while another thread is inside a call on it. Also after redcol_close. Does not block. Any thread.
 *   "written"  rows that the server has confirmed
 *   "refused"  rows that the server has answered with an error
 *   "empty"    rows without values, of which nothing was written
 *   "known"    rows from the frame's first on, of each of which it is known what became of it
 *   "unknown"  rows after those which were sent and have no answer: they may be written or not.
 *              What comes after them was not sent
 */
int64_t redcol_writer_statistic(const redcol_writer *writer, const char *name);

/*
 * End the call that waits on `handle` (a redcol_client, redcol_iter or redcol_writer) on another
 * thread with REDCOL_ERROR_CANCELLED; if none waits, the next call that would wait ends so. Never
 * blocks; any thread; for an iterator and a writer also in a signal handler. Of one that is closed
 * it does nothing.
 * Errors: INVALID_ARGUMENT (`handle` is none of them), FORKED.
 */
redcol_status redcol_cancel(void *handle);

/*
 * Close the connection of `handle` (a redcol_client, redcol_iter or redcol_writer) now; later calls
 * on it give REDCOL_ERROR_CLOSED. Closing a client does not close its iterators and writers. Doing
 * it twice is no error. An iterator or writer that is inside a call on another thread is cancelled
 * first, and gives REDCOL_ERROR_BUSY: call again. Does not block. Any thread, but not in a
 * signal handler.
 * Errors: INVALID_ARGUMENT (`handle` is none of them), BUSY, FORKED.
 */
redcol_status redcol_close(void *handle);

/*
 * Free a redcol_client, redcol_iter, redcol_writer, redcol_table or redcol_error. NULL is a no-op.
 * Not while another thread is inside a call on it. Never blocks. Any thread.
 */
void redcol_free(void *handle);

/* The status of an error; REDCOL_OK if `error` is none. Does not block. Any thread. */
redcol_status redcol_error_status(const redcol_error *error);

/*
 * What was asked, what came back and what to do, in one or two sentences, without credentials.
 * Borrowed until the error is freed; never NULL ("" if `error` is none). Does not block. Any
 * thread.
 */
const char *redcol_error_message(const redcol_error *error);

/*
 * One detail of an error by name; borrowed until the error is freed; NULL if it has no such detail,
 * or is none. Does not block. Any thread.
 *   "server_code"  the first word of the server's answer, such as "WRONGTYPE"
 *   "stream"       the stream's key, bytes that are not printable escaped as \xNN
 *   "entry_id"     the entry that holds the value, or is too large
 *   "field"        the field whose value does not fit
 *   "dtype"        the column's type, as an Arrow format string
 *   "value"        the value, escaped likewise and cut at 80 bytes
 *   "path"         of JSON text: where in the value it is that does not fit, as in "v.a[3]"; not
 *                  there if the text is not JSON
 *   "row"          the row of the frame that was to be written, counted from 0
 *   "key"          the key of the hash that was to be written, escaped as the stream's
 *   "refused_rows" the rows that the server refused in the same write, as in "3,7-9": the first of
 *                  them ended it, and the others were under way by then
 */
const char *redcol_error_detail(const redcol_error *error, const char *name);

/*
 * How many objects of the library are alive in this process: handles, errors, and exported arrays
 * and schemas that were not released. For tests that look for leaks. Does not block. Any thread.
 */
int64_t redcol_live_objects(void);

/* How much a line of the log matters. */
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
 * lost and made again. About the same thing there is at most one line a second.
 *
 * level      the last level wanted: REDCOL_LOG_WARNING gives warnings and errors.
 * callback   NULL: no log, which is how the library starts.
 * user_data  passed to the callback; may be NULL. It can go when this returns after another call
 *            has set another callback: the old one is no longer running then.
 * Blocks while the old callback runs in another thread. Any thread, and inside a callback.
 */
void redcol_set_logger(int32_t level, redcol_logger callback, void *user_data);

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
 *                               gave; `schema` is borrowed, the copy moved to the caller. 0, or -1
 *                               when there is no memory or `schema` is none: nothing is given.
 * redcol_capsule_handle_name    "redcol_handle", static.
 * redcol_capsule_handle_new     memory for a pointer to a handle, NULL at first, to be given as
 *                               `client_out`, `iter_out` or `error_out`; owned by the capsule.
 * redcol_capsule_handle_free    a PyCapsule_Destructor: redcol_free of what the pointer points to.
 * The _new functions give NULL when there is no memory. Any thread that holds the GIL.
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

#ifdef __cplusplus
}
#endif

#endif /* REDCOL_H */

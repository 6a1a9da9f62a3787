/* The interface of redcol 0.1.0, as scripts/check_abi.py keeps it. */
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
typedef struct redcol_client redcol_client;
typedef struct redcol_credentials redcol_credentials;
typedef struct redcol_iter redcol_iter;
typedef struct redcol_writer redcol_writer;
typedef struct redcol_table redcol_table;
typedef struct redcol_error redcol_error;
typedef int32_t redcol_status;
enum {
  REDCOL_OK = 0,
  REDCOL_END = 1,
  REDCOL_TIMEOUT = 2,
  REDCOL_ERROR_INVALID_ARGUMENT = -1,
  REDCOL_ERROR_CONNECTION = -2,
  REDCOL_ERROR_NAME = -3,
  REDCOL_ERROR_TIMED_OUT = -4,
  REDCOL_ERROR_AUTHENTICATION = -5,
  REDCOL_ERROR_PERMISSION = -6,
  REDCOL_ERROR_WRONG_TYPE = -7,
  REDCOL_ERROR_LOADING = -8,
  REDCOL_ERROR_SERVER = -9,
  REDCOL_ERROR_PROTOCOL = -10,
  REDCOL_ERROR_VALUE = -11,
  REDCOL_ERROR_SCHEMA = -12,
  REDCOL_ERROR_MEMORY = -13,
  REDCOL_ERROR_UNSUPPORTED = -14,
  REDCOL_ERROR_CANCELLED = -15,
  REDCOL_ERROR_CLOSED = -16,
  REDCOL_ERROR_BUSY = -17,
  REDCOL_ERROR_FORKED = -18,
  REDCOL_ERROR_NO_GROUP = -19,
  REDCOL_ERROR_KEY_EXISTS = -20,
  REDCOL_ERROR_TOO_LARGE = -21,
  REDCOL_ERROR_TLS = -22,
  REDCOL_ERROR_PENDING = -23,
  REDCOL_ERROR_GAP = -24,
  REDCOL_ERROR_NO_STREAM = -25
};
const char *redcol_version(void);
int32_t redcol_version_number(void);
int redcol_feature(const char *name);
int64_t redcol_live_objects(void);
redcol_status redcol_open(const char *url, const char *const *options, redcol_client **client_out,
                          redcol_error **error_out);
typedef struct redcol_credentials_request redcol_credentials_request;
typedef int32_t (*redcol_credentials_callback)(redcol_credentials_request *request,
                                               void *user_data);
typedef void (*redcol_release)(void *user_data);
redcol_status redcol_credentials_new(redcol_credentials_callback callback, void *user_data,
                                     redcol_release release, redcol_credentials **credentials_out,
                                     redcol_error **error_out);
redcol_status redcol_credentials_set(redcol_credentials_request *request, const char *user,
                                     int64_t user_length, const char *password,
                                     int64_t password_length, redcol_error **error_out);
redcol_status redcol_open_with_credentials(const char *url, const char *const *options,
                                           redcol_credentials *credentials,
                                           redcol_client **client_out, redcol_error **error_out);
redcol_status redcol_schema_new(const char *text, struct ArrowSchema *schema_out,
                                redcol_error **error_out);
redcol_status redcol_read_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                 const struct ArrowSchema *schema, const char *const *options,
                                 redcol_iter **iter_out, redcol_error **error_out);
redcol_status redcol_read_streams(redcol_client *client, const char *const *streams,
                                  const int64_t *stream_lengths, int64_t stream_count,
                                  const struct ArrowSchema *schema, const char *const *options,
                                  redcol_iter **iter_out, redcol_error **error_out);
redcol_status redcol_read_ranges(redcol_client *client, const char *pattern, int64_t pattern_length,
                                 const char *const *streams, const int64_t *stream_lengths,
                                 int64_t stream_count, const struct ArrowSchema *schema,
                                 const char *const *options, redcol_iter **iter_out,
                                 redcol_error **error_out);
redcol_status redcol_subscribe(redcol_client *client, const char *const *channels,
                               const int64_t *channel_lengths, int64_t channel_count,
                               const char *const *patterns, const int64_t *pattern_lengths,
                               int64_t pattern_count, const struct ArrowSchema *schema,
                               const char *const *options, redcol_iter **iter_out,
                               redcol_error **error_out);
redcol_status redcol_iter_connect(redcol_iter *iter, int64_t wait_ms, redcol_error **error_out);
redcol_status redcol_iter_next(redcol_iter *iter, int64_t wait_ms, struct ArrowSchema *schema_out,
                               struct ArrowArray *batch_out, redcol_error **error_out);
redcol_status redcol_iter_unread(redcol_iter *iter, redcol_error **error_out);
redcol_status redcol_iter_stream(redcol_iter *iter, struct ArrowArrayStream *stream_out,
                                 redcol_error **error_out);
int redcol_iter_descriptor(const redcol_iter *iter);
int64_t redcol_iter_statistic(const redcol_iter *iter, const char *name);
redcol_status redcol_iter_position(const redcol_iter *iter, const char *stream,
                                   int64_t stream_length, uint64_t *milliseconds_out,
                                   uint64_t *sequence_out, redcol_error **error_out);
redcol_status redcol_iter_lag(const redcol_iter *iter, const char *stream, int64_t stream_length,
                              int64_t *lag_out, redcol_error **error_out);
redcol_error *redcol_iter_last_error(const redcol_iter *iter);
redcol_status redcol_iter_collect(redcol_iter *iter, int64_t wait_ms, redcol_table **table_out,
                                  redcol_error **error_out);
redcol_status redcol_table_stream(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowArrayStream *stream_out, redcol_error **error_out);
redcol_status redcol_table_schema(const redcol_table *table,
                                  const struct ArrowSchema *requested_schema,
                                  struct ArrowSchema *schema_out, redcol_error **error_out);
int64_t redcol_table_rows(const redcol_table *table);
redcol_status redcol_infer_schema(const redcol_table *table, struct ArrowSchema *schema_out,
                                  redcol_error **error_out);
redcol_status redcol_ack(redcol_client *client, const char *stream, int64_t stream_length,
                         const char *group, int64_t group_length, const char *entry_ids,
                         int64_t entry_ids_length, int64_t *acknowledged_out,
                         redcol_error **error_out);
redcol_status redcol_iter_ack(redcol_iter *iter, const char *stream, int64_t stream_length,
                              const char *entry_ids, int64_t entry_ids_length,
                              int64_t *acknowledged_out, redcol_error **error_out);
redcol_status redcol_iter_ack_start(redcol_iter *iter, const char *stream, int64_t stream_length,
                                    const char *entry_ids, int64_t entry_ids_length,
                                    redcol_error **error_out);
redcol_status redcol_last_id(redcol_client *client, const char *stream, int64_t stream_length,
                             uint64_t *milliseconds_out, uint64_t *sequence_out,
                             redcol_error **error_out);
redcol_status redcol_list_streams(redcol_client *client, const char *pattern,
                                  int64_t pattern_length, const char *const *streams,
                                  const int64_t *stream_lengths, int64_t stream_count,
                                  redcol_table **table_out, redcol_error **error_out);
redcol_status redcol_list_groups(redcol_client *client, const char *pattern, int64_t pattern_length,
                                 const char *const *streams, const int64_t *stream_lengths,
                                 int64_t stream_count, const char *const *options,
                                 redcol_table **table_out, redcol_error **error_out);
redcol_status redcol_list_consumers(redcol_client *client, const char *pattern,
                                    int64_t pattern_length, const char *const *streams,
                                    const int64_t *stream_lengths, int64_t stream_count,
                                    const char *group, int64_t group_length,
                                    redcol_table **table_out, redcol_error **error_out);
redcol_status redcol_list_pending(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length,
                                  const char *const *options, redcol_table **table_out,
                                  redcol_error **error_out);
redcol_status redcol_partitions(redcol_client *client, const char *pattern, int64_t pattern_length,
                                const char *const *streams, const int64_t *stream_lengths,
                                int64_t stream_count, const char *const *options,
                                redcol_table **table_out, redcol_error **error_out);
redcol_status redcol_create_group(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length, const char *start_id,
                                  int32_t create_stream, int64_t *created_out,
                                  redcol_error **error_out);
redcol_status redcol_delete_group(redcol_client *client, const char *stream, int64_t stream_length,
                                  const char *group, int64_t group_length, int64_t *deleted_out,
                                  redcol_error **error_out);
redcol_status redcol_seek_group(redcol_client *client, const char *stream, int64_t stream_length,
                                const char *group, int64_t group_length, const char *start_id,
                                uint64_t *milliseconds_out, uint64_t *sequence_out,
                                redcol_error **error_out);
redcol_status redcol_delete_consumer(redcol_client *client, const char *stream,
                                     int64_t stream_length, const char *group, int64_t group_length,
                                     const char *consumer, int64_t consumer_length, int32_t force,
                                     int64_t *pending_out, redcol_error **error_out);
redcol_status redcol_release_entries(redcol_client *client, const char *stream,
                                     int64_t stream_length, const char *group, int64_t group_length,
                                     const char *consumer, int64_t consumer_length,
                                     const char *entry_ids, int64_t entry_ids_length,
                                     int64_t *released_out, redcol_error **error_out);
redcol_status redcol_claim_entries(redcol_client *client, const char *stream, int64_t stream_length,
                                   const char *entry_ids, int64_t entry_ids_length,
                                   const struct ArrowSchema *schema, const char *const *options,
                                   redcol_iter **iter_out, redcol_error **error_out);
redcol_status redcol_trim_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                 int64_t maxlen, const char *min_id, int32_t approximate,
                                 int64_t *deleted_out, redcol_error **error_out);
redcol_status redcol_delete_entries(redcol_client *client, const char *stream,
                                    int64_t stream_length, const char *entry_ids,
                                    int64_t entry_ids_length, int64_t *deleted_out,
                                    redcol_error **error_out);
redcol_status redcol_write_stream(redcol_client *client, const char *stream, int64_t stream_length,
                                  struct ArrowArrayStream *frame, const char *const *options,
                                  redcol_writer **writer_out, redcol_error **error_out);
redcol_status redcol_write_hashes(redcol_client *client, struct ArrowArrayStream *frame,
                                  const char *const *options, redcol_writer **writer_out,
                                  redcol_error **error_out);
redcol_status redcol_write_messages(redcol_client *client, const char *channel,
                                    int64_t channel_length, struct ArrowArrayStream *frame,
                                    const char *const *options, redcol_writer **writer_out,
                                    redcol_error **error_out);
redcol_status redcol_writer_run(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);
redcol_status redcol_writer_stop(redcol_writer *writer, int64_t wait_ms, redcol_error **error_out);
redcol_status redcol_writer_ids(redcol_writer *writer, struct ArrowSchema *schema_out,
                                struct ArrowArray *batch_out, redcol_error **error_out);
int redcol_writer_descriptor(const redcol_writer *writer);
int64_t redcol_writer_statistic(const redcol_writer *writer, const char *name);
redcol_status redcol_cancel(void *handle);
void redcol_forget(redcol_client *client);
redcol_status redcol_close(void *handle);
void redcol_free(void *handle);
const char *redcol_status_name(redcol_status status);
redcol_status redcol_error_status(const redcol_error *error);
const char *redcol_error_message(const redcol_error *error);
const char *redcol_error_detail(const redcol_error *error, const char *name);
enum {
  REDCOL_LOG_OFF = 0,
  REDCOL_LOG_ERROR = 1,
  REDCOL_LOG_WARNING = 2,
  REDCOL_LOG_INFO = 3,
  REDCOL_LOG_DEBUG = 4
};
typedef int32_t (*redcol_logger)(int32_t level, const char *topic, const char *message,
                                 void *user_data);
void redcol_set_logger(int32_t level, redcol_logger callback, void *user_data);
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
#endif

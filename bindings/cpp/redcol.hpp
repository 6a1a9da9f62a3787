// SPDX-License-Identifier: Apache-2.0
/*
 * redcol.hpp - redcol.h for C++17: types say who owns what, and columns are typed. It consists of
 * headers only, this one and those it includes. redcol.h is the manual of what the calls do.
 *
 *   redcol::Client client = redcol::Client::open("redis://localhost");
 *   redcol::Reader events = client.read("events", redcol::Schema().add<std::int64_t>("value"));
 *   std::int64_t sum = 0;
 *   for (const redcol::Batch &batch : events)
 *     for (std::optional<std::int64_t> value : batch.column<std::int64_t>("value"))
 *       sum += value.value_or(0);
 *
 * Errors: every call that can fail has two forms. One throws redcol::Exception. The other takes a
 * redcol::Error as its last argument, sets it, and returns something empty. A program that is built
 * without exceptions has only this form. Files of both kinds can be linked together. They exchange
 * the handles of redcol.h (get()) and the structs of Arrow, since their classes differ. If C++
 * itself gets no memory, it throws std::bad_alloc.
 *
 * Text: keys, patterns, and the names of groups and consumers may be any bytes. A URL, an option, a
 * single id or the name of a column with a NUL byte is REDCOL_ERROR_INVALID_ARGUMENT.
 *
 * Objects can be moved, not copied, and destroyed in any order. One that was moved from holds
 * nothing: its calls return REDCOL_ERROR_INVALID_ARGUMENT. Threads: all may use a Client, one at a
 * time a Reader, except for cancel, ack, descriptor, statistic, position, last_entry and lag.
 */
#ifndef REDCOL_HPP
#define REDCOL_HPP

#include "redcol_arguments.hpp"
#include "redcol_columns.hpp"
#include "redcol_steering.hpp"
#include "redcol_tables.hpp"
#include "redcol_writing.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "redcol.h"

namespace redcol {
inline namespace REDCOL_HPP_MODE {

/* A read in progress: redcol_iter. */
class Reader {
public:
  Reader() = default;
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  redcol_iter *get() const noexcept { return handle_.get(); }

  /* Takes the next batch: REDCOL_OK, REDCOL_END, REDCOL_TIMEOUT, or an error. */
  redcol_status next(Batch &batch, std::int64_t wait_ms, Error &error) noexcept {
    Error::Out out(error);
    const auto [schema, array] = batch.out();
    return out.done(redcol_iter_next(get(), wait_ms, schema, array, out));
  }

  /* The batches until the end or an error, which is then in `error`; signals do not end it. */
  class Batches {
  public:
    class Iterator {
    public:
      using iterator_category = std::input_iterator_tag;
      using value_type = Batch;
      using difference_type = std::ptrdiff_t;
      using pointer = Batch *;
      using reference = Batch &;
      Iterator() noexcept = default;
      Iterator(Reader *reader, Error *error)
          : reader_(reader), error_(error), batch_(std::make_shared<Batch>()) {
        ++*this;
      }
      reference operator*() const noexcept { return *batch_; }
      pointer operator->() const noexcept { return batch_.get(); }
      Iterator &operator++() {
        if (!reader_->advance(*batch_, error_))
          reader_ = nullptr;
        return *this;
      }
      void operator++(int) { ++*this; }
      bool operator==(const Iterator &other) const noexcept { return reader_ == other.reader_; }
      bool operator!=(const Iterator &other) const noexcept { return reader_ != other.reader_; }

    private:
      Reader *reader_ = nullptr; /* nullptr: at the end */
      Error *error_ = nullptr;
      std::shared_ptr<Batch> batch_;
    };
    Batches(Reader *reader, Error *error) noexcept : reader_(reader), error_(error) {}
    Iterator begin() const { return {reader_, error_}; }
    Iterator end() const noexcept { return {}; }

  private:
    Reader *reader_;
    Error *error_;
  };
  Batches batches(Error &error) noexcept { return {this, &error}; }

  /* Reads to the end; empty if that has been given already, or with an error. Signals do not end
     it. */
  Table collect(Error &error) noexcept {
    redcol_table *table = nullptr;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(redcol_iter_collect(get(), -1, &table, out));
    }
    return Table(table);
  }

  /* Acknowledges all that was handed over, or these ids: how many were pending. */
  std::int64_t ack(Error &error) noexcept { return ack_these(nullptr, -1, nullptr, -1, error); }
  std::int64_t ack(std::string_view ids, Error &error) noexcept {
    return ack_these(nullptr, -1, detail::address(ids), detail::length(ids), error);
  }
  std::int64_t ack(const Column<std::string_view> &ids, Error &error) {
    return ack(joined(ids), error);
  }
  std::int64_t ack_of(std::string_view stream, std::string_view ids, Error &error) noexcept {
    return ack_these(detail::address(stream), detail::length(stream), detail::address(ids),
                     detail::length(ids), error);
  }

  /* The same without waiting: the next calls of next() send it, and return its errors. */
  bool ack_start(Error &error) noexcept { return ack_these_later(nullptr, -1, nullptr, -1, error); }
  bool ack_start(std::string_view ids, Error &error) noexcept {
    return ack_these_later(nullptr, -1, detail::address(ids), detail::length(ids), error);
  }
  bool ack_start(const Column<std::string_view> &ids, Error &error) {
    return ack_start(joined(ids), error);
  }
  bool ack_start_of(std::string_view stream, std::string_view ids, Error &error) noexcept {
    return ack_these_later(detail::address(stream), detail::length(stream), detail::address(ids),
                           detail::length(ids), error);
  }

  /* Fills `stream`, which the caller must release, with the batches as they are read. */
  bool stream(ArrowArrayStream *stream, Error &error) noexcept {
    Error::Out out(error);
    return out.done(redcol_iter_stream(get(), stream, out)) == REDCOL_OK;
  }

  bool unread(Error &error) noexcept {
    Error::Out out(error);
    return out.done(redcol_iter_unread(get(), out)) == REDCOL_OK;
  }
  redcol_status cancel() noexcept { return redcol_cancel(get()); }
  redcol_status close() noexcept { return redcol_close(get()); }
  int descriptor() const noexcept { return redcol_iter_descriptor(get()); }
  std::int64_t statistic(const char *name) const noexcept {
    return redcol_iter_statistic(get(), name);
  }
  /* Where it is in a stream; nothing if that is not known, or with an error. */
  std::optional<EntryId> position(std::string_view stream, Error &error) const noexcept {
    return position_in(detail::address(stream), detail::length(stream), error);
  }
  /* The last row that was handed over, of whatever stream; nothing before the first. */
  std::optional<EntryId> last_entry() const noexcept {
    Error error;
    return position_in(nullptr, -1, error);
  }
  /* How many entries of a stream are still to come; nothing if the group is missing, or with an
     error. A signal does not end it. */
  std::optional<std::int64_t> lag(std::string_view stream, Error &error) const noexcept {
    std::int64_t lag = 0;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(
          redcol_iter_lag(get(), detail::address(stream), detail::length(stream), &lag, out));
    }
    return status == REDCOL_OK ? std::optional<std::int64_t>(lag) : std::nullopt;
  }
  /* Why there is no connection; empty while there is one. */
  Error last_error() const noexcept {
    Error error;
    Error::Out out(error);
    redcol_error **raw = out;
    *raw = redcol_iter_last_error(get());
    out.done(redcol_error_status(*raw));
    return error;
  }

#if defined(REDCOL_HPP_EXCEPTIONS)
  redcol_status next(Batch &batch, std::int64_t wait_ms = -1) {
    return detail::thrown([&](Error &error) { return next(batch, wait_ms, error); });
  }
  /* for (const Batch &batch : reader): until the end; an error is thrown, signals do not end it. */
  Batches::Iterator begin() { return {this, nullptr}; }
  Batches::Iterator end() noexcept { return {}; }
  Table collect() {
    return detail::thrown([&](Error &error) { return collect(error); });
  }
  std::int64_t ack() {
    return detail::thrown([&](Error &error) { return ack(error); });
  }
  template <class Ids> std::int64_t ack(const Ids &ids) {
    return detail::thrown([&](Error &error) { return ack(ids, error); });
  }
  std::int64_t ack_of(std::string_view stream, std::string_view ids) {
    return detail::thrown([&](Error &error) { return ack_of(stream, ids, error); });
  }
  void ack_start() {
    detail::thrown([&](Error &error) { return ack_start(error); });
  }
  template <class Ids> void ack_start(const Ids &ids) {
    detail::thrown([&](Error &error) { return ack_start(ids, error); });
  }
  void ack_start_of(std::string_view stream, std::string_view ids) {
    detail::thrown([&](Error &error) { return ack_start_of(stream, ids, error); });
  }
  void stream(ArrowArrayStream *stream) {
    detail::thrown([&](Error &error) { return this->stream(stream, error); });
  }
  void unread() {
    detail::thrown([&](Error &error) { return unread(error); });
  }
  std::optional<EntryId> position(std::string_view stream) const {
    return detail::thrown([&](Error &error) { return position(stream, error); });
  }
  std::optional<std::int64_t> lag(std::string_view stream) const {
    return detail::thrown([&](Error &error) { return lag(stream, error); });
  }
#endif

private:
  friend class Client;
  explicit Reader(redcol_iter *handle) noexcept : handle_(handle) {}
  bool advance(Batch &batch, Error *error) {
    Error own;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT)
      status = next(batch, -1, error ? *error : own);
#if defined(REDCOL_HPP_EXCEPTIONS)
    detail::raise(own);
#endif
    return status == REDCOL_OK;
  }
  static std::string joined(const Column<std::string_view> &ids) {
    std::string text;
    for (std::optional<std::string_view> id : ids)
      text.append(id.value_or("")).push_back('\n');
    return text;
  }
  std::optional<EntryId> position_in(const char *stream, std::int64_t length,
                                     Error &error) const noexcept {
    EntryId id;
    Error::Out out(error);
    const redcol_status status =
        out.done(redcol_iter_position(get(), stream, length, &id.milliseconds, &id.sequence, out));
    return status == REDCOL_OK ? std::optional<EntryId>(id) : std::nullopt;
  }
  bool ack_these_later(const char *stream, std::int64_t stream_length, const char *ids,
                       std::int64_t length, Error &error) noexcept {
    Error::Out out(error);
    return out.done(redcol_iter_ack_start(get(), stream, stream_length, ids, length, out)) ==
           REDCOL_OK;
  }
  std::int64_t ack_these(const char *stream, std::int64_t stream_length, const char *ids,
                         std::int64_t length, Error &error) noexcept {
    std::int64_t total = 0;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) { /* a signal: continue with what is left */
      std::int64_t count = 0;
      Error::Out out(error);
      status = out.done(redcol_iter_ack(get(), stream, stream_length, ids, length, &count, out));
      total += count;
    }
    return total;
  }
  detail::Owned<redcol_iter> handle_;
};

/* A server: redcol_client. What changes groups and streams is in redcol_steering.hpp, writing in
   redcol_writing.hpp, and lists of what there is are in redcol_tables.hpp. */
class Client : public Steers<Client>, public Writes<Client>, public detail::Lists<Client> {
public:
  Client() = default;
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  redcol_client *get() const noexcept { return handle_.get(); }

  /* A signal does not end it. */
  static Client open(const std::string &url, const Options &options, Error &error) {
    return opened(url, options, error, redcol_open);
  }
  static Client open_with_credentials(const std::string &url, const Credentials &credentials,
                                      const Options &options, Error &error) {
    return opened(url, options, error,
                  [&](const char *text, const char *const *words, redcol_client **client,
                      redcol_error **out) {
                    return redcol_open_with_credentials(text, words, credentials.get(), client,
                                                        out);
                  });
  }

  /* One stream, or several: "a", {"a", "b"}, a vector of strings. The columns of `schema`; without
     one, those that are found. A signal does not end it. */
  Reader read(const Keys &streams, const Schema &schema, const Options &options, Error &error) {
    return start(streams, &schema, options, error);
  }
  Reader read(const Keys &streams, const Options &options, Error &error) {
    return start(streams, nullptr, options, error);
  }
  /* The same range of ids of many streams, one after the other: redcol_read_ranges. */
  Reader read_ranges(const Keys &streams, const Schema &schema, const Options &options,
                     Error &error) {
    return ranges(nullptr, streams, &schema, options, error);
  }
  Reader read_ranges(const Keys &streams, const Options &options, Error &error) {
    return ranges(nullptr, streams, nullptr, options, error);
  }
  /* All streams whose keys match: "clicks:*" */
  Reader read_matching(std::string_view pattern, const Schema &schema, const Options &options,
                       Error &error) {
    return ranges(&pattern, std::vector<std::string>(), &schema, options, error);
  }
  Reader read_matching(std::string_view pattern, const Options &options, Error &error) {
    return ranges(&pattern, std::vector<std::string>(), nullptr, options, error);
  }

  /* What is published to channels and to those that match patterns: redcol_subscribe. */
  Reader subscribe(const Keys &channels, const Keys &patterns, const Schema &schema,
                   const Options &options, Error &error) {
    return listening(channels, patterns, &schema, options, error);
  }
  Reader subscribe(const Keys &channels, const Keys &patterns, const Options &options,
                   Error &error) {
    return listening(channels, patterns, nullptr, options, error);
  }

  /* Claims these entries for the consumer of the options, or without ids all that are idle for
     "claim_idle_ms": redcol_claim_entries. */
  Reader claim(std::string_view stream, std::string_view ids, const Schema &schema,
               const Options &options, Error &error) {
    return claiming(stream, &ids, &schema, options, error);
  }
  Reader claim_idle(std::string_view stream, const Schema &schema, const Options &options,
                    Error &error) {
    return claiming(stream, nullptr, &schema, options, error);
  }

  /* The id of a stream's last entry; nothing if it has none, or with an error. A signal does not
     end it. */
  std::optional<EntryId> last_id(std::string_view stream, Error &error) noexcept {
    EntryId id;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(redcol_last_id(get(), detail::address(stream), detail::length(stream),
                                       &id.milliseconds, &id.sequence, out));
    }
    return status == REDCOL_OK ? std::optional<EntryId>(id) : std::nullopt;
  }

  /* How many of these ids, separated by spaces or line ends, were pending in the group. */
  std::int64_t ack(std::string_view stream, std::string_view group, std::string_view ids,
                   Error &error) noexcept {
    std::int64_t total = 0;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      std::int64_t count = 0;
      Error::Out out(error);
      status = out.done(redcol_ack(get(), detail::address(stream), detail::length(stream),
                                   detail::address(group), detail::length(group),
                                   detail::address(ids), detail::length(ids), &count, out));
      total += count;
    }
    return total;
  }

  redcol_status cancel() noexcept { return redcol_cancel(get()); }
  redcol_status close() noexcept { return redcol_close(get()); }

#if defined(REDCOL_HPP_EXCEPTIONS)
  static Client open(const std::string &url, const Options &options = {}) {
    return detail::thrown([&](Error &error) { return open(url, options, error); });
  }
  static Client open_with_credentials(const std::string &url, const Credentials &credentials,
                                      const Options &options = {}) {
    return detail::thrown(
        [&](Error &error) { return open_with_credentials(url, credentials, options, error); });
  }
  Reader read(const Keys &streams, const Schema &schema, const Options &options = {}) {
    return detail::thrown([&](Error &error) { return read(streams, schema, options, error); });
  }
  Reader read(const Keys &streams, const Options &options = {}) {
    return detail::thrown([&](Error &error) { return read(streams, options, error); });
  }
  Reader read_ranges(const Keys &streams, const Schema &schema, const Options &options = {}) {
    return detail::thrown(
        [&](Error &error) { return read_ranges(streams, schema, options, error); });
  }
  Reader read_ranges(const Keys &streams, const Options &options = {}) {
    return detail::thrown([&](Error &error) { return read_ranges(streams, options, error); });
  }
  Reader read_matching(std::string_view pattern, const Schema &schema,
                       const Options &options = {}) {
    return detail::thrown(
        [&](Error &error) { return read_matching(pattern, schema, options, error); });
  }
  Reader read_matching(std::string_view pattern, const Options &options = {}) {
    return detail::thrown([&](Error &error) { return read_matching(pattern, options, error); });
  }
  Reader subscribe(const Keys &channels, const Keys &patterns, const Schema &schema,
                   const Options &options = {}) {
    return detail::thrown(
        [&](Error &error) { return subscribe(channels, patterns, schema, options, error); });
  }
  Reader subscribe(const Keys &channels, const Keys &patterns, const Options &options = {}) {
    return detail::thrown([&](Error &out) { return subscribe(channels, patterns, options, out); });
  }
  Reader claim(std::string_view stream, std::string_view ids, const Schema &schema,
               const Options &options) {
    return detail::thrown([&](Error &error) { return claim(stream, ids, schema, options, error); });
  }
  Reader claim_idle(std::string_view stream, const Schema &schema, const Options &options) {
    return detail::thrown([&](Error &error) { return claim_idle(stream, schema, options, error); });
  }
  std::optional<EntryId> last_id(std::string_view stream) {
    return detail::thrown([&](Error &error) { return last_id(stream, error); });
  }
  std::int64_t ack(std::string_view stream, std::string_view group, std::string_view ids) {
    return detail::thrown([&](Error &error) { return ack(stream, group, ids, error); });
  }
#endif

private:
  explicit Client(redcol_client *handle) noexcept : handle_(handle) {}
  /* Calls `begin`, which takes the URL, the options and the error, again after signals. */
  template <class Begin>
  static Client opened(const std::string &url, const Options &options, Error &error, Begin begin) {
    if (detail::refused(url, "the URL", error) || !options.check(error))
      return Client();
    const std::vector<const char *> words = options.pointers();
    redcol_client *client = nullptr;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(begin(url.c_str(), words.data(), &client, out));
    }
    return Client(client);
  }
  /* Calls `begin`, which takes the columns, the options and the error, again after signals. */
  template <class Begin>
  static Reader started(const Schema *schema, const Options &options, Error &error, Begin begin) {
    if (!options.check(error) || (schema && !schema->check(error)))
      return Reader();
    const Schema::Struct columns = (schema ? *schema : Schema()).build();
    const std::vector<const char *> words = options.pointers();
    redcol_iter *iter = nullptr;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(begin(schema ? columns.get() : nullptr, words.data(), &iter, out));
    }
    return Reader(iter);
  }
  Reader start(const Keys &keys, const Schema *schema, const Options &options, Error &error) {
    return started(schema, options, error,
                   [&](const ArrowSchema *columns, const char *const *words, redcol_iter **iter,
                       redcol_error **out) {
                     return redcol_read_streams(get(), keys.names(), keys.lengths(), keys.size(),
                                                columns, words, iter, out);
                   });
  }
  Reader ranges(const std::string_view *pattern, const Keys &keys, const Schema *schema,
                const Options &options, Error &error) {
    return started(schema, options, error,
                   [&](const ArrowSchema *columns, const char *const *words, redcol_iter **iter,
                       redcol_error **out) {
                     return redcol_read_ranges(get(), pattern ? detail::address(*pattern) : nullptr,
                                               pattern ? detail::length(*pattern) : 0,
                                               pattern ? nullptr : keys.names(), keys.lengths(),
                                               keys.size(), columns, words, iter, out);
                   });
  }
  Reader listening(const Keys &channels, const Keys &patterns, const Schema *schema,
                   const Options &options, Error &error) {
    return started(schema, options, error,
                   [&](const ArrowSchema *columns, const char *const *words, redcol_iter **iter,
                       redcol_error **out) {
                     return redcol_subscribe(get(), channels.names(), channels.lengths(),
                                             channels.size(), patterns.names(), patterns.lengths(),
                                             patterns.size(), columns, words, iter, out);
                   });
  }
  Reader claiming(std::string_view stream, const std::string_view *ids, const Schema *schema,
                  const Options &options, Error &error) {
    return started(schema, options, error,
                   [&](const ArrowSchema *columns, const char *const *words, redcol_iter **iter,
                       redcol_error **out) {
                     return redcol_claim_entries(
                         get(), detail::address(stream), detail::length(stream),
                         ids ? detail::address(*ids) : nullptr, ids ? detail::length(*ids) : 0,
                         columns, words, iter, out);
                   });
  }
  detail::Owned<redcol_client> handle_;
};

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_HPP */

// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_tables.hpp - the part of redcol.hpp that is about tables: what a read has collected, and
 * lists of what is on a server. Include redcol.hpp.
 */
#ifndef REDCOL_TABLES_HPP
#define REDCOL_TABLES_HPP

#include "redcol_arguments.hpp"
#include "redcol_columns.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "redcol.h"

namespace redcol {
inline namespace REDCOL_HPP_MODE {

namespace detail {
template <class Client> class Lists;
}

/* All batches of a read that has ended, or a list: redcol_table. */
class Table {
public:
  Table() = default;
  std::size_t size() const noexcept {
    return handle_ ? static_cast<std::size_t>(redcol_table_rows(handle_.get())) : 0;
  }
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  redcol_table *get() const noexcept { return handle_.get(); }

  /* Fills `stream`, which the caller must release; texts in the layouts of `requested`. */
  bool stream(ArrowArrayStream *stream, const ArrowSchema *requested, Error &error) const noexcept {
    Error::Out out(error);
    return out.done(redcol_table_stream(get(), requested, stream, out)) == REDCOL_OK;
  }
  /* The schema of that stream. */
  OwnedSchema schema(const ArrowSchema *requested, Error &error) const noexcept {
    OwnedSchema schema;
    Error::Out out(error);
    out.done(redcol_table_schema(get(), requested, schema.out(), out));
    return schema;
  }
  /* The columns, those of bytes with the narrowest type that all their values have. */
  OwnedSchema infer_schema(Error &error) const noexcept {
    OwnedSchema schema;
    Error::Out out(error);
    out.done(redcol_infer_schema(get(), schema.out(), out));
    return schema;
  }
#if defined(REDCOL_HPP_EXCEPTIONS)
  void stream(ArrowArrayStream *stream, const ArrowSchema *requested = nullptr) const {
    detail::thrown([&](Error &error) { return this->stream(stream, requested, error); });
  }
  OwnedSchema schema(const ArrowSchema *requested = nullptr) const {
    return detail::thrown([&](Error &error) { return schema(requested, error); });
  }
  OwnedSchema infer_schema() const {
    return detail::thrown([&](Error &error) { return infer_schema(error); });
  }
#endif

private:
  friend class Reader;
  template <class Client> friend class detail::Lists;
  explicit Table(redcol_table *handle) noexcept : handle_(handle) {}
  detail::Owned<redcol_table> handle_;
};

/* Which streams a list is about: a text is a pattern of their keys, and a list {"a", "b"}, or a
   range of texts, are keys. For the time of a call: the texts are not copied. */
class Streams {
public:
  template <class Text,
            std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>, int> = 0>
  Streams(const Text &pattern) : pattern_(pattern), keys_(std::vector<std::string_view>()) {}
  Streams(std::initializer_list<std::string_view> keys) : keys_(keys) {}
  template <class Range, std::enable_if_t<detail::IsTexts<Range>::value, int> = 0>
  Streams(const Range &keys) : keys_(keys) {}

private:
  template <class Client> friend class detail::Lists;
  const char *pattern() const noexcept { return pattern_ ? detail::address(*pattern_) : nullptr; }
  std::int64_t length() const noexcept { return pattern_ ? detail::length(*pattern_) : 0; }
  const char *const *names() const noexcept { return pattern_ ? nullptr : keys_.names(); }
  std::optional<std::string_view> pattern_;
  Keys keys_;
};

namespace detail {

/* The lists of a Client. Signals do not end them. */
template <class Client> class Lists {
public:
  Table list_streams(const Streams &streams, Error &error) {
    return listed(error, [&](redcol_client *client, redcol_table **table, redcol_error **out) {
      return redcol_list_streams(client, streams.pattern(), streams.length(), streams.names(),
                                 streams.keys_.lengths(), streams.keys_.size(), table, out);
    });
  }
  Table list_groups(const Streams &streams, const Options &options, Error &error) {
    if (!options.check(error))
      return Table();
    const std::vector<const char *> words = options.pointers();
    return listed(error, [&](redcol_client *client, redcol_table **table, redcol_error **out) {
      return redcol_list_groups(client, streams.pattern(), streams.length(), streams.names(),
                                streams.keys_.lengths(), streams.keys_.size(), words.data(), table,
                                out);
    });
  }
  /* Of one group, or without one of all. */
  Table list_consumers(const Streams &streams, std::optional<std::string_view> group,
                       Error &error) {
    return listed(error, [&](redcol_client *client, redcol_table **table, redcol_error **out) {
      return redcol_list_consumers(client, streams.pattern(), streams.length(), streams.names(),
                                   streams.keys_.lengths(), streams.keys_.size(),
                                   group ? address(*group) : nullptr, group ? length(*group) : 0,
                                   table, out);
    });
  }
  Table list_pending(std::string_view stream, std::string_view group, const Options &options,
                     Error &error) {
    if (!options.check(error))
      return Table();
    const std::vector<const char *> words = options.pointers();
    return listed(error, [&](redcol_client *client, redcol_table **table, redcol_error **out) {
      return redcol_list_pending(client, address(stream), length(stream), address(group),
                                 length(group), words.data(), table, out);
    });
  }
  Table partitions(const Streams &streams, const Options &options, Error &error) {
    if (!options.check(error))
      return Table();
    const std::vector<const char *> words = options.pointers();
    return listed(error, [&](redcol_client *client, redcol_table **table, redcol_error **out) {
      return redcol_partitions(client, streams.pattern(), streams.length(), streams.names(),
                               streams.keys_.lengths(), streams.keys_.size(), words.data(), table,
                               out);
    });
  }

#if defined(REDCOL_HPP_EXCEPTIONS)
  Table list_streams(const Streams &streams = "*") {
    return thrown([&](Error &error) { return list_streams(streams, error); });
  }
  Table list_groups(const Streams &streams, const Options &options = {}) {
    return thrown([&](Error &error) { return list_groups(streams, options, error); });
  }
  Table list_consumers(const Streams &streams, std::optional<std::string_view> group = {}) {
    return thrown([&](Error &error) { return list_consumers(streams, group, error); });
  }
  Table list_pending(std::string_view stream, std::string_view group, const Options &options = {}) {
    return thrown([&](Error &error) { return list_pending(stream, group, options, error); });
  }
  Table partitions(const Streams &streams, const Options &options = {}) {
    return thrown([&](Error &error) { return partitions(streams, options, error); });
  }
#endif

private:
  friend Client;
  Lists() = default;
  template <class Call> Table listed(Error &error, Call call) {
    redcol_table *table = nullptr;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(call(static_cast<Client *>(this)->get(), &table, out));
    }
    return Table(table);
  }
};

} // namespace detail

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_TABLES_HPP */

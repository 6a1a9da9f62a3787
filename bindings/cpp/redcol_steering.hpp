// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_steering.hpp - the part of redcol.hpp that changes groups and streams: calls of Client.
 * Include redcol.hpp. Signals do not end them.
 */
#ifndef REDCOL_STEERING_HPP
#define REDCOL_STEERING_HPP

#include "redcol_arguments.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "redcol.h"

namespace redcol {
inline namespace REDCOL_HPP_MODE {

/* What trim keeps of a stream: Keep::entries(1000), Keep::from("1704067200000-0"). */
class Keep {
public:
  static Keep entries(std::int64_t count) noexcept { return {count, {}}; }
  static Keep from(const std::string &id) { return {-1, id}; }

private:
  template <class Handle> friend class Steers;
  Keep(std::int64_t count, std::optional<std::string> id) noexcept
      : count_(count), id_(std::move(id)) {}
  std::int64_t count_;
  std::optional<std::string> id_;
};

/* The calls, for a class that has get(): a redcol_client. */
template <class Handle> class Steers {
public:
  /* Whether it was created: a group of this name stays as it is. */
  bool create_group(std::string_view stream, std::string_view group, const std::string &start_id,
                    bool create_stream, Error &error) const {
    if (detail::refused(start_id, "start_id", error))
      return false;
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
             return redcol_create_group(client(), detail::address(stream), detail::length(stream),
                                        detail::address(group), detail::length(group),
                                        start_id.c_str(), create_stream ? 1 : 0, count, out);
           }) == 1;
  }
  /* Whether there was one. */
  bool delete_group(std::string_view stream, std::string_view group, Error &error) const noexcept {
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
             return redcol_delete_group(client(), detail::address(stream), detail::length(stream),
                                        detail::address(group), detail::length(group), count, out);
           }) == 1;
  }
  /* The id that the group was set to; nothing with an error. */
  std::optional<EntryId> seek_group(std::string_view stream, std::string_view group,
                                    const std::string &start_id, Error &error) const {
    if (detail::refused(start_id, "start_id", error))
      return std::nullopt;
    EntryId id;
    counted(error, [&](std::int64_t *, redcol_error **out) {
      return redcol_seek_group(client(), detail::address(stream), detail::length(stream),
                               detail::address(group), detail::length(group), start_id.c_str(),
                               &id.milliseconds, &id.sequence, out);
    });
    return error ? std::nullopt : std::optional<EntryId>(id);
  }
  /* How many entries were pending and no longer are. */
  std::int64_t delete_consumer(std::string_view stream, std::string_view group,
                               std::string_view consumer, bool force, Error &error) const noexcept {
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
      return redcol_delete_consumer(client(), detail::address(stream), detail::length(stream),
                                    detail::address(group), detail::length(group),
                                    detail::address(consumer), detail::length(consumer),
                                    force ? 1 : 0, count, out);
    });
  }
  /* How many of these ids, separated by spaces or line ends, were released. */
  std::int64_t release(std::string_view stream, std::string_view group, std::string_view consumer,
                       std::string_view ids, Error &error) const noexcept {
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
      return redcol_release_entries(client(), detail::address(stream), detail::length(stream),
                                    detail::address(group), detail::length(group),
                                    detail::address(consumer), detail::length(consumer),
                                    detail::address(ids), detail::length(ids), count, out);
    });
  }
  /* How many entries were deleted. */
  std::int64_t trim(std::string_view stream, const Keep &keep, bool approximate,
                    Error &error) const {
    if (keep.id_ && detail::refused(*keep.id_, "the id", error))
      return 0;
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
      return redcol_trim_stream(client(), detail::address(stream), detail::length(stream),
                                keep.count_, keep.id_ ? keep.id_->c_str() : nullptr,
                                approximate ? 1 : 0, count, out);
    });
  }
  std::int64_t delete_entries(std::string_view stream, std::string_view ids,
                              Error &error) const noexcept {
    return counted(error, [&](std::int64_t *count, redcol_error **out) {
      return redcol_delete_entries(client(), detail::address(stream), detail::length(stream),
                                   detail::address(ids), detail::length(ids), count, out);
    });
  }

#if defined(REDCOL_HPP_EXCEPTIONS)
  bool create_group(std::string_view stream, std::string_view group,
                    const std::string &start_id = "0", bool create_stream = false) const {
    return detail::thrown(
        [&](Error &error) { return create_group(stream, group, start_id, create_stream, error); });
  }
  bool delete_group(std::string_view stream, std::string_view group) const {
    return detail::thrown([&](Error &error) { return delete_group(stream, group, error); });
  }
  EntryId seek_group(std::string_view stream, std::string_view group,
                     const std::string &start_id) const {
    return *detail::thrown(
        [&](Error &error) { return seek_group(stream, group, start_id, error); });
  }
  std::int64_t delete_consumer(std::string_view stream, std::string_view group,
                               std::string_view consumer, bool force = false) const {
    return detail::thrown(
        [&](Error &error) { return delete_consumer(stream, group, consumer, force, error); });
  }
  std::int64_t release(std::string_view stream, std::string_view group, std::string_view consumer,
                       std::string_view ids) const {
    return detail::thrown(
        [&](Error &error) { return release(stream, group, consumer, ids, error); });
  }
  std::int64_t trim(std::string_view stream, const Keep &keep, bool approximate = true) const {
    return detail::thrown([&](Error &error) { return trim(stream, keep, approximate, error); });
  }
  std::int64_t delete_entries(std::string_view stream, std::string_view ids) const {
    return detail::thrown([&](Error &error) { return delete_entries(stream, ids, error); });
  }
#endif

protected:
  Steers() = default;

private:
  redcol_client *client() const noexcept { return static_cast<const Handle *>(this)->get(); }
  /* Calls `call`, which takes the count and the error, again after signals. */
  template <class Call> static std::int64_t counted(Error &error, Call call) noexcept {
    std::int64_t count = 0;
    redcol_status status = REDCOL_TIMEOUT;
    while (status == REDCOL_TIMEOUT) {
      Error::Out out(error);
      status = out.done(call(&count, out));
    }
    return count;
  }
};

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_STEERING_HPP */

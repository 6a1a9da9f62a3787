// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_writing.hpp - the part of redcol.hpp that writes frames: calls of Client, and what they
 * return. Include redcol.hpp.
 */
#ifndef REDCOL_WRITING_HPP
#define REDCOL_WRITING_HPP

#include "redcol_arguments.hpp"
#include "redcol_columns.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstdint>
#include <string_view>
#include <vector>

#include "redcol.h"

namespace redcol {
inline namespace REDCOL_HPP_MODE {

/* A write in progress: redcol_writer. */
class Writer {
public:
  Writer() = default;
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  redcol_writer *get() const noexcept { return handle_.get(); }

  /* Continues to write: REDCOL_OK when all rows are written, REDCOL_TIMEOUT, or an error. */
  redcol_status run(std::int64_t wait_ms, Error &error) noexcept {
    Error::Out out(error);
    return out.done(redcol_writer_run(get(), wait_ms, out));
  }
  /* Sends no more rows, and waits for the answers to those that were sent. */
  redcol_status stop(std::int64_t wait_ms, Error &error) noexcept {
    Error::Out out(error);
    return out.done(redcol_writer_stop(get(), wait_ms, out));
  }
  /* The ids since the last call, a column "_id"; also after an error. */
  redcol_status ids(Batch &batch, Error &error) noexcept {
    Error::Out out(error);
    const auto [schema, array] = batch.out();
    return out.done(redcol_writer_ids(get(), schema, array, out));
  }
  redcol_status cancel() noexcept { return redcol_cancel(get()); }
  redcol_status close() noexcept { return redcol_close(get()); }
  int descriptor() const noexcept { return redcol_writer_descriptor(get()); }
  std::int64_t statistic(const char *name) const noexcept {
    return redcol_writer_statistic(get(), name);
  }

#if defined(REDCOL_HPP_EXCEPTIONS)
  redcol_status run(std::int64_t wait_ms = -1) {
    return detail::thrown([&](Error &error) { return run(wait_ms, error); });
  }
  redcol_status stop(std::int64_t wait_ms = -1) {
    return detail::thrown([&](Error &error) { return stop(wait_ms, error); });
  }
  Batch ids() {
    Batch batch;
    detail::thrown([&](Error &error) { return ids(batch, error); });
    return batch;
  }
#endif

private:
  template <class Handle> friend class Writes;
  explicit Writer(redcol_writer *handle) noexcept : handle_(handle) {}
  detail::Owned<redcol_writer> handle_;
};

/* The calls, for a class that has get(): a redcol_client. The frame is moved, also with an error,
   but not if std::bad_alloc is thrown. */
template <class Handle> class Writes {
public:
  /* The rows of `frame` as entries of a stream. */
  Writer write(std::string_view stream, ArrowArrayStream *frame, const Options &options,
               Error &error) const {
    return begun(frame, options, error,
                 [&](const char *const *words, redcol_writer **writer, redcol_error **out) {
                   return redcol_write_stream(client(), detail::address(stream),
                                              detail::length(stream), frame, words, writer, out);
                 });
  }
  /* As hashes. */
  Writer write_hashes(ArrowArrayStream *frame, const Options &options, Error &error) const {
    return begun(frame, options, error,
                 [&](const char *const *words, redcol_writer **writer, redcol_error **out) {
                   return redcol_write_hashes(client(), frame, words, writer, out);
                 });
  }
  /* As messages of a channel: redcol_write_messages. */
  Writer publish(std::string_view channel, ArrowArrayStream *frame, const Options &options,
                 Error &error) const {
    return begun(frame, options, error,
                 [&](const char *const *words, redcol_writer **writer, redcol_error **out) {
                   return redcol_write_messages(client(), detail::address(channel),
                                                detail::length(channel), frame, words, writer, out);
                 });
  }

#if defined(REDCOL_HPP_EXCEPTIONS)
  Writer write(std::string_view stream, ArrowArrayStream *frame,
               const Options &options = {}) const {
    return detail::thrown([&](Error &error) { return write(stream, frame, options, error); });
  }
  Writer write_hashes(ArrowArrayStream *frame, const Options &options = {}) const {
    return detail::thrown([&](Error &error) { return write_hashes(frame, options, error); });
  }
  Writer publish(std::string_view channel, ArrowArrayStream *frame,
                 const Options &options = {}) const {
    return detail::thrown([&](Error &error) { return publish(channel, frame, options, error); });
  }
#endif

protected:
  Writes() = default;

private:
  redcol_client *client() const noexcept { return static_cast<const Handle *>(this)->get(); }
  /* Calls `call` with the options. If C cannot say them, the frame is released: it is moved. */
  template <class Call>
  static Writer begun(ArrowArrayStream *frame, const Options &options, Error &error, Call call) {
    if (!options.check(error)) {
      if (frame && frame->release)
        frame->release(frame);
      return Writer();
    }
    const std::vector<const char *> words = options.pointers();
    redcol_writer *writer = nullptr;
    Error::Out out(error);
    out.done(call(words.data(), &writer, out));
    return Writer(writer);
  }
};

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_WRITING_HPP */

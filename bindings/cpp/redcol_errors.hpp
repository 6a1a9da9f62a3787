// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_errors.hpp - the part of redcol.hpp that says what went wrong: errors, and exceptions
 * where they are on. Include redcol.hpp.
 */
#ifndef REDCOL_ERRORS_HPP
#define REDCOL_ERRORS_HPP

/* Visual C++ says its version of the language elsewhere. */
#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "redcol.hpp needs C++17 or later: compile with -std=c++17 (or c++20, c++23)"
#else

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "redcol.h"

/* A program may be linked from files that are compiled with exceptions and files that are compiled
   without. What these headers define is not the same in both, so each has names of its own: the
   inline namespace is part of them for the linker, and is not written in programs. */
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define REDCOL_HPP_EXCEPTIONS 1
#define REDCOL_HPP_MODE with_exceptions
#include <stdexcept>
#else
#define REDCOL_HPP_MODE without_exceptions
#endif

namespace redcol {
inline namespace REDCOL_HPP_MODE {

namespace detail {

struct Free {
  void operator()(void *handle) const noexcept { redcol_free(handle); }
};

template <class Handle> using Owned = std::unique_ptr<Handle, Free>;

} // namespace detail

/* What went wrong in the call that it was passed to; false if nothing did. */
class Error {
public:
  redcol_status status() const noexcept { return status_; }
  explicit operator bool() const noexcept { return status_ < 0; }
  /* What was asked, what came back and what to do; "" without an error. As long as this lives. */
  const char *message() const noexcept {
    return error_ || status_ >= 0 ? redcol_error_message(error_.get()) : message_.c_str();
  }
  /* One of the details of redcol_error_detail; NULL if there is none. As long as this lives. */
  const char *detail(const char *name) const noexcept {
    return redcol_error_detail(error_.get(), name);
  }

  /* For wrappers of further calls: forgets what was, and is where the C function puts its error;
     `done` takes note of what it returned. */
  class Out {
  public:
    explicit Out(Error &error) noexcept : error_(error) { error_ = Error(); }
    operator redcol_error **() noexcept { return &raw_; }
    redcol_status done(redcol_status status) noexcept {
      error_.error_.reset(raw_);
      error_.status_ = status < 0 ? status : REDCOL_OK;
      return status;
    }

  private:
    Error &error_;
    redcol_error *raw_ = nullptr;
  };

  /* An error that is found on this side of the library. */
  static Error of(redcol_status status, std::string message) noexcept {
    Error error;
    error.status_ = status;
    error.message_ = std::move(message);
    return error;
  }

private:
  detail::Owned<redcol_error> error_;
  redcol_status status_ = REDCOL_OK;
  std::string message_;
};

#if defined(REDCOL_HPP_EXCEPTIONS)
/* An Error, thrown. */
class Exception : public std::runtime_error {
public:
  explicit Exception(Error error)
      : std::runtime_error(error.message()), error_(std::make_shared<Error>(std::move(error))) {}
  redcol_status status() const noexcept { return error_->status(); }
  const Error &error() const noexcept { return *error_; }

private:
  std::shared_ptr<const Error> error_; /* exceptions are copied */
};

namespace detail {
inline void raise(Error &error) {
  if (error)
    throw Exception(std::move(error));
}
/* Returns what `call`, which takes an Error, returns, or throws its error. */
template <class Call> auto thrown(Call call) {
  Error error;
  auto result = call(error);
  raise(error);
  return result;
}
} // namespace detail
#endif

namespace detail {
/* C would see `text` only up to a NUL byte: refused. The message does not show it, since a URL or
   an option may hold a password. */
inline bool refused(std::string_view text, const std::string &what, Error &error) {
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos)
    return false;
  error = Error::of(REDCOL_ERROR_INVALID_ARGUMENT,
                    what + " has a NUL byte, at byte " + std::to_string(end));
  return true;
}
} // namespace detail

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* of C++17 */
#endif /* REDCOL_ERRORS_HPP */

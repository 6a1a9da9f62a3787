// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_arguments.hpp - the part of redcol.hpp that calls are given: options, keys, ids and
 * credentials. Include redcol.hpp.
 */
#ifndef REDCOL_ARGUMENTS_HPP
#define REDCOL_ARGUMENTS_HPP

#include "redcol_errors.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace redcol {
inline namespace REDCOL_HPP_MODE {

namespace detail {

/* "key", "value", …, NULL, as long as the words are. */
inline std::vector<const char *> pointers(const std::vector<std::string> &words) {
  std::vector<const char *> list;
  list.reserve(words.size() + 1);
  for (const std::string &word : words)
    list.push_back(word.c_str());
  list.push_back(nullptr);
  return list;
}

inline std::int64_t length(std::string_view text) { return static_cast<std::int64_t>(text.size()); }

/* An empty view may have no address, which would mean "not given". */
inline const char *address(std::string_view text) { return text.data() ? text.data() : ""; }

/* Whether this is a range of texts, and not itself a text: a vector of strings, an array of them.
   Texts that a range makes while it is walked would be gone too early. */
template <class Range, class = void> struct IsTexts : std::false_type {};
template <class Range>
struct IsTexts<Range, std::void_t<decltype(std::begin(std::declval<const Range &>())),
                                  decltype(std::end(std::declval<const Range &>()))>> {
  using Text = decltype(*std::begin(std::declval<const Range &>()));
  static constexpr bool is_kept = std::is_reference_v<Text> || std::is_trivially_copyable_v<Text>;
  static constexpr bool value = is_kept && std::is_convertible_v<Text, std::string_view> &&
                                !std::is_convertible_v<const Range &, std::string_view>;
};

} // namespace detail

/* Options of redcol_open and redcol_read_stream: Options().set("follow", true).set("count", 10) */
class Options {
public:
  Options() = default;
  Options(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
    for (const auto &[key, value] : pairs)
      set(key, value);
  }
  Options &set(std::string_view key, std::string_view value) {
    words_.emplace_back(key);
    words_.emplace_back(value);
    return *this;
  }
  Options &set(std::string_view key, const char *value) {
    return set(key, std::string_view(value));
  }
  template <class Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
  Options &set(std::string_view key, Number value) {
    if constexpr (std::is_same_v<Number, bool>)
      return set(key, std::string_view(value ? "true" : "false"));
    else
      return set(key, std::string_view(std::to_string(value)));
  }
  std::vector<const char *> pointers() const { return detail::pointers(words_); }
  /* False, with `error` set, if one of them cannot be said in C. */
  bool check(Error &error) const {
    for (std::size_t i = 0; i + 1 < words_.size(); i += 2)
      if (detail::refused(words_[i], "the name of an option", error) ||
          detail::refused(words_[i + 1], "the option \"" + words_[i] + "\"", error))
        return false;
    return true;
  }

private:
  std::vector<std::string> words_;
};

/* The keys of one or more streams: a text, a list {"a", "b"}, or a range of texts, such as a vector
   of strings. For the time of a call: the texts are not copied. */
class Keys {
public:
  Keys(std::initializer_list<std::string_view> keys) { add(keys); }
  template <class Text,
            std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>, int> = 0>
  Keys(const Text &key) {
    add(std::initializer_list<std::string_view>{key});
  }
  template <class Range, std::enable_if_t<detail::IsTexts<Range>::value, int> = 0>
  Keys(const Range &keys) {
    add(keys);
  }
  const char *const *names() const noexcept { return names_.data(); }
  const std::int64_t *lengths() const noexcept { return lengths_.data(); }
  std::int64_t size() const noexcept { return static_cast<std::int64_t>(names_.size()); }

private:
  template <class Range> void add(const Range &keys) {
    for (std::string_view key : keys) {
      names_.push_back(detail::address(key));
      lengths_.push_back(detail::length(key));
    }
  }
  std::vector<const char *> names_;
  std::vector<std::int64_t> lengths_;
};

/* Where a stream ends. */
struct EntryId {
  std::uint64_t milliseconds = 0;
  std::uint64_t sequence = 0;
  std::string text() const { return std::to_string(milliseconds) + '-' + std::to_string(sequence); }
};

/* A function that returns user and password whenever a connection begins: redcol_credentials. */
class Credentials {
public:
  /* Sets both; false if there are none. It is called in threads of the library's, and what it
     throws counts as false. */
  using Function = std::function<bool(std::string &user, std::string &password)>;

  Credentials() = default;
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  redcol_credentials *get() const noexcept { return handle_.get(); }

  static Credentials make(Function function, Error &error) {
    auto kept = std::make_unique<Function>(std::move(function));
    redcol_credentials *made = nullptr;
    Error::Out out(error);
    if (out.done(redcol_credentials_new(ask, kept.get(), forget, &made, out)) == REDCOL_OK)
      kept.release(); /* it is the library's now, until it calls `forget` */
    return Credentials(made);
  }
#if defined(REDCOL_HPP_EXCEPTIONS)
  static Credentials make(Function function) {
    return detail::thrown([&](Error &error) { return make(std::move(function), error); });
  }
#endif

private:
  explicit Credentials(redcol_credentials *handle) noexcept : handle_(handle) {}
  static std::int32_t ask(redcol_credentials_request *request, void *function) noexcept {
#if defined(REDCOL_HPP_EXCEPTIONS)
    try {
      return answer(request, *static_cast<Function *>(function));
    } catch (...) {
      return -1;
    }
#else
    return answer(request, *static_cast<Function *>(function));
#endif
  }
  static std::int32_t answer(redcol_credentials_request *request, const Function &function) {
    std::string user, password;
    if (!function || !function(user, password))
      return -1;
    return redcol_credentials_set(request, user.data(), detail::length(user), password.data(),
                                  detail::length(password), nullptr);
  }
  static void forget(void *function) noexcept { delete static_cast<Function *>(function); }
  detail::Owned<redcol_credentials> handle_;
};

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_ARGUMENTS_HPP */

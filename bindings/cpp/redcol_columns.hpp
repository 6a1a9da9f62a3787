/*
 * redcol_columns.hpp - the part of redcol.hpp that needs no connection: errors, the columns that
 * are wanted, and batches with typed columns. Include redcol.hpp.
 */
#ifndef REDCOL_COLUMNS_HPP
#define REDCOL_COLUMNS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "redcol.h"

#if defined(__cpp_exceptions)
#define REDCOL_HPP_EXCEPTIONS 1
#include <stdexcept>
#endif

namespace redcol {

namespace detail {

struct Free {
  void operator()(void *handle) const noexcept { redcol_free(handle); }
};

template <class Handle> using Owned = std::unique_ptr<Handle, Free>;

} // namespace detail

/* What went wrong in the call that it was given to; false if nothing did. */
class Error {
public:
  redcol_status status() const noexcept { return status_; }
  explicit operator bool() const noexcept { return status_ < 0; }
  /* What was asked, what came back and what to do; "" without an error. As long as this lives. */
  const char *message() const noexcept {
    return error_ || status_ >= 0 ? redcol_error_message(error_.get()) : message_;
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

  /* An error that is found on this side of the library; `message` is static. */
  static Error of(redcol_status status, const char *message) noexcept {
    Error error;
    error.status_ = status;
    error.message_ = message;
    return error;
  }

private:
  detail::Owned<redcol_error> error_;
  redcol_status status_ = REDCOL_OK;
  const char *message_ = "";
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
/* What `call`, which takes an Error, gives, or its error thrown. */
template <class Call> auto thrown(Call call) {
  Error error;
  auto result = call(error);
  raise(error);
  return result;
}
} // namespace detail
#endif

/* 128 bits of a decimal column ("d:p,s"), in two's complement. */
struct Decimal128 {
  std::uint64_t low;
  std::int64_t high;
};

/* How values of type T stand in a column: `matches` says whether a column of this Arrow format has
   them, `format` is the one to ask for. */
template <class T> struct Type;

namespace detail {
template <char letter> struct OneFormat {
  static constexpr char format[2] = {letter, '\0'};
  static bool matches(const char *found) noexcept { return std::strcmp(found, format) == 0; }
};
inline bool begins(const char *text, const char *with) noexcept {
  return std::strncmp(text, with, std::strlen(with)) == 0;
}
} // namespace detail

template <> struct Type<bool> : detail::OneFormat<'b'> {};
template <> struct Type<std::int8_t> : detail::OneFormat<'c'> {};
template <> struct Type<std::uint8_t> : detail::OneFormat<'C'> {};
template <> struct Type<std::int16_t> : detail::OneFormat<'s'> {};
template <> struct Type<std::uint16_t> : detail::OneFormat<'S'> {};
template <> struct Type<std::uint32_t> : detail::OneFormat<'I'> {};
template <> struct Type<std::uint64_t> : detail::OneFormat<'L'> {};
template <> struct Type<float> : detail::OneFormat<'f'> {};
template <> struct Type<double> : detail::OneFormat<'g'> {};
/* also days (tdD), and times of day in seconds and milliseconds (tts, ttm) */
template <> struct Type<std::int32_t> {
  static constexpr char format[] = "i";
  static bool matches(const char *found) noexcept {
    return std::strcmp(found, "i") == 0 || std::strcmp(found, "tdD") == 0 ||
           std::strcmp(found, "tts") == 0 || std::strcmp(found, "ttm") == 0;
  }
};
/* also times of day in microseconds and nanoseconds, timestamps and durations, in their units */
template <> struct Type<std::int64_t> {
  static constexpr char format[] = "l";
  static bool matches(const char *found) noexcept {
    return std::strcmp(found, "l") == 0 || std::strcmp(found, "ttu") == 0 ||
           std::strcmp(found, "ttn") == 0 || detail::begins(found, "ts") ||
           detail::begins(found, "tD");
  }
};
template <> struct Type<Decimal128> {
  static bool matches(const char *found) noexcept { return detail::begins(found, "d:"); }
};
/* strings and bytes in every layout; for a column with a dictionary, its values */
template <> struct Type<std::string_view> {
  static constexpr char format[] = "vu";
  static bool matches(const char *found) noexcept {
    return (found[0] == 'v' && (found[1] == 'u' || found[1] == 'z') && found[2] == '\0') ||
           (found[0] != '\0' && std::strchr("uUzZ", found[0]) && found[1] == '\0');
  }
};

/* The columns that are wanted: Schema().add<std::int64_t>("value").add("price", "d:9,2") */
class Schema {
public:
  Schema &add(std::string_view name, std::string_view format) {
    columns_.emplace_back(name, format);
    return *this;
  }
  template <class T> Schema &add(std::string_view name) { return add(name, Type<T>::format); }

  /* The C struct, which stands by itself. */
  class Struct {
  public:
    explicit Struct(std::vector<std::pair<std::string, std::string>> columns)
        : columns_(std::move(columns)) {
      children_.reserve(columns_.size());
      for (const auto &[name, format] : columns_)
        children_.push_back(node(format.c_str(), name.c_str()));
      for (ArrowSchema &child : children_)
        pointers_.push_back(&child);
      whole_ = node("+s", "");
      whole_.n_children = static_cast<std::int64_t>(pointers_.size());
      whole_.children = pointers_.data();
    }
    Struct(const Struct &) = delete;
    Struct &operator=(const Struct &) = delete;
    const ArrowSchema *get() const noexcept { return &whole_; }

  private:
    static ArrowSchema node(const char *format, const char *name) noexcept {
      ArrowSchema schema{};
      schema.format = format;
      schema.name = name;
      schema.flags = ARROW_FLAG_NULLABLE;
      schema.release = [](ArrowSchema *released) { released->release = nullptr; };
      return schema;
    }
    std::vector<std::pair<std::string, std::string>> columns_;
    std::vector<ArrowSchema> children_;
    std::vector<ArrowSchema *> pointers_;
    ArrowSchema whole_{};
  };
  Struct build() const { return Struct(columns_); }

private:
  std::vector<std::pair<std::string, std::string>> columns_;
};

/* The values of one column of a batch, as long as the batch is. Iterating gives optionals; [] gives
   a value that means nothing where is_null. */
template <class T> class Column {
public:
  Column(const ArrowSchema &schema, const ArrowArray &array) noexcept
      : array_(&array), dictionary_(array.dictionary), format_(schema.format),
        text_format_(schema.dictionary ? schema.dictionary->format : schema.format) {}

  std::size_t size() const noexcept { return static_cast<std::size_t>(array_->length); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t null_count() const noexcept { return static_cast<std::size_t>(array_->null_count); }
  const char *format() const noexcept { return format_; }

  bool is_null(std::size_t row) const noexcept {
    const auto *validity = static_cast<const std::uint8_t *>(array_->buffers[0]);
    const std::size_t bit = row + offset(array_);
    return validity && ((validity[bit / 8] >> (bit % 8)) & 1) == 0;
  }

  T operator[](std::size_t row) const noexcept {
    const std::size_t index = row + offset(array_);
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (!dictionary_)
        return text(array_, index);
      return is_null(row) ? T() : text(dictionary_, code(index) + offset(dictionary_));
    } else if constexpr (std::is_same_v<T, bool>) {
      const auto *bits = static_cast<const std::uint8_t *>(array_->buffers[1]);
      return ((bits[index / 8] >> (index % 8)) & 1) != 0;
    } else {
      return load<T>(array_->buffers[1], index);
    }
  }

  std::optional<T> at(std::size_t row) const noexcept {
    if (row >= size() || is_null(row))
      return std::nullopt;
    return (*this)[row];
  }

  class Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::optional<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_type;
    Iterator(const Column *column, std::size_t row) noexcept : column_(column), row_(row) {}
    value_type operator*() const noexcept { return column_->at(row_); }
    Iterator &operator++() noexcept { return ++row_, *this; }
    Iterator operator++(int) noexcept { return {column_, row_++}; }
    bool operator==(const Iterator &other) const noexcept { return row_ == other.row_; }
    bool operator!=(const Iterator &other) const noexcept { return row_ != other.row_; }

  private:
    const Column *column_;
    std::size_t row_;
  };
  Iterator begin() const noexcept { return {this, 0}; }
  Iterator end() const noexcept { return {this, size()}; }

private:
  static std::size_t offset(const ArrowArray *array) noexcept {
    return static_cast<std::size_t>(array->offset);
  }
  template <class Value> static Value load(const void *values, std::size_t index) noexcept {
    Value value;
    std::memcpy(&value, static_cast<const char *>(values) + index * sizeof value, sizeof value);
    return value;
  }
  std::size_t code(std::size_t index) const noexcept {
    const void *codes = array_->buffers[1];
    switch (format_[0]) {
    case 'c': return static_cast<std::size_t>(load<std::int8_t>(codes, index));
    case 'C': return load<std::uint8_t>(codes, index);
    case 's': return static_cast<std::size_t>(load<std::int16_t>(codes, index));
    case 'S': return load<std::uint16_t>(codes, index);
    case 'i': return static_cast<std::size_t>(load<std::int32_t>(codes, index));
    case 'I': return load<std::uint32_t>(codes, index);
    default: return static_cast<std::size_t>(load<std::uint64_t>(codes, index));
    }
  }
  std::string_view text(const ArrowArray *array, std::size_t index) const noexcept {
    if (text_format_[0] == 'v') {
      const char *view = static_cast<const char *>(array->buffers[1]) + index * 16;
      const auto size = static_cast<std::size_t>(load<std::int32_t>(view, 0));
      if (size <= 12)
        return {view + 4, size};
      const auto buffer = static_cast<std::size_t>(load<std::int32_t>(view, 2));
      const auto begin = static_cast<std::size_t>(load<std::int32_t>(view, 3));
      return {static_cast<const char *>(array->buffers[2 + buffer]) + begin, size};
    }
    const bool is_small = text_format_[0] == 'u' || text_format_[0] == 'z';
    const auto position = [&](std::size_t at) {
      return static_cast<std::size_t>(is_small ? load<std::int32_t>(array->buffers[1], at)
                                               : load<std::int64_t>(array->buffers[1], at));
    };
    const std::size_t begin = position(index);
    return {static_cast<const char *>(array->buffers[2]) + begin, position(index + 1) - begin};
  }

  const ArrowArray *array_;
  const ArrowArray *dictionary_;
  const char *format_;
  const char *text_format_;
};

/* Rows, with their schema. Released when this goes, on any thread, after everything else too. */
class Batch {
public:
  Batch() = default;
  Batch(Batch &&other) noexcept : schema_(other.schema_), array_(other.array_) { other.forget(); }
  Batch &operator=(Batch &&other) noexcept {
    if (this != &other) {
      release();
      schema_ = other.schema_;
      array_ = other.array_;
      other.forget();
    }
    return *this;
  }
  ~Batch() { release(); }

  std::size_t size() const noexcept { return static_cast<std::size_t>(array_.length); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t column_count() const noexcept { return static_cast<std::size_t>(array_.n_children); }
  /* Of a column that there is. */
  std::string_view name(std::size_t column) const noexcept {
    return schema_.children[column]->name;
  }
  const char *format(std::size_t column) const noexcept {
    return schema_.children[column]->format;
  }
  std::optional<std::size_t> index(std::string_view column) const noexcept {
    for (std::size_t i = 0; i < column_count(); i++)
      if (name(i) == column)
        return i;
    return std::nullopt;
  }

  /* A column as values of type T; nothing if it is not there or of another type. */
  template <class T> std::optional<Column<T>> find(std::size_t column) const noexcept {
    if (column >= column_count())
      return std::nullopt;
    const ArrowSchema &schema = *schema_.children[column];
    if (schema.dictionary ? !is_text<T>(*schema.dictionary) : !Type<T>::matches(schema.format))
      return std::nullopt;
    return Column<T>(schema, *array_.children[column]);
  }
  template <class T> std::optional<Column<T>> find(std::string_view column) const noexcept {
    const std::optional<std::size_t> at = index(column);
    return at ? find<T>(*at) : std::nullopt;
  }
#if defined(REDCOL_HPP_EXCEPTIONS)
  template <class T, class Key> Column<T> column(const Key &key) const {
    if (std::optional<Column<T>> found = find<T>(key))
      return *found;
    throw Exception(Error::of(REDCOL_ERROR_SCHEMA,
                              "the batch has no such column of values of this type"));
  }
#endif

  /* The C structs: to look at, or, with `move_to`, to hand over to another consumer of Arrow. */
  const ArrowArray &array() const noexcept { return array_; }
  const ArrowSchema &schema() const noexcept { return schema_; }
  void move_to(ArrowSchema *schema, ArrowArray *array) noexcept {
    *schema = schema_;
    *array = array_;
    forget();
  }
  /* For a C function to fill: what was there is released. */
  std::pair<ArrowSchema *, ArrowArray *> out() noexcept {
    release();
    return {&schema_, &array_};
  }

private:
  template <class T> static bool is_text(const ArrowSchema &values) noexcept {
    return std::is_same_v<T, std::string_view> && Type<std::string_view>::matches(values.format);
  }
  void forget() noexcept {
    schema_ = ArrowSchema{};
    array_ = ArrowArray{};
  }
  void release() noexcept {
    if (array_.release)
      array_.release(&array_);
    if (schema_.release)
      schema_.release(&schema_);
    forget();
  }
  ArrowSchema schema_{};
  ArrowArray array_{};
};

} // namespace redcol

#endif /* REDCOL_COLUMNS_HPP */

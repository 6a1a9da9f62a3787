// SPDX-License-Identifier: Apache-2.0
/*
 * redcol_columns.hpp - the part of redcol.hpp that needs no connection: the columns wanted,
 * and batches with typed columns. Include redcol.hpp.
 */
#ifndef REDCOL_COLUMNS_HPP
#define REDCOL_COLUMNS_HPP

#include "redcol_errors.hpp"

/* Without it, redcol_errors.hpp has said which version of C++ is needed. */
#if defined(REDCOL_HPP_MODE)

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L && defined(__has_include)
#if __has_include(<ranges>)
#include <ranges>
#endif
#endif

namespace redcol {
inline namespace REDCOL_HPP_MODE {

/* 128 bits of a decimal column ("d:p,s"), in two's complement. */
struct Decimal128 {
  std::uint64_t low;
  std::int64_t high;
};

/* How values of type T stand in a column: `matches` says whether a column of this Arrow format has
   them, `format` is the one to ask for, `name` is for messages. */
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

template <> struct Type<bool> : detail::OneFormat<'b'> {
  static constexpr char name[] = "bool";
};
template <> struct Type<std::int8_t> : detail::OneFormat<'c'> {
  static constexpr char name[] = "std::int8_t";
};
template <> struct Type<std::uint8_t> : detail::OneFormat<'C'> {
  static constexpr char name[] = "std::uint8_t";
};
template <> struct Type<std::int16_t> : detail::OneFormat<'s'> {
  static constexpr char name[] = "std::int16_t";
};
template <> struct Type<std::uint16_t> : detail::OneFormat<'S'> {
  static constexpr char name[] = "std::uint16_t";
};
template <> struct Type<std::uint32_t> : detail::OneFormat<'I'> {
  static constexpr char name[] = "std::uint32_t";
};
template <> struct Type<std::uint64_t> : detail::OneFormat<'L'> {
  static constexpr char name[] = "std::uint64_t";
};
template <> struct Type<float> : detail::OneFormat<'f'> {
  static constexpr char name[] = "float";
};
template <> struct Type<double> : detail::OneFormat<'g'> {
  static constexpr char name[] = "double";
};
/* also days (tdD), and times of day in seconds and milliseconds (tts, ttm) */
template <> struct Type<std::int32_t> {
  static constexpr char format[] = "i";
  static constexpr char name[] = "std::int32_t";
  static bool matches(const char *found) noexcept {
    return std::strcmp(found, "i") == 0 || std::strcmp(found, "tdD") == 0 ||
           std::strcmp(found, "tts") == 0 || std::strcmp(found, "ttm") == 0;
  }
};
/* also times of day in microseconds and nanoseconds, timestamps and durations, in their units */
template <> struct Type<std::int64_t> {
  static constexpr char format[] = "l";
  static constexpr char name[] = "std::int64_t";
  static bool matches(const char *found) noexcept {
    return std::strcmp(found, "l") == 0 || std::strcmp(found, "ttu") == 0 ||
           std::strcmp(found, "ttn") == 0 || detail::begins(found, "ts") ||
           detail::begins(found, "tD");
  }
};
template <> struct Type<Decimal128> {
  static constexpr char name[] = "redcol::Decimal128";
  static bool matches(const char *found) noexcept { return detail::begins(found, "d:"); }
};
/* strings and bytes in every layout; for a column with a dictionary, its values */
template <> struct Type<std::string_view> {
  static constexpr char format[] = "vu";
  static constexpr char name[] = "std::string_view";
  static bool matches(const char *found) noexcept {
    return (found[0] == 'v' && (found[1] == 'u' || found[1] == 'z') && found[2] == '\0') ||
           (found[0] != '\0' && std::strchr("uUzZ", found[0]) && found[1] == '\0');
  }
};

/* A struct of the C Data Interface with its owner: released when this goes. */
class OwnedSchema {
public:
  OwnedSchema() = default;
  OwnedSchema(OwnedSchema &&other) noexcept : schema_(other.schema_) { other.schema_ = {}; }
  OwnedSchema &operator=(OwnedSchema &&other) noexcept {
    if (this != &other) {
      release();
      schema_ = other.schema_;
      other.schema_ = {};
    }
    return *this;
  }
  ~OwnedSchema() { release(); }
  explicit operator bool() const noexcept { return schema_.release != nullptr; }
  const ArrowSchema *get() const noexcept { return &schema_; }
  const ArrowSchema *operator->() const noexcept { return &schema_; }
  /* For a C function to fill: what was there is released. */
  ArrowSchema *out() noexcept {
    release();
    return &schema_;
  }

private:
  void release() noexcept {
    if (schema_.release)
      schema_.release(&schema_);
    schema_ = {};
  }
  ArrowSchema schema_{};
};

/* The columns that are wanted: Schema().add<std::int64_t>("value").add("price", "d:9,2"), or, as
   redcol_schema_new reads them, Schema::parse("value:l,price:d:9,2") */
class Schema {
public:
  Schema &add(std::string_view name, std::string_view format) {
    columns_.push_back({std::string(name), std::string(format), std::string()});
    return *this;
  }
  template <class T> Schema &add(std::string_view name) { return add(name, Type<T>::format); }
  /* Strings that repeat: integers of the format `indices`, with a dictionary. */
  Schema &add_dictionary(std::string_view name, std::string_view indices = "I",
                         std::string_view strings = "vu") {
    columns_.push_back({std::string(name), std::string(indices), std::string(strings)});
    return *this;
  }

  static Schema parse(const std::string &text, Error &error) {
    Schema schema;
    if (detail::refused(text, "the text of a schema", error))
      return schema;
    OwnedSchema parsed;
    Error::Out out(error);
    if (out.done(redcol_schema_new(text.c_str(), parsed.out(), out)) != REDCOL_OK)
      return schema;
    for (std::int64_t i = 0; i < parsed->n_children; i++) {
      const ArrowSchema &column = *parsed->children[i];
      schema.columns_.push_back(
          {column.name, column.format, column.dictionary ? column.dictionary->format : ""});
    }
    return schema;
  }
#if defined(REDCOL_HPP_EXCEPTIONS)
  static Schema parse(const std::string &text) {
    return detail::thrown([&](Error &error) { return parse(text, error); });
  }
#endif

private:
  struct Entry {
    std::string name, format, dictionary; /* dictionary: "" without one */
  };

public:
  /* The C struct, which stands by itself. */
  class Struct {
  public:
    explicit Struct(std::vector<Entry> columns) : columns_(std::move(columns)) {
      nodes_.reserve(2 * columns_.size());
      pointers_.reserve(columns_.size());
      for (const Entry &column : columns_) {
        nodes_.push_back(node(column.format.c_str(), column.name.c_str()));
        ArrowSchema &child = nodes_.back();
        pointers_.push_back(&child);
        if (!column.dictionary.empty()) {
          nodes_.push_back(node(column.dictionary.c_str(), ""));
          child.dictionary = &nodes_.back();
        }
      }
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
    std::vector<Entry> columns_;
    std::vector<ArrowSchema> nodes_;
    std::vector<ArrowSchema *> pointers_;
    ArrowSchema whole_{};
  };
  Struct build() const { return Struct(columns_); }

  /* False, with `error` set, if a name or a format cannot be said in C. */
  bool check(Error &error) const {
    for (const Entry &column : columns_)
      if (detail::refused(column.name, "the name of a column", error) ||
          detail::refused(column.format, "the format of column \"" + column.name + "\"", error) ||
          detail::refused(column.dictionary, "the dictionary of \"" + column.name + "\"", error))
        return false;
    return true;
  }

private:
  std::vector<Entry> columns_;
};

/* The values of one column of a batch, as long as the batch is: a range of optionals, with
   iterators of random access. Where is_null, [] returns a value that means nothing. The column
   refers to the batch and owns nothing, so that it can be copied and passed on at no cost. */
template <class T> class Column {
public:
  using value_type = std::optional<T>;
  Column() noexcept = default; /* no rows */
  Column(const ArrowSchema &schema, const ArrowArray &array) noexcept
      : array_(&array), dictionary_(array.dictionary), format_(schema.format),
        text_format_(schema.dictionary ? schema.dictionary->format : schema.format) {}

  std::size_t size() const noexcept {
    return array_ ? static_cast<std::size_t>(array_->length) : 0;
  }
  bool empty() const noexcept { return size() == 0; }
  std::size_t null_count() const noexcept {
    return array_ ? static_cast<std::size_t>(array_->null_count) : 0;
  }
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

  /* Of random access. Since it returns values, not references, what C++17 calls it is an input
     iterator; it has all operators in C++17, too. */
  class Iterator {
  public:
    using iterator_concept = std::random_access_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = std::optional<T>;
    using difference_type = std::ptrdiff_t;
    using reference = value_type;
    class pointer {
    public:
      explicit pointer(value_type value) noexcept : value_(value) {}
      const value_type *operator->() const noexcept { return &value_; }

    private:
      value_type value_;
    };
    Iterator() noexcept = default;
    Iterator(Column column, std::size_t row) noexcept
        : column_(column), row_(static_cast<difference_type>(row)) {}
    value_type operator*() const noexcept { return column_.at(static_cast<std::size_t>(row_)); }
    value_type operator[](difference_type by) const noexcept { return *(*this + by); }
    pointer operator->() const noexcept { return pointer(**this); }
    Iterator &operator+=(difference_type by) noexcept { return row_ += by, *this; }
    Iterator &operator-=(difference_type by) noexcept { return row_ -= by, *this; }
    Iterator &operator++() noexcept { return *this += 1; }
    Iterator &operator--() noexcept { return *this -= 1; }
    Iterator operator++(int) noexcept {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    Iterator operator--(int) noexcept {
      const Iterator before = *this;
      --*this;
      return before;
    }
    friend Iterator operator+(Iterator at, difference_type by) noexcept { return at += by; }
    friend Iterator operator+(difference_type by, Iterator at) noexcept { return at += by; }
    friend Iterator operator-(Iterator at, difference_type by) noexcept { return at -= by; }
    friend difference_type operator-(const Iterator &a, const Iterator &b) noexcept {
      return a.row_ - b.row_;
    }
    friend bool operator==(const Iterator &a, const Iterator &b) noexcept {
      return a.row_ == b.row_;
    }
    friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }
    friend bool operator<(const Iterator &a, const Iterator &b) noexcept { return a.row_ < b.row_; }
    friend bool operator>(const Iterator &a, const Iterator &b) noexcept { return b < a; }
    friend bool operator<=(const Iterator &a, const Iterator &b) noexcept { return !(b < a); }
    friend bool operator>=(const Iterator &a, const Iterator &b) noexcept { return !(a < b); }

  private:
    Column column_;
    difference_type row_ = 0;
  };
  using iterator = Iterator;
  using const_iterator = Iterator;
  Iterator begin() const noexcept { return {*this, 0}; }
  Iterator end() const noexcept { return {*this, size()}; }

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

  const ArrowArray *array_ = nullptr;
  const ArrowArray *dictionary_ = nullptr;
  const char *format_ = "";
  const char *text_format_ = "";
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
  /* Of a column that exists. */
  std::string_view name(std::size_t column) const noexcept {
    return schema_.children[column]->name;
  }
  const char *format(std::size_t column) const noexcept { return schema_.children[column]->format; }
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
  /* The same, with an error that says what is there instead. */
  template <class T> Column<T> column(std::size_t column, Error &error) const {
    return found_or<T>(find<T>(column), column, error);
  }
  template <class T> Column<T> column(std::string_view column, Error &error) const {
    return found_or<T>(find<T>(column), column, error);
  }
#if defined(REDCOL_HPP_EXCEPTIONS)
  template <class T> Column<T> column(std::size_t column) const {
    return detail::thrown([&](Error &error) { return this->column<T>(column, error); });
  }
  template <class T> Column<T> column(std::string_view column) const {
    return detail::thrown([&](Error &error) { return this->column<T>(column, error); });
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
  template <class T, class Key>
  Column<T> found_or(std::optional<Column<T>> found, Key key, Error &error) const {
    error = found ? Error() : Error::of(REDCOL_ERROR_SCHEMA, what_is_there(key, Type<T>::name));
    return found.value_or(Column<T>());
  }
  std::string what_is_there(std::size_t column, const char *wanted) const {
    if (column >= column_count())
      return "the batch has no column " + std::to_string(column) + ": it has " +
             std::to_string(column_count());
    const ArrowSchema &schema = *schema_.children[column];
    std::string text = "the column \"" + std::string(name(column)) + "\" has the Arrow format \"" +
                       schema.format + "\"";
    if (schema.dictionary)
      text += std::string(" with a dictionary of \"") + schema.dictionary->format + "\"";
    return text + ", whose values are not of the type " + wanted;
  }
  std::string what_is_there(std::string_view column, const char *wanted) const {
    if (const std::optional<std::size_t> at = index(column))
      return what_is_there(*at, wanted);
    std::string text = "the batch has no column \"" + std::string(column) + "\"; it has ";
    for (std::size_t i = 0; i < column_count() && i < 20; i++)
      text += (i ? ", \"" : "\"") + std::string(name(i)) + "\"";
    if (column_count() == 0 || column_count() > 20)
      text += column_count() == 0 ? "none" : ", \xE2\x80\xA6";
    return text;
  }
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

} // namespace REDCOL_HPP_MODE
} // namespace redcol

#if defined(__cpp_lib_ranges)
/* A column refers to its batch and owns nothing: iterators and views outlive it. */
template <class T> inline constexpr bool std::ranges::enable_view<redcol::Column<T>> = true;
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<redcol::Column<T>> = true;
#endif

#endif /* REDCOL_HPP_MODE */
#endif /* REDCOL_COLUMNS_HPP */

// Decimal text to binary floating point, correctly rounded, by fast_float; and back, the shortest
// way, by the C++ library.
#include "include/CPlatform.h"

#include <charconv>
#include <cmath>
#include <fast_float/fast_float.h>

namespace {
template <typename Float>
bool parse(const char *text, size_t length, Float *value_out) {
  const char *end = text + length;
  // std::from_chars knows no leading plus; a Redis client may well write one.
  if (length > 1 && text[0] == '+' && text[1] != '-') ++text;
  fast_float::from_chars_result result = fast_float::from_chars(text, end, *value_out);
  // "nan(anything)" is a number to C, but not to anyone who writes one into a stream.
  if (length > 0 && end[-1] == ')') return false;
  // An exponent that is too large or too small gives infinity or zero, as Polars' own cast does.
  return result.ec == std::errc() && result.ptr == end;
}

// Lays the shortest digits out: with a point where the number is neither too small nor too large
// for that (`point_min` < digits before the point <= `point_max`), else with an exponent.
template <typename Float>
size_t format(Float value, char *text, int point_min, int point_max) {
  char *out = text;
  if (std::isnan(value)) {
    memcpy(out, "NaN", 3);
    return 3;
  }
  if (std::signbit(value)) {
    *out++ = '-';
    value = -value;
  }
  if (std::isinf(value)) {
    memcpy(out, "inf", 3);
    return static_cast<size_t>(out + 3 - text);
  }
  char shortest[32]; // d[.ddd]e±dd
  char *end =
      std::to_chars(shortest, shortest + sizeof shortest, value, std::chars_format::scientific).ptr;
  char digits[24];
  int count = 0, exponent = 0;
  const char *at = shortest;
  for (; at < end && *at != 'e'; ++at)
    if (*at != '.') digits[count++] = *at;
  const bool is_negative = at + 1 < end && at[1] == '-';
  for (at += 2; at < end; ++at) exponent = exponent * 10 + (*at - '0');
  const int before_point = (is_negative ? -exponent : exponent) + 1;
  if (value == 0 || (before_point > point_min && before_point <= point_max)) {
    int written = 0;
    if (before_point <= 0) {
      *out++ = '0';
    } else {
      for (; written < before_point; ++written) *out++ = written < count ? digits[written] : '0';
    }
    *out++ = '.';
    if (before_point < 0)
      for (int zeros = before_point; zeros < 0; ++zeros) *out++ = '0';
    if (written >= count) *out++ = '0';
    for (; written < count; ++written) *out++ = digits[written];
  } else {
    *out++ = digits[0];
    if (count > 1) *out++ = '.';
    for (int i = 1; i < count; ++i) *out++ = digits[i];
    *out++ = 'e';
    *out++ = is_negative ? '-' : '+';
    out = std::to_chars(out, out + 4, exponent).ptr;
  }
  return static_cast<size_t>(out - text);
}
}  // namespace

size_t platform_format_double(double value, char *text) { return format(value, text, -5, 16); }

size_t platform_format_float(float value, char *text) { return format(value, text, -6, 13); }

bool platform_parse_double(const char *text, size_t length, double *value_out) {
  return parse(text, length, value_out);
}

bool platform_parse_float(const char *text, size_t length, float *value_out) {
  return parse(text, length, value_out);
}

// SPDX-License-Identifier: Apache-2.0
// Decimal text to binary floating point, correctly rounded, by fast_float.
#include "include/CPlatform.h"

#include <fast_float/fast_float.h>

namespace {
template <typename Float> bool parse(const char *text, size_t length, Float *value_out) {
  const char *end = text + length;
  // std::from_chars knows no leading plus; a Redis client may well write one.
  if (length > 1 && text[0] == '+' && text[1] != '-')
    ++text;
  fast_float::from_chars_result result = fast_float::from_chars(text, end, *value_out);
  // "nan(anything)" is a number to C, but not to anyone who writes one into a stream.
  if (length > 0 && end[-1] == ')')
    return false;
  if (result.ec != std::errc() || result.ptr != end)
    return false;
  // A number that is too large becomes infinity, which is another value. The words stay: they begin
  // with a letter.
  if (!std::isinf(*value_out))
    return true;
  return (*(*text == '-' ? text + 1 : text) | 0x20) == 'i';
}
} // namespace

bool platform_parse_double(const char *text, size_t length, double *value_out) {
  return parse(text, length, value_out);
}

bool platform_parse_float(const char *text, size_t length, float *value_out) {
  return parse(text, length, value_out);
}

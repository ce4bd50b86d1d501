// A compact binary form of every struct of the model, for passing them between processes of one
// Cove (the caller, the launcher). Not for files: it has no field names, and changes with the
// structs.
//
//   std::string bytes = encode(plan);
//   Result<Plan> again = decode<Plan>(bytes);
//
// Whole numbers are LEB128 (signed ones zigzag), texts and lists have their length before them, a
// bool, an optional's presence and a variant's index are one byte. decode reads any bytes without
// harm: every length is checked against what is left, so that it never allocates more than a small
// multiple of its input, and what encode would not have written is refused.
#pragma once

#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cove/result.h"
#include "runtime/model/describe.h"
#include "runtime/model/names.h"

namespace cove {

// First byte of every encoding; to be raised with every change of this format.
inline constexpr char kWireVersion = 1;
// How deep structs may lie in each other. Error::more is the only recursion of the model.
inline constexpr int kDeepestWire = 32;

class WireWriter {
 public:
  std::string finish() && { return std::move(out_); }

  template <class T>
  void field(std::string_view, const T& value) {
    write(value);
  }
  template <class T>
  void required(std::string_view, const T& value) {
    write(value);
  }
  template <class T>
  void if_any(std::string_view, const T& value) {
    write(value);
  }
  void text(std::string_view, const std::string& value) { write(value); }
  void mode(std::string_view, std::uint32_t value) { write(value); }
  void limit(std::string_view, std::uint64_t value) { write(value); }
  void stream(std::string_view, const CapturedStream& value) {
    write(value.bytes);
    write(value.total_bytes);
    write(value.truncated);
  }

  void write(bool value) { out_ += value ? '\1' : '\0'; }

  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) void write(T value) {
    std::uint64_t rest = value;
    for (; rest >= 0x80; rest >>= 7) out_ += static_cast<char>(rest | 0x80);
    out_ += static_cast<char>(rest);
  }

  template <std::signed_integral T>
  void write(T value) {
    const auto wide = static_cast<std::int64_t>(value);
    write(static_cast<std::uint64_t>(wide) << 1 ^ static_cast<std::uint64_t>(wide >> 63));
  }

  void write(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    char bytes[sizeof bits];
    std::memcpy(bytes, &bits, sizeof bits);  // both sides are the same machine
    out_.append(bytes, sizeof bytes);
  }

  void write(const std::string& value) {
    write(value.size());
    out_ += value;
  }

  void write(Bytes value) { write(value.count); }
  void write(Duration value) { write(static_cast<std::int64_t>(value.count())); }

  template <NamedEnum E>
  void write(E value) {
    write(static_cast<std::uint64_t>(value));
  }

  template <class T>
  void write(const std::optional<T>& value) {
    write(value.has_value());
    if (value) write(*value);
  }

  template <class T>
  void write(const std::vector<T>& values) {
    write(values.size());
    for (const T& value : values) write(value);
  }

  template <class A, class B>
  void write(const std::pair<A, B>& value) {
    write(value.first);
    write(value.second);
  }

  template <class K, class T>
  void write(const std::map<K, T>& values) {
    write(values.size());
    for (const auto& [key, value] : values) {
      write(key);
      write(value);
    }
  }

  template <class... Ts>
  void write(const std::variant<Ts...>& value) {
    write(value.index());
    std::visit([this](const auto& one) { this->write(one); }, value);
  }

  template <class S>
  requires std::is_class_v<S>
  void write(const S& value) { describe(*this, value); }

 private:
  std::string out_{kWireVersion};
};

// After the first fault every read does nothing; good() says so in the end.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {
    if (next() != static_cast<unsigned char>(kWireVersion)) fail_read();
  }

  // Nothing was wrong, and nothing is left.
  bool good() const { return good_ && rest_.empty(); }

  template <class T>
  void field(std::string_view, T& value) {
    read(value);
  }
  template <class T>
  void required(std::string_view, T& value) {
    read(value);
  }
  template <class T>
  void if_any(std::string_view, T& value) {
    read(value);
  }
  void text(std::string_view, std::string& value) { read(value); }
  void mode(std::string_view, std::uint32_t& value) { read(value); }
  void limit(std::string_view, std::uint64_t& value) { read(value); }
  void stream(std::string_view, CapturedStream& value) {
    read(value.bytes);
    read(value.total_bytes);
    read(value.truncated);
  }

  void read(bool& value) {
    const unsigned char byte = next();
    if (byte > 1) return fail_read();
    value = byte == 1;
  }

  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) void read(T& value) {
    std::uint64_t whole = 0;
    for (int shift = 0;; shift += 7) {
      const unsigned char byte = next();
      const std::uint64_t low = byte & 0x7FU;
      if (shift == 63 && low > 1) return fail_read();  // above 64 bits
      if (shift > 0 && byte == 0) return fail_read();  // a longer form than needed, or the end
      whole |= low << shift;
      if (byte < 0x80) break;
      if (shift == 63) return fail_read();
    }
    if (!good_ || !std::in_range<T>(whole)) return fail_read();
    value = static_cast<T>(whole);
  }

  template <std::signed_integral T>
  void read(T& value) {
    std::uint64_t zigzag = 0;
    read(zigzag);
    const auto wide = static_cast<std::int64_t>(zigzag >> 1 ^ (0 - (zigzag & 1)));
    if (!good_ || !std::in_range<T>(wide)) return fail_read();
    value = static_cast<T>(wide);
  }

  void read(double& value) {
    std::uint64_t bits = 0;
    if (rest_.size() < sizeof bits) return fail_read();
    std::memcpy(&bits, rest_.data(), sizeof bits);
    rest_.remove_prefix(sizeof bits);
    value = std::bit_cast<double>(bits);
  }

  void read(std::string& value) {
    const std::size_t size = length();
    value.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }

  void read(Bytes& value) { read(value.count); }

  void read(Duration& value) {
    std::int64_t count = 0;
    read(count);
    value = Duration{count};
  }

  template <NamedEnum E>
  void read(E& value) {
    std::uint64_t index = 0;
    read(index);
    if (index >= EnumNames<E>::kTable.size()) return fail_read();
    value = static_cast<E>(index);
  }

  template <class T>
  void read(std::optional<T>& value) {
    bool present = false;
    read(present);
    value.reset();
    if (present) read(value.emplace());
  }

  template <class T>
  void read(std::vector<T>& values) {
    const std::size_t count = length();
    values.clear();
    for (std::size_t i = 0; i < count && good_; ++i) read(values.emplace_back());
  }

  template <class A, class B>
  void read(std::pair<A, B>& value) {
    read(value.first);
    read(value.second);
  }

  template <class K, class T>
  void read(std::map<K, T>& values) {
    const std::size_t count = length();
    values.clear();
    for (std::size_t i = 0; i < count && good_; ++i) {
      K key{};
      read(key);
      // In ascending order, as a map is written: so no key is there twice.
      if (!values.empty() && !(values.rbegin()->first < key)) return fail_read();
      read(values.emplace_hint(values.end(), std::move(key), T{})->second);
    }
  }

  template <class... Ts>
  void read(std::variant<Ts...>& value) {
    std::uint64_t index = 0;
    read(index);
    std::uint64_t i = 0;
    ((i++ == index ? read(value.template emplace<Ts>()) : void()), ...);
    if (index >= sizeof...(Ts)) fail_read();
  }

  template <class S>
  requires std::is_class_v<S>
  void read(S& value) {
    if (depth_ == kDeepestWire) return fail_read();
    ++depth_;
    describe(*this, value);
    --depth_;
  }

 private:
  void fail_read() {
    good_ = false;
    rest_ = {};
  }

  unsigned char next() {
    if (rest_.empty()) {
      good_ = false;
      return 0;
    }
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  // Of a text or a list: at least one byte per item must still be there.
  std::size_t length() {
    std::size_t count = 0;
    read(count);
    if (count > rest_.size()) fail_read();
    return good_ ? count : 0;
  }

  std::string_view rest_;
  bool good_ = true;
  int depth_ = 0;
};

template <class T>
std::string encode(const T& value) {
  WireWriter writer;
  writer.write(value);
  return std::move(writer).finish();
}

// Errors: internal, for bytes that encode<T> of this build did not write.
template <class T>
Result<T> decode(std::string_view bytes) {
  T value{};
  WireReader reader(bytes);
  reader.read(value);
  if (reader.good()) return value;
  Error error;
  error.code = ErrorCode::internal;
  error.step = "wire";
  error.what =
      "a message of " + std::to_string(bytes.size()) + " bytes is damaged or of another version";
  return fail(std::move(error));
}

}  // namespace cove

#include "runtime/systemd/bus_message.h"

#include <cstring>

namespace cove {
namespace {

constexpr std::size_t kFixedHeader = 16;
constexpr std::uint32_t kLargest = 64 * 1024;

// Of header fields.
enum Field : std::uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSignature = 8,
};

constexpr std::size_t aligned(std::size_t at, std::size_t alignment) {
  return (at + alignment - 1) / alignment * alignment;
}

Error no_message() {
  return Error{ErrorCode::setup_failed, "", 0, "what the bus sent is no D-Bus message", "", "", {}};
}

// Reads on from the start of a message, whose alignment is that of its first byte. Once something does
// not lie within it, everything is empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool good() const { return good_; }
  std::size_t at() const { return at_; }
  void align(std::size_t alignment) { take(aligned(at_, alignment) - at_); }
  std::uint8_t byte() {
    const std::string_view taken = take(1);
    return taken.empty() ? 0 : static_cast<std::uint8_t>(taken[0]);
  }
  std::uint32_t u32() {
    align(4);
    const std::string_view taken = take(4);
    std::uint32_t value = 0;
    if (!taken.empty()) std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }
  std::string_view string() { return text(u32()); }
  std::string_view signature() { return text(byte()); }

 private:
  std::string_view text(std::size_t length) {
    const std::string_view taken = take(length);
    take(1);  // a zero
    return taken;
  }
  std::string_view take(std::size_t length) {
    if (length > bytes_.size() - at_) {
      good_ = false;
      at_ = bytes_.size();
      return {};
    }
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool good_ = true;
};

// The value of a header field: those that there are have one of these types.
struct FieldValue {
  std::string_view text;
  std::uint32_t number = 0;
};

std::optional<FieldValue> read_field(Reader& reader) {
  const std::string_view type = reader.signature();
  FieldValue value;
  if (type == "s" || type == "o") {
    value.text = reader.string();
  } else if (type == "g") {
    value.text = reader.signature();
  } else if (type == "u") {
    value.number = reader.u32();
  } else {
    return std::nullopt;
  }
  return reader.good() ? std::optional(value) : std::nullopt;
}

}  // namespace

void BusBody::align(std::size_t alignment) { bytes_.resize(aligned(bytes_.size(), alignment)); }

void BusBody::u32(std::uint32_t value) {
  align(4);
  for (int shift = 0; shift < 32; shift += 8)
    byte(static_cast<std::uint8_t>(value >> shift & 0xff));
}

void BusBody::string(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  bytes_ += value;
  byte(0);
}

void BusBody::signature(std::string_view value) {
  byte(static_cast<std::uint8_t>(value.size()));
  bytes_ += value;
  byte(0);
}

// The length does not count the padding before the first element, which is there without one too.
void BusBody::array(std::size_t alignment, const std::function<void()>& elements) {
  u32(0);
  const std::size_t length_at = bytes_.size() - 4;
  align(alignment);
  const std::size_t first = bytes_.size();
  elements();
  const auto length = static_cast<std::uint32_t>(bytes_.size() - first);
  for (std::size_t i = 0; i < 4; ++i)
    bytes_[length_at + i] = static_cast<char>(length >> (8 * i) & 0xff);
}

std::string encode_bus_call(const BusCall& call, std::uint32_t serial) {
  BusBody message;
  message.byte('l');
  message.byte(static_cast<std::uint8_t>(BusMessageType::call));
  message.byte(0);  // flags
  message.byte(1);  // version of the protocol
  message.u32(static_cast<std::uint32_t>(call.body.size()));
  message.u32(serial);
  const auto text_field = [&](Field field, const char* type, const std::string& value) {
    message.structure();
    message.byte(field);
    message.signature(type);
    message.string(value);
  };
  message.array(8, [&] {
    text_field(kPath, "o", call.path);
    text_field(kDestination, "s", call.destination);
    text_field(kInterface, "s", call.interface);
    text_field(kMember, "s", call.member);
    if (call.signature.empty()) return;
    message.structure();
    message.byte(kSignature);
    message.signature("g");
    message.signature(call.signature);
  });
  message.align(8);
  return message.bytes() + call.body;
}

Result<std::optional<BusMessage>> decode_bus_message(std::string_view bytes) {
  if (bytes.size() < kFixedHeader) return std::nullopt;
  Reader reader(bytes);
  const std::uint8_t order = reader.byte(), type = reader.byte();
  reader.byte();
  const std::uint8_t version = reader.byte();
  const std::uint32_t body_length = reader.u32();
  reader.u32();  // its serial
  const std::uint32_t fields_length = reader.u32();
  if (order != 'l' || version != 1 || type < 1 || body_length > kLargest ||
      fields_length > kLargest)
    return fail(no_message());
  const std::size_t end_of_fields = kFixedHeader + fields_length;
  const std::size_t body = aligned(end_of_fields, 8);
  BusMessage message;
  message.type = static_cast<BusMessageType>(type);
  message.size = body + body_length;
  if (bytes.size() < message.size) return std::nullopt;

  std::string_view signature;
  Reader fields(bytes.substr(0, end_of_fields));
  for (std::size_t i = 0; i < kFixedHeader; ++i) fields.byte();
  while (fields.at() < end_of_fields) {
    fields.align(8);
    const std::uint8_t field = fields.byte();
    const auto value = read_field(fields);
    if (!value) return fail(no_message());
    if (field == kReplySerial) message.reply_to = value->number;
    if (field == kErrorName) message.text = value->text;
    if (field == kSignature) signature = value->text;
  }
  if (message.type == BusMessageType::error && signature.starts_with('s')) {
    Reader arguments(bytes.substr(body, body_length));  // the body begins on a multiple of 8
    const std::string_view text = arguments.string();
    if (arguments.good() && !text.empty()) message.text = text;
  }
  return message;
}

}  // namespace cove

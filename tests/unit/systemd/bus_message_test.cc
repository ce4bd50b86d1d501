#include "runtime/systemd/bus_message.h"

#include <gtest/gtest.h>

#include "runtime/systemd/bus.h"

namespace cove {
namespace {

BusBody header(BusMessageType type, std::uint32_t body_length) {
  BusBody message;
  message.byte('l');
  message.byte(static_cast<std::uint8_t>(type));
  message.byte(1);
  message.byte(1);
  message.u32(body_length);
  message.u32(77);
  return message;
}

std::string answer_to(std::uint32_t serial) {
  BusBody message = header(BusMessageType::answer, 0);
  message.array(8, [&] {
    message.structure();
    message.byte(5);
    message.signature("u");
    message.u32(serial);
  });
  message.align(8);
  return message.bytes();
}

std::string error_of(std::uint32_t serial, const std::string& name, const std::string& words) {
  BusBody body;
  body.string(words);
  BusBody message = header(BusMessageType::error, static_cast<std::uint32_t>(body.bytes().size()));
  message.array(8, [&] {
    message.structure();
    message.byte(4);
    message.signature("s");
    message.string(name);
    message.structure();
    message.byte(5);
    message.signature("u");
    message.u32(serial);
    message.structure();
    message.byte(8);
    message.signature("g");
    message.signature("s");
  });
  message.align(8);
  return message.bytes() + body.bytes();
}

// Byte by byte from the specification's rules.
TEST(BusMessage, OfACallIsWrittenAsSpecified) {
  BusBody body;
  body.string("ab");
  body.array(8, [&] {
    body.structure();
    body.u32(7);
  });
  EXPECT_EQ(body.bytes(), std::string("\2\0\0\0ab\0\0\4\0\0\0\0\0\0\0\7\0\0\0", 20));

  const std::string call = encode_bus_call({"d", "/p", "i.i", "M", "sa(u)", body.bytes()}, 3);
  const std::string expected(
      "l\1\0\1\x14\0\0\0\3\0\0\0\x4b\0\0\0"
      "\1\1o\0\2\0\0\0/p\0\0\0\0\0\0"
      // destination d, interface i.i, member M, signature sa(u)
      "\6\1s\0\1\0\0\0d\0\0\0\0\0\0\0"
      "\2\1s\0\3\0\0\0i.i\0\0\0\0\0"
      "\3\1s\0\1\0\0\0M\0\0\0\0\0\0\0"
      "\10\1g\0\5sa(u)\0\0\0\0\0",
      16 + 4 * 16 + 16);
  EXPECT_EQ(call.substr(0, expected.size()), expected);
  EXPECT_EQ(call.substr(expected.size()), body.bytes());
}

TEST(BusMessage, OfAnAnswerSaysWhichCallItIsFor) {
  const std::string bytes = answer_to(2) + "more";
  const auto message = decode_bus_message(bytes);
  ASSERT_TRUE(message && *message);
  EXPECT_EQ((*message)->type, BusMessageType::answer);
  EXPECT_EQ((*message)->reply_to, 2u);
  EXPECT_EQ((*message)->size, bytes.size() - 4);
}

TEST(BusMessage, OfAnErrorSaysItsWordsElseItsName) {
  const auto words = decode_bus_message(error_of(2, "org.x.Failed", "no such unit"));
  ASSERT_TRUE(words && *words);
  EXPECT_EQ((*words)->type, BusMessageType::error);
  EXPECT_EQ((*words)->text, "no such unit");
  const auto name = decode_bus_message(error_of(2, "org.x.Failed", ""));
  ASSERT_TRUE(name && *name);
  EXPECT_EQ((*name)->text, "org.x.Failed");
}

TEST(BusMessage, ThatIsIncompleteIsAwaited) {
  const std::string bytes = error_of(2, "org.x.Failed", "no such unit");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto message = decode_bus_message(bytes.substr(0, length));
    ASSERT_TRUE(message) << length;
    EXPECT_FALSE(*message) << length;
  }
}

TEST(BusMessage, ThatIsNoneIsRefused) {
  const std::string good = error_of(2, "org.x.Failed", "no such unit");
  struct Case {
    std::size_t at;
    char value;
  };
  // Its order of bytes, version, type, lengths, and what its fields say of themselves.
  for (const Case& c : {Case{0, 'B'}, Case{3, 9}, Case{1, 0}, Case{6, 2}, Case{14, 2},
                        Case{18, 'x'}, Case{23, 1}, Case{17, 99}}) {
    std::string bytes = good;
    bytes[c.at] = c.value;
    const auto message = decode_bus_message(bytes);
    ASSERT_FALSE(message) << c.at;
    EXPECT_EQ(message.error().code, ErrorCode::setup_failed);
    EXPECT_EQ(message.error().what, "what the bus sent is no D-Bus message");
  }
}

// Whatever a byte says, nothing outside of the message is read: for a sanitized build to see.
TEST(BusMessage, WithAnyByteChangedIsReadWithinItsBounds) {
  const std::string good = error_of(2, "org.x.Failed", "no such unit");
  std::size_t read = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int value : {0, 1, 3, 127, 255}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      const auto message = decode_bus_message(std::string_view(bytes));
      if (!message || !*message) continue;
      ++read;
      EXPECT_LE((*message)->size, bytes.size());
      EXPECT_LE((*message)->text.size(), bytes.size());
    }
  }
  EXPECT_GT(read, 0u);
}

TEST(BusAddress, OfASocketIsItsName) {
  EXPECT_EQ(bus_socket("unix:path=/run/user/1000/bus").value(), "/run/user/1000/bus");
  EXPECT_EQ(bus_socket("unix:path=/a%20b%2Fc,guid=12").value(), "/a b/c");
  EXPECT_EQ(bus_socket("unix:guid=1,abstract=/tmp/x").value(), std::string("\0/tmp/x", 7));
  EXPECT_EQ(bus_socket("tcp:host=a;unix:path=/b").value(), "/b");
}

TEST(BusAddress, OfAnythingElseIsRefused) {
  for (const char* address : {"", "nonsense", "tcp:host=localhost,port=1", "unixexec:path=/bin/sh",
                              "unix:tmpdir=/tmp", "unix:"}) {
    const auto socket = bus_socket(address);
    ASSERT_FALSE(socket) << address;
    EXPECT_EQ(socket.error().code, ErrorCode::setup_failed);
    EXPECT_NE(socket.error().what.find("names no socket"), std::string::npos);
  }
}

}  // namespace
}  // namespace cove

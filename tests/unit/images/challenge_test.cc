// What registries say in WWW-Authenticate, and Base64.
#include "images/registry/challenge.h"

#include <gtest/gtest.h>

#include "images/registry/base64.h"

namespace cove {
namespace {

std::string shown(std::string_view header) {
  std::string text;
  for (const Challenge& challenge : parse_challenges(header)) {
    text += (text.empty() ? "" : " | ") + challenge.scheme;
    for (const auto& [name, value] : challenge.parameters) text += " " + name + "<" + value + ">";
  }
  return text;
}

TEST(Challenges, AreReadAsRegistriesWriteThem) {
  EXPECT_EQ(shown(R"(Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push")"),
            "bearer realm<https://a/t> scope<repository:a/b:pull,push> service<s>");
  EXPECT_EQ(shown("Basic realm=\"x\", Bearer realm=\"y\",service=z"),
            "basic realm<x> | bearer realm<y> service<z>");
  EXPECT_EQ(shown("bEaReR ReAlM = \"q\\\"uo\\\\ted\"  ,\tservice\t= s"),
            "bearer realm<q\"uo\\ted> service<s>");
  EXPECT_EQ(shown("Negotiate, Basic realm=x"), "negotiate | basic realm<x>");
  EXPECT_EQ(shown(",, Basic ,,"), "basic");
}

TEST(Challenges, EndWhereTheyCannotBeRead) {
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown("\"Basic\""), "");
  EXPECT_EQ(shown("Bearer realm="), "");
  EXPECT_EQ(shown("Bearer realm=\"open"), "");
  EXPECT_EQ(shown("Bearer realm=\"open\\"), "");
  EXPECT_EQ(shown("Basic realm=x, Bearer realm=\"open"), "basic realm<x>");
  EXPECT_EQ(shown(std::string("Basic\0 realm=x", 14)), "basic");
  EXPECT_EQ(shown("Basic realm=x; Bearer realm=y"), "basic realm<x>");
  EXPECT_EQ(shown("\xff\xfe"), "");
  EXPECT_EQ(shown(std::string(30'000, ',')), "");
  EXPECT_EQ(parse_challenges(std::string(30'000, 'a')).size(), 1U);
}

TEST(Challenges, SayTheLastOfWhatTheySayTwice) {
  EXPECT_EQ(shown("Bearer realm=a,realm=b"), "bearer realm<b>");
}

TEST(Base64, IsWrittenAndReadAgain) {
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 37);
    EXPECT_EQ(base64_encoded(bytes).find_first_of("\r\n"), std::string::npos);
    EXPECT_EQ(base64_decoded(base64_encoded(bytes)), bytes);
  }
  EXPECT_EQ(base64_encoded("ada:se:cret"), "YWRhOnNlOmNyZXQ=");
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"a", "ab", "abc", "a===", "ab*=", "abc\x80", "====", "ab=c", "a=bc"})
    EXPECT_FALSE(base64_decoded(text)) << text;
}

}  // namespace
}  // namespace cove

// docs/spec-reference.md against the code: no field and no name may be missing there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cove/json.h"
#include "runtime/model/describe.h"
#include "runtime/model/names.h"

namespace cove {
namespace {

std::string reference() {
  std::ifstream file(COVE_SOURCE_DIR "/docs/spec-reference.md");
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_named(const std::string& text, const std::string& name) {
  EXPECT_TRUE(text.find("`" + name + "`") != std::string::npos ||
              text.find("`\"" + name + "\"`") != std::string::npos)
      << name << " is not in docs/spec-reference.md";
}

// A visitor that looks every field up.
struct LookUp {
  template <class T>
  void field(std::string_view name, const T&) {
    expect_named(text, std::string(name));
  }
  template <class T>
  void required(std::string_view name, const T& value) {
    field(name, value);
  }
  template <class T>
  void if_any(std::string_view name, const T& value) {
    field(name, value);
  }
  void stream(std::string_view name, const CapturedStream&) {
    for (const char* part : {"", "_encoding", "_bytes", "_truncated"}) {
      expect_named(text, std::string(name) + part);
    }
  }

  template <class S>
  void all_of(const S& value) {
    describe(*this, value);
  }

  std::string text;
};

TEST(SpecReference, NamesEveryField) {
  LookUp look_up{reference()};
  ASSERT_FALSE(look_up.text.empty());
  look_up.all_of(SandboxSpec{});
  look_up.all_of(ResourceSpec{});
  look_up.all_of(MountSpec{});
  look_up.all_of(SandboxResult{});
  look_up.all_of(Usage{});
  look_up.all_of(Events{});
  look_up.all_of(SeccompTrace{});
  look_up.all_of(TracedCall{});
}

template <class E>
void expect_all_named(const std::string& text) {
  for (const std::string_view name : EnumNames<E>::kTable) expect_named(text, std::string(name));
}

TEST(SpecReference, NamesEveryValue) {
  const std::string text = reference();
  expect_all_named<Protection>(text);
  expect_all_named<Requirement>(text);
  expect_all_named<MountType>(text);
  expect_all_named<OutputPolicy>(text);
  expect_all_named<NetworkMode>(text);
  expect_all_named<PrivateNetworks>(text);
  expect_all_named<SeccompMode>(text);
  expect_all_named<ProcessStatus>(text);
  expect_all_named<Cause>(text);
  expect_all_named<ErrorCode>(text);
}

TEST(SpecReference, HasExamplesThatAreAccepted) {
  const std::string text = reference();
  const std::string fence = "```json\n";
  int specs = 0;
  for (std::size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const std::size_t begin = at + fence.size();
    std::string example = text.substr(begin, text.find("```", begin) - begin);
    if (example.starts_with("{\"code\"")) continue;  // an error, and no whole one
    if (!example.starts_with('{')) example = "{\"image\": \"i\", " + example + "}";
    const Result<SandboxSpec> spec = spec_from_json(example);
    EXPECT_TRUE(spec) << example << (spec ? "" : spec.error().message());
    ++specs;
  }
  EXPECT_GE(specs, 4);
}

}  // namespace
}  // namespace cove

#include "runtime/model/names.h"

#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "runtime/text/text.h"

namespace cove {
namespace {

template <class E>
void expect_names_are_their_own_and_come_back() {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < EnumNames<E>::kTable.size(); ++i) {
    const E value = static_cast<E>(i);
    EXPECT_TRUE(seen.insert(name_of(value)).second) << name_of(value);
    ASSERT_TRUE(parse_name<E>(name_of(value))) << name_of(value);
    EXPECT_EQ(*parse_name<E>(name_of(value)), value);
  }
  const Result<E> wrong = parse_name<E>("no such name at all");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(wrong.error().hint.find(EnumNames<E>::kTable[0]), std::string::npos);
}

TEST(Names, AreUniqueAndComeBack) {
  expect_names_are_their_own_and_come_back<ErrorCode>();
  expect_names_are_their_own_and_come_back<Protection>();
  expect_names_are_their_own_and_come_back<Requirement>();
  expect_names_are_their_own_and_come_back<MountType>();
  expect_names_are_their_own_and_come_back<OutputPolicy>();
  expect_names_are_their_own_and_come_back<NetworkMode>();
  expect_names_are_their_own_and_come_back<PrivateNetworks>();
  expect_names_are_their_own_and_come_back<SeccompMode>();
  expect_names_are_their_own_and_come_back<ProcessStatus>();
  expect_names_are_their_own_and_come_back<Cause>();
  expect_names_are_their_own_and_come_back<SourceKind>();
  expect_names_are_their_own_and_come_back<IdMapping>();
  expect_names_are_their_own_and_come_back<RootKind>();
  expect_names_are_their_own_and_come_back<MountKind>();
  expect_names_are_their_own_and_come_back<Severity>();
}

// The order of the tables against the enumerators, one sample of each neighbourhood.
TEST(Names, FollowTheEnumerators) {
  EXPECT_EQ(name_of(Protection::user_namespace), "user_namespace");
  EXPECT_EQ(name_of(Protection::network), "network");
  EXPECT_EQ(name_of(Protection::uid_separation), "uid_separation");
  EXPECT_EQ(name_of(Protection::seccomp), "seccomp");
  EXPECT_EQ(name_of(Protection::nested_user_namespaces), "nested_user_namespaces");
  EXPECT_EQ(name_of(Protection::memory), "memory");
  EXPECT_EQ(name_of(Protection::disk), "disk");
  EXPECT_EQ(name_of(Protection::cpu_timeout), "cpu_timeout");
  EXPECT_EQ(name_of(Requirement::preferred), "preferred");
  EXPECT_EQ(name_of(OutputPolicy::head_tail), "head+tail");
  EXPECT_EQ(name_of(NetworkMode::open), "open");
  EXPECT_EQ(name_of(NetworkMode::host), "host");
  EXPECT_EQ(name_of(PrivateNetworks::blocked), "blocked");
  EXPECT_EQ(name_of(MountType::tmpfs), "tmpfs");
  EXPECT_EQ(name_of(SourceKind::missing), "missing");
  EXPECT_EQ(name_of(IdMapping::single), "single");
  EXPECT_EQ(name_of(RootKind::host_tools), "host_tools");
  EXPECT_EQ(name_of(MountKind::shared_memory), "shared_memory");
  EXPECT_EQ(name_of(MountKind::bind), "bind");
  EXPECT_EQ(name_of(MountKind::mask), "mask");
  EXPECT_EQ(name_of(Severity::degraded), "degraded");
  EXPECT_EQ(to_string(Protection::open_files), "open_files");
  EXPECT_EQ(to_string(ProcessStatus::completed), "completed");
  EXPECT_EQ(to_string(Cause::out_of_memory), "out_of_memory");
  EXPECT_EQ(to_string(Cause::cancelled), "cancelled");
}

TEST(Names, OfErrorCodesAreThoseOfTheirToString) {
  for (std::size_t i = 0; i < EnumNames<ErrorCode>::kTable.size(); ++i) {
    EXPECT_EQ(name_of(static_cast<ErrorCode>(i)), to_string(static_cast<ErrorCode>(i)));
  }
}

TEST(Names, OfNoEnumeratorAreUnknownNotACrash) {
  EXPECT_EQ(to_string(static_cast<Protection>(200)), "unknown");
}

TEST(Names, MistypedGetTheNearest) {
  const Result<Requirement> wrong = parse_name<Requirement>("prefered");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().what, "\"prefered\" is not a requirement");
  EXPECT_EQ(wrong.error().hint, "did you mean \"preferred\"?");
  EXPECT_EQ(parse_name<OutputPolicy>("HEAD_TAIL").error().what,
            "\"HEAD_TAIL\" is not an output policy");
}

TEST(Signals, HaveNamesThatComeBack) {
  EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
  EXPECT_EQ(signal_name(SIGSYS), "SIGSYS");
  EXPECT_EQ(signal_name(SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(signal_name(SIGRTMIN + 2), "SIGRTMIN+2");
  EXPECT_EQ(signal_name(SIGRTMAX), "SIGRTMAX");
  EXPECT_EQ(signal_name(0), "signal 0");
  EXPECT_EQ(signal_name(-5), "signal -5");
  for (int number = 1; number <= 64; ++number) {
    EXPECT_EQ(signal_number(signal_name(number)), number);
  }
  EXPECT_EQ(signal_number("KILL"), std::nullopt);
  EXPECT_EQ(signal_number(""), std::nullopt);
}

TEST(Nearest, FindsSlipsAndOtherToolsNames) {
  static constexpr auto kKnown =
      std::to_array<std::string_view>({"image", "rootfs", "command", "workdir", "env", "mounts",
                                       "resources", "read_only", "memory"});
  EXPECT_EQ(nearest("memroy", kKnown), "memory");
  EXPECT_EQ(nearest("Memory", kKnown), "memory");
  EXPECT_EQ(nearest("readOnly", kKnown), "read_only");
  EXPECT_EQ(nearest("read-only", kKnown), "read_only");
  EXPECT_EQ(nearest("readonly", kKnown), "read_only");
  EXPECT_EQ(nearest("cwd", kKnown), "workdir");
  EXPECT_EQ(nearest("volumes", kKnown), "mounts");
  EXPECT_EQ(nearest("mount", kKnown), "mounts");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest("gpu", kKnown), "");
  EXPECT_EQ(nearest("something else", kKnown), "");
  EXPECT_EQ(nearest(std::string(100000, 'm'), kKnown), "");
}

}  // namespace
}  // namespace cove

// describe() is the one list of each struct's fields. A field that it misses is lost in JSON and on
// the wire without a trace, so here every struct is taken apart by the compiler: a new field breaks
// this file.
#include "runtime/model/describe.h"

#include <gtest/gtest.h>

#include <set>

namespace cove {
namespace {

// Notes the address of every field shown, so that none is shown twice in another's place.
class FieldCounter {
 public:
  template <class T>
  void field(std::string_view, const T& value) {
    seen.insert(&value);
  }
  template <class T>
  void required(std::string_view name, const T& value) {
    field(name, value);
  }
  template <class T>
  void if_any(std::string_view name, const T& value) {
    field(name, value);
  }
  void text(std::string_view name, const std::string& value) { field(name, value); }
  void mode(std::string_view name, const std::uint32_t& value) { field(name, value); }
  void limit(std::string_view name, const std::uint64_t& value) { field(name, value); }
  void stream(std::string_view name, const CapturedStream& value) { field(name, value); }

  std::set<const void*> seen;
};

template <class S>
std::size_t described(const S& value) {
  FieldCounter counter;
  describe(counter, value);
  return counter.seen.size();
}

#define EXPECT_DESCRIBED(Struct, count, ...)                    \
  {                                                             \
    const Struct value{};                                       \
    [[maybe_unused]] const auto& [__VA_ARGS__] = value;         \
    EXPECT_EQ(described(value), std::size_t{count}) << #Struct; \
  }

TEST(Describe, ShowsEveryFieldOfTheSpec) {
  EXPECT_DESCRIBED(MountSpec, 5, a, b, c, d, e);
  EXPECT_DESCRIBED(RlimitSpec, 2, a, b);
  EXPECT_DESCRIBED(ResourceSpec, 11, a, b, c, d, e, f, g, h, i, j, k);
  EXPECT_DESCRIBED(StdinData, 1, a);
  EXPECT_DESCRIBED(SandboxSpec, 27, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u,
                   v, w, x, y, z, a2);
}

TEST(Describe, ShowsEveryFieldOfTheResult) {
  EXPECT_DESCRIBED(Error, 7, a, b, c, d, e, f, g);
  EXPECT_DESCRIBED(Usage, 8, a, b, c, d, e, f, g, h);
  EXPECT_DESCRIBED(Events, 4, a, b, c, d);
  EXPECT_DESCRIBED(Degradation, 2, a, b);
  EXPECT_DESCRIBED(TracedCall, 4, a, b, c, d);
  EXPECT_DESCRIBED(SeccompTrace, 3, a, b, c);
  EXPECT_DESCRIBED(SandboxResult, 17, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q);
  // Its fields are spelt out by every visitor's stream().
  [[maybe_unused]] const auto& [bytes, total, truncated] = CapturedStream{};
}

TEST(Describe, ShowsEveryFieldOfTheFacts) {
  EXPECT_DESCRIBED(ControllerFacts, 5, a, b, c, d, e);
  EXPECT_DESCRIBED(CgroupFacts, 10, a, b, c, d, e, f, g, h, i, j);
  EXPECT_DESCRIBED(SubordinateIds, 2, a, b);
  EXPECT_DESCRIBED(HostFacts, 25, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v,
                   w, x, y);
  EXPECT_DESCRIBED(ImageConfig, 5, a, b, c, d, e);
  EXPECT_DESCRIBED(ImageFacts, 12, a, b, c, d, e, f, g, h, i, j, k, l);
  EXPECT_DESCRIBED(SourceFacts, 9, a, b, c, d, e, f, g, h, i);
  EXPECT_DESCRIBED(Finding, 5, a, b, c, d, e);
}

TEST(Describe, ShowsEveryFieldOfThePlan) {
  EXPECT_DESCRIBED(IdentityPlan, 5, a, b, c, d, e);
  EXPECT_DESCRIBED(RootPlan, 12, a, b, c, d, e, f, g, h, i, j, k, l);
  EXPECT_DESCRIBED(FilePlan, 3, a, b, c);
  EXPECT_DESCRIBED(MountPlan, 10, a, b, c, d, e, f, g, h, i, j);
  EXPECT_DESCRIBED(CgroupPlan, 4, a, b, c, d);
  EXPECT_DESCRIBED(LimitPlan, 4, a, b, c, d);
  EXPECT_DESCRIBED(RlimitPlan, 3, a, b, c);
  EXPECT_DESCRIBED(ProcessPlan, 5, a, b, c, d, e);
  EXPECT_DESCRIBED(StreamPlan, 2, a, b);
  EXPECT_DESCRIBED(UplinkPlan, 3, a, b, c);
  EXPECT_DESCRIBED(Plan, 26, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x,
                   y, z);
}

}  // namespace
}  // namespace cove

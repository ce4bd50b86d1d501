// The JSON forms of results, errors, facts, findings and plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "cove/json.h"
#include "runtime/model/wire.h"
#include "tests/unit/model/sample.h"

namespace cove {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <class T>
void expect_comes_back(const T& value, Result<T> (*from_json)(std::string_view)) {
  for (const Indent indent : {Indent::none, Indent::pretty}) {
    const std::string text = to_json(value, indent);
    const Result<T> again = from_json(text);
    ASSERT_TRUE(again) << text << "\n" << again.error().message();
    EXPECT_EQ(encode(*again), encode(value)) << text;
  }
}

TEST(ModelJson, ComesBackWithEveryField) {
  expect_comes_back(full_result(), result_from_json);
  expect_comes_back(full_host_facts(), host_facts_from_json);
  expect_comes_back(full_image_facts(), image_facts_from_json);
  expect_comes_back(full_source_facts(), source_facts_from_json);
  expect_comes_back(full_plan(), plan_from_json);
  expect_comes_back(full_error(), error_from_json);
}

TEST(ModelJson, ComesBackWithNoField) {
  expect_comes_back(SandboxResult{}, result_from_json);
  expect_comes_back(HostFacts{}, host_facts_from_json);
  expect_comes_back(ImageFacts{}, image_facts_from_json);
  expect_comes_back(SourceFacts{}, source_facts_from_json);
  expect_comes_back(Plan{}, plan_from_json);
  expect_comes_back(Error{}, error_from_json);
}

// The contract of design section 6, field by field and in this order.
TEST(ResultJson, IsExactlyTheContract) {
  SandboxResult result;
  result.process_status = ProcessStatus::completed;
  result.cause = Cause::exited;
  result.exit_code = 0;
  result.stdout_stream = {"42\n", 3, false};
  result.duration_ms = 12.5;
  result.startup_ms = 2;
  result.steps = {{"clone", 0.9}, {"exec", 0.2}};
  result.usage.cpu_ms = 7;
  result.usage.peak_pids = 1;
  result.enforced = {{Protection::memory, "cgroup-v1"}};
  result.degraded = {{Protection::cpus, "no cpu controller"}};
  result.sandbox_id = "01";
  result.image_digest = "sha256:0";
  EXPECT_EQ(
      to_json(result),
      R"({"process_status":"completed","cause":"exited","exit_code":0,"signal":null,)"
      R"("stdout":"42\n","stdout_bytes":3,"stdout_truncated":false,)"
      R"("stderr":"","stderr_bytes":0,"stderr_truncated":false,)"
      R"("duration_ms":12.5,"startup_ms":2,"steps":{"clone":0.9,"exec":0.2},)"
      R"("usage":{"cpu_ms":7,"user_ms":null,"system_ms":null,"peak_memory_bytes":null,"scratch_bytes":null,)"
      R"("peak_pids":1,"io_read_bytes":null,"io_write_bytes":null},)"
      R"("events":{"oom_kills":0,"pids_limit_hits":0,"disk_full":false,"memory_high":0},)"
      R"("enforced":{"memory":"cgroup-v1"},)"
      R"("degraded":[{"protection":"cpus","reason":"no cpu controller"}],)"
      R"("sandbox_id":"01","image_digest":"sha256:0"})");
}

TEST(ResultJson, HasAnErrorOnlyWhereThereIsOne) {
  EXPECT_THAT(to_json(SandboxResult{}), Not(HasSubstr("\"error\":{")));
  SandboxResult result;
  result.error = full_error();
  EXPECT_THAT(
      to_json(result),
      HasSubstr(R"("error":{"code":"setup_failed","step":"mount 3","errno":13,)"
                R"("message":"tmpfs on /tmp","where":"/tmp","hint":"look at dmesg","more":[{)"));
}

TEST(ResultJson, HasBase64OnlyForWhatIsNotUtf8) {
  SandboxResult result;
  result.stdout_stream.bytes = "\xff";
  result.stderr_stream.bytes = "\u00e9\x01\x1b";
  const std::string text = to_json(result);
  EXPECT_THAT(text, HasSubstr(R"("stdout":"/w==","stdout_encoding":"base64",)"));
  EXPECT_THAT(text, HasSubstr("\"stderr\":\"\u00e9\\u0001\\u001b\",\"stderr_bytes\""));
}

TEST(ResultJson, KeepsTheOrderOfStepsAndAddsUpRepeatedOnes) {
  SandboxResult result;
  result.steps = {{"z", 1}, {"a", 2}, {"z", 0.5}};
  EXPECT_THAT(to_json(result), HasSubstr(R"("steps":{"z":1.5,"a":2})"));
}

TEST(ResultJson, ComesBackWithStreamsFarAboveTheLimitOfASpec) {
  SandboxResult result;
  result.stdout_stream = {std::string(4U << 20, 'x'), 4U << 20, false};
  result.stderr_stream = {std::string(2U << 20, '\xff'), 2U << 20, false};
  expect_comes_back(result, result_from_json);
}

TEST(ResultJson, IsRefusedWithUnknownOrMissingParts) {
  for (
      const char* text :
      {R"({})", R"({"cause":"exited"})", R"({"process_status":"completed"})",
       R"({"process_status":"completed","cause":"exited","colour":1})",
       R"({"process_status":"completed","cause":"exited","usage":{"cpu":1}})",
       R"({"process_status":"completed","cause":"exited","stdout":"?","stdout_encoding":"base64"})",
       R"({"process_status":"completed","cause":"exited","stdout":"","stdout_encoding":"hex"})",
       R"({"process_status":"completed","cause":"exited","exit_code":2147483648})",
       R"({"process_status":"completed","cause":"exited","degraded":[{"reason":"x"}]})",
       R"({"process_status":"completed","cause":"exited","steps":{"a":1,"a":2}})",
       R"({"process_status":"completed","cause":"exited","steps":{"a":null}})",
       R"({"process_status":"completed","cause":"exited","error":{"step":"x"}})"}) {
    EXPECT_FALSE(result_from_json(text)) << text;
  }
  EXPECT_TRUE(result_from_json(R"({"process_status":"completed","cause":"exited"})"));
}

TEST(ErrorJson, IsTheContract) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.what = "bad \xff text";
  EXPECT_EQ(to_json(error),
            "{\"code\":\"invalid_argument\",\"step\":\"\",\"errno\":0,"
            "\"message\":\"bad \uFFFD text\",\"where\":\"\",\"hint\":\"\"}");
}

TEST(FindingsJson, AreAList) {
  EXPECT_EQ(to_json(std::vector<Finding>{}), "[]");
  EXPECT_EQ(
      to_json(
          std::vector<Finding>{{"cgroup memory", Severity::degraded, "v1", "exactness", "boot"}}),
      R"([{"subject":"cgroup memory","severity":"degraded","found":"v1","costs":"exactness","cure":"boot"}])");
}

TEST(FactsJson, MayLackFieldsAndHaveNoUnknownOnes) {
  const Result<HostFacts> host = host_facts_from_json(R"({"kernel_release":"6.1"})");
  ASSERT_TRUE(host);
  EXPECT_FALSE(host->privileged);
  EXPECT_FALSE(host_facts_from_json(R"({"kernel":"6.1"})"));
  EXPECT_FALSE(host_facts_from_json(R"({"uid":-1})"));
  EXPECT_FALSE(host_facts_from_json(R"({"uid":4294967296})"));
  EXPECT_FALSE(image_facts_from_json(R"({"host_links":[["a"]]})"));
  EXPECT_FALSE(image_facts_from_json(R"({"host_links":[["a","b","c"]]})"));
  EXPECT_FALSE(source_facts_from_json("{}"));
  EXPECT_TRUE(source_facts_from_json(R"({"kind":"file"})"));
}

TEST(PlanJson, IsRefusedWhereAnythingIsMissing) {
  const std::string whole = to_json(Plan{});
  ASSERT_TRUE(plan_from_json(whole));
  for (const std::string part :
       {"\"limits\":[],", "\"seccomp\":[],", "\"mounts\":[],", "\"make_workdir\":false,",
        "\"idmapped\":false,", "\"plan_version\":1,"}) {
    std::string lacking = whole;
    const std::size_t at = lacking.find(part);
    ASSERT_NE(at, std::string::npos) << part;
    lacking.erase(at, part.size());
    if (lacking[at] == '}' && lacking[at - 1] == ',') lacking.erase(at - 1, 1);
    const Result<Plan> plan = plan_from_json(lacking);
    ASSERT_FALSE(plan) << part;
    EXPECT_EQ(plan.error().what, "is missing") << part;
    EXPECT_EQ(plan.error().step, "plan");
  }
}

TEST(PlanJson, OfAnotherVersionIsRefused) {
  Plan plan;
  plan.plan_version = 2;
  const Result<Plan> read = plan_from_json(to_json(plan));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().where, "$.plan_version");
}

TEST(PlanJson, WritesModesInOctal) {
  const std::string text = to_json(full_plan());
  EXPECT_THAT(text, HasSubstr(R"("mode":"0600")"));
  EXPECT_THAT(text, HasSubstr(R"("mode":"1777")"));
  for (const char* bad : {"\"mode\":\"0800\"", "\"mode\":\"\"", "\"mode\":\"10000\"",
                          "\"mode\":384", "\"mode\":\"0600 \""}) {
    std::string changed = text;
    changed.replace(changed.find("\"mode\":\"0600\""), 13, bad);
    EXPECT_FALSE(plan_from_json(changed)) << bad;
  }
}

// A bound far above what is measured (3 microseconds), far below what would be felt.
TEST(ResultJson, OfASmallResultIsQuicklyWritten) {
  SandboxResult result = full_result();
  result.error.reset();
  const auto begin = std::chrono::steady_clock::now();
  std::size_t written = 0;
  for (int i = 0; i < 200; ++i) written += to_json(result).size();
  const auto each = (std::chrono::steady_clock::now() - begin) / 200;
  EXPECT_GT(written, 0U);
  RecordProperty("nanoseconds", static_cast<int>(std::chrono::nanoseconds(each).count()));
  std::printf("    to_json(SandboxResult): %d ns\n",
              static_cast<int>(std::chrono::nanoseconds(each).count()));
  EXPECT_LT(each, std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace cove

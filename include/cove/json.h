// The JSON forms. They are the same in the command line, the library and every other front door.
//
// Writing gives one line of UTF-8 (Indent::none) or text for people. Reading is strict: unknown
// fields, wrong types, impossible values, duplicate names and anything behind the document are
// refused, all mistakes in one Error (the first, and `more`), each with its JSON path in `where`
// ("$.mounts[1].container_path"). Documents above 1 MiB or nested deeper than 64 are refused;
// Cove's own output may be larger: image facts and plans up to 64 MiB, results up to 1 GiB.
//
// A string that is not UTF-8 (an argument, a path) has the form {"base64": "..."}; a stream of a
// result has base64 text and says so in its `..._encoding`.
#pragma once

#include <string>
#include <string_view>

#include "cove/facts.h"
#include "cove/host.h"
#include "cove/plan.h"
#include "cove/result.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

enum class Indent { none, pretty };

std::string to_json(const SandboxSpec& spec, Indent indent = Indent::none);
std::string to_json(const SandboxResult& result, Indent indent = Indent::none);
std::string to_json(const HostFacts& facts, Indent indent = Indent::none);
std::string to_json(const ImageFacts& facts, Indent indent = Indent::none);
std::string to_json(const SourceFacts& facts, Indent indent = Indent::none);
std::string to_json(const Plan& plan, Indent indent = Indent::none);
std::string to_json(const Error& error, Indent indent = Indent::none);
std::string to_json(const std::vector<Finding>& findings, Indent indent = Indent::none);

Result<SandboxSpec> spec_from_json(std::string_view text);
// The same of a document that something else completes (options of the command line, a profile's
// user): image and rootfs may both be missing.
Result<SandboxSpec> spec_fragment_from_json(std::string_view text);
Result<SandboxResult> result_from_json(std::string_view text);
Result<HostFacts> host_facts_from_json(std::string_view text);
Result<ImageFacts> image_facts_from_json(std::string_view text);
Result<SourceFacts> source_facts_from_json(std::string_view text);
Result<Plan> plan_from_json(std::string_view text);
Result<Error> error_from_json(std::string_view text);

}  // namespace cove

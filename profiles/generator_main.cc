// Writes the C++ source behind profiles/embedded.h. Runs while Cove is built, and stops the build
// where a profile has a mistake.
//
//   cove_profile_generator OUTPUT.cc KIND FILE.json [KIND FILE.json ...]
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "cove/result.h"
#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/policy.h"

namespace cove {
namespace {

struct Source {
  std::string kind, name, description, json;
  std::vector<sock_filter> program;
};

Error bad_source(const std::string& file, std::string what) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.where = file;
  error.what = std::move(what);
  return error;
}

Result<Source> read_source(const std::string& kind, const std::string& file) {
  Source source;
  source.kind = kind;
  source.name = std::filesystem::path(file).stem().string();
  std::ifstream stream(file, std::ios::binary);
  source.json.assign(std::istreambuf_iterator<char>(stream), {});
  if (!stream) return fail(bad_source(file, "cannot be read"));

  const nlohmann::json document = nlohmann::json::parse(source.json, nullptr, false);
  if (!document.is_object()) return fail(bad_source(file, "is not a JSON object"));
  const auto description = document.find("description");
  if (description != document.end() && description->is_string()) source.description = *description;
  if (kind != "seccomp") return source;

  const Result<Policy> policy = parse_policy(source.json);
  if (!policy) return fail(policy.error());
  Result<std::vector<sock_filter>> program = compile(*policy);
  if (!program) return fail(program.error());
  source.program = std::move(*program);
  return source;
}

// Octal escapes for all but plain characters: no text can end the literal, or form a trigraph. One
// line of the file is one line of the literal.
std::string literal(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '?';
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\%03o",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += plain ? std::string(1, c) : std::string(escaped);
    if (c == '\n') out += "\"\n    \"";
  }
  return out + "\"";
}

std::string view(const std::string& text) {
  return "std::string_view(" + literal(text) + ", " + std::to_string(text.size()) + ")";
}

std::string array(const std::vector<sock_filter>& program, const std::string& name) {
  std::string out = "constexpr sock_filter " + name + "[] = {\n";
  for (const sock_filter& one : program) {
    out += "    {" + std::to_string(one.code) + ", " + std::to_string(one.jt) + ", " +
           std::to_string(one.jf) + ", " + std::to_string(one.k) + "u},\n";
  }
  return out + "};\n";
}

std::string generated(const std::vector<Source>& sources) {
  std::string arrays, table;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    const std::string name = "kProgram" + std::to_string(i);
    if (!source.program.empty()) arrays += array(source.program, name);
    table += "    EmbeddedProfile{" + view(source.kind) + ", " + view(source.name) + ",\n    " +
             view(source.description) + ",\n    " + view(source.json) + ",\n    " +
             (source.program.empty() ? "{}" : name) + "},\n";
  }
  return "// Made by cove_profile_generator; do not edit.\n"
         "#include \"profiles/embedded.h\"\n\n#include <array>\n\nnamespace cove {\nnamespace {\n" +
         arrays + "constexpr std::array<EmbeddedProfile, " + std::to_string(sources.size()) +
         "> kProfiles{{\n" + table +
         "}};\n}  // namespace\n\n"
         "std::span<const EmbeddedProfile> embedded_profiles() { return kProfiles; }\n\n"
         "}  // namespace cove\n";
}

int run(const std::vector<std::string>& arguments) {
  std::vector<Source> sources;
  for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) {
    Result<Source> source = read_source(arguments[i], arguments[i + 1]);
    if (!source) {
      std::fprintf(stderr, "%s: %s\n", arguments[i + 1].c_str(), source.error().message().c_str());
      return 1;
    }
    sources.push_back(std::move(*source));
  }
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  std::ofstream out(arguments[1], std::ios::binary | std::ios::trunc);
  out << generated(sources);
  out.close();
  if (!out) std::fprintf(stderr, "%s: cannot be written\n", arguments[1].c_str());
  return out ? 0 : 1;
}

}  // namespace
}  // namespace cove

int main(int argc, char** argv) {
  if (argc < 2 || argc % 2 != 0) {
    std::fprintf(stderr, "usage: %s OUTPUT.cc [KIND FILE.json]...\n", argv[0]);
    return 2;
  }
  return cove::run(std::vector<std::string>(argv, argv + argc));
}

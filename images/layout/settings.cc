#include "images/layout/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "images/layout/documents.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr std::string_view kBlanks = " \t";

Error mistake(std::string_view where, std::string what, std::string hint = {}) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image configuration";
  error.where = shown_name(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// A JSON list of strings; nothing for a text that is none.
std::optional<Words> list_in(std::string_view text) {
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return {};
  Words words;
  for (const json& word : list) {
    if (!word.is_string()) return {};
    words.push_back(word.get<std::string>());
  }
  return words;
}

// Words with quotes and backslashes, as in ENV and LABEL.
Result<Words> words_in(std::string_view text) {
  Words words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == 0 && kBlanks.find(c) != std::string_view::npos) {
      if (inside) words.push_back(std::move(word));
      word.clear();
      inside = false;
      continue;
    }
    inside = true;
    if (c == '$' && quote != '\'')
      return fail(mistake(text, "holds a variable, and there is none to put in its place",
                          "write the value, or \\$ for the character"));
    if (c == '\\' && quote != '\'' && at + 1 < text.size()) {
      word += text[++at];
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  if (quote != 0) return fail(mistake(text, "holds a quote without its end"));
  if (inside) words.push_back(std::move(word));
  return words;
}

Result<std::string> one_word(std::string_view text) {
  const Result<Words> words = words_in(text);
  if (!words) return fail(words.error());
  if (words->size() != 1) return fail(mistake(text, "is not one word"));
  return words->front();
}

// A list, or words as they stand.
Result<Words> list_or_words(std::string_view text) {
  if (std::optional<Words> list = list_in(text)) return std::move(*list);
  return words_in(text);
}

Result<Words> shell_command(std::string_view text) {
  if (std::optional<Words> list = list_in(text)) return std::move(*list);
  return Words{"/bin/sh", "-c", std::string(text)};
}

Result<void> assign_command(Words& command, Result<Words> words) {
  if (!words) return fail(words.error());
  command = std::move(*words);
  return {};
}

Result<void> change_cmd(ImageSettings& settings, std::string_view text) {
  return assign_command(settings.config.command, shell_command(text));
}
Result<void> change_entrypoint(ImageSettings& settings, std::string_view text) {
  return assign_command(settings.config.entrypoint, shell_command(text));
}

// "A=b C='d e'", or the old form "A the rest of the line".
Result<void> assign_each(ImageSettings& settings, std::string_view text,
                         Result<void> (*assign)(ImageSettings&, std::string_view)) {
  const Result<Words> words = words_in(text);
  if (!words) return fail(words.error());
  if (words->size() > 1 && words->front().find('=') == std::string::npos) {
    const std::string_view rest =
        trimmed(text.substr(std::min(text.find_first_of(kBlanks), text.size())));
    return assign(settings, words->front() + "=" + std::string(rest));
  }
  for (const std::string& word : *words) {
    if (Result<void> assigned = assign(settings, word); !assigned) return assigned;
  }
  return {};
}
Result<void> change_env(ImageSettings& settings, std::string_view text) {
  return assign_each(settings, text, set_env);
}
Result<void> change_label(ImageSettings& settings, std::string_view text) {
  return assign_each(settings, text, set_label);
}

Result<void> change_expose(ImageSettings& settings, std::string_view text) {
  const Result<Words> ports = words_in(text);
  if (!ports) return fail(ports.error());
  for (const std::string& port : *ports) {
    const std::string number = port.substr(0, port.find('/'));
    const std::string protocol = port.substr(number.size());
    const bool is_number = !number.empty() && number.size() <= 5 &&
                           std::all_of(number.begin(), number.end(),
                                       [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!is_number || (protocol != "" && protocol != "/tcp" && protocol != "/udp"))
      return fail(mistake(port, "is no port", "write 80, 80/tcp or 80/udp"));
    settings.ports.insert(protocol.empty() ? port + "/tcp" : port);
  }
  return {};
}

Result<void> change_volume(ImageSettings& settings, std::string_view text) {
  const Result<Words> paths = list_or_words(text);
  if (!paths) return fail(paths.error());
  for (const std::string& path : *paths) {
    if (!path.starts_with('/')) return fail(mistake(path, "is no absolute path"));
    settings.volumes.insert(path);
  }
  return {};
}

Result<void> change_stop_signal(ImageSettings& settings, std::string_view text) {
  Result<std::string> signal = one_word(text);
  if (!signal) return fail(signal.error());
  settings.stop_signal = std::move(*signal);
  return {};
}
Result<void> change_user(ImageSettings& settings, std::string_view text) {
  const Result<std::string> user = one_word(text);
  return user ? set_user(settings, *user) : fail(user.error());
}
Result<void> change_workdir(ImageSettings& settings, std::string_view text) {
  const Result<std::string> path = one_word(text);
  return path ? set_workdir(settings, *path) : fail(path.error());
}

struct Instruction {
  std::string_view name;
  Result<void> (*apply)(ImageSettings&, std::string_view);
};
constexpr std::array<Instruction, 9> kInstructions{{{"CMD", change_cmd},
                                                    {"ENTRYPOINT", change_entrypoint},
                                                    {"ENV", change_env},
                                                    {"EXPOSE", change_expose},
                                                    {"LABEL", change_label},
                                                    {"STOPSIGNAL", change_stop_signal},
                                                    {"USER", change_user},
                                                    {"VOLUME", change_volume},
                                                    {"WORKDIR", change_workdir}}};

struct Assignment {
  std::string name, value;
};
Result<Assignment> assignment_in(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos || text.find('\0') != std::string_view::npos)
    return fail(mistake(text, "is not NAME=VALUE"));
  return Assignment{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

json set_of(const std::set<std::string>& names) {
  json object = json::object();
  for (const std::string& name : names) object[name] = json::object();
  return object;
}

}  // namespace

Result<Words> command_from(std::string_view text) {
  const std::string_view word = trimmed(text);
  if (std::optional<Words> list = list_in(word)) {
    if (!list->empty()) return std::move(*list);
  }
  if (word.empty()) return fail(mistake(text, "is no command"));
  if (word.starts_with('[') || word.find_first_of(kBlanks) != std::string_view::npos)
    return fail(mistake(text, "is neither one program nor a JSON list of words",
                        R"(write for example '["python3", "-m", "http.server"]')"));
  return Words{std::string(word)};
}

Result<void> set_env(ImageSettings& settings, std::string_view text) {
  const Result<Assignment> assignment = assignment_in(text);
  if (!assignment) return fail(assignment.error());
  Words& env = settings.config.env;
  const auto known = std::find_if(env.begin(), env.end(), [&](const std::string& one) {
    return one.starts_with(assignment->name + "=");
  });
  if (known == env.end()) {
    env.emplace_back(text);
  } else {
    *known = text;
  }
  return {};
}

Result<void> set_label(ImageSettings& settings, std::string_view text) {
  const Result<Assignment> assignment = assignment_in(text);
  if (!assignment) return fail(assignment.error());
  settings.labels[assignment->name] = assignment->value;
  return {};
}

Result<void> set_workdir(ImageSettings& settings, std::string_view path) {
  if (!path.starts_with('/')) return fail(mistake(path, "is no absolute path"));
  settings.config.workdir = path;
  return {};
}

Result<void> set_user(ImageSettings& settings, std::string_view user) {
  if (user.empty() || user.find_first_of(kBlanks) != std::string_view::npos)
    return fail(mistake(user, "is no USER or USER:GROUP"));
  settings.config.user = user;
  return {};
}

Result<void> apply_instruction(ImageSettings& settings, std::string_view text) {
  const std::string_view line = trimmed(text);
  const std::size_t blank = std::min(line.find_first_of(kBlanks), line.size());
  std::string name(line.substr(0, blank));
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const std::string_view rest = trimmed(line.substr(blank));
  std::string known;
  for (const Instruction& instruction : kInstructions) {
    known += (known.empty() ? "" : ", ") + std::string(instruction.name);
    if (name != instruction.name) continue;
    if (rest.empty()) return fail(mistake(text, "says nothing behind " + name));
    return instruction.apply(settings, rest);
  }
  return fail(mistake(text, "is no instruction that changes an image's configuration",
                      "there is: " + known));
}

std::string configuration_text(const ImageSettings& settings, const Words& diff_ids,
                               const std::string& created_by) {
  ordered_json config = ordered_json::object();
  const auto put = [&](const char* name, const json& value) {
    if (!value.empty() && value != "") config[name] = value;
  };
  put("User", settings.config.user);
  put("ExposedPorts", set_of(settings.ports));
  put("Env", settings.config.env);
  put("Entrypoint", settings.config.entrypoint);
  put("Cmd", settings.config.command);
  put("Volumes", set_of(settings.volumes));
  put("WorkingDir", settings.config.workdir);
  put("Labels", settings.labels);
  put("StopSignal", settings.stop_signal);
  ordered_json history = ordered_json::array();
  for (std::size_t i = 0; i < diff_ids.size(); ++i) history.push_back({{"created_by", created_by}});
  const ordered_json document{{"architecture", host_platform().architecture},
                              {"os", "linux"},
                              {"config", config},
                              {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}},
                              {"history", history}};
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace cove

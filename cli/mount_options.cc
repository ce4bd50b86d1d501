#include "cli/mount_options.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command_line.h"

namespace cove::cli {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// One record of CSV (RFC 4180).
Result<std::vector<std::string>> split_csv(std::string_view text) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        fields.back() += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return fail(usage_error({}, "has a double quote that is not closed"));
  return fields;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  result += text;
  result += '"';
  return result;
}

// A path inside the sandbox: its form only; what it may not be is the plan's to say.
std::optional<Error> check_target(const std::string& path) {
  if (path.starts_with('/')) return std::nullopt;
  return usage_error({}, quoted(path) + " is not an absolute path inside the sandbox");
}

// A path of the host, made absolute.
Result<std::string> host_path(const std::string& path, const Surroundings& surroundings) {
  if (path.empty()) return fail(usage_error({}, "names no host path"));
  if (path.starts_with('/') || path == "." || path == ".." || path.starts_with("./") ||
      path.starts_with("../")) {
    return absolute_path(surroundings, path);
  }
  return fail(usage_error({}, quoted(path) + " is the name of a volume, and cove has none yet",
                          "for a directory here write ./" + path));
}

Result<MountSpec> bind_mount(const std::string& source, const std::string& target,
                             const Surroundings& surroundings) {
  Result<std::string> host = host_path(source, surroundings);
  if (!host) return fail(host.error());
  if (auto error = check_target(target)) return fail(std::move(*error));
  MountSpec mount;
  mount.host_path = std::move(*host);
  mount.container_path = target;
  return mount;
}

Result<MountSpec> tmpfs_mount(const std::string& target, const std::optional<std::string>& size) {
  if (auto error = check_target(target)) return fail(std::move(*error));
  MountSpec mount;
  mount.type = MountType::tmpfs;
  mount.container_path = target;
  if (size) {
    Result<Bytes> bytes = parse_bytes(*size);
    if (!bytes) return fail(bytes.error());
    mount.size = *bytes;
  }
  return mount;
}

std::optional<bool> truth(std::string_view text) {
  if (text.empty() || text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

}  // namespace

Result<MountSpec> parse_volume(const std::string& text, const Surroundings& surroundings) {
  constexpr const char* kForm = "write -v SRC:DST or -v SRC:DST:ro";
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() == 1) {
    return fail(usage_error({}, quoted(text) + " has no \":\"",
                            "write -v SRC:DST, or --tmpfs DST for an empty directory"));
  }
  if (parts.size() > 3) {
    return fail(usage_error({}, quoted(text) + " has more than three parts",
                            "for a path with a \":\" use --mount type=bind,src=SRC,dst=DST"));
  }
  Result<MountSpec> mount = bind_mount(parts[0], parts[1], surroundings);
  if (!mount || parts.size() == 2 || parts[2] == "rw") return mount;
  if (parts[2] == "ro") {
    mount->read_only = true;
    return mount;
  }
  return fail(usage_error({}, quoted(parts[2]) + " is neither ro nor rw", kForm));
}

Result<MountSpec> parse_mount(const std::string& text, const Surroundings& surroundings) {
  constexpr const char* kForm =
      "write type=bind,src=SRC,dst=DST[,readonly] or type=tmpfs,dst=DST[,size=SIZE]";
  Result<std::vector<std::string>> fields = split_csv(text);
  if (!fields) return fail(fields.error());

  std::optional<std::string> type, source, target, size, read_only;
  struct Key {
    std::string_view name;
    std::optional<std::string>* value;
  };
  const Key keys[] = {
      {"type", &type},     {"src", &source},         {"source", &source}, {"dst", &target},
      {"target", &target}, {"destination", &target}, {"size", &size},     {"tmpfs-size", &size},
      {"ro", &read_only},  {"readonly", &read_only},
  };
  for (const std::string& field : *fields) {
    const std::size_t equals = field.find('=');
    const std::string_view name = std::string_view(field).substr(0, equals);
    std::optional<std::string>* value = nullptr;
    for (const Key& key : keys) {
      if (key.name == name) value = key.value;
    }
    if (value == nullptr) return fail(usage_error({}, "unknown key " + quoted(name), kForm));
    if (*value) return fail(usage_error({}, quoted(name) + " is given twice"));
    if (equals == std::string::npos && value != &read_only) {
      return fail(usage_error({}, quoted(name) + " has no value", kForm));
    }
    *value = equals == std::string::npos ? "" : field.substr(equals + 1);
  }

  if (!type) return fail(usage_error({}, "names no type", kForm));
  if (!target) return fail(usage_error({}, "names no dst", kForm));
  if (*type == "tmpfs") {
    if (source) return fail(usage_error({}, "a tmpfs has no src", kForm));
    if (read_only) return fail(usage_error({}, "a read-only tmpfs would stay empty", kForm));
    return tmpfs_mount(*target, size);
  }
  if (*type != "bind") {
    return fail(usage_error({}, "type " + quoted(*type) + " is neither bind nor tmpfs", kForm));
  }
  if (!source) return fail(usage_error({}, "names no src", kForm));
  if (size) return fail(usage_error({}, "a bind has no size", kForm));
  Result<MountSpec> mount = bind_mount(*source, *target, surroundings);
  if (!mount || !read_only) return mount;
  const std::optional<bool> truth_value = truth(*read_only);
  if (!truth_value) {
    return fail(usage_error({}, "readonly is " + quoted(*read_only), "write true or false"));
  }
  mount->read_only = *truth_value;
  return mount;
}

Result<MountSpec> parse_tmpfs(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string target = text.substr(0, colon);
  if (colon == std::string::npos) return tmpfs_mount(target, std::nullopt);
  const std::string options = text.substr(colon + 1);
  constexpr std::string_view kSize = "size=";
  if (!options.starts_with(kSize)) {
    return fail(usage_error({}, "unknown option " + quoted(options),
                            "write --tmpfs DST or --tmpfs DST:size=64m"));
  }
  return tmpfs_mount(target, options.substr(kSize.size()));
}

}  // namespace cove::cli

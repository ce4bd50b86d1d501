#include "runtime/identity/passwd.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace cove {
namespace {

constexpr std::uint32_t kLargestId = 65535;
constexpr std::size_t kMostSupplementaryGroups = 64;
constexpr std::size_t kNamesInHint = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits and nothing else. A leading zero is refused too: whether it means octal is not ours to
// guess.
std::optional<std::uint32_t> parse_id(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint32_t id = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
  if (parsed.ec != std::errc{} || id > kLargestId) return std::nullopt;
  return id;
}

// POSIX's portable names begin with neither a digit nor a sign, so whatever does is meant as a
// number.
bool meant_as_number(std::string_view text) {
  return is_digit(text.front()) || text.front() == '+' || text.front() == '-';
}

// A name that may be put into a message: an image must not write escape sequences to a terminal.
bool is_printable_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
  });
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Takes everything up to `separator` off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

// A line of passwd or group: name, password, id and up to four more. The C library and Docker
// accept missing fields at the end, so images have them.
struct Entry {
  std::string_view name;
  std::uint32_t id = 0;
  std::array<std::string_view, 4> more;  // passwd: gid, gecos, home, shell; group: members
};

std::optional<Entry> parse_line(std::string_view line, std::size_t most_fields) {
  if (line.empty() || has_control_character(line)) return std::nullopt;
  std::array<std::string_view, 7> fields{};
  std::size_t count = 0;
  for (std::size_t colon = 0; colon != std::string_view::npos; ++count) {
    if (count == most_fields) return std::nullopt;
    colon = line.find(':');
    fields[count] = take(line, ':');
  }
  const std::optional<std::uint32_t> id = parse_id(fields[2]);
  if (count < 3 || fields[0].empty() || meant_as_number(fields[0]) || !id) return std::nullopt;
  return Entry{fields[0], *id, {fields[3], fields[4], fields[5], fields[6]}};
}

constexpr std::size_t kPasswdFields = 7;
constexpr std::size_t kGroupFields = 4;

template <typename Visit>
void for_each_entry(std::string_view text, std::size_t most_fields, Visit visit) {
  while (!text.empty()) {
    const std::optional<Entry> entry = parse_line(take(text, '\n'), most_fields);
    if (entry && !visit(*entry)) return;
  }
}

std::optional<Entry> find_entry(std::string_view text, std::size_t most_fields,
                                std::string_view wanted) {
  const std::optional<std::uint32_t> id = parse_id(wanted);
  std::optional<Entry> found;
  for_each_entry(text, most_fields, [&](const Entry& entry) {
    // A passwd entry without a valid gid is as malformed as one without a uid.
    if (most_fields == kPasswdFields && !parse_id(entry.more[0])) return true;
    if (id ? entry.id == *id : entry.name == wanted) found = entry;
    return !found;
  });
  return found;
}

bool lists_member(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (take(members, ',') == name) return true;
  }
  return false;
}

// What is beyond the bound is left out: fewer groups never open more.
std::vector<std::uint32_t> groups_of(std::string_view name, std::uint32_t gid,
                                     std::string_view group) {
  std::vector<std::uint32_t> groups;
  for_each_entry(group, kGroupFields, [&](const Entry& entry) {
    if (entry.id != gid && lists_member(entry.more[0], name) &&
        std::find(groups.begin(), groups.end(), entry.id) == groups.end()) {
      groups.push_back(entry.id);
    }
    return groups.size() < kMostSupplementaryGroups;
  });
  return groups;
}

std::string known_names(std::string_view text, std::size_t most_fields) {
  std::string names;
  std::size_t count = 0;
  for_each_entry(text, most_fields, [&](const Entry& entry) {
    if (is_printable_name(entry.name)) {
      names += (count++ == 0 ? "" : ", ") + std::string(entry.name);
    }
    return count < kNamesInHint;
  });
  return names;
}

// The text may come from an image: it must not write escape sequences to a terminal, nor be a page
// long.
std::string shown(std::string_view text) {
  const bool plain = text.size() <= 64 && std::all_of(text.begin(), text.end(),
                                                      [](char c) { return c >= 0x20 && c < 0x7f; });
  return plain ? '"' + std::string(text) + '"' : std::string("<a name that cannot be shown>");
}

Error identity_error(std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "user";
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Error not_an_id(std::string_view text) {
  return identity_error(shown(text) + " is not an id",
                        "ids are decimal numbers from 0 to 65535, without sign or leading zeros");
}

Error unknown(const char* kind, std::string_view name, const char* file, std::string_view text,
              std::size_t most_fields) {
  const std::string names = known_names(text, most_fields);
  return identity_error(
      std::string("the image has no ") + kind + " " + shown(name),
      names.empty() ? std::string("the image's ") + file + " names none; give a number"
                    : std::string("its ") + file + " has " + names + "; a number will do as well");
}

Result<std::uint32_t> find_group(std::string_view wanted, std::string_view group) {
  if (meant_as_number(wanted)) {
    const std::optional<std::uint32_t> gid = parse_id(wanted);
    if (!gid) return fail(not_an_id(wanted));
    return *gid;
  }
  const std::optional<Entry> entry = find_entry(group, kGroupFields, wanted);
  if (!entry) return fail(unknown("group", wanted, "/etc/group", group, kGroupFields));
  return entry->id;
}

}  // namespace

Result<UserIdentity> find_user(std::string_view user_spec, std::string_view passwd,
                               std::string_view group) {
  const std::size_t colon = user_spec.find(':');
  const std::string_view user = user_spec.substr(0, colon);
  const bool names_group = colon != std::string_view::npos;
  const std::string_view wanted_group = names_group ? user_spec.substr(colon + 1) : "";
  if (user.empty() || (names_group && wanted_group.empty())) {
    return fail(identity_error(shown(user_spec) + " names no user or no group",
                               "write name, uid, name:group or uid:gid"));
  }

  const std::optional<std::uint32_t> number = parse_id(user);
  if (meant_as_number(user) && !number) return fail(not_an_id(user));
  const std::optional<Entry> entry = find_entry(passwd, kPasswdFields, user);
  if (!entry && !number) {
    return fail(unknown("user", user, "/etc/passwd", passwd, kPasswdFields));
  }

  UserIdentity identity;
  identity.uid = entry ? entry->id : *number;
  identity.gid = entry ? *parse_id(entry->more[0]) : *number;
  if (entry && entry->more[2].starts_with('/')) identity.home = entry->more[2];
  if (names_group) {
    const Result<std::uint32_t> gid = find_group(wanted_group, group);
    if (!gid) return fail(gid.error());
    identity.gid = *gid;
  } else if (entry) {
    identity.groups = groups_of(entry->name, identity.gid, group);
  }
  return identity;
}

}  // namespace cove

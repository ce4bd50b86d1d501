#include "runtime/host/cgroup_facts.h"

#include <algorithm>
#include <array>
#include <optional>

#include "runtime/host/cgroup_reasons.h"

namespace cove {
namespace {

// The controllers that hold limits of ours: Cove's names, which are v2's, and those of v1.
struct ControllerName {
  const char* v2;
  const char* v1;
};
constexpr std::array<ControllerName, 4> kControllers{
    {{"memory", "memory"}, {"cpu", "cpu"}, {"pids", "pids"}, {"io", "blkio"}}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

std::vector<std::string> to_strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

std::string_view without_newline(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  return text;
}

template <typename List>
bool contains(const List& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

// mountinfo writes space, tab, newline and backslash as three octal digits (proc(5)).
std::string unescape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      const int code = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string join(const std::string& directory, const std::string& group) {
  return group == "/" ? directory : directory + group;
}

// "/a//b/" and "a/b" are both "/a/b".
std::string absolute_group(std::string_view path) {
  std::string group;
  for (const std::string_view part : split(path, '/')) (group += '/') += part;
  return group.empty() ? "/" : group;
}

// Our own group as a path below what is mounted. None where the mount does not show it, which
// "/../x" of a group outside of our cgroup namespace says too.
std::optional<std::string> below_mount(const std::string& root, const std::string& group) {
  if (contains(split(group, '/'), "..") || contains(split(root, '/'), "..")) return std::nullopt;
  if (root == "/") return group;
  if (group == root) return "/";
  if (group.starts_with(root + "/")) return group.substr(root.size());
  return std::nullopt;
}

std::string common_ancestor(const std::string& a, const std::string& b) {
  const auto left = split(a, '/'), right = split(b, '/');
  std::string common;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()) && left[i] == right[i]; ++i) {
    (common += '/') += left[i];
  }
  return common.empty() ? "/" : common;
}

// A place for our groups in one hierarchy: a group, or the reason why there is none.
struct Place {
  std::string group;
  GroupDirectory directory;
  std::string reason;  // empty: groups can be made there
  std::string full;    // why it cannot be divided, besides that it holds processes
};

Place find_place(const CgroupMount& mount, const OwnGroup* own, const std::string& cgroup_parent,
                 const GroupReader& read_group) {
  Place place;
  const std::optional<std::string> own_group =
      own ? below_mount(mount.root, own->path) : std::nullopt;
  if (cgroup_parent.empty() && !own_group) {
    place.reason = kOutside + mount.mount_point;
    return place;
  }
  place.group = cgroup_parent.empty() ? *own_group : absolute_group(cgroup_parent);

  const std::string path = join(mount.mount_point, place.group);
  place.directory = read_group(mount.version, path);
  place.directory.subtree_control = without_newline(place.directory.subtree_control);
  if (!place.directory.exists) {
    place.reason = path + kMissing;
  } else if (mount.read_only) {
    place.reason = mount.mount_point + kReadOnly;
  } else if (!place.directory.writable) {
    place.reason = path + kNotWritable;
  } else if (mount.version == 2 && own_group) {
    // cgroups(7): to move from one group to another, cgroup.procs of their common ancestor must be
    // writable.
    const std::string ancestor = join(mount.mount_point, common_ancestor(*own_group, place.group));
    const bool same = ancestor == path;
    if (!(same ? place.directory : read_group(2, ancestor)).procs_writable) {
      place.reason = ancestor + "/cgroup.procs" + kAncestor;
    }
  }
  return place;
}

// Whether `controller` can be given to groups made in a v2 place; the reason where it cannot.
std::string why_not_in_v2(const Place& place, const std::string& path,
                          const std::string& controller) {
  if (!place.reason.empty()) return place.reason;
  const GroupDirectory& directory = place.directory;
  if (contains(split(directory.subtree_control, ' '), controller)) return {};
  if (directory.has_processes && !directory.hierarchy_root)
    return path + kNotDivisible + place.full;
  if (!directory.control_writable) return path + "/cgroup.subtree_control" + kNotWritable;
  return {};
}

// True where groups can be made in a v2 place, but none of them could be limited: our own group
// holds processes, us among them.
bool is_full(const Place& place) {
  const GroupDirectory& directory = place.directory;
  return place.reason.empty() && directory.has_processes && !directory.hierarchy_root &&
         !contains(split(directory.subtree_control, ' '), "memory");
}

// The top of the hierarchy, where root may always make groups, and where other runtimes without
// systemd make theirs.
Place top_of_hierarchy(const CgroupMount& mount, const GroupReader& read_group) {
  Place place;
  place.group = "/";
  place.directory = read_group(2, mount.mount_point);
  const GroupDirectory& directory = place.directory;
  if (mount.root != "/" || mount.read_only || !directory.hierarchy_root || !directory.writable ||
      !directory.procs_writable || !directory.control_writable) {
    place.reason = mount.mount_point + kNotWritable;
  }
  return place;
}

// Beside our own group, where that is a leaf of a group that was delegated with it: a service with
// DelegateSubgroup=, a container whose processes are out of the way. What is a slice belongs to a
// service manager, whoever may write there.
Place beside_own_group(const CgroupMount& mount, const Place& own, const GroupReader& read_group) {
  Place place;
  place.group = own.group.substr(0, own.group.find_last_of('/'));
  if (place.group.empty()) place.group = "/";
  const std::string path = join(mount.mount_point, place.group);
  place.directory = read_group(2, path);
  const GroupDirectory& directory = place.directory;
  if (own.group == "/" || place.group.ends_with(".slice") || !directory.writable ||
      !directory.procs_writable || !directory.control_writable || directory.has_processes) {
    place.reason = path + kNotWritable;
  }
  return place;
}

// A scope below the group of the user's service manager. Only the manager itself makes it.
Place scope_of_manager(const CgroupMount& mount, const UserManager& manager,
                       const GroupReader& read_group) {
  const std::string uid = std::to_string(manager.uid);
  Place place;
  place.group = "/user.slice/user-" + uid + ".slice/user@" + uid + ".service";
  if (mount.root == "/") place.directory = read_group(2, join(mount.mount_point, place.group));
  GroupDirectory& directory = place.directory;
  if (!directory.exists || !directory.writable || mount.read_only) {
    place.reason = kNoManager;
  } else if (manager.bus.empty()) {
    place.reason = kNoBus;
  } else if (!manager.refusal.empty()) {
    place.reason = kRefused + manager.refusal;
  }
  directory.has_processes = false;
  directory.control_writable = true;
  return place;
}

const OwnGroup* find_own(const std::vector<OwnGroup>& groups, int version,
                         std::string_view controller) {
  for (const OwnGroup& group : groups) {
    if (group.version != version) continue;
    if (version == 2 || contains(group.controllers, controller)) return &group;
  }
  return nullptr;
}

// Where the caller's own group cannot be divided: for root the top of the hierarchy, for others a
// scope of their service manager's, or a group beside their own. `facts` is told how.
Place better_place(Place own, const CgroupMount& mount, const UserManager& manager,
                   const GroupReader& read_group, CgroupFacts& facts) {
  facts.scope_bus.clear();
  facts.scope_reason.clear();
  const bool full = is_full(own);
  if (!full && own.reason.empty()) return own;
  if (full) {
    Place top = top_of_hierarchy(mount, read_group);
    if (top.reason.empty()) return top;
    Place beside = beside_own_group(mount, own, read_group);
    if (beside.reason.empty()) return beside;
  }
  if (manager.uid == 0 || mount.read_only) return own;
  Place scope = scope_of_manager(mount, manager, read_group);
  if (scope.reason.empty()) {
    facts.scope_bus = manager.bus;
    return scope;
  }
  facts.scope_reason = scope.reason;
  (full ? own.full : own.reason) += "; " + scope.reason;
  return own;
}

}  // namespace

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    // "36 35 98:0 /root /mount/point rw,relatime optional:fields - type source super,options"
    const std::size_t separator = line.find(" - ");
    if (separator == std::string_view::npos) continue;
    const auto before = split(line.substr(0, separator), ' ');
    const auto after = split(line.substr(separator + 3), ' ');
    if (before.size() < 6 || after.size() < 3) continue;
    const int version = after[0] == "cgroup2" ? 2 : after[0] == "cgroup" ? 1 : 0;
    if (version == 0) continue;

    CgroupMount mount;
    mount.version = version;
    mount.root = unescape(before[3]);
    mount.mount_point = unescape(before[4]);
    const auto super = split(after[2], ',');
    mount.read_only = contains(split(before[5], ','), "ro") || contains(super, "ro");
    if (version == 1) mount.controllers = to_strings(super);
    // A later mount on the same place hides the earlier one.
    std::erase_if(mounts, [&](const CgroupMount& earlier) {
      return earlier.mount_point == mount.mount_point;
    });
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<OwnGroup> parse_own_groups(std::string_view text) {
  std::vector<OwnGroup> groups;
  for (const std::string_view line : split(text, '\n')) {
    // "4:memory:/path", "0::/path"; the path may hold colons.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    OwnGroup group;
    group.version = line.substr(0, first) == "0" ? 2 : 1;
    group.controllers = to_strings(split(line.substr(first + 1, second - first - 1), ','));
    group.path = line.substr(second + 1);
    groups.push_back(std::move(group));
  }
  return groups;
}

CgroupFacts describe_cgroups(const CgroupTexts& texts, const std::string& cgroup_parent,
                             KernelVersion kernel, const GroupReader& read_group) {
  const std::vector<CgroupMount> mounts = parse_cgroup_mounts(texts.mountinfo);
  const std::vector<OwnGroup> own_groups = parse_own_groups(texts.own_groups);
  CgroupFacts facts;
  Place v2_place;
  for (const CgroupMount& mount : mounts) {
    if (mount.version != 2) continue;
    Place place = find_place(mount, find_own(own_groups, 2, ""), cgroup_parent, read_group);
    // Of several mounts (a container's bind beside the host's) the first that works is taken.
    if (facts.v2_mounted && !place.reason.empty()) continue;
    if (cgroup_parent.empty())
      place = better_place(std::move(place), mount, texts.manager, read_group, facts);
    v2_place = std::move(place);
    facts.v2_mounted = true;
    facts.v2_mount_point = mount.mount_point;
    if (v2_place.reason.empty()) break;
  }
  facts.v2_group = v2_place.group;
  facts.v2_usable = facts.v2_mounted && v2_place.reason.empty();
  facts.v2_reason = facts.v2_mounted ? v2_place.reason : "no cgroup2 hierarchy is mounted";
  facts.v2_kill = facts.v2_mounted && kernel >= kKernelForCgroupKill;

  const std::string v2_path = join(facts.v2_mount_point, facts.v2_group);
  const auto v2_names = split(without_newline(v2_place.directory.controllers), ' ');
  bool any_v1 = false;
  for (const ControllerName& name : kControllers) {
    ControllerFacts controller;
    const auto v1_mount = std::find_if(mounts.begin(), mounts.end(), [&](const CgroupMount& mount) {
      return mount.version == 1 && contains(mount.controllers, name.v1);
    });
    if (facts.v2_mounted && contains(v2_names, name.v2)) {
      controller.version = 2;
      controller.mount_point = facts.v2_mount_point;
      controller.group = facts.v2_group;
      controller.reason = why_not_in_v2(v2_place, v2_path, name.v2);
    } else if (v1_mount != mounts.end()) {
      const OwnGroup* own = find_own(own_groups, 1, name.v1);
      const Place place = find_place(*v1_mount, own, cgroup_parent, read_group);
      controller.version = 1;
      controller.mount_point = v1_mount->mount_point;
      controller.group = place.group;
      controller.reason = place.reason;
      // blkio.weight went with the CFQ scheduler (5.0), and v1 never charged write-back to its
      // writer.
      if (name.v1 == std::string_view("blkio")) controller.reason = kNoWeight;
      any_v1 |= name.v1 != std::string_view("blkio");
    } else if (facts.v2_mounted) {
      controller.version = 2;
      controller.mount_point = facts.v2_mount_point;
      controller.group = facts.v2_group;
      controller.reason = !v2_place.reason.empty()
                              ? v2_place.reason
                              : std::string(name.v2) + kNotHandedDown + v2_path;
    } else {
      controller.reason = kNoHierarchy;
    }
    controller.usable = controller.reason.empty();
    facts.controllers[name.v2] = std::move(controller);
  }
  facts.hybrid = any_v1;
  return facts;
}

}  // namespace cove

#include <array>

#include "runtime/host/cgroup_facts.h"
#include "runtime/host/cgroup_reasons.h"

namespace cove {

std::string cure_for_cgroup(std::string_view reason, std::uint32_t uid) {
  const bool root = uid == 0;
  const std::string scope =
      root ? "run under `systemd-run --scope -p Delegate=yes`, or give --cgroup-parent"
           : "run under `systemd-run --user --scope -p Delegate=yes`, or give --cgroup-parent";
  struct Cure {
    std::string_view words;
    std::string cure;
  };
  const std::array<Cure, 12> cures{{
      {kNoManager,
       "log in by ssh or at a console, or have root run `loginctl enable-linger`, on a host "
       "with systemd; else give --cgroup-parent"},
      {kNoBus,
       "log in by ssh or at a console instead of by su or sudo, or set XDG_RUNTIME_DIR to "
       "/run/user/" +
           std::to_string(uid) + "; the bus is dbus-user-session's"},
      {kRefused, "see `systemctl --user status` and `journalctl --user`"},
      {kReadOnly,
       "give the container its own writable cgroups, such as `docker run --privileged "
       "--cgroupns=private`, or run outside of it"},
      {kMissing, "make the group first, or give another --cgroup-parent"},
      {kNotDivisible,
       "move what is in it, the caller too, to a group below it, or give another --cgroup-parent"},
      {kNotHandedDown, root ? "enable it in cgroup.subtree_control of the groups above, or boot "
                              "without cgroup_disable=; else " +
                                  scope
                            : "have root delegate it (Delegate=yes in a drop-in of user@.service)"},
      {kOutside, "give --cgroup-parent, or run in a cgroup namespace of its own"},
      {kAncestor, scope},
      {kNotWritable, scope},
      {kNoWeight, "boot with systemd.unified_cgroup_hierarchy=1"},
      {kNoHierarchy, "mount cgroup2 at /sys/fs/cgroup, or boot without cgroup_disable="},
  }};
  for (const Cure& known : cures) {
    if (reason.find(known.words) != std::string_view::npos) return known.cure;
  }
  return "mount cgroup2 at /sys/fs/cgroup";
}

}  // namespace cove

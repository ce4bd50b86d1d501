#include "runtime/mount/root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <set>

#include "runtime/identity/id_map.h"
#include "runtime/mount/copy_tree.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

constexpr const char* kStage = "/stage";
constexpr std::size_t kFsconfigLimit = 255;  // fsconfig(2) takes strings of 255 bytes at most

Error root_error(std::string what, std::string where) {
  Error error = errno_error(ErrorCode::setup_failed, "root", std::move(what));
  error.where = std::move(where);
  return error;
}

struct Device {
  const char* name;
  unsigned major, minor;
};
constexpr std::array<Device, 6> kDevices{{{"null", 1, 3},
                                          {"zero", 1, 5},
                                          {"full", 1, 7},
                                          {"random", 1, 8},
                                          {"urandom", 1, 9},
                                          {"tty", 5, 0}}};

struct DeviceLink {
  const char* name;
  const char* target;
};
constexpr std::array<DeviceLink, 5> kDeviceLinks{{{"fd", "/proc/self/fd"},
                                                  {"stdin", "/proc/self/fd/0"},
                                                  {"stdout", "/proc/self/fd/1"},
                                                  {"stderr", "/proc/self/fd/2"},
                                                  {"ptmx", "pts/ptmx"}}};

// "/stage/l/00": two characters of base 36, so that 85 layers fit into one fsconfig string.
std::string layer_name(std::size_t index) {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  return {kDigits[index / 36 % 36], kDigits[index % 36]};
}

// Makes what a root consists of, on /stage. Each step returns the first error.
class RootBuilder {
 public:
  RootBuilder(const Plan& plan, AcquiredMounts acquired, const HostIds& ids,
              BorrowedFd user_namespace, BorrowedFd host_proc, BorrowedFd host_root,
              DeviceNodes device_nodes, BorrowedFd disk)
      : plan_(plan),
        acquired_(std::move(acquired)),
        ids_(ids),
        user_namespace_(user_namespace),
        host_proc_(host_proc),
        host_root_(host_root),
        device_nodes_(device_nodes),
        disk_(disk) {}

  Result<PreparedRoot> build() {
    using Step = Result<void> (RootBuilder::*)();
    static constexpr std::array<Step, 6> kSteps{
        &RootBuilder::make_scratch, &RootBuilder::make_upper, &RootBuilder::write_files,
        &RootBuilder::make_devices, &RootBuilder::make_root,  &RootBuilder::prepare_mounts};
    for (Step step : kSteps) {
      if (auto done = (this->*step)(); !done) return fail(done.error());
    }
    return std::move(out_);
  }

 private:
  Result<void> make_scratch() {
    auto scratch = make_filesystem("tmpfs",
                                   {{"size", std::to_string(plan_.root.scratch_size.count)},
                                    {"nr_inodes", std::to_string(plan_.root.scratch_inodes)},
                                    {"mode", "0755"}},
                                   MOUNT_ATTR_NOSUID);
    if (!scratch) return fail(scratch.error());
    if (auto done = attach_mount(*scratch, BorrowedFd(AT_FDCWD), kStage); !done) return done;
    stage_ = std::move(*scratch);
    out_.scratch = UniqueFd(open(kStage, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!out_.scratch) return fail(root_error("open scratch", kStage));
    return disk_ ? attach_disk() : Result<void>{};
  }

  // Its directory is among those of the stage, for the overlay to find it.
  Result<void> attach_disk() {
    auto disk = clone_mount(disk_, "", Recursive::no);
    if (!disk) return fail(disk.error());
    if (mkdirat(stage_.number(), "disk", 0700) != 0)
      return fail(root_error("mkdir on scratch", "disk"));
    layers_of_root_ = "disk/";
    return attach_mount(*disk, stage_, "disk");
  }

  // A directory of scratch that belongs to the sandbox's root.
  Result<void> make_directory(const std::string& name, mode_t mode) {
    return make_owned_directory(name, mode, ids_.root_uid, ids_.root_gid);
  }

  Result<void> make_owned_directory(const std::string& name, mode_t mode, uid_t uid, gid_t gid) {
    if (mkdirat(stage_.number(), name.c_str(), mode) != 0)
      return fail(root_error("mkdir on scratch", name));
    if (fchownat(stage_.number(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail(root_error("give to the sandbox", name));
    return {};
  }

  Result<void> make_link(const std::string& target, const std::string& path) {
    if (symlinkat(target.c_str(), stage_.number(), path.c_str()) != 0 ||
        fchownat(stage_.number(), path.c_str(), ids_.root_uid, ids_.root_gid,
                 AT_SYMLINK_NOFOLLOW) != 0) {
      return fail(root_error("make the link", path));
    }
    return {};
  }

  // "upper" becomes the overlay's upper directory or, for host_tools, the root itself.
  std::string upper(const std::string& path = {}) const { return layers_of_root_ + "upper" + path; }

  Result<void> make_upper() {
    for (const char* path : {"", "/etc"}) {
      if (auto done = make_directory(upper(path), 0755); !done) return done;
    }
    if (auto done = make_directory(upper("/tmp"), 01777); !done) return done;
    if (plan_.process.own_workdir && !plan_.root.read_only) {
      if (auto done = make_workspace(upper(plan_.process.workdir)); !done) return done;
    }
    return plan_.root.kind == RootKind::host_tools ? make_bare_root() : Result<void>{};
  }

  // Only the default workspace, a single component, is made here; init makes any other inside the
  // root.
  Result<void> make_workspace(const std::string& name) {
    return make_owned_directory(name, 0755, ids_.payload_uid, ids_.payload_gid);
  }

  Result<void> make_bare_root() {
    for (const char* name : {"upper/var", "upper/run", "upper/home"}) {
      if (auto done = make_directory(name, 0755); !done) return done;
    }
    if (auto done = make_directory("upper/var/tmp", 01777); !done) return done;
    for (const auto& [path, target] : plan_.root.host_links) {
      if (auto done = make_link(target, "upper" + path); !done) return done;
    }
    return {};
  }

  Result<void> write_files() {
    for (const FilePlan& file : plan_.files) {
      const UniqueFd fd(openat(stage_.number(), upper(file.path).c_str(),
                               O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, file.mode));
      if (!fd || write(fd.number(), file.content.data(), file.content.size()) < 0 ||
          fchown(fd.number(), ids_.root_uid, ids_.root_gid) != 0) {
        return fail(root_error("write", file.path));
      }
    }
    return {};
  }

  Result<void> make_devices() {
    for (const char* name : {"dev", "dev/pts", "dev/shm"}) {
      if (auto done = make_directory(name, 0755); !done) return done;
    }
    for (const DeviceLink& link : kDeviceLinks) {
      if (auto done = make_link(link.target, std::string("dev/") + link.name); !done) return done;
    }
    for (const Device& device : kDevices) {
      if (auto done = make_device(device); !done) return done;
    }
    return {};
  }

  Result<void> make_device(const Device& device) {
    const std::string path = std::string("dev/") + device.name;
    if (device_nodes_ == DeviceNodes::make) {
      if (mknodat(stage_.number(), path.c_str(), S_IFCHR | 0666,
                  makedev(device.major, device.minor)) != 0 ||
          fchownat(stage_.number(), path.c_str(), ids_.root_uid, ids_.root_gid, 0) != 0) {
        return fail(root_error("mknod", path));
      }
      return {};
    }
    if (mknodat(stage_.number(), path.c_str(), S_IFREG | 0666, 0) != 0)
      return fail(root_error("make a file to mount on", path));
    auto node = clone_mount(host_root_, path.c_str(), Recursive::no);
    if (!node) return fail(node.error());
    auto safe = set_mount_attributes(*node, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, Recursive::no);
    return safe ? attach_mount(*node, stage_, path.c_str()) : safe;
  }

  Result<void> make_root() {
    if (plan_.root.kind == RootKind::overlay) return make_overlay();
    auto root = clone_mount(stage_, "upper", Recursive::no);
    if (!root) return fail(root.error());
    if (auto done = set_mount_attributes(*root, kSafeAttributes, Recursive::no); !done) return done;
    out_.root = std::move(*root);
    return prepare_host_directories();
  }

  Result<void> make_overlay() {
    if (acquired_.layers.empty())
      return fail(
          Error{ErrorCode::image_invalid, "root", 0, "the image has no layers", "", "", {}});
    if (auto done = make_directory("l", 0700); !done) return done;
    for (std::size_t i = 0; i < acquired_.layers.size(); ++i) {
      auto safe =
          set_mount_attributes(acquired_.layers[i], MOUNT_ATTR_RDONLY | kSafeAttributes,
                               Recursive::no, plan_.root.idmapped ? user_namespace_ : BorrowedFd());
      if (!safe) {
        safe.error().where = plan_.root.layers[i];
        if (plan_.root.idmapped)
          safe.error().hint =
              "the file system below the image store must support idmapped mounts (ext4, xfs, "
              "btrfs, tmpfs since 6.3)";
        return safe;
      }
    }
    auto overlay = overlay_of(acquired_.layers, upper(), layers_of_root_);
    if (!overlay) return fail(overlay.error());
    out_.root = std::move(*overlay);
    return {};
  }

  // Stacks `lower` (the lowest first) under the directory `upper`; `place` is a directory of the
  // same file system.
  Result<UniqueFd> overlay_of(const std::vector<UniqueFd>& lower, const std::string& upper,
                              const std::string& place) {
    const std::string work = place + "work-" + layer_name(next_layer_);
    if (auto done = make_directory(work, 0700); !done) return fail(done.error());
    // The layers are attached while the overlay is made: before 6.15 the kernel clones attached
    // mounts only.
    std::string names;
    for (std::size_t i = lower.size(); i-- > 0;) {
      const std::string name = "l/" + layer_name(next_layer_++);
      if (auto done = make_directory(name, 0700); !done) return fail(done.error());
      if (auto done = attach_mount(lower[i], stage_, name.c_str()); !done)
        return fail(done.error());
      names += (names.empty() ? "" : ":") + name;
    }
    std::vector<std::pair<std::string, std::string>> options{{"upperdir", upper},
                                                             {"workdir", work}};
    if (names.size() <= kFsconfigLimit) {
      options.emplace_back("lowerdir", names);
    } else {
      append_layers(names, options);  // 6.5
    }
    if (plan_.root.user_xattr) options.emplace_back("userxattr", "");
    // Relative names are short ones; they are looked up from the working directory.
    if (fchdir(stage_.number()) != 0) return fail(root_error("chdir", kStage));
    auto overlay = make_filesystem("overlay", options, kSafeAttributes);
    if (chdir("/") != 0) return fail(root_error("chdir", "/"));
    return overlay;
  }

  static void append_layers(const std::string& names,
                            std::vector<std::pair<std::string, std::string>>& options) {
    for (std::size_t at = 0; at < names.size();) {
      const std::size_t end = std::min(names.find(':', at), names.size());
      options.emplace_back("lowerdir+", names.substr(at, end - at));
      at = end + 1;
    }
  }

  // The host's own directories: read-only, with the host's owners, who are nobody inside.
  Result<void> prepare_host_directories() {
    if (auto done = make_directory("l", 0700); !done) return done;
    for (std::size_t i = 0; i < plan_.root.host_directories.size(); ++i) {
      const std::string& path = plan_.root.host_directories[i];
      UniqueFd mount = std::move(acquired_.directories[i]);
      if (auto done =
              set_mount_attributes(mount, MOUNT_ATTR_RDONLY | kSafeAttributes, Recursive::yes);
          !done)
        return done;
      if (path == "/etc") {
        auto own = make_etc(std::move(mount));
        if (!own) return fail(own.error());
        mount = std::move(*own);
      }
      out_.host_directories.push_back({path, std::move(mount)});
    }
    return {};
  }

  // The host's, without what is hidden, with our own files, and writable.
  Result<UniqueFd> make_etc(UniqueFd etc) {
    if (!has_locked_mounts("etc")) {
      if (auto done = hide_paths(); !done) return fail(done.error());
      std::vector<UniqueFd> lower;
      lower.push_back(std::move(etc));
      return overlay_of(lower, "upper/etc", {});
    }
    const UniqueFd own(openat(stage_.number(), "upper/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return fail(root_error("open scratch", "/etc"));
    const std::set<std::string> hidden(plan_.root.hidden_paths.begin(),
                                       plan_.root.hidden_paths.end());
    if (auto done = copy_tree({etc, own, "/etc", hidden, ids_.root_uid, ids_.root_gid}); !done)
      return fail(done.error());
    return clone_scratch("upper/etc", kSafeAttributes, Recursive::no);
  }

  // Mounts below a directory that a user namespace has inherited hide what is under them. So the
  // kernel gives away no such directory without them, and overlays none: containers mount
  // /etc/hosts.
  bool has_locked_mounts(const char* path) {
    const auto alone = clone_mount(host_root_, path, Recursive::no);
    return !alone && alone.error().sys_errno == EINVAL;
  }

  // An overlay's whiteout in the upper directory: the lower name is not there at all. A file of
  // ours hides it as well.
  Result<void> hide_paths() {
    for (const std::string& path : plan_.root.hidden_paths) {
      for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
           slash = path.find('/', slash + 1)) {
        auto made = make_directory("upper" + path.substr(0, slash), 0755);
        if (!made && made.error().sys_errno != EEXIST) return made;
      }
      if (mknodat(stage_.number(), ("upper" + path).c_str(), S_IFCHR, makedev(0, 0)) != 0 &&
          errno != EEXIST) {
        return fail(root_error("hide", path));
      }
    }
    return {};
  }

  Result<void> prepare_mounts() {
    out_.mounts.resize(plan_.mounts.size());
    for (std::size_t i = 0; i < plan_.mounts.size(); ++i) {
      auto mount = prepare_mount(plan_.mounts[i], i);
      if (!mount) {
        Error error = mount.error();
        error.step = "mount " + std::to_string(i) + " on " + plan_.mounts[i].target;
        return fail(std::move(error));
      }
      out_.mounts[i] = std::move(*mount);
    }
    return {};
  }

  Result<UniqueFd> prepare_mount(const MountPlan& mount, std::size_t index) {
    switch (mount.kind) {
      case MountKind::devices:
        return clone_scratch("dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
                             Recursive::yes);
      case MountKind::shared_memory:
        if (auto done = make_directory("shm", 01777); !done) return fail(done.error());
        return clone_scratch("shm", kSafeAttributes | MOUNT_ATTR_NOEXEC, Recursive::no);
      case MountKind::scratch:
        return prepare_scratch_directory(mount, index);
      case MountKind::bind:
        return prepare_bind(mount);
      case MountKind::tmpfs:
        return make_filesystem("tmpfs",
                               {{"size", std::to_string(mount.size.count)}, {"mode", "01777"}},
                               kSafeAttributes | (mount.read_only ? MOUNT_ATTR_RDONLY : 0));
      case MountKind::proc:
      case MountKind::pts:
      case MountKind::cgroup:
      case MountKind::read_only:
      case MountKind::mask:
        return UniqueFd();  // made by init, in the sandbox's namespaces
    }
    return UniqueFd();
  }

  Result<UniqueFd> prepare_scratch_directory(const MountPlan& mount, std::size_t index) {
    const std::string name = "d" + std::to_string(index);
    auto made = mount.mode == 01777
                    ? make_directory(name, 01777)
                    : make_owned_directory(name, mount.mode, ids_.payload_uid, ids_.payload_gid);
    if (!made) return fail(made.error());
    return clone_scratch(name, kSafeAttributes, Recursive::no);
  }

  Result<UniqueFd> clone_scratch(const std::string& name, std::uint64_t attributes,
                                 Recursive recursive) {
    auto mount = clone_mount(stage_, name.c_str(), recursive);
    if (!mount) return mount;
    if (auto done = set_mount_attributes(*mount, attributes, recursive); !done)
      return fail(done.error());
    return mount;
  }

  // Idmapped so that the owner of the source is the payload's user inside, and what that user
  // writes belongs to the owner outside.
  Result<UniqueFd> prepare_bind(const MountPlan& mount) {
    UniqueFd bind = std::move(acquired_.binds[*mount.source]);
    UniqueFd mapping;
    if (mount.idmapped) {
      auto made = make_user_namespace(host_proc_, {mount.owner_uid, ids_.payload_uid, 1},
                                      {mount.owner_gid, ids_.payload_gid, 1});
      if (!made) return made;
      mapping = std::move(*made);
    }
    const std::uint64_t attributes = kSafeAttributes | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
    if (auto done = set_mount_attributes(bind, attributes, Recursive::yes, mapping); !done) {
      Error error = done.error();
      if (mount.idmapped)
        error.hint =
            "the source's file system does not support idmapped mounts; copy the files, or mount "
            "from ext4, xfs, btrfs or tmpfs";
      return fail(std::move(error));
    }
    return bind;
  }

  const Plan& plan_;
  AcquiredMounts acquired_;
  const HostIds ids_;
  const BorrowedFd user_namespace_, host_proc_, host_root_;
  const DeviceNodes device_nodes_;
  const BorrowedFd disk_;
  std::string layers_of_root_;  // where on the stage: "" or "disk/"
  UniqueFd stage_;
  std::size_t next_layer_ = 0;
  PreparedRoot out_;
};

}  // namespace

Result<PreparedRoot> prepare_root(const Plan& plan, AcquiredMounts acquired, const HostIds& ids,
                                  BorrowedFd user_namespace, BorrowedFd host_proc,
                                  BorrowedFd host_root, DeviceNodes device_nodes, BorrowedFd disk) {
  return RootBuilder(plan, std::move(acquired), ids, user_namespace, host_proc, host_root,
                     device_nodes, disk)
      .build();
}

void clear_stage() {
  // Takes everything that was attached below along; what is detached or cloned lives on. EINVAL:
  // nothing is there.
  while (umount2(kStage, MNT_DETACH) == 0) {
  }
}

}  // namespace cove

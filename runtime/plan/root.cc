// The root filesystem, and the files in it that are ours.
#include "runtime/plan/draft.h"

namespace cove {
namespace {

void check_overlay(Draft& draft) {
  if (draft.image.layers.empty()) {
    draft.refuse(problem(ErrorCode::image_invalid, "root", draft.image.name, "it has no layers",
                         "load the image again"));
  }
  if (!draft.host.overlay) {
    draft.refuse(problem(ErrorCode::isolation_unavailable, "root", "overlay",
                         "the kernel has no overlayfs, which shares an image between sandboxes",
                         "modprobe overlay; or use the host's own tools: --rootfs /"));
  } else if (!draft.host.privileged && !draft.host.tmpfs_user_xattr && !draft.plan.root.read_only &&
             !keeps_root_on_disk(draft)) {
    draft.refuse(problem(ErrorCode::isolation_unavailable, "root", "$.read_only",
                         "a plain user's writable root needs user xattrs on tmpfs, which Linux " +
                             draft.host.kernel_release + " has not",
                         "use a read-only root (--read-only; /tmp and the workspace stay "
                         "writable), Linux 6.6, or run as root"));
  }
}

// Every file that is not empty takes a page at least; as many again for directories, links and
// empty files.
std::uint64_t inodes_for(Bytes size) {
  constexpr std::uint64_t kPage = 4096;
  return std::max<std::uint64_t>(1024, size.count / kPage * 2);
}

std::string hosts_file(const std::string& hostname) {
  return "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t" + hostname +
         "\n";
}

}  // namespace

void plan_root(Draft& draft) {
  const ImageFacts& image = draft.image;
  Plan& plan = draft.plan;
  plan.image = image.name;
  plan.image_digest = image.digest;

  RootPlan& root = plan.root;
  root.read_only = draft.spec.read_only.value_or(false);
  if (root.scratch_size.count > 0) root.scratch_inodes = inodes_for(root.scratch_size);
  if (image.host_tools) {
    root.kind = RootKind::host_tools;
    root.host_directories = image.host_directories;
    root.host_links = image.host_links;
    root.hidden_paths = image.hidden_paths;
  } else {
    root.kind = RootKind::overlay;
    root.layers = image.layers;
    // Idmapping a directory that is not the store's would make container 1000 be host 1000.
    root.idmapped = image.layer_ids == LayerIds::image && draft.host.privileged;
    root.user_xattr = !draft.host.privileged;
    if (keeps_root_on_disk(draft)) root.scratch_directory = draft.host.scratch_directory;
    check_overlay(draft);
  }

  plan.files.push_back({"/etc/hosts", hosts_file(plan.hostname), 0644});
  plan.files.push_back({"/etc/hostname", plan.hostname + "\n", 0644});
}

}  // namespace cove

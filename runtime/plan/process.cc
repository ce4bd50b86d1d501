// What is run, and where: Docker's rules for entrypoint, command and working directory.
#include <algorithm>

#include "runtime/model/check_spec.h"
#include "runtime/plan/draft.h"

namespace cove {
namespace {

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Error bad_image(std::string where, std::string what, std::string hint) {
  return problem(ErrorCode::image_invalid, "image", std::move(where), std::move(what),
                 std::move(hint));
}

void append(std::vector<std::string>& argv, const std::vector<std::string>& words) {
  argv.insert(argv.end(), words.begin(), words.end());
}

void plan_argv(Draft& draft) {
  const SandboxSpec& spec = draft.spec;
  const ImageConfig& config = draft.image.config;
  std::vector<std::string>& argv = draft.plan.process.argv;
  append(argv, spec.entrypoint.value_or(config.entrypoint));
  // The image's command is arguments to the image's entrypoint, and means nothing to another one.
  if (spec.command) {
    append(argv, *spec.command);
  } else if (!spec.entrypoint) {
    append(argv, config.command);
  }

  if (argv.empty()) {
    draft.refuse(bad_image("$.command",
                           "there is nothing to run: neither the spec nor the image has a command",
                           "give one: cove run IMAGE -- COMMAND"));
  } else if (argv.front().empty()) {
    draft.refuse(bad_image("$.command", "the name of the program is empty", "give a command"));
  } else if (std::any_of(argv.begin(), argv.end(), has_nul)) {
    draft.refuse(
        bad_image("$.command", "the command has a NUL byte in it", "give another command"));
  }
}

bool is_or_is_below(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

// What lies on a mount of the caller's is theirs: nothing is made there, nothing given away.
bool is_on_a_mount(const Draft& draft, const std::string& path) {
  return std::any_of(draft.spec.mounts.begin(), draft.spec.mounts.end(),
                     [&](const MountSpec& mount) {
                       return is_or_is_below(path, normal_path(mount.container_path));
                     });
}

void plan_workdir(Draft& draft) {
  const std::string& images = draft.image.config.workdir;
  ProcessPlan& process = draft.plan.process;
  process.workdir = draft.spec.workdir            ? normal_path(*draft.spec.workdir)
                    : uses_default_workdir(draft) ? kDefaultWorkdir
                                                  : normal_path(images);
  process.make_workdir = process.workdir != "/" && !is_on_a_mount(draft, process.workdir);
  process.own_workdir = process.make_workdir && uses_default_workdir(draft);

  const bool climbs = (process.workdir + "/").find("/../") != std::string::npos;
  if (!draft.spec.workdir &&
      (climbs || has_nul(images) || (!images.empty() && images.front() != '/'))) {
    draft.refuse(bad_image("the image's WORKDIR", "it is not an absolute path without \"..\"",
                           "name another one: --workdir"));
  }
}

}  // namespace

void plan_process(Draft& draft) {
  plan_argv(draft);
  plan_workdir(draft);
  draft.plan.hostname = draft.spec.hostname.value_or(kDefaultHostname);
  draft.plan.stdin_source = draft.spec.stdin_source.value_or(StdinNone{});
  draft.plan.tty = draft.spec.tty.value_or(false);
}

}  // namespace cove

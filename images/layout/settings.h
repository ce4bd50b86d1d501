// What an image says of how it wants to be run, put together word by word: by options, or by the
// instructions of a Dockerfile that `docker import --change` takes; and the configuration (image-spec
// 1.1) made of it. Pure functions. Errors: invalid_argument.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"

namespace cove {

struct ImageSettings {
  ImageConfig config;
  std::map<std::string, std::string> labels;
  std::set<std::string> ports;    // "80/tcp"
  std::set<std::string> volumes;  // absolute paths
  std::string stop_signal;
};

// `["python3", "-m", "http.server"]`, or one word: a program. A text of several words that is no list
// is refused: it would be a guess where they part.
Result<std::vector<std::string>> command_from(std::string_view text);

// "NAME=VALUE" each; a name that is there already gets the new value.
Result<void> set_env(ImageSettings& settings, std::string_view assignment);
Result<void> set_label(ImageSettings& settings, std::string_view assignment);
Result<void> set_workdir(ImageSettings& settings, std::string_view path);
Result<void> set_user(ImageSettings& settings, std::string_view user);

// CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR, as a Dockerfile has them:
// a command that is no list is run by /bin/sh -c. Variables are not replaced; a '$' that would ask for
// it is refused.
Result<void> apply_instruction(ImageSettings& settings, std::string_view instruction);

// For this host's architecture, and without a time: the same image has the same digest.
std::string configuration_text(const ImageSettings& settings,
                               const std::vector<std::string>& diff_ids,
                               const std::string& created_by);

}  // namespace cove

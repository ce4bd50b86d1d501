// The messages between an engine and its launcher, as bytes and descriptors.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"
#include "runtime/kernel/message.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/layer_keeper.h"

namespace cove {

// Said first, so that the launcher gets ready while the engine still gathers and plans.
std::string encode_prepare(const Standing& standing);

// Asks for a keeper (layer_keeper.h), who answers over `socket`; there is no reply of the launcher's.
// `root`: the host's root directory.
std::string encode_copy(const Plan& plan, BorrowedFd root, BorrowedFd socket,
                        std::vector<BorrowedFd>& fds);
std::string encode_copied(const DuplicatedFiles& files);
// Of the message that has the directory; its `keeper` is the receiver's to add. Also takes
// encode_reply of an Error.
Result<LayerCopies> decode_copied(Message message);

// A request as the launcher holds it: what LaunchInputs refers to, owned.
struct OwnedRequest {
  Plan plan;
  std::vector<SourceFacts> sources;
  AcquiredMounts mounts;
  Belongings belongings;
  UniqueFd init_group, root, records;
  std::vector<std::vector<sock_filter>> filters;
  DeviceNodes device_nodes = DeviceNodes::bind;
  UniqueFd copies, keeper;  // LayerCopies
};

// The plan goes without its arguments, environment and input.
std::string encode_request(const LaunchInputs& inputs, const std::vector<SourceFacts>& sources,
                           std::vector<BorrowedFd>& fds);

using Request = std::variant<Standing, CopyOrder, OwnedRequest>;
Result<Request> decode_request(Message message);

std::string encode_reply(const Launched& launched, std::vector<BorrowedFd>& fds);
std::string encode_reply(const Error& error);
Result<Launched> decode_reply(Message message);

}  // namespace cove

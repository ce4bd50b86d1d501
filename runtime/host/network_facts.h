// What a sandbox's network leans on outside: pasta, the tap driver, the host's name servers.
// Reading (gather_network_facts) and judging (judge_pasta) are apart, so that any host can be
// described in a test.
#pragma once

#include <string>
#include <string_view>

#include "cove/facts.h"

namespace cove {

// As found.
struct PastaTexts {
  std::string executable;   // in $PATH, or where systems have it; empty: nowhere
  bool tun = false;         // /dev/net/tun is a device
  bool tun_usable = false;  // and may be opened by the user that pasta runs as
};

// Fills in pasta and pasta_reason.
void judge_pasta(const PastaTexts& texts, HostFacts& facts);

// The same and resolv_conf, of this host. Some tens of microseconds; reads only. `facts` knows
// already how sandboxes get their ids.
void gather_network_facts(HostFacts& facts);

// What to do about a pasta_reason.
std::string cure_for_pasta(std::string_view reason);

}  // namespace cove

// The three ways in which Docker's users write a mount: -v, --mount, --tmpfs.
//
// Each takes the option's value apart and checks its form; whether the paths exist and may be
// mounted is found out when the sandbox is planned. Errors: invalid_argument, `where` left empty.
#pragma once

#include <string>

#include "cli/surroundings.h"
#include "cove/result.h"
#include "cove/spec.h"

namespace cove::cli {

// SRC:DST[:ro|rw]. A relative SRC must begin with "." so that it is not taken for a volume's name.
Result<MountSpec> parse_volume(const std::string& text, const Surroundings& surroundings);

// type=bind,src=SRC,dst=DST[,readonly] or type=tmpfs,dst=DST[,size=SIZE]. Comma-separated values as
// in CSV: a field with a comma in it is written in double quotes.
Result<MountSpec> parse_mount(const std::string& text, const Surroundings& surroundings);

// DST[:size=SIZE]
Result<MountSpec> parse_tmpfs(const std::string& text);

}  // namespace cove::cli

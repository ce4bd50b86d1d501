// Programs that keep credentials: docker-credential-NAME, as Docker's documentation describes
// them. Found by $PATH, called without a shell. One that takes too long is killed.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cove/result.h"

namespace cove {

// What the helper printed; nothing where it says that it does not know the server. `verb`: "get",
// "store", "erase". `patience`: from its start to its end. Errors: invalid_argument (the name), setup_failed.
Result<std::optional<std::string>> call_credential_helper(
    const std::string& name, const std::string& verb, const std::string& input,
    std::chrono::milliseconds patience = std::chrono::seconds(30));

}  // namespace cove

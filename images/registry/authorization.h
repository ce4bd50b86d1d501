// What a registry is told of who we are: it asks by a challenge, and gets a password (Basic), or a
// token (Bearer) that a server it names gave for the login.
//
// Who gets the login: the registry that it is for, and that server, over TLS. Not who the registry
// redirects to, and not whom that one names.
#pragma once

#include <chrono>
#include <string>

#include "images/registry/endpoints.h"
#include "images/registry/http.h"

namespace cove {

// The Authorization that an answer of status 401 asks for; empty where we have none to give. Asks
// the token server, if need be.
tl::expected<std::string, HttpFailure> authorization_for(const HttpAnswer& answer,
                                                         const Endpoint& endpoint,
                                                         std::chrono::seconds stall);

}  // namespace cove

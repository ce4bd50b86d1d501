// Where an image may be fetched from: the mirrors that registries.conf names, then the registry
// itself; with what each needs, certificates and a login.
//
// registries.conf (version 2, containers-registries.conf(5)): $CONTAINERS_REGISTRIES_CONF alone,
// else ~/.config/containers/registries.conf, else /etc/containers/registries.conf; and the files of
// registries.conf.d in both places, the user's last. Read of it: [[registry]] prefix, location, insecure, blocked,
// mirror-by-digest-only, and [[registry.mirror]] location, insecure, pull-from-mirror. Short names
// are Docker's: search lists and aliases are not asked.
//
// Certificates: --cert-dir, else the directories HOST:PORT below ~/.config/containers/certs.d,
// /etc/containers/certs.d and /etc/docker/certs.d: *.crt (authorities), NAME.cert and NAME.key.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/registry/http.h"
#include "images/registry/login.h"
#include "images/registry/reference.h"

namespace cove {

struct Endpoint {
  std::string host;         // "registry-1.docker.io", "localhost:5000"
  std::string repository;   // there
  bool plain_http = false;  // allowed where the host speaks no TLS: loopback, or when asked
  bool verify_tls = true;
  Certificates certificates;
  Login login;
};

struct RegistrySettings {
  std::vector<std::string> files;                    // registries.conf and what is beside it
  std::vector<std::string> certificate_directories;  // each has directories HOST:PORT
  std::string cert_dir;                              // this one, in place of those
  bool verify_tls = true;
  LoginFiles logins;
};
// registries.conf of the first of these directories that has one, and all that lies in their
// registries.conf.d; those of the first directory come last, and so win.
std::vector<std::string> registry_files(const std::vector<std::string>& directories);

RegistrySettings registry_settings();  // by this process's environment

// At least one. Errors: image_invalid (a file that cannot be read, all mistakes at once),
// permission_denied (the registry is blocked), those of find_login.
Result<std::vector<Endpoint>> endpoints_for(const RegistryReference& reference,
                                            const RegistrySettings& settings);

// How its host is spoken to.
HttpHost http_host(const Endpoint& endpoint, std::chrono::seconds stall);

// The registry alone, without mirrors and without a login.
Result<Endpoint> endpoint_of(const std::string& registry, const RegistrySettings& settings);

}  // namespace cove

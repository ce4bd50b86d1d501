// `cove image pull` from Debian's docker-registry, into which skopeo has pushed: plain, with a
// password, over TLS, in every form that layers have.
#include "tests/integration/images/registries.h"

namespace cove::testing {
namespace {

class DockerPull : public PullingStore {
 protected:
  void SetUp() override {
    if (!installed("docker-registry")) GTEST_SKIP() << "needs program docker-registry";
    if (!installed("skopeo")) GTEST_SKIP() << "needs program skopeo";
  }
  std::string archive_of(const Image& image) const {
    return "docker-archive:" + archive("pushed.tar", image.docker_archive());
  }
};

TEST_F(DockerPull, BringsWhatSkopeoPushed) {
  const DockerRegistry registry;
  registry.push(archive_of(demo()), "v1");
  const Outcome outcome = pull(registry.place() + ":v1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find("Loaded " + registry.place() + ":v1 (sha256:"), 0U) << outcome.out;
  expect_demo(found(registry.place() + ":v1"));
  EXPECT_EQ(run("verify").status, 0);
  const Outcome again = pull(registry.place() + ":v1");
  EXPECT_EQ(again.out.find("Up to date: "), 0U) << again.out;
  EXPECT_EQ(registry.requests("GET /v2/tools/demo/manifests"), 2U);
}

TEST_F(DockerPull, BringsLayersOfEachCompression) {
  const DockerRegistry registry;
  for (const char* form : {"gzip", "zstd"}) {
    registry.push(archive_of(demo()), form,
                  "--format oci --dest-compress --dest-compress-format " + std::string(form));
    const Outcome outcome =
        pull("--json --name " + std::string(form) + ":v1 " + registry.place() + ":" + form);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    expect_demo(found(std::string(form) + ":v1"));
  }
  EXPECT_EQ(run("verify").status, 0);
}

// The same manifest for the host's platform and for two others.
std::string index_of_platforms(const std::string& manifest, std::size_t size) {
  json index{{"schemaVersion", 2}, {"mediaType", "application/vnd.oci.image.index.v1+json"}};
  for (const json& platform :
       {json{{"os", "linux"}, {"architecture", "s390x"}},
        json{{"os", "linux"}, {"architecture", host_platform().architecture}},
        json{{"os", "windows"}, {"architecture", "amd64"}}}) {
    index["manifests"].push_back({{"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                                  {"digest", manifest},
                                  {"size", size},
                                  {"platform", platform}});
  }
  return index.dump();
}

TEST_F(DockerPull, TakesItsPlatformOfSeveral) {
  const DockerRegistry registry;
  Image image_of_it = demo();
  image_of_it.filter = Filter::gzip;  // else skopeo compresses it, and its digest is another
  const std::string layout = layout_of(image_of_it);
  std::string manifest;
  for (const auto& [path, text] : image_of_it.oci_files())
    if (text.find("\"layers\":[{") != std::string::npos) manifest = text;
  const std::string index = index_of_platforms(sha256_of(manifest), manifest.size());
  put_blob(layout, index);
  write_file(layout + "/index.json",
             json{{"schemaVersion", 2},
                  {"manifests",
                   {{{"mediaType", "application/vnd.oci.image.index.v1+json"},
                     {"digest", sha256_of(index)},
                     {"size", index.size()}}}}}
                 .dump());
  registry.push("oci:" + layout, "many", "--all");
  const std::string image = registry.place() + ":many";
  expect_refused(pull("--platform linux/riscv64 " + image),
                 "there is no image for linux/riscv64 (there is: linux/s390x, linux/" +
                     host_platform().architecture + ", windows/amd64)");
  expect_refused(pull("--platform linux/s390x " + image),
                 "is for linux/" + host_platform().architecture + ", wanted is linux/s390x");
  ASSERT_EQ(pull(image).status, 0);
  expect_demo(found(image));
  // And by the digest of the index, or of the manifest.
  EXPECT_EQ(pull(registry.place() + "@" + sha256_of(index)).status, 0);
  EXPECT_EQ(pull(registry.place() + "@" + sha256_of(manifest)).status, 0);
  EXPECT_EQ(run("verify").status, 0);
}

TEST_F(DockerPull, FetchesOneBlobWhereOneIsMissing) {
  const DockerRegistry registry;
  Image image = demo();
  registry.push(archive_of(image), "v1");
  ASSERT_EQ(pull(registry.place() + ":v1").status, 0);
  const std::size_t before = registry.requests("GET /v2/tools/demo/blobs");
  image.layers.push_back(tar({file("new")}));
  registry.push(archive_of(image), "v2");
  const std::size_t pushed = registry.requests("GET /v2/tools/demo/blobs");
  EXPECT_EQ(pushed, before) << "a push fetches nothing";
  ASSERT_EQ(pull(registry.place() + ":v2").status, 0);
  EXPECT_EQ(registry.requests("GET /v2/tools/demo/blobs"), pushed + 2) << "configuration and layer";
}

// `htpasswd -nbB ada se:cret`.
constexpr const char* kPasswords =
    "ada:$2y$05$bXx9SjB073G28cinmfXL7e/iX9JCUSlERKYB8/.yuSjauIuZnSb3O\n";

TEST_F(DockerPull, TakesAPassword) {
  put_at_home("passwords", kPasswords);
  const DockerRegistry registry("auth: {htpasswd: {realm: here, path: " + home() +
                                "/passwords}}\n");
  registry.push(archive_of(demo()), "v1", "--dest-creds ada:se:cret");
  Outcome outcome = pull(registry.place() + ":v1");
  expect_refused(outcome, "gives \"tools/demo\" to no one without a login");
  const std::string login = "login -u ada --password-stdin " + registry.host();
  EXPECT_EQ(cove(login, "echo wrong | ").status, 125);
  outcome = cove(login, "echo se:cret | ");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  outcome = pull(registry.place() + ":v1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  expect_demo(found(registry.place() + ":v1"));
}

// A certificate authority of the test's own.
class OverTls : public DockerPull {
 protected:
  void SetUp() override {
    DockerPull::SetUp();
    if (!installed("openssl")) GTEST_SKIP() << "needs program openssl";
  }
  void make_authority(const std::string& name) const {
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
            name + " -keyout " + in(name + ".key") + " -out " + in(name + ".crt"));
  }
  void make_certificate(const std::string& name, const std::string& authority,
                        const std::string& address = "127.0.0.1") const {
    write_file(in(name + ".ext"), "subjectAltName=IP:" + address + "\n");
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
            " -keyout " + in(name + ".key") + " -out " + in(name + ".csr"));
    openssl("x509 -req -days 2 -in " + in(name + ".csr") + " -CA " + in(authority + ".crt") +
            " -CAkey " + in(authority + ".key") + " -CAcreateserial -extfile " + in(name + ".ext") +
            " -out " + in(name + ".cert"));
  }
  std::string in(const std::string& name) const { return home() + "/" + name; }
  std::string tls(const std::string& name) const {
    return "  tls: {certificate: " + in(name + ".cert") + ", key: " + in(name + ".key") + "}\n";
  }
  // For --cert-dir: copies of these.
  std::string directory_with(const std::vector<std::string>& names) const {
    std::string directory = in("certs");
    while (std::filesystem::exists(directory)) directory += "-";
    std::filesystem::create_directory(directory);
    for (const std::string& name : names)
      std::filesystem::copy_file(in(name), directory + "/" + name);
    return directory;
  }

 private:
  void openssl(const std::string& arguments) const {
    const Outcome outcome = shell("openssl " + arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
};

TEST_F(OverTls, TrustsWhomItWasToldToTrust) {
  make_authority("good");
  make_authority("other");
  make_certificate("host", "good");
  const DockerRegistry registry("", tls("host"));
  registry.push(archive_of(demo()), "v1");
  const std::string image = registry.place() + ":v1";

  expect_refused(pull(image), "the host's certificate is not trusted");
  expect_refused(pull("--cert-dir " + directory_with({"other.crt"}) + " " + image),
                 "name its authority with --cert-dir");
  expect_refused(pull("--cert-dir " + in("none") + " " + image), "cannot be opened");
  const Outcome outcome = pull("--cert-dir " + directory_with({"good.crt"}) + " " + image);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  expect_demo(found(image));
  EXPECT_EQ(pull("--tls-verify=false " + image).status, 0);
  // As docker and podman keep them.
  std::filesystem::create_directories(in(".config/containers/certs.d"));
  std::filesystem::rename(directory_with({"good.crt"}),
                          in(".config/containers/certs.d/" + registry.host()));
  EXPECT_EQ(pull(image).status, 0);
}

TEST_F(OverTls, TrustsNoCertificateOfAnotherHost) {
  make_authority("good");
  make_certificate("host", "good", "127.0.0.2");
  const DockerRegistry registry("", tls("host"));
  expect_refused(
      pull("--cert-dir " + directory_with({"good.crt"}) + " " + registry.place() + ":v1"),
      "the host's certificate is not trusted");
}

TEST_F(OverTls, ShowsACertificateOfItsOwn) {
  make_authority("good");
  make_certificate("host", "good");
  make_certificate("me", "good");
  const FaultyRegistry registry(
      layout_of(large()),
      json{{"tls",
            {{"cert", in("host.cert")}, {"key", in("host.key")}, {"client_ca", in("good.crt")}}}});
  const std::string image = " --name mine:v1 " + registry.place() + ":v1";
  EXPECT_EQ(pull("--cert-dir " + directory_with({"good.crt"}) + image).status, 125);
  expect_pulled(pull("--cert-dir " + directory_with({"good.crt", "me.cert", "me.key"}) + image),
                "mine:v1", 2);
}

// A registry that has TLS leads nowhere without: neither by redirects nor for tokens.
TEST_F(OverTls, IsNotLeftForPlainText) {
  make_authority("good");
  make_certificate("host", "good");
  const FaultyRegistry thief(layout_of(large()));
  const json files{{"cert", in("host.cert")}, {"key", in("host.key")}};
  const std::string certs = "--cert-dir " + directory_with({"good.crt"});
  const json leading =
      fault("/blobs/",
            {{"status", 307}, {"headers", {{"Location", "http://" + thief.host() + "{path}"}}}});
  const FaultyRegistry redirecting(layout_of(large()),
                                   json{{"tls", files}, {"faults", std::vector<json>{leading}}});
  expect_refused(pull(certs + " " + redirecting.place() + ":v1"), "or from https to http");
  EXPECT_TRUE(thief.requests().empty());
}

}  // namespace
}  // namespace cove::testing

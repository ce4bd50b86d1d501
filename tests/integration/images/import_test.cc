// Root filesystems that are no image yet: directories and tar archives, as `cove image import` takes
// them, and what a sandbox sees of them then.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/integration/images/image_store.h"
#include "tests/support/files.h"
#include "tests/support/host.h"

namespace cove::testing {
namespace {

using nlohmann::json;

// What the sandbox has of its own.
constexpr const char* kOurs = "/proc /sys /dev /tmp /run /workspace /etc";

class Import : public ImageStore {
 protected:
  Import() {
    for (const char* name : {"etc", "tmp", "run", "workspace", "proc", "sys", "dev", "h/deep"})
      std::filesystem::create_directories(root() + "/" + name);
    std::filesystem::copy_file(probe_path(), root() + "/probe");
    write_file(root() + "/etc/passwd", "root:x:0:0::/:/bin/sh\nada:x:1000:5::/:/bin/sh\n");
    write_file(root() + "/h/one", "content");
    std::filesystem::create_hard_link(root() + "/h/one", root() + "/h/deep/two");
    std::filesystem::create_symlink("one", root() + "/h/link");
    std::filesystem::create_hard_link(root() + "/h/link", root() + "/h/deep/link");
    mkfifo((root() + "/h/fifo").c_str(), 0640);
    chmod(root().c_str(), 0755);
  }
  std::string root() const { return scratch_ / "root"; }
  void run_as_root(const std::string& script) const {
    write_file(scratch_ / "script", "set -e; cd " + root() + "; " + script);
    const Outcome made = shell("bash " + (scratch_ / "script"));
    ASSERT_EQ(made.status, 0) << made.err;
  }
  Outcome in_a_sandbox(const std::string& arguments) const {
    return shell("COVE_ROOT=" + store() + " " + command_path() + " run --best-effort " + arguments);
  }
  std::string tree_in_a_sandbox(const std::string& image) const {
    const Outcome seen = in_a_sandbox("--read-only --user root --cap-add DAC_OVERRIDE " + image +
                                      " -- /probe tree / " + kOurs);
    EXPECT_EQ(seen.status, 0) << seen.err;
    return seen.out;
  }
  json configuration_of(const std::string& image) const {
    const json manifest = json::parse(blob(found(image).digest));
    return json::parse(blob(manifest["config"]["digest"]));
  }
  std::string blob(const std::string& digest) const {
    return read_file(store() + "/blobs/sha256/" + digest.substr(7));
  }
  std::string layer_digest(const std::string& image) const {
    return json::parse(blob(found(image).digest))["layers"][0]["digest"];
  }
};

TEST_F(Import, OfADirectoryIsSeenAsTarWritesIt) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for owners and attributes";
  ASSERT_NO_FATAL_FAILURE(run_as_root(
      "mkdir owned shut && touch owned/{0,4755,old,new,nobody} \"$(printf 'bytes\\xff\\nä')\" &&"
      "touch \"$(printf 'n%.0s' {1..255})\" && ln -s \"$(printf 't/%.0s' {1..300})end\" long &&"
      "chown 1000:5 owned owned/4755 && chmod 4755 owned/4755 && chmod 0 owned/0 shut &&"
      "chown 65533:65535 owned/nobody && chmod 2770 owned &&"
      "touch -d 1969-12-31T23:59:58Z owned/old && touch -d 2112-09-03T01:02:03.123456789Z "
      "owned/new &&"
      "truncate -s 8M hole && truncate -s 5M both && echo end >>both && echo begin >beginning &&"
      "truncate -s 3M beginning && ln both linked-hole && "
      "setfattr -n user.bytes -v 0x00ff0a3d20 h/one && setfattr -n user.d -v x owned &&"
      "setfattr -n security.gone -v x owned &&"
      "setfattr -n security.capability -v 0x0100000200240000000000000000000000000000 probe"));
  const Outcome packed = run("import " + root() + " --name packed");
  ASSERT_EQ(packed.status, 0) << packed.err;
  EXPECT_EQ(packed.err,
            "note: extended attributes other than user.* and security.capability left out: 1\n");
  const Outcome piped =
      shell("tar -C " + root() + " --xattrs --xattrs-include='user.*' " +
            "--xattrs-include=security.capability -c . | " + command("import - --name piped"));
  ASSERT_EQ(piped.status, 0) << piped.err;
  const std::string tree = tree_in_a_sandbox("packed");
  EXPECT_EQ(tree, tree_in_a_sandbox("piped"));
  EXPECT_EQ(tree, shell(probe_path() + " tree " + root() + " " + kOurs +
                        " | sed 's/ security.gone=[^ ]*//'")
                      .out);
  EXPECT_GT(std::count(tree.begin(), tree.end(), '\n'), 20);
}

TEST_F(Import, OfHolesTakesNoSpace) {
  ASSERT_NO_FATAL_FAILURE(run_as_root("truncate -s 256M hole && echo end >>hole"));
  ASSERT_EQ(run("import --name holes " + root()).status, 0);
  const std::string layer = found("holes").layers[0];
  struct stat status {};
  ASSERT_EQ(stat((layer + "/hole").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, (256 << 20) + 4);
  EXPECT_LT(status.st_blocks, 1024);
  EXPECT_LT(
      std::filesystem::file_size(store() + "/blobs/sha256/" + layer_digest("holes").substr(7)),
      4U << 20);
}

TEST_F(Import, ATarIsTheLayersBlobAsItIs) {
  const std::string plain = tar({directory("etc"), file("etc/passwd", "p"), file("bin/tool")});
  for (const Filter filter : {Filter::none, Filter::gzip, Filter::zstd}) {
    const std::string bytes = filter == Filter::none ? plain : compressed(plain, filter);
    ASSERT_EQ(run("import " + archive("root.tar", bytes) + " --name tar").status, 0);
    EXPECT_EQ(blob(layer_digest("tar")), bytes);
    EXPECT_EQ(found("tar").passwd, "p");
    EXPECT_EQ(configuration_of("tar")["rootfs"]["diff_ids"], json::array({sha256_of(plain)}));
  }
  EXPECT_EQ(count("layers"), 1U) << "all three are the same files";
  EXPECT_EQ(count("staging"), 0U);
}

TEST_F(Import, OfTheSameIsTheSameImage) {
  ASSERT_EQ(run("import --name first --env A=b " + root()).status, 0);
  ASSERT_EQ(shell("cp -a " + root() + " " + (scratch_ / "again")).status, 0);
  ASSERT_EQ(run("import --name second --env A=b " + (scratch_ / "again")).status, 0);
  EXPECT_EQ(found("first").digest, found("second").digest);
  ASSERT_EQ(run("import --name third --env A=c " + root()).status, 0);
  EXPECT_NE(found("first").digest, found("third").digest);
}

TEST_F(Import, TakesASettingForEachWordOfAConfiguration) {
  const Outcome imported =
      run("import " + root() +
          " team/app:v1 --cmd '[\"-x\", \"a b\"]' --entrypoint /probe -e A=1 -e B=2 "
          "--env A=3 --workdir /w --user ada:5 --label one=1 --label 'two= 2' --json");
  ASSERT_EQ(imported.status, 0) << imported.err;
  EXPECT_EQ(json::parse(imported.out)["names"], json::array({"team/app:v1"}));
  const ImageConfig config = found("team/app:v1").config;
  EXPECT_EQ(config.command, (std::vector<std::string>{"-x", "a b"}));
  EXPECT_EQ(config.entrypoint, (std::vector<std::string>{"/probe"}));
  EXPECT_EQ(config.env, (std::vector<std::string>{"A=3", "B=2"}));
  EXPECT_EQ(config.workdir, "/w");
  EXPECT_EQ(config.user, "ada:5");
  EXPECT_EQ(configuration_of("team/app:v1")["config"]["Labels"],
            (json{{"one", "1"}, {"two", " 2"}}));
}

TEST_F(Import, TakesDockersChanges) {
  const Outcome imported =
      run("import " + root() +
          " changed -c 'CMD echo \"a  b\"' -c 'entrypoint [\"/probe\"]' "
          "-c 'ENV A=1 B=\"2 3\"' -c 'ENV OLD form of it' -c 'EXPOSE 80 53/udp' -c 'VOLUME /data' "
          "-c 'WORKDIR /w' -c 'USER 7' -c 'LABEL k=v' -c 'STOPSIGNAL SIGINT'");
  ASSERT_EQ(imported.status, 0) << imported.err;
  EXPECT_EQ(configuration_of("changed")["config"],
            json::parse(R"({"Cmd": ["/bin/sh", "-c", "echo \"a  b\""], "Entrypoint": ["/probe"],
              "Env": ["A=1", "B=2 3", "OLD=form of it"], "Labels": {"k": "v"}, "User": "7",
              "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}},
              "WorkingDir": "/w", "StopSignal": "SIGINT"})"));
}

TEST_F(Import, TellsAllMistakesAtOnce) {
  const Outcome wrong =
      run("import " + root() +
          " --name 'A B' --cmd 'two words' --entrypoint '[1]' -e X -w rel "
          "-u '' --label =v -c 'FROM x' -c 'ENV A=$B' -c CMD -c 'EXPOSE http' -c 'ENV A=\"b'");
  EXPECT_EQ(wrong.status, 125);
  EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 12) << wrong.err;
  for (const char* said : {"two words: is neither one program nor a JSON list", "X: is not NAME=",
                           "rel: is no absolute path", "there is: CMD, ENTRYPOINT, ENV, EXPOSE",
                           "holds a variable", "http: is no port"})
    EXPECT_NE(wrong.err.find(said), std::string::npos) << said;
  EXPECT_FALSE(std::filesystem::exists(store()));
}

TEST_F(Import, RefusesWhatIsNoRootFilesystem) {
  write_file(scratch_ / "text", "text");
  write_file(scratch_ / "empty", "");
  archive("cut.tar.gz",
          compressed(tar({file("f", std::string(1 << 20, 'x'))}), Filter::gzip).substr(0, 500));
  archive("xz.tar",
          "\xFD"
          "7zXZ and more");
  archive("image.tar", demo().docker_archive() + "");
  demo().oci_directory(scratch_ / "layout");
  struct Case {
    const char* source;
    const char* said;
  };
  for (const Case& wrong :
       {Case{"text", "is not a tar archive"}, Case{"empty", "is empty"},
        Case{"cut.tar.gz", "the gzip data is truncated"},
        Case{"xz.tar", "xz -dc FILE | cove image import -"}, Case{"missing", "ENOENT"},
        Case{"layout", "is an image already"}, Case{".", "holds the image store"}}) {
    const Outcome outcome = run("import " + (scratch_ / wrong.source));
    EXPECT_EQ(outcome.status, 125) << wrong.source;
    EXPECT_NE(outcome.err.find(wrong.said), std::string::npos) << wrong.source << outcome.err;
    EXPECT_NE(outcome.err.find(std::string(wrong.source) == "." ? "" : wrong.source),
              std::string::npos)
        << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  const Outcome saved = shell("tar -C " + (scratch_ / "layout") + " -c . | " + command("import -"));
  EXPECT_NE(saved.err.find("is an image already"), std::string::npos) << saved.err;
  EXPECT_EQ(run("ls --json").out, "[]\n");
  EXPECT_EQ(count("staging"), 0U);
}

TEST_F(Import, KeepsToItsLimits) {
  write_file(root() + "/large", std::string(1 << 20, 'x'));
  EXPECT_NE(run("import --max-bytes 500000 " + root()).err.find("[limit-bytes]"),
            std::string::npos);
  EXPECT_NE(run("import --max-entries 5 " + root()).err.find("[limit-entries]"), std::string::npos);
  EXPECT_NE(run("import --max-path-depth 1 " + root()).err.find("[path-depth]"), std::string::npos);
  const Outcome endless = shell("(cat " + archive("a.tar", tar({file("f")})) +
                                "; cat /dev/zero) | " + command("import --max-bytes 5000000 -"));
  EXPECT_NE(endless.err.find("[limit-bytes]"), std::string::npos) << endless.err;
  EXPECT_EQ(count("staging"), 0U);
}

TEST_F(Import, LeavesOutSocketsMarksAndWhatIsMountedBelow) {
  const std::string path = root() + "/socket";
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{AF_UNIX, {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(listening);
  write_file(root() + "/h/.wh.one", "");
  const Outcome imported = run("import --name left " + root());
  ASSERT_EQ(imported.status, 0) << imported.err;
  EXPECT_NE(imported.err.find("note: sockets left out: 1"), std::string::npos) << imported.err;
  EXPECT_NE(imported.err.find("note: names that begin with .wh. left out"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(found("left").layers[0] + "/h/one"));
  EXPECT_FALSE(std::filesystem::exists(found("left").layers[0] + "/socket"));

  if (!has_cap_sys_admin()) GTEST_SKIP() << "needs CAP_SYS_ADMIN, for the mounts";
  ASSERT_NO_FATAL_FAILURE(
      run_as_root("mkdir mounted && touch mounted/below file && mknod null c 1 3"));
  const Outcome with_mounts =
      shell("unshare -m sh -c 'mount -t proc proc " + root() + "/proc && mount --bind /etc " +
            root() + "/mounted && mount --bind /etc/passwd " + root() + "/file && exec " +
            command("import --name mounts " + root()) + "'");
  ASSERT_EQ(with_mounts.status, 0) << with_mounts.err;
  EXPECT_NE(with_mounts.err.find("note: what is mounted below left out: 3"), std::string::npos)
      << with_mounts.err;
  EXPECT_NE(with_mounts.err.find("note: device nodes left out: 1"), std::string::npos);
  const std::string layer = found("mounts").layers[0];
  EXPECT_TRUE(std::filesystem::is_empty(layer + "/proc"));
  EXPECT_TRUE(std::filesystem::is_empty(layer + "/mounted"));
  EXPECT_FALSE(std::filesystem::exists(layer + "/file"));
}

// Somebody exchanges a directory and a file with links out of the tree, again and again, while it is
// read.
TEST_F(Import, NeverFollowsALinkThatTakesADirectorysPlace) {
  std::filesystem::create_directories(scratch_ / "victim");
  write_file(scratch_ / "victim/secret", "secret");
  for (int i = 0; i < 50; ++i) {
    const std::string name = root() + "/d" + std::to_string(i);
    std::filesystem::create_directory(name);
    write_file(name + "/ours", "ours");
    write_file(name + "f", "ours");
    std::filesystem::create_symlink(scratch_ / "victim", name + ".link");
    std::filesystem::create_symlink(scratch_ / "victim/secret", name + "f.link");
  }
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop) {
      for (int i = 0; i < 50; ++i) {
        for (const char* kind : {"", "f"}) {
          const std::string name = root() + "/d" + std::to_string(i) + kind;
          renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, (name + ".link").c_str(), RENAME_EXCHANGE);
        }
      }
    }
  });
  int refused = 0;
  for (int i = 0; i < 25; ++i) {
    const Outcome imported = run("import --name raced " + root());
    if (imported.status == 0) continue;
    ++refused;
    EXPECT_NE(imported.err.find("changed while it was read"), std::string::npos) << imported.err;
  }
  stop = true;
  attacker.join();
  EXPECT_GT(refused, 0) << "it was never met in the midst of it";
  const Outcome leaked = shell("grep -rl secret " + store() + "/layers");
  EXPECT_EQ(leaked.out, "");
}

TEST_F(Import, OfAFileThatGrowsIsRefused) {
  write_file(root() + "/log", std::string(64 << 20, 'x'));
  const Outcome imported =
      shell("(while :; do echo line >>" + root() + "/log; done) & writer=$!; sleep 0.1; " +
            command("import " + root()) + "; status=$?; kill $writer; exit $status");
  EXPECT_EQ(imported.status, 125);
  EXPECT_NE(imported.err.find("log: changed while it was read"), std::string::npos) << imported.err;
}

TEST_F(Import, TellsAllThatAUserMayNotRead) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  ASSERT_NO_FATAL_FAILURE(run_as_root("mkdir closed && touch secret && chmod 0 closed secret"));
  const std::string program = scratch_ / "cove-image";
  std::filesystem::copy_file(cove_image(), program);
  std::filesystem::create_directory(scratch_ / "home");
  ASSERT_EQ(chown((scratch_ / "home").c_str(), 12345, 12345), 0);
  chmod(scratch_.path().c_str(), 0755);
  const auto as_user = [&](const std::string& arguments) {
    return shell("setpriv --reuid 12345 --regid 12345 --clear-groups " + program + " --store " +
                 (scratch_ / "home/store") + " " + arguments);
  };
  const Outcome refused = as_user("import " + root());
  EXPECT_EQ(refused.status, 125);
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 2) << refused.err;
  EXPECT_NE(refused.err.find("closed: open: EACCES"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("secret: open: EACCES"), std::string::npos) << refused.err;
  ASSERT_NO_FATAL_FAILURE(run_as_root("chmod 755 closed && chmod 644 secret"));
  const Outcome imported = as_user("import --name mine " + root());
  EXPECT_EQ(imported.status, 0) << imported.err;
}

}  // namespace
}  // namespace cove::testing

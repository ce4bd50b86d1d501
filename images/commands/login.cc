// cove image login and logout: the same files and helpers as docker's, podman's and skopeo's.
#include "images/registry/login.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "images/commands/program.h"
#include "images/registry/reference.h"
#include "images/store/unpacker.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr std::size_t kLongestSecret = 64 * 1024;

struct LoginOptions {
  std::string registry, user;
  bool password_from_input = false;
  RegistrySettings registries;
  FetchSettings fetch;
};

Error login_error(std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "login";
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

// "https://index.docker.io/v1/", as Docker's documentation has it, means docker.io.
Result<std::string> registry_named(std::string text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) text.erase(0, scheme.size());
  }
  text.resize(std::min(text.find('/'), text.size()));
  if (text == "index.docker.io") text = "docker.io";
  if (is_registry_host(text)) return text;
  return fail(
      login_error("\"" + shown_name(text) + "\" is no registry", "write HOST or HOST:PORT"));
}

termios terminal_before;  // for a signal's handler

void restore_and_end(int signal) {
  tcsetattr(0, TCSAFLUSH, &terminal_before);
  raise(signal);  // its default action again
}

// A terminal that does not show what is typed, until its end, or that of the process by a signal.
class SilentTerminal {
 public:
  SilentTerminal() {
    if (tcgetattr(0, &terminal_before) != 0) return;
    struct sigaction action {};
    action.sa_handler = restore_and_end;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaction(signal, &action, nullptr);
    termios silent = terminal_before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(0, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (changed_) tcsetattr(0, TCSAFLUSH, &terminal_before);
    for (const int one : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) signal(one, SIG_DFL);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  bool changed_ = false;
};

Result<std::string> read_line(std::ostream& err, const char* prompt) {
  if (isatty(0)) err << prompt << std::flush;
  std::string line;
  if (!std::getline(std::cin, line))
    return fail(login_error("standard input ended", "type it, or see --password-stdin"));
  return line;
}

Result<std::string> read_password(std::ostream& err, bool from_input) {
  if (from_input) {
    std::string all(std::istreambuf_iterator<char>(std::cin), {});
    while (all.ends_with('\n') || all.ends_with('\r')) all.pop_back();
    return all;
  }
  if (!isatty(0))
    return fail(login_error("standard input is no terminal", "give --password-stdin"));
  const SilentTerminal silent;
  Result<std::string> password = read_line(err, "Password: ");
  err << '\n';
  return password;
}

Result<Login> ask_login(const LoginOptions& options, std::ostream& err) {
  Login login{options.user, "", ""};
  if (login.user.empty() && options.password_from_input)
    return fail(
        login_error("--password-stdin leaves no room to ask for the user", "give --username"));
  if (login.user.empty()) {
    Result<std::string> user = read_line(err, "Username: ");
    if (!user) return fail(user.error());
    login.user = std::move(*user);
  }
  Result<std::string> password = read_password(err, options.password_from_input);
  if (!password) return fail(password.error());
  login.password = std::move(*password);
  if (login.user.empty() || login.user.find(':') != std::string::npos)
    return fail(login_error("the user's name is empty or holds a ':'", ""));
  if (login.password.empty() || login.password.size() > kLongestSecret)
    return fail(login_error("the password is empty, or longer than 64 KiB", ""));
  return login;
}

Result<void> log_in(const LoginOptions& options, std::ostream& out, std::ostream& err) {
  const Result<std::string> registry = registry_named(options.registry);
  if (!registry) return fail(registry.error());
  Result<Endpoint> endpoint = endpoint_of(*registry, options.registries);
  if (!endpoint) return fail(endpoint.error());
  Result<Login> login = ask_login(options, err);
  if (!login) return fail(login.error());
  endpoint->login = *login;
  Result<Fetcher> fetcher =
      Fetcher::start({*endpoint}, options.fetch, make_unpack_namespace(StoreIds{}));
  if (!fetcher) return fail(fetcher.error());
  if (Result<void> checked = fetcher->check(); !checked) return checked;
  const LoginFiles& files = options.registries.logins;
  if (Result<void> kept = keep_login(files, *registry, *login); !kept) return kept;
  out << "Logged in to " << *registry << '\n';
  return {};
}

Result<void> log_out(const std::string& text, std::ostream& out) {
  const Result<std::string> registry = registry_named(text);
  if (!registry) return fail(registry.error());
  const Result<bool> forgotten = forget_login(login_files(), *registry);
  if (!forgotten) return fail(forgotten.error());
  out << (*forgotten ? "Logged out of " : "Not logged in to ") << *registry << '\n';
  return {};
}

}  // namespace

void add_login(Program& program) {
  CLI::App* command = program.app.add_subcommand("login", "Keep a login for a registry");
  auto options = std::make_shared<LoginOptions>();
  command->add_option("registry", options->registry, "HOST[:PORT] (default: docker.io)")
      ->default_str("docker.io");
  command->add_option("--username,-u", options->user, "The user (default: asked for)");
  command->add_flag("--password-stdin", options->password_from_input,
                    "Read the password from standard input");
  add_registry_options(*command, options->registries, options->fetch);
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      if (options->registry.empty()) options->registry = "docker.io";
      return log_in(*options, program.out, program.err);
    };
  });
}

void add_logout(Program& program) {
  CLI::App* command = program.app.add_subcommand("logout", "Forget the login for a registry");
  auto registry = std::make_shared<std::string>("docker.io");
  command->add_option("registry", *registry, "HOST[:PORT] (default: docker.io)");
  command->callback([&program, registry] {
    program.chosen = [&program, registry] { return log_out(*registry, program.out); };
  });
}

}  // namespace cove

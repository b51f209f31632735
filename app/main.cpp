#include <algorithm>
#include <iostream>
#include <sstream>

#include "app/commands.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

std::string shell_line(int argc, const char* const* argv) {
  std::string line = "elbo";
  const std::string plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
      line += " " + word;
      continue;
    }
    line += " '";
    for (char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += "'";
  }
  return line;
}

/// What the arguments ask for.  Errors: UsageError.
Run parse_command(int argc, const char* const* argv) {
  CLI::App app{"Elbo trains autoencoders and variational autoencoders.", "elbo"};
  app.set_version_flag("--version", std::string("elbo ") + version);
  app.require_subcommand(1);
  app.get_formatter()->column_width(26);
  app.footer(
      "Losses are in nats per datum, summed over features. elbo COMMAND --help says more.\n"
      "Exit codes: 0 done, 1 run-time error, 2 wrong usage, 130/143 interrupted.");
  Run chosen;
  add_train(app, chosen, shell_line(argc, argv));
  for (const auto add : {add_sweep,   add_evaluate, add_encode,      add_decode,    add_reconstruct,
                         add_restore, add_impute,   add_sample,      add_translate, add_inspect,
                         add_compare, add_traverse, add_interpolate, add_map,       add_score,
                         add_replay,  add_export,   add_info,        add_certify,   add_bench})
    add(app, chosen);
  try {
    if (argc < 2) throw UsageError("a command is missing; elbo --help names them");
    const auto commands = app.get_subcommands({});
    const auto named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
    if (argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), named))
      throw UsageError("there is no such command; elbo --help names them");
    app.parse(argc, argv);
    return chosen;
  } catch (const CLI::Success& success) {
    std::ostringstream out, errors;
    app.exit(success, out, errors);
    return [text = out.str()] { return std::cout << text, 0; };
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
}

int complain(const std::string& command, std::string what, int code) {
  std::replace(what.begin(), what.end(), '\n', ' ');
  std::cerr << "elbo: " << command << what << '\n';
  return code;
}

int main(int argc, char** argv) {
  const bool named = argc > 1 && argv[1][0] != '-';
  const std::string command = named ? std::string(argv[1]) + ": " : "";
  try {
    const int code = parse_command(argc, argv)();
    std::cout.flush();
    require(std::cout.good(), "standard output cannot be written");
    return code;
  } catch (const UsageError& error) {
    return complain(command, error.what(), 2);
  } catch (const std::bad_alloc&) {
    return complain(command, "there is not enough memory", 1);
  } catch (const std::exception& error) {
    return complain(command, error.what(), 1);
  }
}

}  // namespace
}  // namespace elbo

int main(int argc, char** argv) { return elbo::main(argc, argv); }

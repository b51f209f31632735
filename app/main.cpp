#include <algorithm>
#include <iostream>

#include "app/options.h"

namespace elbo {

int run(const Text& text) {
  std::cout << text.text;
  return 0;
}

namespace {

int complain(const std::string& command, std::string what, int code) {
  std::replace(what.begin(), what.end(), '\n', ' ');
  std::cerr << "elbo: " << command << what << '\n';
  return code;
}

int main(int argc, char** argv) {
  const bool named = argc > 1 && argv[1][0] != '-';
  const std::string command = named ? std::string(argv[1]) + ": " : "";
  try {
    const Command parsed = parse_command(argc, argv);
    const int code = std::visit([](const auto& c) { return run(c); }, parsed);
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

#pragma once
#include "app/command_line.h"

namespace elbo {

// Each adds its command to the app; `chosen` becomes what runs it, if it is the one that is given.

/// line: the whole command as it was typed, for the report.
void add_train(CLI::App&, Run& chosen, const std::string& line);
void add_sweep(CLI::App&, Run& chosen);
void add_evaluate(CLI::App&, Run& chosen);
void add_encode(CLI::App&, Run& chosen);
void add_decode(CLI::App&, Run& chosen);
void add_reconstruct(CLI::App&, Run& chosen);
void add_restore(CLI::App&, Run& chosen);
void add_impute(CLI::App&, Run& chosen);
void add_sample(CLI::App&, Run& chosen);
void add_inspect(CLI::App&, Run& chosen);
void add_compare(CLI::App&, Run& chosen);
void add_traverse(CLI::App&, Run& chosen);
void add_interpolate(CLI::App&, Run& chosen);
void add_map(CLI::App&, Run& chosen);
void add_score(CLI::App&, Run& chosen);
void add_translate(CLI::App&, Run& chosen);
void add_replay(CLI::App&, Run& chosen);
void add_export(CLI::App&, Run& chosen);
void add_info(CLI::App&, Run& chosen);
void add_certify(CLI::App&, Run& chosen);
void add_bench(CLI::App&, Run& chosen);

}  // namespace elbo

#include <filesystem>

#include "app/commands.h"
#include "data/atomic_file.h"
#include "models/export.h"
#include "models/run_directory.h"

namespace elbo {

namespace {

struct ExportCommand {
  std::string run, onnx;
};

int run(const ExportCommand& c) {
  const OnnxFiles files = to_onnx(RunDirectory(c.run).load_model(Device::cpu()));
  std::error_code status;
  std::filesystem::create_directories(c.onnx, status);
  require(!status, c.onnx, ": cannot be made: ", status.message());
  const std::filesystem::path folder(c.onnx);
  write_file((folder / "encoder.onnx").string(), files.encoder);
  write_file((folder / "decoder.onnx").string(), files.decoder);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Run& chosen) {
  const auto c = std::make_shared<ExportCommand>();
  CLI::App* const on = add_command(app, chosen, "export", "a model for other runtimes", c);
  on->add_option("run", c->run, "run folder")->required();
  on->add_option("--onnx", c->onnx, "folder for encoder.onnx and decoder.onnx")->required();
}

}  // namespace elbo

#include "app/options.h"
#include "data/npy.h"
#include "models/evaluation.h"
#include "models/run_directory.h"

namespace elbo {

int run(const EncodeCommand& c) {
  const RunDirectory folder(c.run);
  const Device device = device_named(c.device, folder);
  const Model model = folder.load_model(device);
  require(c.what == "mean" || model.variational(), "--what ", c.what,
          ": an autoencoder has no posterior, only mean");
  const Dataset data = model.taken(read_dataset(c.data));
  Batches batches(device, data, 0);
  const Encoded latents = encode(model, batches, c.seed);
  const std::vector<float>& chosen = c.what == "mean"     ? latents.mean
                                     : c.what == "logvar" ? latents.log_variance
                                                          : latents.sample;
  write_npy(c.out, data.rows, latents.units, chosen.data());
  return 0;
}

}  // namespace elbo

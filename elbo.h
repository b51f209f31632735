#pragma once

// Elbo for its users: data, models, what is asked of trained ones, and the functions on tensors of
// which a model of one's own is made.  Whatever this header reaches is installed as <elbo/...>; the
// rest is the library's own business.

#include "elbo/version.h"

#include "data/dataset.h"
#include "data/npy.h"
#include "data/png.h"
#include "models/evaluation.h"
#include "models/export.h"
#include "models/frechet.h"
#include "models/gaussian_mixture.h"
#include "models/imputation.h"
#include "models/information.h"
#include "models/iwae.h"
#include "models/model.h"
#include "models/pca.h"
#include "models/run_directory.h"
#include "models/scores.h"
#include "models/trainer.h"
#include "nn/batches.h"
#include "nn/functions.h"
#include "nn/layers.h"
#include "nn/optimizer.h"
#include "nn/safetensors.h"
#include "runtime/outcomes.h"
#include "runtime/step.h"

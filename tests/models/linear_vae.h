#pragma once
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "models/model.h"
#include "models/trainer.h"

namespace elbo {

inline Eigen::MatrixXd numbers(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters())
    if (p.name == name) {
      const std::vector<Real> values = p.tensor.read();
      Eigen::MatrixXd m(p.tensor.rows(), p.tensor.columns());
      for (int r = 0; r < m.rows(); ++r)
        for (int c = 0; c < m.cols(); ++c) m(r, c) = values[std::size_t(r) * m.cols() + c];
      return m;
    }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

/// The variance of a Gaussian whose logarithm the model keeps.
inline double learnt_variance(const Model& model) {
  return Gaussian{}.variance(numbers(model, "log_variance")(0, 0));
}

/// The terms of a linear VAE's ELBO, exactly: the expectation over q of a quadratic is known.
///
///     log-likelihood = -½ C log 2πv - (‖x - Wμ - c‖² + Σ_d e^{s_d} ‖W_d‖²)/2v
inline Means exact_terms(const Model& model, const Dataset& data, double v) {
  const Eigen::MatrixXd ew = numbers(model, "encoder.layers.0.weight"),
                        eb = numbers(model, "encoder.layers.0.bias"),
                        dw = numbers(model, "decoder.layers.0.weight"),
                        db = numbers(model, "decoder.layers.0.bias");
  const Eigen::VectorXd lengths = dw.colwise().squaredNorm();
  const long k = dw.cols(), part = 1000;
  double log_likelihood = 0, kl = 0;
  for (long first = 0; first < data.rows; first += part) {
    const long n = std::min(part, data.rows - first);
    Eigen::MatrixXd x(n, data.columns);
    for (long r = 0; r < n; ++r)
      for (int c = 0; c < data.columns; ++c) x(r, c) = data.value(first + r, c);
    const Eigen::MatrixXd q = (x * ew.transpose()).rowwise() + eb.row(0);
    const Eigen::MatrixXd mu = q(Eigen::all, Eigen::seqN(0, k, 2)),
                          s = q(Eigen::all, Eigen::seqN(1, k, 2));
    const Eigen::MatrixXd spread = s.array().exp();
    const double squares = (x - ((mu * dw.transpose()).rowwise() + db.row(0))).squaredNorm() +
                           (spread * lengths).sum();
    log_likelihood -= double(n) * data.columns / 2 * std::log(2 * std::numbers::pi * v);
    log_likelihood -= squares / (2 * v);
    kl += (mu.array().square() + spread.array() - 1 - s.array()).sum() / 2;
  }
  const double rows = double(data.rows);
  return {.elbo = (log_likelihood - kl) / rows,
          .log_likelihood = log_likelihood / rows,
          .kl = kl / rows,
          .count = data.rows};
}

}  // namespace elbo

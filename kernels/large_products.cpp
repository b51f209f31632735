#include "kernels/large_products.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace elbo {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* names[] = {"a bT", "a b", "aT b"};  // in the order of Form

LargeProducts::Form form_named(const std::string& name) {
  for (int i = 0; i < 3; ++i)
    if (name == names[i]) return LargeProducts::Form(i);
  throw std::runtime_error("'" + name + "' is no form of product");
}

}  // namespace

const ProductChoices::Algorithm* ProductChoices::find(const Key& key) const {
  const auto found = all_.find(key);
  return found == all_.end() ? nullptr : &found->second;
}

const ProductChoices::Algorithm& ProductChoices::set(const Key& key, const Algorithm& algorithm) {
  return all_[key] = algorithm;
}

std::string ProductChoices::text() const {
  Json products = Json::array();
  for (const auto& [key, algorithm] : all_)
    products.push_back({{"form", names[int(key.form)]},
                        {"sizes", {key.m, key.n, key.k}},
                        {"strides", {key.a_stride, key.b_stride, key.c_stride}},
                        {"algorithm", algorithm}});
  return Json{{"made_by", made_by_}, {"products", products}}.dump();
}

std::string ProductChoices::take(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    const std::string before = json.at("made_by");
    if (before != made_by_)
      return "large products were multiplied by " + before + ", now by " + made_by_ +
             ": their sums are rounded in another order";
    std::map<Key, Algorithm> taken;
    for (const Json& product : json.at("products")) {
      const std::array<int, 3> sizes = product.at("sizes"), strides = product.at("strides");
      taken[{form_named(product.at("form")), sizes[0], sizes[1], sizes[2], strides[0], strides[1],
             strides[2]}] = product.at("algorithm").get<Algorithm>();
    }
    all_.insert(taken.begin(), taken.end());
    return "";
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("not a choice of algorithms for products: ") +
                             error.what());
  }
}

}  // namespace elbo

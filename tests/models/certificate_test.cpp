// The certificate that `elbo certify` prints: it holds on every device, and a check holds only
// within its tolerance.
#include "models/certificate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

namespace elbo {
namespace {

TEST(Check, passes_within_its_tolerance_and_at_its_edge_and_not_beyond) {
  EXPECT_TRUE((Check{"", "", 2, 2, 0}.passed()));
  EXPECT_TRUE((Check{"", "", 2, 2.25, 0.25}.passed()));
  EXPECT_TRUE((Check{"", "", 2, 1.75, 0.25}.passed()));
  EXPECT_FALSE((Check{"", "", 2, 2.26, 0.25}.passed()));
  EXPECT_FALSE((Check{"", "", 2, 1.74, 0.25}.passed()));
  EXPECT_FALSE((Check{"", "", 2, std::nextafter(2.0, 3.0), 0}.passed()));
}

TEST(Check, does_not_pass_where_a_number_is_missing) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE((Check{"", "", 2, nan, 1}.passed()));
  EXPECT_FALSE((Check{"", "", nan, 2, 1}.passed()));
  EXPECT_FALSE((Check{"", "", 2, 2, nan}.passed()));
  EXPECT_FALSE((Check{"", "", 2, std::numeric_limits<double>::infinity(), 1}.passed()));
}

std::vector<Device> devices() {
  std::vector<Device> all{Device::cpu(), Device::simt()};
  if (cuda_devices() > 0) all.push_back(Device::cuda(0, Precision::fp32));
  return all;
}

TEST(Certificate, holds_on_every_device_and_tells_each_check_once_as_it_is_made) {
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name());
    std::vector<std::string> told;
    std::set<std::string> claims;
    const CertifyOptions options{.draws = device.name() == "simt" ? 1.0 / 16 : 1};
    const std::vector<Check> checks =
        certify(device, options, [&](const Check& c) { told.push_back(c.group + c.claim); });
    ASSERT_EQ(checks.size(), told.size());
    for (std::size_t i = 0; i < checks.size(); ++i) {
      const Check& c = checks[i];
      EXPECT_TRUE(c.passed()) << c.claim << ": expected " << c.expected << ", got " << c.got
                              << ", within " << c.tolerance;
      EXPECT_EQ(c.group + c.claim, told[i]);
      EXPECT_TRUE(claims.insert(told[i]).second) << "twice: " << c.claim;
      // A wider tolerance would let anything pass.
      EXPECT_LE(c.tolerance, 0.1 * std::max(1.0, std::abs(c.expected))) << c.claim;
    }
    EXPECT_GT(checks.size(), 100u);
  }
}

}  // namespace
}  // namespace elbo

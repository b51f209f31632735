#pragma once

namespace elbo {

/// The parts of report.html that are the same in every run.
extern const char* const report_style;
/// Draws the charts from `run`, the data that the page holds.
extern const char* const report_script;

}  // namespace elbo

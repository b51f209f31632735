#pragma once

namespace elbo {

/// The parts of report.html that are the same in every run.
extern const char* const report_style;
/// How Chart.js draws, in the page's colours; `blue` and `orange` for scripts that follow.
extern const char* const report_colours;
/// Draws the charts from `run`, the data that the page holds; after the colours.
extern const char* const report_script;

}  // namespace elbo

#pragma once

namespace elbo {

/// From here on the first Ctrl-C or SIGTERM only leaves a note; a second one ends the process.
void catch_interrupts();

/// The signal that came, or 0.
int interrupted();

}  // namespace elbo

#pragma once

namespace elbo {

/// Gives SIGINT and SIGTERM a thread of their own.  To be called before any thread is started; a
/// second call does nothing.
///
/// A handler would run on the stack of whatever thread the signal meets, and oneDNN's products use
/// the stack pointer for their own purposes: the handler's frame then lands in the heap.
void watch_for_interrupts();

/// From here on the first Ctrl-C or SIGTERM only leaves a note; a second one ends the process.
void catch_interrupts();

/// The signal that came, or 0.
int interrupted();

}  // namespace elbo

#pragma once
#include <memory>
#include <string>

#include "runtime/group.h"

namespace elbo {

/// Sums by the GPUs themselves; or none, and why, which is empty where no process has a GPU.
struct DeviceSums {
  std::unique_ptr<GroupSums> sums;
  std::string why_not;
};

/// By NCCL, of what lies on GPUs of which each process has one of its own.  All processes of the
/// group call it, and all get sums or none does.
///
/// `gpu` is what no other GPU is called, at most 64 bytes; empty: this process has none.  The sums
/// are enqueued on the stream (a cudaStream_t), on the GPU that is current at the call.  The
/// library is opened and not linked.  Errors of the sums: `elbo::Error` with NCCL's words.
DeviceSums sums_by_nccl(Group&, const std::string& gpu, void* stream,
                        const std::string& library = "libnccl.so.2");

}  // namespace elbo

#pragma once
#include <future>
#include <optional>
#include <vector>

#include "nn/device_rows.h"

namespace elbo {

/// A data set that is larger than the memory it may take, as it passes through that memory.
///
/// The data are cut into blocks of 2^k consecutive rows, as many of which as fit form a chunk.  Two
/// chunks are in memory: while batches take data from one, a thread fills the place of the other.
/// Source::blocks says where a block lies, so that a batch may take from both.
class Chunks {
 public:
  /// `data` must outlive this.  Errors: `memory` bytes are too few for eight data.
  Chunks(const Device&, const Dataset& data, const RowFormat&, std::size_t memory);
  ~Chunks();

  const Source& source() const { return source_; }
  /// The least rows of a chunk other than the last: no batch may be larger.
  long least() const { return (per_chunk_ - 1) * block_ + 1; }

  /// The data in an order of their blocks that the keys (of level 1) give, and in each chunk sorted
  /// by their own keys (of level 0).  Nothing of the order before is needed any more.
  void shuffle(std::uint32_t* order, std::uint64_t seed, std::uint32_t epoch);
  void in_order(std::uint32_t* order);

  /// Sees to it that the data at the places first ... first + count - 1 of the order are in memory
  /// for what is enqueued next, and that those behind them come.  How many are, from `first` on.
  long provide(long first, long count);

 private:
  long rows_of(std::uint32_t block) const;
  std::uint64_t listed_in(std::uint32_t block) const;
  std::uint64_t most_listed(long blocks) const;
  long chunks() const { return long(chunk_starts_.size()) - 1; }
  void begin(std::vector<std::uint32_t> blocks);
  void load(long chunk);
  void finish_loading();

  Device device_;
  const Dataset& data_;
  RowFormat format_;
  int shift_ = 0;
  long block_ = 1, blocks_ = 0, per_chunk_ = 0;
  long room_ = 0;                     // rows of a half of the memory
  std::uint64_t listed_ = 0;          // room of a chunk for what its rows list
  std::vector<std::uint32_t> taken_;  // the blocks in the order of the epoch
  std::vector<long> chunk_starts_;    // places in the order, and the number of rows
  std::optional<DeviceArray<std::uint32_t>> places_;
  std::unique_ptr<DeviceRows> memory_;
  Source source_;
  std::array<long, 2> there_{-1, -1};  // which chunk a half of the memory holds
  long loading_ = -1;
  std::future<void> loaded_;
};

}  // namespace elbo

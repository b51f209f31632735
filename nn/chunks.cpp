#include "nn/chunks.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "runtime/error.h"

namespace elbo {

Chunks::Chunks(const Device& device, const Dataset& data, const RowFormat& format,
               std::size_t memory)
    : device_(device), data_(data), format_(format) {
  constexpr long largest_block = 65536;
  const double half = double(memory) / 2,
               all = format.bytes(double(data.rows), double(data.indices.size()));
  const long fit = std::min(long(half / all * double(data.rows)), data.rows);
  // Few lists may take most of the memory: smaller blocks, until two of the largest fit.
  block_ = std::min(largest_block, long(std::bit_floor(std::uint64_t(std::max(fit / 4, 1L)))));
  const auto fits = [&] {
    return format.bytes(double(per_chunk_ * block_), double(most_listed(per_chunk_))) <= half;
  };
  for (;; block_ /= 2) {
    require(block_ > 0, data.source, ": data of ", all / double(data.rows),
            " bytes on average cannot be streamed through ", memory, " bytes");
    blocks_ = (data.rows + block_ - 1) / block_;
    per_chunk_ = std::max(2L, fit / block_);
    while (per_chunk_ > 2 && !fits()) --per_chunk_;
    if (fits()) break;
  }
  shift_ = std::countr_zero(std::uint64_t(block_));
  listed_ = most_listed(per_chunk_);
  room_ = per_chunk_ * block_ + format.sparse;  // the last row's list has an end
  memory_ = std::make_unique<DeviceRows>(device, data, format, 2 * room_, 2 * listed_);
  places_.emplace(device, std::size_t(blocks_));
  source_ = memory_->source();
  source_.blocks = places_->data(), source_.block_shift = shift_;
}

Chunks::~Chunks() {
  if (loaded_.valid()) loaded_.wait();
}

long Chunks::rows_of(std::uint32_t block) const {
  return std::min(block_, data_.rows - long(block) * block_);
}

std::uint64_t Chunks::listed_in(std::uint32_t block) const {
  if (!format_.sparse) return 0;
  const long first = long(block) * block_;
  return data_.starts[first + rows_of(block)] - data_.starts[first];
}

/// By that many blocks, whichever they are.
std::uint64_t Chunks::most_listed(long blocks) const {
  std::vector<std::uint64_t> listed(std::size_t(blocks_), 0);
  for (std::uint32_t b = 0; b < listed.size(); ++b) listed[b] = listed_in(b);
  const long most = std::min(blocks, blocks_);
  std::partial_sort(listed.begin(), listed.begin() + most, listed.end(), std::greater<>());
  return std::accumulate(listed.begin(), listed.begin() + most, std::uint64_t(0));
}

void Chunks::begin(std::vector<std::uint32_t> blocks) {
  finish_loading();
  there_ = {-1, -1};
  taken_ = std::move(blocks);
  chunk_starts_.assign(1, 0);
  std::vector<std::uint32_t> places(taken_.size());
  for (long first = 0; first < blocks_; first += per_chunk_) {
    const long end = std::min(first + per_chunk_, blocks_), chunk = first / per_chunk_;
    // Ties of keys are in the data's own order.
    std::sort(taken_.begin() + first, taken_.begin() + end);
    long row = chunk % 2 * room_, rows = chunk_starts_.back();
    for (long i = first; i < end; ++i) {
      places[taken_[i]] = std::uint32_t(row);
      row += rows_of(taken_[i]), rows += rows_of(taken_[i]);
    }
    chunk_starts_.push_back(rows);
  }
  places_->write(places.data(), places.size());
}

void Chunks::shuffle(std::uint32_t* order, std::uint64_t seed, std::uint32_t epoch) {
  std::vector<std::uint32_t> blocks(std::size_t(blocks_), 0);
  std::iota(blocks.begin(), blocks.end(), 0u);
  const ShuffleKey by_block{seed, epoch, 1}, by_datum{seed, epoch};
  std::stable_sort(blocks.begin(), blocks.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return by_block(a) < by_block(b); });
  begin(std::move(blocks));
  std::uint32_t* to = order;
  for (const std::uint32_t block : taken_) {
    device_.backend().count_up(to, block << shift_, std::uint32_t(rows_of(block)));
    to += rows_of(block);
  }
  for (long c = 0; c < chunks(); ++c)
    device_.backend().shuffle(order + chunk_starts_[c],
                              std::uint32_t(chunk_starts_[c + 1] - chunk_starts_[c]), by_datum);
}

void Chunks::in_order(std::uint32_t* order) {
  std::vector<std::uint32_t> blocks(std::size_t(blocks_), 0);
  std::iota(blocks.begin(), blocks.end(), 0u);
  begin(std::move(blocks));
  device_.backend().count_up(order, 0, std::uint32_t(data_.rows));
}

void Chunks::load(long chunk) {
  // What reads the chunk that was there is enqueued already.
  device_.backend().hold_aside();
  there_[chunk % 2] = -1;
  loading_ = chunk;
  loaded_ = std::async(std::launch::async, [this, chunk] {
    const long end = std::min((chunk + 1) * per_chunk_, blocks_);
    long row = chunk % 2 * room_;
    std::uint64_t entry = std::uint64_t(chunk % 2) * listed_;
    for (long i = chunk * per_chunk_; i < end; ++i) {
      const std::uint32_t block = taken_[i];
      memory_->put(data_, long(block) * block_, rows_of(block), row, entry);
      row += rows_of(block), entry += listed_in(block);
    }
    memory_->wait();
  });
}

void Chunks::finish_loading() {
  if (loading_ < 0) return;
  const long chunk = std::exchange(loading_, -1);
  loaded_.get();
  there_[chunk % 2] = chunk;
}

long Chunks::provide(long first, long count) {
  const auto chunk_of = [this](long place) {
    return std::upper_bound(chunk_starts_.begin(), chunk_starts_.end(), place) -
           chunk_starts_.begin() - 1;
  };
  const long from = chunk_of(first), to = chunk_of(first + count - 1);
  for (long chunk = from; chunk <= to; ++chunk) {
    if (there_[chunk % 2] == chunk) continue;
    if (loading_ != chunk) finish_loading(), load(chunk);
    finish_loading();
  }
  const long next = to + 1;
  if (from == to && next < chunks() && there_[next % 2] != next && loading_ != next) {
    finish_loading();
    load(next);
  }
  return chunk_starts_[to + 1] - first;
}

}  // namespace elbo

#include "data/fasta.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <string_view>

#include "data/atomic_file.h"
#include "data/lines.h"
#include "data/lists.h"
#include "runtime/error.h"

namespace elbo {
namespace {

struct Record {
  std::string name, letters;
  std::vector<std::pair<std::size_t, long>> lines;  // the letter that each line begins with

  long line_of(std::size_t letter) const {
    const auto after =
        std::upper_bound(lines.begin(), lines.end(), letter,
                         [](std::size_t at, const auto& line) { return at < line.first; });
    return (after - 1)->second;
  }
};

std::vector<Record> records_of(const std::string& source, std::string_view text) {
  std::vector<Record> records;
  Lines lines(text);
  long last = 0;  // the line of the last record's name
  const auto require_letters = [&] {
    require(records.empty() || !records.back().letters.empty(), source, ":", last, ": record ",
            quoted(records.empty() ? "" : records.back().name), " has no letters");
  };
  while (const auto line = lines.next()) {
    std::string_view rest = line->text;
    if (rest.starts_with('>')) {
      require_letters();
      rest.remove_prefix(1);
      records.push_back({std::string(rest.substr(0, rest.find_first_of(" \t"))), {}, {}});
      last = line->number;
      continue;
    }
    require(!records.empty(), source, ":", line->number, ": ", quoted(rest),
            " stands before the first record, expected >NAME");
    Record& record = records.back();
    record.lines.emplace_back(record.letters.size(), line->number);
    for (const unsigned char c : rest)
      if (c != ' ' && c != '\t') record.letters += char(std::toupper(c));
  }
  require(!records.empty(), source, ": holds blank lines only, expected >NAME");
  require_letters();
  return records;
}

/// The class of each letter: from 0, `missing`, or `none`.
class Classes {
 public:
  static constexpr int none = -1, missing = -2;

  explicit Classes(std::string_view alphabet) {
    class_.fill(none);
    for (const unsigned char c : {'N', 'X'}) class_[c] = missing;
    for (std::size_t i = 0; i < alphabet.size(); ++i) class_[std::uint8_t(alphabet[i])] = int(i);
  }
  int of(char letter) const { return class_[std::uint8_t(letter)]; }

 private:
  std::array<int, 256> class_;
};

std::string alphabet_of(const std::string& source, const std::vector<Record>& records,
                        const Options& options) {
  if (auto given = options.get("alphabet")) {
    std::string seen;
    for (char& c : *given) {
      c = char(std::toupper(std::uint8_t(c)));
      require(std::isgraph(std::uint8_t(c)) && c != '>' && seen.find(c) == seen.npos, source,
              ": alphabet=", *given, ", expected letters that differ");
      seen += c;
    }
    require(seen.size() >= 2, source, ": alphabet=", *given, ", expected at least two letters");
    return *given;
  }
  std::array<bool, 256> used{};
  for (const Record& record : records)
    for (const char c : record.letters) used[std::uint8_t(c)] = true;
  const std::string amino_acids = "ACDEFGHIKLMNPQRSTVWY";
  for (const std::string& alphabet : {std::string("ACGT"), std::string("ACGU"), amino_acids}) {
    const Classes classes(alphabet);
    bool all = true;
    for (int c = 0; c < 256; ++c) all = all && (!used[c] || classes.of(char(c)) != Classes::none);
    if (all) return alphabet;
  }
  return amino_acids;  // and the first letter that is not one is the error
}

}  // namespace

Dataset parse_fasta(const std::string& source, Bytes content, const Options& options) {
  options.require_known({"alphabet", "length"});
  const std::vector<Record> records =
      records_of(source, {reinterpret_cast<const char*>(content.data()), content.size()});
  content = {};
  Dataset data;
  data.source = source;
  data.alphabet = alphabet_of(source, records, options);
  const bool any_length = options.get("length").has_value();
  const long length = options.whole("length", 1, long(records[0].letters.size()));
  require(length <= std::numeric_limits<int>::max(), source, ": length ", length,
          ", at most 2^31 - 1 are handled");
  // ?length=N may ask for any size.
  require_memory(source, long(records.size()), length,
                 double(records.size()) * double(length) * sizeof(float));
  const Classes classes(data.alphabet);
  data.rows = long(records.size());
  data.columns = int(length);
  bool whole = true;
  for (const Record& record : records) {
    require(any_length || long(record.letters.size()) == length, source, ":",
            record.lines[0].second, ": record ", quoted(record.name), " has ",
            record.letters.size(), " letters, expected ", length,
            " as the first (or ?length=N, which cuts and fills up)");
    const std::size_t kept = std::min(record.letters.size(), std::size_t(length));
    for (std::size_t i = 0; i < kept; ++i) {
      const int c = classes.of(record.letters[i]);
      if (c == Classes::none)
        fail(source, ":", record.line_of(i), ": letter ", quoted(record.letters.substr(i, 1), '\''),
             " is not of the alphabet ", data.alphabet);
      whole = whole && c != Classes::missing;
    }
    whole = whole && kept == std::size_t(length);
    data.row_names.push_back(record.name);
  }
  data.type = whole ? Dataset::Type::u8 : Dataset::Type::f32;
  for (const Record& record : records)
    for (std::size_t i = 0; i < std::size_t(length); ++i) {
      const int c = i < record.letters.size() ? classes.of(record.letters[i]) : Classes::missing;
      if (whole) data.bytes.push_back(std::uint8_t(c));
      else data.floats.push_back(c >= 0 ? float(c) : std::numeric_limits<float>::quiet_NaN());
    }
  return data;
}

void write_fasta(const std::string& path, const std::vector<std::string>& names,
                 const std::vector<float>& classes, const std::string& alphabet) {
  require(!names.empty() && classes.size() % names.size() == 0, path, ": ", classes.size(),
          " classes are no sequences of one length for ", names.size(), " names");
  const std::size_t length = classes.size() / names.size();
  const char missing = alphabet.size() > 5 ? 'X' : 'N';
  AtomicFile file(path);
  for (std::size_t r = 0; r < names.size(); ++r) {
    std::string record = '>' + names[r];
    for (std::size_t i = 0; i < length; ++i) {
      if (i % 80 == 0) record += '\n';
      const float c = classes[r * length + i];
      require(std::isnan(c) || (c >= 0 && c < float(alphabet.size()) && c == std::floor(c)), path,
              ": class ", c, " of sequence ", r + 1, ", expected whole numbers below ",
              alphabet.size());
      record += std::isnan(c) ? missing : alphabet[std::size_t(c)];
    }
    file.write(record + '\n');
  }
  file.commit();
}

}  // namespace elbo

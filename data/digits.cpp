#include "data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/counter_hash.h"
#include "runtime/error.h"

namespace elbo {
namespace {

// Only + - * / and sqrt, which every machine rounds alike: the same digits everywhere, as long as
// the compiler does not contract a * b + c (-ffp-contract=off where the target has fma).

constexpr int side = 28;

struct Point {
  float x = 0, y = 0;
};

/// A point the pen passes, x to the right and y down in the unit square.
struct Station {
  float x = 0, y = 0;
  bool corner = false;  // the pen turns here at once; elsewhere it curves
};
constexpr bool corner = true;

using Stroke = std::vector<Station>;
using Glyph = std::vector<Stroke>;  // one way to write a digit

// clang-format off
const std::array<std::vector<Glyph>, 10> alphabet{{
    {   // 0
        {{{.56, .01}, {.26, .13}, {.11, .50}, {.24, .86}, {.50, .99}, {.77, .84}, {.89, .48},
          {.77, .14}, {.52, .01}, {.40, .06}}},
        {{{.40, .05}, {.16, .30}, {.12, .68}, {.36, .98}, {.68, .92}, {.88, .60}, {.82, .22},
          {.56, .02}, {.34, .10}}},
        {{{.66, .10}, {.40, .02}, {.16, .26}, {.10, .60}, {.30, .95}, {.62, .96}, {.88, .66},
          {.86, .26}, {.62, .03}}},
    },
    {   // 1
        {{{.50, .00}, {.50, .50}, {.50, 1.0}}},
        {{{.52, .00}, {.49, .48}, {.50, 1.0}}},
        {{{.30, .24}, {.44, .12}, {.54, .00, corner}, {.53, .50}, {.52, 1.0}}},
        {{{.28, .20}, {.52, .00, corner}, {.52, .50}, {.52, 1.0}},
         {{.28, 1.0}, {.52, .99}, {.78, .99}}},
    },
    {   // 2
        {{{.15, .24}, {.32, .05}, {.60, .01}, {.81, .20}, {.70, .48}, {.40, .76},
          {.12, .98, corner}, {.48, .95}, {.90, .96}}},
        {{{.14, .20}, {.40, .00}, {.74, .10}, {.76, .36}, {.52, .66}, {.24, .92}, {.10, .90},
          {.20, .76}, {.46, .86}, {.70, .98}, {.92, .90}}},
        {{{.20, .10}, {.56, .02}, {.82, .22}, {.68, .54}, {.36, .82}, {.10, .97, corner},
          {.36, .90}, {.62, .98}, {.90, .94}}},
    },
    {   // 3
        {{{.17, .14}, {.44, .00}, {.76, .13}, {.70, .37}, {.40, .47, corner}, {.74, .57},
          {.86, .78}, {.56, .99}, {.15, .89}}},
        {{{.18, .10}, {.50, .00}, {.78, .16}, {.66, .40}, {.50, .47}, {.72, .54}, {.86, .76},
          {.60, .98}, {.30, 1.0}, {.12, .88}}},
        {{{.18, .03}, {.50, .03}, {.80, .03, corner}, {.62, .22}, {.42, .42, corner}, {.74, .50},
          {.86, .74}, {.58, .98}, {.14, .90}}},
    },
    {   // 4
        {{{.22, .04}, {.18, .32}, {.14, .57, corner}, {.48, .57}, {.86, .54}},
         {{.74, .04}, {.70, .50}, {.66, 1.0}}},
        {{{.20, .02}, {.13, .34}, {.24, .55}, {.50, .56}, {.76, .48}},
         {{.80, .00}, {.76, .50}, {.74, 1.0}}},
        {{{.64, .00}, {.36, .34}, {.08, .66, corner}, {.50, .66}, {.94, .64}},
         {{.66, .02}, {.65, .50}, {.64, 1.0}}},
    },
    {   // 5
        {{{.82, .03}, {.54, .03}, {.28, .05, corner}, {.25, .24}, {.22, .46, corner}, {.52, .37},
          {.83, .54}, {.80, .84}, {.48, 1.0}, {.14, .90}}},
        {{{.32, .05}, {.27, .26}, {.24, .46, corner}, {.56, .40}, {.82, .60}, {.74, .90},
          {.42, 1.0}, {.14, .92}},
         {{.30, .05}, {.58, .04}, {.88, .01}}},
        {{{.86, .02}, {.56, .00}, {.36, .08}, {.28, .28}, {.36, .42}, {.66, .50}, {.80, .72},
          {.62, .95}, {.36, 1.0}, {.12, .92}}},
    },
    {   // 6
        {{{.72, .01}, {.42, .18}, {.22, .50}, {.20, .82}, {.45, 1.0}, {.75, .89}, {.79, .64},
          {.54, .51}, {.24, .70}}},
        {{{.56, .00}, {.34, .28}, {.20, .60}, {.24, .88}, {.50, 1.0}, {.78, .84}, {.74, .60},
          {.48, .54}, {.22, .72}}},
        {{{.80, .06}, {.52, .06}, {.26, .34}, {.18, .72}, {.42, .99}, {.72, .92}, {.76, .70},
          {.56, .58}, {.28, .72}, {.24, .84}}},
    },
    {   // 7
        {{{.12, .08}, {.48, .05}, {.87, .04, corner}, {.64, .44}, {.44, 1.0}}},
        {{{.10, .18}, {.18, .05}, {.50, .06}, {.84, .05}, {.74, .34}, {.52, .66}, {.42, 1.0}}},
        {{{.12, .06}, {.48, .05}, {.88, .03, corner}, {.66, .44}, {.46, 1.0}},
         {{.34, .50}, {.56, .49}, {.80, .46}}},
    },
    {   // 8
        {{{.74, .12}, {.46, .00}, {.22, .17}, {.40, .41}, {.69, .60}, {.81, .81}, {.50, 1.0},
          {.20, .83}, {.33, .60}, {.62, .42}, {.79, .19}, {.66, .06}}},
        {{{.50, .46}, {.24, .30}, {.30, .06}, {.60, .01}, {.78, .20}, {.60, .42}, {.34, .58},
          {.16, .80}, {.44, 1.0}, {.78, .88}, {.74, .62}, {.48, .46}}},
        {{{.80, .08}, {.52, .02}, {.30, .16}, {.38, .38}, {.62, .56}, {.66, .82}, {.42, .98},
          {.22, .82}, {.38, .58}, {.68, .34}, {.84, .10}}},
    },
    {   // 9
        {{{.77, .20}, {.52, .01}, {.22, .18}, {.25, .44}, {.52, .50}, {.76, .24, corner},
          {.73, .60}, {.64, 1.0}}},
        {{{.74, .12}, {.46, .02}, {.20, .24}, {.32, .48}, {.62, .42}, {.78, .16}, {.80, .52},
          {.68, .86}, {.44, 1.0}, {.20, .94}}},
        {{{.70, .08}, {.38, .06}, {.20, .30}, {.40, .46}, {.70, .30}, {.78, .06, corner},
          {.74, .54}, {.70, 1.0}}},
    },
}};
// clang-format on

/// The random numbers of one datum, in the order in which they are asked for.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t index) : seed_(seed), index_(index) {}

  float uniform(float low, float high) { return low + (high - low) * fraction(); }
  /// Bell-shaped, mean 0, deviation 1, never beyond 3.5: a sum of four uniforms.
  float bell() {
    constexpr float three_over = 1.7320508f;
    return three_over * (fraction() + fraction() + fraction() + fraction() - 2);
  }
  std::size_t below(std::size_t count) { return std::size_t(fraction() * float(count)); }

 private:
  float fraction() { return float(counter_hash(seed_, index_, draw_++) >> 40) * 0x1p-24f; }

  std::uint64_t seed_, index_, draw_ = 0;
};

/// Where a hand puts the points of a glyph.
class Hand {
 public:
  explicit Hand(Dice& dice)
      : height_(std::clamp(18.8f + 1.1f * dice.bell(), 15.f, 21.5f)),
        width_(height_ * std::clamp(.70f + .13f * dice.bell(), .40f, 1.f)),
        slant_(.14f + .19f * dice.bell()),
        turn_(.09f * dice.bell()),
        bow_(.10f * dice.bell()),
        squeeze_(.12f * dice.bell()),
        waist_(.05f * dice.bell()) {}

  Point place(Point p) const {
    float x = p.x - .5f, y = p.y - .5f;
    x *= 1 + squeeze_ * 2 * y;           // wider above than below, or the reverse
    x += bow_ * (.25f - 4 * y * y / 4);  // the whole digit bends
    y += waist_ * (1 - 4 * y * y);       // upper and lower half share the height unevenly
    x *= width_, y *= height_;
    x -= slant_ * y;
    const float cosine = 1 / std::sqrt(1 + turn_ * turn_), sine = turn_ * cosine;
    return {cosine * x - sine * y, sine * x + cosine * y};
  }

 private:
  float height_, width_, slant_, turn_, bow_, squeeze_, waist_;
};

/// Catmull-Rom, at t in [0, 1] between b and c.
Point curve(Point a, Point b, Point c, Point d, float t) {
  const auto along = [t](float p, float q, float r, float s) {
    return q + .5f * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
  };
  return {along(a.x, b.x, c.x, d.x), along(a.y, b.y, c.y, d.y)};
}

/// The path of the pen through the stations of a stroke.
std::vector<Point> path_of(const Stroke& stroke, const Hand& hand, Dice& dice) {
  constexpr float unsteadiness = .028f;
  std::vector<Point> at;
  for (const Station& station : stroke)
    at.push_back(hand.place(
        {station.x + unsteadiness * dice.bell(), station.y + unsteadiness * dice.bell()}));
  std::vector<Point> path{at[0]};
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const bool begins = i == 0 || stroke[i].corner;
    const bool ends = i + 2 == at.size() || stroke[i + 1].corner;
    const Point before = begins ? at[i] : at[i - 1], after = ends ? at[i + 1] : at[i + 2];
    constexpr int steps = 5;
    for (int s = 1; s <= steps; ++s)
      path.push_back(curve(before, at[i], at[i + 1], after, float(s) / steps));
  }
  return path;
}

/// The ink of one digit: how far each pixel is covered, 0 to 1.
class Sheet {
 public:
  /// Covers what lies within `radius` of the segment, with an edge one `softness` wide.
  void draw(Point a, Point b, float radius_a, float radius_b, float softness) {
    const float reach = std::max(radius_a, radius_b) + softness;
    const float dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    const int left = first(std::min(a.x, b.x) - reach), right = last(std::max(a.x, b.x) + reach);
    const int top = first(std::min(a.y, b.y) - reach), bottom = last(std::max(a.y, b.y) + reach);
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x) {
        const float px = float(x) + .5f - a.x, py = float(y) + .5f - a.y;
        const float t = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.f, 1.f) : 0;
        const float ex = px - t * dx, ey = py - t * dy;
        const float radius = radius_a + t * (radius_b - radius_a);
        const float cover = .5f + (radius - std::sqrt(ex * ex + ey * ey)) / softness;
        float& ink = ink_[std::size_t(y * side + x)];
        ink = std::max(ink, std::min(cover, 1.f));
      }
  }
  float operator[](std::size_t pixel) const { return ink_[pixel]; }

 private:
  static int first(float edge) { return std::clamp(int(edge), 0, side); }
  static int last(float edge) { return std::clamp(int(edge) + 1, -1, side - 1); }

  std::array<float, side * side> ink_{};
};

void draw_digit(std::uint64_t seed, std::uint64_t index, std::uint8_t* pixels) {
  Dice dice(seed, index);
  const std::vector<Glyph>& ways = alphabet[index % 10];
  const Glyph& glyph = ways[dice.below(ways.size())];
  const Hand hand(dice);
  const float pen = std::clamp(1.25f + .30f * dice.bell(), .65f, 2.1f);
  const float softness = dice.uniform(1.f, 1.6f), darkness = dice.uniform(.88f, 1.f);

  std::vector<std::vector<Point>> paths;
  Point low{1e9f, 1e9f}, high{-1e9f, -1e9f};
  for (const Stroke& stroke : glyph) {
    paths.push_back(path_of(stroke, hand, dice));
    for (const Point p : paths.back()) {
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
  }
  // Anywhere near the middle of the sheet, but with all the ink on it.
  const float room = side - 2 * (1 + 1.25f * pen);
  const auto fitted = [&](float extent) { return std::min(1.f, room / extent); };
  const float fit = std::min(fitted(high.x - low.x), fitted(high.y - low.y));
  const auto offset = [&](float from, float to) {  // of the origin, along one side
    const float slack = std::max(0.f, room - fit * (to - from)) / 2;
    return side / 2.f + std::clamp(.8f * dice.bell(), -slack, slack) - fit * (from + to) / 2;
  };
  const float right = offset(low.x, high.x), down = offset(low.y, high.y);

  Sheet sheet;
  for (const auto& path : paths) {
    const float start = dice.uniform(.80f, 1.12f), end = dice.uniform(.62f, 1.08f);
    const float middle = dice.uniform(.95f, 1.15f);
    const auto radius = [&](std::size_t i) {  // of the pen, whose pressure rises and falls
      const float t = float(i) / float(path.size() - 1);
      return pen *
             ((1 - t) * (1 - 2 * t) * start + 4 * t * (1 - t) * middle + t * (2 * t - 1) * end);
    };
    const auto moved = [&](Point p) { return Point{fit * p.x + right, fit * p.y + down}; };
    for (std::size_t i = 0; i + 1 < path.size(); ++i)
      sheet.draw(moved(path[i]), moved(path[i + 1]), radius(i), radius(i + 1), softness);
  }
  for (std::size_t i = 0; i < side * side; ++i) {
    float ink = sheet[i];
    if (ink > 0) ink = darkness * ink + dice.uniform(-.03f, .03f);
    pixels[i] = std::uint8_t(255 * std::clamp(ink, 0.f, 1.f) + .5f);
  }
}

}  // namespace

Dataset draw_digits(long count, std::uint64_t seed) {
  require(count >= 1 && count <= 10'000'000, "digits: n is ", count, ", expected 1 to 10000000");
  Dataset data;
  data.source = "builtin:digits?n=" + std::to_string(count) + "&seed=" + std::to_string(seed);
  data.type = Dataset::Type::u8;
  data.rows = count;
  data.columns = side * side;
  data.scale = 1.f / 255;
  data.image_height = data.image_width = side;
  data.bytes.resize(std::size_t(count) * side * side);
  data.labels.resize(std::size_t(count));
  for (long i = 0; i < count; ++i) {
    draw_digit(seed, std::uint64_t(i), data.bytes.data() + i * side * side);
    data.labels[std::size_t(i)] = int(i % 10);
  }
  return data;
}

}  // namespace elbo

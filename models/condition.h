#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"

namespace elbo {

/// What a conditional model is told of a datum: one of its annotations, as numbers.
///
/// Levels become one number each, 1 for the datum's own (one-hot); a number is standardised by the
/// training data's mean and deviation.  What is unknown (NaN) becomes zeros: the model is told
/// nothing.  Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional
/// Generative Models (2015).
struct Condition {
  std::string name;
  std::vector<std::string> levels;  // empty: a number
  double mean = 0, scale = 1;       // of a number

  int width() const { return levels.empty() ? 1 : int(levels.size()); }
  bool operator==(const Condition&) const = default;
};

/// How many numbers they are together.
int width_of(const std::vector<Condition>&);

/// What the training data's annotations of these names ("line,batch"; "none": no names) become;
/// `label` is also the name of the data's labels.
/// Errors: no such annotation, naming those that there are.
std::vector<Condition> conditions_of(const Dataset&, const std::string& names);

/// Fills data.given.  Errors: an annotation is missing, or has a level that the model does not
/// know.
void give(Dataset&, const std::vector<Condition>&);

/// The numbers for what a text such as "line=A549,batch=3" says; what it does not name is unknown.
/// Errors: a name or a level that the model does not know, naming those that it does.
std::vector<float> given_by(const std::vector<Condition>&, const std::string& text);

}  // namespace elbo

#include "images/commands/age.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace cove {
namespace {

using std::chrono::seconds;

struct Unit {
  char letter;
  seconds length;
};
constexpr std::array<Unit, 5> kUnits{{{'s', seconds(1)},
                                      {'m', std::chrono::minutes(1)},
                                      {'h', std::chrono::hours(1)},
                                      {'d', std::chrono::days(1)},
                                      {'w', std::chrono::weeks(1)}}};
constexpr seconds kLongest = std::chrono::years(100);

// From each age on: counted in what, as Docker does.
struct Step {
  seconds from;
  seconds unit;
  const char* noun;
};
constexpr std::array<Step, 7> kSteps{{{std::chrono::years(2), std::chrono::days(365), "years"},
                                      {std::chrono::days(60), std::chrono::days(30), "months"},
                                      {std::chrono::days(14), std::chrono::weeks(1), "weeks"},
                                      {std::chrono::hours(48), std::chrono::days(1), "days"},
                                      {std::chrono::hours(2), std::chrono::hours(1), "hours"},
                                      {std::chrono::minutes(2), std::chrono::minutes(1), "minutes"},
                                      {seconds(2), seconds(1), "seconds"}}};

Error age_error(std::string_view text) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "age";
  error.what = "\"" + std::string(text) + "\" is no length of time";
  error.hint = "a number and s, m, h, d or w: 90s, 36h, 7d, 2w; at most 100 years";
  return error;
}

// "+02:00", "Z" and nothing else.
std::optional<seconds> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return seconds(0);
  int hours = 0, minutes = 0, end = 0;
  const std::string zone(text);
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') ||
      std::sscanf(zone.c_str() + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || end != 5 ||
      hours < 0 || minutes < 0 || hours > 23 || minutes > 59)
    return std::nullopt;
  const seconds offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
  return zone[0] == '-' ? -offset : offset;
}

}  // namespace

Result<seconds> parse_age(std::string_view text) {
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && end - rest == 1) {
    for (const Unit& unit : kUnits) {
      if (*rest == unit.letter && number <= kLongest / unit.length) return number * unit.length;
    }
  }
  return fail(age_error(text));
}

std::string age_text(seconds age) {
  if (age < seconds(1)) return "just now";
  if (age == seconds(1)) return "1 second ago";
  if (age / std::chrono::minutes(1) == 1) return "About a minute ago";
  if (age / std::chrono::hours(1) == 1) return "About an hour ago";
  const auto step = std::find_if(kSteps.begin(), kSteps.end(),
                                 [&](const Step& each) { return age >= each.from; });
  return std::to_string(age / step->unit) + " " + step->noun + " ago";
}

std::string rfc3339_text(std::chrono::sys_seconds time) {
  const std::time_t since_epoch = time.time_since_epoch().count();
  std::tm parts{};
  std::array<char, 32> text{};
  gmtime_r(&since_epoch, &parts);
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::optional<std::chrono::sys_seconds> parse_rfc3339(const std::string& text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kForm.size()) return std::nullopt;
  for (std::size_t at = 0; at < kForm.size(); ++at) {
    const char c = text[at];
    const bool fits = kForm[at] == 'd'   ? c >= '0' && c <= '9'
                      : kForm[at] == 'T' ? c == 'T' || c == 't' || c == ' '
                                         : c == kForm[at];
    if (!fits) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t digits) {
    return std::stoi(text.substr(at, digits));
  };
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  std::size_t zone = kForm.size();
  if (zone < text.size() && text[zone] == '.')
    zone = text.find_first_not_of("0123456789", zone + 1);
  if (zone == std::string::npos) return std::nullopt;
  const auto offset = parse_offset(std::string_view(text).substr(zone));
  if (!offset) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         seconds(second) - *offset;
}

}  // namespace cove

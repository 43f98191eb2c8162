//! Formats numbers, durations and dates for people.

use std::time::SystemTime;

/// A narrow no-break space, between a number and its unit.
const NARROW_SPACE: char = '\u{202f}';
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A whole number with a comma after every three digits from the right.
pub(crate) fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with the right form of a noun: "1 picture", "2,000 pictures".
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { one } else { many })
}

/// A share of 0 to 1 as a percentage.
pub(super) fn percent(share: f64, decimals: usize) -> String {
    if share.is_finite() { format!("{:.decimals$}{NARROW_SPACE}%", 100.0 * share) } else { "–".to_owned() }
}

/// A duration in its two largest units.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 10.0 => format!("{seconds:.1}{NARROW_SPACE}s"),
        (0, 0, s) => format!("{s}{NARROW_SPACE}s"),
        (0, m, s) => format!("{m}{NARROW_SPACE}min {s}{NARROW_SPACE}s"),
        (h, m, _) => format!("{h}{NARROW_SPACE}h {m}{NARROW_SPACE}min"),
    }
}

/// A date as "28 November 2026", in UTC.
pub(super) fn day(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let mut parts = text.split(['-', 'T']);
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
    let (year, month, day) = (number(), number(), number());
    format!("{day} {} {year}", MONTHS[month.clamp(1, 12) - 1])
}

/// The 95 % confidence interval of the accuracy (Wilson score interval).
pub(super) fn confidence_interval(right: usize, of: usize) -> (f64, f64) {
    /// Number of standard deviations around the mean that hold 95 % of a normal distribution.
    const Z: f64 = 1.96;
    let n = of.max(1) as f64;
    let share = right as f64 / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        for (number, text) in [(0_u64, "0"), (999, "999"), (1_000, "1,000"), (60_000, "60,000")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(thousands(12_345_678_u64), "12,345,678");
        assert_eq!(count(1, "picture", "pictures"), "1 picture");
        assert_eq!(count(2_000, "picture", "pictures"), "2,000 pictures");
    }

    #[test]
    fn units_stay_beside_their_numbers() {
        assert_eq!(percent(0.99651, 2), "99.65\u{202f}%");
        assert_eq!(percent(f64::NAN, 2), "–");
        assert_eq!(duration(4.26), "4.3\u{202f}s");
        assert_eq!(duration(47.4), "47\u{202f}s");
        assert_eq!(duration(273.0), "4\u{202f}min 33\u{202f}s");
        assert_eq!(duration(3_900.0), "1\u{202f}h 5\u{202f}min");
    }

    #[test]
    fn days_are_named() {
        assert_eq!(day(SystemTime::UNIX_EPOCH), "1 January 1970");
        assert_eq!(day(SystemTime::UNIX_EPOCH + Duration::from_hours(264_384)), "29 February 2000");
    }

    #[test]
    fn the_confidence_interval_contains_the_accuracy_and_narrows_with_more_pictures() {
        let (low, high) = confidence_interval(9_965, 10_000);
        assert!((0.9951..0.9953).contains(&low) && (0.9974..0.9976).contains(&high), "{low} {high}");
        assert!(confidence_interval(10, 10).1 > 0.999);
        assert!(confidence_interval(10, 10).0 > 0.7 && confidence_interval(0, 0).1 <= 1.0);
    }
}

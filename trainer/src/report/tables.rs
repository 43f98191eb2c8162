//! The report's tables: confusion matrix, scores of each digit, and calibration.

use maud::{Markup, html};
use ndarray::Array2;

use super::scores::{self, Score};
use super::text::{count, percent, thousands};
use crate::calibration::{BINS, Bin, Calibration, NOT_SURE};
use crate::data::CLASSES;

/// A table with these headings.
pub(super) fn table(headings: &[&str], rows: &Markup) -> Markup {
    html! {
        table {
            thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
            tbody { (rows) }
        }
    }
}

/// Wraps a table so that it scrolls when the page is narrower. `label` is its name for screen readers.
pub(super) fn scrolled(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// The section with the confusion matrix as a heat map.
pub(super) fn confusion(confusion: &Array2<u32>) -> Markup {
    let wrong = |label: usize, read: usize| if label == read { 0 } else { confusion[[label, read]] };
    let places = || confusion.indexed_iter().map(|(place, _)| place);
    let most = places().map(|(label, read)| wrong(label, read)).max().unwrap_or(0);
    let table = html! {
        table.confusion {
            caption { "Rows: label. Columns: answer. Numbers of test pictures." }
            thead {
                tr {
                    th scope="col" { span.hidden { "Digit" } }
                    @for read in 0..CLASSES { th scope="col" { (read) } }
                }
            }
            tbody {
                @for label in 0..CLASSES {
                    tr {
                        th scope="row" { (label) }
                        @for read in 0..CLASSES { (cell(confusion, label, read, most)) }
                    }
                }
            }
        }
    };
    html! {
        section #confusion {
            h2 { "Confusion matrix" }
            p { (most_frequent(confusion)) }
            (scrolled("Confusion", &table))
        }
    }
}

fn cell(confusion: &Array2<u32>, label: usize, read: usize, most: u32) -> Markup {
    let number = confusion[[label, read]];
    if label == read {
        let share = f64::from(number) / f64::from(confusion.row(label).sum().max(1));
        return html! { td.right style=(format!("--share:{share:.3}")) { (thousands(number)) } };
    }
    if number == 0 {
        return html! { td.none { "0" } };
    }
    // Even a single mistake must be visible.
    let share = 0.25 + 0.75 * f64::from(number) / f64::from(most);
    html! { td.wrong style=(format!("--share:{share:.3}")) { (thousands(number)) } }
}

/// A sentence about the most frequent mistakes.
fn most_frequent(confusion: &Array2<u32>) -> String {
    let mut wrong: Vec<(u32, usize, usize)> = confusion
        .indexed_iter()
        .filter(|((label, read), number)| label != read && **number > 0)
        .map(|((label, read), &number)| (number, label, read))
        .collect();
    wrong.sort_by_key(|&(number, label, read)| (std::cmp::Reverse(number), label, read));
    let named = |&(number, label, read): &(u32, usize, usize)| {
        format!("{label} read as {read} ({})", count(number as usize, "time", "times"))
    };
    match &wrong[..] {
        [] => "No digit was read as another one.".to_owned(),
        [one] => format!("The only kind of mistake: {}.", named(one)),
        [first, rest @ ..] => {
            let second = named(&rest[0]);
            format!("Most often: {}, then {second}.", named(first))
        }
    }
}

/// The section with precision, recall and F1 of each digit.
pub(super) fn digits(confusion: &Array2<u32>) -> Markup {
    const HEADINGS: [&str; 6] = ["Digit", "Pictures", "Wrong", "Precision", "Recall", "F1"];
    let scores = scores::by_digit(confusion);
    let rows = html! { @for (digit, score) in scores.iter().enumerate() { (score_row(digit, *score)) } };
    html! {
        section #digits {
            h2 { "Scores of each digit" }
            p {
                "Precision: the share of right answers among those with this digit. Recall: the share of right answers "
                "among the pictures of this digit. F1: the harmonic mean of both."
            }
            (scrolled("Scores by digit", &table(&HEADINGS, &rows)))
        }
    }
}

fn score_row(digit: usize, score: Score) -> Markup {
    html! {
        tr {
            th scope="row" { (digit) }
            td { (thousands(score.pictures)) }
            td { (thousands(score.pictures - score.right)) }
            td { (percent(score.precision(), 2)) }
            td { (percent(score.recall(), 2)) }
            td { (percent(score.f1(), 2)) }
        }
    }
}

/// The text and the table of the section about calibration.
pub(super) fn calibration(calibration: &Calibration) -> Markup {
    let answers: usize = calibration.bins.iter().map(|bin| bin.answers).sum();
    let right: usize = calibration.bins.iter().map(|bin| bin.right).sum();
    let threshold = percent(f64::from(NOT_SURE), 0);
    let part = |some: usize, of: usize| {
        let share = percent(some as f64 / of as f64, 1);
        if of == 0 {
            "there are none".to_owned()
        } else {
            format!("{share} ({} of {})", thousands(some as u64), thousands(of as u64))
        }
    };
    let bins = calibration.bins.iter().enumerate();
    let rows = html! { @for (index, bin) in bins { @if bin.answers > 0 { (bin_row(index, bin)) } } };
    html! {
        dl.facts {
            dt { "Expected calibration error" }
            dd { (percent(calibration.expected_error, 2)) }
            dt { "Wrong answers that are not sure" }
            dd { (part(calibration.not_sure_wrong, answers - right)) }
            dt { "Right answers that are not sure" }
            dd { (part(calibration.not_sure_right, right)) }
        }
        p {
            "The confidence of an answer is the probability of its most probable digit. An answer is \"not sure\" if "
            "its confidence is below " (threshold) ". The expected calibration error is the mean distance between "
            "confidence and accuracy."
        }
        details {
            summary { "Numbers of the diagram" }
            (table(&["Confidence", "Answers", "Mean confidence", "Accuracy"], &rows))
        }
    }
}

fn bin_row(index: usize, bin: &Bin) -> Markup {
    let edge = |index: usize| 100 * index / BINS;
    html! {
        tr {
            th scope="row" { (edge(index)) "–" (percent(edge(index + 1) as f64 / 100.0, 0)) }
            td { (thousands(bin.answers as u64)) }
            td { (percent(bin.confidence(), 1)) }
            td { (percent(bin.accuracy(), 1)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_mistakes_are_named() {
        let mut confusion = Array2::from_diag_elem(CLASSES, 1_200);
        assert_eq!(most_frequent(&confusion), "No digit was read as another one.");
        confusion[[4, 9]] = 3;
        assert_eq!(most_frequent(&confusion), "The only kind of mistake: 4 read as 9 (3 times).");
        confusion[[7, 1]] = 1;
        assert_eq!(
            most_frequent(&confusion),
            "Most often: 4 read as 9 (3 times), then 7 read as 1 (1 time)."
        );
        let page = super::confusion(&confusion).into_string();
        assert_eq!(page.matches("<td").count(), CLASSES * CLASSES);
        assert_eq!(page.matches("class=\"wrong\"").count(), 2);
        assert_eq!(page.matches("class=\"right\"").count(), CLASSES);
        assert!(page.contains(">1,200<"));
    }
}

//! `report.html`: the results of a training, for people. It is a single file without external resources.

mod charts;
mod drawings;
mod pictures;
mod plot;
mod scores;
mod settings;
mod tables;
pub(crate) mod text;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::calibration::Calibration;
use crate::data::Dataset;
use crate::evaluate::Answers;
use crate::metrics::Metrics;
use text::{confidence_interval, count, day, duration, percent, thousands};

const STYLE: &str = include_str!("style.css");

/// The contents of a report.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The results of the training.
    pub metrics: &'a Metrics,
    /// The data set.
    pub dataset: &'a Dataset,
    /// The network's answers to the test pictures, in their order.
    pub answers: &'a Answers,
    /// Folders of the user's drawings that were measured. May be empty.
    pub drawings: &'a [PathBuf],
    /// When the network was measured.
    pub time: SystemTime,
}

impl Report<'_> {
    /// Renders the page.
    ///
    /// # Errors
    /// When a picture or a chart cannot be drawn.
    pub fn html(&self) -> Result<String> {
        let confusion = &self.metrics.test.confusion;
        let calibration = Calibration::of(self.answers);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "Decima: training report of " (day(self.time)) ", seed " (self.metrics.history.recipe.seed) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.header())
                    main {
                        (self.figures(&calibration))
                        (self.curves()?)
                        (tables::confusion(confusion))
                        (tables::digits(confusion))
                        (reliability(&calibration)?)
                        (pictures::mistakes(&self.dataset.test, self.answers)?)
                        @if let Some(drawings) = &self.metrics.drawings { (drawings::section(drawings, self.drawings)) }
                        (pictures::data(self.dataset)?)
                        (settings::settings(self.metrics)?)
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    fn header(&self) -> Markup {
        let history = &self.metrics.history;
        html! {
            header {
                p.product { "Decima " (history.trainer_version) }
                h1 { "Training report: handwritten digits" }
                p.when { (day(self.time)) " · seed " (history.recipe.seed) }
                p.summary { (self.summary()) }
            }
        }
    }

    /// The whole training in two sentences.
    fn summary(&self) -> String {
        let Metrics { parameters, test, dataset, history, .. } = self.metrics;
        let seconds: f64 = history.epochs.iter().map(|epoch| epoch.train_seconds).sum();
        let learnt_from = dataset.train_pictures.saturating_sub(history.recipe.holdout);
        let (done, planned) = (history.epochs.len(), history.recipe.epochs);
        let epochs = if done < planned {
            format!("was stopped after {done} of {}", count(planned, "epoch", "epochs"))
        } else {
            format!("took {}", count(done, "epoch", "epochs"))
        };
        let why = if history.recipe.holdout == 0 {
            String::new()
        } else {
            let held_out = count(history.recipe.holdout, "held-out picture", "held-out pictures");
            format!(", which was best on {held_out}")
        };
        format!(
            "A network of {} parameters recognises {} of {}: {}. Training {epochs} over {} ({}); the weights are \
             those of epoch {}{why}.",
            thousands(*parameters as u64),
            thousands((self.answers.len() - test.errors) as u64),
            count(self.answers.len(), "test picture", "test pictures"),
            percent(test.accuracy, 2),
            count(learnt_from, "picture", "pictures"),
            duration(seconds),
            history.chosen_epoch,
        )
    }

    /// The most important numbers, at the top of the page.
    fn figures(&self, calibration: &Calibration) -> Markup {
        let test = &self.metrics.test;
        let pictures = self.answers.len();
        let (low, high) = confidence_interval(pictures - test.errors, pictures);
        let scores = scores::by_digit(&test.confusion);
        let recalls = scores.iter().enumerate().filter(|(_, score)| score.pictures > 0);
        let hardest = recalls.min_by(|a, b| a.1.recall().total_cmp(&b.1.recall()));
        html! {
            section.figures aria-label="Main figures" {
                (figure("Accuracy", &percent(test.accuracy, 2),
                    &format!("{} to {} with 95\u{202f}% confidence", percent(low, 2), percent(high, 2))))
                (figure("Mistakes", &thousands(test.errors as u64),
                    &format!("of {}", count(pictures, "test picture", "test pictures"))))
                @if let Some((digit, score)) = hardest.filter(|_| test.errors > 0) {
                    (figure("Hardest digit", &digit.to_string(), &format!("{} recognised", percent(score.recall(), 1))))
                }
                (figure("Calibration error", &percent(calibration.expected_error, 1),
                    "mean distance of confidence and accuracy"))
                @if let Some(drawings) = &self.metrics.drawings {
                    (figure("Drawings", &percent(drawings.accuracy, 1),
                        &format!("of {} recognised", count(drawings.pictures, "picture", "pictures"))))
                }
            }
        }
    }

    fn curves(&self) -> Result<Markup> {
        let history = &self.metrics.history;
        let (epochs, chosen) = (&history.epochs, history.chosen_epoch);
        Ok(html! {
            section #learning {
                h2 { "Learning" }
                ul.key {
                    li.training { "training pictures, distorted, with smoothed labels" }
                    li.held-out { "held-out pictures, undistorted" }
                    li.guide { "chosen epoch" }
                }
                div.charts {
                    figure { figcaption { "Loss" } (PreEscaped(charts::loss(epochs, chosen)?)) }
                    figure { figcaption { "Accuracy" } (PreEscaped(charts::accuracy(epochs, chosen, history.recipe.holdout)?)) }
                }
                (settings::epochs(epochs, chosen))
            }
        })
    }
}

fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! { div { p.name { (name) } p.value { (value) } p.note { (note) } } }
}

fn reliability(calibration: &Calibration) -> Result<Markup> {
    Ok(html! {
        section #calibration {
            h2 { "Calibration" }
            div.beside {
                figure {
                    figcaption {
                        "Each dot stands for the answers in one range of confidence; its area grows with their number. "
                        "On the dashed line, accuracy equals confidence."
                    }
                    (PreEscaped(charts::reliability(calibration)?))
                }
                div { (tables::calibration(calibration)) }
            }
        }
    })
}

//! `report.html`: what a training came to, for people. One file that needs nothing else.

mod chart;
mod picture;

use std::fmt::Write;

use anyhow::Result;

use crate::data::{CLASSES, Pictures};
use crate::evaluate::Answers;
use crate::metrics::Metrics;
use chart::{Curve, chart};

/// Mistakes that are shown; the most certain ones come first.
const MISTAKES_SHOWN: usize = 60;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1c2733;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}\
    table{border-collapse:collapse}td,th{padding:.25rem .6rem;text-align:right}\
    .confusion td{border:1px solid #d8dee6;min-width:1.6rem}.confusion .right{background:#dcefe2}\
    .confusion .wrong{background:#f9d9d3}.confusion .none{color:#b6c0cc}\
    .facts th{text-align:left;font-weight:400;color:#5a6b7d}\
    .mistakes{display:flex;flex-wrap:wrap;gap:.8rem}figure{margin:0;width:5.6rem;font-size:.8rem}\
    figure img{width:5.6rem;image-rendering:pixelated;border-radius:4px;display:block}\
    svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#5a6b7d}";

/// The page's text.
///
/// `answers` are those to `test`, in its order.
///
/// # Errors
/// When a picture cannot be packed.
pub fn html(metrics: &Metrics, test: &Pictures, answers: &Answers) -> Result<String> {
    let mut page = String::new();
    writeln!(page, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(page, "<title>Digits: training report</title><style>{STYLE}</style></head><body>")?;
    let (accuracy, errors) = (100.0 * metrics.test.accuracy, metrics.test.errors);
    writeln!(page, "<h1>{accuracy:.2}&thinsp;% of {} test pictures read right</h1>", answers.len())?;
    facts(&mut page, metrics)?;
    curves(&mut page, metrics)?;
    confusion(&mut page, metrics)?;
    writeln!(page, "<h2>Mistakes ({errors})</h2>")?;
    mistakes(&mut page, test, answers)?;
    writeln!(page, "</body></html>")?;
    Ok(page)
}

fn facts(page: &mut String, metrics: &Metrics) -> Result<()> {
    let history = &metrics.history;
    let seconds: f64 = history.epochs.iter().map(|epoch| epoch.train_seconds).sum();
    let dataset = format!(
        "{} training pictures, {} of them held out to choose the model by; SHA-256 {}",
        metrics.dataset.train_pictures, history.recipe.holdout, history.dataset_sha256
    );
    let facts = [
        ("Network", format!("{} weights", metrics.parameters)),
        ("Taken after", format!("epoch {} of {}", history.chosen_epoch, history.recipe.epochs)),
        ("Seed", history.recipe.seed.to_string()),
        ("Learning took", format!("{seconds:.0} s on {} threads", history.threads)),
        ("Dataset", dataset),
        ("Trainer", history.trainer_version.clone()),
    ];
    writeln!(page, "<table class=\"facts\">")?;
    for (name, value) in facts {
        writeln!(page, "<tr><th>{name}</th><td style=\"text-align:left\">{value}</td></tr>")?;
    }
    writeln!(page, "</table>")?;
    Ok(())
}

fn curves(page: &mut String, metrics: &Metrics) -> Result<()> {
    let epochs = &metrics.history.epochs;
    let percent = |share: f64| 100.0 * (1.0 - share);
    let train = epochs.iter().map(|epoch| Some(percent(epoch.train_accuracy))).collect();
    let holdout = epochs.iter().map(|epoch| epoch.holdout_accuracy.map(percent)).collect();
    let errors = [
        Curve { name: "distorted training pictures, while learning", colour: "#8a99aa", values: train },
        Curve { name: "held-out pictures", colour: "#0b6bcb", values: holdout },
    ];
    writeln!(page, "<h2>Wrong answers by epoch, in % (logarithmic)</h2>{}", chart(&errors)?)?;
    let train = epochs.iter().map(|epoch| Some(epoch.train_loss)).collect();
    let holdout = epochs.iter().map(|epoch| epoch.holdout_loss).collect();
    let losses = [
        Curve { name: "training loss, labels smoothed", colour: "#8a99aa", values: train },
        Curve { name: "held-out loss", colour: "#0b6bcb", values: holdout },
    ];
    writeln!(page, "<h2>Loss by epoch (logarithmic)</h2>{}", chart(&losses)?)?;
    Ok(())
}

fn confusion(page: &mut String, metrics: &Metrics) -> Result<()> {
    writeln!(page, "<h2>What was read for what</h2><table class=\"confusion\"><tr><th>label \\ read</th>")?;
    for class in 0..CLASSES {
        write!(page, "<th>{class}</th>")?;
    }
    writeln!(page, "</tr>")?;
    for (label, row) in metrics.test.confusion.rows().into_iter().enumerate() {
        write!(page, "<tr><th>{label}</th>")?;
        for (read, &count) in row.iter().enumerate() {
            let class = match (label == read, count) {
                (true, _) => "right",
                (false, 0) => "none",
                (false, _) => "wrong",
            };
            write!(page, "<td class=\"{class}\">{count}</td>")?;
        }
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</table>")?;
    Ok(())
}

fn mistakes(page: &mut String, test: &Pictures, answers: &Answers) -> Result<()> {
    let (right, certainties) = (answers.right(), answers.certainties());
    let mut wrong: Vec<usize> = (0..answers.len()).filter(|&index| !right[index]).collect();
    wrong.sort_by(|&a, &b| certainties[b].total_cmp(&certainties[a]));
    writeln!(page, "<div class=\"mistakes\">")?;
    for &index in wrong.iter().take(MISTAKES_SHOWN) {
        let source = picture::data_uri(&test.picture(index))?;
        let (read, label) = (answers.digit(index), answers.labels[index]);
        let certain = 100.0 * certainties[index];
        writeln!(
            page,
            "<figure><img src=\"{source}\" alt=\"test picture {index}\"><figcaption>{label} read as {read}, \
             {certain:.0}&thinsp;%</figcaption></figure>"
        )?;
    }
    writeln!(page, "</div>")?;
    Ok(())
}

//! The report's sections with pictures: the mistakes, and examples of the data.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::text::{count, percent, thousands};
use crate::data::{CLASSES, Dataset, Pictures, SIDE};
use crate::evaluate::Answers;

/// Number of mistakes that are shown. Those with the highest confidence come first.
pub(super) const MISTAKES_SHOWN: usize = 60;
/// Number of answers that are listed under a mistake.
const ANSWERS_NAMED: usize = 3;
/// Number of example pictures of each digit.
const SAMPLES: usize = 8;

/// The section about mistakes, each with its picture, its label and the most probable answers.
pub(super) fn mistakes(test: &Pictures, answers: &Answers) -> Result<Markup> {
    let (right, confidences) = (answers.right(), answers.confidences());
    let mut wrong: Vec<usize> = (0..answers.len()).filter(|&index| !right[index]).collect();
    wrong.sort_by(|&a, &b| confidences[b].total_cmp(&confidences[a]));
    let shown = &wrong[..wrong.len().min(MISTAKES_SHOWN)];
    let figures = shown.iter().map(|&index| mistake(test, answers, index)).collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section #mistakes {
            h2 { "Mistakes" }
            @if wrong.is_empty() {
                p { "There are none: all test pictures are recognised." }
            } @else {
                p { (intro(wrong.len(), shown.len())) }
                div.mistakes { @for figure in figures { (figure) } }
            }
        }
    })
}

fn intro(wrong: usize, shown: usize) -> String {
    if shown == wrong {
        return format!(
            "All {}, those of the highest confidence first.",
            count(wrong, "mistake", "mistakes")
        );
    }
    format!("The {shown} mistakes of the highest confidence, of {}.", thousands(wrong as u64))
}

fn mistake(test: &Pictures, answers: &Answers, index: usize) -> Result<Markup> {
    let (label, read) = (answers.labels[index], answers.digit(index));
    let mut probabilities: Vec<(usize, f32)> =
        answers.probabilities.row(index).iter().copied().enumerate().collect();
    probabilities.sort_by(|a, b| b.1.total_cmp(&a.1));
    let number = thousands(index as u64);
    Ok(html! {
        figure {
            img src=(data_uri(&test.picture(index))?) width="112" height="112"
                alt=(format!("Test picture {number}: a {label} that was read as {read}"));
            figcaption {
                b { (label) } " read as " b.misread { (read) }
                ul {
                    @for (digit, probability) in probabilities.into_iter().take(ANSWERS_NAMED) {
                        li.truth[digit == usize::from(label)] {
                            span { (digit) }
                            span.bar style=(format!("--share:{probability:.3}")) {}
                            span { (percent(f64::from(probability), 0)) }
                        }
                    }
                }
                small { "No. " (number) }
            }
        }
    })
}

/// The section about the data: for each digit its number of pictures, their mean, and examples.
pub(super) fn data(dataset: &Dataset) -> Result<Markup> {
    let Dataset { train, test } = dataset;
    let rows = (0..CLASSES as u8).map(|digit| data_row(train, test, digit)).collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section #data {
            h2 { "The data" }
            p {
                (count(train.len(), "training picture", "training pictures")) " and "
                (count(test.len(), "test picture", "test pictures")) " of 28×28 pixels, shown before "
                "augmentation. The mean is over all training pictures of a digit."
            }
            div.scroll role="region" aria-label="Pictures by digit" tabindex="0" {
                table.data {
                    thead {
                        tr {
                            th scope="col" { "Digit" }
                            th scope="col" { "Training" }
                            th scope="col" { "Test" }
                            th.left scope="col" { "Mean" }
                            th.left scope="col" { "Examples" }
                        }
                    }
                    tbody { @for row in rows { (row) } }
                }
            }
        }
    })
}

fn data_row(train: &Pictures, test: &Pictures, digit: u8) -> Result<Markup> {
    let of = |pictures: &Pictures| -> Vec<usize> {
        (0..pictures.len()).filter(|&index| pictures.labels[index] == digit).collect()
    };
    let (training, testing) = (of(train), of(test));
    let samples = strip(train, &training);
    Ok(html! {
        tr {
            th scope="row" { (digit) }
            td { (thousands(training.len() as u64)) }
            td { (thousands(testing.len() as u64)) }
            @if let Some(samples) = samples {
                td.left {
                    img src=(data_uri(&mean(train, &training).view())?) width="42" height="42"
                        alt=(format!("Mean of the {}", count(training.len(), "picture", "pictures")));
                }
                td.left {
                    img src=(data_uri(&samples.view())?) width=(42 * samples.ncols() / SIDE) height="42"
                        alt=(format!("Examples of the digit {digit}"));
                }
            } @else {
                td colspan="2" { "none" }
            }
        }
    })
}

/// The mean of the pictures with these indices, `[row, column]`.
fn mean(pictures: &Pictures, indices: &[usize]) -> Array2<u8> {
    let mut sum = Array2::<u32>::zeros((SIDE, SIDE));
    for &index in indices {
        sum.zip_mut_with(&pictures.picture(index), |sum, &grey| *sum += u32::from(grey));
    }
    sum.mapv(|sum| (sum / indices.len().max(1) as u32) as u8)
}

/// Pictures evenly chosen from `indices`, side by side: `[row, column]`. `None` if there is no picture.
fn strip(pictures: &Pictures, indices: &[usize]) -> Option<Array2<u8>> {
    let shown = indices.len().min(SAMPLES);
    let chosen = (0..shown).map(|sample| pictures.picture(indices[sample * indices.len() / shown]));
    concatenate(Axis(1), &chosen.collect::<Vec<_>>()).ok().filter(|strip| !strip.is_empty())
}

/// A grey picture, `[row, column]`, as a data URI with a PNG.
fn data_uri(pixels: &ArrayView2<'_, u8>) -> Result<String> {
    let (rows, columns) = pixels.dim();
    let mut packed = Vec::new();
    let mut encoder = png::Encoder::new(&mut packed, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels.iter().copied().collect::<Vec<u8>>())?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(packed)))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, arr1};

    use super::*;

    fn three() -> Pictures {
        let pixels = Array3::from_shape_fn((3, SIDE, SIDE), |(picture, row, _)| (10 * picture + row) as u8);
        Pictures::new(pixels, arr1(&[5, 5, 7]))
    }

    #[test]
    fn the_mean_is_taken_pixel_by_pixel() {
        assert_eq!(mean(&three(), &[0, 1])[[3, 0]], 8);
        assert_eq!(mean(&three(), &[]), Array2::<u8>::zeros((SIDE, SIDE)));
    }

    #[test]
    fn samples_lie_side_by_side() {
        let strip_of_two = strip(&three(), &[0, 2]).unwrap();
        assert_eq!(strip_of_two.dim(), (SIDE, 2 * SIDE));
        assert_eq!((strip_of_two[[1, 0]], strip_of_two[[1, SIDE]]), (1, 21));
        assert!(strip(&three(), &[]).is_none());
    }

    #[test]
    fn an_address_holds_the_pixels() -> Result<()> {
        let address = data_uri(&three().picture(2))?;
        let packed = STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap())?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(packed)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels)?;
        assert_eq!(pixels, three().row_major(2));
        Ok(())
    }
}

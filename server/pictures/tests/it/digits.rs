//! Preprocessing of digits in pictures of many kinds.

use ndarray::{Array2, Array3, concatenate, s};
use pictures::{
    Rgba,
    mnist::{self, MnistError, digit, digits},
};

use crate::drawing::{
    ALL, BLACK, EIGHT, FIVE, FOUR, ONE, Pen, SEVEN, Strokes, TWO, WHITE, canvas, cover, difference, lit,
    noisy, paint,
};

/// The preprocessed digit of a picture that must have exactly one.
fn seen(picture: &Rgba) -> Array2<u8> {
    digit(picture.view()).unwrap().pixels
}

/// Checks for each digit that the changed picture gives nearly the same result as the same strokes in black on white.
fn assert_like_plain(what: &str, tolerance: f32, change: impl Fn(&Array2<f32>) -> Rgba) {
    for strokes in ALL {
        let cover = canvas(200, strokes, 12.0);
        let (plain, changed) = (seen(&paint(&cover, WHITE, BLACK)), digit(change(&cover).view()));
        let apart = difference(&plain, &changed.unwrap_or_else(|why| panic!("{what}: {why}")).pixels);
        assert!(apart < tolerance, "{what}: {apart}");
    }
}

#[test]
fn ink_lies_in_the_middle_of_a_box_of_20() {
    for strokes in ALL {
        let pixels = seen(&paint(&canvas(280, strokes, 16.0), WHITE, BLACK));
        assert_eq!(pixels.dim(), (28, 28));
        assert_eq!(pixels.iter().max(), Some(&255));
        let rows = pixels.outer_iter().filter(|row| row.iter().any(|&value| value > 40)).count();
        let columns =
            pixels.columns().into_iter().filter(|column| column.iter().any(|&value| value > 40)).count();
        assert!((19..=21).contains(&rows.max(columns)), "{rows} x {columns}");
        let mass: f32 = pixels.iter().map(|&value| f32::from(value)).sum();
        let (mut x, mut y) = (0.0, 0.0);
        for ((row, column), &value) in pixels.indexed_iter() {
            x += column as f32 * f32::from(value) / mass;
            y += row as f32 * f32::from(value) / mass;
        }
        assert!((x - 14.0).abs() < 0.6 && (y - 14.0).abs() < 0.6, "{x} {y}");
    }
}

#[test]
fn bounds_are_those_of_the_ink_in_the_picture() {
    let pen = Pen { left: 50.0, top: 30.0, size: 100.0, width: 10.0 };
    let picture = paint(&cover(200, 300, &[(TWO, pen)]), WHITE, BLACK);
    let bounds = digit(picture.view()).unwrap().bounds;
    assert!(bounds.left.abs_diff(45) <= 2 && bounds.top.abs_diff(26) <= 3, "{bounds:?}");
    assert!(bounds.width.abs_diff(75) <= 3 && bounds.height.abs_diff(108) <= 4, "{bounds:?}");
    // The same for a picture that is shrunk first.
    let large = Array3::from_shape_fn((2000, 3000, 4), |(row, column, channel)| {
        picture[[row / 10, column / 10, channel]]
    });
    let of_large = digit(large.view()).unwrap().bounds;
    assert!(of_large.left.abs_diff(10 * bounds.left) <= 20, "{of_large:?}");
    assert!(of_large.width.abs_diff(10 * bounds.width) <= 40, "{of_large:?}");
}

#[test]
fn grounds_and_colours() {
    assert_like_plain("white on black", 0.02, |cover| paint(cover, BLACK, WHITE));
    assert_like_plain("blue on cream", 0.05, |cover| paint(cover, [253, 246, 227, 255], [30, 60, 170, 255]));
    assert_like_plain("red on green, equally bright", 0.1, |cover| {
        paint(cover, [60, 140, 60, 255], [230, 52, 60, 255])
    });
    assert_like_plain("dark on transparent", 0.02, |cover| paint(cover, [0; 4], BLACK));
    assert_like_plain("light on transparent", 0.02, |cover| paint(cover, [255, 255, 255, 0], WHITE));
    assert_like_plain("a sticker of paper on transparent", 0.05, |cover| {
        let mut picture = paint(cover, WHITE, BLACK);
        picture.slice_mut(s![..12, .., ..]).fill(0);
        picture.slice_mut(s![.., 190.., ..]).fill(0);
        picture
    });
    assert_like_plain("grey on grey", 0.05, |cover| paint(cover, [120, 120, 120, 255], [60, 60, 60, 255]));
}

#[test]
fn uneven_light() {
    let paper = |cover: &Array2<f32>| paint(cover, [240, 236, 228, 255], [40, 40, 60, 255]);
    assert_like_plain("a gradient", 0.25, |cover| lit(&paper(cover), |x, y| 0.5 + 0.25 * x + 0.25 * y));
    assert_like_plain("a vignette", 0.25, |cover| {
        lit(&paper(cover), |x, y| 1.0 - 1.1 * ((x - 0.5).powi(2) + (y - 0.5).powi(2)))
    });
    assert_like_plain("a shadow", 0.3, |cover| {
        lit(&paper(cover), |x, y| if x + 0.3 * y > 0.6 { 0.55 } else { 1.0 })
    });
    assert_like_plain("a board", 0.25, |cover| {
        lit(&paint(cover, [40, 60, 50, 255], [200, 205, 200, 255]), |x, y| 0.6 + 0.2 * x + 0.2 * y)
    });
}

#[test]
fn faint_ink_under_a_soft_shadow_is_found() {
    for strokes in ALL {
        let faint = paint(&canvas(200, strokes, 12.0), [235, 230, 220, 255], [200, 195, 190, 255]);
        let faint = lit(&faint, |x, y| 1.0 - 0.4 / (1.0 + (-15.0 * (0.7 * x + 0.7 * y - 0.7)).exp()));
        digits(faint.view()).unwrap();
    }
}

#[test]
fn faint_ink() {
    for percent in [4, 7, 10] {
        let ink = 235 - (255 * percent / 100) as u8;
        assert_like_plain(&format!("{percent} %"), 0.1, |cover| {
            paint(cover, [235, 235, 235, 255], [ink, ink, ink, 255])
        });
        assert_like_plain(&format!("{percent} % and noise"), 0.35, |cover| {
            noisy(&paint(cover, [235, 235, 235, 255], [ink, ink, ink, 255]), 2)
        });
    }
}

#[test]
fn bars_frames_and_edge_lines_are_cut_off() {
    let paper = |cover: &Array2<f32>| paint(cover, WHITE, BLACK);
    assert_like_plain("letterbox", 0.05, |cover| {
        let bar = Array3::from_shape_fn((70, 200, 4), |(_, _, channel)| BLACK[channel]);
        concatenate![ndarray::Axis(0), bar, paper(cover), bar]
    });
    assert_like_plain("pillars", 0.05, |cover| {
        let bar = Array3::from_shape_fn((200, 90, 4), |(_, _, channel)| BLACK[channel]);
        concatenate![ndarray::Axis(1), bar, paper(cover), bar]
    });
    for lines in [1, 3, 8] {
        assert_like_plain("black lines at two edges", 0.05, |cover| {
            let mut picture = paper(cover);
            picture.slice_mut(s![..lines, .., ..3]).fill(10);
            picture.slice_mut(s![.., 200 - lines.., ..3]).fill(0);
            picture
        });
    }
    assert_like_plain("a frame", 0.05, |cover| {
        let mut picture = paper(cover);
        for edge in [s![..6, .., ..3], s![194.., .., ..3], s![.., ..6, ..3], s![.., 194.., ..3]] {
            picture.slice_mut(edge).fill(20);
        }
        picture
    });
}

/// The picture, cropped to its ink.
fn crop(picture: &Rgba, cover: &Array2<f32>) -> Rgba {
    let rows: Vec<usize> =
        (0..cover.nrows()).filter(|&row| cover.row(row).iter().any(|&part| part > 0.5)).collect();
    let columns: Vec<usize> =
        (0..cover.ncols()).filter(|&column| cover.column(column).iter().any(|&part| part > 0.5)).collect();
    picture.slice(s![rows[0]..=rows[rows.len() - 1], columns[0]..=columns[columns.len() - 1], ..]).to_owned()
}

#[test]
fn digits_cropped_to_their_ink() {
    for width in [8.0, 12.0, 18.0] {
        for (at, strokes) in ALL.into_iter().enumerate() {
            let cover = canvas(200, strokes, width);
            let plain = paint(&cover, WHITE, BLACK);
            let inverted = paint(&cover, BLACK, WHITE);
            let want = seen(&plain);
            for picture in [crop(&plain, &cover), crop(&inverted, &cover)] {
                let apart = difference(&want, &seen(&picture));
                assert!(apart < 0.15, "digit {at}, pen of {width}: {apart}");
            }
        }
    }
}

#[test]
fn specks_are_dropped_and_pieces_of_strokes_are_not() {
    assert_like_plain("specks", 0.03, |cover| {
        let mut picture = paint(cover, WHITE, BLACK);
        for (row, column) in [(3, 5), (190, 12), (15, 180), (150, 195), (100, 4), (196, 100)] {
            picture.slice_mut(s![row..row + 2, column..column + 2, ..3]).fill(0);
        }
        picture
    });
    assert_like_plain("a stroke with gaps", 0.25, |cover| {
        let mut picture = paint(cover, WHITE, BLACK);
        for row in [70, 100, 130] {
            picture.slice_mut(s![row..row + 3, .., ..3]).fill(255);
        }
        picture
    });
}

#[test]
fn thin_pens_are_drawn_wider() {
    for strokes in ALL {
        let usual = seen(&paint(&canvas(280, strokes, 14.0), WHITE, BLACK));
        for (side, width) in [(280, 1.0), (280, 3.0), (560, 1.0), (1200, 2.0)] {
            let thin = seen(&paint(&canvas(side, strokes, width), WHITE, BLACK));
            let apart = difference(&usual, &thin);
            assert!(apart < 0.5, "{side} {width}: {apart}");
            let strong = thin.iter().filter(|&&value| value > 127).count();
            assert!(strong > 20, "{side} {width}: {strong}");
        }
    }
}

#[test]
fn pictures_of_28_by_28_are_preprocessed_too() {
    let small =
        paint(&cover(28, 28, &[(SEVEN, Pen { left: 2.0, top: 2.0, size: 10.0, width: 1.5 })]), BLACK, WHITE);
    let large = paint(&canvas(280, SEVEN, 42.0 * 0.6), BLACK, WHITE);
    assert!(difference(&seen(&small), &seen(&large)) < 0.4);
    // A picture that already looks like MNIST hardly changes.
    let once = seen(&large);
    let again = Array3::from_shape_fn(
        (28, 28, 4),
        |(row, column, channel)| {
            if channel == 3 { 255 } else { once[[row, column]] }
        },
    );
    let apart = difference(&once, &seen(&again));
    assert!(apart < 0.2, "{apart}");
}

#[test]
fn nothing_is_found_where_nothing_is_drawn() {
    let grey = |value: u8| Array3::from_elem((200, 200, 4), value);
    let opaque = |value: u8| paint(&Array2::zeros((200, 200)), [value, value, value, 255], BLACK);
    let blanks: [(&str, Rgba); 12] = [
        ("white", opaque(255)),
        ("black", opaque(0)),
        ("grey", opaque(127)),
        ("an empty canvas", grey(0)),
        ("an empty white canvas", paint(&Array2::zeros((200, 200)), [255, 255, 255, 0], BLACK)),
        ("a little noise", noisy(&opaque(220), 3)),
        ("much noise", noisy(&opaque(128), 127)),
        ("a gradient", noisy(&lit(&opaque(230), |x, y| 0.6 + 0.2 * x + 0.2 * y), 1)),
        ("a vignette", noisy(&lit(&opaque(230), |x, y| 1.0 - (x - 0.5).powi(2) - (y - 0.5).powi(2)), 1)),
        ("one pixel", Array3::from_elem((1, 1, 4), 255)),
        ("a line of pixels", Array3::from_elem((1, 500, 4), 255)),
        ("no pixels", Array3::from_elem((0, 7, 4), 255)),
    ];
    for (what, picture) in blanks {
        assert_eq!(digits(picture.view()), Err(MnistError::Blank), "{what}");
    }
    let letterbox = lit(&opaque(250), |_, y| if (0.2..0.8).contains(&y) { 1.0 } else { 0.0 });
    assert_eq!(digits(letterbox.view()), Err(MnistError::Blank));
}

#[test]
fn a_million_specks_cost_little() {
    let start = std::time::Instant::now();
    for (rows, columns) in [(2048, 2048), (640, 640), (1, 400_000), (400_000, 1)] {
        let board = Array3::from_shape_fn((rows, columns, 4), |(row, column, channel)| {
            if channel == 3 || (row % 2 == 0 && column % 2 == 0) { 255 } else { 0 }
        });
        let _ = digits(board.view());
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Several digits side by side.
fn row_of(strokes: &[Strokes]) -> Rgba {
    let drawn: Vec<(Strokes, Pen)> = strokes
        .iter()
        .enumerate()
        .map(|(at, &strokes)| {
            (
                strokes,
                Pen { left: 30.0 + 105.0 * at as f32, top: 50.0 + 8.0 * at as f32, size: 100.0, width: 9.0 },
            )
        })
        .collect();
    paint(&cover(220, 60 + 105 * strokes.len(), &drawn), WHITE, BLACK)
}

#[test]
fn several_digits_are_read_from_left_to_right() {
    let order = [TWO, FIVE, SEVEN, FOUR, ONE, EIGHT];
    let picture = row_of(&order);
    let found = digits(picture.view()).unwrap();
    assert_eq!(found.len(), order.len(), "{:?}", found.iter().map(|digit| digit.bounds).collect::<Vec<_>>());
    for (digit, strokes) in found.iter().zip(order) {
        let alone = seen(&paint(&canvas(170, strokes, 9.0), WHITE, BLACK));
        assert!(difference(&digit.pixels, &alone) < 0.25);
    }
    assert!(found.windows(2).all(|two| two[0].bounds.left < two[1].bounds.left));
    assert_eq!(mnist::digit(picture.view()), Err(MnistError::Several { count: order.len() }));
    assert_eq!(
        MnistError::Several { count: 6 }.to_string(),
        "the picture shows 6 digits side by side, not one"
    );
}

#[test]
fn a_digit_in_pieces_is_one() {
    for strokes in [FIVE, FOUR] {
        for width in [4.0, 10.0] {
            assert!(digit(paint(&canvas(200, strokes, width), WHITE, BLACK).view()).is_ok());
        }
    }
}

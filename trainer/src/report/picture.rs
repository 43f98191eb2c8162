//! Pictures inside a page.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::ArrayView2;

/// A grey picture `[row, column]` as the address of an image that needs no file.
pub(super) fn data_uri(pixels: &ArrayView2<'_, u8>) -> Result<String> {
    let (rows, columns) = pixels.dim();
    let mut packed = Vec::new();
    let mut encoder = png::Encoder::new(&mut packed, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels.iter().copied().collect::<Vec<u8>>())?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(packed)))
}

//! Pictures to correct, made on the spot.

/// A PNG of one colour, so much red.
pub(crate) fn png(width: u32, height: u32, red: u8) -> Vec<u8> {
    encode(width, height, &[red, 20, 30].repeat((width * height) as usize))
}

/// A PNG whose head promises so many pixels, which it does not have.
pub(crate) fn png_head(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    drop(encoder.write_header().unwrap());
    bytes
}

/// A PNG of these pixels, `[row, column, channel]`.
pub(crate) fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

//! The common ways to write an element, each read from a window of fixed size without a branch on its digits, which no
//! processor could predict. Everything else is left to the grammar.

use super::number::{ZEROS, eight_digits, leading_digits, nearest_f32, others};

/// Bytes that are looked at for an element.
pub(super) const WINDOW: usize = 32;

/// Zeros that [`Zeros::run`] finds at most.
pub(super) const LONGEST_RUN: usize = WINDOW / 2;

/// A run of zeros, which most of a picture is: how the writer spells one, with all that comes before the next element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zeros {
    /// Such zeros over and over.
    text: [u64; WINDOW / 8],
    /// Bytes of one of them.
    period: u32,
    /// 256 / `period`, rounded up: what a division by it would take is a tenth of the whole.
    reciprocal: u32,
}

impl Zeros {
    pub(super) const PLAIN: Self = Self::new(b"0,");

    const fn new(spelling: &[u8]) -> Self {
        let (mut text, mut index) = ([0; WINDOW / 8], 0);
        while index < WINDOW {
            text[index / 8] |= (spelling[index % spelling.len()] as u64) << (index % 8 * 8);
            index += 1;
        }
        let period = spelling.len() as u32;
        Self { text, period, reciprocal: 256_u32.div_ceil(period) }
    }

    /// The spelling of the zero that a text starts with, as far as it is known.
    #[cold]
    pub(super) fn spelled(text: &[u8]) -> Option<Self> {
        const SPELLINGS: [&[u8]; 4] = [b"0.0, ", b"0, ", b"0.0,", b"0,"];
        SPELLINGS.iter().find(|spelling| text.starts_with(spelling)).map(|spelling| Self::new(spelling))
    }

    /// How many zeros the window starts with, and their length.
    #[inline]
    pub(super) fn run(&self, window: &[u8; WINDOW]) -> (usize, usize) {
        let differing = |index: usize| word(window, 8 * index) ^ self.text[index];
        let half = |index: usize| {
            let (low, high) = (differing(index), differing(index + 1));
            if low != 0 { low.trailing_zeros() } else { 64 + high.trailing_zeros() }
        };
        let same = half(0);
        let same = if same == 128 { 128 + half(2) } else { same };
        let count = (same / 8 * self.reciprocal) >> 8;
        (count as usize, (count * self.period) as usize)
    }
}

/// Reads a whole number of at most seven digits and the comma after it; gives it and their length.
#[inline]
pub(super) fn integer<T: TryFrom<u32>>(window: &[u8; WINDOW]) -> Option<(T, usize)> {
    let (value, count) = leading_digits(word(window, 0));
    let redundant_zero = window[0] == b'0' && count > 1;
    if count == 0 || count == 8 || redundant_zero || window[count] != b',' {
        return None;
    }
    Some(((value as u32).try_into().ok()?, count + 1))
}

/// Reads an FP32 written as a whole number or as a [`fraction`].
#[inline]
pub(super) fn single(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    // At most seven digits are exact.
    fraction(window).or_else(|| integer(window).map(|(value, length): (u32, _)| (value as f32, length)))
}

/// Reads an FP32 of one digit, a point, at most sixteen digits and a comma; gives it and their length.
#[inline]
fn fraction(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    let sign = usize::from(window[0] == b'-');
    let whole = window[sign] ^ b'0';
    if whole > 9 || window[sign + 1] != b'.' {
        return None;
    }
    let (high, low) = (word(window, sign + 2) ^ ZEROS, word(window, sign + 10) ^ ZEROS);
    let (after_high, after_low) = (others(high), others(low));
    // All bits if the first eight places are digits.
    let further = u64::from(after_high == 0).wrapping_neg();
    let count = (after_high.trailing_zeros() + (after_low.trailing_zeros() & further as u32)) / 8;
    let end = sign + 2 + count as usize;
    if count == 0 || window[end] != b',' {
        return None;
    }
    // All sixteen places, those behind the last digit as zeros.
    let low = low & before(after_low) & further;
    let places = eight_digits(high & before(after_high)) * 100_000_000 + eight_digits(low);
    let mantissa = u64::from(whole) * 10_000_000_000_000_000 + places;
    // Processors convert signed integers to floats faster.
    let value = nearest_f32(mantissa.cast_signed() as f64 * 1e-16)?;
    Some((f32::from_bits(value.to_bits() | (sign as u32) << 31), end + 1))
}

#[inline]
fn word(window: &[u8; WINDOW], start: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&window[start..start + 8]);
    u64::from_le_bytes(word)
}

/// All bits of the bytes before the first one that [`others`] found.
#[inline]
fn before(others: u64) -> u64 {
    let first = others >> 7;
    (first & first.wrapping_neg()).wrapping_sub(1)
}

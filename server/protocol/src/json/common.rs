//! Fast paths for the usual spellings of a number. Each reads a window of fixed size without a branch on the digits,
//! which a processor could not predict. The general parser reads everything else.

use super::number::{ZEROS, eight_digits, leading_digits, nearest_f32, others};

/// Size of the window, in bytes.
pub(super) const WINDOW: usize = 32;

/// Highest number of zeros that [`Zeros::run`] returns.
pub(super) const LONGEST_RUN: usize = WINDOW / 2;

/// How the writer of the text spells a zero, the separator to the next element included. Used to skip runs of zeros,
/// which make up most of a typical picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zeros {
    /// The spelling, repeated to fill a window.
    text: [u64; WINDOW / 8],
    /// Length of one spelling, in bytes.
    period: u32,
    /// 256 / `period`, rounded up. Multiplying by it replaces a division, which is slow.
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

    /// The spelling of the zero at the start of `text`, if it is one of the known spellings.
    #[cold]
    pub(super) fn spelled(text: &[u8]) -> Option<Self> {
        const SPELLINGS: [&[u8]; 4] = [b"0.0, ", b"0, ", b"0.0,", b"0,"];
        SPELLINGS.iter().find(|spelling| text.starts_with(spelling)).map(|spelling| Self::new(spelling))
    }

    /// The number of zeros at the start of the window, and their length in bytes.
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

/// Reads an integer of at most seven digits and the comma after it. Returns the value and the bytes read.
#[inline]
pub(super) fn integer<T: TryFrom<u32>>(window: &[u8; WINDOW]) -> Option<(T, usize)> {
    let (value, count) = leading_digits(word(window, 0));
    let redundant_zero = window[0] == b'0' && count > 1;
    if count == 0 || count == 8 || redundant_zero || window[count] != b',' {
        return None;
    }
    Some(((value as u32).try_into().ok()?, count + 1))
}

/// Reads an FP32 written as an integer or as a [`fraction`].
#[inline]
pub(super) fn single(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    // FP32 represents every integer of seven digits exactly.
    fraction(window).or_else(|| integer(window).map(|(value, length): (u32, _)| (value as f32, length)))
}

/// Reads an FP32 of one digit, a point, at most sixteen digits and a comma. Returns the value and the bytes read.
#[inline]
fn fraction(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    let sign = usize::from(window[0] == b'-');
    let whole = window[sign] ^ b'0';
    if whole > 9 || window[sign + 1] != b'.' {
        return None;
    }
    let (high, low) = (word(window, sign + 2) ^ ZEROS, word(window, sign + 10) ^ ZEROS);
    let (after_high, after_low) = (others(high), others(low));
    // All bits set if the first eight places are digits, else 0.
    let further = u64::from(after_high == 0).wrapping_neg();
    let count = (after_high.trailing_zeros() + (after_low.trailing_zeros() & further as u32)) / 8;
    let end = sign + 2 + count as usize;
    if count == 0 || window[end] != b',' {
        return None;
    }
    // All sixteen places; those after the last digit count as zeros.
    let low = low & before(after_low) & further;
    let places = eight_digits(high & before(after_high)) * 100_000_000 + eight_digits(low);
    let mantissa = u64::from(whole) * 10_000_000_000_000_000 + places;
    // Processors convert signed integers to floats faster than unsigned ones.
    let value = nearest_f32(mantissa.cast_signed() as f64 * 1e-16)?;
    Some((f32::from_bits(value.to_bits() | (sign as u32) << 31), end + 1))
}

#[inline]
fn word(window: &[u8; WINDOW], start: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&window[start..start + 8]);
    u64::from_le_bytes(word)
}

/// A mask of all bytes before the first byte that [`others`] marked.
#[inline]
fn before(others: u64) -> u64 {
    let first = others >> 7;
    (first & first.wrapping_neg()).wrapping_sub(1)
}

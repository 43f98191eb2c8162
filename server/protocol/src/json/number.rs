//! Numbers. One scan checks the grammar and collects the digits; the value is then computed in the datatype of the
//! tensor.

/// A number as written. Its value is `±mantissa * 10^exponent` if `exact` is true.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    /// The text of the number.
    text: &'a [u8],
    negative: bool,
    /// The digits as one integer.
    mantissa: u64,
    exponent: i32,
    /// Whether `mantissa` and `exponent` hold the whole number. They do if it has few enough digits.
    exact: bool,
    /// Whether the number has neither a fraction nor an exponent.
    integer: bool,
}

/// Any number of this many decimal digits fits in 64 bits.
const MAX_DIGITS: usize = 19;

impl<'a> Number<'a> {
    /// Reads the number that starts at `start`. Returns the number and its end, or the offset at which a digit is
    /// missing.
    #[expect(clippy::inline_always, reason = "as a call, it returns through memory and takes thrice as long")]
    #[inline(always)]
    pub(super) fn scan(bytes: &'a [u8], start: usize) -> Result<(Self, usize), usize> {
        let negative = bytes.get(start) == Some(&b'-');
        let whole = if negative { start + 1 } else { start };
        let mut mantissa = 0_u64;
        let (mut end, mut digit_count) = match bytes.get(whole) {
            Some(b'0') => (whole + 1, 0),
            Some(b'1'..=b'9') => {
                let end = digits(bytes, whole, &mut mantissa);
                (end, end - whole)
            }
            _ => return Err(whole),
        };
        let mut exponent = 0;
        let whole_end = end;
        if bytes.get(end) == Some(&b'.') {
            let fraction = end + 1;
            end = digits(bytes, fraction, &mut mantissa);
            if end == fraction {
                return Err(end);
            }
            digit_count += end - fraction;
            exponent = -i32::try_from(end - fraction).unwrap_or(i32::MAX);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let (value, exponent_end) = scan_exponent(bytes, end + 1)?;
            exponent = exponent.saturating_add(value);
            end = exponent_end;
        }
        let (exact, integer) = (digit_count <= MAX_DIGITS, end == whole_end);
        Ok((Self { text: &bytes[start..end], negative, mantissa, exponent, exact, integer }, end))
    }

    /// The text of the number.
    pub(super) fn as_str(&self) -> &'a str {
        str::from_utf8(self.text).expect("a number is ASCII")
    }

    /// Whether the number has neither a fraction nor an exponent.
    pub(super) fn is_integer(&self) -> bool {
        self.integer
    }

    /// The value of an integer. `None` if it does not fit in 128 bits.
    pub(super) fn to_i128(self) -> Option<i128> {
        if !self.exact {
            return self.as_str().parse().ok();
        }
        let magnitude = i128::from(self.mantissa);
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The nearest FP64. `None` if that is infinite.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        // FP64 represents both factors exactly, so the single operation rounds correctly.
        if self.exact && self.mantissa <= 1 << 53 && self.exponent.unsigned_abs() <= 22 {
            let mantissa = self.mantissa as f64;
            let power = power_of_ten(self.exponent.abs());
            let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
            return Some(if self.negative { -value } else { value });
        }
        self.as_str().parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The nearest FP32. `None` if that is infinite.
    #[inline]
    pub(super) fn to_f32(self) -> Option<f32> {
        // Processors convert signed integers to floats faster than unsigned ones.
        if let Ok(mantissa) = i64::try_from(self.mantissa)
            && self.exact
            && self.exponent.unsigned_abs() <= 30
        {
            // The mantissa, the power and the product are each rounded. The product is never subnormal, because 1e-30
            // is not.
            let value = mantissa as f64 * power_of_ten(self.exponent);
            if let Some(value) = nearest_f32(value) {
                return value.is_finite().then_some(if self.negative { -value } else { value });
            }
        }
        self.as_str().parse().ok().filter(|value: &f32| value.is_finite())
    }
}

/// Rounds `value`, an approximation of a number with an error of at most 3 units in the last place, to the nearest
/// FP32. Returns `None` if `value` is so close to the midpoint of two FP32 that either could be right. The FP32 must
/// not be subnormal.
#[inline]
pub(super) fn nearest_f32(value: f64) -> Option<f32> {
    let below_f32 = value.to_bits() & ((1 << 29) - 1);
    (below_f32.abs_diff(1 << 28) > 4).then_some(value as f32)
}

/// Reads the exponent after an `e`. Returns the exponent and its end.
#[cold]
fn scan_exponent(bytes: &[u8], start: usize) -> Result<(i32, usize), usize> {
    let sign = bytes.get(start);
    let first = if matches!(sign, Some(b'+' | b'-')) { start + 1 } else { start };
    let (mut value, mut end) = (0_i32, first);
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        value = value.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        end += 1;
    }
    if end == first {
        return Err(end);
    }
    Ok((if sign == Some(&b'-') { -value } else { value }, end))
}

/// Appends the digits from `start` on to `mantissa`, modulo 2^64. Returns the end of the digits.
#[inline]
fn digits(bytes: &[u8], start: usize, mantissa: &mut u64) -> usize {
    let mut end = start;
    while let Some(chunk) = bytes[end..].first_chunk::<8>() {
        let (value, count) = leading_digits(u64::from_le_bytes(*chunk));
        *mantissa = mantissa.wrapping_mul(POWERS[count]).wrapping_add(value);
        end += count;
        if count < 8 {
            return end;
        }
    }
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        end += 1;
    }
    end
}

/// The value of the leading digits in eight bytes of text, and their number. It has no branch on that number, which a
/// processor could not predict.
#[inline]
pub(super) fn leading_digits(text: u64) -> (u64, usize) {
    let digits = text ^ ZEROS;
    let count = others(digits).trailing_zeros() / 8;
    // The shift moves the digits to the end of the word, so that zeros come before them.
    let digits = if count == 0 { 0 } else { digits << (64 - 8 * count) };
    (eight_digits(digits), count as usize)
}

/// Eight ASCII zeros.
pub(super) const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Marks bytes above 9 by their highest bit. Only the bits up to the first marked byte are reliable.
#[inline]
pub(super) fn others(word: u64) -> u64 {
    (word.wrapping_add(u64::from_le_bytes([0x76; 8])) | word) & u64::from_le_bytes([0x80; 8])
}

/// Powers of 10, by exponent.
const POWERS: [u64; 9] = {
    let mut powers = [1; 9];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// The value of eight digits. Each digit is a byte from 0 to 9; the first digit is the lowest byte.
#[inline]
pub(super) fn eight_digits(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let (even, odd) = (pairs & 0xff_0000_00ff, (pairs >> 16) & 0xff_0000_00ff);
    (even.wrapping_mul(100 + (1_000_000 << 32)).wrapping_add(odd.wrapping_mul(1 + (10_000 << 32)))) >> 32
}

/// 10 to the power of `exponent`, which must be from -30 to 30.
#[inline]
fn power_of_ten(exponent: i32) -> f64 {
    POWERS_OF_TEN[(exponent + 30) as usize]
}

#[rustfmt::skip]
const POWERS_OF_TEN: [f64; 61] = [
    1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16,
    1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0,
    1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30,
];

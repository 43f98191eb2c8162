//! Sizes are polynomials with integer coefficients over symbols. Each polynomial is stored once, so equal sizes have
//! equal numbers.
//!
//! A symbol is the number of rows, a named dimension, an unknown, or an expression that is not a polynomial. The same
//! expression always has the same symbol.

use std::collections::HashMap;

use super::polynomial::{MAX_TERMS, Polynomial, canonical, times, without};

/// A size, or any other number that graphs compute shapes with. It is an index into [`Sizes`], which holds its value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Size(u32);

impl Size {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const ONE: Self = Self(1);
    /// The number of rows.
    pub(crate) const ROWS: Self = Self(2);
}

/// An operation whose result becomes a symbol if it does not follow from the operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Op {
    Add,
    Mul,
    /// Integer division, rounded towards zero.
    Div,
    /// Division of floating-point numbers.
    FloatDiv,
    Rem,
    Min,
    Max,
    Equal,
    Less,
    Floor,
    Ceil,
    Round,
    Sqrt,
    Pow,
    /// The size of two dimensions after broadcasting.
    Broadcast,
    /// The length of a slice. The operands are the size of the axis and a pair of start and end.
    Slice,
    Pair,
    /// A choice between the two values of a pair, by a condition.
    Where,
    /// The number of elements of a range.
    Range,
}

#[derive(Clone, Copy)]
struct Symbol {
    depends_on_rows: bool,
    never_negative: bool,
    whole: bool,
    /// The value of a constant that is not an integer.
    float: Option<f32>,
}

struct Entry {
    polynomial: Polynomial,
    constant: Option<i64>,
    /// The properties that its symbols have in common.
    traits: Symbol,
    /// Whether the number is the size of an axis, or is computed from such sizes, and so is never negative.
    dimension: bool,
}

/// All sizes of one analysis.
pub(crate) struct Sizes {
    entries: Vec<Entry>,
    symbols: Vec<Symbol>,
    polynomials: HashMap<Polynomial, Size>,
    constants: HashMap<i64, Size>,
    named: HashMap<String, Size>,
    floats: HashMap<u32, Size>,
    opaque: HashMap<(Op, Size, Size), Size>,
    /// The operands of each symbol made by [`Op::Min`].
    least: HashMap<Size, (Size, Size)>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self::new()
    }
}

impl Sizes {
    pub(crate) fn new() -> Self {
        let mut sizes = Self {
            entries: Vec::new(),
            symbols: Vec::new(),
            polynomials: HashMap::new(),
            constants: HashMap::new(),
            named: HashMap::new(),
            floats: HashMap::new(),
            opaque: HashMap::new(),
            least: HashMap::new(),
        };
        sizes.constant(0);
        sizes.constant(1);
        sizes.fresh(true);
        sizes
    }

    #[cfg(test)]
    pub(super) fn polynomial(&self, size: Size) -> &Polynomial {
        &self.entry(size).polynomial
    }

    /// The number of sizes stored.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    fn intern(&mut self, polynomial: Polynomial) -> Size {
        if let Some(&size) = self.polynomials.get(&polynomial) {
            return size;
        }
        let constant = match polynomial.as_slice() {
            [] => Some(0),
            [(monomial, coefficient)] if monomial.is_empty() => Some(*coefficient),
            _ => None,
        };
        let symbols =
            || polynomial.iter().flat_map(|(monomial, _)| monomial).map(|&s| self.symbols[s as usize]);
        let entry = Entry {
            constant,
            traits: Symbol {
                depends_on_rows: symbols().any(|s| s.depends_on_rows),
                never_negative: polynomial.iter().all(|(_, c)| *c >= 0)
                    && symbols().all(|s| s.never_negative),
                whole: symbols().all(|s| s.whole),
                float: None,
            },
            dimension: false,
            polynomial: polynomial.clone(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a graph has far fewer sizes")]
        let size = Size(self.entries.len() as u32);
        self.entries.push(entry);
        self.polynomials.insert(polynomial, size);
        size
    }

    fn entry(&self, size: Size) -> &Entry {
        &self.entries[size.0 as usize]
    }

    fn symbol(&mut self, symbol: Symbol) -> Size {
        #[expect(clippy::cast_possible_truncation, reason = "a graph has far fewer symbols")]
        let number = self.symbols.len() as u32;
        self.symbols.push(symbol);
        self.intern(vec![(vec![number], 1)])
    }

    pub(crate) fn constant(&mut self, value: i64) -> Size {
        if let Some(&size) = self.constants.get(&value) {
            return size;
        }
        let size = self.intern(if value == 0 { Vec::new() } else { vec![(Vec::new(), value)] });
        self.constants.insert(value, size);
        size
    }

    /// A floating-point constant. Integers are stored as by [`Self::constant`].
    pub(crate) fn float(&mut self, value: f32) -> Size {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        if value.fract() == 0.0 && value.abs() < 1e15 {
            return self.constant(value as i64);
        }
        if let Some(&size) = self.floats.get(&value.to_bits()) {
            return size;
        }
        let size = self.symbol(Symbol {
            depends_on_rows: false,
            never_negative: value >= 0.0,
            whole: false,
            float: Some(value),
        });
        self.floats.insert(value.to_bits(), size);
        size
    }

    /// The size of a named dimension.
    pub(crate) fn named(&mut self, name: &str) -> Size {
        if let Some(&size) = self.named.get(name) {
            return size;
        }
        let size = self.fresh(false);
        self.named.insert(name.to_owned(), size);
        size
    }

    /// A dimension of unknown size.
    pub(crate) fn fresh(&mut self, depends_on_rows: bool) -> Size {
        self.symbol(Symbol { depends_on_rows, never_negative: true, whole: true, float: None })
    }

    pub(crate) fn as_constant(&self, size: Size) -> Option<i64> {
        self.entry(size).constant
    }

    #[expect(clippy::cast_precision_loss, reason = "ONNX Runtime computes in the same precision")]
    pub(crate) fn as_float(&self, size: Size) -> Option<f32> {
        let entry = self.entry(size);
        match entry.polynomial.as_slice() {
            [(monomial, 1)] if monomial.len() == 1 => self.symbols[monomial[0] as usize].float,
            _ => entry.constant.map(|value| value as f32),
        }
    }

    /// Whether the size is independent of the number of rows and their values.
    pub(crate) fn is_free(&self, size: Size) -> bool {
        !self.entry(size).traits.depends_on_rows
    }

    pub(crate) fn is_never_negative(&self, size: Size) -> bool {
        self.entry(size).traits.never_negative || self.entry(size).dimension
    }

    /// Records that a value has an axis of this size.
    pub(crate) fn mark_dimension(&mut self, size: Size) {
        self.entries[size.0 as usize].dimension = true;
    }

    pub(crate) fn is_whole(&self, size: Size) -> bool {
        self.entry(size).traits.whole
    }

    /// Whether the size is at least 1 for all values of the symbols.
    pub(crate) fn is_positive(&self, size: Size) -> bool {
        let entry = self.entry(size);
        entry.traits.never_negative
            && entry.traits.whole
            && entry.polynomial.last().is_some_and(|(monomial, _)| monomial.is_empty())
    }

    /// Whether `size` is the minimum of `other` and a constant of at least 2.
    pub(crate) fn is_capped(&self, size: Size, other: Size) -> bool {
        let Some(&(a, b)) = self.least.get(&size) else { return false };
        let at_least_two = |size| self.as_constant(size).is_some_and(|size| size >= 2);
        (a == other && at_least_two(b)) || (b == other && at_least_two(a))
    }

    /// The symbol of an expression that is not a polynomial.
    pub(crate) fn opaque(&mut self, op: Op, a: Size, b: Size) -> Size {
        if let Some(&size) = self.opaque.get(&(op, a, b)) {
            return size;
        }
        let positive = self.is_never_negative(a) && self.is_never_negative(b);
        let (never_negative, whole) = match op {
            Op::Broadcast | Op::Slice | Op::Range | Op::Equal | Op::Less => (true, true),
            Op::Div => (positive, true),
            Op::Floor | Op::Ceil | Op::Round => (self.is_never_negative(a), true),
            Op::FloatDiv | Op::Sqrt | Op::Pow => (positive, false),
            Op::Add | Op::Mul | Op::Rem | Op::Min | Op::Max => {
                (positive, self.is_whole(a) && self.is_whole(b))
            }
            Op::Pair | Op::Where => (false, false),
        };
        let depends_on_rows = !self.is_free(a) || !self.is_free(b);
        let size = self.symbol(Symbol { depends_on_rows, never_negative, whole, float: None });
        self.opaque.insert((op, a, b), size);
        if op == Op::Min {
            self.least.insert(size, (a, b));
        }
        size
    }

    pub(crate) fn add(&mut self, a: Size, b: Size) -> Size {
        let sum = self.sum(a, b);
        self.inherit_sign(a, b, sum);
        sum
    }

    /// Records that a result of two sizes that are never negative, computed without subtraction, is never negative
    /// either.
    fn inherit_sign(&mut self, a: Size, b: Size, result: Size) {
        if self.is_never_negative(a) && self.is_never_negative(b) {
            self.mark_dimension(result);
        }
    }

    fn sum(&mut self, a: Size, b: Size) -> Size {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(0), _) => return b,
            (_, Some(0)) => return a,
            _ => {}
        }
        if !(self.is_whole(a) && self.is_whole(b)) {
            // rounding: only integers follow the laws of polynomials
            return match (self.as_float(a), self.as_float(b)) {
                (Some(x), Some(y)) => self.float(x + y),
                _ => self.opaque(Op::Add, a.min(b), a.max(b)),
            };
        }
        let terms = [self.entry(a).polynomial.as_slice(), &self.entry(b).polynomial].concat();
        match canonical(terms) {
            Some(sum) => self.intern(sum),
            None => self.opaque(Op::Add, a.min(b), a.max(b)),
        }
    }

    pub(crate) fn negate(&mut self, a: Size) -> Size {
        let minus = self.constant(-1);
        self.mul(a, minus)
    }

    pub(crate) fn sub(&mut self, a: Size, b: Size) -> Size {
        let b = self.negate(b);
        self.add(a, b)
    }

    pub(crate) fn mul(&mut self, a: Size, b: Size) -> Size {
        let product = self.times(a, b);
        self.inherit_sign(a, b, product);
        product
    }

    fn times(&mut self, a: Size, b: Size) -> Size {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(1), _) => return b,
            (_, Some(1)) => return a,
            _ => {}
        }
        if !(self.is_whole(a) && self.is_whole(b)) {
            // rounding: only integers follow the laws of polynomials
            return match (self.as_float(a), self.as_float(b)) {
                (Some(x), Some(y)) => self.float(x * y),
                _ => self.opaque(Op::Mul, a.min(b), a.max(b)),
            };
        }
        let mut terms = Vec::new();
        let mut overflow = false;
        for (monomial, coefficient) in &self.entry(a).polynomial {
            for (other, factor) in &self.entry(b).polynomial {
                match coefficient.checked_mul(*factor) {
                    Some(product) => terms.push((times(monomial, other), product)),
                    None => overflow = true,
                }
            }
        }
        match canonical(terms).filter(|_| !overflow) {
            Some(product) => self.intern(product),
            None => self.opaque(Op::Mul, a.min(b), a.max(b)),
        }
    }

    pub(crate) fn product(&mut self, sizes: &[Size]) -> Size {
        sizes.iter().fold(Size::ONE, |product, &size| self.mul(product, size))
    }

    /// `a / b`, if `b` divides `a` for all values of the symbols.
    pub(crate) fn divide(&mut self, a: Size, b: Size) -> Option<Size> {
        if b == Size::ONE {
            return Some(a);
        }
        if !(self.is_whole(a) && self.is_whole(b)) {
            return None;
        }
        let (leading, factor) = self.entry(b).polynomial.first()?.clone();
        let divisor = self.entry(b).polynomial.clone();
        let mut rest = self.entry(a).polynomial.clone();
        let mut quotient = Vec::new();
        while let Some((monomial, coefficient)) = rest.first() {
            if coefficient.checked_rem(factor)? != 0 || quotient.len() > MAX_TERMS {
                return None;
            }
            let (monomial, coefficient) = (without(monomial, &leading)?, coefficient.checked_div(factor)?);
            for (other, scale) in &divisor {
                rest.push((times(&monomial, other), scale.checked_mul(coefficient)?.checked_neg()?));
            }
            rest = canonical(rest)?;
            quotient.push((monomial, coefficient));
        }
        let quotient = self.intern(canonical(quotient)?);
        self.inherit_sign(a, b, quotient);
        Some(quotient)
    }
}

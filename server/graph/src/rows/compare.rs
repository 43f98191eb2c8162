//! Comparison, division and rounding of sizes.

use super::size::{Op, Size, Sizes};

impl Sizes {
    /// Whether `a` equals `b`, if that holds for all values of the symbols. `None` if it depends on them.
    pub(crate) fn equal(&mut self, a: Size, b: Size) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        let (more, less) = (self.sub(a, b), self.sub(b, a));
        let differ = self.as_float(more).is_some_and(|difference| difference != 0.0)
            || self.is_positive(more)
            || self.is_positive(less);
        differ.then_some(false)
    }

    /// Whether `a` is less than `b`, if that holds for all values of the symbols. `None` if it depends on them.
    pub(crate) fn less(&mut self, a: Size, b: Size) -> Option<bool> {
        let (more, less) = (self.sub(b, a), self.sub(a, b));
        if let Some(difference) = self.as_float(more) {
            return Some(difference > 0.0);
        }
        match (self.is_positive(more), self.is_never_negative(less)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// The size of the result when dimensions `a` and `b` are broadcast.
    pub(crate) fn broadcast(&mut self, a: Size, b: Size) -> Size {
        match (self.as_constant(a), self.as_constant(b)) {
            _ if a == b => a,
            (Some(1), _) => b,
            (_, Some(1)) | (Some(_), _) => a,
            (_, Some(_)) => b,
            // if the constant were the smaller one, the two could not be broadcast
            _ if self.is_capped(a, b) => b,
            _ if self.is_capped(b, a) => a,
            _ => self.opaque(Op::Broadcast, a.min(b), a.max(b)),
        }
    }

    /// The quotient of two elements. Integers are rounded towards zero.
    pub(crate) fn quotient(&mut self, a: Size, b: Size, is_float: bool) -> Option<Size> {
        if b == Size::ZERO {
            return None;
        }
        if let Some(exact) = self.divide(a, b) {
            return Some(exact);
        }
        if is_float {
            return Some(match (self.as_float(a), self.as_float(b)) {
                (Some(x), Some(y)) => self.float(x / y),
                _ => self.opaque(Op::FloatDiv, a, b),
            });
        }
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(x), Some(y)) => x.checked_div(y).map(|quotient| self.constant(quotient)),
            _ => Some(self.opaque(Op::Div, a, b)),
        }
    }

    /// The remainder of integer division, with the sign of the divisor.
    pub(crate) fn remainder(&mut self, a: Size, b: Size) -> Option<Size> {
        match (self.as_constant(a), self.as_constant(b)) {
            (_, Some(0)) => None,
            (Some(x), Some(y)) if y > 0 => Some(self.constant(x.rem_euclid(y))),
            _ if self.divide(a, b).is_some() => Some(Size::ZERO),
            _ => Some(self.opaque(Op::Rem, a, b)),
        }
    }

    /// `a` rounded towards zero.
    pub(crate) fn towards_zero(&mut self, a: Size) -> Option<Size> {
        if self.is_whole(a) {
            return Some(a);
        }
        if let Some(value) = self.as_float(a) {
            return Some(self.float(value.trunc()));
        }
        self.is_never_negative(a).then(|| self.opaque(Op::Floor, a, Size::ZERO))
    }

    /// `a` rounded by [`Op::Floor`], [`Op::Ceil`] or [`Op::Round`].
    pub(crate) fn round(&mut self, a: Size, op: Op) -> Size {
        if self.is_whole(a) {
            return a;
        }
        let Some(value) = self.as_float(a) else { return self.opaque(op, a, Size::ZERO) };
        self.float(match op {
            Op::Floor => value.floor(),
            Op::Ceil => value.ceil(),
            _ => value.round_ties_even(),
        })
    }

    pub(crate) fn most(&mut self, a: Size, b: Size) -> Size {
        match self.less(a, b) {
            Some(true) => b,
            Some(false) => a,
            None => self.opaque(Op::Max, a.min(b), a.max(b)),
        }
    }

    pub(crate) fn least(&mut self, a: Size, b: Size) -> Size {
        match self.less(a, b) {
            Some(true) => a,
            Some(false) => b,
            None => self.opaque(Op::Min, a.min(b), a.max(b)),
        }
    }
}

//! Polynomials with integer coefficients, as sorted lists of terms.

/// Highest number of terms. A longer polynomial is replaced by a new symbol.
pub(crate) const MAX_TERMS: usize = 16;
/// Highest degree of a product. A product of more symbols is replaced by a new symbol.
const MAX_DEGREE: usize = 12;

/// Symbols in ascending order. A symbol is repeated as often as its power.
pub(crate) type Monomial = Vec<u32>;
/// Terms in descending order of their monomials. No coefficient is zero.
pub(crate) type Polynomial = Vec<(Monomial, i64)>;

/// Orders by degree, then by symbols. Multiplication keeps this order, which division requires.
fn order(a: &Monomial, b: &Monomial) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| b.cmp(a))
}

pub(crate) fn times(a: &Monomial, b: &Monomial) -> Monomial {
    let mut product = [a.as_slice(), b].concat();
    product.sort_unstable();
    product
}

/// `a` divided by `b`. `None` if `a` is not a multiple of `b`.
pub(crate) fn without(a: &Monomial, b: &Monomial) -> Option<Monomial> {
    let mut rest = a.clone();
    for symbol in b {
        let position = rest.iter().position(|s| s == symbol)?;
        rest.remove(position);
    }
    Some(rest)
}

/// Sorts the terms, adds up equal monomials and drops zeros. `None` on overflow, or if there are too many terms.
pub(crate) fn canonical(mut terms: Polynomial) -> Option<Polynomial> {
    terms.sort_by(|a, b| order(&b.0, &a.0));
    let mut joined: Polynomial = Vec::with_capacity(terms.len());
    for (monomial, coefficient) in terms {
        match joined.last_mut() {
            Some(last) if last.0 == monomial => last.1 = last.1.checked_add(coefficient)?,
            _ => joined.push((monomial, coefficient)),
        }
    }
    joined.retain(|term| term.1 != 0);
    let fits = joined.len() <= MAX_TERMS && joined.iter().all(|(monomial, _)| monomial.len() <= MAX_DEGREE);
    fits.then_some(joined)
}

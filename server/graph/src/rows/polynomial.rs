//! Polynomials with integer coefficients, as sorted lists of terms.

/// Longer polynomials become a symbol.
pub(crate) const MOST_TERMS: usize = 16;
/// Products of more symbols become a symbol.
const HIGHEST_DEGREE: usize = 12;

/// Symbols in ascending order, each as often as its power.
pub(crate) type Monomial = Vec<u32>;
/// Terms in descending order of their monomials, without zeros.
pub(crate) type Polynomial = Vec<(Monomial, i64)>;

/// Degree first, then the symbols: an order that multiplication keeps, as division needs.
fn order(a: &Monomial, b: &Monomial) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| b.cmp(a))
}

pub(crate) fn times(a: &Monomial, b: &Monomial) -> Monomial {
    let mut product = [a.as_slice(), b].concat();
    product.sort_unstable();
    product
}

/// What is left of `a` without the symbols of `b`; none where `a` lacks one.
pub(crate) fn without(a: &Monomial, b: &Monomial) -> Option<Monomial> {
    let mut rest = a.clone();
    for symbol in b {
        let position = rest.iter().position(|s| s == symbol)?;
        rest.remove(position);
    }
    Some(rest)
}

/// Sorts, joins equal monomials and drops zeros. None on overflow, or where it is too long.
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
    let fits =
        joined.len() <= MOST_TERMS && joined.iter().all(|(monomial, _)| monomial.len() <= HIGHEST_DEGREE);
    fits.then_some(joined)
}

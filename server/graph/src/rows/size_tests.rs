//! Compares sizes with the numbers that they stand for.

use super::{
    polynomial::Polynomial,
    size::{Op, Size, Sizes},
};

/// A generator of pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn value(sizes: &Sizes, size: Size, symbols: &[i64]) -> i64 {
    let terms: &Polynomial = sizes.polynomial(size);
    terms
        .iter()
        .map(|(symbols_of, factor)| symbols_of.iter().map(|&s| symbols[s as usize]).product::<i64>() * factor)
        .sum()
}

#[test]
fn sums_products_and_quotients_are_those_of_numbers() {
    let mut numbers = Numbers(1);
    for _ in 0..500 {
        let mut sizes = Sizes::new();
        let mut pool = vec![(Size::ROWS, 0), (sizes.named("a"), 1), (sizes.named("b"), 2)];
        let symbols: Vec<i64> = (0..3).map(|_| 1 + i64::try_from(numbers.below(7)).unwrap()).collect();
        for entry in &mut pool {
            entry.1 = symbols[usize::try_from(entry.1).unwrap()];
        }
        for constant in [-2, 0, 1, 3] {
            pool.push((sizes.constant(constant), constant));
        }
        for _ in 0..12 {
            let pick = |numbers: &mut Numbers| usize::try_from(numbers.below(pool.len() as u64)).unwrap();
            let ((a, x), (b, y)) = (pool[pick(&mut numbers)], pool[pick(&mut numbers)]);
            let next = match numbers.below(4) {
                0 => Some((sizes.add(a, b), x.wrapping_add(y))),
                1 => Some((sizes.mul(a, b), x.wrapping_mul(y))),
                2 => Some((sizes.sub(a, b), x.wrapping_sub(y))),
                _ => sizes.divide(a, b).filter(|_| y != 0).map(|quotient| (quotient, x / y)),
            };
            let Some((size, number)) = next else { continue };
            // an expression that is too long becomes a new symbol, for which this test has no value
            if sizes.polynomial(size).iter().any(|(s, _)| s.iter().any(|&s| s > 2)) || number.abs() > 1 << 40
            {
                continue;
            }
            assert_eq!(value(&sizes, size, &symbols), number);
            if let Some(equal) = sizes.equal(a, b) {
                assert_eq!(equal, x == y);
            }
            if let Some(less) = sizes.less(a, b) {
                assert_eq!(less, x < y);
            }
            pool.push((size, number));
        }
    }
}

#[test]
fn equal_expressions_are_equal() {
    let mut sizes = Sizes::new();
    let (a, two) = (sizes.named("a"), sizes.constant(2));
    let (left, right) = (sizes.add(a, Size::ROWS), sizes.add(Size::ROWS, a));
    assert_eq!(left, right);
    let (square, product) = (sizes.mul(left, right), sizes.mul(right, left));
    assert_eq!(square, product);
    assert_eq!(sizes.divide(square, left), Some(left));
    let (half, again) = (sizes.quotient(a, two, false), sizes.quotient(a, two, false));
    assert_eq!(half, again);
    assert_ne!(half, sizes.quotient(a, two, true));
    let fresh = (sizes.fresh(false), sizes.fresh(false));
    assert_ne!(fresh.0, fresh.1);
}

#[test]
fn what_depends_on_rows_says_so() {
    let mut sizes = Sizes::new();
    let (a, seven) = (sizes.named("a"), sizes.constant(7));
    assert!(sizes.is_free(a) && !sizes.is_free(Size::ROWS));
    let most = sizes.opaque(Op::Max, Size::ROWS, a);
    assert!(!sizes.is_free(most));
    let rest = sizes.opaque(Op::Rem, a, seven);
    assert!(sizes.is_free(rest));
    let product = sizes.mul(Size::ROWS, seven);
    assert_eq!(sizes.divide(product, Size::ROWS), Some(seven));
    assert_eq!(sizes.divide(seven, Size::ROWS), None);
    assert_eq!(sizes.divide(Size::ROWS, Size::ZERO), None);
    let gone = sizes.sub(product, product);
    assert_eq!(gone, Size::ZERO);
}

#[test]
fn rounded_numbers_do_not_cancel() {
    let mut sizes = Sizes::new();
    let tenth = sizes.float(0.1);
    let scaled = sizes.mul(Size::ROWS, tenth);
    // 0.1 is rounded, and so is the product, so dividing again does not give the original number
    assert_ne!(sizes.quotient(scaled, tenth, true), Some(Size::ROWS));
    let (one, ten) = (sizes.float(1.0), sizes.float(10.0));
    assert_eq!(one, Size::ONE);
    let product = sizes.mul(tenth, ten);
    assert_eq!(sizes.as_float(product), Some(0.1_f32 * 10.0));
}

#[test]
fn long_expressions_become_symbols() {
    let mut sizes = Sizes::new();
    let mut sum = Size::ONE;
    for index in 0..64 {
        let name = sizes.named(&format!("d{index}"));
        sum = sizes.add(sum, name);
    }
    let square = sizes.mul(sum, sum);
    assert!(sizes.polynomial(square).len() <= 16);
    let huge = sizes.constant(i64::MAX);
    let more = sizes.add(huge, huge);
    assert_eq!(sizes.as_constant(more), None);
}

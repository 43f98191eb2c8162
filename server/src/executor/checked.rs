//! Operators that replace those of ONNX Runtime which can end the process. `onnx_graph::rewrite` puts them into models.
//!
//! ONNX Runtime's integer division raises a signal if the quotient does not fit its type, and in older versions if the
//! divisor is zero. Some other operators raise one if a tensor has no elements.

use std::marker::PhantomData;

use onnx_graph::rewrite::CHECKED_DOMAIN;
use ort::{
    operator::{
        BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
    },
    value::{PrimitiveTensorElementType, TensorElementType},
};

use super::broadcast::Broadcast;

/// Returns all of these operators, for the session of a model that uses some.
pub(super) fn operators() -> ort::Result<OperatorDomain> {
    let mut domain = OperatorDomain::new(CHECKED_DOMAIN)?;
    for operation in [Operation::Div, Operation::Mod, Operation::Fmod] {
        domain = domain
            .add(Checked::<i8>::new(operation))?
            .add(Checked::<i16>::new(operation))?
            .add(Checked::<i32>::new(operation))?
            .add(Checked::<i64>::new(operation))?
            .add(Checked::<u8>::new(operation))?
            .add(Checked::<u16>::new(operation))?
            .add(Checked::<u32>::new(operation))?
            .add(Checked::<u64>::new(operation))?
            .add(Checked::<f32>::new(operation))?
            .add(Checked::<f64>::new(operation))?
            .add(Checked::<half::f16>::new(operation))?
            .add(Checked::<half::bf16>::new(operation))?;
    }
    domain.add(NotEmpty)?.add(Positive::<i32>::new())?.add(Positive::<i64>::new())
}

/// A computation with two numbers.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// The quotient, rounded towards zero.
    Div,
    /// The remainder with the divisor's sign.
    Mod,
    /// The remainder with the dividend's sign: ONNX's `Mod` with `fmod` 1.
    Fmod,
}

/// A number type that the operators compute with.
trait Number: PrimitiveTensorElementType + Copy + std::fmt::Debug + Send + Sync + 'static {
    /// Computes the result. Returns `None` if an integer is divided by zero. A result that does not fit the type
    /// wraps.
    fn checked(operation: Operation, dividend: Self, divisor: Self) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty),*; $differ_in_sign:expr) => {$(
        impl Number for $type {
            fn checked(operation: Operation, dividend: Self, divisor: Self) -> Option<Self> {
                if divisor == 0 {
                    return None;
                }
                Some(match operation {
                    Operation::Div => dividend.wrapping_div(divisor),
                    Operation::Fmod => dividend.wrapping_rem(divisor),
                    Operation::Mod => {
                        let remainder = dividend.wrapping_rem(divisor);
                        let differs_in_sign = remainder != 0 && ($differ_in_sign)(remainder.into(), divisor.into());
                        if differs_in_sign { remainder + divisor } else { remainder }
                    }
                })
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn checked(operation: Operation, dividend: Self, divisor: Self) -> Option<Self> {
                Some(match operation {
                    Operation::Div => dividend / divisor,
                    Operation::Mod | Operation::Fmod => dividend % divisor,
                })
            }
        }
    )*};
}

integers!(i8, i16, i32, i64; |one: i64, other: i64| (one < 0) != (other < 0));
integers!(u8, u16, u32, u64; |_: u64, _: u64| false);
floats!(f32, f64, half::f16, half::bf16);

/// One operator for one type of elements. ONNX Runtime chooses among those of one name by the type of the inputs.
struct Checked<T> {
    operation: Operation,
    element: PhantomData<T>,
}

impl<T> Checked<T> {
    fn new(operation: Operation) -> Self {
        Self { operation, element: PhantomData }
    }
}

impl<T: Number> Operator for Checked<T> {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Div => "Div",
            Operation::Mod => "Mod",
            Operation::Fmod => "Fmod",
        }
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [
            OperatorInput::required(T::into_tensor_element_type()),
            OperatorInput::required(T::into_tensor_element_type()),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(T::into_tensor_element_type())]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let operation = self.operation;
        Ok(Box::new(move |context: &ComputeContext| compute::<T>(operation, context)))
    }
}

/// Computes the operator's output.
///
/// # Errors
/// An integer is divided by zero, or the shapes cannot be broadcast together.
fn compute<T: Number>(operation: Operation, context: &ComputeContext) -> ort::Result<()> {
    let missing = || ort::Error::new("a tensor is missing");
    let (dividend, divisor) =
        (context.input(0)?.ok_or_else(missing)?, context.input(1)?.ok_or_else(missing)?);
    let (dividend_shape, dividend) = dividend.try_extract_tensor::<T>()?;
    let (divisor_shape, divisor) = divisor.try_extract_tensor::<T>()?;
    let plan = Broadcast::new(dividend_shape, divisor_shape).map_err(ort::Error::new)?;
    let mut quotient = context.output(0, plan.shape().to_vec())?.ok_or_else(missing)?;
    let (_, quotient) = quotient.try_extract_tensor_mut::<T>()?;
    let mut is_whole = true;
    plan.run(quotient, dividend, divisor, |dividend, divisor| {
        T::checked(operation, dividend, divisor).unwrap_or_else(|| {
            is_whole = false;
            dividend
        })
    });
    if is_whole { Ok(()) } else { Err(ort::Error::new("division by zero")) }
}

/// Passes a shape on, and fails if a size in it is 0. With the attribute `axis`, only that size is checked.
struct NotEmpty;

impl Operator for NotEmpty {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &'static str {
        "NotEmpty"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Int64)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Int64)]
    }

    fn create_kernel<'attr>(&self, attributes: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let axis = attributes.get::<i64>("axis").and_then(|axis| usize::try_from(axis).ok());
        Ok(Box::new(move |context: &ComputeContext| pass::<i64>(context, |shape| not_empty(shape, axis))))
    }
}

fn not_empty(shape: &[i64], axis: Option<usize>) -> Result<(), String> {
    let is_empty = |(at, size): (usize, &i64)| *size == 0 && axis.is_none_or(|axis| at == axis);
    if shape.iter().enumerate().any(is_empty) {
        return Err(format!("an input of shape {shape:?} has no elements"));
    }
    Ok(())
}

/// Passes integers on, and fails if one is less than 1.
struct Positive<T>(PhantomData<T>);

impl<T> Positive<T> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Number + Into<i64>> Operator for Positive<T> {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &'static str {
        "Positive"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(T::into_tensor_element_type())]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(T::into_tensor_element_type())]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        Ok(Box::new(|context: &ComputeContext| pass::<T>(context, positive)))
    }
}

fn positive<T: Copy + Into<i64>>(values: &[T]) -> Result<(), String> {
    match values.iter().map(|value| (*value).into()).find(|value| *value < 1) {
        Some(value) => Err(format!("a length is {value}, but must be at least 1")),
        None => Ok(()),
    }
}

/// Copies the input to the output if `check` accepts it.
fn pass<T: Number>(context: &ComputeContext, check: impl Fn(&[T]) -> Result<(), String>) -> ort::Result<()> {
    let missing = || ort::Error::new("a tensor is missing");
    let given = context.input(0)?.ok_or_else(missing)?;
    let (shape, values) = given.try_extract_tensor::<T>()?;
    check(values).map_err(ort::Error::new)?;
    let mut passed = context.output(0, shape.to_vec())?.ok_or_else(missing)?;
    passed.try_extract_tensor_mut::<T>()?.1.copy_from_slice(values);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_do_not_fit_wrap_and_division_by_zero_is_refused() {
        let div = |a, b| i64::checked(Operation::Div, a, b);
        assert_eq!(div(i64::MIN, -1), Some(i64::MIN));
        assert_eq!((div(7, 2), div(-7, 2), div(7, -2)), (Some(3), Some(-3), Some(-3)));
        for operation in [Operation::Div, Operation::Mod, Operation::Fmod] {
            assert_eq!(i64::checked(operation, 7, 0), None);
            assert_eq!(u8::checked(operation, 7, 0), None);
        }
        assert_eq!(i32::checked(Operation::Mod, i32::MIN, -1), Some(0));
        assert_eq!(f32::checked(Operation::Div, 1.0, 0.0), Some(f32::INFINITY));
    }

    #[test]
    fn a_remainder_has_the_sign_of_the_divisor_or_with_fmod_of_the_dividend() {
        let both = |a: i32, b| [Operation::Mod, Operation::Fmod].map(|of| i32::checked(of, a, b).unwrap());
        assert_eq!(both(7, 3), [1, 1]);
        assert_eq!(both(-7, 3), [2, -1]);
        assert_eq!(both(7, -3), [-2, 1]);
        assert_eq!(both(-7, -3), [-1, -1]);
        assert_eq!(both(6, -3), [0, 0]);
        assert_eq!(u8::checked(Operation::Mod, 250, 7), Some(5));
    }

    #[test]
    fn shapes_without_elements_and_lengths_below_one_are_refused() {
        assert!(not_empty(&[2, 3], None).is_ok() && not_empty(&[], None).is_ok());
        assert!(not_empty(&[2, 0], None).unwrap_err().contains("[2, 0]"));
        assert!(not_empty(&[0, 2], Some(1)).is_ok() && not_empty(&[2, 0], Some(1)).is_err());
        assert!(positive(&[1_i64, 7]).is_ok() && positive::<i32>(&[]).is_ok());
        assert!(positive(&[3, 0]).unwrap_err().contains("a length is 0"));
        assert!(positive(&[i64::MIN]).is_err());
    }
}

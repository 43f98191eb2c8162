//! Running batches on one session of ONNX Runtime.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use compact_str::CompactString;
use half::{bf16, f16};
use oip::{Datatype, Shape, Tensor};
use ort::{
    session::{
        OverridableInitializer, RunOptions, Session, SessionInputValue, SessionInputs, SessionOutputs,
    },
    value::{DynValue, Outlet, PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType},
};
use smallvec::SmallVec;

use super::{
    BatchInput, ExecuteError, Executor, ModelSource, Runtime, RuntimeError, SessionOptions, Stop,
    stop::StoppableRun, strings,
};
use crate::model::{Dimension, Signature, TensorSpec};

/// Most elements of an optional input's default. An initializer with more is a weight, which no request replaces.
const MOST_DEFAULT_ELEMENTS: i64 = 1024;

/// One session of a model, which runs one batch at a time.
pub struct OnnxExecutor {
    session: Session,
    /// Number of outputs.
    outputs: usize,
    /// Number of required inputs, which come first.
    required: usize,
    /// Names of the optional inputs, which come after the required ones.
    optional: Vec<CompactString>,
    /// Options of a run after which ONNX Runtime frees the memory that it would keep for the next run. `None` on a
    /// GPU.
    freeing: Option<RunOptions>,
    /// Bytes of all inputs up to which ONNX Runtime keeps its memory after a run.
    usual_bytes: usize,
    on_gpu: bool,
}

impl fmt::Debug for OnnxExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxExecutor").field("session", &self.session).finish_non_exhaustive()
    }
}

impl OnnxExecutor {
    /// Makes a session and reads the signature of its model.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or it has inputs or outputs that the protocol cannot carry.
    pub fn load(
        runtime: &Runtime,
        source: &ModelSource,
        options: &SessionOptions,
    ) -> Result<(Self, Signature), RuntimeError> {
        let (session, on_gpu) = runtime.session(source, options)?;
        let spec = |outlet: &Outlet| spec_of(outlet.name(), outlet.dtype());
        let mut inputs = session.inputs().iter().map(spec).collect::<Result<Vec<_>, _>>()?;
        let outputs = session.outputs().iter().map(spec).collect::<Result<Vec<_>, _>>()?;
        let required = inputs.len();
        inputs.extend(optional_inputs(&session.overridable_initializers()));
        let optional = inputs[required..].iter().map(|spec| spec.name.clone()).collect();
        let freeing = if on_gpu { None } else { Runtime::memory_freeing_options() };
        let usual_bytes = usize::MAX;
        let executor =
            Self { session, outputs: outputs.len(), required, optional, freeing, usual_bytes, on_gpu };
        Ok((executor, Signature { inputs, outputs }))
    }

    /// Returns whether the session runs on a GPU.
    pub fn is_on_gpu(&self) -> bool {
        self.on_gpu
    }

    /// Runs a batch of the usual largest size at warm-up and frees its memory, so that a model without requests
    /// occupies none. From now on, ONNX Runtime keeps the memory of batches up to this size and frees that of larger
    /// ones.
    ///
    /// # Errors
    /// ONNX Runtime fails. The executor stays usable.
    pub fn warm_full_batch(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<(), ExecuteError> {
        self.usual_bytes = 0;
        self.execute(inputs, stop)?;
        self.usual_bytes = bytes(inputs);
        Ok(())
    }
}

/// Returns the bytes of all inputs together.
fn bytes(inputs: &[BatchInput<'_>]) -> usize {
    inputs.iter().map(|input| input.data.len()).sum()
}

impl Executor for OnnxExecutor {
    fn execute(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError> {
        let values = inputs.iter().map(input_value).collect::<Result<SmallVec<[_; 4]>, _>>()?;
        let _running = stop.map(|_| StoppableRun::new());
        let freeing = self.freeing.as_ref().filter(|_| bytes(inputs) > self.usual_bytes);
        let stoppable = stop.map(|stop| stoppable(stop, freeing.is_some())).transpose()?;
        let options = stoppable.as_deref().or(freeing);
        let results = if inputs.last().is_none_or(|last| last.position < self.required) {
            run(&mut self.session, &values[..], options)
        } else {
            let names = inputs.iter().map(|input| match input.position.checked_sub(self.required) {
                None => Cow::Owned(self.session.inputs()[input.position].name().to_owned()),
                Some(optional) => Cow::Borrowed(self.optional[optional].as_str()),
            });
            let named = names.zip(values).collect::<Vec<_>>();
            run(&mut self.session, SessionInputs::<0>::ValueMap(named), options)
        };
        let results = results.map_err(|error| ExecuteError::from_run(&error))?;
        let mut tensors = Vec::with_capacity(self.outputs);
        for value in results.values() {
            tensors.push(output_tensor(&value)?);
        }
        Ok(tensors)
    }
}

/// Makes the options of one run, which `stop` can end. Each run gets options of its own: with shared options, a stop
/// that comes a moment too late would end the next run.
fn stoppable(stop: &Stop, frees_memory: bool) -> Result<Arc<RunOptions>, ExecuteError> {
    let freeing = if frees_memory { Runtime::memory_freeing_options() } else { None };
    let options = freeing.map_or_else(RunOptions::new, Ok).map_err(ExecuteError::server)?;
    let options = Arc::new(options);
    let end = Arc::clone(&options);
    stop.set_end(move || {
        if let Err(error) = end.terminate() {
            tracing::warn!(%error, "ONNX Runtime cannot end a run");
        }
    });
    Ok(options)
}

/// Returns the inputs that have a default. Old exporters list weights among them. If one of them is a weight, no input
/// counts as optional.
fn optional_inputs(initializers: &[OverridableInitializer]) -> Vec<TensorSpec> {
    let spec = |initializer: &OverridableInitializer| {
        let spec = spec_of(initializer.name(), initializer.dtype()).ok()?;
        Some(TensorSpec { optional: true, ..spec })
    };
    let specs: Vec<_> = initializers.iter().filter_map(spec).collect();
    let elements = |spec: &TensorSpec| spec.shape().iter().product::<i64>();
    if specs.iter().any(|spec| elements(spec) > MOST_DEFAULT_ELEMENTS) { Vec::new() } else { specs }
}

fn run<'s, 'i, 'v: 'i>(
    session: &'s mut Session,
    inputs: impl Into<SessionInputs<'i, 'v>>,
    options: Option<&'s RunOptions>,
) -> ort::Result<SessionOutputs<'s>> {
    match options {
        None => session.run(inputs),
        Some(options) => session.run_with_options(inputs, options),
    }
}

fn spec_of(name: &str, of: &ValueType) -> Result<TensorSpec, RuntimeError> {
    let refused = |what: String| RuntimeError::NotCarried { name: name.to_owned(), what };
    let ValueType::Tensor { ty, shape, dimension_symbols } = of else {
        return Err(refused(format!("a {of}")));
    };
    let datatype = datatype_of(*ty).ok_or_else(|| refused(format!("a tensor of {ty}")))?;
    let dims = shape
        .iter()
        .zip(dimension_symbols.iter())
        .map(|(&size, symbol)| {
            usize::try_from(size)
                .map_or_else(|_| Dimension::Dynamic(symbol.as_str().into()), Dimension::Fixed)
        })
        .collect();
    Ok(TensorSpec::new(name, datatype, dims))
}

fn datatype_of(element: TensorElementType) -> Option<Datatype> {
    Some(match element {
        TensorElementType::Bool => Datatype::Bool,
        TensorElementType::Uint8 => Datatype::Uint8,
        TensorElementType::Uint16 => Datatype::Uint16,
        TensorElementType::Uint32 => Datatype::Uint32,
        TensorElementType::Uint64 => Datatype::Uint64,
        TensorElementType::Int8 => Datatype::Int8,
        TensorElementType::Int16 => Datatype::Int16,
        TensorElementType::Int32 => Datatype::Int32,
        TensorElementType::Int64 => Datatype::Int64,
        TensorElementType::Float16 => Datatype::Fp16,
        TensorElementType::Bfloat16 => Datatype::Bf16,
        TensorElementType::Float32 => Datatype::Fp32,
        TensorElementType::Float64 => Datatype::Fp64,
        TensorElementType::String => Datatype::Bytes,
        _ => return None,
    })
}

fn input_value<'a>(input: &BatchInput<'a>) -> Result<SessionInputValue<'a>, ExecuteError> {
    match input.datatype {
        Datatype::Bool => view::<bool>(input, cast_bool(input.data)?),
        Datatype::Uint8 => view::<u8>(input, input.data),
        Datatype::Uint16 => view::<u16>(input, cast(input.data)?),
        Datatype::Uint32 => view::<u32>(input, cast(input.data)?),
        Datatype::Uint64 => view::<u64>(input, cast(input.data)?),
        Datatype::Int8 => view::<i8>(input, cast(input.data)?),
        Datatype::Int16 => view::<i16>(input, cast(input.data)?),
        Datatype::Int32 => view::<i32>(input, cast(input.data)?),
        Datatype::Int64 => view::<i64>(input, cast(input.data)?),
        Datatype::Fp16 => view::<f16>(input, cast(input.data)?),
        Datatype::Bf16 => view::<bf16>(input, cast(input.data)?),
        Datatype::Fp32 => view::<f32>(input, cast(input.data)?),
        Datatype::Fp64 => view::<f64>(input, cast(input.data)?),
        Datatype::Bytes => strings::input(input),
    }
}

fn cast<T: bytemuck::Pod>(data: &[u8]) -> Result<&[T], ExecuteError> {
    bytemuck::try_cast_slice(data).map_err(|error| ExecuteError::server(format!("misaligned batch: {error}")))
}

fn cast_bool(data: &[u8]) -> Result<&[bool], ExecuteError> {
    bytemuck::checked::try_cast_slice(data)
        .map_err(|error| ExecuteError::server(format!("not a BOOL: {error}")))
}

fn view<'a, T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static>(
    input: &BatchInput<'a>,
    elements: &'a [T],
) -> Result<SessionInputValue<'a>, ExecuteError> {
    TensorRef::from_array_view((&input.shape.0[..], elements)).map(Into::into).map_err(ExecuteError::server)
}

fn output_tensor(value: &DynValue) -> Result<Tensor, ExecuteError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(ExecuteError::server(format!("an output is a {}, not a tensor", value.dtype())));
    };
    match ty {
        TensorElementType::Bool => {
            let (shape, elements) = extracted::<bool>(value)?;
            let bytes: Vec<u8> = elements.iter().map(|&element| u8::from(element)).collect();
            Ok(Tensor { datatype: Datatype::Bool, shape, data: bytes.into() })
        }
        TensorElementType::Uint8 => packed::<u8>(value, Datatype::Uint8),
        TensorElementType::Uint16 => packed::<u16>(value, Datatype::Uint16),
        TensorElementType::Uint32 => packed::<u32>(value, Datatype::Uint32),
        TensorElementType::Uint64 => packed::<u64>(value, Datatype::Uint64),
        TensorElementType::Int8 => packed::<i8>(value, Datatype::Int8),
        TensorElementType::Int16 => packed::<i16>(value, Datatype::Int16),
        TensorElementType::Int32 => packed::<i32>(value, Datatype::Int32),
        TensorElementType::Int64 => packed::<i64>(value, Datatype::Int64),
        TensorElementType::Float16 => packed::<f16>(value, Datatype::Fp16),
        TensorElementType::Bfloat16 => packed::<bf16>(value, Datatype::Bf16),
        TensorElementType::Float32 => packed::<f32>(value, Datatype::Fp32),
        TensorElementType::Float64 => packed::<f64>(value, Datatype::Fp64),
        TensorElementType::String => strings::output(value),
        other => Err(ExecuteError::server(format!("an output is a tensor of {other}"))),
    }
}

fn extracted<T: PrimitiveTensorElementType>(value: &DynValue) -> Result<(Shape, &[T]), ExecuteError> {
    let (shape, elements) = value.try_extract_tensor::<T>().map_err(ExecuteError::server)?;
    Ok((shape_of(shape), elements))
}

fn packed<T: PrimitiveTensorElementType + bytemuck::Pod>(
    value: &DynValue,
    datatype: Datatype,
) -> Result<Tensor, ExecuteError> {
    let (shape, elements) = extracted::<T>(value)?;
    Ok(Tensor { datatype, shape, data: Bytes::copy_from_slice(bytemuck::cast_slice(elements)) })
}

pub(super) fn shape_of(shape: &ort::value::Shape) -> Shape {
    Shape(shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect())
}

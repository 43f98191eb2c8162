//! A server built with the library furnace-server and ONNX Runtime, for comparison: `furnace-peer MODEL.onnx NAME`.
//!
//! It writes its HTTP and gRPC addresses to standard output. Batches have at most 16 rows; everything else is the
//! library's default. The feature `tuned` adds mimalloc and one concurrent pass per core.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, anyhow};
use furnace::{HostTensor, IoSpec, Model, ModelError, Server, TensorModel, Values, batching::BatchConfig};
use ort::{
    session::{Session, builder::GraphOptimizationLevel},
    value::{Outlet, TensorRef},
};

#[cfg(feature = "tuned")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MAX_BATCH_SIZE: usize = 16;

/// A model with one FP32 input and one FP32 output. It has one session for each concurrent pass.
#[derive(Debug)]
struct Onnx {
    name: String,
    input: IoSpec,
    output: IoSpec,
    sessions: Vec<Mutex<Session>>,
}

impl Onnx {
    fn load(path: &Path, name: &str, sessions: usize) -> anyhow::Result<Self> {
        let environment = ort::init().build()?;
        let load = || -> ort::Result<Session> {
            Session::builder(&environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .commit_from_file(path)
        };
        let sessions = (0..sessions).map(|_| load()).collect::<Result<Vec<_>, _>>()?;
        let session = sessions.first().context("there is no session")?;
        let (input, output) = (spec(&session.inputs()[0])?, spec(&session.outputs()[0])?);
        let sessions = sessions.into_iter().map(Mutex::new).collect();
        Ok(Self { name: name.to_owned(), input, output, sessions })
    }

    /// A free session. There is always one, because there are as many sessions as concurrent passes.
    fn session(&self) -> MutexGuard<'_, Session> {
        let free = self.sessions.iter().find_map(|session| session.try_lock().ok());
        free.unwrap_or_else(|| self.sessions[0].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn outputs_of(&self, input: &HostTensor) -> anyhow::Result<HostTensor> {
        let Values::F32(values) = &input.values else { return Err(anyhow!("the input is not FP32")) };
        let input = TensorRef::from_array_view((input.shape.clone(), values.as_slice()))?;
        let mut session = self.session();
        let outputs = session.run(ort::inputs![input])?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>()?;
        let shape = shape.iter().map(|&length| length as usize).collect();
        Ok(HostTensor { shape, values: Values::F32(values.to_vec()) })
    }
}

/// Name and shape of a tensor, without its batch axis.
fn spec(outlet: &Outlet) -> anyhow::Result<IoSpec> {
    let shape = outlet.dtype().tensor_shape().context("only tensors are served")?;
    let row: Vec<usize> = shape.iter().skip(1).map(|&length| length as usize).collect();
    Ok(IoSpec::fp32(outlet.name(), &row))
}

impl TensorModel for Onnx {
    fn name(&self) -> &str {
        &self.name
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn inputs(&self) -> Vec<IoSpec> {
        vec![self.input.clone()]
    }

    fn outputs(&self) -> Vec<IoSpec> {
        vec![self.output.clone()]
    }

    fn run(&self, inputs: Vec<HostTensor>) -> furnace::Result<Vec<HostTensor>> {
        let outputs = self.outputs_of(&inputs[0]);
        let failed = |error| ModelError::InferenceFailed(format!("{error:#}")).into();
        outputs.map(|output| vec![output]).map_err(failed)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (path, name) =
        arguments.next().zip(arguments.next()).context("usage: furnace-peer MODEL.onnx NAME")?;
    let mut batching = BatchConfig { max_batch_size: MAX_BATCH_SIZE, ..BatchConfig::default() };
    if cfg!(feature = "tuned") {
        batching.workers = std::thread::available_parallelism()?.get();
    }
    let model = Onnx::load(Path::new(&path), &name, batching.workers)?;
    let (http, grpc) = (free_address()?, free_address()?);
    writeln!(std::io::stdout(), "{http} {grpc}")?;
    let server = Server::new().port(http.port()).model(Model::custom(model));
    let server = server.configure(|config| {
        config.batching = batching;
        config.grpc_port = Some(grpc.port());
    });
    Ok(server.serve().await?)
}

/// A free address. The library binds the address itself.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

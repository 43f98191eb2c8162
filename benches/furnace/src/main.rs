//! furnace-server, a library for servers of models, with ONNX Runtime behind it: `furnace-peer MODEL.onnx NAME`.
//!
//! It writes where it will listen, for HTTP and for gRPC, to standard output. Batches have at most 16 rows; all else is
//! as the library has it, or, with the feature `tuned`, mimalloc and as many passes at once as there are cores.

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

/// A model of one FP32 tensor in and one out, in as many sessions as passes may run at once.
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

    /// A session that is free. There are as many as passes run at once, so one is.
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

/// Name and shape of a tensor, without the axis of rows.
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

/// An address that nobody has now; the library takes none that is bound.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

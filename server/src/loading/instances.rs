//! The instances that a model gets, and how their batches are formed: by how long its runs take, on the CPU or a GPU.

use std::{sync::mpsc::Receiver, time::Duration};

use oip::InferRequest;

use super::{
    LoadError,
    check_rows::check_rows,
    plan::{self, Plan},
    sessions::{Sessions, WarmUp},
    time_limit::{Limited, TimeLimit},
};
use crate::{
    batcher::{BatchPolicy, Instance, InstanceThread, Replacement, TimeDependsOn},
    executor::{Executor, ModelSource, OnnxExecutor, RunCost, Runtime, SessionOptions},
    model::{Batching, InstanceGroup, ModelConfig, Signature, TensorSpec},
    request::validate::Rules,
};

/// A model larger than this has one instance, which on the CPU uses every thread, instead of an instance a thread.
const LARGE_MODEL_BYTES: u64 = 100 << 20;

/// A model's first session, before it is known what it is for.
pub(super) struct FirstSession {
    executor: OnnxExecutor,
    options: SessionOptions,
    /// As the model's file says, or a thread for each session, unless the model is large.
    plan: Plan,
    is_large: bool,
    limit: TimeLimit,
}

impl FirstSession {
    /// Loads the model, which the log calls `name`, for a server of so many threads.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or the file cannot be read.
    pub(super) fn load(
        runtime: &Runtime,
        name: &str,
        source: &ModelSource,
        threads: usize,
        group: &InstanceGroup,
    ) -> Result<(Self, Signature), LoadError> {
        let is_large = source.path().metadata()?.len() > LARGE_MODEL_BYTES;
        let intra_op_threads = group.intra_op_threads.unwrap_or(if is_large { threads } else { 1 });
        let count = group.count.unwrap_or_else(|| (threads / intra_op_threads).max(1));
        let plan = Plan { count, intra_op_threads, idle_session_threads: 0 };
        let options = SessionOptions::new(name, intra_op_threads);
        let (executor, signature) = OnnxExecutor::load(runtime, source, &options)?;
        let limit = TimeLimit::new(name);
        Ok((Self { executor, options, plan, is_large, limit }, signature))
    }

    /// Whether rows that are joined give what they give alone: see [`check_rows`].
    pub(super) fn check_rows(
        &mut self,
        rules: &Rules,
        example: Option<InferRequest>,
    ) -> Option<Result<(), String>> {
        let Self { executor, limit, .. } = self;
        limit.watched(|| check_rows(&mut Limited { limit, executor }, rules, example))
    }
}

/// What a model got.
pub(super) struct Instances {
    pub(super) all: Vec<Instance>,
    /// For requests that are alone.
    pub(super) idle_session: Option<Instance>,
    pub(super) plan: Plan,
    pub(super) time: RunCost,
    pub(super) policy: BatchPolicy,
    pub(super) on_gpu: bool,
    /// Rows of the batches of each session, where each runs one size.
    pub(super) sizes: Vec<usize>,
    /// Loads one more of them.
    pub(super) replacement: Replacement,
}

/// What they depend on.
pub(super) struct Needs<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) source: &'a ModelSource,
    pub(super) threads: usize,
    pub(super) max_queue_rows: usize,
    pub(super) config: &'a ModelConfig,
    pub(super) rules: &'a Rules,
    /// Whether how long a run takes depends on the values of its inputs.
    pub(super) value_dependent_time: bool,
}

impl Needs<'_> {
    /// Loads and warms what the model gets beside its first session.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or loading panicked.
    pub(super) fn load(&self, first: FirstSession) -> Result<Instances, LoadError> {
        let limit = first.limit.clone();
        let warm_up = WarmUp { rules: self.rules.clone(), limit: limit.clone() };
        let sessions = Sessions { runtime: self.runtime.clone(), source: self.source.clone(), warm_up };
        limit.watched(|| {
            if first.executor.is_on_gpu() {
                self.on_gpu(first, &sessions)
            } else {
                self.on_cpu(first, &sessions)
            }
        })
    }

    fn on_cpu(&self, first: FirstSession, sessions: &Sessions) -> Result<Instances, LoadError> {
        let FirstSession { mut executor, mut options, mut plan, .. } = first;
        let time = sessions.warm_up.time(&mut executor, self.rules.max_rows.unwrap_or(self.max_queue_rows));
        if plan.count > 1 && self.config.instance_group == InstanceGroup::default() {
            plan = Plan::for_run(self.threads, time);
            if plan.intra_op_threads > 1 {
                options = options.with_threads(plan.intra_op_threads);
                executor = sessions.another(&options)?;
            }
        }
        let policy = self.policy(plan::joined_rows(time, self.rules.rows_are_alike()));
        let (all, idle_session) = sessions.load(executor, plan, &options, policy.max_joined_rows)?;
        let joining = self.joining();
        let instance = move |executor| joining(Instance::new(Box::new(executor)));
        let all = all.into_iter().map(&instance).collect();
        let idle_session = idle_session.map(&instance);
        let (sessions, full) = (sessions.clone(), policy.max_joined_rows);
        let replacement = Box::new(move || {
            let load = || sessions.warm_one(&options, full);
            sessions.warm_up.limit.watched(load).map(&instance).map_err(|error| error.to_string())
        });
        Ok(Instances { all, idle_session, plan, time, policy, on_gpu: false, sizes: Vec::new(), replacement })
    }

    fn on_gpu(&self, first: FirstSession, sessions: &Sessions) -> Result<Instances, LoadError> {
        let FirstSession { mut executor, options, is_large, .. } = first;
        // The very first run starts cuDNN, which says nothing of the model.
        sessions.warm_up.time(&mut executor, 1);
        let time = sessions.warm_up.time(&mut executor, 1);
        let plan = Plan::on_gpu(is_large, &self.config.instance_group);
        let policy = self.policy(plan::GPU_JOINED_ROWS);
        let full = policy.max_joined_rows;
        // To fill a batch up is to join rows.
        let is_proven = matches!(self.rules.batching, Batching::Proven(_));
        let by_size = full > 1 && is_proven && sessions.warm_up.plans_by_size(&mut executor);
        let sizes = if by_size { plan::sizes(full, &policy.preferred_batch_size) } else { Vec::new() };
        // It has run on this thread.
        drop(executor);
        let threads = (0..plan.count).map(|_| InstanceThread::start()).collect::<Result<Vec<_>, _>>()?;
        let load = {
            let (sessions, sizes) = (sessions.clone(), sizes.clone());
            move |thread: &InstanceThread| {
                let (sessions, options, sizes) = (sessions.clone(), options.clone(), sizes.clone());
                thread.call(move || sessions.load_for_gpu(&options, full, &sizes))
            }
        };
        let loading: Vec<_> = threads.iter().map(&load).collect();
        let instances = loading.into_iter().zip(threads).map(on_thread).collect::<Result<Vec<_>, _>>()?;
        let joining = self.joining();
        let all = instances.into_iter().map(&joining).collect();
        let limit = sessions.warm_up.limit.clone();
        let replacement = Box::new(move || {
            let thread = InstanceThread::start().map_err(|error| error.to_string())?;
            let load = || on_thread((load(&thread), thread.clone()));
            limit.watched(load).map(&joining).map_err(|error| error.to_string())
        });
        Ok(Instances { all, idle_session: None, plan, time, policy, on_gpu: true, sizes, replacement })
    }

    /// What gives an instance the axes along which requests are joined.
    fn joining(&self) -> impl Fn(Instance) -> Instance + Send + Sync + use<> {
        let axes = self.rules.batching.axes().cloned();
        move |instance| match &axes {
            Some(axes) => instance.along(axes),
            None => instance,
        }
    }

    /// What must be known of a batch to tell how long it takes.
    fn time_depends_on(&self) -> TimeDependsOn {
        let Rules { signature, .. } = self.rules;
        let is_sized = |spec: &TensorSpec| spec.dims.is_some() && spec.datatype.size().is_some();
        let has_optional = signature.required().len() < signature.inputs.len();
        if self.value_dependent_time {
            TimeDependsOn::Values
        } else if self.rules.rows_are_alike() && !has_optional && signature.inputs.iter().all(is_sized) {
            TimeDependsOn::Rows
        } else {
            TimeDependsOn::Sizes
        }
    }

    fn policy(&self, joined_rows: usize) -> BatchPolicy {
        let joined = self.config.max_batch_size.unwrap_or(joined_rows.min(self.max_queue_rows));
        let batching = &self.config.dynamic_batching;
        BatchPolicy {
            max_joined_rows: if self.rules.batching.axes().is_some() { joined } else { 1 },
            max_queue_rows: self.max_queue_rows,
            max_queue_delay: Duration::from_micros(batching.max_queue_delay_microseconds),
            preferred_batch_size: batching.preferred_batch_size.clone(),
            time_depends_on: self.time_depends_on(),
        }
    }
}

/// What loading on an instance's thread gives.
type Loaded = Result<Box<dyn Executor>, LoadError>;

/// An instance of what is being loaded on its thread.
fn on_thread((loaded, thread): (Receiver<Loaded>, InstanceThread)) -> Result<Instance, LoadError> {
    let executor = loaded.recv().map_err(|_| LoadError::Panicked)??;
    Ok(Instance::on_thread(executor, thread))
}

//! Makes the instances of a model by its plan, on the CPU or on a GPU.

use std::{sync::mpsc::Receiver, thread, time::Duration};

use oip::InferRequest;

use super::{
    LoadError,
    check_rows::check_rows,
    pins,
    plan::{self, Facts, Plan, Processor},
    sessions::{Sessions, WarmUp, best_of_two},
    time_limit::{LimitedExecutor, TimeLimit},
};
use crate::{
    batcher::{BatchPolicy, Instance, InstanceThread, Policies, Replacement, TimeDependsOn},
    config::BatchingMode,
    executor::{Executor, ModelSource, OnnxExecutor, RunCost, Runtime, SessionOptions},
    model::{Batching, InstanceGroup, ModelConfig, Signature, TensorSpec},
    request::validate::Rules,
};

/// Size of a model's file above which the model has one instance, to save memory. On the CPU it uses every thread.
const LARGE_MODEL_BYTES: u64 = 100 << 20;

/// Most repetitions of a timing that came close to a boundary between two plans.
const MAX_REPEATED_TIMINGS: usize = 3;

/// Pause before such a repetition. Many programs that disturb a timing work for a few milliseconds at a time.
const TIMING_PAUSE: Duration = Duration::from_millis(20);

/// A model's first session, before its rows are timed.
pub(super) struct FirstSession {
    executor: OnnxExecutor,
    options: SessionOptions,
    is_large: bool,
    limit: TimeLimit,
}

impl FirstSession {
    /// Loads the model, which the log calls `name`, for a server of `threads` threads.
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
        let options = SessionOptions::new(name, plan::first_session_threads(threads, is_large, group));
        let (executor, signature) = OnnxExecutor::load(runtime, source, &options)?;
        let limit = TimeLimit::new(name);
        Ok((Self { executor, options, is_large, limit }, signature))
    }

    /// Compares rows that are joined with rows that run alone: see [`check_rows`].
    pub(super) fn check_rows(
        &mut self,
        rules: &Rules,
        example: Option<InferRequest>,
    ) -> Option<Result<(), String>> {
        let Self { executor, limit, .. } = self;
        limit.watched(|| check_rows(&mut LimitedExecutor { limit, executor }, rules, example))
    }
}

/// The instances of a model, and how its batches are formed.
pub(super) struct Instances {
    pub(super) all: Vec<Instance>,
    /// For a client that is alone.
    pub(super) idle_session: Option<Instance>,
    pub(super) cost: RunCost,
    pub(super) policy: BatchPolicy,
    pub(super) chosen: Chosen,
    /// Loads one more instance, in place of one whose run does not stop.
    pub(super) replacement: Replacement,
}

/// What was chosen for a model, and why.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) plan: Plan,
    pub(super) on_gpu: bool,
    /// Numbers of rows that have a session of their own in each instance. Empty: one session runs all.
    pub(super) session_rows: Vec<usize>,
    pub(super) reason: String,
    /// What another start may choose instead, since a measured time is close to a boundary.
    pub(super) alternative: Option<String>,
    /// The sections of `config.toml` that pin the choice.
    pub(super) pin: String,
}

/// Loads the instances of a model: what they depend on.
pub(super) struct InstanceLoader<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) source: &'a ModelSource,
    pub(super) threads: usize,
    pub(super) batching: BatchingMode,
    pub(super) max_queue_rows: usize,
    pub(super) config: &'a ModelConfig,
    pub(super) rules: &'a Rules,
    /// Whether the time of a run depends on the values of its inputs.
    pub(super) value_dependent_time: bool,
}

impl InstanceLoader<'_> {
    /// Loads and warms the instances, of which `first` becomes one where it fits the plan.
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
        let FirstSession { mut executor, mut options, is_large, .. } = first;
        let most_rows = self.rules.max_rows.unwrap_or(self.max_queue_rows);
        let mut facts = self.facts(sessions.warm_up.time(&mut executor, most_rows), is_large, Processor::Cpu);
        for _ in 0..MAX_REPEATED_TIMINGS {
            if Plan::nearby(&facts).is_none() {
                break;
            }
            // No thread unparks this one, so it returns after the pause.
            thread::park_timeout(TIMING_PAUSE);
            facts.cost = best_of_two(facts.cost, sessions.warm_up.time(&mut executor, most_rows));
        }
        let plan = Plan::choose(&facts);
        if plan.intra_op_threads != options.intra_op_threads {
            options = options.with_threads(plan.intra_op_threads);
            executor = sessions.another(&options)?;
        }
        let chosen = Chosen::of(plan, &facts, Vec::new());
        let policy = self.policy(plan);
        let (all, idle_session) = sessions.load(executor, plan, &options, policy.max_joined_rows)?;
        let with_row_axes = self.with_row_axes();
        let instance = move |executor| with_row_axes(Instance::new(Box::new(executor)));
        let all = all.into_iter().map(&instance).collect();
        let idle_session = idle_session.map(&instance);
        let (sessions, full) = (sessions.clone(), policy.max_joined_rows);
        let replacement = Box::new(move || {
            let load = || sessions.warm_one(&options, full);
            sessions.warm_up.limit.watched(load).map(&instance).map_err(|error| error.to_string())
        });
        Ok(Instances { all, idle_session, cost: facts.cost, policy, chosen, replacement })
    }

    fn on_gpu(&self, first: FirstSession, sessions: &Sessions) -> Result<Instances, LoadError> {
        let FirstSession { mut executor, options, is_large, .. } = first;
        // The very first run starts cuDNN, which takes long whatever the model is.
        sessions.warm_up.time(&mut executor, 1);
        let facts = self.facts(sessions.warm_up.time(&mut executor, 1), is_large, Processor::Gpu);
        let plan = Plan::choose(&facts);
        let policy = self.policy(plan);
        let full = policy.max_joined_rows;
        // A session for one size gets smaller batches filled up, which is safe only if rows are proven independent.
        let can_fill_up = full > 1 && matches!(self.rules.batching, Batching::Proven(_));
        let sizes = match &self.config.instance_group.session_rows {
            _ if !can_fill_up => Vec::new(),
            Some(rows) if rows.is_empty() => Vec::new(),
            Some(rows) => plan::session_rows(full, rows),
            None if sessions.warm_up.plans_by_size(&mut executor) => {
                plan::session_rows(full, &policy.preferred_batch_size)
            }
            None => Vec::new(),
        };
        let chosen = Chosen::of(plan, &facts, sizes.clone());
        // It has run on this thread, and an instance on a GPU runs on its own thread only.
        drop(executor);
        let threads = (0..plan.count).map(|_| InstanceThread::start()).collect::<Result<Vec<_>, _>>()?;
        let load = {
            let sessions = sessions.clone();
            move |thread: &InstanceThread| {
                let (sessions, options, sizes) = (sessions.clone(), options.clone(), sizes.clone());
                thread.call(move || sessions.load_for_gpu(&options, full, &sizes))
            }
        };
        let loading: Vec<_> = threads.iter().map(&load).collect();
        let instances = loading.into_iter().zip(threads).map(on_thread).collect::<Result<Vec<_>, _>>()?;
        let with_row_axes = self.with_row_axes();
        let all = instances.into_iter().map(&with_row_axes).collect();
        let limit = sessions.warm_up.limit.clone();
        let replacement = Box::new(move || {
            let thread = InstanceThread::start().map_err(|error| error.to_string())?;
            let load = || on_thread((load(&thread), thread.clone()));
            limit.watched(load).map(&with_row_axes).map_err(|error| error.to_string())
        });
        Ok(Instances { all, idle_session: None, cost: facts.cost, policy, chosen, replacement })
    }

    /// Returns what the plan of the model depends on.
    fn facts(&self, cost: RunCost, is_large: bool, processor: Processor) -> Facts<'_> {
        Facts {
            threads: self.threads,
            mode: self.batching,
            max_queue_rows: self.max_queue_rows,
            config: self.config,
            cost,
            rows_are_alike: self.rules.rows_are_alike(),
            joins_rows: self.rules.batching.axes().is_some(),
            is_large,
            processor,
        }
    }

    /// Returns a function that sets the axes along which an instance joins requests.
    fn with_row_axes(&self) -> impl Fn(Instance) -> Instance + Send + Sync + use<> {
        let axes = self.rules.batching.axes().cloned();
        move |instance| match &axes {
            Some(axes) => instance.along(axes),
            None => instance,
        }
    }

    /// Returns what the time of a run depends on.
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

    fn policy(&self, plan: Plan) -> BatchPolicy {
        let batching = &self.config.dynamic_batching;
        BatchPolicy {
            max_joined_rows: plan.joined_rows,
            max_queue_rows: self.max_queue_rows,
            max_queue_delay: Duration::from_micros(batching.max_queue_delay_microseconds),
            preferred_batch_size: batching.preferred_batch_size.clone(),
            time_depends_on: self.time_depends_on(),
            policies: match plan.mode {
                BatchingMode::Adaptive => Policies::adaptive(plan.lanes, plan.returning_clients),
                BatchingMode::Static => Policies::STATIC,
            },
        }
    }
}

impl Chosen {
    fn of(plan: Plan, facts: &Facts<'_>, session_rows: Vec<usize>) -> Self {
        Self {
            plan,
            on_gpu: facts.on_gpu(),
            reason: pins::reason(facts),
            alternative: pins::alternative(&plan, facts),
            pin: pins::toml(&plan, facts, &session_rows),
            session_rows,
        }
    }
}

/// The result of loading on an instance's thread.
type Loaded = Result<Box<dyn Executor>, LoadError>;

/// Waits for what is being loaded on a thread, and makes an instance of both.
fn on_thread((loaded, thread): (Receiver<Loaded>, InstanceThread)) -> Result<Instance, LoadError> {
    let executor = loaded.recv().map_err(|_| LoadError::Panicked)??;
    Ok(Instance::on_thread(executor, thread))
}

//! What the container file promises.

use std::{collections::BTreeMap, fs, path::Path};

use decima_server::{
    cli::Args,
    config::{Config, Host},
    platform::ort_library,
};
use parse_dockerfile::{Command, Instruction, Source};

use crate::workspace::{read, root};

const PATH: &str = "deploy/docker/Dockerfile";

/// The file, as far as the tests have to do with it.
struct Image {
    /// `ARG` instructions before the first stage.
    args: BTreeMap<String, String>,
    stages: Vec<Stage>,
}

#[derive(Default)]
struct Stage {
    name: String,
    base: String,
    copies: Vec<Copy>,
    commands: Vec<String>,
    environment: BTreeMap<String, String>,
    users: Vec<String>,
    ports: Vec<u16>,
    entrypoints: Vec<Vec<String>>,
}

struct Copy {
    from: Option<String>,
    sources: Vec<String>,
    target: String,
}

impl Image {
    fn read() -> Self {
        let text = read(PATH);
        let file = parse_dockerfile::parse(&text).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let stages = file.stages().map(|parsed| {
            let name = parsed.from.as_.as_ref().map(|(_, name)| name.value.to_string()).unwrap_or_default();
            let mut stage = Stage { name, base: parsed.from.image.value.to_string(), ..Stage::default() };
            parsed.instructions.iter().for_each(|instruction| stage.add(instruction));
            stage
        });
        let args = file.global_args().flat_map(|arg| assignments(&arg.arguments.value)).collect();
        Self { args, stages: stages.collect() }
    }

    fn stage(&self, name: &str) -> &Stage {
        let found = self.stages.iter().find(|stage| stage.name == name);
        found.unwrap_or_else(|| panic!("{PATH}: there is no stage {name}"))
    }

    /// The stage that the image is.
    fn last(&self) -> &Stage {
        self.stages.last().unwrap()
    }
}

impl Stage {
    fn add(&mut self, instruction: &Instruction<'_>) {
        match instruction {
            Instruction::Copy(copy) => {
                let from = copy.options.iter().find(|option| option.name.value == "from");
                let sources = copy.src.iter().map(|source| match source {
                    Source::Path(path) => path.value.to_string(),
                    other => panic!("{PATH}: what is copied should be a file: {other:?}"),
                });
                self.copies.push(Copy {
                    from: from.and_then(|option| option.value.as_ref()).map(|stage| stage.value.to_string()),
                    sources: sources.collect(),
                    target: copy.dest.value.to_string(),
                });
            }
            Instruction::Run(run) => self.commands.push(words(&run.arguments).join(" ")),
            Instruction::Env(env) => self.environment.extend(assignments(&env.arguments.value)),
            Instruction::User(user) => self.users.push(user.arguments.value.to_string()),
            Instruction::Expose(expose) => {
                self.ports.extend(expose.arguments.iter().map(|port| port.value.parse::<u16>().unwrap()));
            }
            Instruction::Entrypoint(entrypoint) => {
                // Not through a shell, which would keep SIGTERM to itself, and which the image does not have.
                assert!(matches!(entrypoint.arguments, Command::Exec(_)), "{PATH}: ENTRYPOINT takes a shell");
                self.entrypoints.push(words(&entrypoint.arguments));
            }
            _ => {}
        }
    }

    fn copy_from(&self, stage: &str) -> &Copy {
        let found = self.copies.iter().find(|copy| copy.from.as_deref() == Some(stage));
        found.unwrap_or_else(|| panic!("{PATH}: nothing is copied from {stage}"))
    }
}

fn words(command: &Command<'_>) -> Vec<String> {
    match command {
        Command::Exec(words) => words.value.iter().map(|word| word.value.to_string()).collect(),
        Command::Shell(line) => {
            line.value.split_whitespace().filter(|word| *word != "\\").map(str::to_owned).collect()
        }
        other => panic!("{PATH}: {other:?}"),
    }
}

/// The `NAME=value` pairs of an `ARG` or `ENV`.
fn assignments(text: &str) -> Vec<(String, String)> {
    let pairs = text.split_whitespace().filter(|word| *word != "\\");
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{PATH}: {pair}"));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn the_image_holds_only_what_other_stages_made() {
    let image = Image::read();
    assert_eq!(image.stages.len(), 3);
    for copy in &image.last().copies {
        let from =
            copy.from.as_deref().unwrap_or_else(|| panic!("{PATH}: {:?} come from outside", copy.sources));
        assert_ne!(image.stage(from).name, image.last().name);
    }
    for stage in &image.stages {
        let arg = stage.base.trim_start_matches("${").trim_end_matches('}');
        assert!(image.args.contains_key(arg), "{PATH}: nobody can pin the base image {}", stage.base);
    }
    assert_eq!(image.last().base, "${RUNTIME_IMAGE}");
    // The compiler that the workspace asks for, on the glibc of the runtime image.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let compiler = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert_eq!(image.args["RUST_IMAGE"], format!("rust:{compiler}-bookworm"));
    assert_eq!(image.args["RUNTIME_IMAGE"], "gcr.io/distroless/cc-debian12:nonroot");
}

#[test]
fn what_is_copied_is_there() {
    let ignored = read(".dockerignore");
    let is_ignored = |path: &str| ignored.lines().any(|line| Path::new(path).starts_with(line));
    for copy in Image::read().stages.iter().flat_map(|stage| &stage.copies).filter(|copy| copy.from.is_none())
    {
        for source in &copy.sources {
            assert!(root().join(source).exists(), "{PATH}: {source} does not exist");
            assert!(!is_ignored(source), ".dockerignore leaves out {source}");
        }
    }
    // Cargo refuses a workspace that lacks one of its members.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        assert!(!is_ignored(member), ".dockerignore leaves out {member}");
    }
}

#[test]
fn onnx_runtime_comes_by_the_projects_own_pins() {
    let image = Image::read();
    let stage = image.stage("onnxruntime");
    assert_eq!(stage.copies[0].sources, ["scripts/setup", "scripts/versions.env"]);
    assert_eq!(stage.commands, ["scripts/setup onnxruntime && mv /cache/onnxruntime-* /opt/onnxruntime"]);
    assert_eq!(stage.environment["DECIMA_CACHE"], "/cache");
    // Versions and checksums stand in scripts/versions.env alone.
    let pins = read("scripts/versions.env");
    let version = pins.lines().find_map(|line| line.strip_prefix("ONNXRUNTIME_VERSION=")).unwrap();
    assert!(!read(PATH).contains(version), "{PATH} repeats the version of ONNX Runtime");
    let copy = image.last().copy_from("onnxruntime");
    assert_eq!((copy.sources[0].as_str(), copy.target.as_str()), ("/opt/onnxruntime", "/opt/onnxruntime"));
    assert_eq!(image.last().environment["ORT_DYLIB_PATH"], "/opt/onnxruntime/libonnxruntime.so");
}

#[test]
fn the_library_has_the_name_and_the_switch_that_the_image_uses() {
    // A folder that scripts/setup made, as in the image; what ORT_DYLIB_PATH names may be laid out otherwise.
    let environment = std::env::vars().filter(|(name, _)| name != "ORT_DYLIB_PATH").collect();
    let library = ort_library::find(&environment).unwrap_or_else(|error| panic!("{error}"));
    let named = library.with_file_name("libonnxruntime.so");
    assert_eq!(fs::canonicalize(named).unwrap(), fs::canonicalize(&library).unwrap());
    let content = fs::read(&library).unwrap();
    let switch = "ORT_DISABLE_TELEMETRY";
    let is_read = content.windows(switch.len()).any(|window| window == switch.as_bytes());
    assert_eq!(Image::read().last().environment.contains_key(switch), is_read, "does ONNX Runtime read it?");
}

#[test]
fn the_server_runs_as_nobody_in_particular() {
    let image = Image::read();
    let [user] = &image.last().users[..] else { panic!("{PATH}: {:?}", image.last().users) };
    let (user, group) = user.split_once(':').unwrap();
    // runAsNonRoot can only be checked on a number.
    assert!(user.parse::<u32>().unwrap() >= 1000 && group.parse::<u32>().unwrap() >= 1000);
    assert_eq!(image.last().environment["TMPDIR"], "/tmp");
}

#[test]
fn the_entry_point_and_the_ports_are_the_servers() {
    let image = Image::read();
    let last = image.last();
    let binary = last.copy_from("build");
    let [entrypoint] = &last.entrypoints[..] else { panic!("{PATH}: {:?}", last.entrypoints) };
    assert_eq!(entrypoint[0], binary.target);
    let args = Args::parse(entrypoint).unwrap_or_else(|error| panic!("{error}"));
    let environment = last.environment.clone().into_iter().collect();
    let resolved =
        Config::load(&args.flags, &environment, &Host::detect()).unwrap_or_else(|error| panic!("{error}"));
    let http = &resolved.config.http;
    assert_eq!(last.ports, [http.address.port(), http.grpc_address.unwrap().port()]);
}

#[test]
fn the_server_is_built_as_it_is_shipped() {
    let image = Image::read();
    let build = image.stage("build");
    let program = &image.last().copy_from("build").sources[0];
    let command = format!("scripts/release && install -D target/guided/decima-server {program}");
    assert!(build.commands[0].ends_with(&command), "{:?}", build.commands);
    // What the script loads the server with while it counts.
    assert_eq!(build.environment["ORT_DYLIB_PATH"], image.last().environment["ORT_DYLIB_PATH"]);
    assert_eq!(build.copy_from("onnxruntime").target, image.last().copy_from("onnxruntime").target);
    assert!(read("scripts/release").contains("--model-repository models"));
    assert!(root().join("models/digits").exists() && !read(".dockerignore").contains("models"));
}

#[test]
fn models_are_looked_for_where_the_documents_mount_them() {
    let text = read(PATH);
    let runtime = text.split("\nFROM ").last().unwrap();
    assert!(runtime.lines().any(|line| line == "WORKDIR /"), "{PATH}: `models` is not /models");
    for path in [PATH, "README.md", "deploy/README.md"] {
        let run = r#"--volume "$PWD/models:/models:ro" decima-server"#;
        assert!(read(path).contains(run), "{path} does not say how to run the image");
    }
}

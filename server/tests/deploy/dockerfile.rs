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
const TRAINER: &str = "deploy/docker/trainer.Dockerfile";

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
    args: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
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
        Self::read_file(PATH)
    }

    fn read_file(path: &str) -> Self {
        let text = read(path);
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
            Instruction::Label(label) => self.labels.extend(quoted(&label.arguments.value)),
            Instruction::Arg(arg) => self.args.extend(assignments(&arg.arguments.value)),
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

/// The `name="value"` pairs of a `LABEL`, values with spaces in them.
fn quoted(text: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = text.split('"').collect();
    let name =
        |word: &str| word.trim_matches(|c: char| c.is_whitespace() || c == '\\' || c == '=').to_owned();
    words.chunks_exact(2).map(|pair| (name(pair[0]), pair[1].to_owned())).collect()
}

#[test]
fn images_hold_only_what_other_stages_made() {
    for path in [PATH, TRAINER] {
        let image = Image::read_file(path);
        let names: Vec<&str> = image.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in
            image.stages.iter().filter(|stage| stage.base != "${RUST_IMAGE}" && stage.name != "onnxruntime")
        {
            for copy in &stage.copies {
                let from = copy.from.as_deref();
                let from = from.unwrap_or_else(|| panic!("{path}: {:?} come from outside", copy.sources));
                assert!(names.contains(&from) && from != stage.name, "{path}: there is no stage {from}");
            }
        }
        for base in image.stages.iter().map(|stage| stage.base.as_str()) {
            let arg = base.trim_start_matches("${").trim_end_matches('}');
            let is_known = image.args.contains_key(arg) || names.contains(&base) || base == "scratch";
            assert!(is_known, "{path}: nobody can pin the base image {base}");
        }
        assert!(image.stages.iter().any(|stage| stage.base == "${RUNTIME_IMAGE}"));
        // The compiler that the workspace asks for, on the glibc of the runtime image.
        let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
        let compiler = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
        assert_eq!(image.args["RUST_IMAGE"], format!("docker.io/library/rust:{compiler}-bookworm"));
        assert_eq!(image.args["RUNTIME_IMAGE"], "gcr.io/distroless/cc-debian12:nonroot");
    }
    assert_eq!(Image::read().last().base, "${RUNTIME_IMAGE}");
    // What is built where nobody names a target has no shell.
    let trainer = Image::read_file(TRAINER);
    assert_eq!((trainer.last().name.as_str(), trainer.last().base.as_str()), ("runtime", "program"));
}

#[test]
fn labels_say_what_an_image_is() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let package = &manifest["workspace"]["package"];
    for path in [PATH, TRAINER] {
        let image = Image::read_file(path);
        let stage = image.stages.iter().find(|stage| !stage.labels.is_empty()).unwrap();
        assert_eq!(Some(stage.args["VERSION"].as_str()), package["version"].as_str(), "{path}");
        let label = |name: &str| stage.labels[&format!("org.opencontainers.image.{name}")].as_str();
        assert_eq!(Some(label("licenses")), package["license"].as_str(), "{path}");
        for name in ["version", "revision", "source"] {
            assert_eq!(label(name), format!("${{{}}}", name.to_uppercase()), "{path}");
        }
        assert!(!label("title").is_empty() && !label("description").is_empty(), "{path}");
    }
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
    assert_eq!(stage.commands, ["scripts/setup ${ONNXRUNTIME} && mv /cache/onnxruntime-* /opt/onnxruntime"]);
    assert_eq!(stage.args["ONNXRUNTIME"], "onnxruntime");
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
fn programs_run_as_nobody_in_particular() {
    for path in [PATH, TRAINER] {
        let image = Image::read_file(path);
        let stage = image.stages.iter().find(|stage| !stage.entrypoints.is_empty()).unwrap();
        let [user] = &stage.users[..] else { panic!("{path}: {:?}", stage.users) };
        let (user, group) = user.split_once(':').unwrap();
        // runAsNonRoot can only be checked on a number.
        assert!(user.parse::<u32>().unwrap() >= 1000 && group.parse::<u32>().unwrap() >= 1000);
        assert_eq!(stage.environment["TMPDIR"], "/tmp");
        assert_eq!(stage.entrypoints, [[stage.copy_from("build").target.as_str()]]);
    }
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
    let folder = Path::new(program).parent().unwrap().display();
    let command = format!("scripts/release && scripts/split-debug target/guided/decima-server {folder}");
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

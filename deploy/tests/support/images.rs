//! Builds images with Buildah from existing release builds. Our own images use the files in `deploy/docker`. Images
//! that cannot be pulled here are built from Debian's packages and from published programs. The images are kept, so
//! that a later run takes only seconds.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    process::Command,
    sync::LazyLock,
};

use anyhow::{Result, anyhow};
use tempfile::TempDir;

use crate::{
    podman::program,
    programs::{built, cached, pinned, root, run},
};

/// The revision in the labels of our images.
pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
/// The source address in the labels of our images.
pub const SOURCE: &str = "https://example.org/decima";

/// The tag of an image, which is built when the first test asks for it.
type Image = LazyLock<Result<String>>;

fn tag_of(image: &'static Image) -> Result<&'static str> {
    image.as_deref().map_err(|error| anyhow!("{error:#}"))
}

/// The tag of an image. It differs between checkouts, so that their tests do not overwrite each other's images.
fn tag(name: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::canonicalize(root())?.hash(&mut hasher);
    Ok(format!("localhost/decima-test/{name}:{:x}", hasher.finish()))
}

/// The image of decima-server.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn server() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| {
        let version = pinned("ONNXRUNTIME_VERSION")?;
        let library = cached("onnxruntime", &format!("onnxruntime-{version}"))?;
        let folder = TempDir::new()?;
        let place = folder.path().join("opt/onnxruntime");
        fs::create_dir_all(&place)?;
        run(Command::new("cp").arg("--archive").arg(library.join(".")).arg(&place))?;
        let contexts = [("onnxruntime", folder.path())];
        ours("decima-server", "deploy/docker/Dockerfile", "runtime", &contexts, "server")
    });
    tag_of(&IMAGE)
}

/// The image of decima-trainer.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn trainer() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| trainer_target("runtime", "trainer"));
    tag_of(&IMAGE)
}

/// The image of decima-trainer with the shell that Katib needs.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn trainer_for_katib() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| trainer_target("katib", "trainer-katib"));
    tag_of(&IMAGE)
}

fn trainer_target(target: &str, name: &str) -> Result<String> {
    let shell = cached("base-images", "base-images/busybox")?;
    ours("decima-trainer", "deploy/docker/trainer.Dockerfile", target, &[("shell", &shell)], name)
}

/// Builds one of our images. Each of `contexts` replaces a stage of the container file.
fn ours(program: &str, file: &str, target: &str, contexts: &[(&str, &Path)], name: &str) -> Result<String> {
    let programs = TempDir::new()?;
    run(Command::new(root().join("scripts/split-debug"))
        .arg(built(program)?)
        .arg(programs.path().join("out")))?;
    let base = base()?;
    let mut arguments: Vec<String> = contexts
        .iter()
        .copied()
        .chain([("build", programs.path())])
        .map(|(stage, folder)| format!("--build-context={stage}={}", folder.display()))
        .collect();
    arguments.push(format!("--build-arg=RUNTIME_IMAGE={base}"));
    arguments.push(format!("--build-arg=REVISION={REVISION}"));
    arguments.push(format!("--build-arg=SOURCE={SOURCE}"));
    arguments.push(format!("--target={target}"));
    arguments.push(format!("--file={}", root().join(file).display()));
    build(&arguments, name, &root())
}

/// The base of our images: glibc, libstdc++ and the CA certificates, as in distroless images.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn base() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| {
        let certificates = "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt";
        let file = format!("FROM scratch\nCOPY . /\n{PATH}{certificates}\n");
        let folder = cached("base-images", "base-images/runtime")?;
        stand_in(&file, "base", &folder)
    });
    tag_of(&IMAGE)
}

/// `SeaweedFS`, the S3 store of Kubeflow, with the program at the path of its published image.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn seaweedfs() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| {
        let file = format!(
            "FROM scratch\nCOPY weed /usr/bin/weed\n{PATH}WORKDIR /data\nWORKDIR /tmp\nENTRYPOINT [\"/usr/bin/weed\"]\n"
        );
        let program = cached("seaweedfs", "seaweedfs/weed")?;
        stand_in(&file, "seaweedfs", program.parent().unwrap_or(&program))
    });
    tag_of(&IMAGE)
}

/// Prometheus, with the entry point and the command of its published image.
///
/// # Errors
///
/// A part is missing, or the build fails.
pub fn prometheus() -> Result<&'static str> {
    static IMAGE: Image = LazyLock::new(|| {
        let base = base()?;
        let options =
            r#"["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]"#;
        let file = format!(
            "FROM {base}\nCOPY bin/prometheus /bin/prometheus\nWORKDIR /prometheus\n\
         ENTRYPOINT [\"/bin/prometheus\"]\nCMD {options}\n"
        );
        stand_in(&file, "prometheus", &cached("prometheus", "prometheus")?)
    });
    tag_of(&IMAGE)
}

const PATH: &str = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";

/// Builds an image that replaces one that cannot be pulled here.
fn stand_in(file: &str, name: &str, context: &Path) -> Result<String> {
    let folder = TempDir::new()?;
    let path = folder.path().join("Containerfile");
    fs::write(&path, file)?;
    build(&[format!("--file={}", path.display())], name, context)
}

fn build(arguments: &[String], name: &str, context: &Path) -> Result<String> {
    let tag = tag(name)?;
    let mut buildah = program("buildah")?;
    // Layers are kept, so that unchanged ones are not built again. Intermediate containers are removed. No RUN
    // instruction of ours needs a network.
    let options = ["--layers", "--force-rm", "--isolation=chroot", "--pull-never", "--format=oci"];
    buildah.arg("bud").args(options).args(["--tag", &tag]);
    run(buildah.args(arguments).arg(context))?;
    Ok(tag)
}

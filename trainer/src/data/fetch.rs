//! Copies MNIST into a folder: from its mirrors, another web address, a folder, or a bucket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use storage::{Location, Settings, Store};

use super::folder::{IDX_NAMES, NPZ_NAME};
use crate::blocking::block_on;
use crate::files;

/// Long-standing mirrors of MNIST, tried in this order.
pub const MIRRORS: [&str; 2] =
    ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"];

/// SHA-256 of each file as MNIST's author compressed it, and of the archive that Keras distributes.
const CHECKSUMS: [(&str, &str); 5] = [
    ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ("mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),
];

/// Largest file that is accepted, in bytes. MNIST's largest has 45 MiB, uncompressed.
const LARGEST: u64 = 256 << 20;
/// Time limit for one download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// Where to fetch from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// MNIST's mirrors, each tried until one has the file.
    Mirrors,
    /// An HTTP address of a folder with the four compressed IDX files, or of one `.npz` file.
    Web(String),
    /// A local folder.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket(Location),
}

impl Source {
    /// Parses what a user gives as `--from`.
    ///
    /// # Errors
    /// When it is an `s3://` address without a bucket.
    pub fn parse(address: &str) -> Result<Self> {
        if address.starts_with("http://") || address.starts_with("https://") {
            return Ok(Self::Web(address.to_owned()));
        }
        Ok(match address.parse()? {
            Location::Folder(path) => Self::Folder(path),
            bucket @ Location::Bucket(_) => Self::Bucket(bucket),
        })
    }
}

/// Copies MNIST's files from `source` into `folder` and returns their names.
///
/// With `verify`, files from the web must have MNIST's checksums. Files from a folder or bucket are the user's own and
/// are not checked.
///
/// # Errors
/// When a file cannot be found, or has the wrong checksum.
pub fn fetch(source: &Source, folder: &Path, verify: bool, settings: &Settings) -> Result<Vec<String>> {
    let gzip_names = || IDX_NAMES.iter().map(|name| format!("{name}.gz"));
    match source {
        Source::Mirrors => {
            let addresses = |name: &str| MIRRORS.map(|mirror| format!("{mirror}{name}")).to_vec();
            gzip_names().map(|name| download(&addresses(&name), &name, folder, verify)).collect()
        }
        Source::Web(address) if is_npz(address) => {
            Ok(vec![download(std::slice::from_ref(address), NPZ_NAME, folder, verify)?])
        }
        Source::Web(address) => {
            let address = |name: &str| vec![format!("{}/{name}", address.trim_end_matches('/'))];
            gzip_names().map(|name| download(&address(&name), &name, folder, verify)).collect()
        }
        Source::Folder(from) => copy(from, folder),
        Source::Bucket(location) => copy_from_bucket(location, folder, settings),
    }
}

fn is_npz(address: &str) -> bool {
    Path::new(address).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// Downloads one file from the first address that has it.
fn download(addresses: &[String], name: &str, folder: &Path, verify: bool) -> Result<String> {
    let mut failures = Vec::new();
    for address in addresses {
        match get(address).and_then(|bytes| if verify { check(name, bytes) } else { Ok(bytes) }) {
            Ok(bytes) => {
                files::write(&folder.join(name), &bytes)?;
                return Ok(name.to_owned());
            }
            Err(error) => failures.push(format!("{address}: {error:#}")),
        }
    }
    bail!("{name} could not be fetched\n  {}", failures.join("\n  "))
}

fn get(address: &str) -> Result<Vec<u8>> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(DOWNLOAD_TIMEOUT)).build().new_agent();
    let mut answer = agent.get(address).call()?;
    Ok(answer.body_mut().with_config().limit(LARGEST).read_to_vec()?)
}

fn check(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let expected = CHECKSUMS.iter().find(|(known, _)| *known == name).map_or("", |(_, sum)| sum);
    let found = files::sha256(&[&bytes]);
    ensure!(
        found == expected,
        "has SHA-256 {found}, but MNIST's file has {expected}; to use another dataset on purpose, give --unverified"
    );
    Ok(bytes)
}

/// The three sets of file names under which a folder or bucket may hold MNIST. Any one of them is complete.
fn layouts() -> [Vec<String>; 3] {
    let plain = IDX_NAMES.map(str::to_owned).to_vec();
    let packed = plain.iter().map(|name| format!("{name}.gz")).collect();
    [packed, plain, vec![NPZ_NAME.to_owned()]]
}

fn copy(from: &Path, folder: &Path) -> Result<Vec<String>> {
    ensure!(from.is_dir(), "there is no folder {}", from.display());
    let complete = |names: &Vec<String>| names.iter().all(|name| from.join(name).is_file());
    let names = layouts().into_iter().find(complete).with_context(|| missing(&from.display()))?;
    for name in &names {
        files::write(&folder.join(name), &files::read(&from.join(name))?)?;
    }
    Ok(names)
}

fn copy_from_bucket(location: &Location, folder: &Path, settings: &Settings) -> Result<Vec<String>> {
    block_on(async {
        let store = Store::open(location, settings)?;
        let objects = store.list().await?;
        let complete = |names: &Vec<String>| names.iter().all(|name| objects.iter().any(|o| o.key == *name));
        let names = layouts().into_iter().find(complete).with_context(|| missing(&location))?;
        for name in &names {
            files::write(&folder.join(name), &store.read(name, LARGEST).await?)?;
        }
        Ok(names)
    })
}

fn missing(place: &dyn std::fmt::Display) -> String {
    format!("{place} holds neither MNIST's four files ({}.gz and so on) nor {NPZ_NAME}", IDX_NAMES[0])
}

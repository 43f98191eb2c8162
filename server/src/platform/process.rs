//! The process itself: what it asks of the system and of its libraries.

use std::{env, io, path::Path};

#[cfg(target_os = "linux")]
use {
    procfs::process::{MMPermissions, MMapPath, MemoryMap, Process},
    rustix::mm::{Advice, madvise},
    std::{fs, ops::Range, path::PathBuf},
};

/// ONNX Runtime's builds for Linux report to their makers otherwise: a thread, a database in the home directory and 2 MiB
/// of memory, which are there before a program can tell it not to.
#[cfg(target_os = "linux")]
const NO_REPORTS: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// What glibc's `malloc`, which ONNX Runtime alone uses, is told, and the variables that say otherwise.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MALLOC: [(&str, libc::c_int, libc::c_int); 2] = [
    // It keeps 2 MiB that loading a model has freed.
    ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, 128 << 10),
    // The memory of all threads but the first grows by a page at a time, with a system call for each, 2,200 of them for a
    // small model. What a run needs comes from the caches of its thread.
    ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, 1),
];

/// Settles how libraries behave that do not ask the program. What the environment says of it holds.
///
/// # Errors
/// The process has a second thread already, which might read what is settled here, or the system does not say.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, clippy::disallowed_methods, reason = "nobody else is there, and a library reads it")]
pub fn settle_libraries() -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("threads have been started"));
    }
    let (name, value) = NO_REPORTS;
    if env::var_os(name).is_none() {
        // SAFETY: no other thread reads it meanwhile, since there is none.
        unsafe { env::set_var(name, value) };
    }
    #[cfg(target_env = "gnu")]
    for (_, parameter, value) in MALLOC.iter().filter(|(name, ..)| env::var_os(name).is_none()) {
        // SAFETY: it takes two numbers, and there is no thread that allocates meanwhile.
        let _otherwise_as_it_was = unsafe { libc::mallopt(*parameter, *value) };
    }
    Ok(())
}

/// Elsewhere libraries stay as they are.
#[cfg(not(target_os = "linux"))]
pub fn settle_libraries() -> io::Result<()> {
    Ok(())
}

/// Ends the process without the destructors of libraries, where that is possible: ONNX Runtime's would free what a run
/// on another thread still uses.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the library has no safe form of it")]
pub fn end_at_once(status: u8) {
    // SAFETY: it takes a number, and nothing of the process is used any more.
    unsafe { libc::_exit(status.into()) }
}

/// Elsewhere it ends as usual.
#[cfg(not(target_os = "linux"))]
pub fn end_at_once(_status: u8) {}

/// A page of 2 MiB for a few small buffers of each thread is most of what an idle server would occupy.
#[cfg(target_os = "linux")]
pub fn huge_pages_off() {
    let _kernel_without_them = rustix::thread::disable_transparent_huge_pages(true);
}

/// Takes the pages of this program and of `library` that are as they are in their files out of the process: most of
/// them are code that served to start, and would stay for as long as the process does. What is needed again comes
/// back from the system's cache of files, 16 pages for a fault of a microsecond or two.
///
/// `library` is the file itself, not a link to it, and stays loaded.
///
/// # Errors
/// The system does not say what is mapped where, or refuses; all pages stay in place then, or some.
#[cfg(target_os = "linux")]
pub fn release_code(library: &Path) -> io::Result<()> {
    let files = [env::current_exe()?, library.to_owned()];
    let maps = Process::myself().and_then(|process| process.smaps()).map_err(io::Error::other)?;
    for Range { start, end } in maps.iter().filter_map(|map| unchanged(map, &files)) {
        // SAFETY: the pages are a file's, may not be written to, and none has been: whoever reads them next finds the
        // same bytes. They are still those of that file, since neither it nor the program is ever unloaded.
        #[expect(unsafe_code, reason = "advice that loses what was written, where nothing was")]
        unsafe { madvise(start as *mut _, end - start, Advice::LinuxDontNeed) }?;
    }
    Ok(())
}

/// Elsewhere code stays where it is.
#[cfg(not(target_os = "linux"))]
pub fn release_code(_library: &Path) -> io::Result<()> {
    Ok(())
}

/// Addresses of a part of one of the `files` that nobody may write to, nor has (as the loader does, which moves what
/// points elsewhere, and protects it then).
#[cfg(target_os = "linux")]
fn unchanged(map: &MemoryMap, files: &[PathBuf]) -> Option<Range<usize>> {
    let MMapPath::Path(path) = &map.pathname else { return None };
    let writable = map.perms.intersects(MMPermissions::WRITE | MMPermissions::SHARED);
    let unwritten = map.extension.map.get("Anonymous") == Some(&0);
    let (start, end) = map.address;
    (files.contains(path) && !writable && unwritten).then_some(start as usize..end as usize)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use procfs::{FromRead as _, process::MemoryMaps};

    use super::*;

    const MAPS: &str = "\
10000-20000 r--p 00000000 fe:00 7 /lib/a.so
Anonymous: 0 kB
20000-30000 r-xp 00010000 fe:00 7 /lib/a.so
Anonymous: 0 kB
30000-31000 r--p 00020000 fe:00 7 /lib/a.so
Anonymous: 4 kB
31000-32000 rw-p 00021000 fe:00 7 /lib/a.so
Anonymous: 0 kB
32000-33000 r--s 00022000 fe:00 7 /lib/a.so
Anonymous: 0 kB
40000-50000 r-xp 00000000 fe:00 8 /lib/b.so
Anonymous: 0 kB
50000-60000 r--p 00000000 00:00 0 [heap]
Anonymous: 0 kB
";

    #[test]
    fn nothing_is_settled_beside_other_threads() {
        assert!(std::thread::spawn(settle_libraries).join().unwrap().is_err());
    }

    #[test]
    fn only_what_nobody_has_written_or_may_write_is_unchanged() {
        let maps = MemoryMaps::from_read(MAPS.as_bytes()).unwrap();
        let found: Vec<_> = maps.iter().filter_map(|map| unchanged(map, &["/lib/a.so".into()])).collect();
        assert_eq!(found, [0x10000..0x20000, 0x20000..0x30000]);
    }
}

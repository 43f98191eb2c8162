//! Settings of the process itself: for its libraries, its memory, and how it ends.

use std::{env, io, path::Path};

#[cfg(target_os = "linux")]
use {
    procfs::process::{MMPermissions, MMapPath, MemoryMap, Process},
    rustix::mm::{Advice, madvise},
    std::{fs, ops::Range, path::PathBuf},
};

/// The variable that switches off ONNX Runtime's telemetry. Its builds for Linux start telemetry while they are loaded,
/// before a program can call an option to prevent it. It costs a thread, a database in the home directory and 2 MiB of
/// memory.
#[cfg(target_os = "linux")]
const NO_TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// Options of glibc's `malloc`: the environment variable that overrides the option, the option, its value. Only ONNX
/// Runtime uses this allocator; Decima itself uses mimalloc.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MALLOC: [(&str, libc::c_int, libc::c_int); 2] = [
    // By default, malloc keeps about 2 MiB that loading a model has freed.
    ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, 128 << 10),
    // By default, each thread has an arena of its own. All but the first grow by one page per system call, which takes
    // thousands of calls to load even a small model. Runs do not need the arenas, since each thread caches its small
    // blocks.
    ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, 1),
];

/// Configures libraries that read environment variables or global options when they are loaded. A variable that is set
/// already keeps its value.
///
/// # Errors
/// The process has more than one thread, so that changing the environment is not safe, or the system does not say how
/// many it has.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "the process has one thread, and a library reads it"
)]
pub fn configure_libraries() -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("threads have been started"));
    }
    let (name, value) = NO_TELEMETRY;
    if env::var_os(name).is_none() {
        // SAFETY: no other thread can read the environment meanwhile, since there is none.
        unsafe { env::set_var(name, value) };
    }
    #[cfg(target_env = "gnu")]
    for (_, parameter, value) in MALLOC.iter().filter(|(name, ..)| env::var_os(name).is_none()) {
        // SAFETY: the function takes two numbers, and no other thread allocates meanwhile.
        let _refused = unsafe { libc::mallopt(*parameter, *value) };
    }
    Ok(())
}

/// On other systems, libraries keep their defaults.
#[cfg(not(target_os = "linux"))]
pub fn configure_libraries() -> io::Result<()> {
    Ok(())
}

/// Ends the process at once, without running the destructors of libraries. ONNX Runtime's destructors would free memory
/// that a run on another thread still uses.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the library has no safe form of it")]
pub fn end_at_once(status: u8) {
    // SAFETY: the function takes a number, and nothing runs after it.
    unsafe { libc::_exit(status.into()) }
}

/// On other systems, the process ends as usual.
#[cfg(not(target_os = "linux"))]
pub fn end_at_once(_status: u8) {}

/// Switches off transparent huge pages. With them, a few small buffers per thread occupy a page of 2 MiB each, which
/// would be most of an idle server's memory.
#[cfg(target_os = "linux")]
pub fn huge_pages_off() {
    let _unsupported = rustix::thread::disable_transparent_huge_pages(true);
}

/// Releases the memory pages of this program and of `library` that are unchanged copies of their files. Most of them
/// are code that only starting needs, and would otherwise count as the process's memory until it ends. A page that is
/// needed again comes back from the system's file cache with a cheap page fault.
///
/// `library` must be the path of the file itself, not of a link to it, and must stay loaded.
///
/// # Errors
/// The system does not list the memory maps, or refuses. Then all pages, or some, stay in memory.
#[cfg(target_os = "linux")]
pub fn release_code(library: &Path) -> io::Result<()> {
    let files = [env::current_exe()?, library.to_owned()];
    let maps = Process::myself().and_then(|process| process.smaps()).map_err(io::Error::other)?;
    for Range { start, end } in maps.iter().filter_map(|map| unchanged(map, &files)) {
        // SAFETY: the pages belong to a file, are read-only and were never written to, so that the next read finds the
        // same bytes. They still belong to that file, since neither the library nor the program is ever unloaded.
        #[expect(unsafe_code, reason = "the advice discards written data, and these pages have none")]
        unsafe { madvise(start as *mut _, end - start, Advice::LinuxDontNeed) }?;
    }
    Ok(())
}

/// On other systems, code stays in memory.
#[cfg(not(target_os = "linux"))]
pub fn release_code(_library: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns the addresses of a map of one of the `files`, if it is read-only and was never written to. A map without
/// write permission may still have been written to: the loader relocates pointers in it and protects it afterwards.
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
    fn libraries_are_not_configured_beside_other_threads() {
        assert!(std::thread::spawn(configure_libraries).join().unwrap().is_err());
    }

    #[test]
    fn only_read_only_maps_that_were_never_written_to_are_unchanged() {
        let maps = MemoryMaps::from_read(MAPS.as_bytes()).unwrap();
        let found: Vec<_> = maps.iter().filter_map(|map| unchanged(map, &["/lib/a.so".into()])).collect();
        assert_eq!(found, [0x10000..0x20000, 0x20000..0x30000]);
    }
}

//! What the process uses of the machine.

/// What the process uses of the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time of all its threads so far, the system's for it included, in seconds.
    pub cpu_seconds: f64,
    /// Its memory that is in use, in bytes.
    pub resident_bytes: u64,
    /// Its address space, in bytes.
    pub virtual_bytes: u64,
    /// When it started, in seconds since 1970.
    pub started: f64,
    /// Its open file descriptors.
    pub open_files: u64,
    /// How many of them may be open; `None`: as many as the system has.
    pub most_files: Option<u64>,
    /// Its threads.
    pub threads: u64,
}

impl Usage {
    /// Reads what the process uses now. `None` if the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn now() -> Option<Self> {
        use procfs::process::{LimitValue, Process};

        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let ticks = procfs::ticks_per_second() as f64;
        let started = procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks;
        let most_files = match process.limits().ok()?.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        };
        Some(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss * procfs::page_size(),
            virtual_bytes: stat.vsize,
            started,
            open_files: process.fd_count().ok()? as u64,
            most_files,
            threads: u64::try_from(stat.num_threads).ok()?,
        })
    }

    /// Other systems have no `/proc`.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        fs::File,
        time::{Instant, SystemTime, UNIX_EPOCH},
    };

    use super::*;

    #[test]
    fn it_tells_what_this_process_uses() {
        let before = Usage::now().unwrap();
        let files: Vec<_> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let memory = vec![1_u8; 32 << 20];
        let started = Instant::now();
        while Usage::now().unwrap().cpu_seconds < before.cpu_seconds + 0.05 {
            assert!(started.elapsed().as_secs() < 60, "no CPU time is counted");
        }
        let after = Usage::now().unwrap();
        // Other tests of this process come and go, so the files are more or less than 20.
        assert!(after.open_files >= 20 && after.most_files.is_none_or(|most| most > after.open_files));
        assert!(after.resident_bytes >= memory.iter().map(|&byte| u64::from(byte)).sum());
        assert!(after.virtual_bytes > after.resident_bytes && after.threads >= 1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..86_400.0).contains(&(now - after.started)), "{after:?} at {now}");
        assert_eq!(before.started.to_bits(), after.started.to_bits());
        drop(files);
    }
}

//! How many CPU cores this process may use. A container sees every core of its host, but its cgroup quota may allow
//! only a few of them. With more threads than the quota allows, the kernel throttles all of them.

use std::{fs, path::Path};

/// How many threads to use, and which limit decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuBudget {
    /// Threads that can run at the same time, at least 1.
    pub threads: usize,
    /// The limit, for the log and `--print-config`, such as `cgroup quota 1.5 of 16 cores`.
    pub reason: String,
}

/// Detects the budget of this process.
pub fn detect() -> CpuBudget {
    let fallback = std::thread::available_parallelism().map_or(1, usize::from);
    detect_in(Path::new("/"), fallback)
}

/// Computes the budget from the files under `root`. Uses `cores` if the files do not give the number of cores, as
/// outside Linux.
fn detect_in(root: &Path, cores: usize) -> CpuBudget {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let cores = count_list(&read("sys/devices/system/cpu/online")).unwrap_or(cores);
    let affinity = allowed(&read("proc/self/status")).unwrap_or(cores);
    let quota = quota(&root.join("sys/fs/cgroup"), &read("proc/self/cgroup"));
    budget(cores, affinity, quota)
}

fn budget(cores: usize, affinity: usize, quota: Option<f64>) -> CpuBudget {
    let of_cores = if cores == 1 { "of 1 core".to_owned() } else { format!("of {cores} cores") };
    let available = affinity.min(cores);
    match quota {
        Some(quota) if quota.ceil() < available as f64 => CpuBudget {
            threads: (quota.ceil() as usize).max(1),
            reason: format!("cgroup quota {} {of_cores}", (quota * 1000.0).round() / 1000.0),
        },
        _ if affinity < cores => {
            CpuBudget { threads: affinity.max(1), reason: format!("affinity to {affinity} {of_cores}") }
        }
        _ => CpuBudget { threads: cores.max(1), reason: format!("all {of_cores}") },
    }
}

/// Counts the cores that the process may run on (its affinity), from `/proc/self/status`. In a container without a
/// cpuset, the list may have more cores than the machine.
fn allowed(status: &str) -> Option<usize> {
    count_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Counts the members of a list such as `0-3,8`.
fn count_list(list: &str) -> Option<usize> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.trim().split(',').map(count).sum()
}

/// Finds the smallest quota, in cores, among our control group and its ancestors, for cgroups version 1 and 2. `groups`
/// is the text of `/proc/self/cgroup`: lines of `id:controllers:path`, where version 2 has no controllers. In a
/// container, the path may be that of the host although only our own group is mounted, as the root. The search ends at
/// the root, so it finds that group too.
fn quota(mount: &Path, groups: &str) -> Option<f64> {
    groups.lines().filter_map(|line| quota_in_hierarchy(mount, line)).reduce(f64::min)
}

fn quota_in_hierarchy(mount: &Path, line: &str) -> Option<f64> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let version_2 = controllers.is_empty();
    if !version_2 && !controllers.split(',').any(|name| name == "cpu") {
        return None;
    }
    let hierarchies = if version_2 { ["", "unified"] } else { [controllers, "cpu"] };
    let read = if version_2 { quota_v2 } else { quota_v1 };
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    groups
        .flat_map(|group| hierarchies.map(|hierarchy| mount.join(hierarchy).join(group)))
        .filter_map(|group| read(&group))
        .reduce(f64::min)
}

/// Reads `cpu.max`: the quota and the period, in microseconds. The quota is `max` if there is no limit.
fn quota_v2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

/// Reads the quota and the period, in microseconds. The quota is -1 if there is no limit.
fn quota_v1(group: &Path) -> Option<f64> {
    let read = |name| fs::read_to_string(group.join(name)).ok();
    ratio(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the budget on a machine with these files.
    fn on(files: &[(&str, &str)]) -> (usize, String) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let budget = detect_in(root.path(), 4);
        (budget.threads, budget.reason)
    }

    const SIXTEEN: (&str, &str) = ("sys/devices/system/cpu/online", "0-15\n");

    #[test]
    fn without_limits_every_core_counts() {
        assert_eq!(on(&[SIXTEEN]), (16, "all of 16 cores".into()));
        assert_eq!(on(&[]), (4, "all of 4 cores".into()));
        // A container without a cpuset lists more cores than there are.
        assert_eq!(on(&[SIXTEEN, ("proc/self/status", "Cpus_allowed_list:\t0-127\n")]).0, 16);
    }

    #[test]
    fn affinity_limits() {
        let status = ("proc/self/status", "Name:\tdecima\nCpus_allowed_list:\t0-1,8\n");
        assert_eq!(on(&[SIXTEEN, status]), (3, "affinity to 3 of 16 cores".into()));
    }

    #[test]
    fn a_quota_of_version_2_is_rounded_up() {
        let group = ("proc/self/cgroup", "0::/\n");
        for (max, threads) in
            [("150000 100000", 2), ("5000 100000", 1), ("200000 100000", 2), ("max 100000", 16)]
        {
            assert_eq!(on(&[SIXTEEN, group, ("sys/fs/cgroup/cpu.max", max)]).0, threads, "{max}");
        }
        let files = [SIXTEEN, group, ("sys/fs/cgroup/cpu.max", "150000 100000\n")];
        assert_eq!(on(&files).1, "cgroup quota 1.5 of 16 cores");
    }

    #[test]
    fn the_smallest_quota_on_the_way_up_counts() {
        let files = [
            SIXTEEN,
            ("proc/self/cgroup", "0::/kubepods/pod1/container\n"),
            ("sys/fs/cgroup/kubepods/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/kubepods/pod1/cpu.max", "100000 100000\n"),
            ("sys/fs/cgroup/kubepods/pod1/container/cpu.max", "400000 100000\n"),
        ];
        assert_eq!(on(&files), (1, "cgroup quota 1 of 16 cores".into()));
    }

    #[test]
    fn version_1_is_found_where_the_path_is_that_of_the_host() {
        let files = [
            SIXTEEN,
            ("proc/self/cgroup", "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/unrelated/cpu.cfs_quota_us", "1000\n"),
        ];
        assert_eq!(on(&files), (3, "cgroup quota 2.5 of 16 cores".into()));
        let none =
            [SIXTEEN, ("proc/self/cgroup", "4:cpu:/\n"), ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")];
        assert_eq!(on(&none).0, 16);
    }

    #[test]
    fn affinity_below_the_quota_counts() {
        let files = [
            SIXTEEN,
            ("proc/self/status", "Cpus_allowed_list:\t3\n"),
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/cpu.max", "800000 100000\n"),
        ];
        assert_eq!(on(&files), (1, "affinity to 1 of 16 cores".into()));
    }
}

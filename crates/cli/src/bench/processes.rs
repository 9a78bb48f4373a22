//! CPU time and memory of processes, read from `/proc` (see proc(5)).
//!
//! PostgreSQL forks a process per connection and RabbitMQ has helpers, so a name stands for a
//! process with everything below it. Time of children that have ended is counted by their parent.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks a second: `USER_HZ`, which is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A named process whose use of the machine is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What it is: `ingest`, `dispatcher`, `broker`, `database`.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

impl Watched {
    /// Reads `name=PID`, for clap.
    ///
    /// # Errors
    /// It is written in another way.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
        let pid = pid
            .parse()
            .map_err(|_not_a_number| "write NAME=PID".to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            pid,
        })
    }
}

/// What one process has used, and who started it.
#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// CPU time of every process at one moment.
#[derive(Debug, Clone, Default)]
pub struct CpuSnapshot(HashMap<u32, Stat>);

impl CpuSnapshot {
    /// Reads all of `/proc`.
    ///
    /// # Errors
    /// There is no `/proc`: this is not Linux.
    pub fn take() -> Result<Self> {
        let mut all = HashMap::new();
        for entry in fs::read_dir("/proc").context("CPU is measured on Linux only")? {
            let Ok(entry) = entry else { continue };
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A process may end while we look.
            if let Ok(text) = fs::read_to_string(entry.path().join("stat"))
                && let Some(stat) = parse_stat(&text)
            {
                all.insert(pid, stat);
            }
        }
        Ok(Self(all))
    }

    /// CPU time that `root` and everything below it have used so far.
    pub fn of_tree(&self, root: u32) -> Duration {
        let ticks: u64 = self
            .tree(root)
            .iter()
            .filter_map(|pid| self.0.get(pid))
            .map(|stat| stat.ticks)
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// `root` and everything below it.
    fn tree(&self, root: u32) -> Vec<u32> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            found.extend(
                self.0
                    .iter()
                    .filter(|(_, stat)| stat.parent == parent)
                    .map(|(pid, _)| *pid),
            );
        }
        found
    }
}

/// The parent and the CPU time (own and of ended children) in a line of `/proc/PID/stat`. The
/// program's name stands in brackets and may hold anything, so reading starts after the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3 of proc(5) is the first here: parent is field 4, the four times are 14 to 17.
    let parent = fields.get(1)?.parse().ok()?;
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(Stat { parent, ticks })
}

/// Memory of a process in bytes: what is resident, program code included, as `ps` shows it.
///
/// # Errors
/// The process has ended.
pub fn memory(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended"))?;
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("process {pid} has ended"))? * 1024)
}

/// The process that listens on a TCP port of this machine.
pub fn find_listener(port: u16) -> Option<u32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|file| find_inode(&fs::read_to_string(file).ok()?, port))?;
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else {
            continue; // Somebody else's process.
        };
        for file in files.flatten() {
            if fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str())
            {
                return Some(pid);
            }
        }
    }
    None
}

/// The inode of the socket in state "listening" (0A) on `port`.
fn find_inode(table: &str, port: u16) -> Option<String> {
    let port = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_listener = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
        is_listener.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_whatever_the_name() {
        let line = "42 (a) b) c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 5 0 100 1 2";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 110));
        assert!(parse_stat("nonsense").is_none());
    }

    #[test]
    fn a_tree_is_a_process_with_all_below_it() {
        let stat = |parent, ticks| Stat { parent, ticks };
        let all = [
            (1, stat(0, 1)),
            (2, stat(1, 10)),
            (3, stat(2, 100)),
            (4, stat(0, 1000)),
        ];
        let snapshot = CpuSnapshot(all.into());
        assert_eq!(snapshot.of_tree(1), Duration::from_millis(1110));
        assert_eq!(snapshot.of_tree(99), Duration::ZERO);
    }

    #[test]
    fn this_process_is_found_by_its_port_and_has_memory() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(find_listener(port), Some(std::process::id()));
        assert!(memory(std::process::id()).unwrap() > 1_000_000);
        assert!(
            CpuSnapshot::take()
                .unwrap()
                .0
                .contains_key(&std::process::id())
        );
    }

    #[test]
    fn a_watched_process_is_written_name_and_number() {
        assert_eq!(
            Watched::parse("broker=17"),
            Ok(Watched {
                name: "broker".into(),
                pid: 17
            })
        );
        assert!(Watched::parse("broker").is_err() && Watched::parse("broker=x").is_err());
    }
}

//! Folders for test data: `target/testkit/PID/NAME`, removed by a later run once the process is gone.

use std::fs;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use crate::config::target_dir;

/// A new, empty folder for this test process. What it holds stays for a look after a failure and
/// is removed by the next test run.
///
/// # Errors
/// It cannot be created.
pub fn scratch_dir(name: &str) -> Result<PathBuf> {
    static CLEAN: Once = Once::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let root = target_dir().join("testkit");
    CLEAN.call_once(|| remove_folders_of_ended_processes(&root));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = root
        .join(std::process::id().to_string())
        .join(format!("{name}-{number}"));
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    dir.canonicalize()
        .with_context(|| format!("failed to find {}", dir.display()))
}

fn remove_folders_of_ended_processes(root: &std::path::Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_pid = name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok());
        if is_pid && !std::path::Path::new("/proc").join(&name).exists() {
            // A parallel run may be removing it too; what is left goes next time.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

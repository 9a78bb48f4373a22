//! PostgreSQL's own programs: where they are, and how they are run when we are root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::cluster::Cluster;
use super::not_installed;
use crate::child;

/// The folder of `postgres`, `initdb` and `psql`. Debian's `/usr/bin/psql` is a slow wrapper.
pub(super) fn bin_dir() -> Result<PathBuf> {
    let version = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = debian
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .max_by_key(version)
        .map(|path| path.join("bin"));
    let elsewhere = || {
        ["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.join("postgres").exists())
    };
    newest.or_else(elsewhere).ok_or_else(not_installed)
}

/// Whether we are root, as which PostgreSQL refuses to run.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A program of PostgreSQL that dies with us; as the user `postgres` when we are root. The
/// capability lets that user into folders above the data that only root may enter.
pub(super) fn postgres_command(program: &str) -> Result<Command> {
    let program = bin_dir()?.join(program);
    if !is_root() {
        return Ok(child::command_that_dies_with_us("QUIT", program));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
        .args(["--pdeathsig=QUIT", "--"])
        .arg(program);
    Ok(command)
}

/// The server itself.
pub(super) fn server_command(cluster: &Cluster) -> Result<Command> {
    let mut command = postgres_command("postgres")?;
    command.current_dir(cluster.dir()).env("LC_ALL", "C");
    Ok(command)
}

/// Runs SQL and gives the result unaligned, without headings.
pub(super) fn psql(url: &str, sql: &str) -> Result<String> {
    let mut command = Command::new(bin_dir()?.join("psql"));
    command
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set=ON_ERROR_STOP=1", "--command", sql])
        .env("PGCONNECT_TIMEOUT", "5")
        .arg(url);
    Ok(child::run(command)?.trim_end().to_owned())
}

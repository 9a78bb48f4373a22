//! The files of a cluster: data, log and password.
//!
//! `initdb` takes a second, so it runs once per PostgreSQL version; each new cluster is a copy of
//! that template, which lies under `target/testkit`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::programs::{bin_dir, is_root, postgres_command};
use crate::child;
use crate::config::target_dir;
use crate::secret::random_hex;

/// A folder with `data/`, `log` and `password`.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    dir: PathBuf,
    password: String,
}

impl Cluster {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The password of both roles.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// The cluster in `dir`; a copy of the template where there is none yet.
    pub(super) fn open_or_copy(dir: PathBuf) -> Result<Self> {
        if !dir.join("data").exists() {
            copy(&template()?, &dir)?;
        }
        let password = read_password(&dir)?;
        Ok(Self { dir, password })
    }

    /// Replaces the data by the template's.
    pub(super) fn wipe(&self) -> Result<()> {
        fs::remove_dir_all(self.data())?;
        copy(&template()?, &self.dir)?;
        ensure!(
            read_password(&self.dir)? == self.password,
            "the template was made anew meanwhile"
        );
        Ok(())
    }
}

fn read_password(dir: &Path) -> Result<String> {
    let path = dir.join("password");
    fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

/// Copies `data/` and `password`, with their owner.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]);
    command
        .arg(from.join("data"))
        .arg(from.join("password"))
        .arg(to);
    child::run(command).map(drop)
}

/// The template cluster of this PostgreSQL version, made on first use. Several processes may make
/// it at once: each works in a folder of its own and the first to rename it wins.
fn template() -> Result<PathBuf> {
    let version = bin_dir()?.to_string_lossy().replace('/', "-");
    let user = if is_root() { "root" } else { "user" };
    let root = target_dir().join("testkit");
    let template = root.join(format!("template-{user}{version}"));
    if !template.exists() {
        let draft = root.join(format!("draft-{}", random_hex()?));
        fs::create_dir_all(&draft)?;
        let draft = draft.canonicalize()?;
        make_template(&draft)?;
        if fs::rename(&draft, &template).is_err() {
            fs::remove_dir_all(&draft)?;
        }
    }
    Ok(template.canonicalize()?)
}

fn make_template(dir: &Path) -> Result<()> {
    let (data, password_file) = (dir.join("data"), dir.join("password"));
    let password = random_hex()?;
    fs::create_dir(&data)?;
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&password_file)?
        .write_all(password.as_bytes())?;
    if is_root() {
        let postgres = owner_named_postgres()?;
        chown(&data, Some(postgres), None)?;
    }
    let mut initdb = postgres_command("initdb")?;
    initdb
        .arg("--pgdata")
        .arg(&data)
        .arg("--pwfile")
        .arg(&password_file)
        // Loopback only: the password need not be hidden on the way, only known.
        .args([
            "--username=postgres",
            "--auth-host=password",
            "--auth-local=reject",
        ])
        .args(["--encoding=UTF8", "--locale=C", "--no-sync"])
        .current_dir(dir)
        .env("LC_ALL", "C");
    child::run(initdb)?;
    // A server without network or other users: the quickest way to run two statements.
    let mut single = postgres_command("postgres")?;
    single
        .args(["--single", "-F", "-D"])
        .arg(&data)
        .arg("postgres")
        .current_dir(dir)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = single
        .spawn()
        .context("failed to start postgres --single")?;
    if let Some(mut input) = process.stdin.take() {
        writeln!(
            input,
            "create role signpost login createdb password '{password}';"
        )?;
        writeln!(input, "create database signpost owner signpost;")?;
    }
    let output = process.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !errors.contains("ERROR"),
        "postgres --single failed: {errors}"
    );
    Ok(())
}

fn owner_named_postgres() -> Result<u32> {
    let mut command = Command::new("id");
    command.args(["-u", "postgres"]);
    let id =
        child::run(command).context("root needs the user postgres: PostgreSQL refuses root")?;
    Ok(id.trim().parse()?)
}

//! The programs in `examples/`, run as their usage lines say.
//!
//! Python and Node must be on the machine; any other language that is not there is left out. What
//! the programs need is installed into `target/examples`, once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

mod publish;
mod receive;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// An example's own copy in `target/examples/LANGUAGE`, held by this process until it is dropped.
struct Room {
    folder: PathBuf,
    _lock: File,
}

impl Room {
    /// Copies `examples/LANGUAGE`. Waits while another test run holds the room.
    async fn enter(language: &'static str) -> Self {
        let enter = move || {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../examples")
                .join(language);
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
            let folder = target.join("examples").join(language);
            fs::create_dir_all(&folder).unwrap();
            let lock = File::create(folder.join(".lock")).unwrap();
            lock.lock().unwrap();
            for file in fs::read_dir(sources).unwrap() {
                let file = file.unwrap();
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), folder.join(file.file_name())).unwrap();
                }
            }
            Self {
                folder,
                _lock: lock,
            }
        };
        tokio::task::spawn_blocking(enter).await.unwrap()
    }

    /// Runs `steps` unless they were run for this very `list` of packages before.
    async fn install(&self, list: &str, steps: &[&[&str]]) {
        let wanted = fs::read_to_string(self.folder.join(list)).unwrap();
        let stamp = self.folder.join(".installed");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return;
        }
        for step in steps {
            let done = self.run(&mut self.command(step)).await;
            done.unwrap_or_else(|said| panic!("{step:?} failed: {said}"));
        }
        fs::write(stamp, wanted).unwrap();
    }

    /// A command in this room; a program with a slash is one that was installed into it.
    fn command(&self, words: &[&str]) -> Command {
        let program = if words[0].contains('/') {
            self.folder.join(words[0])
        } else {
            PathBuf::from(words[0])
        };
        let mut command = Command::new(program);
        command
            .args(&words[1..])
            .current_dir(&self.folder)
            // Java decodes its arguments by this.
            .env("LC_ALL", "C.UTF-8")
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end: its standard output, or what it said when it failed.
    async fn run(&self, command: &mut Command) -> Result<String, String> {
        let output = command
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            Ok(out)
        } else {
            Err(format!("{out}{said}"))
        }
    }
}

/// Whether `program` is on the path.
fn is_installed(program: &str) -> bool {
    let look = std::process::Command::new("sh")
        .args(["-c", "command -v -- \"$0\"", program])
        .stdout(Stdio::null())
        .status();
    look.unwrap().success()
}

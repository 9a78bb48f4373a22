//! An empty vhost for one test.

use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};

use super::control::RabbitControl;
use crate::secret::random_hex;

/// A vhost that belongs to one test and is deleted, with its queues, with this value.
#[derive(Debug)]
pub struct Vhost {
    name: String,
    url: String,
    control: RabbitControl,
}

impl Vhost {
    /// Its name: `test-…`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `rabbitmqctl` can do with its broker; give it `-p` and this vhost's name.
    pub fn control(&self) -> &RabbitControl {
        &self.control
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let control = self.control.clone();
        // The broker does the work after erl_call has returned; one that is down needs none. Queues
        // get some time first: one that is deleted while its dead-letter worker starts makes
        // RabbitMQ 3.10 restart that worker until its supervisor gives up, and then no quorum queue
        // of the whole node can be declared any more.
        let vhost = format!("<<\"{}\">>", self.name);
        let delete = format!(
            "spawn(fun() -> case rabbit_amqqueue:list({vhost}) of [] -> ok; \
             _ -> timer:sleep(20000) end, rabbit_vhost:delete({vhost}, <<\"signpost\">>) end)."
        );
        std::thread::spawn(move || drop(control.eval_blocking(&delete)));
    }
}

/// Creates a vhost in which the user `signpost` may do everything (about 20 ms).
pub(crate) async fn create_vhost(control: RabbitControl) -> Result<Vhost> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = &random_hex()?[..8];
    let name = format!("test-{}-{number}-{random}", id());
    let (vhost, user) = (format!("<<\"{name}\">>"), "<<\"signpost\">>");
    let answer = control
        .eval(&format!(
            "ok = rabbit_vhost:add({vhost}, {user}), ok = rabbit_auth_backend_internal:\
             set_permissions({user}, {vhost}, <<\".*\">>, <<\".*\">>, <<\".*\">>, {user})."
        ))
        .await?;
    ensure!(answer == "ok", "creating the vhost {name} gave {answer}");
    Ok(Vhost {
        url: control.url(&name),
        name,
        control,
    })
}

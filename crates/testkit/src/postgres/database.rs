//! An empty database for one test.

use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use super::programs::psql;
use crate::secret::random_hex;

/// A database that belongs to one test and is dropped with this value.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    server_url: String,
}

impl Database {
    /// Its name: `test_…`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL in it as its owner and gives what `psql` prints, unaligned, without headings.
    ///
    /// # Errors
    /// The server is down or the SQL is wrong.
    pub async fn psql(&self, sql: &str) -> Result<String> {
        let (url, sql) = (self.url.clone(), sql.to_owned());
        tokio::task::spawn_blocking(move || psql(&url, &sql)).await?
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (self.server_url.clone(), self.name.clone());
        // In the background: a test does not wait for its tidying, and a server that is down or
        // goes away with the process takes the database along.
        std::thread::spawn(move || {
            drop(psql(
                &url,
                &format!("drop database if exists {name} with (force)"),
            ));
        });
    }
}

/// Creates an empty database on the server that `server_url` names, as its role.
pub(crate) async fn create_database(server_url: String) -> Result<Database> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = &random_hex()?[..8];
    let name = format!("test_{}_{number}_{random}", id());
    let mut url = url::Url::parse(&server_url).context("not a database URL")?;
    url.set_path(&name);
    let sql = format!("create database {name} template template0");
    let server = server_url.clone();
    tokio::task::spawn_blocking(move || psql(&server, &sql)).await??;
    Ok(Database {
        name,
        url: url.into(),
        server_url,
    })
}

//! Free ports on 127.0.0.1.
//!
//! Taken at random from below the range that the kernel hands to outgoing connections
//! (32768–60999), so that a server that is down for a moment finds its port still free.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

use crate::secret::random_below;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that nobody listens on at this moment.
///
/// # Errors
/// None was found in 200 tries.
pub fn free_port() -> Result<u16> {
    Ok(bind()?.local_addr()?.port())
}

/// `N` different free ports.
///
/// # Errors
/// As [`free_port`].
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = bind()?;
        *port = listener.local_addr()?.port();
        held.push(listener); // Kept until all are chosen, so that they differ.
    }
    Ok(ports)
}

/// Listens on a free port of 127.0.0.1.
fn bind() -> Result<TcpListener> {
    for _ in 0..200 {
        let port = FIRST + random_below(COUNT)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    bail!(
        "found no free port of 127.0.0.1 between {FIRST} and {}",
        FIRST + COUNT
    )
}

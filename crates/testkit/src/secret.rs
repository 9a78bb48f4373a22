//! Passwords for private servers, so that other users of the machine cannot get in.

use std::fs::File;
use std::io::Read as _;

use anyhow::{Context as _, Result};

/// 128 random bits as hexadecimal digits.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    Ok(hex::encode(bytes))
}

/// A random number below `limit`.
pub(crate) fn random_below(limit: u16) -> Result<u16> {
    let mut bytes = [0u8; 4];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    let number = u32::from_ne_bytes(bytes) % u32::from(limit.max(1));
    u16::try_from(number).context("below a u16 limit")
}

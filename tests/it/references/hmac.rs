//! HMAC-SHA-256 out of its definition (RFC 2104), so that what signs and what checks here have no
//! code in common.

use sha2::{Digest as _, Sha256};

/// Bytes that the hash takes in at a time.
const BLOCK: usize = 64;

fn of(secret: &str, message: &[u8]) -> [u8; 32] {
    let mut key = [0_u8; BLOCK];
    let secret = secret.as_bytes();
    if secret.len() > BLOCK {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let padded = |pad: u8| key.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    outer.into()
}

/// What `hash_hmac('sha256', $message, $secret)` gives.
pub(super) fn hex_of(secret: &str, message: &[u8]) -> String {
    hex::encode(of(secret, message))
}

/// The same in base64.
pub(super) fn base64_of(secret: &str, message: &[u8]) -> String {
    crate::world::base64_of(&of(secret, message))
}

#[test]
fn it_gives_the_published_values() {
    // RFC 4231, test case 2.
    assert_eq!(
        hex_of("Jefe", b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    // A key longer than a block, by Python's hmac.
    assert_eq!(
        hex_of(&"k".repeat(80), b"x"),
        "7f666952a01340e1bb9d4caa3bd87d845aba6991888e1bab81fe572dabb9fe19"
    );
}

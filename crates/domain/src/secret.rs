//! Rules for signing secrets. What a secret's bytes mean is the profile's business (`wire`).

use crate::Problem;

/// Fewest bytes of a secret that a user brings, unless forced.
pub const MIN_SECRET: usize = 16;
/// Most bytes of a secret.
pub const MAX_SECRET: usize = 512;

/// Checks a secret that a user brought: printable ASCII, 16 to 512 bytes (1 to 512 if `forced`).
///
/// # Errors
/// What is wrong, at `/secret`; the secret itself is not in the text.
pub fn check_secret(secret: &str, forced: bool) -> Result<(), Problem> {
    let shortest = if forced { 1 } else { MIN_SECRET };
    let printable = secret.bytes().all(|b| (b'!'..=b'~').contains(&b));
    if printable && (shortest..=MAX_SECRET).contains(&secret.len()) {
        return Ok(());
    }
    Err(Problem::new(
        "/secret",
        format!(
            "a secret has {shortest} to {MAX_SECRET} characters of printable ASCII without spaces"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_must_be_forced() {
        assert!(check_secret("password123", false).is_err());
        assert!(check_secret("password123", true).is_ok());
        assert!(check_secret("whsec_0123456789abcdef", false).is_ok());
        assert!(check_secret("", true).is_err());
        assert!(check_secret("with space in the middle", false).is_err());
    }
}

//! Secrets from the configuration: given directly, or in the file that the `_FILE` twin names.

use std::path::Path;

use secrecy::SecretString;

/// Why a secret could not be read. The secret itself is never in the text.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Both the variable and its twin are set.
    #[error("{name} and {name}_FILE are both set: set one")]
    Both {
        /// The variable.
        name: &'static str,
    },
    /// The file cannot be read.
    #[error("{name}_FILE: cannot read {path}")]
    Unreadable {
        /// The variable.
        name: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Takes the value, or the content of the file without the line end; `None` when neither is set.
///
/// # Errors
/// When both are set, or the file cannot be read.
pub fn read(
    name: &'static str,
    value: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, SecretError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretError::Both { name }),
        (Some(value), None) => Ok(Some(SecretString::from(value))),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
                name,
                path: path.display().to_string(),
                source,
            })?;
            Ok(Some(SecretString::from(
                text.trim_end_matches(['\r', '\n']),
            )))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_gives_its_content_without_the_line_end() {
        let path = std::env::temp_dir().join(format!("signpost-secret-{}", std::process::id()));
        std::fs::write(&path, "hush\n").unwrap();
        let secret = read("SIGNPOST_ADMIN_KEY", None, Some(&path))
            .unwrap()
            .unwrap();
        assert_eq!(secret.expose_secret(), "hush");
        assert!(matches!(
            read("X", Some("a"), Some(&path)),
            Err(SecretError::Both { .. })
        ));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            read("X", None, Some(&path)),
            Err(SecretError::Unreadable { .. })
        ));
    }
}

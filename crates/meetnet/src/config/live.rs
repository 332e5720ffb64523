//! What of a configuration can change while a daemon runs: sources, datasets and their declarations. Everything else is
//! read once, when it starts.
//!
//! Values are compared as they are written, so that a key that is added to some section later is fixed until somebody
//! makes it live. A default that is written out counts as a change: nobody has to know the defaults here.

use meetnet_model::declarations::DeclarationError;

use super::{Config, ConfigError};

/// Sections that can change while a daemon runs.
pub(super) const LIVE_SECTIONS: &[&str] = &["source", "dataset", "schemas"];

impl Config {
    /// Checks that nothing differs from the `running` configuration that is read only when a daemon starts. A file that has
    /// become empty was cut off: nobody takes every source out like that.
    ///
    /// # Errors
    /// Every key that does.
    pub(crate) fn check_live(&self, running: &Self) -> Result<(), ConfigError> {
        let of_file = |message: String| DeclarationError {
            file: self.file.display().to_string(),
            line: None,
            message,
        };
        if self.is_blank && !running.is_blank {
            let message = "the file is empty; put it back as it was, from a backup or as the running daemon was started with";
            return Err(ConfigError {
                problems: vec![of_file(message.to_owned())],
            });
        }
        let message = |name: &str| {
            format!(
                "{name} has changed, and a running daemon does not read it again; restart the daemon, or put it back"
            )
        };
        let mut problems = Vec::new();
        for (name, setting) in &self.fixed {
            let before = running.fixed.get(name);
            if before.is_none_or(|before| before.value != setting.value) {
                problems.push(setting.problem(message(name)));
            }
        }
        for name in running.fixed.keys() {
            if !self.fixed.contains_key(name) {
                problems.push(of_file(message(name)));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError { problems })
    }
}

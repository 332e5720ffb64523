//! Who may use a listener whose protocol has users, and its TLS: what PostgreSQL and Flight SQL have in common.
//!
//! Users are there to know who may ask at all. They see what everybody sees, so there are no roles. *Speaks no protocol;
//! reads no file and no configuration.*

mod passwords;
mod tls;

use std::fmt;
use std::sync::Arc;

pub use passwords::Passwords;
pub use tls::{TlsError, tls_server};

/// Who needs no password.
pub const ANONYMOUS: &str = "public";
/// Shorter passwords could be guessed.
pub const PASSWORD_BYTES_MIN: usize = 8;

/// Somebody with a password.
#[derive(Clone)]
pub struct User {
    /// The name by which clients log in.
    pub name: String,
    /// The password, ASCII.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Who may use one listener, and how connections are encrypted.
#[derive(Clone, Debug)]
pub struct Access {
    /// Anybody may read as [`ANONYMOUS`], without a password.
    pub anonymous: bool,
    /// Users with passwords; they see what everybody sees.
    pub users: Vec<User>,
    /// TLS, where there is a certificate.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            anonymous: true,
            users: Vec::new(),
            tls: None,
        }
    }
}

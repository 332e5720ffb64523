//! Who may use a listener whose protocol has users, and its TLS: keys that `[pg]` and others share.

use std::path::Path;

use meetnet_access::ANONYMOUS;
use meetnet_model::source::SecretRef;
use toml::Spanned;

use super::document::Document;
use super::source_mqtt::tls_pair;
use super::{Located, raw};

/// Who may use a listener. Passwords and the private key are read with the other secrets.
#[derive(Clone, Debug)]
pub(crate) struct AccessConfig {
    /// Anybody may read as `public`.
    pub(crate) anonymous: bool,
    /// Names, and where their passwords are.
    pub(crate) users: Vec<(String, Located<SecretRef>)>,
    /// The certificates, PEM, and where the private key is.
    pub(crate) tls: Option<(Vec<u8>, Located<SecretRef>)>,
}

/// These keys as they are written.
pub(super) struct Written<'a> {
    pub(super) anonymous: Option<&'a Spanned<bool>>,
    pub(super) users: Option<&'a [raw::User]>,
    pub(super) tls_cert: Option<&'a Spanned<String>>,
    pub(super) tls_key: Option<&'a Spanned<raw::Secret>>,
}

pub(super) fn read(
    document: &mut Document<'_>,
    written: &Written<'_>,
    folder: &Path,
) -> AccessConfig {
    let users = users(document, written.users.unwrap_or_default());
    if let Some(anonymous) = written.anonymous
        && !anonymous.get_ref()
        && users.is_empty()
        && !document.has("api_key")
    {
        let message = "nobody could log in; add `users`, or let anybody read as `public`";
        document.problem(anonymous.span(), message);
    }
    AccessConfig {
        anonymous: written
            .anonymous
            .is_none_or(|anonymous| *anonymous.get_ref()),
        users,
        tls: tls_pair(document, written.tls_cert, written.tls_key, folder),
    }
}

fn users(document: &mut Document<'_>, written: &[raw::User]) -> Vec<(String, Located<SecretRef>)> {
    let mut users: Vec<(String, Located<SecretRef>)> = Vec::new();
    for user in written {
        let name = user.name.get_ref();
        if name.is_empty() || name == ANONYMOUS {
            let message = format!(
                "`{name}` is no name for a user with a password: `{ANONYMOUS}` is anybody; choose another"
            );
            document.problem(user.name.span(), message);
        } else if users.iter().any(|(known, _)| known == name) {
            let message = format!("there is a user `{name}` already; give each a name of its own");
            document.problem(user.name.span(), message);
        }
        let password = document.secret(&user.password);
        users.push((name.clone(), password));
    }
    users
}

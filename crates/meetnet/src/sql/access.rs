//! What a service is asked with: its address, and the API key of who asks.
//!
//! The key stands in a file or in the environment, never on the command line, where everybody on the machine and the
//! history of the shell would see it. It is shown nowhere.

use std::fmt;
use std::path::Path;

use anyhow::{Context, anyhow};
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::config::{Environment, secret_of_file, secret_of_variable};
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The variable that holds the key where no file is named.
const KEY_VARIABLE: &str = "MEETNET_API_KEY";

/// A service, and the key that it is asked with.
#[derive(Clone, Debug)]
pub(crate) struct ServiceAccess {
    /// Where it answers: `http://HOST:PORT`.
    pub(crate) url: String,
    /// None: asked as anybody.
    pub(crate) key: Option<ServiceKey>,
}

impl ServiceAccess {
    /// Takes an address, and the key in `file`; without a file the one in the environment, if there is one.
    ///
    /// # Errors
    /// `Usage` where there must be a key and is none.
    pub(crate) fn new(
        url: impl Into<String>,
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let key = ServiceKey::find(file, environment).map_err(|message| {
            Failure::Usage(anyhow!(message).context("there is no API key to ask with"))
        })?;
        Ok(Self {
            url: url.into(),
            key,
        })
    }

    /// Returns the address of a path of the service.
    ///
    /// # Errors
    /// `Usage` where the service's own is no URL.
    pub(crate) fn address(&self, path: &str) -> Result<Url, Failure> {
        let url = &self.url;
        Url::parse(&format!("{}{path}", url.trim_end_matches('/')))
            .with_context(|| format!("`{url}` is no URL; write for example http://127.0.0.1:8080"))
            .map_err(Failure::Usage)
    }
}

/// An API key, as it is sent: the value of `Authorization`.
#[derive(Clone)]
pub(crate) struct ServiceKey(HeaderValue);

/// The key is shown nowhere.
impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey(…)")
    }
}

impl ServiceKey {
    fn find(file: Option<&Path>, environment: &Environment) -> Result<Option<Self>, String> {
        let (key, place) = match file {
            Some(file) => (
                secret_of_file(file)?,
                format!("the file {}", file.display()),
            ),
            None if environment.get(KEY_VARIABLE).is_some() => {
                let key = secret_of_variable(KEY_VARIABLE, environment)?;
                (key, format!("the environment variable {KEY_VARIABLE}"))
            }
            None => return Ok(None),
        };
        let value = HeaderValue::from_str(&format!("Bearer {key}"));
        let mut value = value.map_err(|_| {
            format!("{place} holds more than a key: line breaks or other control characters")
        })?;
        // So that no log of the HTTP client shows it.
        value.set_sensitive(true);
        Ok(Some(Self(value)))
    }

    /// Returns the value of the header `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

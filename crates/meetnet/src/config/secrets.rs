//! Secrets: found by name when the daemon starts, never part of the configuration and never shown.

use std::collections::BTreeMap;
use std::path::Path;

use meetnet_model::declarations::DeclarationError;
use meetnet_model::ids::SourceId;
use meetnet_model::source::SecretRef;

use super::source::Transport;
use super::{Config, ConfigError, Environment, Located};

/// Largest secret file, bytes: what is larger is another file by mistake.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The secrets of one configuration. Not `Debug`, so that no log line can hold them.
#[derive(Default)]
pub(crate) struct Secrets {
    /// The secret of `[privacy]`; none: one is generated in the journal folder.
    pub(crate) privacy: Option<String>,
    /// Per source.
    pub(crate) sources: BTreeMap<SourceId, SourceSecrets>,
}

/// The secret of one source.
#[derive(Clone, Default)]
pub(crate) struct SourceSecrets {
    /// Password of the broker, or token of the push endpoint.
    pub(crate) credential: Option<String>,
}

/// Reads every secret that `config` names.
pub(super) fn read(config: &Config, environment: &Environment) -> Result<Secrets, ConfigError> {
    let folder = config.file.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    let mut find = |secret: &Located<SecretRef>| match read_one(&secret.value, folder, environment)
    {
        Ok(text) => Some(text),
        Err(message) => {
            problems.push(secret.problem(message));
            None
        }
    };
    let privacy = config.privacy_secret.as_ref().and_then(&mut find);
    let mut sources = BTreeMap::new();
    for source in &config.sources {
        let named = match &source.transport {
            Transport::Mqtt(mqtt) => &mqtt.password,
            Transport::Http(http) => &http.token,
        };
        let credential = named.as_ref().and_then(&mut find);
        sources.insert(source.declaration.id.clone(), SourceSecrets { credential });
    }
    if let (Some(text), Some(secret)) = (&privacy, &config.privacy_secret)
        && text.len() < PRIVACY_BYTES_MIN
    {
        problems.push(weak(secret));
    }
    if problems.is_empty() {
        Ok(Secrets { privacy, sources })
    } else {
        Err(ConfigError { problems })
    }
}

/// With fewer bytes the ids of devices could be guessed by trying every secret.
const PRIVACY_BYTES_MIN: usize = 16;

fn weak(secret: &Located<SecretRef>) -> DeclarationError {
    secret.problem(format!(
        "the secret has fewer than {PRIVACY_BYTES_MIN} characters; make one with `openssl rand -hex 32`"
    ))
}

fn read_one(
    secret: &SecretRef,
    folder: &Path,
    environment: &Environment,
) -> Result<String, String> {
    let (text, place) = match secret {
        SecretRef::Env(name) => {
            let text = environment.get(name).map(str::to_owned);
            let text =
                text.ok_or_else(|| format!("the environment variable {name} is not set; set it"))?;
            (text, format!("the environment variable {name}"))
        }
        SecretRef::File(path) => {
            let path = folder.join(path);
            let name = path.display();
            let bytes = std::fs::metadata(&path).map(|metadata| metadata.len());
            if bytes.is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
                return Err(format!(
                    "{name} is larger than {FILE_BYTES_MAX} bytes: no secret"
                ));
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("cannot read the secret in {name}: {error}"))?;
            (text, format!("the file {name}"))
        }
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{place} is empty; put the secret there"));
    }
    Ok(text.to_owned())
}

impl Secrets {
    /// Returns the password or token of a source, if one is configured.
    pub(crate) fn credential(&self, source: &SourceId) -> Option<String> {
        self.sources.get(source)?.credential.clone()
    }
}

//! Secrets: found by name when the daemon starts, never part of the configuration and never shown.

use std::collections::BTreeMap;
use std::path::Path;

use meetnet_access::{PASSWORD_BYTES_MIN, tls_server};
use meetnet_ingest::mqtt::{TlsIdentity, check_tls_identity};
use meetnet_lake::storage::{ROLE_VARIABLES, S3Credentials};
use meetnet_model::declarations::DeclarationError;
use meetnet_model::ids::SourceId;
use meetnet_model::source::SecretRef;

use super::source::Transport;
use super::{
    AccessConfig, Config, ConfigError, Environment, LakePlace, Located, S3CredentialsFrom,
};

/// Largest secret file, bytes: what is larger is another file by mistake.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The secrets of one configuration. Not `Debug`, so that no log line can hold them.
#[derive(Default)]
pub(crate) struct Secrets {
    /// The secret of `[privacy]`; none: one is generated in the journal folder.
    pub(crate) privacy: Option<String>,
    /// Per source.
    pub(crate) sources: BTreeMap<SourceId, SourceSecrets>,
    /// Of `[pg]`.
    pub(crate) pg: AccessSecrets,
    /// Of `[flight]`.
    pub(crate) flight: AccessSecrets,
    /// Credentials of `[s3]`; none where the lake is a folder.
    pub(crate) s3: Option<S3Credentials>,
}

/// The secret of one source.
#[derive(Clone, Default)]
pub(crate) struct SourceSecrets {
    /// Password of the broker, token of the push endpoint, or key of the API.
    pub(crate) credential: Option<String>,
    /// Private key of the client's certificate, PEM.
    pub(crate) tls_key: Option<String>,
}

/// The secrets of one listener whose protocol has users.
#[derive(Default)]
pub(crate) struct AccessSecrets {
    /// Passwords of its users, by name.
    pub(crate) passwords: BTreeMap<String, String>,
    /// Private key of its certificate, PEM.
    pub(crate) tls_key: Option<String>,
}

/// Looks secrets up and notes those that are not there.
struct Finder<'a> {
    folder: &'a Path,
    environment: &'a Environment,
    problems: Vec<DeclarationError>,
}

impl<'a> Finder<'a> {
    fn new(config: &'a Config, environment: &'a Environment) -> Self {
        Self {
            folder: config.file.parent().unwrap_or(Path::new("")),
            environment,
            problems: Vec::new(),
        }
    }

    fn find(&mut self, secret: &Located<SecretRef>) -> Option<String> {
        read_one(&secret.value, self.folder, self.environment)
            .map_err(|message| self.problems.push(secret.problem(message)))
            .ok()
    }

    /// Notes at the place of a secret what is wrong with it.
    fn check<E: std::fmt::Display>(&mut self, secret: &Located<SecretRef>, checked: Result<(), E>) {
        if let Err(error) = checked {
            self.problems.push(secret.problem(error.to_string()));
        }
    }

    /// Finds what `[s3]` names; with a role, what the environment says about it.
    fn find_s3(&mut self, place: &LakePlace) -> Option<S3Credentials> {
        let LakePlace::S3(s3) = place else {
            return None;
        };
        match &s3.credentials {
            S3CredentialsFrom::Keys(keys) => {
                let access_key_id = self.find(&keys.access_key_id);
                let secret_access_key = self.find(&keys.secret_access_key);
                let token = keys.session_token.as_ref();
                let session_token = token.and_then(|token| self.find(token));
                Some(S3Credentials::Keys {
                    access_key_id: access_key_id?,
                    secret_access_key: secret_access_key?,
                    session_token,
                })
            }
            S3CredentialsFrom::Role => {
                let variables = ROLE_VARIABLES.iter().filter_map(|name| {
                    let value = self.environment.get(name)?;
                    Some(((*name).to_owned(), value.to_owned()))
                });
                Some(S3Credentials::Role(variables.collect()))
            }
            S3CredentialsFrom::Anonymous => Some(S3Credentials::Anonymous),
        }
    }

    /// Finds what `[pg]` and `[flight]` name.
    fn find_listeners(&mut self, config: &Config) -> (AccessSecrets, AccessSecrets) {
        let pg = config.pg.as_ref().map(|pg| &pg.access);
        let flight = config.flight.as_ref().map(|flight| &flight.access);
        (self.find_access(pg), self.find_access(flight))
    }

    /// Finds the passwords and the private key of a listener.
    fn find_access(&mut self, access: Option<&AccessConfig>) -> AccessSecrets {
        let mut found = AccessSecrets::default();
        let Some(access) = access else {
            return found;
        };
        for (name, secret) in &access.users {
            let Some(password) = self.find(secret) else {
                continue;
            };
            // Clients normalise other letters in ways of their own.
            if password.len() < PASSWORD_BYTES_MIN || !password.is_ascii() {
                self.problems.push(secret.problem(format!(
                    "the password of `{name}` has fewer than {PASSWORD_BYTES_MIN} characters, or others than ASCII; \
                     make one with `openssl rand -hex 16`"
                )));
            }
            found.passwords.insert(name.clone(), password);
        }
        found.tls_key = access.tls.as_ref().and_then(|(certificates, secret)| {
            let key = self.find(secret)?;
            self.check(secret, tls_server(certificates, &key).map(drop));
            Some(key)
        });
        found
    }

    fn end(self, secrets: Secrets) -> Result<Secrets, ConfigError> {
        match self.problems {
            problems if problems.is_empty() => Ok(secrets),
            problems => Err(ConfigError { problems }),
        }
    }
}

/// Reads every secret that `config` names.
pub(super) fn read(config: &Config, environment: &Environment) -> Result<Secrets, ConfigError> {
    let mut finder = Finder::new(config, environment);
    let s3 = finder.find_s3(&config.lake.place);
    let named = config.privacy_secret.as_ref();
    let privacy = named.and_then(|secret| finder.find(secret));
    let mut sources = BTreeMap::new();
    for source in &config.sources {
        let (named, key) = match &source.transport {
            Transport::Mqtt(mqtt) => (&mqtt.password, mqtt.identity.as_ref()),
            Transport::Http(http) => (&http.token, None),
            Transport::Poll(poll) => (&poll.api_key, None),
            Transport::Files => (&None, None),
        };
        let credential = named.as_ref().and_then(|secret| finder.find(secret));
        let tls_key = key.and_then(|(certificates, secret)| {
            let key = finder.find(secret)?;
            let identity = TlsIdentity {
                certificates: certificates.clone(),
                key: key.clone().into_bytes(),
            };
            finder.check(secret, check_tls_identity(&identity));
            Some(key)
        });
        let found = SourceSecrets {
            credential,
            tls_key,
        };
        sources.insert(source.declaration.id.clone(), found);
    }
    let (pg, flight) = finder.find_listeners(config);
    if let (Some(text), Some(secret)) = (&privacy, &config.privacy_secret)
        && text.len() < PRIVACY_BYTES_MIN
    {
        finder.problems.push(weak(secret));
    }
    finder.end(Secrets {
        privacy,
        sources,
        pg,
        flight,
        s3,
    })
}

/// Reads the secrets that reading the lake takes.
pub(super) fn read_lake(
    config: &Config,
    environment: &Environment,
) -> Result<Secrets, ConfigError> {
    let mut finder = Finder::new(config, environment);
    let s3 = finder.find_s3(&config.lake.place);
    finder.end(Secrets {
        s3,
        ..Secrets::default()
    })
}

/// Reads the secrets of who answers queries and writes nothing.
pub(super) fn read_serve(
    config: &Config,
    environment: &Environment,
) -> Result<Secrets, ConfigError> {
    let mut finder = Finder::new(config, environment);
    let s3 = finder.find_s3(&config.lake.place);
    let (pg, flight) = finder.find_listeners(config);
    finder.end(Secrets {
        s3,
        pg,
        flight,
        ..Secrets::default()
    })
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
    match secret {
        SecretRef::Env(name) => secret_of_variable(name, environment),
        SecretRef::File(path) => secret_of_file(&folder.join(path)),
    }
}

/// Returns the secret in an environment variable.
///
/// # Errors
/// A sentence that names the variable where it is not set or empty.
pub(crate) fn secret_of_variable(name: &str, environment: &Environment) -> Result<String, String> {
    let text = environment
        .get(name)
        .ok_or_else(|| {
            format!(
                "the environment variable {name} is not set; set it, and restart a daemon that runs, which keeps the \
                 environment it was started with"
            )
        })?;
    filled(text, &format!("the environment variable {name}"))
}

/// Returns the secret in a file, without white space around it.
///
/// # Errors
/// A sentence that names the file where it cannot be read, is empty or too large.
pub(crate) fn secret_of_file(path: &Path) -> Result<String, String> {
    let name = path.display();
    let bytes = std::fs::metadata(path).map(|metadata| metadata.len());
    if bytes.is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        return Err(format!(
            "{name} is larger than {FILE_BYTES_MAX} bytes: no secret"
        ));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the secret in {name}: {error}"))?;
    filled(&text, &format!("the file {name}"))
}

fn filled(text: &str, place: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{place} is empty; put the secret there"));
    }
    Ok(text.to_owned())
}

impl Secrets {
    /// Returns the private key (PEM) of a source's certificate, if one is configured.
    pub(crate) fn tls_key(&self, source: &SourceId) -> Option<String> {
        self.sources.get(source)?.tls_key.clone()
    }

    /// Returns the password, token or API key of a source, if one is configured.
    pub(crate) fn credential(&self, source: &SourceId) -> Option<String> {
        self.sources.get(source)?.credential.clone()
    }
}

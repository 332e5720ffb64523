//! Who a call comes from: anybody, a user with a password (`Basic`), or the holder of a token that one got for it
//! (`Bearer`), as clients of Flight send them in the header `authorization`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use meetnet_access::{ANONYMOUS, Passwords};
use meetnet_query::{ApiKeys, Client, Protocol};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::handles::{Bounds, Handles, Id};
use crate::options::FlightOptions;

/// Base64 with or without `=` at its end: drivers in Go leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;

/// The header that says who it is.
pub(crate) const AUTHORIZATION: &str = "authorization";
/// How long who gave a wrong password waits for the answer: trying many takes long.
const FAILED_PAUSE: Duration = Duration::from_millis(500);
/// Logins at a time. Older ones end first; clients log in again by themselves.
const TOKENS_MAX: usize = 16_384;
/// Bytes of all of them: of their users' names.
const TOKENS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Who makes a call. Everybody sees the same; tickets and prepared statements are of those who made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    Anybody,
    User(Arc<str>),
    /// The holder of the API key of this name.
    Key(Arc<str>),
}

/// Who makes a call, and as whose queries it counts.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) owner: Principal,
    pub(crate) client: Client,
}

/// Decides who may come in.
pub(crate) struct Door {
    /// Anybody may.
    anonymous: bool,
    passwords: Passwords,
    keys: ApiKeys,
    /// Every connection is.
    is_encrypted: bool,
    tokens: Handles<Principal>,
    /// The token of everybody else: without a password nobody can fill the places of those who have one.
    of_anybody: Id,
}

impl Door {
    pub(crate) fn new(options: &FlightOptions) -> Self {
        Self {
            anonymous: options.access.anonymous,
            passwords: Passwords::new(&options.access.users),
            keys: options.keys.clone(),
            is_encrypted: options.access.tls.is_some(),
            tokens: Handles::new(Bounds {
                count_max: TOKENS_MAX,
                bytes_max: TOKENS_BYTES_MAX,
                time_max: options.limits.token_time_max,
            }),
            of_anybody: rand::random(),
        }
    }

    /// Returns who a call with this header comes from.
    ///
    /// # Errors
    /// `Unauthenticated`, some time later where a password is wrong.
    pub(crate) async fn principal(
        &self,
        authorization: Option<String>,
    ) -> Result<Principal, Status> {
        let Some(authorization) = authorization else {
            if self.anonymous {
                return Ok(Principal::Anybody);
            }
            return Err(Status::unauthenticated(
                "who you are is missing: log in with a user name and a password",
            ));
        };
        let (scheme, credential) = authorization.split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.of_token(credential.trim());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let principal = self.of_password(credential.trim());
            if principal.is_err() {
                metrics::counter!("meetnet_flight_logins_failed_total").increment(1);
                tokio::time::sleep(FAILED_PAUSE).await;
            }
            return principal;
        }
        Err(Status::unauthenticated(
            "the header `authorization` is neither `Basic …` nor `Bearer …`",
        ))
    }

    /// Returns as whose queries those of a call from an address count.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that others could have read on its way.
    pub(crate) fn caller(&self, owner: Principal, peer: Option<IpAddr>) -> Result<Caller, Status> {
        let client = match &owner {
            Principal::Anybody => Client::of_address(Protocol::Flight, peer),
            Principal::User(name) => Client::of_user(Protocol::Flight, name),
            Principal::Key(name) => {
                let is_near = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
                let key = self
                    .keys
                    .named(name)
                    .filter(|_| self.is_encrypted || is_near);
                let key = key.ok_or_else(|| {
                    Status::unauthenticated(
                        "an API key is sent as it is: it is taken over TLS only",
                    )
                })?;
                Client::of_key(Protocol::Flight, Arc::clone(key))
            }
        };
        Ok(Caller { owner, client })
    }

    /// Gives somebody who has come in a token for later calls.
    pub(crate) fn token(&self, principal: &Principal) -> String {
        BASE64.encode(match principal {
            Principal::Anybody => self.of_anybody,
            Principal::User(name) | Principal::Key(name) => {
                let bytes = name.len();
                self.tokens.put(principal.clone(), bytes, Instant::now())
            }
        })
    }

    fn of_token(&self, token: &str) -> Result<Principal, Status> {
        let id = BASE64.decode(token).unwrap_or_default();
        if self.anonymous && id == self.of_anybody {
            return Ok(Principal::Anybody);
        }
        let key = || {
            let key = self.keys.find(token)?;
            Some(Principal::Key(Arc::clone(&key.name)))
        };
        let known = self.tokens.get(&id, Instant::now()).or_else(key);
        known.ok_or_else(|| {
            Status::unauthenticated(
                "the login has expired, the service has been restarted, or nobody has this API key; log in again",
            )
        })
    }

    fn of_password(&self, credential: &str) -> Result<Principal, Status> {
        let decoded = BASE64.decode(credential).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let Some((name, password)) = pair else {
            return Err(Status::unauthenticated(
                "the header `authorization` does not hold a name and a password",
            ));
        };
        // Tools that insist on a password send any.
        if self.anonymous && name == ANONYMOUS {
            return Ok(Principal::Anybody);
        }
        if let Some(key) = self.keys.find(password)
            && *key.name == *name
        {
            return Ok(Principal::Key(Arc::clone(&key.name)));
        }
        if self.passwords.fits(name, password) {
            return Ok(Principal::User(name.into()));
        }
        Err(Status::unauthenticated(format!(
            "password authentication failed for user `{}`",
            name.chars().take(40).collect::<String>()
        )))
    }
}

/// Returns the header that says who it is; an unreadable one is empty.
pub(crate) fn authorization(metadata: &MetadataMap) -> Option<String> {
    let header = metadata.get(AUTHORIZATION)?;
    Some(header.to_str().unwrap_or_default().to_owned())
}

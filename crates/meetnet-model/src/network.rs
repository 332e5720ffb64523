//! Who is at an address: the network that it lies in, and how much each of them has at a time.
//!
//! A client without a key or a password is a network, a /24 of IPv4 or a /56 of IPv6, which is what one household or
//! office is given. Every listener counts by it, so that nobody takes all there is.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// Bits of an IPv4 address that are left out of its network.
const IPV4_HOST_BITS: u32 = 8;
/// Bits of an IPv6 address that are left out of its network.
const IPV6_HOST_BITS: u32 = 72;

/// The network that an address lies in. Two addresses of one network are one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// Returns the network of an address. An IPv4 address that is written as IPv6 is an IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => {
                let network = address.to_bits() >> IPV4_HOST_BITS << IPV4_HOST_BITS;
                IpAddr::V4(Ipv4Addr::from_bits(network))
            }
            IpAddr::V6(address) => {
                let network = address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.0 {
            IpAddr::V4(_) => Ipv4Addr::BITS - IPV4_HOST_BITS,
            IpAddr::V6(_) => Ipv6Addr::BITS - IPV6_HOST_BITS,
        };
        write!(f, "{}/{bits}", self.0)
    }
}

/// Where a request comes from, behind trusted proxies as well: what a listener notes in the extensions of each. None where
/// a proxy names no address that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// Counts what each client has at a time, such as connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientCounts(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    per_client_max: usize,
    /// Clients whose address is not known are one.
    taken: Mutex<HashMap<Option<Network>, usize>>,
}

/// One place of a client; free again when it is dropped.
#[derive(Debug)]
pub struct ClientSlot {
    counts: ClientCounts,
    network: Option<Network>,
}

impl ClientCounts {
    /// Lets every client have so many.
    pub fn new(per_client_max: usize) -> Self {
        Self(Arc::new(Counts {
            per_client_max,
            taken: Mutex::default(),
        }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the counts usable.
    fn taken(&self) -> MutexGuard<'_, HashMap<Option<Network>, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for who is at an address; None where that client has all that it may have.
    pub fn enter(&self, address: impl Into<Option<IpAddr>>) -> Option<ClientSlot> {
        let network = address.into().map(Network::of);
        let mut taken = self.taken();
        let count = taken.entry(network).or_default();
        if *count >= self.0.per_client_max {
            if *count == 0 {
                taken.remove(&network);
            }
            return None;
        }
        *count += 1;
        Some(ClientSlot {
            counts: self.clone(),
            network,
        })
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut taken = self.counts.taken();
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

//! The peers that an instance has sent datagrams to, and may therefore hear from (HL-4).
//!
//! A bounded table with the time of the last datagram sent. A peer that was idle too long is forgotten; when the
//! table is full the one that was idle longest makes room, so that a guest which talks to many peers hears from
//! the most recent ones.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::{Endpoint, Quotas};

/// The peers of one instance.
#[derive(Clone, Debug)]
pub struct Peers {
    last_sent: HashMap<Endpoint, Instant>,
    most: usize,
    idle: Duration,
}

impl Peers {
    /// A table for at most `most` peers, each forgotten after `idle` without a datagram to it.
    pub fn new(most: usize, idle: Duration) -> Self {
        Self {
            last_sent: HashMap::new(),
            most,
            idle,
        }
    }

    /// Notes that a datagram goes to `peer` at `now`.
    pub fn sent(&mut self, peer: Endpoint, now: Instant) {
        if !self.last_sent.contains_key(&peer) && self.last_sent.len() >= self.most {
            self.make_room(now);
        }
        if self.most > 0 {
            self.last_sent.insert(peer, now);
        }
    }

    /// True if a datagram from `peer` at `now` is an answer.
    pub fn knows(&self, peer: Endpoint, now: Instant) -> bool {
        self.last_sent
            .get(&peer)
            .is_some_and(|sent| now.saturating_duration_since(*sent) <= self.idle)
    }

    /// The number of peers in the table, forgotten ones that still take room included.
    pub fn len(&self) -> usize {
        self.last_sent.len()
    }

    /// True if nothing was sent yet.
    pub fn is_empty(&self) -> bool {
        self.last_sent.is_empty()
    }

    fn make_room(&mut self, now: Instant) {
        let idle = self.idle;
        self.last_sent
            .retain(|_, sent| now.saturating_duration_since(*sent) <= idle);
        if self.last_sent.len() < self.most {
            return;
        }
        // A walk over the table, and only for a peer that is new to a full one. Keeping it in order would cost each
        // datagram.
        let oldest = self
            .last_sent
            .iter()
            .min_by_key(|(_, sent)| **sent)
            .map(|(peer, _)| *peer);
        if let Some(peer) = oldest {
            self.last_sent.remove(&peer);
        }
    }
}

impl From<&Quotas> for Peers {
    fn from(quotas: &Quotas) -> Self {
        Self::new(quotas.peers, quotas.peer_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Endpoint {
        Endpoint::new(std::net::Ipv4Addr::LOCALHOST, port)
    }

    // proves: HL-4
    #[test]
    fn a_peer_is_known_until_it_was_idle_too_long() {
        let start = Instant::now();
        let mut peers = Peers::new(2, Duration::from_secs(120));
        assert!(!peers.knows(peer(1), start));
        peers.sent(peer(1), start);
        assert!(peers.knows(peer(1), start + Duration::from_secs(120)));
        assert!(!peers.knows(peer(1), start + Duration::from_millis(120_001)));
        assert!(!peers.knows(peer(2), start));
    }

    // proves: HL-4
    #[test]
    fn a_full_table_forgets_the_peer_that_was_idle_longest() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut peers = Peers::new(2, Duration::from_secs(120));
        peers.sent(peer(1), at(0));
        peers.sent(peer(2), at(1));
        peers.sent(peer(1), at(2));
        peers.sent(peer(3), at(3));
        assert!(peers.knows(peer(1), at(3)) && peers.knows(peer(3), at(3)) && !peers.knows(peer(2), at(3)));
        assert_eq!(peers.len(), 2);
    }

    // proves: HL-4
    #[test]
    fn a_datagram_to_a_known_peer_makes_room_for_nobody() {
        let start = Instant::now();
        let mut peers = Peers::new(2, Duration::from_secs(120));
        for port in [1, 2, 2] {
            peers.sent(peer(port), start);
        }
        assert!(peers.knows(peer(1), start) && peers.knows(peer(2), start));
    }

    // proves: HL-4
    #[test]
    fn peers_that_were_idle_too_long_make_room_together_and_the_others_stay() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut peers = Peers::new(4, Duration::from_secs(120));
        assert!(peers.is_empty());
        for (port, seconds) in [(1, 0), (2, 0), (3, 1), (4, 2)] {
            peers.sent(peer(port), at(seconds));
        }
        assert!(!peers.is_empty());
        // Two were idle for 121 seconds, one for exactly 120.
        peers.sent(peer(5), at(121));
        assert_eq!(peers.len(), 3);
        assert!([3, 4, 5].iter().all(|port| peers.knows(peer(*port), at(121))));
    }

    // proves: HL-4
    #[test]
    fn a_table_without_room_knows_nobody() {
        let start = Instant::now();
        let mut peers = Peers::new(0, Duration::from_secs(120));
        peers.sent(peer(1), start);
        assert!(!peers.knows(peer(1), start) && peers.is_empty());
    }
}

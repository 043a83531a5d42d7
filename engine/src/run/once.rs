//! One computation per key within a process: the first instance that needs a key owns it, the others follow.
//!
//! A follower is parked, not blocked: no worker waits for it. Between processes the store's lock per key does the same
//! (see `scheduler.rs`): who finds it held tries again later and does other work meanwhile.

use std::collections::BTreeMap;

use duress_cache::Key;

/// Which instance computes which key, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Claims {
    open: BTreeMap<Key, Claim>,
}

#[derive(Debug)]
struct Claim {
    owner: usize,
    followers: Vec<usize>,
}

impl Claims {
    /// Whether `instance` owns `key` now; otherwise it is parked until the owner releases it.
    pub(super) fn claim(&mut self, key: Key, instance: usize) -> bool {
        let claim = self.open.entry(key).or_insert_with(|| Claim { owner: instance, followers: Vec::new() });
        if claim.owner != instance {
            claim.followers.push(instance);
        }
        claim.owner == instance
    }

    /// The owner has settled, one way or another: the instances that were parked, in the order they came.
    pub(super) fn release(&mut self, key: Key, instance: usize) -> Vec<usize> {
        match self.open.get(&key) {
            Some(claim) if claim.owner == instance => {
                self.open.remove(&key).map_or_else(Vec::new, |claim| claim.followers)
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use duress_cache::Digest;

    use super::*;

    #[test]
    fn the_first_instance_owns_a_key_and_the_others_follow_it() {
        let mut claims = Claims::default();
        let key = Key::new(Digest::of_bytes(b"a"));
        assert!(claims.claim(key, 4));
        assert!(!claims.claim(key, 7));
        assert!(!claims.claim(key, 5));
        assert!(claims.claim(key, 4), "the owner may ask again");
        assert!(claims.release(key, 7).is_empty(), "a follower cannot release");
        assert_eq!(claims.release(key, 4), [7, 5]);
        assert!(claims.claim(key, 7));
    }
}

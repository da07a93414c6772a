//! Tells quickly what a run cannot hold, so that most of what is looked for in vain costs no read (a Bloom filter). Pure.

/// Bits for one name: with five looks, one name in a hundred is looked for in vain.
const BITS_EACH: usize = 10;
/// How many bits a name sets.
const LOOKS: u64 = 5;

/// The names that were put in, or rather what is left of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sieve(Vec<u8>);

impl Sieve {
    /// Of all these hashes.
    pub(super) fn of(hashes: &[u64]) -> Self {
        let mut this = Self(vec![0; (hashes.len() * BITS_EACH).div_ceil(8).max(8)]);
        for hash in hashes {
            for (byte, bit) in this.places(*hash) {
                this.0[byte] |= bit;
            }
        }
        this
    }

    /// As it was written.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a name with this hash may have been put in. Never wrong about one that was.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.places(hash).all(|(byte, bit)| self.0.get(byte).is_some_and(|it| it & bit > 0))
    }

    fn places(&self, hash: u64) -> impl Iterator<Item = (usize, u8)> + use<> {
        let (step, bits) = ((hash >> 32) | 1, self.0.len() as u64 * 8);
        (0..LOOKS).map(move |look| {
            let at = hash.wrapping_add(look.wrapping_mul(step)) % bits.max(1);
            (usize::try_from(at / 8).unwrap_or(usize::MAX), 1 << (at % 8))
        })
    }
}

/// A name's hash: FNV-1a, and its bits mixed. It is written to disk, so it never changes.
pub(super) fn hash(name: &[u8]) -> u64 {
    let mixed = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let of = |n: u64| hash(&n.to_be_bytes());
        let put: Vec<u64> = (0..20_000).map(of).collect();
        let sieve = Sieve::of(&put);
        assert!(put.iter().all(|it| sieve.may_hold(*it)));
        let wrong = (20_000..120_000).filter(|n| sieve.may_hold(of(*n))).count();
        assert!(wrong < 1_500, "{wrong} of 100,000");
        assert!(!Sieve::of(&[]).may_hold(of(1)));
        assert!(!Sieve::from_bytes(vec![]).may_hold(of(1)), "one cut short holds nothing");
    }
}

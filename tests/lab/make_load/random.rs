//! Random numbers that are the same everywhere: xoshiro256++, seeded by splitmix64 (Blackman and Vigna, public domain).
//!
//! The one invariant: a seed and a stream give the same numbers for ever. Each purpose draws from a stream of its own, so
//! that what changes only the wire never changes the calls.

/// A stream of numbers.
pub struct Random([u64; 4]);

impl Random {
    /// The stream of this number under a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(std::array::from_fn(|_| splitmix(&mut state)))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let Self(s) = self;
        let drawn = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        drawn
    }

    /// From 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this share of cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Microseconds between two spans given in seconds.
    pub fn micros(&mut self, from: f64, to: f64) -> i64 {
        ((from + (to - from) * self.unit()) * 1e6) as i64
    }

    /// Exponential, with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// One of a table, by weight.
    pub fn pick<T: Copy>(&mut self, table: &[(T, f64)]) -> T {
        let mut rest = self.unit() * table.iter().map(|(_, weight)| weight).sum::<f64>();
        for (value, weight) in table {
            rest -= weight;
            if rest < 0.0 {
                return *value;
            }
        }
        table[table.len() - 1].0
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 15);
        while text.len() < digits {
            let bits = self.bits();
            for shift in (0..64).step_by(4) {
                text.push(char::from(b"0123456789abcdef"[(bits >> shift & 15) as usize]));
            }
        }
        text.truncate(digits);
        text
    }

    /// A random text in the form of a UUID, as PJSIP makes Call-IDs and tags.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

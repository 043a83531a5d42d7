//! MD5 (RFC 1321), by which some publishers name their archives. It tells a damaged download from a whole one; against
//! somebody who forges one it is worth nothing, which is what `--sha256` is for.

/// Left rotations, four to a round.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// A digest that grows with what is read.
pub(super) struct Md5 {
    state: [u32; 4],
    /// Bytes that do not fill a block yet.
    pending: Vec<u8>,
    bytes: u64,
    table: [u32; 64],
}

impl Md5 {
    pub(super) fn new() -> Self {
        // The integer part of 2^32 |sin i|, `i` in radians; libm's sine has the same last bit everywhere.
        let table = std::array::from_fn(|i| (libm::sin(i as f64 + 1.0).abs() * 4_294_967_296.0) as u32);
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { state, pending: Vec::with_capacity(64), bytes: 0, table }
    }

    pub(super) fn update(&mut self, mut input: &[u8]) {
        self.bytes = self.bytes.wrapping_add(input.len() as u64);
        if !self.pending.is_empty() {
            let missing = (64 - self.pending.len()).min(input.len());
            self.pending.extend(&input[..missing]);
            input = &input[missing..];
            if self.pending.len() < 64 {
                return;
            }
            let block = std::mem::take(&mut self.pending);
            self.block(&block);
        }
        let mut blocks = input.chunks_exact(64);
        for block in &mut blocks {
            self.block(block);
        }
        self.pending.extend(blocks.remainder());
    }

    /// The sixteen bytes of the digest.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let bits = self.bytes.wrapping_mul(8);
        let zeros = (119 - self.pending.len() % 64) % 64;
        self.update(&[&[0x80][..], &vec![0; zeros], &bits.to_le_bytes()].concat());
        self.state.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Mixes 64 bytes in.
    fn block(&mut self, block: &[u8]) {
        let words: Vec<u32> = block.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [mut a, mut b, mut c, mut d] = self.state;
        for (i, (constant, round)) in self.table.iter().zip((0..4).flat_map(|round| [round; 16])).enumerate() {
            let (mixed, word) = match round {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), 5 * i + 1),
                2 => (b ^ c ^ d, 3 * i + 5),
                _ => (c ^ (b | !d), 7 * i),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*constant).wrapping_add(words[word % 16]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(SHIFTS[round][i % 4])));
        }
        for (state, word) in self.state.iter_mut().zip([a, b, c, d]) {
            *state = state.wrapping_add(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn the_digests_of_the_standard_come_out_however_the_input_is_cut() {
        let digits = "1234567890".repeat(8);
        for (input, wanted) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            for cut in [1, 7, 63, 64, 100] {
                let mut md5 = Md5::new();
                input.as_bytes().chunks(cut).for_each(|part| md5.update(part));
                assert_eq!(hex(&md5.finish()), wanted, "{input} in parts of {cut}");
            }
        }
    }
}

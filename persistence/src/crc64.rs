//! The checksum of RDB files and DUMP payloads: CRC-64 with the polynomial of Jones, reflected, without initial or
//! final complement.

use crc_fast::{CrcAlgorithm, Digest, checksum};

/// A checksum that is taken piece by piece.
#[derive(Debug, Clone)]
pub struct Crc64(Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Crc64(Digest::new(CrcAlgorithm::Crc64Redis))
    }
}

impl Crc64 {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// The checksum of `bytes`.
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Redis, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_checksum_of_the_format() {
        // The check value of CRC-64/REDIS in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(b""), 0);
        let mut pieces = Crc64::default();
        b"123456789".chunks(4).for_each(|piece| pieces.update(piece));
        assert_eq!(pieces.value(), 0xe9c6_d914_c4b8_d9ca);
    }
}

//! As much of X.509 as it takes to judge certificates that webpki refuses whole: those of version 1, which
//! `openssl x509 -req` makes of a request unless it is told of extensions.

use std::time::Duration;

use rustls::pki_types::UnixTime;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`: the version, absent from version 1.
const EXPLICIT_VERSION: u8 = 0xa0;

/// Parts of a certificate, in DER. "Contents" are without the outer tag and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    pub(super) is_version_1: bool,
    /// What is signed, whole.
    pub(super) signed: &'a [u8],
    /// Contents of the issuer's name.
    pub(super) issuer: &'a [u8],
    not_before: UnixTime,
    not_after: UnixTime,
    /// The public key's structure, whole.
    pub(super) key: &'a [u8],
    /// Contents of the signature's algorithm.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    NotYet,
    Now,
    Expired,
}

/// Elements of DER, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, whole, and its contents.
    fn element(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let all = self.0;
        let [found, first, ..] = *all else { return None };
        if found != tag {
            return None;
        }
        let (start, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            // No part of a certificate is longer than three bytes can tell.
            0x81..=0x83 => {
                let start = 2 + usize::from(first - 0x80);
                (start, all.get(2..start)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)))
            }
            _ => return None,
        };
        let (whole, rest) = all.split_at_checked(start + length)?;
        self.0 = rest;
        Some((whole, &whole[start..]))
    }

    fn sequence(&mut self) -> Option<Reader<'a>> {
        self.element(SEQUENCE).map(|(_, contents)| Reader(contents))
    }

    /// A string of whole bytes.
    fn bits(&mut self) -> Option<&'a [u8]> {
        self.element(BIT_STRING)?.1.strip_prefix(&[0])
    }

    fn time(&mut self) -> Option<UnixTime> {
        let tag = self.next_tag()?;
        let (_, text) = self.element(tag)?;
        let digits = text.strip_suffix(b"Z")?;
        let (years, rest) = digits.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
        if !matches!(tag, UTC_TIME | GENERALIZED_TIME) || rest.len() != 10 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let year = match (tag, number(years)) {
            (UTC_TIME, year @ 50..) => 1900 + year,
            (UTC_TIME, year) => 2000 + year,
            (_, year) => year,
        };
        let parts: Vec<u64> = rest.chunks(2).map(number).collect();
        let days = days_since_1970(year, parts[0], parts[1])?;
        let seconds = ((days * 24 + parts[2]) * 60 + parts[3]) * 60 + parts[4];
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Days of the Gregorian calendar; `None` before 1970 and for months that there are not.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let years = year.checked_sub(1970)?;
    let before = *BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let leaps = |years: u64| years / 4 - years / 100 + years / 400;
    let leaps_before = leaps(year - 1) - leaps(1969);
    let leap_day = u64::from(month > 2 && leaps(year) > leaps(year - 1));
    Some(years * 365 + leaps_before + before + leap_day + day.checked_sub(1)?)
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let mut outer = Reader(der).sequence()?;
        let (signed, contents) = outer.element(SEQUENCE)?;
        let (_, algorithm) = outer.element(SEQUENCE)?;
        let signature = outer.bits()?;
        let mut inner = Reader(contents);
        let is_version_1 = inner.next_tag()? != EXPLICIT_VERSION;
        if !is_version_1 {
            inner.element(EXPLICIT_VERSION)?;
        }
        inner.element(INTEGER)?;
        if inner.element(SEQUENCE)?.1 != algorithm {
            return None;
        }
        let (_, issuer) = inner.element(SEQUENCE)?;
        let mut validity = inner.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        inner.element(SEQUENCE)?;
        let (key, _) = inner.element(SEQUENCE)?;
        Some(Certificate { is_version_1, signed, issuer, not_before, not_after, key, algorithm, signature })
    }

    pub(super) fn validity(&self, now: UnixTime) -> Validity {
        match () {
            () if now < self.not_before => Validity::NotYet,
            () if now > self.not_after => Validity::Expired,
            () => Validity::Now,
        }
    }
}

/// Contents of the algorithm, and the key itself, of a public key's structure whose outer tag and length are gone.
pub(super) fn key_parts(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader(contents);
    let (_, algorithm) = reader.element(SEQUENCE)?;
    Some((algorithm, reader.bits()?))
}

/// The contents of an element that is given whole.
pub(super) fn contents(whole: &[u8]) -> Option<&[u8]> {
    Reader(whole).element(SEQUENCE).map(|(_, contents)| contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    fn version_1() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../../tests/certificates/version1.crt")).unwrap()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn parts_of_a_certificate() {
        let der = version_1();
        let certificate = Certificate::parse(&der).unwrap();
        assert!(certificate.is_version_1);
        assert!(certificate.issuer.ends_with(b"an authority"));
        // 2020-01-01 and 2120-01-01, midnight.
        assert_eq!((certificate.not_before, certificate.not_after), (at(1_577_836_800), at(4_733_510_400)));
        assert_eq!(certificate.validity(at(1_577_836_799)), Validity::NotYet);
        assert_eq!(certificate.validity(at(4_733_510_400)), Validity::Now);
        assert_eq!(certificate.validity(at(4_733_510_401)), Validity::Expired);
        let authority =
            CertificateDer::from_pem_slice(include_bytes!("../../tests/certificates/authority.crt")).unwrap();
        assert!(!Certificate::parse(&authority).unwrap().is_version_1);
    }

    #[test]
    fn days() {
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        assert_eq!(days_since_1970(2000, 2, 29), Some(11_016));
        assert_eq!(days_since_1970(2000, 3, 1), Some(11_017));
        assert_eq!(days_since_1970(2100, 3, 1), Some(47_541));
        for (year, month, day) in [(0, 1, 1), (1, 1, 1), (1969, 12, 31), (2000, 13, 1), (2000, 0, 1), (2000, 1, 0)] {
            assert_eq!(days_since_1970(year, month, day), None, "{year}-{month}-{day}");
        }
        assert_eq!(days_since_1970(9999, 12, 31), Some(2_932_896));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_no_panic(at in 0usize..1000, byte: u8, cut in 0usize..1000) {
            let mut der = version_1().to_vec();
            let at = at % der.len();
            der[at] = byte;
            let _ = Certificate::parse(&der);
            let _ = Certificate::parse(&der[..cut % der.len()]);
        }
    }
}

//! `--tls-ciphers` and `--tls-ciphersuites`: OpenSSL's lists of names, applied to the suites that we have.

use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

pub(super) const UNKNOWN_CIPHERS: &str = "Error while configuring ciphers";
// Scripts may look for redis-cli's very words.
const UNKNOWN_SUITES: &str = "Error while setting cypher suites";

/// A suite of TLS 1.2 and the words that stand for it in a cipher list, its own name first.
const TLS12: &[(CipherSuite, &[&str])] = &[
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        &["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDSA", "aECDSA", "AES", "AES256", "AESGCM"],
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        &["ECDHE-RSA-AES256-GCM-SHA384", "aRSA", "AES", "AES256", "AESGCM"],
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        &["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDSA", "aECDSA", "CHACHA20"],
    ),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, &["ECDHE-RSA-CHACHA20-POLY1305", "aRSA", "CHACHA20"]),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        &["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA", "aECDSA", "AES", "AES128", "AESGCM"],
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        &["ECDHE-RSA-AES128-GCM-SHA256", "aRSA", "AES", "AES128", "AESGCM"],
    ),
];

/// Words that stand for all of them.
const ALL: &[&str] = &["ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "TLSv1.2"];

/// How names begin of ciphers that OpenSSL has and we do not: a list with such alone leaves TLS 1.3.
const OTHERS: &[&str] = &[
    "ADH-", "AECDH-", "AES128-", "AES256-", "ARIA", "CAMELLIA", "DHE", "ECDHE-", "EDH", "PSK", "RSA", "SRP-", "kDHE",
    "kEDH", "kRSA",
];

/// Suites of TLS 1.3, and whether we have them.
const TLS13: &[(&str, Option<CipherSuite>)] = &[
    ("TLS_AES_256_GCM_SHA384", Some(CipherSuite::TLS13_AES_256_GCM_SHA384)),
    ("TLS_CHACHA20_POLY1305_SHA256", Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)),
    ("TLS_AES_128_GCM_SHA256", Some(CipherSuite::TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_128_CCM_SHA256", None),
    ("TLS_AES_128_CCM_8_SHA256", None),
];

/// Those of `supported` that the lists name, in the lists' order; all where there is no list.
pub(super) fn chosen(
    supported: &[SupportedCipherSuite],
    ciphers: Option<&[u8]>,
    suites: Option<&[u8]>,
) -> Result<Vec<SupportedCipherSuite>, &'static str> {
    let of = |version: &SupportedProtocolVersion| {
        let version = version.version;
        supported.iter().filter(move |suite| suite.version().version == version).map(|suite| suite.suite()).collect()
    };
    let tls12 = match ciphers {
        Some(list) => match cipher_list(list) {
            found if found.is_empty() && !names_others(list) => return Err(UNKNOWN_CIPHERS),
            found => found,
        },
        None => of(&rustls::version::TLS12),
    };
    let tls13: Vec<CipherSuite> = match suites {
        Some(list) => suite_list(list).ok_or(UNKNOWN_SUITES)?,
        None => of(&rustls::version::TLS13),
    };
    let find = |wanted| supported.iter().find(|suite| suite.suite() == wanted).copied();
    Ok(tls13.into_iter().chain(tls12).filter_map(find).collect())
}

fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| b":, ".contains(byte))
}

fn names_others(list: &[u8]) -> bool {
    items(list).any(|item| OTHERS.iter().any(|other| item.starts_with(other.as_bytes())))
}

/// `ECDHE+AESGCM:!aECDSA`: what is not known stands for nothing.
fn cipher_list(list: &[u8]) -> Vec<CipherSuite> {
    let (mut chosen, mut killed): (Vec<CipherSuite>, Vec<CipherSuite>) = (Vec::new(), Vec::new());
    for item in items(list) {
        let item = String::from_utf8_lossy(item);
        let (sign, words) = match item.chars().next() {
            Some(sign @ ('!' | '-' | '+')) => (sign, &item[1..]),
            _ => (' ', &*item),
        };
        // "@STRENGTH" and the like matches nothing and so changes nothing.
        let matching: Vec<CipherSuite> = TLS12
            .iter()
            .filter(|(_, names)| words.split('+').all(|word| ALL.contains(&word) || names.contains(&word)))
            .map(|(suite, _)| *suite)
            .collect();
        match sign {
            ' ' => {
                let new: Vec<_> =
                    matching.into_iter().filter(|suite| !chosen.contains(suite) && !killed.contains(suite)).collect();
                chosen.extend(new);
            }
            '+' => {
                let (last, first): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|suite| matching.contains(suite));
                chosen = first.into_iter().chain(last).collect();
            }
            _ => {
                chosen.retain(|suite| !matching.contains(suite));
                if sign == '!' {
                    killed.extend(matching);
                }
            }
        }
    }
    chosen
}

/// Names of TLS 1.3's suites, of which at least one must be known.
fn suite_list(list: &[u8]) -> Option<Vec<CipherSuite>> {
    let find = |name: &[u8]| TLS13.iter().find(|(known, _)| known.as_bytes() == name);
    let mut known = items(list).filter_map(find).peekable();
    known.peek()?;
    Some(known.filter_map(|(_, suite)| *suite).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ciphers() {
        let names = |list: &str| -> Vec<&str> {
            let find = |suite| TLS12.iter().find(|(known, _)| *known == suite).map(|(_, names)| names[0]);
            cipher_list(list.as_bytes()).into_iter().filter_map(find).collect()
        };
        assert_eq!(names("FOO:AES128-SHA"), [""; 0]);
        assert_eq!(names("DEFAULT:!MEDIUM").len(), TLS12.len());
        assert_eq!(
            names("ECDHE-RSA-AES128-GCM-SHA256:FOO:ECDHE-RSA-AES256-GCM-SHA384"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        assert_eq!(names("ECDHE+AESGCM:!ECDSA"), ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(
            names("aRSA+AES:+AES256:@SECLEVEL=2"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        assert_eq!(names("!CHACHA20 ALL,-AES"), [""; 0]);
    }

    #[test]
    fn lists_of_suites() {
        let only = suite_list(b"FOO:TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256");
        assert_eq!(only, Some(vec![CipherSuite::TLS13_AES_128_GCM_SHA256]));
        assert_eq!(suite_list(b"TLS_AES_128_CCM_SHA256"), Some(Vec::new()));
        assert_eq!((suite_list(b""), suite_list(b"FOO")), (None, None));
        let supported = rustls::crypto::ring::default_provider().cipher_suites;
        let chosen = chosen(&supported, Some(b"CHACHA20"), Some(b"TLS_AES_256_GCM_SHA384")).unwrap();
        assert_eq!(chosen.len(), 3);
        let choose =
            |ciphers: &'static str| super::chosen(&supported, Some(ciphers.as_bytes()), None).map(|all| all.len());
        assert_eq!((choose("AES128-SHA"), choose("FOO:!RSA"), choose("ALL")), (Ok(3), Err(UNKNOWN_CIPHERS), Ok(9)));
        assert_eq!(chosen[0].suite(), CipherSuite::TLS13_AES_256_GCM_SHA384);
    }
}

//! Glob-style patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET use them: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
//!
//! One remembered `*` is enough: when a later `*` matches, the earlier ones need never be retried. So the
//! cost is at most pattern length times subject length, without recursion, whatever the client sends.

/// Most runs of `*` that a pattern may have to try; one with more matches nothing, as in Redis.
pub const STARS_MAX: usize = 1000;

/// Whether `subject` matches `pattern`.
#[must_use]
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    run(pattern, subject, |a, b| a == b, |b| b)
}

/// Whether `subject` matches `pattern`, ASCII case aside.
#[must_use]
pub fn matches_ignore_case(pattern: &[u8], subject: &[u8]) -> bool {
    run(pattern, subject, |a, b| a.eq_ignore_ascii_case(&b), |b| b.to_ascii_lowercase())
}

/// What one pattern element does with a byte: whether it matches, and where the next element begins.
fn element(
    pattern: &[u8],
    p: usize,
    byte: u8,
    same: impl Fn(u8, u8) -> bool,
    fold: impl Fn(u8) -> u8,
) -> (bool, usize) {
    match pattern[p] {
        b'?' => (true, p + 1),
        b'\\' if p + 1 < pattern.len() => (same(pattern[p + 1], byte), p + 2),
        b'[' => class(pattern, p + 1, fold(byte), fold),
        literal => (same(literal, byte), p + 1),
    }
}

/// A character class whose first byte after `[` is at `p`. An unclosed class reaches to the pattern's end.
fn class(pattern: &[u8], mut p: usize, byte: u8, fold: impl Fn(u8) -> u8) -> (bool, usize) {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match pattern.get(p) {
            None => break,
            Some(b'\\') if p + 1 < pattern.len() => {
                p += 1;
                found |= fold(pattern[p]) == byte;
            }
            Some(b']') => {
                p += 1;
                break;
            }
            Some(&start) if p + 2 < pattern.len() && pattern[p + 1] == b'-' => {
                let (a, b) = (fold(start), fold(pattern[p + 2]));
                p += 2;
                found |= (a.min(b)..=a.max(b)).contains(&byte);
            }
            Some(&literal) => found |= fold(literal) == byte,
        }
        p += 1;
    }
    (found != negated, p)
}

fn run(pattern: &[u8], subject: &[u8], same: impl Fn(u8, u8) -> bool + Copy, fold: impl Fn(u8) -> u8 + Copy) -> bool {
    let (mut p, mut s) = (0, 0);
    // Where to go on after a mismatch: the element behind the last `*`, and the subject byte it tried last.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            while p < pattern.len() && pattern[p] == b'*' {
                p += 1;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, s));
            continue;
        }
        if s == subject.len() {
            return p == pattern.len();
        }
        if p < pattern.len() {
            let (ok, next) = element(pattern, p, subject[s], same, fold);
            if ok {
                (p, s) = (next, s + 1);
                continue;
            }
        }
        match retry {
            Some((after, from)) => {
                retry = Some((after, from + 1));
                (p, s) = (after, from + 1);
            }
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_ignore_case};

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, subject, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("[abc", "a", true),
            ("*foo*bar*", "xxfooyybarzz", true),
            ("*foo*bar", "foobarx", false),
            ("a]", "a]", true),
            ("[\\]]", "]", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), expected, "{pattern} {subject}");
        }
        assert!(matches_ignore_case(b"MAX*", b"maxmemory"));
        assert!(matches_ignore_case(b"[A-C]x", b"bX"));
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "*?".repeat(50_000);
        assert!(!matches(pattern.as_bytes(), b"abcdefgh"));
        assert!(!matches(pattern.as_bytes(), "a".repeat(50_000).as_bytes()), "beyond the limit on stars");
        let pattern = "a*".repeat(100) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes()));
    }
}

//! Lua 5.1's patterns, matched with a limit on the depth and with questions on the way whether to go on: the matcher that
//! comes with Lua backtracks for as long as it takes and can overflow the stack.

/// Most captures of a pattern.
pub const CAPTURES_MAX: usize = 32;

/// Most pattern items that wait for each other.
const DEPTH_MAX: usize = 200;

/// Steps between two questions whether to go on.
const INTERVAL_STEPS: u32 = 200_000;

/// A capture.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// The bytes from here to there.
    Text(usize, usize),
    /// A position, from 1.
    Position(usize),
    /// Not closed yet; holds where it begins.
    Open(usize),
}

/// Why a pattern did not run to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum PatternError<E> {
    /// The pattern is wrong.
    Malformed(&'static str),
    /// `go_on` said no.
    Stopped(E),
}

/// A match: where it is, and its captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    captures: [Capture; CAPTURES_MAX],
    count: usize,
}

impl Match {
    /// The captures.
    #[must_use]
    pub fn captures(&self) -> &[Capture] {
        &self.captures[..self.count]
    }
}

/// Finds the first match at or after `from`. A pattern that begins with `^` matches there or not at all.
///
/// # Errors
/// When the pattern is wrong, or `go_on` fails.
pub fn find<E>(
    text: &[u8],
    pattern: &[u8],
    from: usize,
    go_on: &mut dyn FnMut() -> Result<(), E>,
) -> Result<Option<Match>, PatternError<E>> {
    let (pattern, anchored) = match pattern.strip_prefix(b"^") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let mut matcher = Matcher {
        text,
        pattern,
        captures: [Capture::Position(0); CAPTURES_MAX],
        count: 0,
        steps: INTERVAL_STEPS,
        go_on,
    };
    let mut start = from;
    loop {
        matcher.count = 0;
        if let Some(end) = matcher.run(start, 0, DEPTH_MAX)? {
            if let Some(open) = matcher.captures[..matcher.count].iter().find(|one| matches!(one, Capture::Open(_))) {
                let _ = open;
                return Err(PatternError::Malformed("unfinished capture"));
            }
            return Ok(Some(Match { start, end, captures: matcher.captures, count: matcher.count }));
        }
        start += 1;
        if anchored || start > text.len() {
            return Ok(None);
        }
    }
}

struct Matcher<'a, E> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: [Capture; CAPTURES_MAX],
    count: usize,
    steps: u32,
    go_on: &'a mut dyn FnMut() -> Result<(), E>,
}

type Step<E> = Result<Option<usize>, PatternError<E>>;

impl<E> Matcher<'_, E> {
    fn step(&mut self) -> Result<(), PatternError<E>> {
        self.steps -= 1;
        if self.steps == 0 {
            self.steps = INTERVAL_STEPS;
            (self.go_on)().map_err(PatternError::Stopped)?;
        }
        Ok(())
    }

    /// Matches the pattern from `p` at `s`; returns where the match ends.
    fn run(&mut self, mut s: usize, mut p: usize, depth: usize) -> Step<E> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(PatternError::Malformed("pattern too complex"));
        };
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(s)) };
            match item {
                b'(' if self.pattern.get(p + 1) == Some(&b')') => {
                    return self.capture(Capture::Position(s + 1), s, p + 2, depth);
                }
                b'(' => return self.capture(Capture::Open(s), s, p + 1, depth),
                b')' => return self.close(s, p + 1, depth),
                b'$' if p + 1 == self.pattern.len() => return Ok((s == self.text.len()).then_some(s)),
                b'%' => match self.pattern.get(p + 1) {
                    Some(b'b') => match self.balance(s, p + 2)? {
                        Some(end) => {
                            (s, p) = (end, p + 4);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    Some(b'f') => {
                        if self.pattern.get(p + 2) != Some(&b'[') {
                            return Err(PatternError::Malformed("missing '[' after '%f' in pattern"));
                        }
                        let end = self.item_end(p + 2)?;
                        let before = if s == 0 { 0 } else { self.text[s - 1] };
                        let here = self.text.get(s).copied().unwrap_or(0);
                        if self.in_set(before, p + 2, end - 1) || !self.in_set(here, p + 2, end - 1) {
                            return Ok(None);
                        }
                        p = end;
                        continue;
                    }
                    Some(digit @ b'0'..=b'9') => match self.back_reference(s, *digit)? {
                        Some(end) => {
                            (s, p) = (end, p + 2);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    _ => {}
                },
                _ => {}
            }
            let end = self.item_end(p)?;
            match self.pattern.get(end) {
                Some(b'?') => {
                    if self.matches_one(s, p, end)
                        && let Some(found) = self.run(s + 1, end + 1, depth)?
                    {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                Some(b'*') => return self.expand_most(s, p, end, depth),
                Some(b'+') => {
                    return if self.matches_one(s, p, end) { self.expand_most(s + 1, p, end, depth) } else { Ok(None) };
                }
                Some(b'-') => return self.expand_least(s, p, end, depth),
                _ => {
                    if !self.matches_one(s, p, end) {
                        return Ok(None);
                    }
                    (s, p) = (s + 1, end);
                }
            }
        }
    }

    fn capture(&mut self, capture: Capture, s: usize, p: usize, depth: usize) -> Step<E> {
        if self.count >= CAPTURES_MAX {
            return Err(PatternError::Malformed("too many captures"));
        }
        self.captures[self.count] = capture;
        self.count += 1;
        let found = self.run(s, p, depth)?;
        if found.is_none() {
            self.count -= 1;
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize, depth: usize) -> Step<E> {
        let open = self.captures[..self.count].iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let Some(open) = open else { return Err(PatternError::Malformed("invalid pattern capture")) };
        let before = self.captures[open];
        if let Capture::Open(start) = before {
            self.captures[open] = Capture::Text(start, s);
        }
        let found = self.run(s, p, depth)?;
        if found.is_none() {
            self.captures[open] = before;
        }
        Ok(found)
    }

    fn balance(&mut self, s: usize, p: usize) -> Step<E> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(PatternError::Malformed("unbalanced pattern"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1;
        for at in s + 1..self.text.len() {
            self.step()?;
            let byte = self.text[at];
            if byte == close {
                nested -= 1;
                if nested == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                nested += 1;
            }
        }
        Ok(None)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Step<E> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        match index.filter(|&index| index < self.count).map(|index| self.captures[index]) {
            Some(Capture::Text(start, end)) => {
                let again = &self.text[start..end];
                Ok(self.text[s..].starts_with(again).then_some(s + again.len()))
            }
            // A position never matches text.
            Some(Capture::Position(_)) => Ok(None),
            _ => Err(PatternError::Malformed("invalid capture index")),
        }
    }

    fn expand_most(&mut self, s: usize, p: usize, end: usize, depth: usize) -> Step<E> {
        let mut count = 0;
        while self.matches_one(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(found) = self.run(s + count, end + 1, depth)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn expand_least(&mut self, mut s: usize, p: usize, end: usize, depth: usize) -> Step<E> {
        loop {
            if let Some(found) = self.run(s, end + 1, depth)? {
                return Ok(Some(found));
            }
            if !self.matches_one(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    /// Where the single item at `p` ends.
    fn item_end(&self, p: usize) -> Result<usize, PatternError<E>> {
        match self.pattern[p] {
            b'%' if p + 1 >= self.pattern.len() => Err(PatternError::Malformed("malformed pattern (ends with '%')")),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // The first byte is part of the set even if it is a `]`.
                loop {
                    match self.pattern.get(at) {
                        None => return Err(PatternError::Malformed("malformed pattern (missing ']')")),
                        Some(b'%') => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn matches_one(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end - 1),
            literal => literal == byte,
        }
    }

    /// Whether the set from the `[` at `p` to the `]` at `last` has the byte.
    fn in_set(&self, byte: u8, p: usize, last: usize) -> bool {
        let mut at = p + 1;
        let negated = self.pattern.get(at) == Some(&b'^');
        if negated {
            at += 1;
        }
        while at < last {
            let item = self.pattern[at];
            if item == b'%' {
                at += 1;
                if self.pattern.get(at).is_some_and(|&class| in_class(byte, class)) {
                    return !negated;
                }
                at += 1;
            } else if self.pattern.get(at + 1) == Some(&b'-') && at + 2 < last {
                if (item..=self.pattern[at + 2]).contains(&byte) {
                    return !negated;
                }
                at += 3;
            } else {
                if item == byte {
                    return !negated;
                }
                at += 1;
            }
        }
        negated
    }
}

/// Whether a byte is in the class of a letter, as `%a`; an upper-case letter is the complement, anything else itself.
fn in_class(byte: u8, class: u8) -> bool {
    let yes = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    yes != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, pattern: &str) -> Result<Option<Vec<String>>, PatternError<()>> {
        let found = find(text.as_bytes(), pattern.as_bytes(), 0, &mut || Ok(()))?;
        Ok(found.map(|found| {
            let mut parts = vec![text[found.start..found.end].to_owned()];
            parts.extend(found.captures().iter().map(|capture| match *capture {
                Capture::Text(start, end) => text[start..end].to_owned(),
                Capture::Position(at) | Capture::Open(at) => at.to_string(),
            }));
            parts
        }))
    }

    #[test]
    fn patterns_match_as_in_lua() {
        for (text, pattern, expected) in [
            ("hello world", "o w", Some(vec!["o w"])),
            ("hello world", "(%w+) (%w+)", Some(vec!["hello world", "hello", "world"])),
            ("key = value", "^(%w+)%s*=%s*(%w+)$", Some(vec!["key = value", "key", "value"])),
            ("abc", "()b()", Some(vec!["b", "2", "3"])),
            ("f(a(b)c)d", "%b()", Some(vec!["(a(b)c)"])),
            ("THE (quick) fox", "%f[%a]%a+%f[%A]", Some(vec!["THE"])),
            ("aXb", "%u", Some(vec!["X"])),
            ("[[x]]", "[]x]+", Some(vec!["x]]"])),
            ("a-b", "[a%-]+", Some(vec!["a-"])),
            ("say \"hi\" 'x'", "([\"'])(.-)%1", Some(vec!["\"hi\"", "\"", "hi"])),
            ("aaa", "a-$", Some(vec!["aaa"])),
            ("abc", "[^a-b]", Some(vec!["c"])),
            ("xyz", "^y", None),
            ("", ".*", Some(vec![""])),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect());
            assert_eq!(first(text, pattern), Ok(expected), "{pattern} on {text}");
        }
    }

    #[test]
    fn mistakes_and_excess_are_errors() {
        for (pattern, error) in [
            ("%", "malformed pattern (ends with '%')"),
            ("[a", "malformed pattern (missing ']')"),
            ("(a", "unfinished capture"),
            ("a)", "invalid pattern capture"),
            ("%1", "invalid capture index"),
            ("%b", "unbalanced pattern"),
            ("%fa", "missing '[' after '%f' in pattern"),
        ] {
            assert_eq!(first("a", pattern), Err(PatternError::Malformed(error)), "{pattern}");
        }
        let deep = "a?".repeat(1000);
        assert_eq!(first(&"a".repeat(1000), &deep), Err(PatternError::Malformed("pattern too complex")));
        assert_eq!(first("a", &"()".repeat(33)), Err(PatternError::Malformed("too many captures")));
    }

    #[test]
    fn backtracking_answers_to_the_limit() {
        let text = "a".repeat(5_000);
        let mut asked = 0;
        let mut go_on = || {
            asked += 1;
            if asked > 3 { Err("enough") } else { Ok(()) }
        };
        let found = find(text.as_bytes(), b".-.-.-.-b", 0, &mut go_on);
        assert_eq!(found, Err(PatternError::Stopped("enough")));
    }
}

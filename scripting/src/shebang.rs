//! The first line of a script: `#!lua flags=no-writes`, `#!lua name=mylib`.

use bitflags::bitflags;

bitflags! {
    /// What a script says of itself.
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
    pub struct Flags: u8 {
        /// It changes nothing.
        const NO_WRITES = 1;
        /// It may run when memory is full.
        const ALLOW_OOM = 1 << 1;
        /// It may run on a replica with stale data.
        const ALLOW_STALE = 1 << 2;
        /// It may not run in a cluster.
        const NO_CLUSTER = 1 << 3;
        /// It may use keys of several slots.
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
        /// It has no first line of the kind: what it may do is decided command by command.
        const COMPATIBLE = 1 << 5;
    }
}

impl Flags {
    /// The names, in the order in which FUNCTION LIST shows them.
    pub const NAMES: &'static [(Flags, &'static str)] = &[
        (Flags::NO_WRITES, "no-writes"),
        (Flags::ALLOW_OOM, "allow-oom"),
        (Flags::ALLOW_STALE, "allow-stale"),
        (Flags::NO_CLUSTER, "no-cluster"),
        (Flags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
    ];

    /// The flag of this name.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<Flags> {
        Self::NAMES.iter().find(|(_, known)| known.as_bytes() == name).map(|&(flag, _)| flag)
    }
}

/// A script's flags and where its code begins; what stands before is the first line without its end, so that line
/// numbers stay.
///
/// # Errors
/// The reply, when the first line is not one that Redis knows.
pub fn parse_script(body: &[u8]) -> Result<(Flags, &[u8]), Vec<u8>> {
    if !body.starts_with(b"#!") {
        return Ok((Flags::COMPATIBLE, body));
    }
    let Some(end) = body.iter().position(|&byte| byte == b'\n') else {
        return Err(b"ERR Invalid script shebang".to_vec());
    };
    let mut words = words(&body[..end]);
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err([b"ERR Unexpected engine in script shebang: ", engine].concat());
    }
    let mut flags = Flags::empty();
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err([b"ERR Unknown lua shebang option: ", word].concat());
        };
        for name in list.split(|&byte| byte == b',').filter(|name| !name.is_empty()) {
            flags |= Flags::by_name(name).ok_or_else(|| [b"ERR Unexpected flag in script shebang: ", name].concat())?;
        }
    }
    Ok((flags, &body[end..]))
}

/// What a library's first line says: its engine, its name, and where its code begins.
pub type LibraryHead<'a> = (&'a [u8], Vec<u8>, &'a [u8]);

/// Reads a library's first line.
///
/// # Errors
/// The reply, when the first line is not one that Redis knows.
pub fn parse_library(code: &[u8]) -> Result<LibraryHead<'_>, Vec<u8>> {
    if !code.starts_with(b"#!") {
        return Err(b"ERR Missing library metadata".to_vec());
    }
    let Some(end) = code.iter().position(|&byte| byte == b'\n') else {
        return Err(b"ERR Invalid library metadata".to_vec());
    };
    let line = &code[2..end];
    let engine = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let words = resp::inline::split_words(line).map_err(|_| b"ERR Invalid library metadata".to_vec())?;
    let mut name: Option<Vec<u8>> = None;
    for word in words.into_iter().skip(usize::from(!engine.is_empty())) {
        let Some(given) = word.strip_prefix(b"name=") else {
            return Err([b"ERR Invalid metadata value given: ", &word[..]].concat());
        };
        if name.is_some() {
            return Err(b"ERR Invalid metadata value, name argument was given multiple times".to_vec());
        }
        name = Some(given.to_vec());
    }
    let name = name.ok_or_else(|| b"ERR Library name was not given".to_vec())?;
    Ok((engine, name, &code[end..]))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_say_their_flags() {
        assert_eq!(parse_script(b"return 1"), Ok((Flags::COMPATIBLE, &b"return 1"[..])));
        assert_eq!(
            parse_script(b"#!lua flags=no-writes,allow-oom\nreturn 1"),
            Ok((Flags::NO_WRITES | Flags::ALLOW_OOM, &b"\nreturn 1"[..]))
        );
        assert_eq!(parse_script(b"#!lua flags=\nx"), Ok((Flags::empty(), &b"\nx"[..])));
        for (body, error) in [
            (&b"#!lua"[..], "ERR Invalid script shebang"),
            (b"#!py\n", "ERR Unexpected engine in script shebang: #!py"),
            (b"#!lua a=b\n", "ERR Unknown lua shebang option: a=b"),
            (b"#!lua flags=what?\n", "ERR Unexpected flag in script shebang: what?"),
        ] {
            assert_eq!(parse_script(body), Err(error.as_bytes().to_vec()));
        }
    }

    #[test]
    fn libraries_say_their_name() {
        assert_eq!(parse_library(b"#!lua name=\"foo\"\nx"), Ok((&b"lua"[..], b"foo".to_vec(), &b"\nx"[..])));
        assert_eq!(parse_library(b"#! name=test\nx"), Ok((&b""[..], b"test".to_vec(), &b"\nx"[..])));
        for (code, error) in [
            (&b"x"[..], "ERR Missing library metadata"),
            (b"#!lua\n", "ERR Library name was not given"),
            (b"#!lua name=a foo=b\n", "ERR Invalid metadata value given: foo=b"),
            (b"#!lua name=a name=b\n", "ERR Invalid metadata value, name argument was given multiple times"),
        ] {
            assert_eq!(parse_library(code), Err(error.as_bytes().to_vec()));
        }
    }
}

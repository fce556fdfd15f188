//! `--eval`: the script of a file, with keys and arguments from the command line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use crate::args::Options;
use crate::connection::io_text;

pub(crate) async fn run(options: Options, tty: bool) -> ExitCode {
    let Some(script) = script(&options.file) else { return ExitCode::FAILURE };
    let words = request(script, &options.command);
    crate::run_once(options, &words, tty).await
}

/// The script of a file. Says why there is none.
pub(crate) fn script(file: &[u8]) -> Option<Vec<u8>> {
    std::fs::read(OsStr::from_bytes(file))
        .inspect_err(|error| eprintln!("Can't open file '{}': {}", String::from_utf8_lossy(file), io_text(error)))
        .ok()
}

/// `EVAL script numkeys key… argument…`
pub(crate) fn request(script: Vec<u8>, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let comma = words.iter().position(|word| word == b",");
    let (keys, arguments) = match comma {
        Some(comma) => (&words[..comma], &words[comma + 1..]),
        None => (words, &[][..]),
    };
    let mut request = vec![b"EVAL".to_vec(), script, keys.len().to_string().into_bytes()];
    request.extend(keys.iter().chain(arguments).cloned());
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_separates_keys_from_arguments() {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(request(b"s".to_vec(), &words("k1 k2 , a , b")), words("EVAL s 2 k1 k2 a , b"));
        assert_eq!(request(b"s".to_vec(), &words("k1")), words("EVAL s 1 k1"));
        assert_eq!(request(b"s".to_vec(), &words(", a")), words("EVAL s 0 a"));
    }
}

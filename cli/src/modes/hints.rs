//! `--test_hint` and `--test_hint_file`: hints without a terminal, which is how the official suite checks them.
//!
//! Such a file was written for one release: what came later is left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use resp::inline::split_words;

use crate::connection::io_text;
use crate::docs;
use crate::hint::hint;
use crate::session::Session;

pub(crate) async fn run(mut session: Session, from_file: bool) -> ExitCode {
    session.quiet = true;
    session.connect().await;
    let docs = docs::without_newer(&docs::known(&mut session).await);
    let given = &session.options.file;
    if !from_file {
        println!("{}", hint(&docs, &String::from_utf8_lossy(given)).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let lines = match std::fs::read(OsStr::from_bytes(given)) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("Can't open file '{}': {}", String::from_utf8_lossy(given), io_text(&error));
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut all) = (0, 0);
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")) {
        let Ok(words) = split_words(line) else { continue };
        let [input, expected, ..] = words.as_slice() else { continue };
        let (input, expected) = (String::from_utf8_lossy(input), String::from_utf8_lossy(expected));
        let got = hint(&docs, &input).unwrap_or_default();
        all += 1;
        if got == expected {
            passed += 1;
        } else {
            println!("Test case '{input}' FAILED: expected '{expected}', got '{got}'");
        }
    }
    println!("{}: {passed}/{all} passed", if passed == all { "SUCCESS" } else { "FAILURE" });
    if passed == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

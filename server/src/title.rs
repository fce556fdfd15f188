//! What the process calls itself (`set-proc-title`, `proc-title-template`).

use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use crate::config::Config;
use crate::sys::title;

/// Longest title, in bytes, as in Redis.
const TITLE_BYTES_MAX: usize = 255;

/// The name that the program was started by.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// Begins to show a title, if the configuration wants one; as long as there is one thread. `program` is the name that the
/// program was started by.
pub fn begin(config: &Config, program: &str) {
    if config.set_proc_title && title::claim() {
        PROGRAM.get_or_init(|| program.to_owned());
        show(config, None);
    }
}

/// Shows the title that the configuration asks for; `child` is the name of a child process.
pub fn show(config: &Config, child: Option<&str>) {
    if let Some(program) = PROGRAM.get() {
        title::set(&expand(config, child.unwrap_or(program)));
    }
}

/// The template with its variables filled in, without spaces at the end. The template was checked when it was set.
fn expand(config: &Config, name: &str) -> Vec<u8> {
    let (mut title, mut rest) = (Vec::new(), &config.proc_title_template.0[..]);
    while let Some(at) = rest.iter().position(|&byte| byte == b'{') {
        title.extend_from_slice(&rest[..at]);
        let len = rest[at..].iter().position(|&byte| byte == b'}').unwrap_or(rest.len() - at - 1);
        match &rest[at + 1..at + len] {
            b"title" => title.extend_from_slice(name.as_bytes()),
            b"listen-addr" => title.extend_from_slice(listen_addr(config).as_bytes()),
            b"server-mode" if config.cluster_enabled => title.extend_from_slice(b"[cluster]"),
            b"port" => title.extend_from_slice(config.port.to_string().as_bytes()),
            b"tls-port" => title.extend_from_slice(config.tls_port.to_string().as_bytes()),
            b"unixsocket" => title.extend_from_slice(config.unixsocket.as_bytes()),
            b"config-file" => {
                title.extend_from_slice(config.origin.file.as_ref().map_or(b"", |file| file.as_os_str().as_bytes()));
            }
            _ => {}
        }
        rest = &rest[at + len + 1..];
    }
    title.extend_from_slice(rest);
    title.truncate(title.trim_ascii_end().len().min(TITLE_BYTES_MAX));
    title
}

/// The first address and its port, or the socket if there is nothing else.
fn listen_addr(config: &Config) -> String {
    let port = if config.port > 0 { config.port } else { config.tls_port };
    if port == 0 && !config.unixsocket.is_empty() {
        return format!("unixsocket:{}", config.unixsocket);
    }
    format!("{}:{port}", config.bind.0.first().map_or("*", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::config::Config;
    use crate::config::value::{BindAddresses, Text};

    #[test]
    fn templates() {
        let mut config = Config::default();
        let shown = |config: &Config| String::from_utf8(expand(config, "redis-server")).expect("text");
        assert_eq!(shown(&config), "redis-server *:6379");
        config.cluster_enabled = true;
        config.bind = BindAddresses(vec!["127.0.0.1".into(), "::1".into()]);
        assert_eq!(shown(&config), "redis-server 127.0.0.1:6379 [cluster]");
        config.proc_title_template = Text(b"a  b {port}{tls-port} {unixsocket}{config-file}|{title}  ".to_vec());
        assert_eq!(shown(&config), "a  b 63790 |redis-server");
        (config.port, config.unixsocket) = (0, "/s".into());
        config.proc_title_template = Text(b"{listen-addr} {unixsocket}".to_vec());
        assert_eq!(shown(&config), "unixsocket:/s /s");
        config.tls_port = 7;
        assert_eq!(shown(&config), "127.0.0.1:7 /s");
    }
}

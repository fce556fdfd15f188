//! TLS: both programs against a server behind a proxy that speaks TLS.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::process::{Run, run};
use crate::server::{Server, find};

const CLI: &str = env!("CARGO_BIN_EXE_redis-cli-rs");
const BENCHMARK: &str = env!("CARGO_BIN_EXE_redis-benchmark-rs");

/// Certificates as files: `ca`, `other-ca`, and those of the first, `server` and `client`.
struct Certificates(PathBuf);

impl Certificates {
    fn make(dir: PathBuf) -> Certificates {
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, certificate: &rcgen::Certificate, key: &KeyPair| {
            std::fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
            std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        };
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            write(name, &params.self_signed(&key).unwrap(), &key);
            Issuer::new(params, key)
        };
        let issuer = authority("ca");
        authority("other-ca");
        for name in ["server", "client"] {
            // Not the name of the host that is connected to: redis-cli does not look.
            let params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
            let key = KeyPair::generate().unwrap();
            write(name, &params.signed_by(&key, &issuer).unwrap(), &key);
        }
        Certificates(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn load(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.0.join(format!("{name}.crt"))).unwrap()
    }

    /// What `@ca.crt` and the like in a line of arguments stand for.
    fn fill_in(&self, line: &str) -> String {
        line.replace('@', &format!("{}/", self.0.display()))
    }
}

/// Takes TLS connections, with a client's certificate only, and passes their bytes to a port. The port.
fn proxy(certificates: &Certificates, to: u16) -> u16 {
    let mut trusted = RootCertStore::empty();
    trusted.add(certificates.load("ca")).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::new(ring::default_provider()));
    let key = PrivateKeyDer::from_pem_file(certificates.path("server.key")).unwrap();
    let config = builder(rustls::DEFAULT_VERSIONS)
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificates.load("server")], key)
        .unwrap();
    pass_on(config, to)
}

fn builder(versions: &[&'static SupportedProtocolVersion]) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(versions).unwrap()
}

fn pass_on(config: ServerConfig, to: u16) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    port
}

struct Setup {
    certificates: Certificates,
    port: u16,
}

impl Setup {
    fn run(&self, program: &str, line: &str, stdin: &[u8]) -> Run {
        let line = self.certificates.fill_in(line);
        let own = ["-p".to_owned(), self.port.to_string()];
        let arguments: Vec<String> = own.into_iter().chain(line.split(' ').map(str::to_owned)).collect();
        run(Path::new(program), &arguments, stdin, &[])
    }

    /// Standard output of a run that succeeds.
    fn succeeds(&self, program: &str, line: &str, stdin: &[u8]) -> String {
        let line = format!("--tls --cacert @ca.crt --cert @client.crt --key @client.key {line}");
        let run = self.run(program, &line, stdin);
        assert_eq!(run.code, Some(0), "{line}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    }

    /// Standard error of a run that fails.
    fn fails(&self, program: &str, line: &str) -> String {
        let run = self.run(program, line, b"");
        assert_eq!((run.code, run.stdout.as_slice()), (Some(1), &b""[..]), "{line}");
        String::from_utf8(run.stderr).unwrap()
    }

    /// The same of the client, compared with a redis-cli that was built with TLS, where there is one. It may say a thing twice, and
    /// does not give details in parentheses.
    fn fails_likewise(&self, reference: Option<&Path>, line: &str) -> String {
        let ours = self.fails(CLI, line);
        if let Some(reference) = reference {
            let theirs = self.fails(reference.to_str().unwrap(), line);
            let first = ours.split_inclusive(" (").next().unwrap_or_default().trim_end_matches(" (").trim_end();
            assert_eq!(theirs.lines().next(), Some(first), "{line}");
        }
        ours
    }
}

#[test]
fn every_mode_speaks_tls() {
    let Some(program) = find("REDIS_SERVER", "redis-server") else {
        eprintln!("skipped: no redis-server to put behind TLS");
        return;
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", std::process::id()));
    let certificates = Certificates::make(dir.join("certificates"));
    let options = ["--repl-diskless-sync-delay", "0", "--cluster-enabled", "yes"];
    let server = Server::start(&program, &dir.join("server"), &options);
    let setup = Setup { port: proxy(&certificates, server.port), certificates };
    setup.succeeds(CLI, "cluster addslotsrange 0 16383", b"");
    while !setup.succeeds(CLI, "cluster info", b"").contains("cluster_state:ok") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    let pairs: Vec<String> = (0..50_000).map(|number| format!("SET key:{number} {}\r\n", "x".repeat(100))).collect();
    let text = setup.succeeds(CLI, "--pipe", pairs.concat().as_bytes());
    assert!(text.ends_with("errors: 0, replies: 50000\n"), "{text}");
    assert_eq!(setup.succeeds(CLI, "--scan --count 1000", b"").lines().count(), 50_000);
    assert_eq!(setup.succeeds(CLI, "--sni 127.0.0.1 get key:7", b""), format!("{}\n", "x".repeat(100)));
    let folder = setup.run(CLI, "--tls --cacertdir @ --cert @client.crt --key @client.key ping", b"");
    assert_eq!(folder.stdout, b"PONG\n", "{}", String::from_utf8_lossy(&folder.stderr));
    assert_eq!(setup.succeeds(CLI, "-3 --sni server.example get nosuch", b""), "\n");
    assert_eq!(setup.succeeds(CLI, &format!("-u rediss://127.0.0.1:{}/0 echo hi", setup.port), b""), "hi\n");
    assert_eq!(setup.succeeds(CLI, "--tls-ciphers AES128-SHA ping", b""), "PONG\n");
    assert_eq!(setup.succeeds(CLI, "--tls-ciphersuites FOO:TLS_AES_128_GCM_SHA256 ping", b""), "PONG\n");
    assert!(setup.succeeds(CLI, "--bigkeys", b"").contains("Sampled 50000 keys in the keyspace!"));
    let file = setup.certificates.path("dump.rdb");
    setup.succeeds(CLI, &format!("--rdb {file}"), b"");
    assert!(std::fs::read(&file).unwrap().len() > 50_000 * 10);
    let check = format!("--cluster check 127.0.0.1:{}", setup.port);
    assert!(setup.succeeds(CLI, &check, b"").contains("[OK] All 16384 slots covered."));

    for line in ["-n 3000 -t get,set,lpush -q", "-n 3000 -P 50 -d 3000 -t set,get -q", "-n 30 -c 3 -k 0 -t get -q"] {
        let text = setup.succeeds(BENCHMARK, line, b"");
        assert!(text.contains("GET: ") && text.contains(" requests per second"), "{text}");
    }
    // The node tells its port without TLS, so it is named itself.
    assert!(setup.succeeds(BENCHMARK, "--cluster -n 300 -t set -q", b"").contains("Cluster has 1 master nodes"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn reasons_for_no_connection() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-reasons-{}", std::process::id()));
    let certificates = Certificates::make(dir.clone());
    // Nobody is asked anything behind the proxy.
    let setup = Setup { port: proxy(&certificates, 1), certificates };
    let tls = |program: &PathBuf| {
        let help = run(program, &["--help".to_owned()], b"", &[]);
        [help.stdout, help.stderr].iter().any(|text| String::from_utf8_lossy(text).contains("--tls-ciphersuites"))
    };
    let reference = find("REDIS_CLI_TLS", "redis-cli").filter(tls);
    if reference.is_none() {
        eprintln!("skipped in part: no redis-cli with TLS to compare with");
    }
    for program in [CLI, BENCHMARK] {
        let fails = |line: &str| match program {
            CLI => setup.fails_likewise(reference.as_deref(), line),
            _ => setup.fails(program, line),
        };
        for (line, reason) in [
            ("--tls --cacert @nosuch", "Invalid CA Certificate File/Directory"),
            ("--tls --cacert @ca.key", "Invalid CA Certificate File/Directory"),
            ("--tls --insecure --cert @nosuch", "Invalid client certificate"),
            ("--tls --insecure --cert @client.key --key @client.key", "Invalid client certificate"),
            ("--tls --insecure --cert @client.crt --key @nosuch", "Invalid private key"),
            ("--tls --insecure --key @ca.crt", "Invalid private key"),
            ("--tls --insecure --cert @client.crt --key @server.key", "Invalid private key"),
            ("--tls --insecure --tls-ciphers FOO:@STRENGTH", "Error while configuring ciphers"),
            (
                "--tls --insecure --tls-ciphersuites FOO:ECDHE-RSA-AES128-GCM-SHA256",
                "Error while setting cypher suites",
            ),
            (&format!("--tls --insecure --sni {}", "a".repeat(300)), "Failed to configure SNI"),
        ] {
            let text = fails(&format!("{line} ping"));
            assert_eq!(text, format!("Could not negotiate a TLS connection: {reason}\n"), "{line}");
        }
        for line in ["--tls --cacert @other-ca.crt", "--tls --cacertdir /nonexistent"] {
            let text = fails(&format!("{line} ping"));
            let expected = format!(
                "Could not connect to Redis at 127.0.0.1:{}: SSL_connect failed: certificate verify failed (",
                setup.port
            );
            assert!(text.starts_with(&expected), "{text}");
        }
        for line in ["", "--cert @client.crt", "--key @client.key"] {
            let text = setup.fails(program, &format!("--tls --cacert @ca.crt {line} ping").replace("  ", " "));
            assert!(text.ends_with("received fatal alert: CertificateRequired\n"), "{text}");
        }
    }
    assert_eq!(setup.fails(CLI, "--cacert @ca.crt ping"), "Error: Server closed the connection\n");
    assert_eq!(
        setup.fails_likewise(reference.as_deref(), "--cacert"),
        "Unrecognized option or bad number of args for: '--cacert'\n"
    );
    let closed = setup.fails_likewise(reference.as_deref(), "-p 1 --tls --cacert @nosuch ping");
    assert_eq!(closed, "Could not connect to Redis at 127.0.0.1:1: Connection refused\n");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_server_with_a_certificate_of_version_1() {
    let certificates = Certificates(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates"));
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = upstream.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in upstream.incoming().flatten() {
            let mut request = [0; 64];
            if client.read(&mut request).is_ok_and(|count| count > 0) {
                client.write_all(b"+PONG\r\n").unwrap();
            }
        }
    });
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let key = PrivateKeyDer::from_pem_file(certificates.path("version1.key")).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let identity = SingleCertAndKey::from(CertifiedKey::new(vec![certificates.load("version1")], key));
        let config = builder(&[version]).with_no_client_auth().with_cert_resolver(Arc::new(identity));
        let certificates = Certificates(certificates.0.clone());
        let setup = Setup { port: pass_on(config, to), certificates };
        for trusted in ["authority", "version1"] {
            let run = setup.run(CLI, &format!("--tls --cacert @{trusted}.crt ping"), b"");
            assert_eq!(run.stdout, b"PONG\n", "{trusted}, {version:?}: {}", String::from_utf8_lossy(&run.stderr));
        }
        let text = setup.fails(CLI, "--tls ping");
        assert!(text.contains("certificate verify failed (its issuer is not among the trusted)"), "{text}");
    }
}

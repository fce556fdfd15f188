//! Many requests at once, whole and in pieces.

use std::fmt::Write;

use tests::{Reply, TestServer};

#[test]
fn ten_thousand_requests_in_one_write_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = server.client();
    let mut requests = String::new();
    for i in 0..10_000 {
        let _ = match i % 3 {
            0 => write!(requests, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"),
            1 => write!(requests, "*2\r\n$4\r\nECHO\r\n${}\r\n{i}\r\n", i.to_string().len()),
            _ => write!(requests, "NOSUCH\r\n"),
        };
    }
    client.send(requests.as_bytes()).unwrap();
    for i in 0..10_000_i64 {
        let reply = client.receive().unwrap();
        match i % 3 {
            0 => assert_eq!(reply, Reply::Int(i / 3 + 1)),
            1 => assert_eq!(reply.text(), Some(i.to_string())),
            _ => assert!(matches!(&reply, Reply::Error(text) if text.starts_with("ERR unknown command")), "{reply}"),
        }
    }
}

#[test]
fn requests_may_be_cut_anywhere() {
    let server = TestServer::start();
    let requests = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nva\r\nlue\r\n012\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\nECHO \"a b\"\r\n";
    for piece in 1..=9 {
        let mut client = server.client();
        for part in requests.chunks(piece) {
            client.send(part).unwrap();
            // Lets the server see the piece on its own.
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
        let replies: Vec<String> = (0..4).map(|_| client.receive().unwrap().to_string()).collect();
        assert_eq!(replies, ["+OK", "+PONG", r#""va\r\nlue\r\n012""#, r#""a b""#], "pieces of {piece} bytes");
    }
}

#[test]
fn large_values_come_back_whole() {
    let server = TestServer::start();
    let mut client = server.client();
    let value: Vec<u8> = (0..8_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(client.call(&[&b"SET"[..], b"big", &value]).to_string(), "+OK");
    assert_eq!(client.call(&["GET", "big"]), Reply::Bulk(value.clone()));
    assert_eq!(client.call(&["STRLEN", "big"]), Reply::Int(value.len() as i64));
    assert_eq!(
        client.call(&["GETRANGE", "big", "4000000", "4000099"]),
        Reply::Bulk(value[4_000_000..4_000_100].to_vec())
    );
}

#[test]
fn a_pipeline_of_large_replies_does_not_block_other_clients() {
    let server = TestServer::start();
    let mut client = server.client();
    client.call(&["SET", "big", &"x".repeat(1_000_000)]);
    for _ in 0..50 {
        client.send(b"GET big\r\n").unwrap();
    }
    assert_eq!(server.client().call(&["PING"]).to_string(), "+PONG");
    for i in 0..50 {
        assert_eq!(client.receive().unwrap().text().map(|text| text.len()), Some(1_000_000), "reply {i}");
    }
}

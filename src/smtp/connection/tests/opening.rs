//! Greeting, EHLO, and the addresses in turn.

use super::*;

#[tokio::test]
async fn openings_that_fail() {
    let greeting = |bytes: &'static str| {
        server(async move |listener| {
            let mut peer = Peer::accept(&listener).await;
            peer.says(bytes).await;
        })
    };
    let cases = [
        ("554 5.7.1 go away\r\n", Concern::Site, "server refused `connect`: 554 5.7.1 go away"),
        ("421 4.3.2 busy\r\n", Concern::Site, "server refused `connect`: 421 4.3.2 busy"),
        ("250 hello\r\n", Concern::Protocol, "protocol error: unexpected reply to `connect`: 250 hello"),
        (
            "HTTP/1.1 400 Bad Request\r\n",
            Concern::Protocol,
            "protocol error: not a reply: `HTTP/1.1 400 Bad Request`",
        ),
        ("220 one\r\n220 two\r\n", Concern::Protocol, "protocol error: reply to nothing before `EHLO`"),
        ("", Concern::Site, "connection lost at `connect`: unexpected end of file"),
        ("220-mx.test", Concern::Site, "connection lost at `connect`: unexpected end of file"),
    ];
    for (bytes, concern, text) in cases {
        let (address, server) = greeting(bytes).await;
        let (found, problem) = problem(&target(address, Security::None)).await;
        assert_eq!((found, problem.to_string().as_str()), (concern, text), "{bytes:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn helo_where_ehlo_is_not_known() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 old\r\n").await;
        peer.hears(EHLO).await;
        peer.says("502 5.5.2 what?\r\n").await;
        peer.hears("HELO client.test.example").await;
        peer.says("250 hello\r\n").await;
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 old\r\n").await;
        peer.hears(EHLO).await;
        peer.says("421 4.3.2 no\r\n").await;
        peer.is_left().await;
    })
    .await;
    let target = target(address, Security::None);
    let connection = connect(&target).await.unwrap();
    assert_eq!(connection.info().capabilities, Capabilities::default());
    drop(connection);
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error.reply().map(|reply| reply.code), Some(421));
    server.await.unwrap();
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (refusing, first) = server(async |listener| {
        Peer::accept(&listener).await.says("421 busy\r\n").await;
    })
    .await;
    let (open, second) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
    })
    .await;
    let mut target = target(closed, Security::None);
    let (concern, problem) = problem(&target).await;
    assert!(matches!(problem, ConnectProblem::Unreachable { .. }) && concern == Concern::Site, "{problem}");
    target.addresses = vec![closed, refusing, "[::1]:1".parse().unwrap(), open];
    target.local_ip = Some("127.0.0.2".parse().unwrap());
    let connection = connect(&target).await.unwrap();
    assert_eq!(connection.info().local_ip, "127.0.0.2".parse::<IpAddr>().unwrap());
    first.await.unwrap();
    second.await.unwrap();
    target.addresses = vec!["[::1]:1".parse().unwrap()];
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error, ConnectError { remote_ip: None, problem: ConnectProblem::NoAddress });
}

#[tokio::test]
async fn a_silent_greeting() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.is_left().await;
    })
    .await;
    let mut target = target(address, Security::None);
    target.timeouts.greeting = Span(Duration::from_millis(20));
    let (concern, problem) = problem(&target).await;
    assert_eq!((concern, problem), (Concern::Site, ConnectProblem::Timeout { awaiting: Command::Connect }));
    server.await.unwrap();
}

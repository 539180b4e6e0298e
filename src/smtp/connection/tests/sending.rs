//! Messages and their fates.

use super::*;

#[tokio::test]
async fn a_message_in_clear() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING CHUNKING STARTTLS").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, Security::None)).await.unwrap();
    let info = connection.info().clone();
    assert_eq!((info.remote_host.as_str(), info.remote_ip, info.tls), (HOST, address.ip(), None));
    assert!(info.capabilities.pipelining && info.capabilities.chunking);
    let mut serving = Serving::new(connection, ConnectionLimits::default());
    serving.work.send(transaction(1, 10_000)).await.unwrap();
    let report = serving.report().await;
    assert!(report.fates[0].is_accepted() && report.id == 1, "{report:?}");
    assert!(report.started_at <= report.finished_at);
    assert_eq!(serving.end().await, (vec![], Closed::WorkEnded));
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_large_message() {
    for offers in ["PIPELINING CHUNKING", "PIPELINING"] {
        let (seen, reported) = oneshot::channel::<()>();
        let (connection, server) = connected(
            offers,
            |_| {},
            move |mut peer| async move {
                peer.hears("MAIL FROM:<>").await;
                peer.hears("RCPT TO:<u1@r.example>").await;
                peer.says("250 ok\r\n250 ok\r\n").await;
                let line = peer.line().await;
                if line == "DATA" {
                    peer.says("354 go\r\n").await;
                }
                peer.takes(1_000).await;
                peer.says("552 5.3.4 too big\r\n").await;
                // It reads nothing more, and the report must still come.
                reported.await.unwrap();
            },
        )
        .await;
        let mut serving = Serving::new(connection, ConnectionLimits::default());
        serving.work.send(transaction(1, 20_000_000)).await.unwrap();
        let report = serving.report().await;
        assert!(
            matches!(&report.fates[0], Fate::Replied { reply, to: Command::EndOfMessage } if reply.code == 552),
            "{report:?}"
        );
        seen.send(()).unwrap();
        server.await.unwrap();
        assert!(matches!(serving.end().await, (reports, Closed::Lost(_)) if reports.is_empty()));
    }
}

#[tokio::test]
async fn a_server_that_does_not_read() {
    let (over, done) = oneshot::channel::<()>();
    let short = |timeouts: &mut Timeouts| timeouts.data = Span(Duration::from_millis(50));
    let (connection, server) = connected("PIPELINING CHUNKING", short, move |mut peer| async move {
        peer.hears("MAIL FROM:<>").await;
        peer.hears("RCPT TO:<u1@r.example>").await;
        peer.says("250 ok\r\n250 ok\r\n").await;
        done.await.unwrap();
    })
    .await;
    let mut serving = Serving::new(connection, ConnectionLimits::default());
    serving.work.send(transaction(1, 20_000_000)).await.unwrap();
    let error = SessionError::Timeout { awaiting: Command::EndOfMessage };
    assert_eq!(serving.report().await.fates, [Fate::Failed { error: error.clone() }]);
    assert_eq!(serving.end().await, (vec![], Closed::Lost(error)));
    over.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    let short = |timeouts: &mut Timeouts| timeouts.end_of_data = Span(Duration::from_millis(20));
    let (connection, server) = connected("PIPELINING CHUNKING", short, |mut peer| async move {
        peer.hears("MAIL FROM:<>").await;
        peer.says("250 ok\r\n250 ok\r\n").await;
        peer.hears("RCPT TO:<u1@r.example>").await;
        peer.hears("BDAT 100 LAST").await;
        peer.takes(100).await;
        peer.is_left().await;
    })
    .await;
    let serving = Serving::new(connection, ConnectionLimits::default());
    for id in 1..=3 {
        serving.work.send(transaction(id, 100)).await.unwrap();
    }
    let (reports, closed) = serving.end().await;
    let error = SessionError::Timeout { awaiting: Command::EndOfMessage };
    let fates: Vec<Fate> = reports.into_iter().flat_map(|report| report.fates).collect();
    let left = Fate::NotStarted { why: NotStarted::Lost(error.clone()) };
    assert_eq!(fates, [Fate::InDoubt { error: error.clone() }, left.clone(), left]);
    assert_eq!(closed, Closed::Lost(error));
    server.await.unwrap();
}

#[tokio::test]
async fn several_messages_in_one_write() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            let mut message = String::new();
            for id in 1..=4 {
                let reset = if id == 1 { "" } else { "RSET\r\n" };
                message += &format!("{reset}MAIL FROM:<>\r\nRCPT TO:<u{id}@r.example>\r\nBDAT 3 LAST\r\n012");
            }
            let taken = peer.takes(message.len()).await;
            assert_eq!(String::from_utf8(taken).unwrap(), message);
            peer.says("250 m\r\n250 r\r\n250 b\r\n").await;
            for _ in 2..=4 {
                peer.says("250 s\r\n250 m\r\n550 r\r\n503 b\r\n").await;
            }
            // Nothing is in flight any more, and the server's transaction is reset before the next
            // one.
            peer.hears("RSET").await;
            peer.says("250 s\r\n").await;
            peer.takes_over(5).await;
            peer.farewell().await;
        },
    )
    .await;
    let (work, taken) = mpsc::channel(16);
    for id in 1..=4 {
        work.send(transaction(id, 3)).await.unwrap();
    }
    let (reports_in, mut reports) = mpsc::channel(16);
    let limits = ConnectionLimits { depth: 8, ..ConnectionLimits::default() };
    let serving = tokio::spawn(connection.serve(ConnectionId(1), taken, reports_in, limits));
    for id in 1..=4 {
        let (_, report) = reports.recv().await.unwrap();
        assert_eq!((report.id, report.fates[0].is_accepted()), (id, id == 1), "{report:?}");
        if id == 4 {
            work.send(transaction(5, 3)).await.unwrap();
        }
    }
    assert!(reports.recv().await.unwrap().1.fates[0].is_accepted());
    drop(work);
    assert_eq!(serving.await.unwrap(), Closed::WorkEnded);
    server.await.unwrap();
}

#[tokio::test]
async fn notifications_and_tls_all_the_way_are_asked_for_where_they_are_offered() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("PIPELINING CHUNKING DSN REQUIRETLS").await;
        peer.hears("MAIL FROM:<> REQUIRETLS RET=HDRS ENVID=1+2Ba@m.example").await;
        peer.hears("RCPT TO:<u1@r.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;u1@r.example").await;
        peer.hears("BDAT 10 LAST").await;
        peer.takes(10).await;
        peer.says("250 ok\r\n250 ok\r\n250 ok\r\n").await;
        peer.farewell().await;
        // An offer over unverified TLS does not count.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING CHUNKING DSN REQUIRETLS STARTTLS").await;
        let mut peer = peer.starts_tls(&acceptor).await;
        peer.offers("PIPELINING CHUNKING DSN REQUIRETLS").await;
        peer.farewell().await;
        // Without DSN the message goes without.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING CHUNKING").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let dsn = Dsn { notify: vec![Notify::Failure, Notify::Delay], ret: Some(Return::Headers) };
    let send = async |security: Security, require_tls: bool| {
        let extensions = Extensions { dsn: Some(dsn.clone()), require_tls, ..Extensions::default() };
        let target = Target { extensions, ..target(address, security) };
        let mut serving = Serving::new(connect(&target).await.unwrap(), ConnectionLimits::default());
        let mut transaction = transaction(1, 10);
        transaction.message.message_id = "1+a@m.example".into();
        serving.work.send(transaction).await.unwrap();
        let report = serving.report().await;
        serving.end().await;
        report.fates.into_iter().next().unwrap()
    };
    assert!(send(identity.trusted(RelayTls::Implicit), true).await.is_accepted());
    let opportunistic = Security::new(RelayTls::Opportunistic, None).unwrap();
    assert_eq!(send(opportunistic, true).await, Fate::Unfit { reason: Unfit::NeedsRequireTls });
    assert!(send(Security::None, false).await.is_accepted());
    server.await.unwrap();
}

//! How a connection ends.

use super::*;

#[tokio::test]
async fn the_message_limit() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            peer.takes_over(1).await;
            peer.takes_over(2).await;
            peer.farewell().await;
        },
    )
    .await;
    let (work, taken) = mpsc::channel(16);
    for id in 1..=4 {
        work.send(transaction(id, 10)).await.unwrap();
    }
    let (reports_in, mut reports) = mpsc::channel(16);
    let limits = ConnectionLimits { max_messages: 2, ..ConnectionLimits::default() };
    let closed = connection.serve(ConnectionId(1), taken, reports_in, limits).await;
    assert_eq!(closed, Closed::MessageLimit);
    let mut fates = Vec::new();
    while let Some((_, report)) = reports.recv().await {
        fates.push((
            report.id,
            report.fates[0].is_accepted(),
            report.fates == [Fate::NotStarted { why: NotStarted::Closed }],
        ));
    }
    fates.sort_unstable();
    assert_eq!(fates, [(1, true, false), (2, true, false), (3, false, true), (4, false, true)]);
    assert!(work.is_closed());
    server.await.unwrap();
}

#[tokio::test]
async fn without_work_it_sends_quit() {
    let (connection, server) = connected(
        "PIPELINING",
        |_| {},
        |mut peer| async move {
            peer.farewell().await;
        },
    )
    .await;
    let limits = ConnectionLimits { idle: Duration::from_millis(20), ..ConnectionLimits::default() };
    let Serving { work, reports, serving } = Serving::new(connection, limits);
    assert_eq!(serving.await.unwrap(), Closed::Idle);
    server.await.unwrap();
    drop((work, reports));
}

#[tokio::test]
async fn the_server_closes_an_idle_connection() {
    for last_words in ["421 4.4.2 idle for too long\r\n", ""] {
        let (open, opened) = oneshot::channel();
        let (connection, server) = connected(
            "PIPELINING",
            |_| {},
            move |mut peer| async move {
                opened.await.unwrap();
                peer.says(last_words).await;
            },
        )
        .await;
        open.send(()).unwrap();
        let serving = Serving::new(connection, ConnectionLimits::default());
        let Closed::Lost(error) = serving.serving.await.unwrap() else { panic!("not lost") };
        match error {
            SessionError::Closing(reply) => assert_eq!(reply.code, 421),
            other => assert_eq!((last_words, other), ("", SessionError::ClosedIdle)),
        }
        assert!(serving.work.send(transaction(1, 1)).await.is_err());
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_server_closes_right_behind_the_opening() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 mx\r\n").await;
        peer.hears(EHLO).await;
        peer.says("250 mx\r\n421 4.3.2 sorry\r\n").await;
    })
    .await;
    let error = connect(&target(address, Security::None)).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Site, Some(421)));
    server.await.unwrap();
}

/// What comes of a transaction that is submitted once the server has said this, unasked.
async fn after_unasked(words: &'static str) -> (Vec<Report>, Closed) {
    let (open, opened) = oneshot::channel();
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        move |mut peer| async move {
            opened.await.unwrap();
            peer.says(words).await;
            drop(peer);
        },
    )
    .await;
    open.send(()).unwrap();
    // The input is in the socket, and no task has looked at it.
    server.await.unwrap();
    let serving = Serving::new(connection, ConnectionLimits::default());
    let _ = serving.work.send(transaction(1, 10)).await;
    serving.end().await
}

#[tokio::test]
async fn nothing_is_written_on_top_of_what_was_not_read() {
    for words in ["", "250 stray\r\n", "421 4.3.2 sorry\r\n"] {
        let (reports, closed) = after_unasked(words).await;
        let untouched = |report: &Report| matches!(report.fates[..], [Fate::NotStarted { .. }]);
        assert!(reports.iter().all(untouched), "`{words}`: {reports:?}");
        let Closed::Lost(error) = closed else { panic!("`{words}`: {closed:?}") };
        match (words, error) {
            ("", SessionError::ClosedIdle) => {}
            ("250 stray\r\n", SessionError::Protocol(problem)) => {
                assert_eq!(problem, "reply to nothing: 250 stray")
            }
            (_, SessionError::Closing(reply)) => assert_eq!(reply.code, 421),
            (_, other) => panic!("`{words}`: {other}"),
        }
    }
}

#[tokio::test]
async fn reports_that_nobody_reads() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            peer.takes_over(1).await;
            peer.farewell().await;
        },
    )
    .await;
    let Serving { work, reports, serving } = Serving::new(connection, ConnectionLimits::default());
    drop(reports);
    work.send(transaction(1, 10)).await.unwrap();
    drop(work);
    assert_eq!(serving.await.unwrap(), Closed::WorkEnded);
    server.await.unwrap();
}
